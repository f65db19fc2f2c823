// Brake: lets through a few at once, and then so many in a time, so that what flaps fills neither the log nor the events.
//
// Worked example (burst 2, one in 60 s): at 0 s yes, yes, no, no; at 60 s yes, with 2 that were held back before it.
// Thread contract: plain value; one thread at a time.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace guideway::health {

class Brake {
  public:
    using Clock = std::chrono::steady_clock;
    struct Limits {
        double burst = 6;
        double per_second = 1.0 / 60;
    };

    explicit Brake(Limits limits) : limits_(limits), left_(limits.burst) {}

    /// None: held back. Else it may be told, and so many before it were held back.
    std::optional<std::uint64_t> pass(Clock::time_point now) {
        const double seconds = std::chrono::duration<double>(now - last_).count();
        if (begun_ && seconds > 0) left_ = std::min(limits_.burst, left_ + seconds * limits_.per_second);
        last_ = now;
        begun_ = true;
        if (left_ < 1) {
            ++held_back_;
            return std::nullopt;
        }
        left_ -= 1;
        return std::exchange(held_back_, 0);
    }

  private:
    Limits limits_;
    double left_;
    Clock::time_point last_{};
    bool begun_ = false;
    std::uint64_t held_back_ = 0;
};

}  // namespace guideway::health
