#include "api/cli/show.h"

#include <algorithm>
#include <ostream>

#include "api/cli/kinds.h"
#include "api/cli/table.h"
#include "api/cli/text.h"

namespace guideway::cli {

namespace {

/// What stands in the way, or the last thing that went well.
std::string state_text(const resources::LoadBalancer& object) {
    if (object.status.conditions.empty()) return object.status.ingress.empty() ? "Waiting" : "Allocated";
    for (const resources::Condition& condition : object.status.conditions) {
        if (!condition.status) return condition.reason.empty() ? "Not" + condition.type : condition.reason;
    }
    return object.status.conditions.back().type;
}

std::string state_text(const resources::Node& object) {
    if (object.spec.drain) return "Draining";
    for (const resources::Condition& condition : object.status.conditions) {
        if (!condition.status && condition.type == "Healthy") return "Unhealthy";
        if (!condition.status) return condition.reason.empty() ? "Not" + condition.type : condition.reason;
    }
    return "Ready";
}

std::string ports_text(const resources::LoadBalancerSpec& spec, bool node_ports) {
    std::vector<std::string> parts;
    for (const resources::LoadBalancerPort& port : spec.ports) {
        parts.push_back(std::to_string(port.port) + (node_ports ? ":" + std::to_string(port.node_port) : "") + "/" +
                        std::string(contract::to_string(port.protocol)));
    }
    return joined(parts, ",");
}

std::string pools_text(const std::vector<resources::Ingress>& addresses) {
    std::vector<std::string> pools;
    for (const resources::Ingress& ingress : addresses) {
        if (std::find(pools.begin(), pools.end(), ingress.pool) == pools.end()) pools.push_back(ingress.pool);
    }
    return joined(pools);
}

std::string policy_text(resources::IpFamilyPolicy policy) {
    switch (policy) {
        case resources::IpFamilyPolicy::single_stack:
            return "SingleStack";
        case resources::IpFamilyPolicy::prefer_dual_stack:
            return "PreferDualStack";
        case resources::IpFamilyPolicy::require_dual_stack:
            return "RequireDualStack";
    }
    return {};
}

/// "3/254"; empty: no addresses of the family.
std::string use_text(const resources::PoolFamilyUse& use) {
    if (use.total == 0) return {};
    return std::to_string(use.allocated) + "/" +
           (use.total >= (std::uint64_t{1} << 53) - 1 ? "huge" : std::to_string(use.total));
}

Cells with_cluster(Cells cells, const std::string& cluster, const TableStyle& style) {
    if (style.clusters) cells.insert(cells.begin(), cluster);
    return cells;
}

void describe_metadata(std::ostream& out, const resources::Metadata& metadata) {
    line(out, "Name", metadata.name);
    if (!metadata.namespace_.empty()) line(out, "Namespace", metadata.namespace_);
    if (metadata.cluster != resources::kDefaultCluster) line(out, "Cluster", metadata.cluster);
    if (!metadata.uid.empty()) line(out, "UID", metadata.uid);
    for (const auto& [name, value] : metadata.labels) line(out, "Label", name + "=" + value);
    const std::string age = age_text(metadata.creation_timestamp);
    line(out, "Created", metadata.creation_timestamp + (age.empty() ? "" : " (" + age + " ago)"));
    line(out, "Generation", std::to_string(metadata.generation));
}

void describe_conditions(std::ostream& out, const std::vector<resources::Condition>& all) {
    if (all.empty()) return;
    out << "Conditions:\n";
    Table table({"  TYPE", "STATUS", "SINCE", "REASON", "MESSAGE"});
    for (const auto& condition : all) {
        table.add({"  " + condition.type, condition.status ? "True" : "False", age_text(condition.last_transition_time),
                   condition.reason, condition.message});
    }
    table.print(out);
}

void describe_use(std::ostream& out, const char* family, const resources::PoolFamilyUse& use) {
    if (use.total == 0) return;
    line(out, family,
         bar_text(use.allocated, use.total) + " " + count_text(use.allocated) + " of " + count_text(use.total) +
             " in use" + (use.shared == 0 ? "" : " (" + count_text(use.shared) + " shared)") + ", " +
             count_text(use.free) + " free" +
             (use.quarantined == 0 ? "" : " (" + count_text(use.quarantined) + " in quarantine)"));
}

std::string selector_text(const resources::LabelSelector& selector) {
    std::vector<std::string> parts;
    for (const auto& [key, value] : selector.match_labels) parts.push_back(key + "=" + value);
    for (const resources::SelectorRequirement& one : selector.match_expressions) {
        switch (one.op) {
            case resources::SelectorOperator::in:
                parts.push_back(one.key + " in (" + joined(one.values, ",") + ")");
                break;
            case resources::SelectorOperator::not_in:
                parts.push_back(one.key + " notin (" + joined(one.values, ",") + ")");
                break;
            case resources::SelectorOperator::exists:
                parts.push_back(one.key);
                break;
            case resources::SelectorOperator::does_not_exist:
                parts.push_back("!" + one.key);
                break;
        }
    }
    return parts.empty() ? "everything" : joined(parts, ",");
}

}  // namespace

std::string addresses_text(const std::vector<resources::Ingress>& addresses) {
    std::vector<std::string> parts;
    for (const resources::Ingress& ingress : addresses) parts.push_back(ingress.ip.to_string());
    return parts.empty() ? "waiting for an address" : joined(parts);
}

std::string outcome_text(const resources::LoadBalancer& object) {
    const std::string addresses = addresses_text(object.status.ingress);
    for (const resources::Condition& condition : object.status.conditions) {
        if (condition.type == "Allocated" && !condition.status) {
            return addresses + ": " + condition.reason + ", " + condition.message;
        }
    }
    return addresses;
}

Cells header_of(const resources::LoadBalancer*, const TableStyle& style) {
    Cells cells{"NAMESPACE", "NAME", "ADDRESSES", "PORTS", "STATE", "AGE"};
    if (style.wide) cells.insert(cells.end(), {"POOL", "POLICY", "SHARING KEY", "MESSAGE"});
    return with_cluster(std::move(cells), "CLUSTER", style);
}

Cells row_of(const resources::LoadBalancer& object, const TableStyle& style, bool gone) {
    Cells cells{object.metadata.namespace_,
                object.metadata.name,
                object.status.ingress.empty() ? "" : addresses_text(object.status.ingress),
                ports_text(object.spec, style.wide),
                gone ? "Deleted" : state_text(object),
                age_text(object.metadata.creation_timestamp)};
    if (style.wide) {
        std::string message;
        for (const auto& condition : object.status.conditions) {
            if (!condition.status && message.empty()) message = condition.message;
        }
        cells.insert(cells.end(), {pools_text(object.status.ingress), policy_text(object.spec.ip_family_policy),
                                   object.spec.sharing_key, message});
    }
    return with_cluster(std::move(cells), object.metadata.cluster, style);
}

Cells header_of(const resources::AddressPool*, const TableStyle& style) {
    Cells cells{"NAME", "IPV4 USED", "IPV6 USED", "AUTO-ASSIGN", "ADDRESSES", "AGE"};
    if (style.wide) cells.insert(cells.end(), {"LOAD BALANCERS", "PRIORITY", "AVOID BUGGY", "QUARANTINE"});
    return cells;
}

Cells row_of(const resources::AddressPool& object, const TableStyle& style, bool gone) {
    Cells cells{object.metadata.name + (gone ? " (deleted)" : ""),
                use_text(object.status.ipv4),
                use_text(object.status.ipv6),
                yes_no(object.spec.auto_assign),
                joined(object.spec.addresses),
                age_text(object.metadata.creation_timestamp)};
    if (style.wide) {
        const auto& allocation = object.spec.service_allocation;
        cells.insert(
            cells.end(),
            {std::to_string(object.status.load_balancers),
             allocation ? std::to_string(allocation->priority) : std::string(), yes_no(object.spec.avoid_buggy_ips),
             object.spec.quarantine_seconds == 0 ? std::string() : duration_text(object.spec.quarantine_seconds)});
    }
    return cells;
}

Cells header_of(const resources::Node*, const TableStyle& style) {
    Cells cells{"NAME", "ADDRESSES", "WEIGHT", "STATE", "AGE"};
    if (style.wide) cells.emplace_back("GENERATION");
    return with_cluster(std::move(cells), "CLUSTER", style);
}

Cells row_of(const resources::Node& object, const TableStyle& style, bool gone) {
    Cells cells{object.metadata.name, joined(texts_of(object.spec.addresses)), std::to_string(object.spec.weight),
                gone ? "Deleted" : state_text(object), age_text(object.metadata.creation_timestamp)};
    if (style.wide) cells.push_back(std::to_string(object.metadata.generation));
    return with_cluster(std::move(cells), object.metadata.cluster, style);
}

Cells header_of(const resources::Token*, const TableStyle& style) {
    Cells cells{"NAME", "ROLE", "CLUSTER", "EXPIRES", "SECRETS", "LAST USED", "AGE"};
    if (style.wide) cells.emplace_back("IDS");
    return cells;
}

Cells row_of(const resources::Token& object, const TableStyle& style, bool gone) {
    std::string last_used;
    std::vector<std::string> ids;
    for (const resources::TokenSecret& secret : object.status.secrets) {
        last_used = std::max(last_used, secret.last_used_at);  // RFC 3339 in UTC sorts as text
        ids.push_back(secret.id);
    }
    Cells cells{object.metadata.name + (gone ? " (deleted)" : ""),
                object.spec.role,
                object.spec.cluster,
                object.spec.expires_at.empty() ? "never" : until_text(object.spec.expires_at),
                std::to_string(object.status.secrets.size()),
                last_used.empty() ? "never" : age_text(last_used) + " ago",
                age_text(object.metadata.creation_timestamp)};
    if (style.wide) cells.push_back(joined(ids, ","));
    return cells;
}

Cells header_of(const resources::Event*, const TableStyle& style) {
    Cells cells{"LAST SEEN", "TYPE", "REASON", "OBJECT", "MESSAGE"};
    if (style.wide) cells.insert(cells.end() - 1, {"COUNT", "FIRST SEEN"});
    return cells;
}

Cells row_of(const resources::Event& object, const TableStyle& style, bool) {
    const resources::ObjectReference& about = object.regarding;
    std::string what = about.kind;
    std::transform(what.begin(), what.begin() + (what.empty() ? 0 : 1), what.begin(),
                   [](char c) { return static_cast<char>(c | 0x20); });
    for (std::size_t i = 1; i < what.size(); ++i) {
        if (what[i] >= 'A' && what[i] <= 'Z') {
            what[i] = static_cast<char>(what[i] | 0x20);
            what.insert(i++, 1, '-');
        }
    }
    for (const std::string& part :
         {about.cluster == resources::kDefaultCluster ? std::string() : about.cluster, about.namespace_, about.name}) {
        if (!part.empty()) what += "/" + part;
    }
    const std::string times = object.count > 1 ? " (x" + std::to_string(object.count) + ")" : "";
    Cells cells{age_text(object.last_timestamp), object.warning ? "Warning" : "Normal", object.reason, what,
                object.message + (style.wide ? "" : times)};
    if (style.wide) {
        cells.insert(cells.end() - 1, {std::to_string(object.count), age_text(object.first_timestamp)});
    }
    return cells;
}

/// What says where its connections go, as far as it is not as by default.
void describe_traffic(std::ostream& out, const resources::LoadBalancerSpec& spec) {
    if (spec.external_traffic_policy == resources::TrafficPolicy::local) {
        line(out, "Traffic policy", "Local: nodes with ready endpoints, by their number");
    }
    if (spec.mode == resources::ForwardingMode::pod) line(out, "Mode", "pod: straight to the endpoints");
    if (spec.affinity_seconds != 0)
        line(out, "Session affinity", "by the client's address, " + std::to_string(spec.affinity_seconds) + " s");
    if (!spec.source_ranges.empty()) {
        std::vector<std::string> ranges;
        for (const IpPrefix& range : spec.source_ranges) {
            if (ranges.size() == 8) break;
            ranges.push_back(range.to_string());
        }
        const std::size_t more = spec.source_ranges.size() - ranges.size();
        line(out, "Source ranges",
             joined(ranges) + (more == 0 ? "" : " and " + count_text(more) + " more") +
                 (spec.ranges_end_established ? " (they end connections, too)" : ""));
    }
    if (spec.silent) line(out, "Refusals", "silent: closed ports are not answered");
    const resources::Limits& limits = spec.limits;
    const auto limit = [&](const char* name, std::uint32_t per_second, const char* what) {
        if (per_second != 0) line(out, name, std::to_string(per_second) + what);
    };
    limit("Connection limit", limits.new_connections_per_second, " new ones a second");
    limit("Limit per source", limits.new_connections_per_second_per_source, " new connections a second");
    limit("Packet limit", limits.packets_per_second, " a second");
    std::size_t ready = 0, draining = 0;
    for (const resources::EndpointSlice& slice : spec.endpoint_slices) {
        for (const resources::Endpoint& endpoint : slice.endpoints) ++(endpoint.draining ? draining : ready);
    }
    if (ready + draining != 0) {
        line(out, "Endpoints",
             count_text(ready) + " ready" + (draining == 0 ? "" : ", " + count_text(draining) + " draining"));
    }
}

void describe(std::ostream& out, const resources::LoadBalancer& object) {
    describe_metadata(out, object.metadata);
    const resources::LoadBalancerSpec& spec = object.spec;
    line(out, "Family policy", policy_text(spec.ip_family_policy));
    if (!spec.cluster_ips.empty()) line(out, "Cluster IPs", joined(texts_of(spec.cluster_ips)));
    if (!spec.address_pool.empty()) line(out, "Wanted pool", spec.address_pool);
    if (!spec.addresses.empty()) line(out, "Wanted addresses", joined(texts_of(spec.addresses)));
    if (spec.load_balancer_ip) line(out, "Wanted address", spec.load_balancer_ip->to_string());
    if (!spec.sharing_key.empty()) line(out, "Sharing key", spec.sharing_key);
    if (spec.idle_timeout_seconds != 0) line(out, "Idle timeout", std::to_string(spec.idle_timeout_seconds) + " s");
    describe_traffic(out, spec);
    for (const auto& ingress : object.status.ingress) {
        line(out, "Address", ingress.ip.to_string() + (ingress.pool.empty() ? "" : " (pool " + ingress.pool + ")"));
    }
    if (object.status.ingress.empty()) line(out, "Address", "none yet");
    out << "Ports:\n";
    Table ports({"  NAME", "PROTOCOL", "PORT", "NODE PORT"});
    for (const auto& port : spec.ports) {
        ports.add({"  " + (port.name.empty() ? "-" : port.name), std::string(contract::to_string(port.protocol)),
                   std::to_string(port.port), port.node_port == 0 ? "-" : std::to_string(port.node_port)});
    }
    ports.print(out);
    for (const resources::PortStatus& port : object.status.ports) {
        if (port.error.empty()) continue;
        line(out, "Not served",
             std::string(contract::to_string(port.protocol)) + " " + std::to_string(port.port) + ": " + port.error +
                 (port.message.empty() ? "" : ", " + port.message));
    }
    describe_conditions(out, object.status.conditions);
}

void describe(std::ostream& out, const resources::AddressPool& object) {
    describe_metadata(out, object.metadata);
    const resources::AddressPoolSpec& spec = object.spec;
    for (const std::string& range : spec.addresses) line(out, "Addresses", range);
    line(out, "Auto-assign", spec.auto_assign ? "yes" : "no: only to those that ask for it");
    line(out, "Avoid buggy IPs", yes_no(spec.avoid_buggy_ips));
    if (spec.share_across_namespaces) line(out, "Sharing", "also across namespaces");
    if (spec.silent) line(out, "Silent", "yes: its addresses refuse without a word");
    if (!spec.ports.empty()) line(out, "Ports", joined(spec.ports) + " alone");
    if (spec.quarantine_seconds != 0) {
        line(out, "Quarantine", duration_text(spec.quarantine_seconds) + " after an address is given back");
    }
    if (spec.service_allocation) {
        const resources::ServiceAllocation& allocation = *spec.service_allocation;
        line(out, "Priority", allocation.priority == 0 ? "last" : std::to_string(allocation.priority));
        if (!allocation.clusters.empty()) line(out, "For clusters", joined(allocation.clusters));
        if (!allocation.namespaces.empty()) line(out, "For namespaces", joined(allocation.namespaces));
        for (const auto& one : allocation.namespace_selectors) line(out, "  namespaces with", selector_text(one));
        for (const auto& one : allocation.service_selectors) line(out, "  services with", selector_text(one));
    }
    describe_use(out, "IPv4", object.status.ipv4);
    describe_use(out, "IPv6", object.status.ipv6);
    if (object.status.users.empty()) return;
    const bool clusters = std::any_of(object.status.users.begin(), object.status.users.end(),
                                      [](const auto& user) { return user.cluster != resources::kDefaultCluster; });
    out << "In use by:\n";
    Table users(clusters ? Cells{"  CLUSTER", "NAMESPACE", "NAME", "ADDRESSES"}
                         : Cells{"  NAMESPACE", "NAME", "ADDRESSES"});
    for (const resources::PoolUser& user : object.status.users) {
        Cells cells{user.namespace_, user.name, joined(texts_of(user.addresses))};
        if (clusters) cells.insert(cells.begin(), user.cluster);
        cells.front().insert(0, "  ");
        users.add(std::move(cells));
    }
    users.print(out);
    if (object.status.load_balancers > object.status.users.size()) {
        out << "  and " << count_text(object.status.load_balancers - object.status.users.size())
            << " more, see `guideway get lb -A`\n";
    }
}

void describe(std::ostream& out, const resources::Node& object) {
    describe_metadata(out, object.metadata);
    for (const IpAddress& address : object.spec.addresses) line(out, "Address", address.to_string());
    line(out, "Weight", std::to_string(object.spec.weight));
    std::string state = state_text(object);
    if (object.spec.drain) {
        state = "Draining: no new connections, old ones ";
        state += object.status.drain_ended ? "were ended when its time was over"
                 : object.spec.drain_timeout_seconds == 0
                     ? "go on"
                     : "go on for " + duration_text(object.spec.drain_timeout_seconds) + " at most";
        if (!object.status.draining_since.empty()) state += " (since " + object.status.draining_since + ")";
    }
    line(out, "State", state);
    for (const IpPrefix& cidr : object.spec.pod_cidrs) line(out, "Pods", cidr.to_string());
    if (!object.status.health.empty()) {
        out << "Health checks:\n";
        Table checks({"  CHECK", "PORT", "HEALTHY", "SINCE", "REASON", "MESSAGE"});
        for (const resources::NodeHealth& one : object.status.health) {
            checks.add({"  " + one.check, std::to_string(one.port), yes_no(one.healthy), age_text(one.since),
                        one.reason, one.message});
        }
        checks.print(out);
    }
    describe_conditions(out, object.status.conditions);
}

void describe(std::ostream& out, const resources::Token& object) {
    describe_metadata(out, object.metadata);
    line(out, "Role", object.spec.role);
    if (!object.spec.cluster.empty()) line(out, "Of cluster", object.spec.cluster);
    line(out, "Expires",
         object.spec.expires_at.empty() ? "never"
                                        : object.spec.expires_at + " (" + until_text(object.spec.expires_at) + ")");
    out << "Secrets, the newest first (shown once only, when they are made):\n";
    Table secrets({"  ID", "MADE", "LAST USED"});
    for (const resources::TokenSecret& secret : object.status.secrets) {
        secrets.add({"  " + secret.id, age_text(secret.created_at) + " ago",
                     secret.last_used_at.empty() ? "never" : age_text(secret.last_used_at) + " ago"});
    }
    secrets.print(out);
}

void show_events(std::ostream& out, const std::vector<resources::Event>& events) {
    if (events.empty()) return;
    out << "Events:\n";
    Table table({"  LAST SEEN", "TYPE", "REASON", "MESSAGE"});
    for (const resources::Event& event : events) {
        Cells cells = row_of(event, {});
        table.add({"  " + (cells[0].empty() ? "-" : cells[0]), cells[1], cells[2], cells[4]});
    }
    table.print(out);
}

void show_snat_addresses(std::ostream& out, const std::vector<resources::SnatAddress>& addresses) {
    Table table({"ADDRESS", "FAMILY"});
    for (const resources::SnatAddress& one : addresses) {
        table.add({one.address.to_string(), one.address.is_v4() ? "IPv4" : "IPv6"});
    }
    table.print(out);
}

}  // namespace guideway::cli
