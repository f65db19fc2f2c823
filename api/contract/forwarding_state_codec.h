// The strict JSON form of ForwardingState, and what makes a state valid.
//
// Form (snake_case, the members' names; optional: backend.port 0, backend.weight 1, service.backend_port 0,
// service.idle_timeout_seconds 0; of those in the second example, which are written only where they are not as by default,
// backend.closed false, service.affinity_seconds 0, service.source_ranges "", service.ranges_end_established false, service.silent false, the three limits 0, and the three
// lists):
//   {"format": 1, "generation": 7,
//    "backend_sets": [{"name": "nodes-ipv4", "family": "IPv4",
//                      "backends": [{"name": "node-1", "address": "10.0.2.11", "port": 0, "weight": 1}]}],
//    "services": [{"name": "default/web", "vip": "203.0.113.10", "protocol": "TCP", "port": 80,
//                  "backend_set": "nodes-ipv4", "backend_port": 30080, "idle_timeout_seconds": 0}]}
//   {..., {"name": "node-2", ..., "weight": 0, "closed": true}, ...
//    "source_range_sets": [{"name": "office", "prefixes": ["198.51.100.0/24", "2001:db8:7::/48"]}],
//    "routes": [{"destination": "10.244.1.0/24", "via": "10.0.2.11"}],
//    "vip_ports": [{"vip": "203.0.113.10", "ports": ["clients"]}],
//    "services": [{..., "affinity_seconds": 10800, "source_ranges": "office", "ranges_end_established": true}]}
//
// Thread contract: pure functions. They allocate: not for the poll path.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"
#include "api/contract/forwarding_state.h"

namespace guideway::contract {

inline constexpr std::size_t kMaxServices = 65536;
inline constexpr std::size_t kMaxBackendSets = 65536;
inline constexpr std::size_t kMaxBackendsPerSet = 4096;
inline constexpr std::size_t kMaxNameLength = 253;
inline constexpr std::uint32_t kMaxWeight = 1000;
inline constexpr std::uint32_t kMaxIdleTimeoutSeconds = 604800;  ///< a week
inline constexpr std::uint32_t kMaxPerSecond = 100'000'000;      ///< of a service's limits
inline constexpr std::uint32_t kMaxAffinitySeconds = 86400;      ///< Kubernetes' own bound
inline constexpr std::size_t kMaxSourceRangeSets = 65536;        ///< one a service
inline constexpr std::size_t kMaxSourcePrefixes = 262144;        ///< of all sets together
inline constexpr std::size_t kMaxPortsOfVip = 32;                ///< as many as an appliance has
inline constexpr std::size_t kMaxRoutes = 16384;                 ///< 8,000 nodes of two families
/// A state at all limits of a real appliance is far below; larger texts are refused unread.
inline constexpr std::size_t kMaxStateBytes = 64U << 20;

/// One line without a newline; `pretty`: indented, for a person's eyes.
std::string encode(const ForwardingState& state, bool pretty = false);

/// Shape, types and ranges, then validate(): a value is always valid.
Decoded<ForwardingState> decode_forwarding_state(std::string_view text);

/// What a state's shape cannot show: duplicate set names, duplicate (VIP, protocol, port), unknown sets, families that
/// differ, addresses that nothing can be sent to, a backend_port of 0 where it is needed, duplicate backends, backends closed
/// that still have a weight, routes with host bits, to everything, or to one destination twice, VIPs bound to ports twice or to none, limits. Host bits of source
/// ranges are allowed and mean nothing, as in Kubernetes; so are ranges that overlap.
/// Empty: valid. At most 100 faults are listed.
std::vector<Fault> validate(const ForwardingState& state);

}  // namespace guideway::contract
