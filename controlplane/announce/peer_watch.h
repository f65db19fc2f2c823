// PeerWatch: how the sessions with the peers are, known without asking. A thread asks the routing daemon every few seconds (peers.h), which may
// take two of them, and keeps its last answer; whoever wants to know waits for nobody. Sessions that end or come are told in the log.
//
// Worked example: BIRD is killed -> at the next question report().error says that its socket refuses; started again, the peers are there, first
// "Active", then established. look(): after a change of what is told it is asked sooner, but never more often than twice a second.
//
// Thread contract: every method from any thread, but start() and stop() from one. stop() waits for a question under way.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "controlplane/announce/bgp_settings.h"
#include "controlplane/announce/peers.h"

namespace guideway::announce {

struct PeerReport {
    /// In the order of the settings. Where the daemon does not answer nothing is known of them: state "unknown".
    std::vector<PeerState> peers;
    std::string error;  ///< why the daemon could not be asked; empty: it answered
    /// When the answer was there; none: it was not asked yet.
    std::optional<std::chrono::steady_clock::time_point> at;
};

struct WatchPace {
    std::chrono::milliseconds every{3000};
    std::chrono::milliseconds at_most_every{500};
};

class PeerWatch {
  public:
    explicit PeerWatch(BgpSettings settings, WatchPace pace = {});
    ~PeerWatch();  ///< stops
    PeerWatch(const PeerWatch&) = delete;
    PeerWatch& operator=(const PeerWatch&) = delete;

    void start();
    void stop();

    /// Something has changed: ask soon.
    void look();
    PeerReport report() const;
    /// Until a question that was put after this call is answered, or the time is over. True: it is.
    bool wait_until_asked(std::chrono::milliseconds timeout);

  private:
    void run();

    const BgpSettings settings_;
    const WatchPace pace_;

    mutable std::mutex mutex_;
    std::condition_variable woken_;
    std::condition_variable answered_;
    PeerReport report_;
    std::uint64_t asked_ = 0;  ///< questions put
    std::uint64_t known_ = 0;  ///< ... and answered
    bool soon_ = false;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace guideway::announce
