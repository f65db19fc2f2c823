#include "controlplane/kubernetes/service_status.h"

#include <algorithm>

#include <nlohmann/json.hpp>

namespace guideway::kubernetes {
namespace {

using nlohmann::json;

const resources::PortStatus* error_of(const std::vector<resources::PortStatus>& errors,
                                      const resources::LoadBalancerPort& port) {
    for (const resources::PortStatus& one : errors) {
        if (one.protocol == port.protocol && one.port == port.port && !one.error.empty()) return &one;
    }
    return nullptr;
}

json json_of(const IngressState& ingress) {
    json out{{"ip", ingress.ip}, {"ipMode", ingress.ip_mode}};
    for (const PortState& port : ingress.ports) {
        json one{{"port", port.port}, {"protocol", contract::to_string(port.protocol)}};
        if (!port.error.empty()) one["error"] = port.error;
        out["ports"].push_back(std::move(one));
    }
    return out;
}

}  // namespace

DesiredStatus desired_status(const resources::LoadBalancer& object,
                             const std::vector<resources::PortStatus>& port_errors) {
    DesiredStatus out;
    std::vector<PortState> ports;
    for (const resources::LoadBalancerPort& port : object.spec.ports) {
        const resources::PortStatus* error = error_of(object.status.ports, port);
        if (error == nullptr) error = error_of(port_errors, port);
        ports.push_back({port.protocol, port.port, error == nullptr ? "" : error->error});
        if (error == nullptr) continue;
        if (out.ports_error.empty()) {
            out.ports_reason = error->error;
        } else {
            out.ports_error += "; ";
        }
        out.ports_error += std::string(contract::to_string(port.protocol)) + " " + std::to_string(port.port) + ": " +
                           (error->message.empty() ? error->error : error->message);
    }
    for (const resources::Ingress& ingress : object.status.ingress) {
        out.ingress.push_back({ingress.ip.to_string(), "", "Proxy", ports});
    }
    return out;
}

std::optional<json> status_patch(const Service& service, const DesiredStatus& desired, const std::string& time) {
    json status = json::object();
    if (service.ingress != desired.ingress) {
        json& ingress = status["loadBalancer"]["ingress"];
        ingress = nullptr;
        for (const IngressState& one : desired.ingress) ingress.push_back(json_of(one));
    }
    const bool failing = !desired.ports_error.empty();
    const auto known = std::find_if(service.conditions.begin(), service.conditions.end(),
                                    [](const auto& one) { return one.type == kPortsErrorCondition; });
    const bool there = known != service.conditions.end();
    if (failing || there) {
        const ServiceCondition wanted =
            failing ? ServiceCondition{kPortsErrorCondition, "True", desired.ports_reason, desired.ports_error}
                    : ServiceCondition{kPortsErrorCondition, "False", "AllPortsForwarded", "every port is carried"};
        if (!there || !(*known == wanted)) {
            json one{{"type", wanted.type},
                     {"status", wanted.status},
                     {"reason", wanted.reason},
                     {"message", wanted.message}};
            if (!there || known->status != wanted.status) one["lastTransitionTime"] = time;
            status["conditions"] = json::array({std::move(one)});
        }
    }
    if (status.empty()) return std::nullopt;
    // The UID makes it a patch of this very object: of one that was made anew under the name it is a conflict.
    return json{{"metadata", {{"uid", service.meta.uid}}}, {"status", std::move(status)}};
}

}  // namespace guideway::kubernetes
