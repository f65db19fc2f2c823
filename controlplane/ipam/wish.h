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
#include "controlplane/ipam/label_selector.h"

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

inline constexpr const char* kDefaultCluster = "default";

/// Names a service. Several clusters may share the appliance.
struct ServiceKey {
    std::string cluster = kDefaultCluster;
    std::string name_space;
    std::string name;
    /// "namespace/name" in the default cluster, else "cluster/namespace/name".
    std::string to_string() const {
        return (cluster == kDefaultCluster ? "" : cluster + "/") + name_space + "/" + name;
    }
    /// What to_string() wrote. None for any other text (no or too many parts, an empty part, "default/..." in full).
    static std::optional<ServiceKey> parse(std::string_view text);
    friend auto operator<=>(const ServiceKey&, const ServiceKey&) = default;
};

struct Wish {
    FamilyPolicy policy = FamilyPolicy::single;
    IpFamily primary =
        IpFamily::ipv4;  ///< single: the family; prefer_dual: the one that is served where only one can be
    std::string pool;    ///< requested (rule 8) or empty
    std::vector<IpAddress> addresses;  ///< requested (rule 9): at most one a family
    Claim claim;
    /// Of the Service, where they are known: their families are the service's, and `primary` does not count (rule 12). Hand over
    /// Kubernetes' spec.clusterIPs as they are.
    std::vector<IpAddress> cluster_ips = {};
    /// For the pools' selectors (rule 4). A change moves nobody (rule 7).
    Labels service_labels = {};
    Labels namespace_labels = {};
    /// Requested in the other way (an annotation beside a field). Both ways at once: ConflictingRequest, whatever they say.
    std::vector<IpAddress> annotation_addresses = {};
    /// Requested texts that are no IP address, as written: InvalidRequest.
    std::vector<std::string> unreadable_addresses = {};

    /// What asks for an address, by whichever way.
    const std::vector<IpAddress>& requested() const { return addresses.empty() ? annotation_addresses : addresses; }
    /// One cluster IP: one family is all that PreferDualStack can have (rule 12).
    FamilyPolicy effective_policy() const;
    /// That of the first cluster IP, else `primary`.
    IpFamily first_family() const { return cluster_ips.empty() ? primary : cluster_ips.front().family; }
    /// The families it asks for, IPv4 first (rule 12).
    std::vector<IpFamily> families() const {
        if (effective_policy() == FamilyPolicy::single) return {first_family()};
        return {IpFamily::ipv4, IpFamily::ipv6};
    }
    bool wants(IpFamily family) const { return effective_policy() != FamilyPolicy::single || family == first_family(); }
    /// Asks for the same place (pool, addresses), in the same way.
    bool asks_same_place(const Wish& other) const {
        return pool == other.pool && addresses == other.addresses &&
               annotation_addresses == other.annotation_addresses && unreadable_addresses == other.unreadable_addresses;
    }
    friend bool operator==(const Wish&, const Wish&) = default;
};

/// What is wrong with the wish itself, whatever the pools are: InvalidRequest, ConflictingRequest (both ways of asking),
/// NotEnoughClusterIPs. A caller that refuses such a wish altogether asks before it calls the allocator; the allocator answers
/// the same, and what the service has keeps working (rule 10).
std::optional<Refusal> fault_of(const Wish& wish);

struct Holding {
    IpAddress address;
    std::string pool;  ///< by its name now (rule 19)
    friend bool operator==(const Holding&, const Holding&) = default;
};

/// "192.0.2.1, 2001:db8::1".
std::string list_of(const std::vector<Holding>& holdings);

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
