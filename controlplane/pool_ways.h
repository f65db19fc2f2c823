// PoolWays: what a pool makes of traffic to its addresses. Thread contract: plain values.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "api/resources/address_pool.h"

namespace guideway::controlplane {

struct PoolWays {
    bool silent = false;             ///< they refuse without a word
    std::vector<std::string> ports;  ///< on which they are served; empty: on all
    friend bool operator==(const PoolWays&, const PoolWays&) = default;
};

inline PoolWays ways_of(const resources::AddressPoolSpec& spec) { return {spec.silent, spec.ports}; }

/// By name; a pool that is not there is as by default.
using WaysOfPools = std::map<std::string, PoolWays>;

}  // namespace guideway::controlplane
