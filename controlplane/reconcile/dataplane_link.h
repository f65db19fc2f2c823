// DataplaneLink: keeps the dataplane on the newest desired state, whichever of the two starts first, or again.
//
// Terms: *desired* is the newest state handed to set_desired(); *in force* is what the dataplane says it forwards by.
// A thread of its own connects (back-off 50 ms .. 1 s), asks what is in force, and sends the desired state where it differs.
// Changes that come while one is under way are coalesced: only the newest is sent next.
//
// A dataplane may be ahead: it keeps its state on disk, while the control plane's store was restored from an older backup.
// Then `on_ahead` is asked to number the desired state beyond the dataplane's generation, so that it takes effect.
//
// The end of a connection is not yet the dataplane's: it may have cut this one alone, or an answer took too long. So the link connects once
// more at once and says "not connected" only when that fails; a process that was killed refuses at once.
//
// Worked example: dataplane at 7, desired 9 -> connect, "state" -> 7, "apply" 9 -> ok 9, wait_until_forwarding(9) returns.
// Dataplane killed and started again: end of connection, connect, "state" -> 9 from its disk, nothing to send.
//
// Thread contract: every method from any thread, but start() and stop() from one. `on_ahead` and `on_status` run on the link's
// thread without a lock held; `on_ahead` may call set_desired().
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/contract/messages.h"

namespace guideway::reconcile {

struct LinkOptions {
    std::string socket;
    std::chrono::milliseconds first_backoff{50};
    std::chrono::milliseconds longest_backoff{1000};
    std::chrono::milliseconds exchange_timeout{30'000};
    /// A refused state is offered again after this long: the refusal may have had a passing cause (a full disk).
    std::chrono::milliseconds retry_refused{5000};
    /// Silent for so long, the link asks something small: the dataplane cuts the most silent of its clients where it has too many.
    std::chrono::milliseconds ask_every{20'000};
};

struct LinkStatus {
    bool connected = false;
    std::uint64_t in_force = 0;   ///< generation in the dataplane; 0: unknown
    std::uint64_t confirmed = 0;  ///< newest generation of ours known to be in force on this connection; 0: none
    std::string error;            ///< why not connected, or the refusal in one line; empty when fine
    std::uint64_t refused_generation = 0;
    std::vector<contract::Fault> refusal = {};  ///< of the desired state, while it is refused
    /// What the dataplane said last that it forwards by, whoever made it and whether it keeps it on disk or not; without services where it
    /// has no state. Null: it has not said on this connection.
    std::shared_ptr<const contract::ForwardingState> forwards = {};
    friend bool operator==(const LinkStatus&, const LinkStatus&) = default;
};

class DataplaneLink {
  public:
    using State = std::shared_ptr<const contract::ForwardingState>;

    explicit DataplaneLink(LinkOptions options);
    ~DataplaneLink();  ///< stops
    DataplaneLink(const DataplaneLink&) = delete;
    DataplaneLink& operator=(const DataplaneLink&) = delete;

    /// `on_ahead(generation)`: the dataplane has a state of this generation, which is not the desired one and not below it.
    /// `on_status()`: status() may be another now.
    void start(std::function<void(std::uint64_t generation)> on_ahead, std::function<void()> on_status = {});
    void stop();

    void set_desired(State state);
    LinkStatus status() const;
    /// True: generation `generation` or a later one is in force. Also ends when the link is stopped.
    bool wait_until_forwarding(std::uint64_t generation, std::chrono::milliseconds timeout) const;

    /// One request over a connection of its own, so that it does not wait behind a large state.
    std::variant<contract::Response, std::string> ask(const contract::Request& request,
                                                      std::chrono::milliseconds timeout) const;

  private:
    class Session;

    void run();
    /// False: stopping, or the connection ended.
    bool pause(std::chrono::milliseconds timeout, bool wake_on_desired);
    void publish(const std::function<void(LinkStatus&)>& change);

    LinkOptions options_;
    std::function<void(std::uint64_t)> on_ahead_;
    std::function<void()> on_status_;
    int stop_event_ = -1;  // eventfd: readable once stopping
    int wake_event_ = -1;  // eventfd: readable when desired changed
    int connection_ = -1;  // of the session under way; the link's thread alone

    mutable std::mutex mutex_;
    mutable std::condition_variable changed_;
    State desired_;
    LinkStatus status_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace guideway::reconcile
