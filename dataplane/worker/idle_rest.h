// IdleRest: how a worker rests between polls that found nothing, so that it does not starve what else runs on its core.
//
// Worked example (defaults): 64 empty polls at full speed, then a pause instruction or two between polls, after 512 sleeps of
// 50 us, doubling to 500 us; one packet, and it begins anew.
// Thread contract: one worker's.
#pragma once

#include <algorithm>
#include <cstdint>

#include "dataplane/worker/plumbing.h"

namespace guideway::worker {

class IdleRest {
  public:
    struct Step {
        enum class Kind : std::uint8_t { none, pause, sleep } kind = Kind::none;
        std::uint32_t microseconds = 0;  ///< sleep
    };

    explicit IdleRest(const IdleSettings& settings) : settings_(settings), sleep_us_(settings.shortest_sleep_us) {}

    /// After each poll: what to do before the next.
    Step after_poll(std::uint32_t packets) noexcept {
        if (settings_.mode == IdleMode::busy) return {};
        if (packets != 0) {
            empty_polls_ = 0;
            sleep_us_ = settings_.shortest_sleep_us;
            return {};
        }
        ++empty_polls_;
        if (empty_polls_ <= settings_.polls_before_pause) return {};
        if (empty_polls_ <= settings_.polls_before_sleep) return {Step::Kind::pause, 0};
        empty_polls_ = settings_.polls_before_sleep;  // stays put: no wrap after days of silence
        const std::uint32_t now = sleep_us_;
        sleep_us_ = std::min(sleep_us_ * 2, settings_.longest_sleep_us);
        return {Step::Kind::sleep, now};
    }

  private:
    IdleSettings settings_;
    std::uint32_t empty_polls_ = 0;
    std::uint32_t sleep_us_;
};

}  // namespace guideway::worker
