// WorkQueue: which keys are to be worked on: each once however often it is added, never by two workers at once, and again after its work where it
// was added meanwhile.
//
// Terms. Waiting: to be taken now. Delayed: added for a later time. In work: taken, not done. Failing: failed() was called and not forget()
// since; its next try is after first, 2*first, 4*first, ... up to longest (Kubernetes rule 6: 5 s to 300 s). A key that is added meanwhile is worked
// on at once all the same: the object changed, so the reason may be gone.
//
// Worked example, one worker (any number of threads do the same):
//     while (auto key = queue.take()) {
//         if (sync(*key)) queue.forget(*key); else queue.failed(*key);
//         queue.done(*key);
//     }
// A periodic look: queue.add_after(key, std::chrono::minutes(10)); of several for one key the earliest counts.
//
// Thread contract: any thread. take() blocks; shutdown() ends that: keys that wait are not handed out any more.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>

namespace guideway::kubernetes {

struct WorkQueueOptions {
    std::chrono::milliseconds first{5000}, longest{300000};
    /// Null: the steady clock. With a clock of its own a test calls try_take(), as take() sleeps in real time.
    std::function<std::chrono::steady_clock::time_point()> now = {};
};

/// As of one moment; the last four are sums since the start.
struct WorkQueueNumbers {
    std::size_t waiting = 0, delayed = 0, working = 0, failing = 0;
    std::chrono::milliseconds oldest_waiting{0};   ///< how long the one to be taken next waits already
    std::chrono::milliseconds longest_working{0};  ///< how long a worker is at one key already
    std::uint64_t added = 0;                       ///< that came to wait
    std::uint64_t merged = 0;                      ///< that were waiting already
    std::uint64_t retried = 0;                     ///< calls of failed()
    std::uint64_t taken = 0;
};

template <class Key = std::string>
class WorkQueue {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    using Milliseconds = std::chrono::milliseconds;

    explicit WorkQueue(WorkQueueOptions options = {}) : options_(std::move(options)) {}
    ~WorkQueue() { shutdown(); }
    WorkQueue(const WorkQueue&) = delete;
    WorkQueue& operator=(const WorkQueue&) = delete;

    void add(const Key& key) {
        const std::lock_guard lock(mutex_);
        if (!shut_) put(key, now());
    }

    /// Not before `delay` is over. Of several for one key the earliest counts.
    void add_after(const Key& key, Milliseconds delay) {
        const std::lock_guard lock(mutex_);
        if (shut_) return;
        if (delay.count() <= 0) return put(key, now());
        schedule(key, now() + delay, Kind::plain);
    }

    /// Its work failed: again after the pause for it, which is returned. `at_least`: what a server asked for (Retry-After).
    Milliseconds failed(const Key& key, Milliseconds at_least = Milliseconds(0)) {
        const std::lock_guard lock(mutex_);
        const unsigned failures = failures_[key]++;
        ++numbers_.retried;
        Milliseconds pause = options_.first;
        for (unsigned i = 0; i < failures && pause < options_.longest; ++i) pause *= 2;
        pause = std::max(std::min(pause, options_.longest), at_least);
        if (!shut_) schedule(key, now() + pause, Kind::retry);
        return pause;
    }

    /// Its work succeeded: pauses begin anew, and a retry that is delayed is not needed any more.
    void forget(const Key& key) {
        const std::lock_guard lock(mutex_);
        failures_.erase(key);
        unschedule(key, Kind::retry);
    }

    /// How often it failed since it was forgotten.
    unsigned failures(const Key& key) const {
        const std::lock_guard lock(mutex_);
        const auto found = failures_.find(key);
        return found == failures_.end() ? 0 : found->second;
    }

    /// The next key, which is in work then; nothing: shut down.
    std::optional<Key> take() {
        std::unique_lock lock(mutex_);
        while (true) {
            if (shut_) return std::nullopt;
            if (auto key = next()) return key;
            if (due_.empty()) {
                changed_.wait(lock);
            } else {
                changed_.wait_for(lock, std::max<std::chrono::steady_clock::duration>(due_.begin()->time - now(),
                                                                                      std::chrono::microseconds(100)));
            }
        }
    }

    /// Nothing: none waits (or shut down).
    std::optional<Key> try_take() {
        const std::lock_guard lock(mutex_);
        return shut_ ? std::nullopt : next();
    }

