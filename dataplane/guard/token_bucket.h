// TokenBucket: at most `rate` events a second on average, at most `burst` at once. No syscall, no lock: the
// caller gives the time, any monotonic count of milliseconds.
//
// Worked example, rate 1000 a second, burst 200: full at start, 200 refusals pass at once, the 201st does
// not; one millisecond later there is room for one more, 200 ms later the bucket is full again. Thread
// contract: one thread.
#pragma once

#include <algorithm>
#include <cstdint>

namespace guideway::guard {

class TokenBucket {
  public:
    /// Rate 0 lets nothing pass.
    TokenBucket(std::uint32_t rate_per_second, std::uint32_t burst) noexcept
        : rate_(rate_per_second), burst_(std::uint64_t{burst} * kScale), tokens_(rate_per_second == 0 ? 0 : burst_) {}

    /// Takes a token if there is one. `now_ms` never goes back (where it does, nothing is added).
    bool take(std::uint64_t now_ms) noexcept {
        if (now_ms > last_ms_) {
            // A token is kScale parts, so that slow rates gain something each millisecond. Past kLongest any
            // bucket whose burst is at most an hour of its rate is full; capping keeps the product within 64
            // bits.
            const std::uint64_t elapsed = std::min(now_ms - last_ms_, kLongest);
            tokens_ = std::min(burst_, tokens_ + elapsed * rate_);
            last_ms_ = now_ms;
        }
        if (tokens_ < kScale) return false;
        tokens_ -= kScale;
        return true;
    }

  private:
    static constexpr std::uint64_t kScale = 1000;
    static constexpr std::uint64_t kLongest = 3'600'000;
    std::uint64_t rate_;    ///< parts a millisecond = tokens a second
    std::uint64_t burst_;   ///< parts
    std::uint64_t tokens_;  ///< parts
    std::uint64_t last_ms_ = 0;
};

}  // namespace guideway::guard
