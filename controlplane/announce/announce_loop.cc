#include "controlplane/announce/announce_loop.h"

#include <algorithm>
#include <chrono>
#include <optional>

#include <spdlog/spdlog.h>

#include "controlplane/log_value.h"

namespace guideway::announce {
namespace {

/// States under way to the dataplane that are remembered each alone; beyond that the two oldest are remembered as what both serve.
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
    if (states_.size() > kMostStates) {
        states_[1].second = in_both(states_[0].second, states_[1].second);
        states_.pop_front();
    }
    changed_locked();
}

void AnnounceLoop::link(const reconcile::LinkStatus& status) {
    if (announcer_ == nullptr) return;
    std::unique_lock lock(mutex_);
    const auto known = forwards_;
    lock.unlock();
    const bool fresh = status.forwards && status.forwards != known;
    std::vector<IpAddress> serving;
    if (fresh) serving = served(*status.forwards, options_.without_backends);
    lock.lock();
    asked_ = true;
    connected_ = status.connected;
    forwards_ = status.forwards;
    if (fresh) confirmed_ = std::move(serving);
    while (forwards_ && states_.size() > 1 && states_.front().first <= forwards_->generation) states_.pop_front();
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
    if (!forwards_) return now;
    // What is under way may be in force before the dataplane says so: only what all of them serve is sure.
    std::vector<IpAddress> sure = confirmed_;
    for (const auto& [generation, serving] : states_) {
        if (generation > forwards_->generation) sure = in_both(sure, serving);
    }
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

bool AnnounceLoop::wait_until_withdrawn(std::chrono::milliseconds timeout) const {
    {
        const std::lock_guard lock(mutex_);
        if (!forwards_ || states_.empty()) return true;
        const std::vector<IpAddress>& newest = states_.back().second;
        if (std::includes(newest.begin(), newest.end(), confirmed_.begin(), confirmed_.end())) return true;
    }
    return wait_until_settled(timeout);
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
        bool others = false;
        if (auto* routes = std::get_if<std::vector<Route>>(&present)) {
            others = *routes != status_.routes;
            if (wanted && (*routes != status_.routes || !status_.known)) {
                spdlog::info("announced routes={} before={} maintenance={} dataplane={}", routes->size(),
                             status_.routes.size(), now.maintenance, now.dataplane_connected ? "connected" : "away");
            }
            status_.routes = std::move(*routes);
            status_.seen = true;
        } else if (error.empty()) {
            error = std::move(std::get<std::string>(present));
        }
        status_.known = status_.known || wanted.has_value();
        if (error != status_.error && !error.empty()) {
            spdlog::error("announcing failed error={}", controlplane::log_value(error));
        }
        if (!error.empty()) ++status_.failures;
        status_.error = error;
        acted_ = said;
        settled_.notify_all();
        if (others && options_.told_others) options_.told_others();
        const auto rest = error.empty() ? options_.look_again : kTryAgain;
        woken_.wait_for(lock, rest, [&] { return stopping_ || said_ != said; });
    }
}

}  // namespace guideway::announce
