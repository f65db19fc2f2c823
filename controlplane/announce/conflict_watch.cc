#include "controlplane/announce/conflict_watch.h"

#include <algorithm>
#include <utility>

namespace guideway::announce {
namespace {

bool same_news(const ConflictWatch::Conflicts& a, const ConflictWatch::Conflicts& b) {
    return std::ranges::equal(a, b, [](const contract::AddressConflict& one, const contract::AddressConflict& other) {
        return one.address == other.address && one.mac == other.mac && one.port == other.port &&
               one.yielded == other.yielded;
    });
}

}  // namespace

ConflictWatch::ConflictWatch(Ask ask, Told told, std::chrono::milliseconds every)
    : ask_(std::move(ask)), told_(std::move(told)), every_(every) {}

ConflictWatch::~ConflictWatch() { stop(); }

void ConflictWatch::start() {
    thread_ = std::thread([this] { run(); });
}

void ConflictWatch::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        woken_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

void ConflictWatch::run() {
    Conflicts last;
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        lock.unlock();
        if (auto now = ask_(); now && !same_news(*now, last)) {
            told_(*now);
            last = *std::move(now);
        }
        lock.lock();
        woken_.wait_for(lock, every_, [this] { return stopping_; });
    }
}

}  // namespace guideway::announce
