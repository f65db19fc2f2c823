#include "controlplane/reconcile/dataplane_link.h"

#include <algorithm>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <utility>

#include <spdlog/spdlog.h>

#include "controlplane/log_value.h"
#include "controlplane/reconcile/desired_state.h"
#include "controlplane/reconcile/line_client.h"

namespace guideway::reconcile {
namespace {

using Clock = LineClient::Clock;

std::string sentence(const std::vector<contract::Fault>& faults) {
    if (faults.empty()) return "the dataplane refused the state without a reason";
    std::string text = "the dataplane refused the state: " + faults[0].field + ": " + faults[0].message;
    if (faults.size() > 1) text += " (and " + std::to_string(faults.size() - 1) + " more)";
    return text;
}

/// The answer, or a sentence; answers that say "not ok" are answers.
std::variant<contract::Response, std::string> exchange(LineClient& client, const contract::Request& request,
                                                       std::chrono::milliseconds timeout) {
    LineClient::Answer answer = client.exchange(contract::encode(request), Clock::now() + timeout);
    if (!answer.ok()) return std::move(answer.error);
    auto response = contract::decode_response(answer.line);
    if (response.ok()) return std::move(*response.value);
    client.close();
    return "the dataplane's answer is not understood: " + response.faults[0].field + ": " + response.faults[0].message;
}

void drain(int event) {
    eventfd_t count = 0;
    eventfd_read(event, &count);
}

}  // namespace

/// One connection, from its start to its end.
class DataplaneLink::Session {
  public:
    Session(DataplaneLink& link, LineClient& client) : link_(link), client_(client) {}

    /// Whether the dataplane answered at all.
    bool began() const { return began_; }

    /// Returns why it ended; empty: stopped.
    std::string run() {
        auto first = exchange(client_, contract::StateRequest{}, link_.options_.exchange_timeout);
        if (auto* error = std::get_if<std::string>(&first)) return std::move(*error);
        contract::Response& answer = std::get<contract::Response>(first);
        began_ = true;
        generation_ = answer.generation;
        in_force_ = answer.state ? std::make_shared<const contract::ForwardingState>(std::move(*answer.state))
                                 : std::make_shared<const contract::ForwardingState>();
        link_.publish([&](LinkStatus& status) { status = {true, generation_, 0, {}, 0, {}, in_force_}; });
        spdlog::info("dataplane connected generation={}", generation_);
        for (;;) {
            const State desired = current();
            const bool there = desired && is_in_force(*desired);
            if (!desired || (there && refused_ != desired)) {
                if (desired) {
                    link_.publish(
                        [&](LinkStatus& status) { status = {true, generation_, generation_, {}, 0, {}, in_force_}; });
                }
                if (!link_.pause(link_.options_.ask_every, true)) return ended();
                // A new state says something itself.
                if (current() != desired) continue;
                if (std::string error = say_something(); !error.empty()) return error;
            } else if (!there && desired->generation <= generation_) {
                link_.on_ahead_(generation_);
                // It could not (the store is full): try again later.
                if (current() == desired && !link_.pause(link_.options_.longest_backoff, true)) return ended();
            } else if (std::string error = apply(desired); !error.empty()) {
                return error;
            } else if (refused_ == desired && !link_.pause(link_.options_.retry_refused, true)) {
                return ended();
            }
            if (!alive()) return ended();
        }
    }

  private:
    State current() const {
        const std::lock_guard lock(link_.mutex_);
        return link_.desired_;
    }
    bool is_in_force(const contract::ForwardingState& desired) const {
        return generation_ == desired.generation && same_content(*in_force_, desired);
    }
    std::string apply(const State& desired) {
        auto answer = exchange(client_, contract::ApplyRequest{*desired}, link_.options_.exchange_timeout);
        if (auto* error = std::get_if<std::string>(&answer)) return std::move(*error);
        const auto& response = std::get<contract::Response>(answer);
        generation_ = response.generation;
        // Also where it is not content: it forwards by the state, but could not write it to its disk.
        if (response.generation == desired->generation) in_force_ = desired;
        if (response.ok && response.generation == desired->generation) {
            refused_ = nullptr;
            spdlog::debug("dataplane forwards generation={}", generation_);
            link_.publish([&](LinkStatus& status) { status = {true, generation_, generation_, {}, 0, {}, in_force_}; });
        } else {
            const std::string why = sentence(response.faults);
            // The same state is offered again and again: its refusal is news once.
            if (refused_ != desired) {
                spdlog::warn("dataplane refused generation={} in_force={} error={}", desired->generation, generation_,
                             controlplane::log_value(why));
            }
            refused_ = desired;
            link_.publish([&](LinkStatus& status) {
                status.in_force = generation_;
                status.error = why;
                status.refused_generation = desired->generation;
                status.refusal = response.faults;
                status.forwards = in_force_;
            });
        }
        return {};
    }
    /// Empty: it answered.
    std::string say_something() {
        auto answer = exchange(client_, contract::StatusRequest{}, link_.options_.exchange_timeout);
        auto* error = std::get_if<std::string>(&answer);
        return error != nullptr ? std::move(*error) : std::string();
    }
    bool alive() const {
        pollfd wait{client_.descriptor(), POLLIN | POLLRDHUP, 0};
        // Between requests the dataplane has nothing to say: readable means the end.
        return ::poll(&wait, 1, 0) == 0;
    }
    std::string ended() const {
        const std::lock_guard lock(link_.mutex_);
        return link_.stopping_ ? "" : "the dataplane closed the connection";
    }

