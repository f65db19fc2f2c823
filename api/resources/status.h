// SystemStatus: the appliance at a glance, as GET /v1/status answers. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>

namespace guideway::resources {

struct SystemStatus {
    std::string version;
    std::uint64_t uptime_seconds = 0;
    bool dataplane_connected = false;
    std::string dataplane_error;              ///< last reason it was not, or why it refused a state; empty when fine
    std::uint64_t desired_generation = 0;     ///< of the ForwardingState made from the store
    std::uint64_t forwarding_generation = 0;  ///< in force in the dataplane; 0 while it is unknown
    std::uint64_t load_balancers = 0, load_balancers_waiting = 0;  ///< waiting: without the addresses they asked for
    std::uint64_t address_pools = 0;
    std::uint64_t nodes = 0, nodes_draining = 0;
    /// Addresses in use that another machine claims, and those of them that are left to it (announce.on_conflict).
    std::uint64_t address_conflicts = 0, addresses_yielded = 0;
    friend bool operator==(const SystemStatus&, const SystemStatus&) = default;
};

}  // namespace guideway::resources
