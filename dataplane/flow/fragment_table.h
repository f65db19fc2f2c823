// FragmentTable: what a worker knows of datagrams that come in fragments, and the fragments that came before their first.
//
// Terms:
//   datagram  named by source, destination, identification and (IPv4) protocol.
//   waiting   its first fragment has not come: what came is held, in the order of arrival.
//   settled   it has: others go where it went.
//   piece     place of a fragment in its datagram, in bytes. A datagram may have kMostPieces: 65,535 bytes at an MTU of 576.
//
// Waiting and settled datagrams have half of the places each, so that a flood of one kind leaves the other alone; in each half the
// oldest gives way. Nothing is allocated after construction, and no step takes longer for a fuller table.
//
// Worked example, the second of two fragments comes first:
//   Datagram* d = table.find(key);                        // null
//   d = &table.add(key, now);                             // waiting
//   table.note(*d, {1480, 520, false});                   // fresh
//   table.hold(*d, mbuf, bytes);
//   ... the first: table.note(*d, {0, 1480, true}); table.settle(*d, now); table.take(*d) == mbuf; table.complete(*d)
//
// Where add() or settle() would be too much the caller removes oldest() before (room()): only it knows what becomes of the fragments.
// Thread contract: one worker's.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>
#include <vector>

#include "dataplane/flow/hash.h"

namespace guideway::flow {

struct DatagramKey {
    std::array<std::uint8_t, 16> source{};  ///< IPv4: the first four bytes, then zeros
    std::array<std::uint8_t, 16> destination{};
    std::uint32_t id = 0;
    std::uint8_t protocol = 0;  ///< IPv4 only
    std::uint8_t is_v6 = 0;
    std::array<std::uint8_t, 2> zero{};  ///< hashed and compared as bytes

    friend bool operator==(const DatagramKey& a, const DatagramKey& b) noexcept {
        return std::memcmp(&a, &b, sizeof a) == 0;
    }
};
static_assert(sizeof(DatagramKey) == 40 && std::has_unique_object_representations_v<DatagramKey>);

inline std::uint64_t hash_datagram(const DatagramKey& key, const HashKeys& keys) noexcept {
    return hash_words(detail::words_of<5>(&key), keys);
}

/// The worker that gathers a datagram's fragments: the same for all, whichever worker receives them.
inline std::uint32_t gatherer_of(const DatagramKey& key, std::uint32_t workers) noexcept {
    return static_cast<std::uint32_t>((hash_datagram(key, kSelectionKeys) >> 32) * workers >> 32);
}

struct Piece {
    std::uint32_t offset = 0;
    std::uint32_t length = 0;  ///< above 0; offset + length at most 65,535
    bool more = false;
    std::uint32_t end() const noexcept { return offset + length; }
};

/// How the datagram goes on: the first fragment's, as the flow engine decided.
struct Translation {
    std::array<std::uint8_t, 16> source{};  ///< of what leaves; as in the key
    std::array<std::uint8_t, 16> destination{};
    std::uint64_t flow = 0;  ///< the connection's, of the first fragment: all of a datagram go by one router
    std::uint32_t id = 0;
    std::uint32_t service_slot = 0;
    std::uint32_t backend_slot = 0;
    std::uint32_t service_incarnation = 0;
    std::uint32_t backend_incarnation = 0;
    std::uint32_t half = 0;
    std::uint16_t next_hop = 0xffff;  ///< the first fragment's, as in a FlowEntry; 0xffff: to be looked up
    std::uint16_t routing_epoch = 0;
    bool last_hop = false;  ///< FlowEntry's kLastHop is meant
};

template <typename Packet>
class FragmentTable {
  public:
    static constexpr std::uint32_t kMostPieces = 128;
    static constexpr std::uint32_t kNone = ~std::uint32_t{0};

    enum class State : std::uint8_t { waiting, settled };
    enum class Verdict : std::uint8_t {
        fresh,
        duplicate,  ///< the very piece was there (RFC 8200 4.5: to be ignored)
        overlap,    ///< contradicts others: from now on no piece of the datagram is fresh (RFC 5722)
        too_many,
    };

