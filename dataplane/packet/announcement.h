// Announcements of our addresses, and what others claim of theirs: gratuitous ARP (RFC 5227 2.3, RFC 5944 4.6) and unsolicited
// neighbour advertisements (RFC 4861 7.2.6).
//
// Terms: to announce is to tell everybody on the link, unasked, at which MAC address an IP address is, so that caches and switches
// that know it elsewhere learn at once. To claim is what an ARP packet does of its sender and an advertisement of its target. To probe is to ask
// whether anybody has an address without claiming it; who has it answers, and that is a claim.
//
// Worked example: a VIP moves here; who had 203.0.113.10 in the cache goes on sending to the old machine until told:
//   std::array<std::uint8_t, kAnnouncementCapacity> frame;
//   send(port, {frame.data(), build_announcement(frame, vip, port_mac, ArpForm::request)});
//
// Thread contract: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "api/contract/ip_address.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/wire.h"

namespace guideway::packet {

/// Of the largest one, for IPv6: Ethernet, IPv6, ICMPv6 with one option.
inline constexpr std::size_t kAnnouncementCapacity = 86;

/// Both update caches (RFC 826); some implementations take only the one or the other.
enum class ArpForm : std::uint8_t { request, reply };

/// Writes "`address` is at `mac`" to everybody, padded to Ethernet's least frame; its length, 60 or 86 bytes. `form` is for IPv4.
std::uint32_t build_announcement(std::span<std::uint8_t, kAnnouncementCapacity> out, const IpAddress& address,
                                 const MacAddress& mac, ArpForm form) noexcept;

/// Writes "who has `address`?" from nobody's address: an ARP probe (RFC 5227 2.1.1), or the solicitation of duplicate address detection (RFC 4862
/// 5.4.2); its length, 60 or 78 bytes.
std::uint32_t build_probe(std::span<std::uint8_t, kAnnouncementCapacity> out, const IpAddress& address,
                          const MacAddress& mac) noexcept;

struct Claim {
    IpAddress address;
    MacAddress mac{};
    friend bool operator==(const Claim&, const Claim&) = default;
};

/// What the frame claims: an ARP packet of its sender (not a probe, which asks whether one may), a valid neighbour advertisement
/// (RFC 4861 7.1.2) of its target. Nothing for every other frame.
std::optional<Claim> claim_of(const std::uint8_t* frame, std::uint32_t length, const ParsedPacket& parsed) noexcept;

}  // namespace guideway::packet
