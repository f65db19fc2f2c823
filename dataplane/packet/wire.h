// The headers as they stand on the wire: offsets, numbers, and loads and stores that need no alignment.
//
// Nothing here is cast onto a frame: a frame is bytes, and load16()/store16() say where. "raw" values keep the packet's
// byte order (network order), load_be*() give host order. Thread contract: constants and pure functions.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace guideway::packet {

using MacAddress = std::array<std::uint8_t, 6>;
static_assert(sizeof(MacAddress) == 6);

inline std::uint16_t load_raw16(const std::uint8_t* at) noexcept {
    std::uint16_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
inline std::uint32_t load_raw32(const std::uint8_t* at) noexcept {
    std::uint32_t value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
inline void store_raw16(std::uint8_t* at, std::uint16_t value) noexcept { std::memcpy(at, &value, sizeof value); }
inline void store_raw32(std::uint8_t* at, std::uint32_t value) noexcept { std::memcpy(at, &value, sizeof value); }

/// Host order to network order and back.
constexpr std::uint16_t swap_if_little(std::uint16_t value) noexcept {
    if constexpr (std::endian::native == std::endian::little) return __builtin_bswap16(value);
    return value;
}
constexpr std::uint32_t swap_if_little(std::uint32_t value) noexcept {
    if constexpr (std::endian::native == std::endian::little) return __builtin_bswap32(value);
    return value;
}
inline std::uint16_t load_be16(const std::uint8_t* at) noexcept { return swap_if_little(load_raw16(at)); }
inline std::uint32_t load_be32(const std::uint8_t* at) noexcept { return swap_if_little(load_raw32(at)); }
inline void store_be16(std::uint8_t* at, std::uint16_t value) noexcept { store_raw16(at, swap_if_little(value)); }
inline void store_be32(std::uint8_t* at, std::uint32_t value) noexcept { store_raw32(at, swap_if_little(value)); }

/// Ethernet II, IEEE 802.1Q, 802.1ad.
namespace ethernet {
inline constexpr std::size_t kDestination = 0, kSource = 6, kType = 12, kHeaderSize = 14, kTagSize = 4;
inline constexpr std::uint16_t kTypeIpv4 = 0x0800, kTypeArp = 0x0806, kTypeIpv6 = 0x86dd;
inline constexpr std::uint16_t kTypeVlan = 0x8100, kTypeQinq = 0x88a8;
}  // namespace ethernet

/// RFC 826 for Ethernet and IPv4.
namespace arp {
inline constexpr std::size_t kHardwareType = 0, kProtocolType = 2, kHardwareLength = 4, kProtocolLength = 5;
inline constexpr std::size_t kOperation = 6, kSenderMac = 8, kSenderIp = 14, kTargetMac = 18, kTargetIp = 24;
inline constexpr std::size_t kSize = 28;
inline constexpr std::uint16_t kEthernet = 1, kRequest = 1, kReply = 2;
}  // namespace arp

/// RFC 791.
namespace ipv4 {
inline constexpr std::size_t kVersionIhl = 0, kTos = 1, kTotalLength = 2, kIdentification = 4, kFragment = 6, kTtl = 8;
inline constexpr std::size_t kProtocol = 9, kChecksum = 10, kSource = 12, kDestination = 16, kHeaderSize = 20;
inline constexpr std::uint16_t kDontFragment = 0x4000, kMoreFragments = 0x2000, kFragmentOffset = 0x1fff;
}  // namespace ipv4

/// RFC 8200.
namespace ipv6 {
inline constexpr std::size_t kPayloadLength = 4, kNextHeader = 6, kHopLimit = 7, kSource = 8, kDestination = 24;
inline constexpr std::size_t kHeaderSize = 40;
inline constexpr std::uint8_t kHopByHop = 0, kRouting = 43, kFragmentHeader = 44, kDestinationOptions = 60;
}  // namespace ipv6

/// No link is smaller, for whole packets: RFC 791 3.2, RFC 8200 5.
inline constexpr std::uint32_t kLeastMtuV4 = 68, kLeastMtuV6 = 1280;

/// IANA protocol numbers.
namespace protocol {
inline constexpr std::uint8_t kIcmp = 1, kTcp = 6, kUdp = 17, kIcmpv6 = 58, kSctp = 132;
}

/// RFC 9293.
namespace tcp {
inline constexpr std::size_t kSourcePort = 0, kDestinationPort = 2, kSequence = 4, kAcknowledgement = 8;
inline constexpr std::size_t kDataOffset = 12, kFlags = 13, kWindow = 14, kChecksum = 16, kHeaderSize = 20;
inline constexpr std::uint8_t kOptionEnd = 0, kOptionNothing = 1, kOptionMss = 2, kOptionMssSize = 4;
inline constexpr std::uint8_t kFin = 0x01, kSyn = 0x02, kRst = 0x04, kPsh = 0x08, kAck = 0x10, kUrg = 0x20;
}  // namespace tcp

/// RFC 768.
namespace udp {
inline constexpr std::size_t kLength = 4, kChecksum = 6, kHeaderSize = 8;
}

/// RFC 9260.
namespace sctp {
inline constexpr std::size_t kVerificationTag = 4, kChecksum = 8, kHeaderSize = 12, kChunkHeaderSize = 4;
inline constexpr std::uint8_t kData = 0, kInit = 1, kInitAck = 2, kAbort = 6, kShutdown = 7, kShutdownAck = 8;
inline constexpr std::uint8_t kError = 9, kCookieEcho = 10, kShutdownComplete = 14;
}  // namespace sctp

/// RFC 792, RFC 4443, RFC 4861.
namespace icmp {
inline constexpr std::size_t kType = 0, kCode = 1, kChecksum = 2, kHeaderSize = 8;
inline constexpr std::size_t kMtu = 6;  ///< 16 bits, RFC 1191
inline constexpr std::uint8_t kEchoReply = 0, kUnreachable = 3, kSourceQuench = 4, kEchoRequest = 8;
inline constexpr std::uint8_t kTimeExceeded = 11, kParameterProblem = 12;
inline constexpr std::uint8_t kPortUnreachableCode = 3, kFragmentationNeededCode = 4, kLastUnreachableCode = 15;
}  // namespace icmp
namespace icmpv6 {
inline constexpr std::size_t kMtu = 4;  ///< 32 bits
inline constexpr std::uint8_t kUnreachable = 1, kPacketTooBig = 2, kTimeExceeded = 3, kParameterProblem = 4;
inline constexpr std::uint8_t kEchoRequest = 128, kEchoReply = 129;
inline constexpr std::uint8_t kNeighbourSolicitation = 135, kNeighbourAdvertisement = 136;
inline constexpr std::uint8_t kPortUnreachableCode = 4;
inline constexpr std::size_t kNeighbourFlags = 4, kNeighbourTarget = 8, kNeighbourSize = 24;
inline constexpr std::uint8_t kSourceLinkLayerOption = 1, kTargetLinkLayerOption = 2;
inline constexpr std::uint8_t kSolicited = 0x40, kOverride = 0x20;
}  // namespace icmpv6

}  // namespace guideway::packet
