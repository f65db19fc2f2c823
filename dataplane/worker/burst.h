// Burst: the packets that go through the stages together, so that a prefetch in one stage is paid for by the next.
//
// Terms: a packet is `mbuf[i]` with `parsed[i]`; `flows` lists the i of TCP, UDP and SCTP packets, `others` those of the rest.
// A stage takes packets out by listing them nowhere. Packets of one burst come from one place.
// Thread contract: one worker's; lives in its memory for ever, filled anew each time.
#pragma once

#include <array>
#include <cstdint>

#include "dataplane/packet/parse.h"

struct rte_mbuf;

namespace guideway::worker {

inline constexpr std::uint16_t kBurstSize = 32;

/// Positions in a burst, in the order of arrival.
struct BurstList {
    std::array<std::uint8_t, kBurstSize> at;
    std::uint8_t count = 0;

    void clear() noexcept { count = 0; }
    void add(unsigned position) noexcept { at[count++] = static_cast<std::uint8_t>(position); }
    const std::uint8_t* begin() const noexcept { return at.data(); }
    const std::uint8_t* end() const noexcept { return at.data() + count; }
};

struct Burst {
    std::array<rte_mbuf*, kBurstSize> mbuf;
    std::array<packet::ParsedPacket, kBurstSize> parsed;
    std::array<std::uint64_t, kBurstSize> hash;  ///< of the flow table; flows only
    BurstList flows;
    BurstList others;
    std::uint16_t count = 0;
    bool handed_over = false;  ///< by a peer: never handed over again
};

}  // namespace guideway::worker
