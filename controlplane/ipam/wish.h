// Wish, Claim, Refusal: what a service asks of the address management, what it has, and why it did not get
// it.
//
// Terms: a *wish* is the whole request of one service. A *holding* is an address it has. Its *claim* is what
// it occupies on its holdings: a sharing key and (protocol, port) pairs. Wish and claim differ only while a
// change of key or ports does not fit beside the others on a shared address: then the old claim stays in
// force (ipam-rules 10, 17). Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/contract/ip_address.h"

namespace guideway::ipam {

/// Every reason for which a wish may stay unmet (the rules file's list).
enum class Reason : std::uint8_t {
    no_available_ips,
    not_in_any_pool,
    in_use,
    port_conflict,
    sharing_key_mismatch,
    pool_not_allowed,
    unknown_pool,
    family_mismatch,
    invalid_request,
    conflicting_request,
    not_enough_cluster_ips,
};

/// "NoAvailableIPs", ...
std::string_view to_string(Reason reason);
std::optional<Reason> parse_reason(std::string_view text);

struct Refusal {
    Reason reason = Reason::no_available_ips;
    std::string message;  ///< what stood in the way and what to change
    friend bool operator==(const Refusal&, const Refusal&) = default;
};

enum class FamilyPolicy : std::uint8_t { single, prefer_dual, require_dual };

struct PortClaim {
    contract::Protocol protocol = contract::Protocol::tcp;
    std::uint16_t port = 0;
    friend auto operator<=>(const PortClaim&, const PortClaim&) = default;
};

struct Claim {
    std::string sharing_key;       ///< empty: shares with nobody
    std::vector<PortClaim> ports;  ///< sorted
    friend bool operator==(const Claim&, const Claim&) = default;
};

/// Names a service.
struct ServiceKey {
    std::string name_space;
    std::string name;
    std::string to_string() const { return name_space + "/" + name; }
    friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
};

struct Wish {
    FamilyPolicy policy = FamilyPolicy::single;
    IpFamily primary =
        IpFamily::ipv4;  ///< single: the family; prefer_dual: the one that is served where only one can be
    std::string pool;    ///< requested (rule 8) or empty
    std::vector<IpAddress> addresses;  ///< requested (rule 9): at most one a family
    Claim claim;
    /// The families it asks for, IPv4 first (rule 12).
    std::vector<IpFamily> families() const {
        if (policy == FamilyPolicy::single) return {primary};
        return {IpFamily::ipv4, IpFamily::ipv6};
    }
    bool wants(IpFamily family) const { return policy != FamilyPolicy::single || family == primary; }
    friend bool operator==(const Wish&, const Wish&) = default;
};

struct Holding {
    IpAddress address;
    std::string pool;  ///< by its name now (rule 19)
    friend bool operator==(const Holding&, const Holding&) = default;
};

/// All that is known of one service; what the store keeps of it.
struct Allocation {
    Wish wish;
    std::uint64_t order = 0;         ///< age: the lower one is older and wins (rules 21, 22)
    std::vector<Holding> holdings;   ///< IPv4, then IPv6 (rule 13)
    bool placed = false;             ///< the holdings are what `wish.pool` and `wish.addresses` asked for
    Claim claim;                     ///< in force on the holdings
    std::optional<Refusal> refusal;  ///< none: the wish is met
    friend bool operator==(const Allocation&, const Allocation&) = default;
};

}  // namespace guideway::ipam
