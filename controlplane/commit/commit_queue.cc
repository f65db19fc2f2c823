#include "controlplane/commit/commit_queue.h"

#include <algorithm>
#include <exception>
#include <utility>
#include <vector>

namespace guideway::controlplane {
namespace {

resources::Problem failed(const char* what) {
    return {500, "InternalError", std::string("the control plane failed, and the change was not made: ") + what, {}};
}

}  // namespace

void CommitQueue::submit(const Work& work) {
    Item item;
    item.work = &work;
    std::unique_lock lock(mutex_);
    waiting_.push_back(&item);
    if (led_) {
        item.changed.wait(lock, [&] { return item.done || item.leads; });
        if (item.done) return;
    }
    led_ = true;
    while (!item.done) lead(lock);
    // Who came meanwhile goes on, so that nobody works for others for ever.
    if (waiting_.empty()) {
        led_ = false;
        return;
    }
    waiting_.front()->leads = true;
    waiting_.front()->changed.notify_one();
}

void CommitQueue::lead(std::unique_lock<std::mutex>& lock) {
    const std::size_t count = std::min(waiting_.size(), most_at_once_);
    const std::vector<Item*> batch(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(count));
    lock.unlock();

    std::vector<Item*> staged, deferred;
    Failure failure;
    writer_.begin();
    for (Item* item : batch) {
        if (failure) {  // what an earlier one left half staged is undone, so these are begun anew
            deferred.push_back(item);
            continue;
        }
        try {
            const Step step = item->work->prepare();
            if (step == Step::staged) staged.push_back(item);
            if (step == Step::deferred) deferred.push_back(item);
        } catch (const std::exception& error) {
            failure = failed(error.what());
            staged.push_back(item);
        }
    }
    if (failure || staged.empty()) {
        writer_.abandon();
    } else {
        try {
            failure = writer_.commit(staged.size());
        } catch (const std::exception& error) {
            failure = failed(error.what());
            writer_.abandon();
        }
    }
    for (const Item* item : staged) item->work->settle(failure);

    lock.lock();
    waiting_.insert(waiting_.begin(), deferred.begin(), deferred.end());
    for (Item* item : batch) {
        if (std::find(deferred.begin(), deferred.end(), item) != deferred.end()) continue;
        // With the lock: without it the waiter may be gone before it is told.
        item->done = true;
        item->changed.notify_one();
    }
}

}  // namespace guideway::controlplane
