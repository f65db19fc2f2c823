#include "controlplane/kubernetes/settings.h"

#include "api/resources/names.h"

namespace guideway::kubernetes {

Pods pods_of(const std::string& text) {
    return text == "routed" ? Pods::routed : text == "via_nodes" ? Pods::via_nodes : Pods::unreachable;
}

Settings read_settings(config::Document& document) {
    Settings to;
    config::Section section = document.root().optional_group("cloud_controller");
    document.root().ignore("controlplane");
    document.root().ignore("dataplane");
    const auto number = [](config::Section& of, const char* key, unsigned& value, std::int64_t min, std::int64_t max) {
        value = static_cast<unsigned>(of.integer_or(key, value, min, max));
    };
    to.kubeconfig = section.string_or("kubeconfig", to.kubeconfig, config::nonempty_text());
    to.context = section.string_or("context", to.context, config::nonempty_text());
    to.cluster = section.string_or("cluster", to.cluster, config::matching(resources::is_label, "an RFC 1123 label"));
    to.load_balancer_class = section.string_or("load_balancer_class", "", config::nonempty_text());
    to.also_without_class = section.boolean_or("also_without_class", false);
    config::Section appliance = section.optional_group("appliance");
    to.appliance = appliance.string_or("server", to.appliance, config::nonempty_text());
    to.appliance_token_file = appliance.string_or("token_file", "", config::nonempty_text());
    to.appliance_ca_file = appliance.string_or("ca_file", "", config::nonempty_text());
    to.pods = section.string_or("pods", to.pods, config::one_of({"unreachable", "routed", "via_nodes"}));
    to.ranges_end_established = section.boolean_or("source_ranges_end_established", false);
    number(section, "workers", to.workers, 1, 64);
    to.requests_per_second = static_cast<double>(section.integer_or("requests_per_second", 100, 0, 10000));
    number(section, "full_sync_seconds", to.full_sync_seconds, 10, 86400);
    config::Section lease = section.optional_group("leader_election");
    to.leader_election = lease.boolean_or("enabled", false);
    const auto label = config::matching(resources::is_label, "an RFC 1123 label");
    to.lease_namespace = lease.string_or("namespace", to.lease_namespace, label);
    to.lease_name = lease.string_or("name", to.lease_name, label);
    number(lease, "lease_seconds", to.lease_seconds, 2, 3600);
    number(lease, "renew_seconds", to.renew_seconds, 1, 3600);
    number(lease, "retry_seconds", to.retry_seconds, 1, 600);
    config::Section nodes = section.optional_group("nodes");
    to.drain_unschedulable = nodes.boolean_or("drain_unschedulable", false);
    number(nodes, "drain_timeout_seconds", to.drain_timeout_seconds, 0, 604800);
    number(nodes, "health_check_port", to.node_health_port, 0, 65535);
    to.metrics_listen = section.string_or("metrics_listen", "", config::nonempty_text());
    config::Section log = section.optional_group("log");
    to.log_level = log.string_or("level", "info", config::one_of({"debug", "info", "warning", "error"}));
    return to;
}

std::string check(const Settings& settings) {
    if (!resources::is_label(settings.cluster)) {
        return "cluster: found \"" + settings.cluster + "\", allowed an RFC 1123 label";
    }
    if (settings.also_without_class && settings.load_balancer_class.empty()) {
        return "also_without_class: found true without load_balancer_class, allowed only with it";
    }
    if (settings.leader_election && settings.renew_seconds >= settings.lease_seconds) {
        return "leader_election.renew_seconds: found " + std::to_string(settings.renew_seconds) +
               ", allowed less than lease_seconds, " + std::to_string(settings.lease_seconds);
    }
    if (settings.leader_election && settings.retry_seconds * 12 >= settings.renew_seconds * 10) {
        return "leader_election.retry_seconds: found " + std::to_string(settings.retry_seconds) +
               ", allowed less than renew_seconds / 1.2";
    }
    return {};
}

}  // namespace guideway::kubernetes
