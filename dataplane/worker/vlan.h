// VLAN tags of frames in packet buffers: off when they come, on when they leave.
//
// Terms:
//   tag           four bytes behind the two MAC addresses: 0x8100 (802.1Q) or 0x88a8 (802.1ad), then priority and VLAN ID.
//   priority tag  one with VLAN ID 0: it tells a priority, the frame is untagged.
// What the outer tag's type is does not matter on receipt: AF_PACKET tells the ID alone, and some switches use 0x8100 twice.
//
// Worked example: [MACs 88a8 000a 8100 00c8 0800 ...] -> {outer 10, id 200} and [MACs 0800 ...], which begins 8 bytes further on.
//
// Thread contract: one worker's buffers.
#pragma once

#include <cstdint>
#include <cstring>

#include <rte_mbuf.h>

#include "dataplane/packet/wire.h"
#include "dataplane/worker/plumbing.h"

namespace guideway::worker::vlan {

inline constexpr std::uint32_t kTag = 4;
inline constexpr std::uint32_t kAddresses = packet::ethernet::kType;  ///< both MAC addresses' bytes
inline constexpr std::uint16_t kIdBits = 0x0fff;

/// What no VLAN has: a third tag.
inline constexpr VlanTags kTooMany{0xffff, 0xffff};

/// Frames too short for what they promise stay as they are.
inline VlanTags take_off(rte_mbuf* mbuf) noexcept {
    using packet::load_be16;
    VlanTags tags;
    unsigned count = 0;
    const auto add = [&](std::uint16_t tci) {
        ++count;
        const std::uint16_t id = tci & kIdBits;
        if (id == 0) return;
        tags.outer = tags.id;
        tags.id = id;
    };
    // What the driver took off: the outer tag of two, then the other or the only one.
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_QINQ_STRIPPED) != 0) add(mbuf->vlan_tci_outer);
    if ((mbuf->ol_flags & RTE_MBUF_F_RX_VLAN_STRIPPED) != 0) add(mbuf->vlan_tci);
    mbuf->ol_flags &= ~std::uint64_t{RTE_MBUF_F_RX_VLAN_STRIPPED | RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_QINQ_STRIPPED |
                                     RTE_MBUF_F_RX_QINQ};
    auto* frame = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
    const std::uint32_t length = rte_pktmbuf_data_len(mbuf);
    std::uint32_t cut = 0;
    while (count <= 2 && length >= packet::ethernet::kHeaderSize + cut + kTag) {
        const std::uint16_t type = load_be16(frame + kAddresses + cut);
        if (type != packet::ethernet::kTypeVlan && type != packet::ethernet::kTypeQinq) break;
        add(load_be16(frame + kAddresses + cut + 2));
        cut += kTag;
    }
    if (count > 2) return kTooMany;
    if (cut != 0) {
        std::memmove(frame + cut, frame, kAddresses);
        rte_pktmbuf_adj(mbuf, static_cast<std::uint16_t>(cut));
    }
    return tags;
}

/// False, and nothing done: no room in front of the frame.
inline bool put_in_front(rte_mbuf* mbuf, const VlanTags& tags) noexcept {
    const std::uint32_t bytes = tags.bytes();
    const auto* old = rte_pktmbuf_mtod(mbuf, const std::uint8_t*);
    auto* frame = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_prepend(mbuf, static_cast<std::uint16_t>(bytes)));
    if (frame == nullptr) return false;
    std::memmove(frame, old, kAddresses);
    std::uint8_t* at = frame + kAddresses;
    if (tags.outer != 0) {
        packet::store_be16(at, packet::ethernet::kTypeQinq);
        packet::store_be16(at + 2, tags.outer);
        at += kTag;
    }
    packet::store_be16(at, packet::ethernet::kTypeVlan);
    packet::store_be16(at + 2, tags.id);
    return true;
}

}  // namespace guideway::worker::vlan