    struct Datagram {
        DatagramKey key;
        State state = State::waiting;
        bool spoilt = false;      ///< by an overlap
        bool translated = false;  ///< `out` is valid
        std::uint32_t owner = 0;  ///< the worker that has its connection; settled ones only
        std::uint64_t since_ms = 0;
        std::uint32_t bytes = 0;  ///< of all pieces
        std::uint32_t end = 0;    ///< the last piece's; 0: not known
        std::uint32_t held_first = kNone, held_last = kNone;
        std::uint32_t next = kNone;  ///< in the bucket, or among the free
        std::uint32_t older = kNone, newer = kNone;
        std::uint32_t count = 0;  ///< pieces
        Translation out;
        struct Span {
            std::uint16_t offset, length;
        };
        std::array<Span, kMostPieces> pieces;  ///< by offset
    };

    /// At most `datagrams` (at least 2), and `held_bytes` of packets. `packets` bounds their number.
    FragmentTable(std::uint32_t datagrams, std::uint64_t held_bytes, std::uint32_t packets, const HashKeys& keys)
        : keys_(keys),
          capacity_(std::max<std::uint32_t>(datagrams, 2)),
          most_held_(held_bytes),
          datagrams_(new Datagram[capacity_]),
          buckets_(std::bit_ceil(capacity_), kNone),
          held_(packets) {
        for (std::uint32_t i = 0; i < capacity_; ++i) datagrams_[i].next = i + 1 < capacity_ ? i + 1 : kNone;
        for (std::uint32_t i = 0; i < packets; ++i) held_[i].next = i + 1 < packets ? i + 1 : kNone;
        free_held_ = packets != 0 ? 0 : kNone;
    }

    std::uint32_t size() const noexcept { return list(State::waiting).size + list(State::settled).size; }
    std::uint32_t size(State state) const noexcept { return list(state).size; }
    std::uint32_t capacity() const noexcept { return capacity_; }
    std::uint64_t held_bytes() const noexcept { return held_bytes_; }
    std::uint32_t held_packets() const noexcept { return held_packets_; }

    Datagram* find(const DatagramKey& key) noexcept {
        for (std::uint32_t i = buckets_[bucket(key)]; i != kNone; i = datagrams_[i].next) {
            if (datagrams_[i].key == key) return &datagrams_[i];
        }
        return nullptr;
    }

    /// Whether one more may be in that state.
    bool room(State state) const noexcept { return list(state).size < capacity_ / 2; }
    /// Null where there is none.
    Datagram* oldest(State state) noexcept {
        const std::uint32_t first = list(state).oldest;
        return first == kNone ? nullptr : &datagrams_[first];
    }

    /// Needs room(state); `key` must not be there.
    Datagram& add(const DatagramKey& key, State state, std::uint64_t now_ms) noexcept {
        const std::uint32_t index = free_;
        Datagram& datagram = datagrams_[index];
        free_ = datagram.next;
        std::uint32_t& head = buckets_[bucket(key)];
        datagram.key = key;
        datagram.spoilt = datagram.translated = false;
        datagram.bytes = datagram.end = datagram.count = 0;
        datagram.held_first = datagram.held_last = kNone;
        datagram.next = head;
        head = index;
        append(index, state, now_ms);
        return datagram;
    }

    /// The first has come, or comes again: it is the newest of the settled. Needs room(settled) where it was waiting.
    void settle(Datagram& datagram, std::uint64_t now_ms) noexcept {
        unlink(index_of(datagram));
        append(index_of(datagram), State::settled, now_ms);
    }

    /// Nothing of it may be held.
    void remove(Datagram& datagram) noexcept {
        const std::uint32_t index = index_of(datagram);
        unlink(index);
        std::uint32_t* at = &buckets_[bucket(datagram.key)];
        while (*at != index) at = &datagrams_[*at].next;
        *at = datagram.next;
        datagram.next = free_;
        free_ = index;
    }

