#include "controlplane/announce/announce_loop.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include <spdlog/spdlog.h>

#include "controlplane/log_value.h"

namespace guideway::announce {
namespace {

/// States under way to the dataplane that are remembered; beyond that the oldest unconfirmed one is forgotten, and routes stay as they
/// are until a newer one is confirmed.
constexpr std::size_t kMostStates = 256;
/// After a failure it is tried again sooner than it would be looked.
constexpr std::chrono::milliseconds kTryAgain{500};

}  // namespace

AnnounceLoop::AnnounceLoop(std::unique_ptr<Announcer> announcer, LoopOptions options)
    : announcer_(std::move(announcer)), options_(std::move(options)) {}

AnnounceLoop::~AnnounceLoop() { stop(); }

void AnnounceLoop::start() {
    if (announcer_ != nullptr) thread_ = std::thread([this] { run(); });
}

void AnnounceLoop::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        woken_.notify_all();
        settled_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void AnnounceLoop::changed_locked() {
    ++said_;
    woken_.notify_all();
}

void AnnounceLoop::wanted(const contract::ForwardingState& state) {
    if (announcer_ == nullptr) return;
    std::vector<IpAddress> serving = served(state, options_.without_backends);
    const std::lock_guard lock(mutex_);
    // Numbers may begin anew, where a backup was restored.
    while (!states_.empty() && states_.back().first >= state.generation) states_.pop_back();
    states_.emplace_back(state.generation, std::move(serving));
    if (states_.size() > kMostStates) states_.erase(states_.begin() + (states_.front().first == confirmed_ ? 1 : 0));
    changed_locked();
}

void AnnounceLoop::link(const reconcile::LinkStatus& status) {
    const std::lock_guard lock(mutex_);
    asked_ = true;
    connected_ = status.connected;
    confirmed_ = status.confirmed;
    while (states_.size() > 1 && confirmed_ != 0 && states_.front().first < confirmed_) states_.pop_front();
    changed_locked();
}

void AnnounceLoop::pools(std::vector<Pool> pools) {
    const std::lock_guard lock(mutex_);
    if (pools == pools_) return;
    pools_ = std::move(pools);
    changed_locked();
}

void AnnounceLoop::maintenance(bool on) {
    const std::lock_guard lock(mutex_);
    if (maintenance_ == on) return;
    maintenance_ = on;
    status_.maintenance = on;
    changed_locked();
}

Situation AnnounceLoop::situation_locked() const {
    Situation now;
    now.maintenance = maintenance_;
    now.dataplane_asked = asked_;
    now.dataplane_connected = connected_;
    if (states_.empty()) return now;
    now.wanted = states_.back().second;
    const auto at =
        std::find_if(states_.begin(), states_.end(), [&](const auto& one) { return one.first == confirmed_; });
    if (at == states_.end()) return now;
    // What is under way may be in force before the dataplane says so: only what all of them serve is sure.
    std::vector<IpAddress> sure = at->second;
    for (auto later = at + 1; later != states_.end(); ++later) sure = in_both(sure, later->second);
    now.confirmed = std::move(sure);
    return now;
}

AnnounceStatus AnnounceLoop::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

bool AnnounceLoop::wait_until_settled(std::chrono::milliseconds timeout) const {
    std::unique_lock lock(mutex_);
    if (announcer_ == nullptr) return true;
    const std::uint64_t up_to = said_;
    return settled_.wait_for(lock, timeout, [&] { return stopping_ || acted_ >= up_to; }) && acted_ >= up_to;
}

void AnnounceLoop::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        const std::uint64_t said = said_;
        const Situation now = situation_locked();
        const std::vector<Pool> pools = pools_;
        lock.unlock();
        const std::optional<std::vector<Route>> wanted = decide(now, pools, options_.advertisements);
        std::string error;
        if (wanted) error = announcer_->apply(*wanted);
        auto present = announcer_->present();
        lock.lock();
        if (auto* routes = std::get_if<std::vector<Route>>(&present)) {
            if (wanted && (*routes != status_.routes || !status_.known)) {
                spdlog::info("announced routes={} before={} maintenance={} dataplane={}", routes->size(),
                             status_.routes.size(), now.maintenance, now.dataplane_connected ? "connected" : "away");
            }
            status_.routes = std::move(*routes);
        } else if (error.empty()) {
            error = std::move(std::get<std::string>(present));
        }
        status_.known = status_.known || wanted.has_value();
        if (error != status_.error && !error.empty()) {
            spdlog::error("announcing failed error={}", controlplane::log_value(error));
        }
        status_.error = error;
        acted_ = said;
        settled_.notify_all();
        const auto rest = error.empty() ? options_.look_again : kTryAgain;
        woken_.wait_for(lock, rest, [&] { return stopping_ || said_ != said; });
    }
}

}  // namespace guideway::announce
