// Meter: a token bucket that is told its rate each time it is asked, so that the rate may change with the state and the memory may
// be somebody else's the next moment. SourceMeters: many of them, found by a hash of who asks, in memory that never grows.
//
// Terms:
//   share   of a rate that all workers have together: each worker enforces its own part, rate / workers rounded up. Workers get
//           connections by a hash of the client's five-tuple, so parts fill evenly where there are more than a few clients; nothing is
//           shared between workers, and nobody waits.
//   prefix  the part of a source address that counts: who has one address of it is taken to have all of them.
//
// Worked example: meter.take(now, 100, 100): a hundred pass at once, the next one 10 ms later. A prefix whose hash leads to the same
// meter as another's is not limited while the other's is in use: a flood from many invented sources must not use up an honest one's
// tokens. The limit of the whole service holds for it all the same.
// Thread contract: one thread.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace guideway::guard {

class Meter {
  public:
    /// Takes a token if there is one: at most `rate` a second (1..2^32-1), `burst` at once. Full when first asked.
    bool take(std::uint64_t now_ms, std::uint32_t rate, std::uint32_t burst) noexcept {
        const std::uint64_t most = std::uint64_t{burst} * kScale;
        if (last_ms_ == 0) {
            parts_ = most;
        } else if (now_ms > last_ms_) {
            // The cap keeps the product within 64 bits; any burst of at most an hour of its rate is full by then.
            parts_ += std::min(now_ms - last_ms_, kLongest) * rate;
        }
        parts_ = std::min(parts_, most);
        last_ms_ = std::max(now_ms, std::max(last_ms_, std::uint64_t{1}));
        if (parts_ < kScale) return false;
        parts_ -= kScale;
        return true;
    }

    /// Whether nobody asked for `ms`.
    bool idle(std::uint64_t now_ms, std::uint64_t ms) const noexcept { return last_ms_ + ms <= now_ms; }

  private:
    static constexpr std::uint64_t kScale = 1000;
    static constexpr std::uint64_t kLongest = 3'600'000;
    std::uint64_t parts_ = 0;  ///< thousandths of a token: slow rates gain something each millisecond
    std::uint64_t last_ms_ = 0;
};
static_assert(sizeof(Meter) == 16);

class SourceMeters {
  public:
    static constexpr std::size_t kMeters = 8192;  ///< 160 KiB
    static constexpr std::uint64_t kForgottenAfterMs = 1000;

    SourceMeters() : meters_(kMeters), owners_(kMeters) {}
    /// As Meter::take() with a second's burst. `hash`: 64 good bits of the source's prefix, and of what else is to be told apart; keyed with
    /// a secret. True also for who has no meter.
    bool take(std::uint64_t hash, std::uint64_t now_ms, std::uint32_t rate) noexcept {
        const std::size_t place = hash >> (64 - kBits);
        const auto owner = static_cast<std::uint32_t>(hash);
        if (owners_[place] != owner) {
            if (!meters_[place].idle(now_ms, kForgottenAfterMs)) return true;
            meters_[place] = {};
            owners_[place] = owner;
        }
        return meters_[place].take(now_ms, rate, rate);
    }

  private:
    static constexpr unsigned kBits = 13;
    static_assert(kMeters == 1U << kBits);
    std::vector<Meter> meters_;
    std::vector<std::uint32_t> owners_;  ///< the lower bits of the hash that has the meter
};

/// What one service allows in a second, all workers together; 0: as much as comes.
struct ServiceLimits {
    std::uint32_t new_connections = 0;
    std::uint32_t packets = 0;                     ///< of clients
    std::uint32_t new_connections_per_source = 0;  ///< of each prefix of sources

    bool any() const noexcept { return (new_connections | packets | new_connections_per_source) != 0; }
};

/// By service slot. A slot's next user may find the tokens of the one before: at most a second's.
struct ServiceMeters {
    Meter new_connections;
    Meter packets;
};

/// One worker's part of a rate above 0.
constexpr std::uint32_t share_of(std::uint32_t rate, std::uint32_t workers) noexcept {
    return rate / workers + (rate % workers != 0 ? 1 : 0);
}

}  // namespace guideway::guard
