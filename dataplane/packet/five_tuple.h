// FiveTuple: the key of a connection as it stands in the packet, in network order.
//
// One layout serves both directions: a client's packet has (client, VIP, client port, VIP port), the backend's reply has
// (backend, SNAT address, backend port, SNAT port). The flow table looks either up without asking which it is.
// IPv4 is 16 bytes so that one vector compare decides and one vector store rewrites.
// Thread contract: plain values.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "api/contract/ip_address.h"

namespace guideway::packet {

struct FiveTupleV4 {
    std::uint32_t source;            ///< network order
    std::uint32_t destination;       ///< network order
    std::uint16_t source_port;       ///< network order
    std::uint16_t destination_port;  ///< network order
    std::uint8_t protocol;
    std::array<std::uint8_t, 3> zero;  ///< always zero: the tuple is compared and hashed as bytes

    friend bool operator==(const FiveTupleV4& a, const FiveTupleV4& b) { return std::memcmp(&a, &b, sizeof a) == 0; }
};

struct FiveTupleV6 {
    std::array<std::uint8_t, 16> source;
    std::array<std::uint8_t, 16> destination;
    std::uint16_t source_port;       ///< network order
    std::uint16_t destination_port;  ///< network order
    std::uint8_t protocol;
    std::array<std::uint8_t, 3> zero;

    friend bool operator==(const FiveTupleV6& a, const FiveTupleV6& b) {
        // In words: a call of memcmp costs more than all of it.
        std::array<std::uint64_t, 5> x;
        std::array<std::uint64_t, 5> y;
        std::memcpy(x.data(), &a, sizeof x);
        std::memcpy(y.data(), &b, sizeof y);
        return ((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]) | (x[4] ^ y[4])) == 0;
    }
};

static_assert(sizeof(FiveTupleV4) == 16 && std::is_trivially_copyable_v<FiveTupleV4>);
static_assert(sizeof(FiveTupleV6) == 40 && std::is_trivially_copyable_v<FiveTupleV6>);

/// The tuple of the opposite direction: source and destination exchanged, ports too.
inline FiveTupleV4 swapped(const FiveTupleV4& tuple) noexcept {
    return {tuple.destination, tuple.source, tuple.destination_port, tuple.source_port, tuple.protocol, {}};
}

inline FiveTupleV6 swapped(const FiveTupleV6& tuple) noexcept {
    return {tuple.destination, tuple.source, tuple.destination_port, tuple.source_port, tuple.protocol, {}};
}

/// `address` in network order, as it stands in a FiveTupleV4.
inline IpAddress to_contract(std::uint32_t address) noexcept {
    IpAddress result;
    std::memcpy(result.bytes.data(), &address, sizeof address);
    return result;
}

inline IpAddress to_contract(const std::array<std::uint8_t, 16>& address) noexcept {
    IpAddress result;
    result.family = IpFamily::ipv6;
    result.bytes = address;
    return result;
}

/// The reverse of to_contract(std::uint32_t); `address` must be IPv4.
inline std::uint32_t to_network(const IpAddress& address) noexcept {
    std::uint32_t result = 0;
    std::memcpy(&result, address.bytes.data(), sizeof result);
    return result;
}

}  // namespace guideway::packet
