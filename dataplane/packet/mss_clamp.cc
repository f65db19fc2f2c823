#include "dataplane/packet/mss_clamp.h"

#include <algorithm>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/wire.h"

namespace guideway::packet {
namespace {

/// The sum's word that a 16-bit value stands for at `at`: its bytes change places at odd offsets.
std::uint16_t summed(std::uint16_t raw, std::uint32_t offset) noexcept {
    return (offset & 1U) == 0 ? raw : static_cast<std::uint16_t>(raw << 8 | raw >> 8);
}

}  // namespace

std::uint16_t largest_segment(std::uint32_t mtu, bool is_v4) noexcept {
    const std::uint32_t headers =
        static_cast<std::uint32_t>((is_v4 ? ipv4::kHeaderSize : ipv6::kHeaderSize) + tcp::kHeaderSize);
    return static_cast<std::uint16_t>(std::clamp<std::uint32_t>(mtu > headers ? mtu - headers : 1, 1, 0xffff));
}

bool clamp_mss(std::uint8_t* frame, const ParsedPacket& parsed, std::uint16_t largest) noexcept {
    std::uint8_t* header = frame + parsed.l4_offset;
    const std::uint32_t end = (header[tcp::kDataOffset] >> 4) * 4U;  // within the packet: parse()
    bool changed = false;
    for (std::uint32_t at = tcp::kHeaderSize; at < end;) {
        const std::uint8_t kind = header[at];
        if (kind == tcp::kOptionEnd) break;
        if (kind == tcp::kOptionNothing) {
            ++at;
            continue;
        }
        if (at + 1 >= end) break;
        const std::uint8_t size = header[at + 1];
        if (size < 2 || size > end - at) break;
        if (kind == tcp::kOptionMss && size == tcp::kOptionMssSize && load_be16(header + at + 2) > largest) {
            const std::uint16_t before = summed(load_raw16(header + at + 2), at);
            store_be16(header + at + 2, largest);
            const std::uint16_t after = summed(load_raw16(header + at + 2), at);
            const std::uint16_t delta = add_sums(after, static_cast<std::uint16_t>(~before));
            store_raw16(header + tcp::kChecksum, apply(load_raw16(header + tcp::kChecksum), delta));
            changed = true;
        }
        at += size;
    }
    return changed;
}

}  // namespace guideway::packet
