#include "controlplane/announce/peer_watch.h"

#include <utility>
#include <variant>

#include <spdlog/spdlog.h>

#include "controlplane/log_value.h"

namespace guideway::announce {
namespace {

using controlplane::log_value;

std::vector<PeerState> none_known(const BgpSettings& settings) {
    std::vector<PeerState> out;
    for (const BgpPeer& peer : settings.peers) {
        out.push_back({peer.name, peer.address, peer.asn, false, "unknown", {}, 0, {}});
    }
    return out;
}

/// What is other than before, in the log. Both have the same peers, in the same order.
void log_changes(const PeerReport& before, const PeerReport& now) {
    if (now.error != before.error) {
        if (!now.error.empty()) {
            spdlog::error("the routing daemon cannot be asked error={}", log_value(now.error));
        } else {
            spdlog::info("the routing daemon answers again");
        }
    }
    if (!now.error.empty()) return;
    const bool first = !before.at || !before.error.empty();
    for (std::size_t i = 0; i < now.peers.size() && i < before.peers.size(); ++i) {
        const PeerState& peer = now.peers[i];
        if (peer.established == before.peers[i].established && !first) continue;
        if (peer.established) {
            spdlog::info("bgp peer={} session=established", peer.name);
        } else {
            spdlog::warn("bgp peer={} session=down state={} last_error={}", peer.name, log_value(peer.state),
                         log_value(peer.last_error));
        }
    }
}

}  // namespace

PeerWatch::PeerWatch(BgpSettings settings, WatchPace pace) : settings_(std::move(settings)), pace_(pace) {
    report_.peers = none_known(settings_);
}

PeerWatch::~PeerWatch() { stop(); }

void PeerWatch::start() {
    thread_ = std::thread([this] { run(); });
}

void PeerWatch::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        woken_.notify_all();
        answered_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void PeerWatch::look() {
    const std::lock_guard lock(mutex_);
    soon_ = true;
    woken_.notify_all();
}

PeerReport PeerWatch::report() const {
    const std::lock_guard lock(mutex_);
    return report_;
}

bool PeerWatch::wait_until_asked(std::chrono::milliseconds timeout) {
    std::unique_lock lock(mutex_);
    const std::uint64_t wanted = asked_ + 1;
    soon_ = true;
    woken_.notify_all();
    answered_.wait_for(lock, timeout, [&] { return stopping_ || known_ >= wanted; });
    return known_ >= wanted;
}

void PeerWatch::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        soon_ = false;
        const std::uint64_t question = ++asked_;
        const PeerReport before = report_;
        lock.unlock();
        PeerReport now;
        auto answer = ask_peers(settings_);
        if (auto* error = std::get_if<std::string>(&answer)) {
            now.error = std::move(*error);
            now.peers = none_known(settings_);
        } else {
            now.peers = std::move(std::get<0>(answer));
        }
        now.at = std::chrono::steady_clock::now();
        log_changes(before, now);
        lock.lock();
        report_ = std::move(now);
        known_ = question;
        answered_.notify_all();
        // What changes again and again is not asked about each time.
        woken_.wait_for(lock, pace_.at_most_every, [this] { return stopping_; });
        woken_.wait_for(lock, pace_.every - pace_.at_most_every, [this] { return stopping_ || soon_; });
    }
}

}  // namespace guideway::announce
