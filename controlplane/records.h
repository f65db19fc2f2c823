// Records: how the control plane's objects stand in the store. Pools and nodes stand there as their REST form; a load balancer
// also carries what a restart must not forget: its age, what it occupies on its addresses, and why it waits.
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/resources/address_pool.h"
#include "api/resources/load_balancer.h"
#include "api/resources/node.h"
#include "controlplane/ipam/allocator.h"
#include "controlplane/ipam/pool_set.h"
#include "controlplane/ipam/wish.h"

namespace guideway::controlplane {

inline constexpr const char* kLoadBalancerKind = "load-balancer";
inline constexpr const char* kAddressPoolKind = "address-pool";
inline constexpr const char* kNodeKind = "node";
inline constexpr const char* kQuarantineKind = "quarantined-address";

/// Names a node.
struct NodeKey {
    std::string cluster = resources::kDefaultCluster;
    std::string name;
    /// "name", before it "cluster/" where that is not "default".
    std::string to_string() const {
        return (cluster == resources::kDefaultCluster ? std::string() : cluster + "/") + name;
    }
    friend auto operator<=>(const NodeKey&, const NodeKey&) = default;
};

struct LoadBalancerRecord {
    resources::LoadBalancer object;                  ///< status: ingress and the condition Allocated
    std::uint64_t order = 0;                         ///< age (ipam-rules 21)
    bool placed = false;                             ///< ipam::Allocation::placed
    std::string sharing_key;                         ///< in force
    std::vector<resources::LoadBalancerPort> ports;  ///< in force; those of the spec unless a change does not fit (17)
    std::optional<ipam::Refusal> refusal;
    friend bool operator==(const LoadBalancerRecord&, const LoadBalancerRecord&) = default;
};

std::string encode(const LoadBalancerRecord& record);
/// The record, or a sentence that says what is wrong with the text.
std::variant<LoadBalancerRecord, std::string> decode_load_balancer_record(std::string_view text);

/// An address in quarantine; its key in the store is the address.
std::string encode(const ipam::Quarantined& quarantined);
std::variant<ipam::Quarantined, std::string> decode_quarantined(std::string_view address, std::string_view text);

/// What the address management is asked for by a load balancer.
ipam::Wish wish_of(const resources::LoadBalancer& object);
ipam::PoolDefinition definition_of(const std::string& name, const resources::AddressPoolSpec& spec);
ipam::ServiceKey key_of(const resources::LoadBalancer& object);
NodeKey key_of(const resources::Node& object);
/// (protocol, port) of each, sorted.
std::vector<ipam::PortClaim> claims_of(const std::vector<resources::LoadBalancerPort>& ports);
ipam::Allocation allocation_of(const LoadBalancerRecord& record);

}  // namespace guideway::controlplane
