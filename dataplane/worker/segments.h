// Frames in several packet buffers, as NICs bring jumbo frames: what of them may be touched where it lies, and what is not.
//
// Terms:
//   segment  one of a frame's buffers.
//   front    the first segment's bytes: the whole frame, or at least kFront of it. All that is parsed, rewritten or quoted lies there.
//
// Worked example: a NIC brings 9014 bytes in buffers of 2048. gather_front() finds the first full; its headers are read and rewritten
// where they lie, and the buffers leave as they came. Of a driver that gives headers a buffer of their own gather_front() fills
// that up from the next. What goes over every byte (Whole) works on a copy: checksums of packets that open something, SCTP's, pings.
//
// Thread contract: one thread's buffers.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include <rte_mbuf.h>

#include "dataplane/packet/icmp_answer.h"

namespace guideway::worker::segments {

/// Two tags, and the most that is quoted. Headers end before: two times IPv6 with its extensions, ICMP and TCP are 642 bytes.
inline constexpr std::uint32_t kFront = 14 + 8 + packet::kIcmpAnswerMaxV6;
/// The longest IP packet behind two tags. What a frame has behind that is padding.
inline constexpr std::uint32_t kLongestFrame = 14 + 8 + 40 + 65535;

/// Of a frame whose tags are about to go.
inline constexpr std::uint32_t kFrontAndTags = kFront + 8;

/// Makes the first segment as full as it gets. False where it still holds less than the front: not a frame to work on.
inline bool gather_front(rte_mbuf* head, std::uint32_t front = kFront) noexcept {
    while (head->nb_segs > 1) {
        rte_mbuf* next = head->next;
        const std::uint16_t part = std::min(rte_pktmbuf_tailroom(head), next->data_len);
        if (part != 0) {
            std::memcpy(rte_pktmbuf_mtod_offset(head, std::byte*, head->data_len),
                        rte_pktmbuf_mtod(next, const std::byte*), part);
            head->data_len = static_cast<std::uint16_t>(head->data_len + part);
            next->data_off = static_cast<std::uint16_t>(next->data_off + part);
            next->data_len = static_cast<std::uint16_t>(next->data_len - part);
        }
        if (next->data_len != 0) break;
        head->next = next->next;
        --head->nb_segs;
        rte_pktmbuf_free_seg(next);
    }
    return head->nb_segs == 1 || head->data_len >= front;
}

/// The frame ends behind its first `length` bytes, which it has.
inline void cut_to(rte_mbuf* head, std::uint32_t length) noexcept {
    head->pkt_len = length;
    rte_mbuf* last = head;
    std::uint16_t kept = 1;
    for (; last->data_len < length; ++kept) {
        length -= last->data_len;
        last = last->next;
    }
    last->data_len = static_cast<std::uint16_t>(length);
    for (rte_mbuf* behind = std::exchange(last->next, nullptr); behind != nullptr;)
        rte_pktmbuf_free_seg(std::exchange(behind, behind->next));
    head->nb_segs = kept;
}

/// The frame's beginning to `out`, as much as there is and fits; how much.
inline std::uint32_t copy(const rte_mbuf* head, std::span<std::uint8_t> out) noexcept {
    std::size_t done = 0;
    for (const rte_mbuf* segment = head; segment != nullptr && done < out.size(); segment = segment->next) {
        const std::size_t part = std::min<std::size_t>(segment->data_len, out.size() - done);
        std::memcpy(out.data() + done, rte_pktmbuf_mtod(segment, const std::uint8_t*), part);
        done += part;
    }
    return static_cast<std::uint32_t>(done);
}

/// A frame of these bytes, in as many buffers as it takes; null where there are not enough.
inline rte_mbuf* frame_of(rte_mempool* pool, std::span<const std::uint8_t> bytes) noexcept {
    rte_mbuf* head = rte_pktmbuf_alloc(pool);
    for (rte_mbuf* last = head; last != nullptr;) {
        const auto part = static_cast<std::uint16_t>(std::min<std::size_t>(bytes.size(), rte_pktmbuf_tailroom(last)));
        std::memcpy(rte_pktmbuf_mtod(last, std::uint8_t*), bytes.data(), part);
        last->data_len = part;
        head->pkt_len += part;
        bytes = bytes.subspan(part);
        if (bytes.empty()) return head;
        last->next = rte_pktmbuf_alloc(pool);
        last = last->next;
        if (last != nullptr) ++head->nb_segs;
    }
    rte_pktmbuf_free(head);
    return nullptr;
}

/// What its buffers take of the pool, in bytes.
inline std::uint32_t bytes_held(const rte_mbuf* head) noexcept {
    std::uint32_t bytes = 0;
    for (const rte_mbuf* segment = head; segment != nullptr; segment = segment->next) bytes += segment->buf_len;
    return bytes;
}

/// Room for a copy of any frame.
class Desk {
  public:
    Desk() : bytes_(kLongestFrame) {}
    std::span<std::uint8_t> room() noexcept { return bytes_; }

  private:
    std::vector<std::uint8_t> bytes_;
};

/// A frame in one piece: where it lies, or a copy of one in several segments, without the padding beyond kLongestFrame. One at a time.
class Whole {
  public:
    Whole(rte_mbuf* mbuf, Desk& desk) noexcept : mbuf_(mbuf) {
        if (mbuf->nb_segs == 1) [[likely]] {
            bytes_ = rte_pktmbuf_mtod(mbuf, std::uint8_t*);
            length_ = mbuf->data_len;
        } else {
            bytes_ = desk.room().data();
            length_ = copy(mbuf, desk.room());
        }
    }
    std::uint8_t* bytes() const noexcept { return bytes_; }
    std::uint32_t length() const noexcept { return length_; }
    /// What was written into the front becomes the frame's.
    void put_back() const noexcept {
        if (mbuf_->nb_segs == 1) [[likely]]
            return;
        std::memcpy(rte_pktmbuf_mtod(mbuf_, std::uint8_t*), bytes_, std::min<std::uint32_t>(mbuf_->data_len, length_));
    }

  private:
    rte_mbuf* mbuf_;
    std::uint8_t* bytes_;
    std::uint32_t length_;
};

}  // namespace guideway::worker::segments
