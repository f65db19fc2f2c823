#include "controlplane/announce/maintenance_watch.h"

#include <utility>

namespace guideway::announce {

MaintenanceWatch::MaintenanceWatch(MaintenanceFile file, std::function<void(const State&)> changed,
                                   std::chrono::milliseconds every)
    : file_(std::move(file)), changed_(std::move(changed)), every_(every) {}

MaintenanceWatch::~MaintenanceWatch() { stop(); }

void MaintenanceWatch::start() {
    thread_ = std::thread([this] { run(); });
}

void MaintenanceWatch::stop() {
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
        woken_.notify_all();
    }
    if (thread_.joinable()) thread_.join();
}

MaintenanceWatch::State MaintenanceWatch::state() const {
    const std::lock_guard lock(mutex_);
    return state_;
}

void MaintenanceWatch::look() {
    const std::lock_guard lock(file_mutex_);
    look_locked();
}

void MaintenanceWatch::look_locked() {
    State now = file_.note();
    {
        const std::lock_guard lock(mutex_);
        if (now == state_) return;
        state_ = now;
    }
    changed_(now);
}

std::string MaintenanceWatch::set(bool on, const std::string& reason) {
    const std::lock_guard lock(file_mutex_);
    std::string error = on ? file_.begin(reason) : file_.end();
    // Also where it failed half-way: what the file says counts.
    look_locked();
    return error;
}

void MaintenanceWatch::run() {
    std::unique_lock lock(mutex_);
    while (!stopping_) {
        lock.unlock();
        look();
        lock.lock();
        woken_.wait_for(lock, every_, [this] { return stopping_; });
    }
}

}  // namespace guideway::announce
