// KernelBudget: which packets reach the kernel when there are too many for it. What keeps the appliance in the network comes first:
// neighbours, then routing protocols and BFD, then TCP that is under way; a flood of anything else costs only its own kind.
// Neighbours have a rate, and an eighth of the ring at once, so they cannot fill it; what looks like routing can be sent by anybody, so it
// may not.
//
// Each class may fill a worker's ring to the kernel up to a part of it, so that those above always find room, and the kinds that need
// nothing to be sent have a token bucket besides. The ring is emptied in its order: whoever is in it waits for at most one ring.
//
//   class      what                                                      the ring up to    a second
//   neighbour  ARP; ICMPv6 133..137 with hop limit 255                   all               half the rate
//   routing    TCP of port 179 but SYN; BFD (UDP 3784 and 3785 with TTL  7/8               -
//              255, 4784, RFC 5880 ff.); VRRP with TTL 255 (RFC 5798);
//              OSPF and IGMP with TTL 1 (RFC 2328 A.1, RFC 3376 4)
//   tcp        TCP but SYN                                               3/4               -
//   syn        TCP SYN, to whatever port                                 1/2               a quarter
//   icmp       ICMP and ICMPv6                                           1/2               a quarter
//   other      UDP, fragments, whatever                                  1/2               the rate
//
// Worked example, ring of 1024, 20,000 a second: under a flood of pings 5,000 a second reach the kernel, the rest is counted as
// kernel_icmp_limited; a BGP segment finds at least half of the ring free.
// Thread contract: one worker's.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>

#include "dataplane/guard/token_bucket.h"
#include "dataplane/observe/drop_reason.h"
#include "dataplane/packet/parse.h"

namespace guideway::worker {

enum class KernelClass : std::uint8_t { routing, neighbour, tcp, syn, icmp, other };
inline constexpr std::size_t kKernelClasses = 6;

namespace kernel_detail {

inline KernelClass class_of_udp(std::uint16_t destination_port_be, std::uint8_t ttl) noexcept {
    constexpr std::uint16_t kSingleHop = 3784, kEcho = 3785, kMultihop = 4784;
    const std::uint16_t port = packet::swap_if_little(destination_port_be);
    // RFC 5881 5: any other TTL came over a router, and is forged.
    const bool bfd = ((port == kSingleHop || port == kEcho) && ttl == 255) || port == kMultihop;
    return bfd ? KernelClass::routing : KernelClass::other;
}

inline KernelClass class_of_tcp(std::uint16_t source_port_be, std::uint16_t destination_port_be,
                                std::uint8_t flags) noexcept {
    constexpr std::uint16_t kBgp = packet::swap_if_little(std::uint16_t{179});
    // Not SYN-ACK: that answers the appliance's own connection.
    if ((flags & (packet::tcp::kSyn | packet::tcp::kAck)) == packet::tcp::kSyn) return KernelClass::syn;
    return source_port_be == kBgp || destination_port_be == kBgp ? KernelClass::routing : KernelClass::tcp;
}

}  // namespace kernel_detail

/// `frame` is what `parsed` was read from.
inline KernelClass kernel_class_of(const packet::ParsedPacket& parsed, const std::uint8_t* frame) noexcept {
    using packet::PacketKind;
    constexpr std::uint8_t kIgmp = 2, kOspf = 89, kVrrp = 112;
    constexpr std::uint8_t kFirstNeighbour = 133, kLastNeighbour = 137;
    switch (parsed.kind) {
        case PacketKind::arp:
        case PacketKind::neighbour_solicitation:
            return KernelClass::neighbour;
        case PacketKind::icmpv4_echo_request:
        case PacketKind::icmpv6_echo_request:
            return KernelClass::icmp;
        case PacketKind::icmp_other: {
            const std::uint8_t type = frame[parsed.l4_offset];
            const bool neighbour =
                parsed.has_v6 && parsed.ttl == 255 && type >= kFirstNeighbour && type <= kLastNeighbour;
            return neighbour ? KernelClass::neighbour : KernelClass::icmp;
        }
        case PacketKind::ipv4_flow:
        case PacketKind::ipv6_flow: {
            const std::uint16_t source = parsed.has_v4 ? parsed.v4.source_port : parsed.v6.source_port;
            const std::uint16_t destination = parsed.has_v4 ? parsed.v4.destination_port : parsed.v6.destination_port;
            if (parsed.protocol == packet::protocol::kTcp)
                return kernel_detail::class_of_tcp(source, destination, parsed.tcp_flags);
            return parsed.protocol == packet::protocol::kUdp ? kernel_detail::class_of_udp(destination, parsed.ttl)
                                                             : KernelClass::other;
        }
        case PacketKind::ip_other:
            return (parsed.protocol == kVrrp && parsed.ttl == 255) ||
                           ((parsed.protocol == kOspf || parsed.protocol == kIgmp) && parsed.ttl == 1)
                       ? KernelClass::routing
                       : KernelClass::other;
        default:
            return KernelClass::other;
    }
}

class KernelBudget {
  public:
    /// `rate`: packets a second of the class `other`; 0: neither those nor SYN, ICMP and neighbours. `ring`: its places.
    KernelBudget(std::uint32_t rate, std::uint32_t ring) noexcept
        : neighbour_(rate / 2, std::clamp(ring / 8, 1U, kMostAtOnce)),
          syn_(rate / 4, kMostAtOnce),
          icmp_(rate / 4, kMostAtOnce),
          other_(rate, kMostAtOnce) {}

    /// Whether a packet may go on the ring, of which `used` of `size` places are taken.
    bool admits(KernelClass kind, std::uint32_t used, std::uint32_t size, std::uint64_t now_ms) noexcept {
        switch (kind) {
            case KernelClass::routing:
                return used < size - size / 8;
            case KernelClass::neighbour:
                return used < size && neighbour_.take(now_ms);
            case KernelClass::tcp:
                return used < size - size / 4;
            case KernelClass::syn:
                return used < size / 2 && syn_.take(now_ms);
            case KernelClass::icmp:
                return used < size / 2 && icmp_.take(now_ms);
            default:
                return used < size / 2 && other_.take(now_ms);
        }
    }

    /// What a packet is counted under that was not admitted.
    static observe::DropReason reason_of(KernelClass kind) noexcept {
        using observe::DropReason;
        constexpr std::array<DropReason, kKernelClasses> kReasons{
            DropReason::kernel_path_full,   DropReason::kernel_neighbour_limited, DropReason::kernel_tcp_limited,
            DropReason::kernel_syn_limited, DropReason::kernel_icmp_limited,      DropReason::kernel_other_limited};
        return kReasons[static_cast<std::size_t>(kind)];
    }

  private:
    static constexpr std::uint32_t kMostAtOnce = 256;
    guard::TokenBucket neighbour_, syn_, icmp_, other_;
};

}  // namespace guideway::worker
