// AddressPool: external addresses that load balancers may get. Key: name. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/resources/metadata.h"

namespace guideway::resources {

struct AddressPoolSpec {
    std::vector<std::string> addresses;  ///< each a CIDR or "first-last" (rule 1), as written
    bool auto_assign = true;             ///< rule 3
    bool avoid_buggy_ips = false;        ///< rule 3
    friend bool operator==(const AddressPoolSpec&, const AddressPoolSpec&) = default;
};

struct AddressPoolStatus {
    /// Numbers of addresses by family; saturate at 2^53 - 1 (the largest integer every JSON reader keeps; rule 5).
    std::uint64_t ipv4_total = 0, ipv4_allocated = 0;
    std::uint64_t ipv6_total = 0, ipv6_allocated = 0;
    friend bool operator==(const AddressPoolStatus&, const AddressPoolStatus&) = default;
};

struct AddressPool {
    Metadata metadata;
    AddressPoolSpec spec;
    AddressPoolStatus status;
    friend bool operator==(const AddressPool&, const AddressPool&) = default;
};

}  // namespace guideway::resources
