// Resolver: decides which next hops the kernel is asked to resolve, and how often.
//
// Terms: a wish is one key a worker (or a route) wants. Repeated wishes ask the kernel again after kPatience only. The first
// kMostManaged keys are given to the kernel to keep fresh (NTF_EXT_MANAGED); more are asked once and, while still wished or
// in use, again by refresh().
// Bounded: kMostKeys remembered; the oldest that nobody asked for lately are forgotten.
//
// Pure: time comes in. Thread contract: one thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <optional>
#include <unordered_map>
#include <vector>

#include "dataplane/net/rtnetlink.h"
#include "dataplane/snapshot/routing_snapshot.h"

namespace guideway::net {

class Resolver {
  public:
    using Clock = std::chrono::steady_clock;
    static constexpr std::size_t kMostKeys = 4096;
    static constexpr std::size_t kMostManaged = 512;
    static constexpr auto kPatience = std::chrono::seconds(1);
    static constexpr auto kRefreshEvery = std::chrono::seconds(20);
    static constexpr auto kForgetAfter = std::chrono::minutes(30);

    /// What to ask the kernel for this wish now; none: asked lately, or too many.
    std::optional<Resolve> wish(const snapshot::NeighbourKey& key, Clock::time_point now);
    /// Keys to be asked once more: not managed, and `is_stale`. Forgets those nobody wished for long.
    std::vector<snapshot::NeighbourKey> refresh(Clock::time_point now,
                                                const std::function<bool(const snapshot::NeighbourKey&)>& is_stale);
    /// The kernel does not know managed neighbours: ask once from now on.
    void no_managed();

  private:
    struct Entry {
        Clock::time_point wished;
        Clock::time_point asked;
        bool managed = false;
    };
    std::unordered_map<snapshot::NeighbourKey, Entry, snapshot::NeighbourKeyHash> entries_;
    std::size_t managed_ = 0;
    bool managed_known_ = true;
};

}  // namespace guideway::net
