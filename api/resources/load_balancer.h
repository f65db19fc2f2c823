// LoadBalancer: the wish for external addresses with ports forwarded to the nodes' NodePorts, and what became of it.
// Key: cluster, namespace and name. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <map>
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
    std::vector<IpFamily> ip_families;  ///< first is the primary; empty = IPv4 (single) or both
    /// Those of the Service; where there are any, their families are the load balancer's (rule 12). At most one a family.
    std::vector<IpAddress> cluster_ips;
    std::string address_pool;          ///< requested pool (rule 8) or empty
    std::vector<IpAddress> addresses;  ///< requested addresses, at most one a family (rule 9)
    /// The Service's own field for the same; not beside `addresses` (rule 9: ConflictingRequest).
    std::optional<IpAddress> load_balancer_ip;
    std::string sharing_key;  ///< rule 15
    /// Of the namespace, for pools that select by them (rule 4); the Service's own labels are those of the metadata.
    std::map<std::string, std::string> namespace_labels;
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
    std::vector<Ingress> ingress;       ///< IPv4, then IPv6 (rule 13)
    std::vector<Condition> conditions;  ///< Allocated, Programmed, Ready
    friend bool operator==(const LoadBalancerStatus&, const LoadBalancerStatus&) = default;
};

struct LoadBalancer {
    Metadata metadata;
    LoadBalancerSpec spec;
    LoadBalancerStatus status;
    /// "namespace/name", before it "cluster/" where that is not "default"
    std::string key() const {
        return (metadata.cluster == kDefaultCluster ? std::string() : metadata.cluster + "/") + metadata.namespace_ +
               "/" + metadata.name;
    }
    friend bool operator==(const LoadBalancer&, const LoadBalancer&) = default;
};

/// What a load balancer would get (a dry run): nothing is changed.
struct PoolVerdict {
    std::string pool;
    bool used = false;
    std::string
        reason;  ///< CamelCase: "Used", "PoolNotAllowed", "NotAutoAssigned", "FamilyMismatch", "NoAvailableIPs", ...
    std::string message;  ///< a sentence: why, and what would change it
    friend bool operator==(const PoolVerdict&, const PoolVerdict&) = default;
};

struct AllocationPreview {
    std::vector<Ingress> ingress;  ///< what it would hold then
    std::string reason;            ///< "Allocated", or the reason why its wish would stay unmet
    std::string message;
    std::vector<PoolVerdict> pools;  ///< in the order in which they were considered
    friend bool operator==(const AllocationPreview&, const AllocationPreview&) = default;
};

}  // namespace guideway::resources
