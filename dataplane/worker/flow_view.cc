#include "dataplane/worker/flow_view.h"

#include <array>
#include <cstdio>

#include "dataplane/packet/five_tuple.h"

namespace guideway::worker {
namespace {

std::uint16_t host_order(std::uint16_t value) { return __builtin_bswap16(value); }

/// "port eth1 to 02:00:00:00:00:0b", or why not.
std::string hop_text(const IpAddress& destination, snapshot::Side side, const FlowSurroundings& around) {
    const snapshot::NextHopResult found = around.routing.lookup(destination, side);
    if (found.kind == snapshot::NextHopResult::Kind::no_route) return "no route: its packets are dropped as no_route";
    const auto port_text = [&](std::size_t port) {
        return "port " + (port < around.port_names.size() ? around.port_names[port] : std::to_string(port));
    };
    if (found.kind == snapshot::NextHopResult::Kind::unresolved) {
        return port_text(found.neighbour.port) + ", MAC address of " + found.neighbour.address.to_string() +
               " not known: its packets wait, then are dropped as neighbour_unresolved";
    }
    const snapshot::NextHop& hop = around.routing.next_hops[found.index];
    std::array<char, 18> mac{};
    const auto& m = hop.destination_mac;
    std::snprintf(mac.data(), mac.size(), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    return port_text(hop.port) + " to " + mac.data() + (hop.usable ? "" : ", not usable now (link down?)");
}

void name_service(contract::FlowView& view, const IpAddress& vip, std::uint8_t protocol, std::uint16_t vip_port_be,
                  const IpAddress& backend, std::uint16_t backend_port_be, const FlowSurroundings& around) {
    const snapshot::ForwardingSnapshot& state = around.state;
    const balancing::ServiceEntry* service = state.services.find(vip, protocol, vip_port_be);
    if (service == nullptr) return;
    view.service = state.service_labels[static_cast<std::size_t>(service - state.services.services().data())].name;
    const balancing::BackendSet& set = state.sets[service->backend_set];
    for (std::size_t i = 0; i < set.backends.size(); ++i) {
        const balancing::BackendEntry& one = set.backends[i];
        const std::uint16_t port = one.port_be != 0 ? one.port_be : service->backend_port_be;
        if (one.address == backend && port == backend_port_be) {
            view.backend = state.set_labels[service->backend_set].backends[i];
        }
    }
}

template <typename Entry>
contract::FlowView describe(const FlowFinding<Entry>& finding, std::uint32_t worker, const FlowSurroundings& around) {
    const Entry& entry = finding.entry;
    const auto& client = entry.halves[flow::kClientHalf];
    const auto& backend = entry.halves[flow::kBackendHalf];
    const IpAddress vip = packet::to_contract(client.destination);
    const IpAddress backend_address = packet::to_contract(backend.source);
    contract::FlowView view;
    view.worker = worker;
    view.half = finding.half == flow::kClientHalf ? "client" : "backend";
    view.state = state_name(entry.state);
    view.client = endpoint_text(packet::to_contract(client.source), client.source_port);
    view.vip = endpoint_text(vip, client.destination_port);
    view.backend_address = endpoint_text(backend_address, backend.source_port);
    view.snat = endpoint_text(packet::to_contract(backend.destination), backend.destination_port);
    // The worker's clock may be a moment behind or before this thread's.
    const std::uint32_t idle = around.now_s - entry.last_seen;
    view.idle_seconds = idle < 0x80000000U ? idle : 0;
    const bool same = around.state.service_incarnation[entry.service_slot] == entry.service_incarnation;
    if (same) {  // else one of the same place and port was made anew, and this connection is not its
        name_service(view, vip, client.protocol, client.destination_port, backend_address, backend.source_port, around);
    }
    view.idle_limit_seconds =
        around.limits.seconds(entry.state, same ? around.state.service_idle_seconds[entry.service_slot] : 0);
    view.to_backend = hop_text(backend_address, snapshot::Side::nodes, around);
    view.to_client = hop_text(packet::to_contract(client.source), snapshot::Side::clients, around);
    return view;
}

}  // namespace

std::string endpoint_text(const IpAddress& address, std::uint16_t port_be) {
    return (address.is_v4() ? address.to_string() : "[" + address.to_string() + "]") + ":" +
           std::to_string(host_order(port_be));
}

std::string state_name(flow::ConnectionState state) {
    constexpr std::array<const char*, flow::kConnectionStateCount> kNames{
        "none",      "tcp_opening", "tcp_answered",  "tcp_established", "tcp_closing",      "tcp_time_wait",
        "tcp_reset", "udp_one_way", "udp_both_ways", "sctp_opening",    "sctp_established", "sctp_closing"};
    return kNames.at(static_cast<std::size_t>(state));
}

std::string state_meaning(const std::string& state) {
    if (state == "tcp_opening" || state == "sctp_opening") return "the client asked, the backend has not answered";
    if (state == "tcp_answered") return "the backend answered the SYN, the client has not acknowledged that";
    if (state == "tcp_established" || state == "sctp_established") return "established";
    if (state == "tcp_closing") return "one side has closed";
    if (state == "tcp_time_wait" || state == "sctp_closing") return "both sides have closed; kept for late packets";
    if (state == "tcp_reset") return "a RST ended it; kept for late packets";
    if (state == "udp_one_way") return "the backend has not answered";
    return "both sides have sent";
}

contract::FlowView view_of(const AnyFlowFinding& finding, std::uint32_t worker, const FlowSurroundings& around) {
    return std::visit([&](const auto& one) { return describe(one, worker, around); }, finding);
}

std::vector<std::string> steps_of(const contract::FlowView& view) {
    std::vector<std::string> steps;
    steps.push_back("Worker " + std::to_string(view.worker) + " knows this connection, by the tuple of its " +
                    view.half + "'s packets: " + view.client + " -> " + view.vip + " goes on as " + view.snat + " -> " +
                    view.backend_address + ".");
    steps.push_back(view.service.empty()
                        ? "Its service is not there any more: the next packet ends it."
                        : "It is of the service " + view.service + ", with the backend " +
                              (view.backend.empty() ? "that left the service's backends meanwhile" : view.backend) +
                              ".");
    steps.push_back("State " + view.state + ": " + state_meaning(view.state) + ". Last packet " +
                    std::to_string(view.idle_seconds) + " s ago (stamped every " + std::to_string(flow::kStampSeconds) +
                    " s); forgotten after " + std::to_string(view.idle_limit_seconds) + " s without one.");
    steps.push_back("Packets to the backend leave by " + view.to_backend + ".");
    steps.push_back("Packets to the client leave by " + view.to_client + ".");
    return steps;
}

FlowTuple tuple_of(const contract::ExplainRequest& request) {
    const auto protocol = static_cast<std::uint8_t>(request.protocol);
    const std::uint16_t from = host_order(request.source_port);
    const std::uint16_t to = host_order(request.destination_port);
    if (request.destination.is_v4()) {
        return packet::FiveTupleV4{
            packet::to_network(request.source), packet::to_network(request.destination), from, to, protocol, {}};
    }
    return packet::FiveTupleV6{request.source.bytes, request.destination.bytes, from, to, protocol, {}};
}

}  // namespace guideway::worker
