#include <ostream>

#include "api/cli/show.h"
#include "api/cli/table.h"
#include "api/cli/text.h"

namespace guideway::cli {

bool is_forwarding(const resources::SystemStatus& status) {
    return status.dataplane_connected && status.forwarding_generation >= status.desired_generation;
}

void show_status(std::ostream& out, const resources::SystemStatus& status, const std::string& server) {
    line(out, "Server", server);
    line(out, "Version", status.version + ", up for " + duration_text(status.uptime_seconds));
    line(out, "Dataplane", status.dataplane_connected ? "connected" : "NOT CONNECTED");
    const std::string in_force = status.dataplane_connected
                                     ? "generation " + std::to_string(status.forwarding_generation) + " in force, "
                                     : "what is in force is not known, generation ";
    const std::string generations = in_force + std::to_string(status.desired_generation) + " wanted";
    line(out, "Forwarding", (is_forwarding(status) ? "as wanted (" : "NOT AS WANTED (") + generations + ")");
    if (!status.dataplane_error.empty()) line(out, "Last trouble", status.dataplane_error);
    line(out, "Load balancers",
         std::to_string(status.load_balancers) +
             (status.load_balancers_waiting == 0 ? ""
                                                 : " (" + std::to_string(status.load_balancers_waiting) +
                                                       " without what it asked for, see `guideway get lb -o wide`)"));
    line(out, "Address pools", std::to_string(status.address_pools));
    line(out, "Nodes",
         std::to_string(status.nodes) +
             (status.nodes_draining == 0 ? "" : " (" + std::to_string(status.nodes_draining) + " draining)"));
    if (status.address_conflicts == 0) return;
    const std::string yielded = status.addresses_yielded == 0
                                    ? std::string()
                                    : ", " + std::to_string(status.addresses_yielded) + " of them LEFT TO IT";
    line(
        out, "Address conflicts",
        std::to_string(status.address_conflicts) + " claimed by another machine" + yielded + ", see `guideway events`");
}

void show_bonds(std::ostream& out, const contract::Counters& counters) {
    for (const contract::PortCounters& port : counters.ports) {
        if (!port.bond) continue;
        std::string text = port.bond->mode;
        for (std::size_t i = 0; i < port.bond->members.size(); ++i) {
            const contract::BondMember& member = port.bond->members[i];
            text += (i == 0 ? ": " : ", ") + member.name +
                    (member.carries              ? " carries"
                     : !member.link_up           ? " HAS NO LINK"
                     : port.bond->mode != "lacp" ? " waits"
                     : member.partner.empty()    ? " HEARS NOBODY"
                                                 : " IS NOT TAKEN by " + member.partner);
        }
        line(out, "Bond " + port.name, text);
    }
}

void show_explain(std::ostream& out, const contract::ExplainRequest& request, const contract::ExplainAnswer& answer) {
    out << contract::to_string(request.protocol) << ' ' << endpoint(request.source, request.source_port) << " -> "
        << endpoint(request.destination, request.destination_port) << "   (generation " << answer.generation << ")\n";
    for (std::size_t i = 0; i < answer.steps.size(); ++i) out << "  " << i + 1 << ". " << answer.steps[i] << '\n';
    out << (answer.flow ? "Verdict for a new connection: " : "Verdict: ") << answer.verdict;
    if (!answer.backend.empty()) {
        out << " to " << answer.backend << " (" << answer.backend_address << " port " << answer.backend_port << ")";
    }
    if (!answer.service.empty()) out << " for " << answer.service;
    out << '\n';
    if (answer.flow) {
        out << "Known connection: " << answer.flow->client << " -> " << answer.flow->vip << " at "
            << printable(answer.flow->backend.empty()
                             ? answer.flow->backend_address
                             : answer.flow->backend + " (" + answer.flow->backend_address + ")")
            << ", " << answer.flow->state << ", worker " << answer.flow->worker << '\n';
    }
}

void show_preview(std::ostream& out, const std::string& title, const resources::AllocationPreview& preview) {
    out << title
        << (preview.ingress.empty() ? " would wait for an address" : " would get " + addresses_text(preview.ingress));
    std::vector<std::string> pools;
    for (const resources::Ingress& ingress : preview.ingress) {
        if (pools.empty() || pools.back() != ingress.pool) pools.push_back(ingress.pool);
    }
    if (!pools.empty()) out << " (pool " << joined(pools) << ")";
    out << '\n';
    if (preview.reason != "Allocated" || !preview.message.empty()) {
        out << "  " << preview.reason << printable(preview.message.empty() ? "" : ": " + preview.message) << '\n';
    }
    if (preview.pools.empty()) {
        out << "  there was no pool to look at: `guideway apply -f` makes one\n";
        return;
    }
    Table table({"  POOL", "VERDICT", "WHY"});
    for (const resources::PoolVerdict& one : preview.pools) {
        table.add({(one.used ? "* " : "  ") + one.pool, one.reason, one.message});
    }
    table.print(out);
}

void show_problem(std::ostream& err, const resources::Problem& problem) {
    err << "guideway: " << printable(problem.detail.empty() ? problem.reason : problem.detail) << '\n';
    if (problem.faults.size() == 1 && problem.detail.find(problem.faults[0].message) != std::string::npos) return;
    for (const contract::Fault& fault : problem.faults) {
        err << "  " << printable((fault.field.empty() ? "" : fault.field + ": ") + fault.message) << '\n';
    }
}

}  // namespace guideway::cli
