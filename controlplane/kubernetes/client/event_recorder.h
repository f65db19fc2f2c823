// EventRecorder: tells people what happened to an object, as Events (core/v1) that `kubectl describe` shows (Kubernetes rule 5).
//
// Terms. Equal: of the same object (uid), type, reason and message. Equal events are one Event whose count and lastTimestamp are patched;
// those that come while it waits to be sent are one write.
//
// A call never waits: events go into a bounded queue and a thread of its own sends them. Where the queue is full, an object is told of too
// often (a bucket of `object_burst`, refilled every object_refill: as client-go's spam filter), or may_write says no, the event is dropped and
// counted. An event that cannot be sent is tried again a few times, then dropped and counted. Nothing here may fail the work it tells of.
//
// Worked example:
//     EventRecorder events({.client = client_options, .component = "guideway-cloud-controller"});
//     events.start();
//     events.record({"v1", "Service", "prod", "web", uid}, EventType::normal, "EnsuredLoadBalancer", "The address is 192.0.2.10");
//
// Thread contract: record() and the numbers: any thread. start() once; stop() sends what waits for `drain` at most.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "controlplane/kubernetes/client/api_client.h"

namespace guideway::kubernetes {

/// The object that an Event is about.
struct ObjectReference {
    std::string api_version = "v1";
    std::string kind;
    std::string name_space = {};  ///< empty: of none; its events are in "default"
    std::string name;
    std::string uid = {};
    std::string resource_version = {};
    std::string field_path = {};
};

enum class EventType : std::uint8_t { normal, warning };

struct EventRecorderOptions {
    ApiClientOptions client;
    std::string component = "guideway-cloud-controller";  ///< source.component and reportingComponent
    std::string instance = {};                            ///< source.host and reportingInstance; empty: the host's name
    std::size_t queue = 1000;                             ///< events that wait
    std::size_t remembered = 4096;                        ///< events sent that equal ones are counted up on
    Milliseconds remember_for{600000};                    ///< since the last one
    unsigned object_burst = 25;
    Milliseconds object_refill{300000};  ///< one more after so long; 0: no bound
    unsigned tries = 4;
    Milliseconds drain{2000};
    /// False: not written (not the leader). Null: always. Asked when it is about to be sent.
    std::function<bool()> may_write = {};
    std::function<void(const ApiError&)> on_trouble = {};  ///< an event was given up; in the recorder's thread
    /// Wall clock; null: the system's.
    std::function<std::chrono::system_clock::time_point()> wall = {};
};

class EventRecorder {
  public:
    explicit EventRecorder(EventRecorderOptions options);
    ~EventRecorder() { stop(); }
    EventRecorder(const EventRecorder&) = delete;
    EventRecorder& operator=(const EventRecorder&) = delete;

    void start();
    void stop();

    /// `reason`: CamelCase, for programs, at most 128 bytes; `message`: for people, cut after 1024 bytes.
    void record(const ObjectReference& object, EventType type, const std::string& reason, const std::string& message);

    std::uint64_t written() const { return written_; }    ///< Events made or counted up
    std::uint64_t dropped() const { return dropped_; }    ///< queue full, told too often, not the leader
    std::uint64_t given_up() const { return given_up_; }  ///< could not be written
    std::size_t waiting() const;
    /// Until nothing waits and nothing is being sent. False: not within `time`.
    bool wait_sent(Milliseconds time);

  private:
    struct Pending {
        ObjectReference object;
        EventType type = EventType::normal;
        std::string reason, message;
        std::uint64_t count = 1;
        std::chrono::system_clock::time_point first, last;
    };
    struct Sent {
        std::string path;
        std::uint64_t count = 0;
        std::chrono::steady_clock::time_point at;
        std::list<std::string>::iterator place;
    };
    struct Bucket {
        double tokens = 0;
        std::chrono::steady_clock::time_point at;
    };

    void run();
    void send(const std::string& key, const Pending& pending);
    std::optional<ApiError> write(const std::string& key, const Pending& pending);
    void remember(const std::string& key, std::string path, std::uint64_t count);
    bool allowed(const std::string& object, std::chrono::steady_clock::time_point now);

    EventRecorderOptions options_;
    ApiClient client_;

    mutable std::mutex mutex_;
    std::condition_variable woken_, idle_;
    std::deque<std::string> line_;  ///< keys of pending_, in order
    std::unordered_map<std::string, Pending> pending_;
    std::unordered_map<std::string, Bucket> buckets_;
    bool sending_ = false, stopping_ = false;

    // Of the recorder's thread alone.
    std::unordered_map<std::string, Sent> sent_;
    std::list<std::string> by_age_;  ///< keys of sent_, the oldest first

    std::atomic<std::uint64_t> written_{0}, dropped_{0}, given_up_{0};
    std::mutex start_mutex_;
    std::thread thread_;
    std::atomic<bool> ended_{true};
};

}  // namespace guideway::kubernetes
