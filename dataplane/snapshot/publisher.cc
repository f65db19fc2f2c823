#include "dataplane/snapshot/publisher.h"

#include <chrono>
#include <cstdlib>
#include <new>
#include <stdexcept>
#include <thread>
#include <utility>

#include <rte_rcu_qsbr.h>

namespace guideway::snapshot {

void Publisher::FreeMemory::operator()(rte_rcu_qsbr* qsbr) const noexcept { std::free(qsbr); }

Publisher::Publisher(std::uint32_t workers)
    : current_forwarding_(std::make_shared<const ForwardingSnapshot>()),
      current_routing_(std::make_shared<const RoutingSnapshot>()) {
    const std::size_t size = rte_rcu_qsbr_get_memsize(workers);
    const std::size_t rounded = (size + RTE_CACHE_LINE_SIZE - 1) / RTE_CACHE_LINE_SIZE * RTE_CACHE_LINE_SIZE;
    qsbr_.reset(static_cast<rte_rcu_qsbr*>(std::aligned_alloc(RTE_CACHE_LINE_SIZE, rounded)));
    if (qsbr_ == nullptr) throw std::bad_alloc();
    if (rte_rcu_qsbr_init(qsbr_.get(), workers) != 0) {
        throw std::invalid_argument("quiescent-state memory for the given number of workers");
    }
    show_current();
}

Publisher::~Publisher() { delete view_.load(std::memory_order_acquire); }

std::unique_ptr<const View> Publisher::show_current(std::uint64_t changes) {
    const View* old = view_.load(std::memory_order_relaxed);
    const auto* next = new View{current_forwarding_.get(), current_routing_.get(),
                                old == nullptr ? 1 : old->number + changes, current_tap_.get(), current_yielded_.get()};
    view_.store(next, std::memory_order_release);
    return std::unique_ptr<const View>(old);
}

void Publisher::wait_for_grace_period() {
    const std::uint64_t token = rte_rcu_qsbr_start(qsbr_.get());
    // Not the library's own wait: it spins, and would starve a worker that shares this core.
    while (rte_rcu_qsbr_check(qsbr_.get(), token, false) == 0) {
        std::this_thread::sleep_for(std::chrono::microseconds(20));
    }
}

void Publisher::publish(std::shared_ptr<const ForwardingSnapshot> next) {
    const std::lock_guard publishing(publishing_);
    {
        const std::lock_guard lock(current_);
        current_forwarding_.swap(next);
    }
    const auto old = show_current();
    wait_for_grace_period();  // `next` and `old` hold what was in force until here
}

void Publisher::publish(std::shared_ptr<const RoutingSnapshot> next) { publish(std::move(next), 1); }

void Publisher::publish(std::shared_ptr<const RoutingSnapshot> next, std::uint64_t changes) {
    const std::lock_guard publishing(publishing_);
    {
        const std::lock_guard lock(current_);
        current_routing_.swap(next);
    }
    const auto old = show_current(changes);
    wait_for_grace_period();
}

void Publisher::show_tap(std::shared_ptr<observe::Tap> next) {
    const std::lock_guard publishing(publishing_);
    current_tap_.swap(next);
    const auto old = show_current(0);
    wait_for_grace_period();
}

void Publisher::show_yielded(std::shared_ptr<const YieldedSet> next) {
    const std::lock_guard publishing(publishing_);
    current_yielded_.swap(next);
    const auto old = show_current(0);
    wait_for_grace_period();
}

std::shared_ptr<const ForwardingSnapshot> Publisher::current_forwarding() const {
    const std::lock_guard lock(current_);
    return current_forwarding_;
}

std::shared_ptr<const RoutingSnapshot> Publisher::current_routing() const {
    const std::lock_guard lock(current_);
    return current_routing_;
}

void Publisher::register_worker(std::uint32_t worker) {
    if (rte_rcu_qsbr_thread_register(qsbr_.get(), worker) != 0) {
        throw std::invalid_argument("worker number beyond the publisher's");
    }
}

void Publisher::unregister_worker(std::uint32_t worker) { rte_rcu_qsbr_thread_unregister(qsbr_.get(), worker); }

void Publisher::online(std::uint32_t worker) noexcept { rte_rcu_qsbr_thread_online(qsbr_.get(), worker); }
void Publisher::offline(std::uint32_t worker) noexcept { rte_rcu_qsbr_thread_offline(qsbr_.get(), worker); }
void Publisher::quiescent(std::uint32_t worker) noexcept { rte_rcu_qsbr_quiescent(qsbr_.get(), worker); }

}  // namespace guideway::snapshot
