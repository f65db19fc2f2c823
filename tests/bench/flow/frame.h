// Frames: the smallest TCP or UDP packets of the plan, written in a few instructions.
//
// Terms:
//   pattern   a whole frame with everything that is the same in each packet of one direction; written first, then patched.
//   base sum  the pattern's ones'-complement sums without what is patched, so that a checksum costs some additions.
//   mark      the connection's number inside the packet, where translation leaves it alone (TCP: sequence number, UDP: first bytes
//             of the payload): whoever sees the packet come out knows which it was. Timed packets carry no mark.
// Lengths without FCS: IPv4 60 (a 64-byte frame), IPv6 74 (TCP) and 66 (UDP), which are no smaller.
//
// Example:  writer.write<false>(frame, kRequest, client_low(i), kVipLow, client_port_be(i), 0, 0)
// Thread contract: const after construction.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>

#include "dataplane/packet/wire.h"
#include "tests/bench/flow/plan.h"

namespace guideway::bench {

/// Where things are in a frame of the family and protocol.
template <int kIp, int kProtocol>
struct Layout {
    static constexpr bool kV4 = kIp == 4, kTcp = kProtocol == 6;
    static constexpr std::uint32_t kL3 = 14, kL4 = kL3 + (kV4 ? 20 : 40);
    static constexpr std::uint32_t kIpChecksum = kL3 + 10;  ///< IPv4
    static constexpr std::uint32_t kTtl = kL3 + (kV4 ? 8 : 7);
    static constexpr std::uint32_t kSource = kV4 ? kL3 + 12 : kL3 + 20, kDestination = kV4 ? kL3 + 16 : kL3 + 36;
    static constexpr std::uint32_t kFlags = kL4 + 13;  ///< TCP
    static constexpr std::uint32_t kL4Checksum = kL4 + (kTcp ? 16 : 6);
    static constexpr std::uint32_t kMark = kL4 + (kTcp ? 4 : 8);
    static constexpr std::uint32_t kLength = kV4 ? 60 : kTcp ? kL4 + 20 : kL4 + 12;
    static constexpr std::uint32_t kL4Length = kTcp ? 20 : kLength - kL4;
    static constexpr std::uint32_t kCopied = kV4 ? 64 : 80;
};

namespace flag {
inline constexpr std::uint8_t kFin = 1, kSyn = 2, kRst = 4, kPsh = 8, kAck = 16;
}  // namespace flag

/// Sum of 16-bit words in packet order, folded; an odd last byte counts as if followed by zero.
std::uint16_t sum16(const std::uint8_t* bytes, std::size_t length, std::uint64_t start = 0);

/// Ones' complement: halves added to each other with the carry coming in at the other end, twice.
constexpr std::uint16_t fold(std::uint64_t sum) {
    const auto half = static_cast<std::uint32_t>((sum + std::rotl(sum, 32)) >> 32);
    return static_cast<std::uint16_t>((half + std::rotl(half, 16)) >> 16);
}

/// Frames that arrive at one port.
template <int kIp, int kProtocol>
class FrameWriter {
  public:
    using At = Layout<kIp, kProtocol>;

    explicit FrameWriter(Port port) {
        for (const Direction direction : {kRequest, kReply}) prepare(pattern_[direction], port, direction);
    }

    /// kMarked: `flags` (TCP) and `mark` are written; else an ACK of TCP without mark. `patched_ports`: as they stand in the packet, the
    /// one that is the pattern's own 0. Writes At::kCopied bytes.
    template <bool kMarked>
    [[gnu::always_inline]] void write(std::uint8_t* frame, unsigned direction, std::uint32_t source_low,
                                      std::uint32_t destination_low, std::uint32_t patched_ports, std::uint8_t flags,
                                      std::uint32_t mark) const {
        const Pattern& pattern = pattern_[direction];
        const std::uint32_t ports = pattern.ports | patched_ports;
        std::memcpy(frame, pattern.bytes.data(), At::kCopied);
        std::memcpy(frame + At::kSource, &source_low, 4);
        std::memcpy(frame + At::kDestination, &destination_low, 4);
        std::memcpy(frame + At::kL4, &ports, 4);
        const std::uint64_t addresses = std::uint64_t{source_low} + destination_low;
        if constexpr (At::kV4) {
            const auto field = static_cast<std::uint16_t>(~fold(pattern.ip_sum + addresses));
            std::memcpy(frame + At::kIpChecksum, &field, 2);
        }
        std::uint64_t sum = pattern.l4_sum + addresses + patched_ports;
        if constexpr (kMarked) {
            std::memcpy(frame + At::kMark, &mark, 4);
            sum += mark;
            if constexpr (At::kTcp) {
                frame[At::kFlags] = flags;
                sum += std::uint32_t{flags} << 8;  // the second byte of its word
            }
        } else if constexpr (At::kTcp) {
            sum += std::uint32_t{flag::kAck} << 8;
        }
        auto field = static_cast<std::uint16_t>(~fold(sum));
        if constexpr (!At::kTcp) field = field == 0 ? 0xffff : field;
        std::memcpy(frame + At::kL4Checksum, &field, 2);
    }

  private:
    struct alignas(64) Pattern {
        std::array<std::uint8_t, 128> bytes{};
        std::uint64_t ip_sum = 0;
        std::uint64_t l4_sum = 0;
        std::uint32_t ports = 0;  ///< the VIP's in requests, the node port in replies
    };

    static void prepare(Pattern& pattern, Port port, Direction direction) {
        std::uint8_t* at = pattern.bytes.data();
        std::memcpy(at, kPortMac[port].data(), 6);
        std::memcpy(at + 6, kRouterMac.data(), 6);
        std::uint8_t* ip = at + At::kL3;
        if constexpr (At::kV4) {
            packet::store_be16(at + 12, 0x0800);
            ip[0] = 0x45;
            packet::store_be16(ip + 2, At::kTcp ? 40 : At::kLength - At::kL3);
            packet::store_be16(ip + 6, 0x4000);
            ip[8] = 64;
            ip[9] = kProtocol;
            pattern.ip_sum = sum16(ip, 20);
        } else {
            packet::store_be16(at + 12, 0x86dd);
            ip[0] = 0x60;
            packet::store_be16(ip + 4, At::kL4Length);
            ip[6] = kProtocol;
            ip[7] = 64;
            std::memcpy(ip + 8, (direction == kRequest ? kClientPrefix : kNodePrefix).data(), 12);
            std::memcpy(ip + 24, (direction == kRequest ? kVipPrefix : kNodePrefix).data(), 12);
            pattern.l4_sum = sum16(ip + 8, 32);
        }
        std::uint8_t* l4 = at + At::kL4;
        if (direction == kRequest) {
            packet::store_be16(l4 + 2, vip_port(kProtocol));
        } else {
            packet::store_be16(l4, node_port(kProtocol));
        }
        pattern.ports = packet::load_raw32(l4);
        if constexpr (At::kTcp) {
            l4[12] = 0x50;
            packet::store_be16(l4 + 14, 0xffff);
        } else {
            packet::store_be16(l4 + 4, At::kL4Length);
        }
        pattern.l4_sum += sum16(l4, At::kL4Length);
        pattern.l4_sum += packet::swap_if_little(static_cast<std::uint16_t>(kProtocol));
        pattern.l4_sum += packet::swap_if_little(static_cast<std::uint16_t>(At::kL4Length));
        if constexpr (At::kTcp) l4[13] = flag::kAck;  // after the sum: write() adds the flags
    }

    std::array<Pattern, 2> pattern_{};
};

}  // namespace guideway::bench
