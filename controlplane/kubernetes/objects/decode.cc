// The readers of all kinds.
#include <utility>

#include "controlplane/kubernetes/objects/endpoint_slice.h"
#include "controlplane/kubernetes/objects/node.h"
#include "controlplane/kubernetes/objects/service.h"

namespace guideway::kubernetes {
namespace {

using contract::Decoded;
using contract::Fault;

contract::Protocol read_protocol(const Fields& from) {
    const std::string text = from.text("protocol");
    if (text.empty()) return contract::Protocol::tcp;  // the API's default
    if (const auto protocol = contract::parse_protocol(text)) return *protocol;
    from.fault("protocol", "found \"" + text + "\", allowed TCP, UDP or SCTP");
    return contract::Protocol::tcp;
}

template <class T>
Decoded<T> decoded(T value, std::vector<Fault> faults) {
    if (!faults.empty()) return {std::nullopt, std::move(faults)};
    return {std::move(value), {}};
}

ServicePort read_service_port(const Fields& from) {
    ServicePort port;
    port.name = from.text("name");
    port.protocol = read_protocol(from);
    port.port = static_cast<std::uint16_t>(from.integer("port", 1, 65535).value_or(0));
    if (!from.has("port")) from.fault("port", "found none, allowed 1..65535");
    port.node_port = from.port("nodePort");
    return port;
}

void read_service_spec(const Fields& spec, Service& out) {
    out.type = spec.text("type");
    if (out.type.empty()) out.type = "ClusterIP";
    out.load_balancer_class = spec.text("loadBalancerClass");
    out.cluster_ips = spec.texts("clusterIPs");
    out.ip_families = spec.texts("ipFamilies");
    out.ip_family_policy = spec.text("ipFamilyPolicy");
    spec.each("ports", [&](const Fields& port) { out.ports.push_back(read_service_port(port)); });
    out.external_traffic_policy = spec.text("externalTrafficPolicy");
    out.health_check_node_port = spec.port("healthCheckNodePort");
    out.session_affinity = spec.text("sessionAffinity");
    const auto seconds = spec.object("sessionAffinityConfig").object("clientIP").integer("timeoutSeconds", 1, 86400);
    out.affinity_seconds = static_cast<std::uint32_t>(seconds.value_or(10800));
    out.source_ranges = spec.texts("loadBalancerSourceRanges");
    out.load_balancer_ip = spec.text("loadBalancerIP");
    out.external_ips = spec.texts("externalIPs");
    out.allocate_node_ports = spec.boolean("allocateLoadBalancerNodePorts").value_or(true);
}

/// What cannot be read of a status is as if it were not there: it is written anew, so a fault here would only stop that.
void read_service_status(const nlohmann::json& object, Service& out) {
    std::vector<Fault> ignored;
    const Fields status = Fields(object, "", ignored).object("status");
    status.object("loadBalancer").each("ingress", [&](const Fields& one) {
        IngressState ingress{one.text("ip"), one.text("hostname"), one.text("ipMode"), {}};
        one.each("ports", [&](const Fields& port) {
            ingress.ports.push_back({read_protocol(port), port.port("port"), port.text("error")});
        });
        out.ingress.push_back(std::move(ingress));
    });
    status.each("conditions", [&](const Fields& one) {
        out.conditions.push_back({one.text("type"), one.text("status"), one.text("reason"), one.text("message")});
    });
}

}  // namespace

Meta read_meta(const Fields& object, std::vector<Fault>& faults) {
    const Fields from = object.object("metadata");
    Meta meta;
    meta.name_space = from.text("namespace");
    meta.name = from.text("name");
    if (meta.name.empty()) faults.push_back({"/metadata/name", "found none, allowed the object's name"});
    meta.uid = from.text("uid");
    meta.labels = from.text_map("labels");
    meta.annotations = from.text_map("annotations");
    meta.finalizers = from.texts("finalizers");
    meta.creation_timestamp = from.text("creationTimestamp");
    meta.deleting = from.has("deletionTimestamp");
    return meta;
}

Decoded<Service> decode_service(const nlohmann::json& object) {
    std::vector<Fault> faults;
    const Fields root(object, "", faults);
    Service out;
    out.meta = read_meta(root, faults);
    if (out.meta.name_space.empty()) faults.push_back({"/metadata/namespace", "found none, allowed a namespace"});
    if (out.meta.uid.empty()) faults.push_back({"/metadata/uid", "found none, allowed the object's UID"});
    read_service_spec(root.object("spec"), out);
    read_service_status(object, out);
    return decoded(std::move(out), std::move(faults));
}

Decoded<Node> decode_node(const nlohmann::json& object) {
    std::vector<Fault> faults;
    const Fields root(object, "", faults);
    Node out;
    out.meta = read_meta(root, faults);
    out.meta.annotations.clear();
    const Fields spec = root.object("spec");
    out.unschedulable = spec.boolean("unschedulable").value_or(false);
    spec.each("taints", [&](const Fields& taint) { out.taints.push_back(taint.text("key")); });
    out.pod_cidrs = spec.texts("podCIDRs");
    if (const std::string one = spec.text("podCIDR"); out.pod_cidrs.empty() && !one.empty()) out.pod_cidrs = {one};
    root.object("status").each("addresses", [&](const Fields& address) {
        if (address.text("type") == "InternalIP") out.internal_ips.push_back(address.text("address"));
    });
    return decoded(std::move(out), std::move(faults));
}

Decoded<Slice> decode_endpoint_slice(const nlohmann::json& object) {
    std::vector<Fault> faults;
    const Fields root(object, "", faults);
    Slice out;
    out.meta = read_meta(root, faults);
    out.meta.annotations.clear();  // the endpoints controller writes the time of the last change there
    out.address_type = root.text("addressType");
    root.each("ports", [&](const Fields& port) {
        out.ports.push_back({port.text("name"), read_protocol(port), port.port("port")});
    });
    root.each("endpoints", [&](const Fields& from) {
        SliceEndpoint endpoint;
        const auto addresses = from.texts("addresses");
        if (addresses.empty()) from.fault("addresses", "found none, allowed at least one");
        if (!addresses.empty()) endpoint.address = addresses.front();
        endpoint.node = from.text("nodeName");
        const Fields conditions = from.object("conditions");
        endpoint.ready = conditions.boolean("ready").value_or(true);
        endpoint.serving = conditions.boolean("serving").value_or(endpoint.ready);
        endpoint.terminating = conditions.boolean("terminating").value_or(false);
        out.endpoints.push_back(std::move(endpoint));
    });
    return decoded(std::move(out), std::move(faults));
}

Decoded<Namespace> decode_namespace(const nlohmann::json& object) {
    std::vector<Fault> faults;
    Meta meta = read_meta(Fields(object, "", faults), faults);
    return decoded(Namespace{std::move(meta.name), std::move(meta.labels)}, std::move(faults));
}

}  // namespace guideway::kubernetes
