// Limits of the resources' JSON forms, so that a hostile body costs little. Thread contract: constants.
#pragma once

#include <cstddef>
#include <cstdint>

namespace guideway::resources {

inline constexpr std::size_t kMaxBodyBytes = 1U << 20;    ///< of one object
inline constexpr std::size_t kMaxListBytes = 256U << 20;  ///< of a list, as the client reads it
inline constexpr std::size_t kMaxPorts = 100;             ///< of a load balancer
inline constexpr std::size_t kMaxPoolAddresses = 1000;    ///< ranges of a pool
inline constexpr std::size_t kMaxLabels = 64;
inline constexpr std::uint32_t kMaxNodeWeight = 1000;
inline constexpr std::uint32_t kMaxIdleTimeout = 604800;  ///< seconds: a week

}  // namespace guideway::resources