    Verdict note(Datagram& datagram, const Piece& piece) noexcept {
        if (datagram.spoilt) return Verdict::overlap;
        auto* const begin = datagram.pieces.data();
        auto* const end = begin + datagram.count;
        auto* const at =
            std::lower_bound(begin, end, piece.offset,
                             [](const auto& span, std::uint32_t offset) noexcept { return span.offset < offset; });
        const bool known_end = datagram.end != 0;
        if (at != end && at->offset == piece.offset && at->length == piece.length &&
            piece.more == !(known_end && piece.end() == datagram.end)) {
            return Verdict::duplicate;
        }
        const bool over_next = at != end && at->offset < piece.end();
        const bool over_previous = at != begin && std::uint32_t{at[-1].offset} + at[-1].length > piece.offset;
        const bool beyond = known_end && (piece.end() > datagram.end || !piece.more);
        const bool not_last = !piece.more && at != end;
        if (over_next || over_previous || beyond || not_last) {
            datagram.spoilt = true;
            return Verdict::overlap;
        }
        if (datagram.count == kMostPieces) return Verdict::too_many;
        std::move_backward(at, end, end + 1);
        *at = {static_cast<std::uint16_t>(piece.offset), static_cast<std::uint16_t>(piece.length)};
        ++datagram.count;
        datagram.bytes += piece.length;
        if (!piece.more) datagram.end = piece.end();
        return Verdict::fresh;
    }

    /// All of it has been noted.
    static bool complete(const Datagram& datagram) noexcept {
        return datagram.end != 0 && datagram.bytes == datagram.end && !datagram.spoilt;
    }

    /// Whether a packet of this many bytes may be held.
    bool room_to_hold(std::uint32_t bytes) const noexcept {
        return free_held_ != kNone && held_bytes_ + bytes <= most_held_;
    }
    /// Needs room_to_hold(bytes).
    void hold(Datagram& datagram, Packet packet, std::uint32_t bytes) noexcept {
        const std::uint32_t slot = free_held_;
        free_held_ = held_[slot].next;
        held_[slot] = {packet, bytes, kNone};
        if (datagram.held_last == kNone) {
            datagram.held_first = slot;
        } else {
            held_[datagram.held_last].next = slot;
        }
        datagram.held_last = slot;
        held_bytes_ += bytes;
        ++held_packets_;
    }
    /// The one held longest, which is the caller's then; false where none is.
    bool take(Datagram& datagram, Packet& packet) noexcept {
        const std::uint32_t slot = datagram.held_first;
        if (slot == kNone) return false;
        packet = held_[slot].packet;
        datagram.held_first = held_[slot].next;
        if (datagram.held_first == kNone) datagram.held_last = kNone;
        held_bytes_ -= held_[slot].bytes;
        --held_packets_;
        held_[slot].next = free_held_;
        free_held_ = slot;
        return true;
    }

  private:
    struct List {
        std::uint32_t oldest = kNone, newest = kNone, size = 0;
    };
    struct Held {
        Packet packet{};
        std::uint32_t bytes = 0;
        std::uint32_t next = kNone;
    };

    List& list(State state) noexcept { return lists_[static_cast<std::size_t>(state)]; }
    const List& list(State state) const noexcept { return lists_[static_cast<std::size_t>(state)]; }
    std::uint32_t index_of(const Datagram& datagram) const noexcept {
        return static_cast<std::uint32_t>(&datagram - datagrams_.get());
    }
    std::size_t bucket(const DatagramKey& key) const noexcept {
        return static_cast<std::size_t>(hash_datagram(key, keys_) >> 32) & (buckets_.size() - 1);
    }

    void append(std::uint32_t index, State state, std::uint64_t now_ms) noexcept {
        List& to = list(state);
        Datagram& datagram = datagrams_[index];
        datagram.state = state;
        datagram.since_ms = now_ms;
        datagram.older = to.newest;
        datagram.newer = kNone;
        (to.newest == kNone ? to.oldest : datagrams_[to.newest].newer) = index;
        to.newest = index;
        ++to.size;
    }
    void unlink(std::uint32_t index) noexcept {
        Datagram& datagram = datagrams_[index];
        List& from = list(datagram.state);
        (datagram.older == kNone ? from.oldest : datagrams_[datagram.older].newer) = datagram.newer;
        (datagram.newer == kNone ? from.newest : datagrams_[datagram.newer].older) = datagram.older;
        --from.size;
    }

    HashKeys keys_;
    std::uint32_t capacity_;
    std::uint64_t most_held_;
    std::unique_ptr<Datagram[]> datagrams_;  // NOLINT: not value-initialised, most of it is pieces
    std::vector<std::uint32_t> buckets_;
    std::vector<Held> held_;
    std::array<List, 2> lists_;
    std::uint32_t free_ = 0;
    std::uint32_t free_held_ = kNone;
    std::uint64_t held_bytes_ = 0;
    std::uint32_t held_packets_ = 0;
};

}  // namespace guideway::flow
