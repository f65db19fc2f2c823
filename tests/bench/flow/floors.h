// Floors: what the same packets cost with less than a worker behind them, and what memory costs.
//
//   generator  received and freed at once
//   swap       addresses and ports exchanged in between (testpmd's 5tswap)
//   miss       one or two cache lines at random places of a memory read for each packet, each burst prefetched as a whole first
//
// Thread contract: the thread of the queue.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "tests/bench/flow/wire.h"

namespace guideway::bench {

/// Each: nanoseconds a packet over about `seconds`. The queue's sources must be in place.
double generator_floor(std::uint16_t queue, unsigned burst, double seconds);
double swap_floor(const Wire& wire, std::uint16_t queue, unsigned burst, double seconds);
double miss_floor(std::span<const std::byte> memory, unsigned lines, unsigned burst, double seconds);

}  // namespace guideway::bench