    /// For every key taken, after its work, whatever became of it.
    void done(const Key& key) {
        const std::lock_guard lock(mutex_);
        working_.erase(key);
        if (const auto again = dirty_.find(key); again != dirty_.end() && !shut_) {
            line_.push_back(key);
            changed_.notify_one();
        }
        idle_.notify_all();
    }

    void shutdown() {
        const std::lock_guard lock(mutex_);
        shut_ = true;
        changed_.notify_all();
        idle_.notify_all();
    }
    bool is_shut_down() const {
        const std::lock_guard lock(mutex_);
        return shut_;
    }

    /// Until no key is in work, and none waits or shutdown() was called. False: not within `time`.
    bool wait_idle(Milliseconds time) {
        std::unique_lock lock(mutex_);
        return idle_.wait_for(lock, time, [this] { return working_.empty() && (shut_ || line_.empty()); });
    }

    std::size_t depth() const {
        const std::lock_guard lock(mutex_);
        return line_.size();
    }

    WorkQueueNumbers numbers() const {
        const std::lock_guard lock(mutex_);
        WorkQueueNumbers out = numbers_;
        const TimePoint at = now();
        const auto since = [&](TimePoint time) { return std::chrono::duration_cast<Milliseconds>(at - time); };
        out.waiting = line_.size();
        out.delayed = due_.size();
        out.working = working_.size();
        out.failing = failures_.size();
        if (!line_.empty()) out.oldest_waiting = since(dirty_.at(line_.front()));
        for (const auto& [key, begun] : working_) out.longest_working = std::max(out.longest_working, since(begun));
        return out;
    }

  private:
    enum class Kind : std::uint8_t { plain, retry };
    struct Due {
        TimePoint time;
        Key key;
        Kind kind;
        friend bool operator<(const Due& a, const Due& b) {
            if (a.time != b.time) return a.time < b.time;
            if (a.kind != b.kind) return a.kind < b.kind;
            return a.key < b.key;
        }
    };

    TimePoint now() const { return options_.now ? options_.now() : std::chrono::steady_clock::now(); }

    void put(const Key& key, TimePoint at) {
        if (!dirty_.emplace(key, at).second) {
            ++numbers_.merged;
            return;
        }
        ++numbers_.added;
        if (working_.contains(key)) return;  // done() lines it up
        line_.push_back(key);
        changed_.notify_one();
    }

    void schedule(const Key& key, TimePoint time, Kind kind) {
        const auto [place, fresh] = times_.try_emplace({key, kind}, time);
        if (!fresh) {
            // The latest word on a retry counts; of plain ones the earliest.
            if (kind == Kind::plain && place->second <= time) return;
            due_.erase({place->second, key, kind});
            place->second = time;
        }
        due_.insert({time, key, kind});
        changed_.notify_one();
    }

    void unschedule(const Key& key, Kind kind) {
        const auto found = times_.find({key, kind});
        if (found == times_.end()) return;
        due_.erase({found->second, key, kind});
        times_.erase(found);
    }

    std::optional<Key> next() {
        const TimePoint at = now();
        while (!due_.empty() && due_.begin()->time <= at) {
            const Due one = *due_.begin();
            due_.erase(due_.begin());
            times_.erase({one.key, one.kind});
            put(one.key, at);
        }
        if (line_.empty()) return std::nullopt;
        Key key = std::move(line_.front());
        line_.pop_front();
        dirty_.erase(key);
        working_.emplace(key, at);
        ++numbers_.taken;
        // Others that wait too: one notification may have been for several that came due together.
        if (!line_.empty()) changed_.notify_one();
        return key;
    }

    const WorkQueueOptions options_;
    mutable std::mutex mutex_;
    std::condition_variable changed_, idle_;
    std::deque<Key> line_;              ///< waiting, in order
    std::map<Key, TimePoint> dirty_;    ///< to be worked on, waiting or in work; since when
    std::map<Key, TimePoint> working_;  ///< since when
    std::map<Key, unsigned> failures_;
    std::set<Due> due_;
    std::map<std::pair<Key, Kind>, TimePoint> times_;  ///< of each in due_
    WorkQueueNumbers numbers_;
    bool shut_ = false;
};

}  // namespace guideway::kubernetes
