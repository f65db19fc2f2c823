// ForwardingSnapshot: one ForwardingState as the workers read it; immutable once published.
//
// Terms: slot, incarnation, identity: see builder.h. The first half is for the poll path, the second (names) for people:
// counters and explain.
//
// Worked example (one new connection): services.find_v4(VIP, TCP, 80) -> ServiceEntry{slot 3, backend_set 0, port 30080};
// sets[0].choose(hash) -> BackendEntry{10.0.2.11, slot 7}; the flow entry keeps 3 and 7 with their incarnations. When a
// later snapshot has another service_incarnation[3], the service is gone and the connection ends.
//
// Thread contract: made by the builder in one control thread; const afterwards, read by all workers; freed after the QSBR
// grace period. Functions allocate nothing.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "dataplane/balancing/backend_set.h"
#include "dataplane/balancing/service_table.h"

namespace guideway::snapshot {

/// A service for people; same index as in ServiceTable::services().
struct ServiceLabel {
    std::string name;
    std::uint16_t slot = 0;
};

/// What a backend slot stands for.
struct BackendLabel {
    std::uint16_t slot = 0;
    std::string backend_set;  ///< the first of the state that lists it
    std::string name;
    IpAddress address;
    std::uint16_t port = 0;  ///< host order; 0: the services' node ports
};

/// Names of a backend set; same index as ForwardingSnapshot::sets.
struct BackendSetLabel {
    std::string name;
    std::vector<std::string> backends;  ///< same index as BackendSet::backends
};

struct ForwardingSnapshot {
    // For the poll path.
    balancing::ServiceTable services;
    balancing::AddressSet vips;
    balancing::AddressSet snat;
    std::vector<std::uint32_t> snat_v4;  ///< network order, in the configuration's order
    std::vector<std::array<std::uint8_t, 16>> snat_v6;
    std::vector<balancing::BackendSet> sets;
    std::vector<std::uint8_t> service_incarnation;    ///< by slot; all slots up to the builder's limit
    std::vector<std::uint8_t> backend_incarnation;    ///< by slot
    std::vector<std::uint32_t> service_idle_seconds;  ///< by slot; 0: the time-outs of the states

    // For people.
    std::uint64_t generation = 0;
    std::vector<ServiceLabel> service_labels;
    std::vector<BackendLabel> backend_labels;  ///< each backend of the state once
    std::vector<BackendSetLabel> set_labels;
};

}  // namespace guideway::snapshot
