// Toeplitz hash: what NICs compute for receive-side scaling (RSS), for knowing where a packet will arrive.
//
// Source and test vectors: Microsoft, "Verifying the RSS Hash Calculation" (Windows driver documentation). The input is
// (source address, destination address, source port, destination port) as it stands in the packet. The hash is linear:
// hash(a xor b) == hash(a) xor hash(b).
// Two forms, tested equal:
//   toeplitz()      bit by bit, some 250 cycles: for start-up and tests.
//   ToeplitzTable   one table of 256 words a byte of input (linearity again), built once from a key: one load and one XOR
//                   a byte, 12 for IPv4 and 36 for IPv6. For new connections and unknown packets, not for every packet.
// Thread contract: pure functions; a ToeplitzTable is constant after its construction.
#pragma once

#include <array>
#include <bit>
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

/// The 32 bits of the key that begin at `bit`: what input bit number `bit` contributes. `bit` at most 287.
constexpr std::uint32_t toeplitz_window(const ToeplitzKey& key, std::size_t bit) {
    std::uint64_t five = 0;
    for (std::size_t i = 0; i < 5; ++i) five = five << 8 | key[bit / 8 + i];
    return static_cast<std::uint32_t>(five >> (8 - bit % 8));
}

/// Hash of inputs of exactly kBytes (at most 36).
template <std::size_t kBytes>
class ToeplitzTable {
  public:
    static_assert(kBytes <= 36);

    explicit ToeplitzTable(const ToeplitzKey& key) {
        for (std::size_t i = 0; i < kBytes; ++i) {
            entry_[i][0] = 0;
            for (unsigned value = 1; value < 256; ++value) {
                const auto lowest = static_cast<std::size_t>(std::countr_zero(value));
                entry_[i][value] = entry_[i][value & (value - 1)] ^ toeplitz_window(key, i * 8 + 7 - lowest);
            }
        }
    }

    std::uint32_t of(const std::uint8_t* input) const noexcept {
        std::uint32_t hash = 0;
        for (std::size_t i = 0; i < kBytes; ++i) hash ^= entry_[i][input[i]];
        return hash;
    }
    /// What `value` as the input's byte `i` contributes.
    std::uint32_t of_byte(std::size_t i, std::uint8_t value) const noexcept { return entry_[i][value]; }

  private:
    std::array<std::array<std::uint32_t, 256>, kBytes> entry_;
};

/// Bytes of a tuple that are hashed: addresses and ports are its first bytes, in the packet's order.
template <typename Tuple>
inline constexpr std::size_t kToeplitzBytes = 2 * sizeof(Tuple::source) + 4;
static_assert(kToeplitzBytes<packet::FiveTupleV4> == 12 && kToeplitzBytes<packet::FiveTupleV6> == 36);

namespace detail {

template <typename Tuple>
std::uint32_t toeplitz_of_tuple(const Tuple& tuple, const ToeplitzKey& key) {
    std::array<std::uint8_t, kToeplitzBytes<Tuple>> input;
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
