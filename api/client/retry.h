// When a call is tried again, and after what pause. Clock: time and chance as the client sees them; tests bring their own.
//
// The pause before try n+1 is chosen at random from the upper half of first * 2^n (bounded by `longest`), so that clients that lost
// one server together do not come back together ("equal jitter"); where the server said Retry-After, at least that.
// Thread contract: plain values; Backoff: one thread at a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <functional>
#include <optional>
#include <string_view>

namespace guideway::client {

using Milliseconds = std::chrono::milliseconds;

/// Null members: the real thing. `sleep` of a test may return at once and move its `now`.
struct Clock {
    std::function<std::chrono::steady_clock::time_point()> now = {};
    std::function<void(Milliseconds)> sleep = {};
    std::function<double()> random = {};  ///< in [0, 1)
};

/// One try's fate, as far as it matters to whether another may follow.
enum class Outcome {
    answered,     ///< with a status that is final
    not_sent,     ///< nobody took the request: safe for every method
    lost,         ///< sent, perhaps carried out, no answer: safe only where doing it twice is the same as once
    refused_now,  ///< 429: not carried out
    unavailable,  ///< 503: not carried out by this server; another between may say it after the fact
    failed,       ///< not by waiting (a certificate that is not trusted, a token file that cannot be read)
};

/// `repeatable`: doing it twice is the same as once (GET, PUT, DELETE).
constexpr bool may_repeat(Outcome outcome, bool repeatable) {
    switch (outcome) {
        case Outcome::not_sent:
        case Outcome::refused_now:
            return true;
        case Outcome::lost:
        case Outcome::unavailable:
            return repeatable;
        case Outcome::answered:
        case Outcome::failed:
            break;
    }
    return false;
}

class Backoff {
  public:
    Backoff(Milliseconds first, Milliseconds longest) : first_(first), longest_(longest), next_(first) {}
    /// `random` in [0, 1).
    Milliseconds pause(double random, Milliseconds at_least = Milliseconds(0)) {
        const auto half = next_ / 2;
        const auto pause =
            half + Milliseconds(static_cast<Milliseconds::rep>(random * static_cast<double>((next_ - half).count())));
        next_ = std::min(next_ * 2, longest_);
        return std::max(pause, at_least);
    }
    void reset() { next_ = first_; }

  private:
    Milliseconds first_, longest_, next_;
};

/// Retry-After of RFC 9110 section 10.2.3: seconds, or a date (`now`: Unix time). At most a day; nothing: neither.
std::optional<std::chrono::seconds> parse_retry_after(std::string_view text, std::chrono::seconds now);

}  // namespace guideway::client
