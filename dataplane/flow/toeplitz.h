// Toeplitz hash: what NICs compute for receive-side scaling (RSS), for knowing where a packet will arrive.
//
// Source and test vectors: Microsoft, "Verifying the RSS Hash Calculation" (Windows driver documentation). The input is
// (source address, destination address, source port, destination port) as it stands in the packet. The hash is linear:
// hash(a xor b) == hash(a) xor hash(b).
// Bit by bit, some 250 cycles: for start-up and new connections, not for every packet.
// Thread contract: pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/packet/five_tuple.h"

namespace guideway::flow {

/// Long enough for IPv6 with ports: 36 bytes of input need 40 of key.
using ToeplitzKey = std::array<std::uint8_t, 40>;

/// `input` of at most 36 bytes.
constexpr std::uint32_t toeplitz(std::span<const std::uint8_t> input, const ToeplitzKey& key) {
    std::uint32_t window =
        std::uint32_t{key[0]} << 24 | std::uint32_t{key[1]} << 16 | std::uint32_t{key[2]} << 8 | key[3];
    std::uint32_t hash = 0;
    for (std::size_t i = 0; i < input.size(); ++i) {
        const unsigned next = key[i + 4];
        for (int bit = 7; bit >= 0; --bit) {
            if ((input[i] >> bit & 1) != 0) hash ^= window;
            window = window << 1 | (next >> bit & 1);
        }
    }
    return hash;
}

namespace detail {

template <typename Tuple>
std::uint32_t toeplitz_of_tuple(const Tuple& tuple, const ToeplitzKey& key) {
    // Addresses and ports are the tuple's first bytes, in the packet's order.
    std::array<std::uint8_t, 2 * sizeof(tuple.source) + 4> input;
    std::memcpy(input.data(), &tuple, input.size());
    return toeplitz(input, key);
}

}  // namespace detail

inline std::uint32_t toeplitz(const packet::FiveTupleV4& tuple, const ToeplitzKey& key) {
    return detail::toeplitz_of_tuple(tuple, key);
}
inline std::uint32_t toeplitz(const packet::FiveTupleV6& tuple, const ToeplitzKey& key) {
    return detail::toeplitz_of_tuple(tuple, key);
}

}  // namespace guideway::flow
