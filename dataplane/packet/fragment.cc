#include "dataplane/packet/fragment.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/packet/checksum.h"

namespace guideway::packet {
namespace {

using observe::DropReason;

constexpr std::uint32_t kLongestDatagram = 0xffff;
constexpr std::size_t kExtensionPlace = 2, kExtensionId = 4, kExtensionSize = 8;  // RFC 8200 4.5

std::uint8_t* fragment_header_of(std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    return frame + parsed.l2_length + parsed.fragment_header * 8U;
}

/// What the IPv4 header's sum gains where `to` takes the place of `from`.
std::uint16_t change(std::uint16_t from, std::uint16_t to) noexcept {
    return add_sums(static_cast<std::uint16_t>(~from), to);
}

/// Copies the options that all parts have; returns the header's length, 20..60.
std::uint32_t copied_header(const std::uint8_t* ip, std::uint32_t length, std::array<std::uint8_t, 60>& out) noexcept {
    constexpr std::uint8_t kEnd = 0, kNothing = 1, kCopied = 0x80;
    std::memcpy(out.data(), ip, ipv4::kHeaderSize);
    std::uint32_t size = ipv4::kHeaderSize;
    for (std::uint32_t at = ipv4::kHeaderSize; at < length && ip[at] != kEnd;) {
        if (ip[at] == kNothing) {
            ++at;
            continue;
        }
        if (at + 1 >= length || ip[at + 1] < 2 || at + ip[at + 1] > length) break;
        if ((ip[at] & kCopied) != 0) {
            std::memcpy(out.data() + size, ip + at, ip[at + 1]);
            size += ip[at + 1];
        }
        at += ip[at + 1];
    }
    while (size % 4 != 0) out[size++] = kEnd;
    out[ipv4::kVersionIhl] = static_cast<std::uint8_t>(0x40U | size / 4);
    return size;
}

/// Length, place among the fragments, and checksum.
void finish_header(std::uint8_t* ip, std::uint32_t header, std::uint32_t packet, std::uint32_t place) noexcept {
    store_be16(ip + ipv4::kTotalLength, static_cast<std::uint16_t>(packet));
    store_be16(ip + ipv4::kFragment, static_cast<std::uint16_t>(place));
    store_raw16(ip + ipv4::kChecksum, ipv4_header_checksum(ip, header));
}

}  // namespace

Fragment read_fragment(const std::uint8_t* frame, const ParsedPacket& parsed) noexcept {
    const std::uint8_t* ip = frame + parsed.l2_length;
    Fragment fragment{};
    if (parsed.has_v4) {
        const std::uint16_t place = load_be16(ip + ipv4::kFragment);
        fragment.id = load_be16(ip + ipv4::kIdentification);
        fragment.offset = (place & ipv4::kFragmentOffset) * 8U;
        fragment.more = (place & ipv4::kMoreFragments) != 0;
        fragment.length = parsed.l4_length();
        // RFC 3128: it would lie over the header that was looked at.
        if (parsed.protocol == protocol::kTcp && fragment.offset != 0 && fragment.offset < tcp::kHeaderSize) {
            fragment.reason = DropReason::fragment_tiny;
        }
    } else {
        const std::uint32_t header = parsed.fragment_header * 8U;
        const std::uint16_t place = load_be16(ip + header + kExtensionPlace);
        fragment.id = load_be32(ip + header + kExtensionId);
        fragment.offset = place & 0xfff8U;
        fragment.more = (place & 1U) != 0;
        fragment.length = parsed.l3_length - header - static_cast<std::uint32_t>(kExtensionSize);
    }
    if (fragment.length == 0 || (fragment.more && fragment.length % 8 != 0) || fragment.end() > kLongestDatagram) {
        fragment.reason = DropReason::fragment_bad;
    }
    return fragment;
}

void set_fragment_id(std::uint8_t* frame, const ParsedPacket& parsed, std::uint32_t id) noexcept {
    if (!parsed.has_v4) {
        store_be32(fragment_header_of(frame, parsed) + kExtensionId, id);
        return;
    }
    std::uint8_t* ip = frame + parsed.l2_length;
    const std::uint16_t raw = swap_if_little(static_cast<std::uint16_t>(id));
    const std::uint16_t delta = change(load_raw16(ip + ipv4::kIdentification), raw);
    store_raw16(ip + ipv4::kIdentification, raw);
    store_raw16(ip + ipv4::kChecksum, apply(load_raw16(ip + ipv4::kChecksum), delta));
}

void rewrite_following(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV4& out,
                       std::uint32_t id) noexcept {
    std::uint8_t* ip = frame + parsed.l2_length;
    set_fragment_id(frame, parsed, id);
    FiveTupleV4 from{};
    from.source = load_raw32(ip + ipv4::kSource);
    from.destination = load_raw32(ip + ipv4::kDestination);
    const std::uint16_t addresses = delta_between(from, out).addresses;
    const std::uint16_t before = load_raw16(ip + ipv4::kTtl);
    --ip[ipv4::kTtl];
    const std::uint16_t delta = add_sums(addresses, change(before, load_raw16(ip + ipv4::kTtl)));
    store_raw16(ip + ipv4::kChecksum, apply(load_raw16(ip + ipv4::kChecksum), delta));
    store_raw32(ip + ipv4::kSource, out.source);
    store_raw32(ip + ipv4::kDestination, out.destination);
}

void rewrite_following(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV6& out,
                       std::uint32_t id) noexcept {
    std::uint8_t* ip = frame + parsed.l2_length;
    set_fragment_id(frame, parsed, id);
    --ip[ipv6::kHopLimit];
    std::memcpy(ip + ipv6::kSource, out.source.data(), 16);
    std::memcpy(ip + ipv6::kDestination, out.destination.data(), 16);
}

PartPlan plan_parts(const std::uint8_t* ip, std::uint32_t length, std::uint32_t mtu) noexcept {
    PartPlan plan;
    std::array<std::uint8_t, 60> later;
    plan.header = (ip[ipv4::kVersionIhl] & 0x0fU) * 4U;
    plan.later_header = copied_header(ip, plan.header, later);
    if (mtu < plan.header + 8 || length <= mtu) return plan;
    plan.total = length - plan.header;
    plan.data = (mtu - plan.header) / 8 * 8;
    plan.later_data = (mtu - plan.later_header) / 8 * 8;
    // The last part takes what fits, a multiple of 8 or not.
    const std::uint32_t rest = plan.total - plan.data;
    const std::uint32_t last = mtu - plan.later_header;
    const std::uint32_t full = rest <= last ? 0 : (rest - last + plan.later_data - 1) / plan.later_data;
    if (2 + full <= kMostParts) plan.parts = 2 + full;
    return plan;
}

void write_part_header(std::span<std::uint8_t> out, const std::uint8_t* ip, const PartPlan& plan,
                       std::uint32_t part) noexcept {
    std::array<std::uint8_t, 60> header;
    copied_header(ip, plan.header, header);
    std::memcpy(out.data(), header.data(), plan.later_header);
    // Of a fragment the parts stand where it stood, and only its own last may be the last.
    const std::uint16_t place = load_be16(ip + ipv4::kFragment);
    const std::uint32_t more = part + 1 < plan.parts ? ipv4::kMoreFragments : place & ipv4::kMoreFragments;
    finish_header(out.data(), plan.later_header, plan.packet(part),
                  more | ((place & ipv4::kFragmentOffset) + plan.offset(part) / 8));
}

void write_first_part(std::uint8_t* ip, const PartPlan& plan) noexcept {
    const std::uint16_t place = load_be16(ip + ipv4::kFragment);
    finish_header(ip, plan.header, plan.packet(0),
                  std::uint32_t{ipv4::kMoreFragments} | (place & ipv4::kFragmentOffset));
}

}  // namespace guideway::packet
