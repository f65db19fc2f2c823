// IP fragments: what one says of itself, and how it is changed; and IPv4 packets cut into parts.
//
// Terms:
//   datagram  what the sender cut; all its fragments have the same addresses and identification.
//   data      what a fragment carries of the datagram, behind the IPv4 header or the IPv6 fragment header.
//   part      one of those that we cut ourselves, because a packet is larger than the MTU of the way on.
//
// Worked example, 3000 bytes of UDP in three fragments of at most 1480 bytes of data, the last behind us (id 7 becomes 901):
//   const Fragment last = read_fragment(frame, parsed);   // {id 7, offset 2960, length 48, more false}
//   rewrite_following_v4(frame, parsed, addresses, delta, 901);
//
// Nothing but addresses, TTL and identification of a following fragment changes: the checksum of TCP and UDP stands in the first, and
// counts the ports and addresses of the whole datagram only once.
// Thread contract: pure.
#pragma once

#include <cstdint>
#include <span>

#include "dataplane/packet/parse.h"

namespace guideway::packet {

struct Fragment {
    std::uint32_t id;                                        ///< of the datagram; 16 bits for IPv4
    std::uint32_t offset;                                    ///< of the data, in bytes
    std::uint32_t length;                                    ///< of the data, in bytes
    bool more;                                               ///< it is not the last
    observe::DropReason reason = observe::DropReason::none;  ///< fragment_bad, fragment_tiny: not believable

    std::uint32_t end() const noexcept { return offset + length; }
};

/// Of kind fragment, or a first fragment that was made a flow.
Fragment read_fragment(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept;

/// Another identification; of IPv4 the low 16 bits, and the header's checksum follows.
void set_fragment_id(std::uint8_t* frame, const ParsedPacket& parsed, std::uint32_t id) noexcept;

/// A following fragment goes from the source to the destination of `out` (ports are not looked at), TTL decremented. TTL above 0.
void rewrite_following(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV4& out,
                       std::uint32_t id) noexcept;
void rewrite_following(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV6& out,
                       std::uint32_t id) noexcept;

/// More parts no packet is cut into: one of 65,535 bytes on a link of 1,044.
inline constexpr std::uint32_t kMostParts = 64;

/// How an IPv4 packet is cut. RFC 791 3.2: of the options, those with the copied flag stand in all parts.
struct PartPlan {
    std::uint32_t parts = 0;         ///< 0: cannot be; else 2..kMostParts
    std::uint32_t header = 0;        ///< of the first part
    std::uint32_t later_header = 0;  ///< of the others
    std::uint32_t data = 0;          ///< in the first part
    std::uint32_t later_data = 0;    ///< in each other but the last
    std::uint32_t total = 0;         ///< data of all

    std::uint32_t offset(std::uint32_t part) const noexcept { return part == 0 ? 0 : data + (part - 1) * later_data; }
    std::uint32_t length(std::uint32_t part) const noexcept {
        if (part == 0) return data;
        return part + 1 == parts ? total - offset(part) : later_data;
    }
    /// The part's IP packet.
    std::uint32_t packet(std::uint32_t part) const noexcept {
        return (part == 0 ? header : later_header) + length(part);
    }
};

/// `ip` is a whole IPv4 packet or fragment of `length` bytes, checked, longer than `mtu`.
PartPlan plan_parts(const std::uint8_t* ip, std::uint32_t length, std::uint32_t mtu) noexcept;

/// Writes the header of part 1.. of the packet at `ip` to `out`, which has plan.later_header bytes.
void write_part_header(std::span<std::uint8_t> out, const std::uint8_t* ip, const PartPlan& plan,
                       std::uint32_t part) noexcept;
/// Makes the packet its own first part, in place; after the others were written.
void write_first_part(std::uint8_t* ip, const PartPlan& plan) noexcept;

}  // namespace guideway::packet
