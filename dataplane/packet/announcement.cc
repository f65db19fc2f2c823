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

std::uint32_t write_arp(std::uint8_t* out, std::uint32_t address, const MacAddress& mac, ArpForm form) noexcept {
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
    store_raw32(at + arp::kSenderIp, address);
    // In a reply the target is the sender itself, hardware address too (RFC 5944 4.6); in a request it is ignored.
    if (form == ArpForm::reply) std::memcpy(at + arp::kTargetMac, mac.data(), mac.size());
    store_raw32(at + arp::kTargetIp, address);
    return kLeastFrame;
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
    return write_arp(out.data(), to_network(address), mac, form);
}

std::optional<Claim> claim_of(const std::uint8_t* frame, std::uint32_t length, const ParsedPacket& parsed) noexcept {
    return parsed.kind == PacketKind::arp ? claim_of_arp(frame, parsed) : claim_of_advertisement(frame, length, parsed);
}

}  // namespace guideway::packet
