// FakeClock: time that moves only by being slept away, and no chance. Thread contract: one thread.
#pragma once

#include <chrono>
#include <vector>

#include "api/client/retry.h"

namespace guideway::testing {

class FakeClock {
  public:
    /// Every pause is the longest it may be.
    client::Clock clock() {
        return {[this] { return now_; },
                [this](client::Milliseconds time) {
                    pauses_.push_back(time.count());
                    now_ += time;
                },
                [] { return 0.9999; }};
    }
    /// Milliseconds.
    const std::vector<client::Milliseconds::rep>& pauses() const { return pauses_; }

  private:
    std::chrono::steady_clock::time_point now_;
    std::vector<client::Milliseconds::rep> pauses_;
};

}  // namespace guideway::testing
