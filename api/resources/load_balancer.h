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

/// Which nodes get new connections: all that are well ("Cluster"), or those with ready endpoints, in proportion to their number
/// ("Local").
enum class TrafficPolicy : std::uint8_t { cluster, local };

/// "nat": VIP -> nodeIP:nodePort. "pod": VIP -> podIP:targetPort of the endpoints, for every port. A port without a node port
/// goes the way of "pod" in either.
enum class ForwardingMode : std::uint8_t { nat, pod };

struct LoadBalancerPort {
    std::string name;
    contract::Protocol protocol = contract::Protocol::tcp;
    std::uint16_t port = 0;       ///< 1..65535, on the VIP
    std::uint16_t node_port = 0;  ///< 1..65535, on each node; 0: none, the port is served by endpoints
    friend bool operator==(const LoadBalancerPort&, const LoadBalancerPort&) = default;
};

/// What one port of the load balancer is at the endpoints of a slice.
struct EndpointPort {
    contract::Protocol protocol = contract::Protocol::tcp;
    std::uint16_t port = 0;         ///< the load balancer's
    std::uint16_t target_port = 0;  ///< 1..65535, the endpoint's
    friend bool operator==(const EndpointPort&, const EndpointPort&) = default;
};

struct Endpoint {
    IpAddress address;
    std::string node;       ///< its name; may be empty (then it is nobody's local endpoint)
    bool draining = false;  ///< terminating, still serving: new connections only where the set has no other
    friend bool operator==(const Endpoint&, const Endpoint&) = default;
};

/// Endpoints that have the same ports; as a Kubernetes EndpointSlice, of one family. Endpoints that do not serve are not listed.
struct EndpointSlice {
    std::vector<EndpointPort> ports;
    std::vector<Endpoint> endpoints;
    friend bool operator==(const EndpointSlice&, const EndpointSlice&) = default;
};

/// What clients may do in a second at each (address, protocol, port); what is over is dropped. 0: no limit.
struct Limits {
    std::uint32_t new_connections_per_second = 0;
    std::uint32_t new_connections_per_second_per_source = 0;  ///< of each source prefix
    std::uint32_t packets_per_second = 0;
    friend bool operator==(const Limits&, const Limits&) = default;
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
    TrafficPolicy external_traffic_policy = TrafficPolicy::cluster;
    /// Policy Local: where a node tells how many ready local endpoints it has; 0: not asked.
    std::uint16_t health_check_node_port = 0;
    ForwardingMode mode = ForwardingMode::nat;
    std::uint32_t affinity_seconds = 0;   ///< 1..86400; 0 = none (sessionAffinity: ClientIP)
    std::vector<IpPrefix> source_ranges;  ///< empty: open; else a family of which there is none is closed
    bool ranges_end_established = false;  ///< they also end connections that they no longer allow
    bool silent = false;                  ///< its addresses refuse without a word: no RST, no port unreachable
    Limits limits;
    std::vector<EndpointSlice> endpoint_slices;  ///< for policy Local, mode pod and ports without a node port
    std::vector<LoadBalancerPort> ports;         ///< 1..100, no (protocol, port) twice
    friend bool operator==(const LoadBalancerSpec&, const LoadBalancerSpec&) = default;
};

struct Ingress {
    IpAddress ip;
    std::string pool;
    friend bool operator==(const Ingress&, const Ingress&) = default;
};

/// Where a port is not forwarded: why.
struct PortStatus {
    contract::Protocol protocol = contract::Protocol::tcp;
    std::uint16_t port = 0;
    std::string error =
        {};  ///< CamelCase, at most 316 characters, as Kubernetes wants it ("NoNodePort"); empty: forwarded
    std::string message;
    friend bool operator==(const PortStatus&, const PortStatus&) = default;
};

struct LoadBalancerStatus {
    std::uint64_t observed_generation = 0;
    std::vector<Ingress> ingress;       ///< IPv4, then IPv6 (rule 13)
    std::vector<PortStatus> ports;      ///< all of the spec's, in its order
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