    DataplaneLink& link_;
    LineClient& client_;
    bool began_ = false;
    State in_force_;  // not null once it began
    std::uint64_t generation_ = 0;
    State refused_;
};

DataplaneLink::DataplaneLink(LinkOptions options) : options_(std::move(options)) {
    stop_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    wake_event_ = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    status_.error = "not connected to the dataplane yet";
}

DataplaneLink::~DataplaneLink() {
    stop();
    ::close(stop_event_);
    ::close(wake_event_);
}

void DataplaneLink::start(std::function<void(std::uint64_t)> on_ahead, std::function<void()> on_status) {
    on_ahead_ = std::move(on_ahead);
    on_status_ = std::move(on_status);
    thread_ = std::thread([this] { run(); });
}

void DataplaneLink::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    eventfd_write(stop_event_, 1);
    if (thread_.joinable()) thread_.join();
}

void DataplaneLink::set_desired(State state) {
    {
        const std::lock_guard lock(mutex_);
        desired_ = std::move(state);
    }
    eventfd_write(wake_event_, 1);
}

LinkStatus DataplaneLink::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

bool DataplaneLink::wait_until_forwarding(std::uint64_t generation, std::chrono::milliseconds timeout) const {
    std::unique_lock lock(mutex_);
    const auto there = [&] { return status_.confirmed >= generation; };
    changed_.wait_until(lock, Clock::now() + timeout, [&] { return stopping_ || there(); });
    return there();
}

std::variant<contract::Response, std::string> DataplaneLink::ask(const contract::Request& request,
                                                                 std::chrono::milliseconds timeout) const {
    LineClient client(stop_event_);
    if (std::string error = client.connect(options_.socket, Clock::now() + timeout); !error.empty()) return error;
    return exchange(client, request, timeout);
}

void DataplaneLink::run() {
    auto backoff = options_.first_backoff;
    std::string logged;
    auto resumed = Clock::time_point::min();
    for (;;) {
        LineClient client(stop_event_);
        bool began = false;
        std::string why = client.connect(options_.socket, Clock::now() + options_.exchange_timeout);
        if (why.empty()) {
            connection_ = client.descriptor();
            Session session(*this, client);
            why = session.run();
            began = session.began();
            connection_ = -1;
        }
        {
            const std::lock_guard lock(mutex_);
            if (stopping_) return;
            if (status_.connected) {
                backoff = options_.first_backoff;
                logged.clear();
            }
        }
        if (began) {
            // Connections that end one after the other must not keep both sides busy.
            const bool often = resumed != Clock::time_point::min() && Clock::now() - resumed < options_.longest_backoff;
            if (!often) spdlog::warn("dataplane connection ended, trying again error={}", controlplane::log_value(why));
            if (often && !pause(options_.first_backoff, false)) return;
            resumed = Clock::now();
            continue;
        }
        // Tried about once a second for as long as it is away: said once for each cause.
        if (why != logged) spdlog::warn("dataplane not connected error={}", controlplane::log_value(why));
        logged = why;
        publish([&](LinkStatus& status) { status = {false, 0, 0, why, 0, {}}; });
        if (!pause(backoff, false)) return;
        backoff = std::min(backoff * 2, options_.longest_backoff);
    }
}

bool DataplaneLink::pause(std::chrono::milliseconds timeout, bool wake_on_desired) {
    pollfd waits[3] = {{stop_event_, POLLIN, 0}, {-1, POLLIN, 0}, {connection_, POLLIN | POLLRDHUP, 0}};
    if (wake_on_desired) waits[1].fd = wake_event_;
    ::poll(waits, 3, static_cast<int>(timeout.count()));
    if (waits[1].revents != 0) drain(wake_event_);
    return waits[0].revents == 0 && waits[2].revents == 0;
}

void DataplaneLink::publish(const std::function<void(LinkStatus&)>& change) {
    {
        const std::lock_guard lock(mutex_);
        const LinkStatus before = status_;
        change(status_);
        if (status_ == before) return;
        changed_.notify_all();
    }
    if (on_status_) on_status_();
}

}  // namespace guideway::reconcile
