// PoolSet: the address pools in force, parsed and checked against each other (ipam-rules 1 to 5).
//
// Terms: an entry is one range of a pool, in the order in which it was written. A set with a fault is refused
// whole, with every fault named; the caller keeps the last good one. Thread contract: immutable after
// parse_pools().
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ipam/address_range.h"
#include "controlplane/ipam/service_allocation.h"

namespace guideway::ipam {

/// Counts end here: 2^53 - 1, the largest integer that every JSON reader keeps.
inline constexpr std::uint64_t kCountLimit = (std::uint64_t{1} << 53) - 1;

/// What an operator wrote.
struct PoolDefinition {
    std::string name;
    std::vector<std::string> addresses;
    bool auto_assign = true;
    bool avoid_buggy_ips = false;
    /// Rule 18: a sharing key means the same in every namespace of a cluster. Turned off, those who share already stay.
    bool share_across_namespaces = false;
    /// Rule 6: for so long after it was freed an address is skipped while others of the pool and family are free.
    std::uint32_t quarantine_seconds = 0;
    /// Rule 4; none: admits all, after those that have one.
    std::optional<ServiceAllocation> service_allocation = {};
};

struct Pool {
    std::string name;
    std::vector<AddressRange> entries;  ///< in written order
    bool auto_assign = true;
    bool avoid_buggy_ips = false;
    bool share_across_namespaces = false;
    std::uint32_t quarantine_seconds = 0;
    std::optional<ServiceAllocation> service_allocation = {};

    bool admits(const ServiceKey& service, const Wish& wish) const {
        return !service_allocation || service_allocation->admits(service, wish);
    }
    bool has_family(IpFamily family) const;
    /// Addresses of the family that may be given away; saturates at 2^53 - 1, the largest integer every JSON
    /// reader keeps.
    std::uint64_t capacity(IpFamily family) const;
    Number exact_capacity(IpFamily family) const;
};

struct PoolFault {
    std::string pool;
    std::optional<std::size_t> entry;  ///< index into `addresses`; none: the pool itself
    std::string message;
    /// JSON pointer beneath the pool's spec, as the REST API spells it: "/addresses/1", "/serviceAllocation/namespaces/0"; empty:
    /// the pool itself.
    std::string field = {};
};

/// Where an address lies.
struct Place {
    std::size_t pool = 0;   ///< index into PoolSet::pools()
    std::size_t entry = 0;  ///< index into Pool::entries
    friend bool operator==(const Place&, const Place&) = default;
};

class PoolSet {
  public:
    PoolSet() = default;

    /// Sorted by name.
    const std::vector<Pool>& pools() const { return pools_; }
    /// Indices of all pools in the order in which they are asked (rule 6): those with a service allocation by priority and name,
    /// then the others by name.
    const std::vector<std::size_t>& by_preference() const { return by_preference_; }
    const Pool* find(const std::string& name) const;
    /// The one place that has the address; none where no pool has it or its pool leaves it out
    /// (avoid_buggy_ips).
    std::optional<Place> place_of(const IpAddress& address) const;
    /// As place_of(), but also where avoid_buggy_ips leaves the address out: to tell people why.
    std::optional<Place> range_of(const IpAddress& address) const;

  private:
    friend struct ParsedPools parse_pools(std::vector<PoolDefinition> definitions);
    struct Key {
        IpFamily family;
        Number last;
        friend auto operator<=>(const Key&, const Key&) = default;
    };
    std::vector<Pool> pools_;
    std::vector<std::size_t> by_preference_;
    std::map<Key, Place> by_last_;  // no two ranges overlap, so the first whose end is not before the address decides
};

struct ParsedPools {
    PoolSet set;                    ///< empty where there are faults
    std::vector<PoolFault> faults;  ///< every one
};

ParsedPools parse_pools(std::vector<PoolDefinition> definitions);

}  // namespace guideway::ipam
