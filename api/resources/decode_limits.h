// Limits of the resources' JSON forms, so that a hostile body costs little. Thread contract: constants.
#pragma once

#include <cstddef>
#include <cstdint>

namespace guideway::resources {

inline constexpr std::size_t kMaxBodyBytes = 1U << 20;  ///< of one object, but for load balancers
/// Of a load balancer: 4096 endpoints with the longest names of nodes, and 4096 source ranges, fit.
inline constexpr std::size_t kMaxLoadBalancerBytes = 2U << 20;
/// Of a load balancer as it is answered or kept: what a body left out is written there.
inline constexpr std::size_t kMaxLoadBalancerAnswerBytes = 8U << 20;
inline constexpr std::size_t kMaxListBytes = 256U << 20;  ///< of a list, as the client reads it
inline constexpr std::size_t kMaxPorts = 100;             ///< of a load balancer
inline constexpr std::size_t kMaxPoolAddresses = 1000;    ///< ranges of a pool
inline constexpr std::size_t kMaxLabels = 64;
inline constexpr std::size_t kMaxSelectors = 64;        ///< of a pool, of each sort
inline constexpr std::size_t kMaxExpressions = 64;      ///< of a selector or a label query
inline constexpr std::size_t kMaxSelectorValues = 256;  ///< of an expression
inline constexpr std::size_t kMaxNames = 1000;          ///< namespaces or clusters of a pool
inline constexpr std::size_t kMaxLabelQueryBytes = 4096;
inline constexpr std::uint32_t kMaxQuarantine = 604800;  ///< seconds: a week
inline constexpr std::uint32_t kMaxNodeWeight = 1000;
inline constexpr std::size_t kMaxPodCidrs = 8;             ///< of a node
inline constexpr std::uint32_t kMaxDrainTimeout = 604800;  ///< seconds: a week
inline constexpr std::size_t kMaxSourceRanges = 4096;      ///< of a load balancer
inline constexpr std::size_t kMaxEndpointSlices = 1000;    ///< of a load balancer
inline constexpr std::size_t kMaxEndpoints =
    4096;  ///< of a load balancer, in all slices: as many as a backend set takes
inline constexpr std::uint32_t kMaxAffinitySeconds = 86400;  ///< a day, as Kubernetes has it
inline constexpr std::uint32_t kMaxPerSecond = 100'000'000;  ///< of a load balancer's limits
inline constexpr std::size_t kMaxPortErrorBytes = 316;       ///< as Kubernetes has it
inline constexpr std::size_t kMaxReasonBytes = 1024;         ///< of maintenance
inline constexpr std::uint32_t kMaxIdleTimeout = 604800;     ///< seconds: a week

}  // namespace guideway::resources
