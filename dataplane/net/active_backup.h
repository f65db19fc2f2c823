// ActiveBackup: which member of a bond carries, where one does and the others wait.
//
// Terms: a link is steady when it has been up for the up delay: a switch's port may take a while until it forwards.
//
// Worked example (up delay one second, primary eth0): eth0 loses its link -> eth1 at once; eth0 is up again -> eth1 still, and eth0 a
// second later. Without a primary eth1 goes on until it loses its own link.
//
// Thread contract: one thread. Pure: time is given.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

namespace guideway::net {

class ActiveBackup {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;

    ActiveBackup(std::size_t members, std::optional<std::size_t> primary, std::chrono::milliseconds up_delay)
        : primary_(primary), up_delay_(up_delay), up_since_(members) {}

    /// `up`: the links, by member. Who carries now; nobody where no link is up.
    std::optional<std::size_t> decide(const std::vector<bool>& up, TimePoint now) {
        for (std::size_t i = 0; i < up_since_.size(); ++i) {
            if (!up[i]) {
                up_since_[i].reset();
            } else if (!up_since_[i]) {
                up_since_[i] = now;
            }
        }
        if (active_ && !up_since_[*active_]) active_.reset();
        if (!active_) {
            active_ = best(now, up_delay_);
            if (!active_) active_ = best(now, {});  // better one that is not steady than none
        } else if (primary_ && steady(*primary_, now, up_delay_)) {
            active_ = primary_;
        }
        return active_;
    }

  private:
    bool steady(std::size_t member, TimePoint now, std::chrono::milliseconds delay) const {
        return up_since_[member] && now - *up_since_[member] >= delay;
    }
    std::optional<std::size_t> best(TimePoint now, std::chrono::milliseconds delay) const {
        if (primary_ && steady(*primary_, now, delay)) return primary_;
        for (std::size_t i = 0; i < up_since_.size(); ++i) {
            if (steady(i, now, delay)) return i;
        }
        return std::nullopt;
    }

    std::optional<std::size_t> primary_;
    std::chrono::milliseconds up_delay_;
    std::vector<std::optional<TimePoint>> up_since_;
    std::optional<std::size_t> active_;
};

}  // namespace guideway::net
