// Burst: the packets that go through the stages together, so that a prefetch in one stage is paid for by the next.
//
// Terms:
//   plain    packet/plain.h's shape: nearly all traffic. `plain_v4` and `plain_v6` hold their tuples, hashes and the flow
//            entries they seem to belong to, one behind the other.
//   general  every other packet, and plain ones that are found not to be a known connection's: `parsed[i]`, `hash[i]`. TCP, UDP
//            and SCTP in `flows`, the rest in `others`.
//   port     drivers leave the ethdev's number in mbuf->port; the port's index is written there for general packets only, and for
//            all where they may be of several: handed over, or of a port with VLANs.
//   miss     a flow packet that may open a connection: acted on after the others, so that what it needs is there by then.
// A stage takes packets out by listing them nowhere. Packets of one burst come from one place.
// Thread contract: one worker's; lives in its memory for ever, filled anew each time.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/balancing/service_table.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/packet/parse.h"
#include "dataplane/packet/plain.h"

struct rte_mbuf;

namespace guideway::worker {

inline constexpr std::uint16_t kMostBurst = 64;

/// Positions in a burst, in the order of arrival.
struct BurstList {
    std::array<std::uint8_t, kMostBurst> at;
    std::uint8_t count = 0;

    void clear() noexcept { count = 0; }
    void add(unsigned position) noexcept { at[count++] = static_cast<std::uint8_t>(position); }
    const std::uint8_t* begin() const noexcept { return at.data(); }
    const std::uint8_t* end() const noexcept { return at.data() + count; }
};

/// All that the stages want to know of a plain packet, side by side.
template <typename Tuple>
struct PlainSlot {
    packet::Plain<Tuple> packet;
    flow::FlowRef candidate;
    flow::FlowTablePlace place;
    rte_mbuf* mbuf;
    std::uint8_t* frame;
    std::uint32_t length;    ///< of the frame
    std::uint32_t position;  ///< in the burst
};
static_assert(sizeof(PlainSlot<packet::FiveTupleV4>) == 64);

/// In the order of arrival.
template <typename Tuple>
struct PlainSlots {
    std::array<PlainSlot<Tuple>, kMostBurst> at;
    std::uint32_t count = 0;

    PlainSlot<Tuple>* begin() noexcept { return at.data(); }
    PlainSlot<Tuple>* end() noexcept { return at.data() + count; }
};

/// What a miss is about to open, found while memory is fetched.
struct Opening {
    const balancing::ServiceEntry* service = nullptr;  ///< none: it is not known to open anything
    std::uint64_t selection = 0;                       ///< flow::selection_hash
};

struct Burst {
    std::array<rte_mbuf*, kMostBurst> mbuf;
    PlainSlots<packet::FiveTupleV4> plain_v4;
    PlainSlots<packet::FiveTupleV6> plain_v6;
    std::array<packet::ParsedPacket, kMostBurst> parsed;
    std::array<std::uint64_t, kMostBurst> hash;  ///< of the flow table; general flows only
    std::array<Opening, kMostBurst> opening;     ///< misses only
    BurstList flows;
    BurstList others;
    BurstList misses;
    std::uint16_t count = 0;
    std::uint16_t port = 0;    ///< index of the one they came from; where ports_named, of no meaning
    bool handed_over = false;  ///< by a peer: never handed over again
    bool ports_named = false;  ///< mbuf->port is the index already
};

}  // namespace guideway::worker
