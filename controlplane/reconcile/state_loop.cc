#include "controlplane/reconcile/state_loop.h"

#include <algorithm>
#include <chrono>

#include <spdlog/spdlog.h>

#include "api/contract/forwarding_state_codec.h"
#include "controlplane/log_value.h"

namespace guideway::reconcile {
namespace {

constexpr std::chrono::milliseconds kLongestRest{100};

}  // namespace

StateLoop::StateLoop(std::function<void(State)> sink, Observer observer)
    : sink_(std::move(sink)), observer_(std::move(observer)) {}

StateLoop::~StateLoop() { stop(); }

void StateLoop::start() {
    thread_ = std::thread([this] { run(); });
}

void StateLoop::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        changed_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void StateLoop::push(Delta delta) {
    const std::lock_guard lock(mutex_);
    pushed_.push_back(std::move(delta));
    changed_.notify_all();
}

std::string StateLoop::last_error() const {
    const std::lock_guard lock(mutex_);
    return last_error_;
}

void StateLoop::run() {
    for (;;) {
        std::vector<Delta> deltas;
        {
            std::unique_lock lock(mutex_);
            changed_.wait(lock, [this] { return stopping_ || !pushed_.empty(); });
            if (stopping_) return;
            deltas.swap(pushed_);
        }
        const std::uint64_t generation = deltas.back().generation;
        for (Delta& delta : deltas) take(std::move(delta));
        const auto begun = std::chrono::steady_clock::now();
        build(generation);
        // While changes keep coming, most of the time is theirs: a large state takes milliseconds to build.
        const auto end = std::chrono::steady_clock::now();
        const auto rest = std::min<std::chrono::steady_clock::duration>(3 * (end - begun), kLongestRest);
        std::unique_lock lock(mutex_);
        changed_.wait_until(lock, end + rest, [this] { return stopping_; });
    }
}

void StateLoop::take(Delta delta) {
    if (delta.everything) builder_.clear();
    for (auto& [name, one] : delta.load_balancers) builder_.put_load_balancer(name, std::move(one));
    for (auto& [key, node] : delta.nodes) builder_.put_node(key, std::move(node));
    if (delta.verdicts != nullptr) builder_.put_verdicts(std::move(delta.verdicts));
}

void StateLoop::build(std::uint64_t generation) {
    const auto begun = std::chrono::steady_clock::now();
    auto state = std::make_shared<contract::ForwardingState>(builder_.build());
    state->generation = generation;
    // What could make it refused is refused when it is asked for; this is the last line, so that a fault is said by name.
    std::string error;
    if (const auto faults = contract::validate(*state); !faults.empty()) {
        error = "the state of generation " + std::to_string(generation) + " cannot be forwarded: " + faults[0].field +
                ": " + faults[0].message;
        spdlog::error("reconcile failed error={}", controlplane::log_value(error));
    }
    {
        const std::lock_guard lock(mutex_);
        last_error_ = error;
    }
    if (error.empty()) sink_(std::move(state));
    observer_(std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(), error);
}

}  // namespace guideway::reconcile
