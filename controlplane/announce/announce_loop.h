// AnnounceLoop: keeps what the network is told of (announcer.h) at what may be told (routes.h). One thread, woken by each change, so that
// a withdrawal waits for nobody; it looks once more every few seconds, since others can change the kernel's tables too.
//
// Worked example: the dataplane is killed -> the link's thread calls link(not connected) -> the loop withdraws everything, a millisecond
// later. The dataplane is back with the state of its disk -> what serves in that and is still wanted is told again, whether it takes the
// newest state or refuses it. This process is killed: nothing happens; started again, it changes nothing until it knows.
//
// Thread contract: every method from any thread; none of them blocks longer than it takes to copy what it is given.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controlplane/announce/announcer.h"
#include "controlplane/announce/routes.h"
#include "controlplane/reconcile/dataplane_link.h"

namespace guideway::announce {

struct LoopOptions {
    std::vector<Advertisement> advertisements;
    WithoutBackends without_backends = WithoutBackends::withdraw;
    std::chrono::milliseconds look_again{5000};
    /// Called after what is told has changed, by the loop's thread: it must not block.
    std::function<void()> told_others = {};
};

struct AnnounceStatus {
    bool maintenance = false;
    bool known = false;          ///< false: since the start nothing was decided; what was told before is left as it is
    bool seen = false;           ///< `routes` are those that are told; false: that could not be looked at yet
    std::vector<Route> routes;   ///< told
    std::string error;           ///< what could not be done, last time; empty: all is as it should be
    std::uint64_t failures = 0;  ///< times that something could not be done, ever
};

class AnnounceLoop {
  public:
    /// Null: announces nothing, and knows of maintenance alone.
    AnnounceLoop(std::unique_ptr<Announcer> announcer, LoopOptions options);
    ~AnnounceLoop();  ///< stops; what is told stays told
    AnnounceLoop(const AnnounceLoop&) = delete;
    AnnounceLoop& operator=(const AnnounceLoop&) = delete;

    void start();
    void stop();

    /// The newest state, before the dataplane is given it.
    void wanted(const contract::ForwardingState& state);
    void link(const reconcile::LinkStatus& status);
    void pools(std::vector<Pool> pools);
    /// On: everything is withdrawn at once. Who is told of it here needs no look at the disk (maintenance.h), and the log says it.
    void maintenance(bool on);

    AnnounceStatus status() const;
    /// Until all that was said before this call is acted on, or the time is over. True: it is.
    bool wait_until_settled(std::chrono::milliseconds timeout) const;
    /// Likewise, where the newest state takes away what the dataplane serves; elsewhere at once.
    bool wait_until_withdrawn(std::chrono::milliseconds timeout) const;

  private:
    void run();
    void changed_locked();
    Situation situation_locked() const;

    const std::unique_ptr<Announcer> announcer_;
    const LoopOptions options_;

    mutable std::mutex mutex_;
    mutable std::condition_variable woken_;
    mutable std::condition_variable settled_;
    std::vector<Pool> pools_;
    /// What serves, by generation: the newest, and what may be under way to the dataplane.
    std::deque<std::pair<std::uint64_t, std::vector<IpAddress>>> states_;
    /// What the dataplane says it forwards by, and what serves in that; null: it has not said.
    std::shared_ptr<const contract::ForwardingState> forwards_;
    std::vector<IpAddress> confirmed_;
    bool connected_ = false;
    bool asked_ = false;
    bool maintenance_ = false;
    std::uint64_t said_ = 0;   ///< grows with each change
    std::uint64_t acted_ = 0;  ///< the change up to which was acted
    AnnounceStatus status_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace guideway::announce
