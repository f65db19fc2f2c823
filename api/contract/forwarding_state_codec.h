// The strict JSON form of ForwardingState, and what makes a state valid.
//
// Form (snake_case, the members' names; optional: backend.port 0, backend.weight 1, service.backend_port 0,
// service.idle_timeout_seconds 0):
//   {"format": 1, "generation": 7,
//    "backend_sets": [{"name": "nodes-ipv4", "family": "IPv4",
//                      "backends": [{"name": "node-1", "address": "10.0.2.11", "port": 0, "weight": 1}]}],
//    "services": [{"name": "default/web", "vip": "203.0.113.10", "protocol": "TCP", "port": 80,
//                  "backend_set": "nodes-ipv4", "backend_port": 30080, "idle_timeout_seconds": 0}]}
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
/// A state at all limits of a real appliance is far below; larger texts are refused unread.
inline constexpr std::size_t kMaxStateBytes = 64U << 20;

/// One line without a newline; `pretty`: indented, for a person's eyes.
std::string encode(const ForwardingState& state, bool pretty = false);

/// Shape, types and ranges, then validate(): a value is always valid.
Decoded<ForwardingState> decode_forwarding_state(std::string_view text);

/// What a state's shape cannot show: duplicate set names, duplicate (VIP, protocol, port), unknown sets, families that
/// differ, addresses that nothing can be sent to, a backend_port of 0 where it is needed, duplicate backends, limits.
/// Empty: valid. At most 100 faults are listed.
std::vector<Fault> validate(const ForwardingState& state);

}  // namespace guideway::contract
