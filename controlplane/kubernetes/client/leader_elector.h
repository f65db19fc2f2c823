// LeaderElector: of several controllers one leads, by a Lease (coordination.k8s.io/v1), as client-go's leader election does it: programs in Go may
// stand for the same Lease.
//
// Terms. Holder: whom the Lease names. Renewal: the holder writes renewTime every retry_period. Expired: nothing of the Lease changed for its
// leaseDurationSeconds, by the clock of whoever looks, counted from when HE saw it change: clocks of others are not trusted. Transition: the
// holder becomes another one. All writes carry the resourceVersion read before: of two that reach out at once one gets a conflict.
//
// A leader has stopped leading before another may begin: is_leader() is true for renew_deadline after the moment before the last
// successful renewal was SENT, also where the thread hangs in a call, and renew_deadline is shorter than lease_duration. The clock goes on in
// suspend (CLOCK_BOOTTIME). A clean stop() gives the Lease back (holder empty, duration 1 s): the next one leads within a retry_period.
//
// Who lost it stands for it again by himself.
//
// Worked example:
//     LeaderElector elector({.client = client_options, .name_space = "guideway-system", .name = "guideway-cloud-controller"},
//         {.on_started = [&] { begin(); }, .on_stopped = [&] { halt(); }});
//     elector.start();
//     ... before each write: if (!elector.is_leader()) return;
//     elector.stop();
//
// Thread contract: is_leader(), leader(), numbers: any thread. Handlers are called in the elector's thread and return soon, as renewals wait for
// them; they must not call stop(). start() once; stop() from any other thread; on_stopped comes before it returns where it led.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include <nlohmann/json_fwd.hpp>

#include "controlplane/kubernetes/client/api_client.h"

namespace guideway::kubernetes {

struct LeaderElectorOptions {
    ApiClientOptions client;
    std::string name_space;
    std::string name;
    std::string identity = {};           ///< empty: make_identity()
    Milliseconds lease_duration{15000};  ///< whole seconds
    Milliseconds renew_deadline{10000};  ///< less than lease_duration
    Milliseconds retry_period{2000};     ///< times 1.2 less than renew_deadline
    bool release_on_stop = true;
    std::function<std::chrono::steady_clock::time_point()> now = {};  ///< null: CLOCK_BOOTTIME
};

/// Null members: of no interest.
struct LeaderHandler {
    std::function<void()> on_started = {};
    std::function<void()> on_stopped = {};                                ///< after each on_started
    std::function<void(const std::string& identity)> on_new_leader = {};  ///< whoever it is; empty: nobody holds it
    std::function<void(const ApiError&)> on_trouble = {};                 ///< tried again; conflicts are none
};

class LeaderElector {
  public:
    /// Throws std::invalid_argument where the durations contradict each other (check()).
    LeaderElector(LeaderElectorOptions options, LeaderHandler handler);
    ~LeaderElector() { stop(); }
    LeaderElector(const LeaderElector&) = delete;
    LeaderElector& operator=(const LeaderElector&) = delete;

    /// Why these options cannot be used; empty: they can.
    static std::string check(const LeaderElectorOptions& options);
    /// "HOSTNAME_0f3a...": of this process alone.
    static std::string make_identity();

    void start();
    void stop();

    bool is_leader() const { return now() < TimePoint(std::chrono::nanoseconds(leads_until_.load())); }
    /// Whom the Lease named last; empty: nobody, or not known yet.
    std::string leader() const;
    const std::string& identity() const { return options_.identity; }
    std::uint64_t renewals() const { return renewals_; }
    std::uint64_t failures() const { return failures_; }        ///< calls that failed, conflicts apart
    std::uint64_t transitions() const { return transitions_; }  ///< times this one began to lead

  private:
    using TimePoint = std::chrono::steady_clock::time_point;
    struct Observed {
        std::string holder, resource_version;
        std::string spec;  ///< as text: any change of it counts
        std::int64_t duration_seconds = 0;
        TimePoint at{};  ///< when the last change was seen
    };

    TimePoint now() const;
    void run();
    /// Once: takes, renews or observes.
    void attempt();
    void observe(const nlohmann::json& lease);
    bool write(nlohmann::json lease, bool create, TimePoint sent_at);
    nlohmann::json spec_of(std::int64_t transitions, const std::string& acquire_time) const;
    void release();
    void note_leader(const std::string& holder);
    void report(const ApiError& error);
    void end_if_over();
    Milliseconds call_deadline() const;
    void stop_leading();

    const LeaderElectorOptions options_;
    const LeaderHandler handler_;
    ApiClient client_;
    std::optional<nlohmann::json> lease_;  ///< as last read or written
    Observed observed_;
    bool leading_ = false;  ///< on_started was called, on_stopped not yet
    bool told_leader_ = false;
    std::atomic<std::int64_t> leads_until_{0};  ///< nanoseconds of the clock
    std::atomic<std::uint64_t> renewals_{0}, failures_{0}, transitions_{0};
    mutable std::mutex mutex_;
    std::string leader_;
    std::condition_variable woken_;
    bool stopping_ = false;
    std::mutex start_mutex_;
    std::thread thread_;
    std::atomic<bool> ended_{true};
};

}  // namespace guideway::kubernetes
