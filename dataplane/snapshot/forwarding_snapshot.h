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

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "dataplane/balancing/backend_set.h"
#include "dataplane/balancing/service_table.h"
#include "dataplane/guard/source_ranges.h"

namespace guideway::snapshot {

/// A service for people; same index as in ServiceTable::services().
struct ServiceLabel {
    std::string name;
    std::uint16_t slot = 0;
    std::string source_ranges = {};  ///< the set's name; empty: open to all
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

/// What a known connection asks of its service after a change, or with each packet.
struct ServiceRules {
    const guard::SourceRanges* established = nullptr;  ///< whose connections may go on; null: everybody's
    std::uint16_t backend_set = 0;                     ///< index into the snapshot's sets
    std::uint32_t packets_per_second = 0;              ///< 0: no limit; else no connection of it goes the plain way
};

/// A VIP that is served on some ports alone.
struct BoundVip {
    static constexpr std::uint32_t kMostPorts = 32;
    IpAddress vip;
    std::uint32_t ports = 0;  ///< a bit for each port's index
};

struct ForwardingSnapshot {
    // For the poll path.
    balancing::ServiceTable services;
    balancing::AddressSet vips;
    balancing::AddressSet vips_serving;  ///< of these the ones with a service that has a backend for new connections
    balancing::AddressSet vips_silent;   ///< ... that refuse without a word
    std::vector<BoundVip> vips_bound;    ///< by address; the others, mostly all, are served on every port
    balancing::AddressSet snat;
    std::vector<std::uint32_t> snat_v4;  ///< network order, in the configuration's order
    std::vector<std::array<std::uint8_t, 16>> snat_v6;
    std::vector<balancing::BackendSet> sets;
    std::vector<std::uint8_t> service_incarnation;    ///< by slot; all slots up to the builder's limit
    std::vector<std::uint8_t> backend_incarnation;    ///< by slot
    std::vector<std::uint32_t> service_idle_seconds;  ///< by slot; 0: the time-outs of the states
    std::vector<ServiceRules> service_rules;          ///< by slot; of the state's services
    bool some_closed = false;                         ///< of any set's backends
    bool some_packet_limits = false;                  ///< of any service
    bool some_end = false;  ///< known connections may have to end: closed backends, or ranges that are asked of them
    std::vector<std::shared_ptr<const guard::SourceRanges>> source_ranges;  ///< what entries point to

    /// New connections, ARP, neighbour discovery and pings: known connections are not asked.
    bool served_on(std::uint16_t port, const IpAddress& vip) const noexcept {
        if (vips_bound.empty()) [[likely]]
            return true;
        const auto at = std::ranges::lower_bound(vips_bound, vip, {}, &BoundVip::vip);
        return at == vips_bound.end() || at->vip != vip || (at->ports >> port & 1U) != 0;
    }

    // For people.
    std::uint64_t generation = 0;
    std::vector<std::string> port_names;     ///< by index
    std::vector<std::string> unknown_ports;  ///< to which VIPs are bound, and which are not there: served by nobody
    std::vector<ServiceLabel> service_labels;
    std::vector<BackendLabel> backend_labels;  ///< each backend of the state once
    std::vector<BackendSetLabel> set_labels;
};

}  // namespace guideway::snapshot
