// From MetalLB's configuration to ours: address pools, and in the reports what of it is another way or not at all.
//
// What is the same: ranges, autoAssign, avoidBuggyIPs, serviceAllocation, labels; Services of all namespaces may share an address
// (shareAcrossNamespaces), as MetalLB has it. The appliance itself answers ARP and neighbour discovery for each address in use, so
// that an L2Advertisement needs no object of ours.
// What is another way: addresses that two pools have go to the first; names that ours may not have are written as ours may.
// Worked example: Configuration found; read_configuration(text, "pools.yaml", found); if (found.errors.empty()) pools = pools_of(found, "");
// Thread contract: pure functions.
#pragma once

#include <string>
#include <vector>

#include "api/cli/metallb/objects.h"
#include "api/resources/address_pool.h"

namespace guideway::cli::metallb {

/// In the order of reading. Completes `configuration`'s reports; errors go to its errors, and then nothing is answered. `cluster`: who
/// alone may use the pools; empty: all clusters of the appliance.
std::vector<resources::AddressPool> pools_of(Configuration& configuration, const std::string& cluster);

/// The pool as JSON without what the server sets.
std::string wish_of(const resources::AddressPool& pool);

}  // namespace guideway::cli::metallb
