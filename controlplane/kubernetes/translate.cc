#include "controlplane/kubernetes/translate.h"

#include <algorithm>
#include <utility>

namespace guideway::kubernetes {
namespace {

using resources::ForwardingMode;
using resources::IpFamilyPolicy;
using resources::TrafficPolicy;

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

bool all_by_pods(const resources::LoadBalancerSpec& spec) { return spec.mode == ForwardingMode::pod; }

void read_families(const Service& service, Translated& out) {
    resources::LoadBalancerSpec& spec = out.wanted.spec;
    spec.ip_family_policy = service.ip_family_policy == "PreferDualStack"    ? IpFamilyPolicy::prefer_dual_stack
                            : service.ip_family_policy == "RequireDualStack" ? IpFamilyPolicy::require_dual_stack
                                                                             : IpFamilyPolicy::single_stack;
    for (const std::string& text : service.ip_families) {
        const auto family = parse_family(text);
        if (!family) {
            out.faults.push_back({"spec.ipFamilies", "found " + in_quotes(text) + ", allowed IPv4 or IPv6"});
            continue;
        }
        spec.ip_families.push_back(*family);
    }
    for (const std::string& text : service.cluster_ips) {
        if (text.empty() || text == "None") continue;
        const auto address = IpAddress::parse(text);
        if (!address) {
            out.faults.push_back({"spec.clusterIPs", "found " + in_quotes(text) + ", allowed an IP address"});
            continue;
        }
        spec.cluster_ips.push_back(*address);
    }
}

void read_ports(const Service& service, Translated& out) {
    for (const ServicePort& port : service.ports) {
        out.wanted.spec.ports.push_back({port.name, port.protocol, port.port, port.node_port});
    }
    if (service.ports.empty()) out.faults.push_back({"spec.ports", "found none, allowed 1 to 100 ports"});
}

void read_ranges(const Service& service, Translated& out) {
    std::string field = "spec.loadBalancerSourceRanges";
    std::vector<std::string> texts = service.source_ranges;
    if (texts.empty()) {
        field = kSourceRangesAnnotation;
        texts = split_list(service.meta.annotation(kSourceRangesAnnotation));
    }
    for (const std::string& text : texts) {
        const auto prefix = IpPrefix::parse(trimmed(text));
        if (!prefix) {
            out.faults.push_back({field, "found " + in_quotes(text) +
                                             ", allowed prefixes as \"192.0.2.0/24\"; nothing is opened until it is "
                                             "mended"});
            continue;
        }
        out.wanted.spec.source_ranges.push_back(prefix->network());
    }
    auto& ranges = out.wanted.spec.source_ranges;
    std::sort(ranges.begin(), ranges.end());
    ranges.erase(std::unique(ranges.begin(), ranges.end()), ranges.end());
}

void read_rest(const Service& service, const TranslateRules& rules, Translated& out) {
    resources::LoadBalancerSpec& spec = out.wanted.spec;
    if (service.external_traffic_policy == "Local") {
        spec.external_traffic_policy = TrafficPolicy::local;
        spec.health_check_node_port = service.health_check_node_port;
    }
    if (service.session_affinity == "ClientIP") spec.affinity_seconds = service.affinity_seconds;
    if (!service.load_balancer_ip.empty()) {
        spec.load_balancer_ip = IpAddress::parse(trimmed(service.load_balancer_ip));
        if (!spec.load_balancer_ip) {
            out.faults.push_back({"spec.loadBalancerIP", "found " + in_quotes(service.load_balancer_ip) +
                                                             ", allowed an IPv4 or IPv6 address"});
        }
    }
    spec.ranges_end_established = rules.ranges_end_established && !spec.source_ranges.empty();
}

/// The slice as the appliance takes it; without ports: it says nothing about any that is carried.
resources::EndpointSlice slice_of(const Slice& slice, const Service& service, const Translated& of, Pods pods) {
    resources::EndpointSlice out;
    for (const ServicePort& port : service.ports) {
        const auto same = std::find_if(slice.ports.begin(), slice.ports.end(), [&](const SlicePort& other) {
            return other.name == port.name && other.protocol == port.protocol;
        });
        if (same == slice.ports.end() || same->port == 0) continue;
        // Of a port that would be carried by pods that are not reachable nothing is told: nothing must be sent there.
        const bool by_pods = all_by_pods(of.wanted.spec) || port.node_port == 0;
        if (by_pods && pods == Pods::unreachable) continue;
        out.ports.push_back({port.protocol, port.port, same->port});
    }
    if (out.ports.empty()) return {};
    for (const SliceEndpoint& from : slice.endpoints) {
        const bool draining = !from.ready && from.serving && from.terminating;
        if (!from.ready && !draining) continue;
        const auto address = IpAddress::parse(from.address);
        if (!address || !address->is_usable_unicast() || to_string(address->family) != slice.address_type) continue;
        out.endpoints.push_back({*address, from.node, draining});
    }
    if (out.endpoints.empty()) return {};
    return out;
}

void read_endpoints(const Service& service, const Slices& slices, Pods pods, Translated& out) {
    if (!needs_endpoints(out.wanted, pods)) return;
    for (const auto& slice : slices) {
        resources::EndpointSlice one = slice_of(*slice, service, out, pods);
        if (!one.endpoints.empty()) out.wanted.spec.endpoint_slices.push_back(std::move(one));
    }
}

void find_port_errors(Pods pods, Translated& out) {
    if (pods != Pods::unreachable) return;
    const resources::LoadBalancerSpec& spec = out.wanted.spec;
    for (const resources::LoadBalancerPort& port : spec.ports) {
        if (all_by_pods(spec)) {
            out.port_errors.push_back({port.protocol, port.port, "PodsUnreachable",
                                       "guideway.io/mode is pod, and pods are not reachable from the appliance: "
                                       "remove the annotation, or set pods to \"routed\" or \"via_nodes\""});
        } else if (port.node_port == 0) {
            out.port_errors.push_back(
                {port.protocol, port.port, "NoNodePort",
                 "the port has no node port, and pods are not reachable from the appliance: set "
                 "allocateLoadBalancerNodePorts to true, or pods to \"routed\" or \"via_nodes\""});
        }
    }
}

}  // namespace

bool needs_endpoints(const resources::LoadBalancer& wanted, Pods pods) {
    const resources::LoadBalancerSpec& spec = wanted.spec;
    if (spec.external_traffic_policy == TrafficPolicy::local) return true;
    if (pods == Pods::unreachable) return false;
    return all_by_pods(spec) ||
           std::any_of(spec.ports.begin(), spec.ports.end(), [](const auto& port) { return port.node_port == 0; });
}

Translated translate(const Service& service, const Slices& slices,
                     const std::map<std::string, std::string>& namespace_labels, const TranslateRules& rules) {
    Translated out;
    resources::LoadBalancer& wanted = out.wanted;
    wanted.metadata.cluster = rules.cluster;
    wanted.metadata.namespace_ = service.meta.name_space;
    wanted.metadata.name = service.meta.name;
    wanted.metadata.uid = service.meta.uid;
    wanted.metadata.labels = service.meta.labels;
    wanted.spec.namespace_labels = namespace_labels;

    Asked asked = read_annotations(service.meta.annotations, out.faults);
    wanted.spec.address_pool = std::move(asked.address_pool);
    wanted.spec.addresses = std::move(asked.addresses);
    wanted.spec.sharing_key = std::move(asked.sharing_key);
    wanted.spec.mode = asked.mode;
    wanted.spec.idle_timeout_seconds = asked.idle_timeout_seconds;
    wanted.spec.silent = asked.silent;
    wanted.spec.limits = asked.limits;
    out.notes = std::move(asked.notes);

    read_families(service, out);
    read_ports(service, out);
    read_ranges(service, out);
    read_rest(service, rules, out);
    read_endpoints(service, slices, rules.pods, out);
    find_port_errors(rules.pods, out);
    return out;
}

}  // namespace guideway::kubernetes
