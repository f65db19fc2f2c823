#include "dataplane/packet/announcement.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/packet/answer_parts.h"
#include "dataplane/packet/rewrite.h"

namespace guideway::packet {
namespace {

constexpr MacAddress kEverybodyMac{0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
constexpr std::uint32_t kLeastFrame = 60;  // without FCS

/// To everybody, from `sender` at `mac`, about `target`.
std::uint8_t* write_arp(std::uint8_t* out, std::uint32_t sender, std::uint32_t target, const MacAddress& mac,
                        ArpForm form) noexcept {
    std::memset(out, 0, kLeastFrame);
    set_ethernet(out, kEverybodyMac, mac);
    store_be16(out + ethernet::kType, ethernet::kTypeArp);
    std::uint8_t* at = out + ethernet::kHeaderSize;
    store_be16(at + arp::kHardwareType, arp::kEthernet);
    store_be16(at + arp::kProtocolType, ethernet::kTypeIpv4);
    at[arp::kHardwareLength] = 6;
    at[arp::kProtocolLength] = 4;
    store_be16(at + arp::kOperation, form == ArpForm::request ? arp::kRequest : arp::kReply);
    std::memcpy(at + arp::kSenderMac, mac.data(), mac.size());
    store_raw32(at + arp::kSenderIp, sender);
    store_raw32(at + arp::kTargetIp, target);
    return at;
}

std::uint32_t write_gratuitous(std::uint8_t* out, std::uint32_t address, const MacAddress& mac, ArpForm form) noexcept {
    std::uint8_t* at = write_arp(out, address, address, mac, form);
    // In a reply the target is the sender itself, hardware address too (RFC 5944 4.6); in a request it is ignored.
    if (form == ArpForm::reply) std::memcpy(at + arp::kTargetMac, mac.data(), mac.size());
    return kLeastFrame;
}

/// To those whose address ends as `target` does, from the unspecified address: so without a link-layer option.
std::uint32_t write_detection(std::uint8_t* out, const std::array<std::uint8_t, 16>& target,
                              const MacAddress& mac) noexcept {
    constexpr std::uint32_t kLength = ethernet::kHeaderSize + ipv6::kHeaderSize + icmpv6::kNeighbourSize;
    static_assert(kLength <= kAnnouncementCapacity);
    std::memset(out, 0, kLength);
    set_ethernet(out, {0x33, 0x33, 0xff, target[13], target[14], target[15]}, mac);
    store_be16(out + ethernet::kType, ethernet::kTypeIpv6);
    std::uint8_t* header = out + ethernet::kHeaderSize;
    header[0] = 0x60;
    store_be16(header + ipv6::kPayloadLength, icmpv6::kNeighbourSize);
    header[ipv6::kNextHeader] = protocol::kIcmpv6;
    header[ipv6::kHopLimit] = 255;
    std::array<std::uint8_t, 16> group{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    std::copy(target.begin() + 13, target.end(), group.begin() + 13);
    std::memcpy(header + ipv6::kDestination, group.data(), group.size());
    std::uint8_t* message = header + ipv6::kHeaderSize;
    message[icmp::kType] = icmpv6::kNeighbourSolicitation;
    std::memcpy(message + icmpv6::kNeighbourTarget, target.data(), target.size());
    const std::uint16_t pseudo = pseudo_sum_v6(header + ipv6::kSource, protocol::kIcmpv6, icmpv6::kNeighbourSize);
    const std::uint16_t sum = sum_of({message, icmpv6::kNeighbourSize}, pseudo);
    store_raw16(message + icmp::kChecksum, static_cast<std::uint16_t>(~sum));
    return kLength;
}

std::uint32_t write_unsolicited(std::uint8_t* out, const std::array<std::uint8_t, 16>& address,
                                const MacAddress& mac) noexcept {
    static_assert(kAnnouncementCapacity == ethernet::kHeaderSize + kAdvertisementSize);
    set_ethernet(out, kAllNodesMac, mac);
    store_be16(out + ethernet::kType, ethernet::kTypeIpv6);
    write_advertisement(out + ethernet::kHeaderSize, address, kAllNodes, icmpv6::kOverride, mac);
    return kAnnouncementCapacity;
}

std::optional<Claim> claim_of_arp(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    const std::uint8_t* at = frame + parsed.l2_length;
    if (!parsed.has_v4 || load_be16(at + arp::kHardwareType) != arp::kEthernet || parsed.v4.source == 0) return {};
    Claim claim{to_contract(parsed.v4.source), {}};
    std::memcpy(claim.mac.data(), at + arp::kSenderMac, claim.mac.size());
    return claim;
}

std::optional<Claim> claim_of_advertisement(const std::uint8_t* frame, std::uint32_t length,
                                            const ParsedPacket& parsed) noexcept {
    if (parsed.kind != PacketKind::icmp_other || !parsed.has_v6 || parsed.end() > length || parsed.l4_offset == 0 ||
        parsed.l4_length() < icmpv6::kNeighbourSize)
        return {};
    const std::uint8_t* message = frame + parsed.l4_offset;
    if (message[icmp::kType] != icmpv6::kNeighbourAdvertisement || message[icmp::kCode] != 0 || parsed.ttl != 255)
        return {};
    const std::uint32_t size = parsed.l4_length();
    const std::uint8_t* header = frame + parsed.l2_length;
    if (sum_of({message, size}, pseudo_sum_v6(header + ipv6::kSource, protocol::kIcmpv6, size)) != 0xffff) return {};
    Claim claim;
    std::array<std::uint8_t, 16> target{};
    std::memcpy(target.data(), message + icmpv6::kNeighbourTarget, target.size());
    claim.address = to_contract(target);
    std::memcpy(claim.mac.data(), frame + ethernet::kSource, claim.mac.size());
    for (std::uint32_t at = icmpv6::kNeighbourSize; at < size;) {
        if (size - at < kLinkLayerOptionSize) return {};
        const std::uint32_t option = message[at + 1] * 8U;
        if (option == 0 || option > size - at) return {};
        if (message[at] == icmpv6::kTargetLinkLayerOption && option == kLinkLayerOptionSize)
            std::memcpy(claim.mac.data(), message + at + 2, claim.mac.size());
        at += option;
    }
    return claim;
}

}  // namespace

std::uint32_t build_announcement(std::span<std::uint8_t, kAnnouncementCapacity> out, const IpAddress& address,
                                 const MacAddress& mac, ArpForm form) noexcept {
    if (!address.is_v4()) return write_unsolicited(out.data(), address.bytes, mac);
    return write_gratuitous(out.data(), to_network(address), mac, form);
}

std::uint32_t build_probe(std::span<std::uint8_t, kAnnouncementCapacity> out, const IpAddress& address,
                          const MacAddress& mac) noexcept {
    if (!address.is_v4()) return write_detection(out.data(), address.bytes, mac);
    write_arp(out.data(), 0, to_network(address), mac, ArpForm::request);
    return kLeastFrame;
}

std::optional<Claim> claim_of(const std::uint8_t* frame, std::uint32_t length, const ParsedPacket& parsed) noexcept {
    return parsed.kind == PacketKind::arp ? claim_of_arp(frame, parsed) : claim_of_advertisement(frame, length, parsed);
}

}  // namespace guideway::packet
