// AddressPool: external addresses that load balancers may get. Key: name. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/ip_address.h"
#include "api/resources/metadata.h"
#include "api/resources/selector.h"

namespace guideway::resources {

/// Whom a pool is for (rule 4). Nothing but a priority: for everybody.
struct ServiceAllocation {
    std::uint32_t priority = 0;         ///< lower first; 0: last
    std::vector<std::string> clusters;  ///< empty: any
    std::vector<std::string> namespaces;
    std::vector<LabelSelector> namespace_selectors;
    std::vector<LabelSelector> service_selectors;
    friend bool operator==(const ServiceAllocation&, const ServiceAllocation&) = default;
};

struct AddressPoolSpec {
    std::vector<std::string> addresses;    ///< each a CIDR or "first-last" (rule 1), as written
    bool auto_assign = true;               ///< rule 3
    bool avoid_buggy_ips = false;          ///< rule 3
    bool share_across_namespaces = false;  ///< rule 18
    std::uint32_t quarantine_seconds = 0;  ///< rule 6; at most a week
    bool silent = false;                   ///< its addresses refuse without a word: no RST, no port unreachable
    std::vector<std::string>
        ports;  ///< the dataplane's ports (VLANs too) on which its addresses are served; empty: all
    std::optional<ServiceAllocation> service_allocation;
    friend bool operator==(const AddressPoolSpec&, const AddressPoolSpec&) = default;
};

/// Numbers of addresses of one family; saturate at 2^53 - 1 (the largest integer every JSON reader keeps; rule 5).
struct PoolFamilyUse {
    std::uint64_t total = 0;
    std::uint64_t allocated = 0;    ///< a shared one counts once (rule 18)
    std::uint64_t shared = 0;       ///< of the allocated: by more than one load balancer
    std::uint64_t quarantined = 0;  ///< given only while none is free (rule 6)
    std::uint64_t free = 0;         ///< total = allocated + quarantined + free
    friend bool operator==(const PoolFamilyUse&, const PoolFamilyUse&) = default;
};

/// A load balancer with addresses of the pool.
struct PoolUser {
    std::string cluster, namespace_, name;
    std::vector<IpAddress> addresses;
    friend bool operator==(const PoolUser&, const PoolUser&) = default;
};

struct AddressPoolStatus {
    static constexpr std::size_t kMostUsers = 1000;

    std::uint64_t observed_generation = 0;
    PoolFamilyUse ipv4, ipv6;
    std::uint64_t load_balancers = 0;  ///< with addresses of it
    std::vector<PoolUser> users;       ///< of a GET of the pool alone: the first kMostUsers by key
    friend bool operator==(const AddressPoolStatus&, const AddressPoolStatus&) = default;
};

struct AddressPool {
    Metadata metadata;
    AddressPoolSpec spec;
    AddressPoolStatus status;
    friend bool operator==(const AddressPool&, const AddressPool&) = default;
};

}  // namespace guideway::resources
