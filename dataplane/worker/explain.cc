#include "dataplane/worker/explain.h"

#include <algorithm>
#include <string>

#include "dataplane/flow/hash.h"
#include "dataplane/observe/drop_reason.h"
#include "dataplane/packet/five_tuple.h"
#include "dataplane/worker/affinity.h"

namespace guideway::worker {
namespace {

std::uint16_t be(std::uint16_t value) { return __builtin_bswap16(value); }

/// What `visit` says of the packet's five-tuple.
template <typename Visit>
auto of_tuple(const contract::ExplainRequest& request, Visit visit) {
    const auto protocol = static_cast<std::uint8_t>(request.protocol);
    const std::uint16_t source_port = be(request.source_port);
    const std::uint16_t destination_port = be(request.destination_port);
    if (request.destination.is_v4()) {
        return visit(packet::FiveTupleV4{packet::to_network(request.source),
                                         packet::to_network(request.destination),
                                         source_port,
                                         destination_port,
                                         protocol,
                                         {}});
    }
    return visit(packet::FiveTupleV6{
        request.source.bytes, request.destination.bytes, source_port, destination_port, protocol, {}});
}

std::string with_port(const IpAddress& address, std::uint16_t port) {
    return (address.is_v4() ? address.to_string() : "[" + address.to_string() + "]") + ":" + std::to_string(port);
}

std::string protocol_name(contract::Protocol protocol) { return std::string(contract::to_string(protocol)); }

/// How the client is told that nobody serves it.
std::string refusal(const snapshot::ForwardingSnapshot& state, const contract::ExplainRequest& request) {
    if (state.vips_silent.contains(request.destination)) {
        return "the packet is dropped without an answer, since the address is to be silent";
    }
    std::string how = "with an ABORT";
    if (request.protocol == contract::Protocol::tcp) how = "with a RST";
    if (request.protocol == contract::Protocol::udp) how = "with port unreachable";
    return "the client is refused " + how;
}

/// Where it is served, if not on every port.
std::string bound_words(const snapshot::ForwardingSnapshot& state, const IpAddress& vip) {
    std::string ports;
    std::size_t count = 0;
    for (std::uint16_t port = 0; port < state.port_names.size(); ++port) {
        if (!state.served_on(port, vip)) continue;
        ++count;
        ports += (ports.empty() ? "" : ", ") + state.port_names[port];
    }
    if (count == state.port_names.size()) return {};
    if (ports.empty()) return " Its pool is bound to ports, of which none is here.";
    return " Its pool is bound to ports: it takes new connections by " + ports +
           " alone; on others they are dropped as vip_not_on_port.";
}

bool is_served_nowhere(const snapshot::ForwardingSnapshot& state, const IpAddress& vip) {
    const auto count = static_cast<std::uint16_t>(state.port_names.size());
    for (std::uint16_t port = 0; port < count; ++port) {
        if (state.served_on(port, vip)) return false;
    }
    return count != 0;
}

/// The name by which a packet to an address of ours is dropped for its source; none: the source can be.
observe::DropReason impossible_source(const snapshot::ForwardingSnapshot& state,
                                      const contract::ExplainRequest& request, bool sides_apart) {
    if (request.source == request.destination) return observe::DropReason::land_attack;
    if (!request.source.is_usable_unicast()) return observe::DropReason::martian_source;
    const bool to_vip = sides_apart && state.vips.contains(request.destination);
    const bool to_snat = sides_apart && !to_vip;
    const bool own =
        (!to_snat && state.vips.contains(request.source)) || (!to_vip && state.snat.contains(request.source));
    return own ? observe::DropReason::own_source : observe::DropReason::none;
}

/// Of an address of ours, where the sides are kept apart.
std::string side_step(const char* own, const char* other) {
    return std::string("It is on the ") + own + "' side: a packet for it that comes by a port of the " + other +
           "' side is dropped as wrong_side.";
}

/// What the service allows, and by which name more than that is dropped; empty: as much as comes.
std::string limits_step(const guard::ServiceLimits& limits) {
    std::string step;
    const auto allows = [&](std::uint32_t rate, const char* what, observe::DropReason reason) {
        if (rate == 0) return;
        step += (step.empty() ? "It allows " : ", ") + std::to_string(rate) + ' ' + what + " (" +
                std::string(observe::to_string(reason)) + ")";
    };
    allows(limits.packets, "packets of clients a second", observe::DropReason::service_packets_limited);
    allows(limits.new_connections, "new connections a second", observe::DropReason::service_connections_limited);
    allows(limits.new_connections_per_source, "new connections a second of each source network",
           observe::DropReason::source_connections_limited);
    if (!step.empty()) step += "; more are dropped by the name in brackets. Each worker has its part.";
    return step;
}

/// Which ports with source_check let a new connection of the client in. False: no port at all does.
bool pass_source_checks(const contract::ExplainRequest& request, const SourceChecks& checks,
                        contract::ExplainAnswer& answer) {
    std::string good, bad;
    bool some_let_in = checks.ports.empty();
    for (std::size_t port = 0; port < checks.ports.size(); ++port) {
        const SourceCheck check = checks.ports[port].source_check;
        const bool lets_in = check == SourceCheck::off ||
                             (check == SourceCheck::strict
                                  ? checks.routing->has_route_through(request.source, static_cast<std::uint16_t>(port))
                                  : checks.routing->has_route(request.source));
        some_let_in = some_let_in || lets_in;
        if (check == SourceCheck::off) continue;
        std::string& list = lets_in ? good : bad;
        list += (list.empty() ? "" : ", ") +
                (port < checks.port_names.size() ? checks.port_names[port] : std::to_string(port));
    }
    if (!good.empty()) {
        answer.steps.push_back("Ports whose source_check lets " + request.source.to_string() + " in: " + good + ".");
    }
    if (!bad.empty()) {
        answer.steps.push_back("Ports whose source_check finds no fitting route to " + request.source.to_string() +
                               ": " + bad + ". By these the packet is dropped as source_unroutable.");
    }
    return some_let_in;
}

/// Why a client of a service with session affinity goes where it goes.
std::string affinity_step(const AffinityChoice& choice, std::uint32_t timeout_s) {
    const std::string since = std::to_string(choice.age_s) + " s";
    switch (choice.why) {
        case AffinityChoice::Why::remembered:
            return "Session affinity of " + std::to_string(timeout_s) + " s: remembered since " + since +
                   ", the client's backend takes new connections.";
        case AffinityChoice::Why::over:
            return "Session affinity of " + std::to_string(timeout_s) + " s: what was remembered is " + since +
                   " old, its time is over: Maglev over the client.";
        case AffinityChoice::Why::backend_gone:
            return "Session affinity: remembered since " + since +
                   ", but that backend takes no new connections any more: Maglev over the client.";
        case AffinityChoice::Why::nothing:
            break;
    }
    return "Session affinity: nothing remembered: Maglev over the client.";
}

void choose_backend(const snapshot::ForwardingSnapshot& state, const contract::ExplainRequest& request,
                    const balancing::ServiceEntry& service, std::uint32_t choice, const AffinityMemory& memory,
                    contract::ExplainAnswer& answer) {
    const balancing::BackendSet& set = state.sets[service.backend_set];
    const auto usable = std::count_if(set.backends.begin(), set.backends.end(),
                                      [](const balancing::BackendEntry& backend) { return backend.weight != 0; });
    answer.backend_set = state.set_labels[service.backend_set].name;
    answer.maglev_size = set.table->size();
    answer.maglev_slot = set.table->slot_of(choice);
    answer.steps.push_back("Its backend set is " + answer.backend_set + ": " + std::to_string(set.backends.size()) +
                           " backend(s), " + std::to_string(usable) + " of them take new connections.");
    const balancing::BackendEntry* backend = set.choose(choice);
    bool remembered = false;
    if (service.affinity_seconds != 0) {
        const AffinityChoice by_client = of_tuple(request, [&](const auto& client) {
            return choose_by_affinity(memory.tables, set, service.affinity_seconds, client, memory.now_s);
        });
        answer.steps.push_back(affinity_step(by_client, service.affinity_seconds));
        backend = by_client.backend;
        remembered = by_client.why == AffinityChoice::Why::remembered;
    }
    if (backend == nullptr) {
        answer.verdict = "refuse";
        answer.steps.push_back("No backend takes new connections: " + refusal(state, request) + ".");
        return;
    }
    const auto position = static_cast<std::size_t>(backend - set.backends.data());
    answer.backend = state.set_labels[service.backend_set].backends[position];
    answer.backend_address = backend->address.to_string();
    answer.backend_port = be(backend->port_be != 0 ? backend->port_be : service.backend_port_be);
    if (remembered) {
        answer.steps.push_back("That is " + answer.backend + ".");
    } else {
        answer.steps.push_back("The hash of the client's " +
                               std::string(service.affinity_seconds != 0 ? "address" : "five-tuple") +
                               " selects slot " + std::to_string(answer.maglev_slot) + " of the Maglev table's " +
                               std::to_string(answer.maglev_size) + ": " + answer.backend + ".");
    }
    const bool has_snat = request.destination.is_v4() ? !state.snat_v4.empty() : !state.snat_v6.empty();
    if (!has_snat) {
        answer.verdict = "refuse";
        answer.steps.push_back(
            "No SNAT address of the service's family is configured: the packet is dropped as "
            "snat_address_missing.");
        return;
    }
    answer.verdict = "forward";
    answer.steps.push_back("A new connection goes to " + with_port(backend->address, answer.backend_port) +
                           ", from a SNAT address and port of worker " + std::to_string(answer.worker) + ".");
}

}  // namespace

contract::ExplainAnswer explain(const snapshot::ForwardingSnapshot& state, const flow::Ownership& ownership,
                                const contract::ExplainRequest& request, const Relocations& relocations,
                                const AffinityMemory& memory, const SourceChecks& checks, bool sides_apart) {
    contract::ExplainAnswer answer;
    answer.generation = state.generation;
    const std::string destination = with_port(request.destination, request.destination_port);
    if (request.source.family != request.destination.family) {
        answer.verdict = "refuse";
        answer.steps.push_back("Source and destination are not of one IP family: there is no such packet.");
        return answer;
    }
    const bool is_snat = state.snat.contains(request.destination);
    if (const auto reason = impossible_source(state, request, sides_apart);
        reason != observe::DropReason::none && (is_snat || state.vips.contains(request.destination))) {
        answer.verdict = "refuse";
        answer.steps.push_back(request.destination.to_string() + " is a " + (is_snat ? "SNAT address." : "VIP."));
        answer.steps.push_back(request.source.to_string() +
                               " cannot be a source: it is not a unicast address of somebody else. The packet is "
                               "dropped as " +
                               std::string(observe::to_string(reason)) + ".");
        return answer;
    }
    if (is_snat) {
        answer.verdict = "reply";
        answer.worker = of_tuple(request, [&](const auto& tuple) { return ownership.of_reply(tuple); });
        answer.steps.push_back(request.destination.to_string() +
                               " is a SNAT address: only replies of known connections pass, anything else is dropped "
                               "as reply_unknown.");
        if (sides_apart) answer.steps.push_back(side_step("nodes", "clients"));
        const bool by_hash = of_tuple(request, [&](const auto& tuple) { return ownership.rss(tuple) != nullptr; });
        answer.steps.push_back((by_hash ? "Its receive hash (RSS) leads"
                                        : "Port " + std::to_string(request.destination_port) + " belongs") +
                               std::string(" to worker ") + std::to_string(answer.worker) + ".");
        return answer;
    }
    if (!state.vips.contains(request.destination)) {
        answer.verdict = "kernel";
        answer.steps.push_back(request.destination.to_string() +
                               " is neither a VIP nor a SNAT address: the packet goes to the kernel.");
        if (sides_apart) {
            answer.steps.push_back(
                "Clients' and nodes' side are kept apart: the kernel gets it only if that is an address of the "
                "appliance's own on the side of the port it came by; else it is dropped as wrong_side.");
        }
        return answer;
    }
    answer.steps.push_back(request.destination.to_string() + " is a VIP." + bound_words(state, request.destination));
    if (sides_apart) answer.steps.push_back(side_step("clients", "nodes"));
    const balancing::ServiceEntry* service = state.services.find(
        request.destination, static_cast<std::uint8_t>(request.protocol), be(request.destination_port));
    if (service == nullptr) {
        answer.verdict = "refuse";
        answer.steps.push_back("It has no service on " + protocol_name(request.protocol) + " port " +
                               std::to_string(request.destination_port) + ": " + refusal(state, request) + ".");
        return answer;
    }
    const auto index = static_cast<std::size_t>(service - state.services.services().data());
    const std::uint64_t selection = of_tuple(request, [](const auto& tuple) { return flow::selection_hash(tuple); });
    answer.service = state.service_labels[index].name;
    answer.worker = relocations.of(
        selection, of_tuple(request, [&](const auto& tuple) { return ownership.of_client(tuple, selection); }));
    answer.steps.push_back(protocol_name(request.protocol) + " " + destination + " is the service " + answer.service +
                           ".");
    answer.steps.push_back("Worker " + std::to_string(answer.worker) + " of " + std::to_string(ownership.workers()) +
                           " owns the connection.");
    if (is_served_nowhere(state, request.destination)) {
        answer.verdict = "refuse";
        answer.steps.push_back("By whichever port the packet comes, it is dropped as vip_not_on_port.");
        return answer;
    }
    if (!pass_source_checks(request, checks, answer)) {
        answer.verdict = "refuse";
        return answer;
    }
    if (service->source_ranges != nullptr) {
        const bool allowed =
            of_tuple(request, [&](const auto& tuple) { return service->source_ranges->allows(tuple.source); });
        answer.steps.push_back(
            "It has source ranges: " + request.source.to_string() +
            (allowed ? " is in one of them." : " is in none of them. The packet is dropped as source_not_allowed."));
        if (!allowed) {
            answer.verdict = "refuse";
            return answer;
        }
    }
    if (std::string limits = limits_step(service->limits); !limits.empty()) answer.steps.push_back(std::move(limits));
    const bool affinity = service->affinity_seconds != 0;
    choose_backend(state, request, *service,
                   of_tuple(request, [&](const auto& tuple) { return flow::choice_hash(tuple, selection, affinity); }),
                   memory, answer);
    return answer;
}

}  // namespace guideway::worker
