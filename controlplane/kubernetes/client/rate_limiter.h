// RateLimiter: a token bucket that many clients share, so that a controller never floods the API server.
//
// Worked example: RateLimiter(20, 30): thirty requests at once, then twenty a second. reserve() says how long to wait before the
// request; the place in the queue is taken by that call, so whoever asks next waits behind.
// Thread contract: any thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <mutex>

namespace guideway::kubernetes {

class RateLimiter {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;

    /// `qps`: requests a second; 0 or less: no limit. `burst`: at least 1.
    RateLimiter(double qps, double burst) : qps_(qps), burst_(std::max(burst, 1.0)), tokens_(burst_) {}

    /// How long to wait; 0: at once.
    std::chrono::nanoseconds reserve(TimePoint now) {
        if (qps_ <= 0) return std::chrono::nanoseconds(0);
        const std::lock_guard lock(mutex_);
        if (!begun_ || now > last_) {
            if (begun_) tokens_ = std::min(burst_, tokens_ + std::chrono::duration<double>(now - last_).count() * qps_);
            last_ = now;
            begun_ = true;
        }
        tokens_ -= 1;
        if (tokens_ >= 0) return std::chrono::nanoseconds(0);
        return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(-tokens_ / qps_));
    }

  private:
    const double qps_, burst_;
    std::mutex mutex_;
    double tokens_;
    TimePoint last_{};
    bool begun_ = false;
};

}  // namespace guideway::kubernetes
