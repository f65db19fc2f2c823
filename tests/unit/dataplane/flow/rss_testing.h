// Keys and NICs for the tests of steering: a NIC computed the slow way, bit by bit.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "dataplane/flow/rss_map.h"
#include "dataplane/flow/toeplitz.h"

namespace guideway::flow::testing {

/// "Verifying the RSS Hash Calculation"; also the default of ixgbe, i40e and others.
inline constexpr ToeplitzKey kMicrosoftKey{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                           0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                           0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                           0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};
/// rss_hash_default_key of the mlx5 driver.
inline constexpr ToeplitzKey kMellanoxKey{0x2c, 0xc6, 0x81, 0xd1, 0x5b, 0xdb, 0xf4, 0xf7, 0xfc, 0xa2,
                                          0x83, 0x19, 0xdb, 0x1a, 0x3e, 0x94, 0x6b, 0x9e, 0x38, 0xd9,
                                          0x2c, 0x9c, 0x03, 0xd1, 0xad, 0x99, 0x44, 0xa7, 0xd9, 0x56,
                                          0x3d, 0x59, 0x06, 0x3c, 0x25, 0xf3, 0xfc, 0x1f, 0xdc, 0x2a};
/// Symmetric: both directions of a connection hash alike (Woo, Park 2012).
inline constexpr ToeplitzKey kSymmetricKey = [] {
    ToeplitzKey key{};
    for (std::size_t i = 0; i < key.size(); ++i) key[i] = i % 2 == 0 ? 0x6d : 0x5a;
    return key;
}();

inline ToeplitzKey random_key(std::mt19937_64& random) {
    ToeplitzKey key;
    for (std::uint8_t& byte : key) byte = static_cast<std::uint8_t>(random());
    return key;
}

/// Queues in turn, each worker polling the queue of its number.
inline RssLayout even_layout(const ToeplitzKey& key, std::size_t entries, std::uint16_t queues) {
    RssLayout layout;
    layout.key = key;
    for (std::size_t i = 0; i < entries; ++i) layout.reta.push_back(static_cast<std::uint16_t>(i % queues));
    for (std::uint16_t queue = 0; queue < queues; ++queue) layout.worker_of_queue.push_back(queue);
    return layout;
}

/// What the NIC does, whole and bit by bit: the worker whose queue a packet comes to.
template <typename Tuple>
std::uint32_t arrives_at(const RssLayout& layout, const Tuple& tuple) {
    return layout.worker_of_queue[layout.reta[toeplitz(tuple, layout.key) & (layout.reta.size() - 1)]];
}

template <typename Tuple>
Tuple random_tuple(std::mt19937_64& random, std::uint8_t protocol = 6) {
    Tuple tuple{};
    std::array<std::uint8_t, kToeplitzBytes<Tuple>> bytes;
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    std::memcpy(static_cast<void*>(&tuple), bytes.data(), bytes.size());
    tuple.protocol = protocol;
    return tuple;
}

}  // namespace guideway::flow::testing
