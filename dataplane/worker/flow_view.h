// view_of(): a connection of the flow table in words for people (contract::FlowView).
// Thread contract: pure; any control thread, allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "api/contract/explain.h"
#include "dataplane/flow/connection_state.h"
#include "dataplane/snapshot/forwarding_snapshot.h"
#include "dataplane/snapshot/routing_snapshot.h"
#include "dataplane/worker/flow_question.h"

namespace guideway::worker {

struct FlowSurroundings {
    const snapshot::ForwardingSnapshot& state;
    const snapshot::RoutingSnapshot& routing;
    const flow::IdleLimits& limits;
    std::uint32_t now_s;                      ///< of the workers' clock
    std::span<const std::string> port_names;  ///< by port index; empty: the index is shown
    std::uint32_t last_hop_ports = 0;         ///< bit by port index: WorkerPort::replies_to_last_hop
};

contract::FlowView view_of(const AnyFlowFinding& finding, std::uint32_t worker, const FlowSurroundings& around);
/// The same as plain sentences.
std::vector<std::string> steps_of(const contract::FlowView& view);
/// By which router a new connection of this five-tuple would be answered, and why.
std::string reply_step(const contract::ExplainRequest& request, const FlowSurroundings& around);
/// "tcp_opening"; what the name means.
std::string state_name(flow::ConnectionState state);
std::string state_meaning(const std::string& name);
/// "192.0.2.1:80", "[2001:db8::1]:80"; the port in network order.
std::string endpoint_text(const IpAddress& address, std::uint16_t port_be);
/// The packet's tuple as the tables have it.
FlowTuple tuple_of(const contract::ExplainRequest& request);

}  // namespace guideway::worker
