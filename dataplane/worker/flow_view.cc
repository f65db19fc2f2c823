#include "dataplane/worker/flow_view.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <optional>

#include "dataplane/flow/hash.h"
#include "dataplane/packet/five_tuple.h"

namespace guideway::worker {
namespace {

std::uint16_t host_order(std::uint16_t value) { return __builtin_bswap16(value); }

std::string port_text(std::size_t port, const FlowSurroundings& around) {
    return "port " + (port < around.port_names.size() ? around.port_names[port] : std::to_string(port));
}

std::string mac_text(const snapshot::MacAddress& m) {
    std::array<char, 18> mac{};
    std::snprintf(mac.data(), mac.size(), "%02x:%02x:%02x:%02x:%02x:%02x", m[0], m[1], m[2], m[3], m[4], m[5]);
    return mac.data();
}

/// ", router 192.0.2.253: ..." where there are several; `now` is what the table says now.
std::string choice_text(std::uint16_t index, const snapshot::NextHopResult& now, const FlowSurroundings& around) {
    if (now.ways == 1) return "";
    const auto& neighbours = around.routing.neighbours;
    const auto router =
        std::find_if(neighbours.begin(), neighbours.end(), [&](const auto& one) { return one.second == index; });
    const std::string name = router == neighbours.end() ? "" : ", router " + router->first.address.to_string();
    if (now.kind == snapshot::NextHopResult::Kind::found && index == now.index)
        return name + ", one of " + std::to_string(now.ways) + " that serve, by the hash of the connection";
    return name + ", as chosen before others of the " + std::to_string(now.ways) + " that serve came";
}

/// "port eth1 to 02:00:00:00:00:0b", or why not. `in_use`: the connection's own next hop, if it has one under this table.
template <typename Tuple>
std::string hop_text(const Tuple& towards, snapshot::Side side, std::optional<std::uint16_t> in_use,
                     const FlowSurroundings& around) {
    const snapshot::NextHopResult found =
        around.routing.lookup(packet::to_contract(towards.source), flow::selection_hash(towards), side);
    if (!in_use) {
        if (found.kind == snapshot::NextHopResult::Kind::no_route)
            return "no route: its packets are dropped as no_route";
        if (found.kind == snapshot::NextHopResult::Kind::unresolved) {
            return port_text(found.neighbour.port, around) + ", MAC address of " + found.neighbour.address.to_string() +
                   " not known: its packets wait, then are dropped as neighbour_unresolved";
        }
    }
    const std::uint16_t index = in_use.value_or(found.index);
    const snapshot::NextHop& hop = around.routing.next_hops[index];
    return port_text(hop.port, around) + " to " + mac_text(hop.destination_mac) +
           (hop.usable ? "" : ", not usable now (link down?)") + choice_text(index, found, around);
}

template <typename Entry>
std::string hop_of(const Entry& entry, unsigned half, const FlowSurroundings& around) {
    if (half == flow::kBackendHalf && (entry.flags & flow::flow_flags::kLastHop) != 0 &&
        around.routing.still_means(entry.next_hop[half], entry.routing_epoch)) {
        const snapshot::NextHop& hop = around.routing.next_hops[entry.next_hop[half]];
        return port_text(hop.port, around) + " to " + mac_text(hop.destination_mac) +
               ", the router that the client's last packet came by (last_hop)";
    }
    std::optional<std::uint16_t> in_use;
    if (entry.routing_epoch == around.routing.epoch && entry.next_hop[half] < around.routing.next_hops.size())
        in_use = entry.next_hop[half];
    return hop_text(entry.other_half(half), snapshot::side_beyond(half), in_use, around);
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
    view.to_backend = hop_of(entry, flow::kClientHalf, around);
    view.to_client = hop_of(entry, flow::kBackendHalf, around);
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

std::string reply_step(const contract::ExplainRequest& request, const FlowSurroundings& around) {
    std::string ports;
    for (std::size_t port = 0; port < 32; ++port) {
        if ((around.last_hop_ports >> port & 1U) != 0) ports += (ports.empty() ? "" : " or ") + port_text(port, around);
    }
    const std::string back =
        ports.empty()
            ? ""
            : "Where it comes by " + ports + ", replies go back to the router it comes from (last_hop). Else replies";
    const std::string by_table =
        std::visit([&](const auto& client) { return hop_text(client, snapshot::Side::clients, std::nullopt, around); },
                   tuple_of(request));
    return (ports.empty() ? "Replies" : back) + " to the client leave by " + by_table + ".";
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
