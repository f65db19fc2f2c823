// CoarseClock: milliseconds since the machine's boot, read without a system call, going on over a restart of the process.
//
// Entries of connections outlive the process (persist/flow_file.h) and hold times, so the clock of the next process must go on
// where that of the last one stopped. A cycle counter alone does not: each process measures its frequency anew, and 10 parts in
// a million are 26 seconds a month. So the clock is anchored to CLOCK_BOOTTIME and runs by cycles in between.
//
// Terms:
//   anchor   a pair (boot milliseconds, cycles) read together. A new one now and then (wants_anchor()) keeps the
//            error of the frequency from adding up.
//   held     where an anchor, or the cycle counter, says earlier than what was told already, the clock stands until
//            it is caught up with: it never goes back.
//
// Worked example, 2 GHz: anchored at (5000 ms, 1'000'000 cycles): now_ms(3'000'000) = 5001.
// Thread contract: one thread, each worker its own. now_ms() is for the poll path: one comparison a call, one division
// each millisecond.
#pragma once

#include <algorithm>
#include <cstdint>

namespace guideway::worker {

class CoarseClock {
  public:
    static constexpr std::uint64_t kAnchorIntervalMs = 10'000;

    /// `cycles_a_second` at least 1000.
    CoarseClock(std::uint64_t boot_ms, std::uint64_t cycles, std::uint64_t cycles_a_second)
        : cycles_a_ms_(std::max<std::uint64_t>(1, cycles_a_second / 1000)), now_ms_(boot_ms) {
        anchor(boot_ms, cycles);
    }

    std::uint64_t now_ms(std::uint64_t cycles) noexcept {
        // Signed: a counter that is a little behind the anchor (another core's) is no time at all, not an age.
        const auto gone = static_cast<std::int64_t>(cycles - anchor_cycles_);
        if (gone < next_ms_at_) [[likely]]
            return now_ms_;
        const std::uint64_t passed = static_cast<std::uint64_t>(gone) / cycles_a_ms_;
        next_ms_at_ = static_cast<std::int64_t>((passed + 1) * cycles_a_ms_);
        now_ms_ = std::max(now_ms_, anchor_ms_ + passed);
        return now_ms_;
    }

    /// Time for anchor(): another kAnchorIntervalMs have gone, or the counter has jumped back far.
    bool wants_anchor(std::uint64_t cycles) const noexcept {
        const auto gone = static_cast<std::int64_t>(cycles - anchor_cycles_);
        const auto interval = static_cast<std::int64_t>(kAnchorIntervalMs * cycles_a_ms_);
        return gone >= interval || gone < -interval;
    }
    void anchor(std::uint64_t boot_ms, std::uint64_t cycles) noexcept {
        anchor_ms_ = boot_ms;
        anchor_cycles_ = cycles;
        next_ms_at_ = 0;
    }

  private:
    std::uint64_t cycles_a_ms_;
    std::uint64_t anchor_ms_ = 0;
    std::uint64_t anchor_cycles_ = 0;
    std::int64_t next_ms_at_ = 0;  ///< cycles after the anchor at which the next millisecond begins
    std::uint64_t now_ms_;         ///< told last
};

}  // namespace guideway::worker
