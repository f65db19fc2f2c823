#include "dataplane/packet/neighbour_advertisement.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "dataplane/packet/answer_parts.h"
#include "dataplane/packet/rewrite.h"

namespace guideway::packet {
namespace {

bool is_solicited_node_of(const std::uint8_t* group, const std::uint8_t* target) noexcept {
    constexpr std::array<std::uint8_t, 13> kPrefix{0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff};
    return std::memcmp(group, kPrefix.data(), kPrefix.size()) == 0 && std::memcmp(group + 13, target + 13, 3) == 0;
}

/// Checks of RFC 4861 7.1.1; takes the source link-layer address into `asker` where there is one.
bool valid(const std::uint8_t* frame, const ParsedPacket& parsed, bool unspecified, MacAddress& asker) noexcept {
    const std::uint8_t* header = frame + parsed.l2_length;
    const std::uint8_t* message = frame + parsed.l4_offset;
    const std::uint32_t size = parsed.l4_length();
    if (parsed.ttl != 255 || message[icmp::kCode] != 0) return false;
    if (sum_of({message, size}, pseudo_sum_v6(header + ipv6::kSource, protocol::kIcmpv6, size)) != 0xffff) return false;
    if (parsed.v6.destination[0] == 0xff || parsed.v6.source[0] == 0xff) return false;
    const std::uint8_t* to = header + ipv6::kDestination;
    const bool to_group = is_solicited_node_of(to, parsed.v6.destination.data());
    if (!to_group && (unspecified || to[0] == 0xff)) return false;
    for (std::uint32_t at = icmpv6::kNeighbourSize; at < size;) {
        if (size - at < 8) return false;
        const std::uint32_t option = message[at + 1] * 8U;
        if (option == 0 || option > size - at) return false;
        if (message[at] == icmpv6::kSourceLinkLayerOption) {
            if (unspecified || option != kLinkLayerOptionSize) return false;
            std::memcpy(asker.data(), message + at + 2, asker.size());
        }
        at += option;
    }
    return (asker[0] & 1U) == 0;
}

}  // namespace

Answer build_neighbour_advertisement(std::uint8_t* frame, std::uint32_t length, std::uint32_t capacity,
                                     const ParsedPacket& parsed, const MacAddress& mac) noexcept {
    if (parsed.kind != PacketKind::neighbour_solicitation) return {};
    const bool unspecified =
        std::all_of(parsed.v6.source.begin(), parsed.v6.source.end(), [](auto b) { return b == 0; });
    MacAddress asker;
    std::memcpy(asker.data(), frame + ethernet::kSource, asker.size());
    if (parsed.end() > length || !valid(frame, parsed, unspecified, asker)) return {0, observe::DropReason::ndp_bad};
    const std::uint32_t answer_length = parsed.l2_length + kAdvertisementSize;
    if (answer_length > capacity) return {0, observe::DropReason::mbuf_exhausted};

    const auto target = parsed.v6.destination;
    const auto to = unspecified ? kAllNodes : parsed.v6.source;
    set_ethernet(frame, unspecified ? kAllNodesMac : asker, mac);
    const auto flags =
        unspecified ? icmpv6::kOverride : static_cast<std::uint8_t>(icmpv6::kSolicited | icmpv6::kOverride);
    write_advertisement(frame + parsed.l2_length, target, to, flags, mac);
    return {answer_length};
}

}  // namespace guideway::packet
