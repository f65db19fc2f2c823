// Service: core/v1 Service, as far as the cloud controller looks at it. Thread contract: plain values, pure functions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/contract/decoded.h"
#include "api/contract/forwarding_state.h"
#include "controlplane/kubernetes/objects/meta.h"

namespace guideway::kubernetes {

struct ServicePort {
    std::string name;
    contract::Protocol protocol = contract::Protocol::tcp;
    std::uint16_t port = 0;
    std::uint16_t node_port = 0;  ///< 0: none
    friend bool operator==(const ServicePort&, const ServicePort&) = default;
};

/// status.loadBalancer.ingress[].ports[]
struct PortState {
    contract::Protocol protocol = contract::Protocol::tcp;
    std::uint16_t port = 0;
    std::string error;  ///< empty: none
    friend bool operator==(const PortState&, const PortState&) = default;
};

/// status.loadBalancer.ingress[]
struct IngressState {
    std::string ip, hostname, ip_mode;
    std::vector<PortState> ports;
    friend bool operator==(const IngressState&, const IngressState&) = default;
};

/// status.conditions[]
struct ServiceCondition {
    std::string type, status, reason, message;
    friend bool operator==(const ServiceCondition&, const ServiceCondition&) = default;
};

struct Service {
    Meta meta;
    std::string type;  ///< "ClusterIP", "NodePort", "LoadBalancer", "ExternalName"
    std::string load_balancer_class;
    std::vector<std::string> cluster_ips;
    std::vector<std::string> ip_families;
    std::string ip_family_policy;
    std::vector<ServicePort> ports;
    std::string external_traffic_policy;
    std::uint16_t health_check_node_port = 0;
    std::string session_affinity;
    std::uint32_t affinity_seconds = 10800;  ///< of ClientIP
    std::vector<std::string> source_ranges;
    std::string load_balancer_ip;
    std::vector<std::string> external_ips;
    bool allocate_node_ports = true;
    std::vector<IngressState> ingress;
    std::vector<ServiceCondition> conditions;
    friend bool operator==(const Service&, const Service&) = default;
};

contract::Decoded<Service> decode_service(const nlohmann::json& object);

}  // namespace guideway::kubernetes
