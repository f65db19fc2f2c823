// StateLoop: from what is committed to the ForwardingState that the dataplane shall have. One thread; while it builds one state,
// changes pile up and are all in the next (coalesced), so that a thousand changes a second cost as many builds as there is
// time for, and nobody who changes something waits for them. After a build it rests for three times as long (at most 100 ms), so
// that it has a quarter of a core at most.
//
// Terms. Delta: what one commit changed, with the generation it has. Deltas are pushed in the order of their commits; a state built
// from all up to generation G has the number G.
//
// Worked example: push {web, generation 4}, push {api, generation 5} while 4 is built -> the sink gets states 4 and 5; pushed before
// the build of 4 began, it gets 5 alone.
//
// Thread contract: push() from one thread at a time; the others from any. The sink runs in the loop's thread.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "controlplane/reconcile/desired_state.h"

namespace guideway::reconcile {

struct Delta {
    std::uint64_t generation = 0;
    bool everything = false;  ///< forget what was pushed before
    /// By key; none: gone, or nothing of it is to be forwarded.
    std::vector<std::pair<std::string, std::optional<Forwarded>>> load_balancers;
    std::vector<std::pair<std::string, std::optional<resources::Node>>> nodes;
    /// What the health checks say; null: as before.
    std::shared_ptr<const HealthVerdicts> verdicts = {};
};

class StateLoop {
  public:
    using State = std::shared_ptr<const contract::ForwardingState>;
    /// Told about each build: how long it took in seconds, and why the state was not handed on (empty: it was).
    using Observer = std::function<void(double seconds, const std::string& error)>;

    StateLoop(std::function<void(State)> sink, Observer observer);
    ~StateLoop();  ///< stops
    StateLoop(const StateLoop&) = delete;
    StateLoop& operator=(const StateLoop&) = delete;

    void start();
    void stop();
    void push(Delta delta);

    /// Why the last state that was built was not handed on; empty: it was.
    std::string last_error() const;

  private:
    void run();
    void take(Delta delta);
    void build(std::uint64_t generation);

    const std::function<void(State)> sink_;
    const Observer observer_;

    // The loop's thread alone.
    StateBuilder builder_;

    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<Delta> pushed_;
    std::string last_error_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace guideway::reconcile
