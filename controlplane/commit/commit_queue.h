// CommitQueue: lets many callers share one durable write (group commit), and gives changes an order.
//
// Terms. Work: what one caller wants changed. One of the callers leads: it prepares its own work and that of all who came
// meanwhile, one after the other, has them made durable together, and tells each how it went. Who comes during the
// write is in the next one. So a disk that syncs 200 times a second serves as many changes a second as come, and one caller
// alone waits for one sync, as ever.
//
// Worked example: A comes: prepare(A), commit {A}. During its sync B, C, D come; C wants what B changes. B leads: prepare(B)
// staged, prepare(C) deferred, prepare(D) staged, commit {B, D}; then prepare(C), commit {C}.
//
// Thread contract: submit() from any thread; the callbacks run in one thread at a time (the right to write), never with the
// queue's own lock held.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>

#include "api/resources/problem.h"

namespace guideway::controlplane {

class CommitQueue {
  public:
    enum class Step {
        finished,  ///< nothing to write: it is answered
        staged,    ///< to be made durable with the others
        deferred,  ///< does not go together with what is staged already: in the next write, where it is the first
    };
    using Failure = std::optional<resources::Problem>;

    struct Work {
        std::function<Step()> prepare;
        /// Of what was staged: none = durable.
        std::function<void(const Failure&)> settle;
    };

    struct Writer {
        std::function<void()> begin;
        /// Makes all that was staged durable, or undoes all of it. `count`: works in it, at least one.
        std::function<Failure(std::size_t count)> commit;
        /// Nothing was staged.
        std::function<void()> abandon;
    };

    explicit CommitQueue(Writer writer, std::size_t most_at_once = 256)
        : writer_(std::move(writer)), most_at_once_(most_at_once) {}

    /// Returns once it is finished or settled.
    void submit(const Work& work);

  private:
    struct Item {
        const Work* work;
        bool done = false;
        bool leads = false;
        std::condition_variable changed;
    };

    void lead(std::unique_lock<std::mutex>& lock);

    Writer writer_;
    const std::size_t most_at_once_;
    std::mutex mutex_;
    std::deque<Item*> waiting_;
    bool led_ = false;
};

}  // namespace guideway::controlplane
