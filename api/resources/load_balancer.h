// LoadBalancer: the wish for external addresses with ports forwarded to the nodes' NodePorts, and what became of it.
// Key: namespace and name. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/resources/metadata.h"

namespace guideway::resources {

enum class IpFamilyPolicy : std::uint8_t { single_stack, prefer_dual_stack, require_dual_stack };

struct LoadBalancerPort {
    std::string name;
    contract::Protocol protocol = contract::Protocol::tcp;
    std::uint16_t port = 0;       ///< 1..65535, on the VIP
    std::uint16_t node_port = 0;  ///< 1..65535, on each node
    friend bool operator==(const LoadBalancerPort&, const LoadBalancerPort&) = default;
};

struct LoadBalancerSpec {
    IpFamilyPolicy ip_family_policy = IpFamilyPolicy::single_stack;
    std::vector<IpFamily> ip_families;       ///< first is the primary; empty = IPv4 (single) or both
    std::string address_pool;                ///< requested pool (rule 8) or empty
    std::vector<IpAddress> addresses;        ///< requested addresses, at most one a family (rule 9)
    std::string sharing_key;                 ///< rule 15
    std::uint32_t idle_timeout_seconds = 0;  ///< 0 = the dataplane's default
    std::vector<LoadBalancerPort> ports;     ///< 1..100, no (protocol, port) twice
    friend bool operator==(const LoadBalancerSpec&, const LoadBalancerSpec&) = default;
};

struct Ingress {
    IpAddress ip;
    std::string pool;
    friend bool operator==(const Ingress&, const Ingress&) = default;
};

struct LoadBalancerStatus {
    std::uint64_t observed_generation = 0;
    std::vector<Ingress> ingress;  ///< IPv4, then IPv6 (rule 13)
    std::vector<Condition> conditions;
    friend bool operator==(const LoadBalancerStatus&, const LoadBalancerStatus&) = default;
};

struct LoadBalancer {
    Metadata metadata;
    LoadBalancerSpec spec;
    LoadBalancerStatus status;
    /// "namespace/name"
    std::string key() const { return metadata.namespace_ + "/" + metadata.name; }
    friend bool operator==(const LoadBalancer&, const LoadBalancer&) = default;
};

}  // namespace guideway::resources
