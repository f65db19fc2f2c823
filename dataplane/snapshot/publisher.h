// Publisher: hands immutable snapshots from the control threads to the workers, and frees the old ones when
// no worker can still see them (quiescent-state based reclamation, rte_rcu_qsbr).
//
// Terms:
//   quiescent   a worker says "I hold no pointer from before now"; once a poll.
//   offline     a worker that sleeps: nobody waits for it, and it must not read until it is online again.
//   grace period  from the swap of the pointer until every online worker was quiescent once; publish() waits
//   for it.
//
// Worked example (two workers, a new forwarding state):
//   control: publish(new)      swaps the pointer, then waits ...
//   worker 0: quiescent()      next forwarding() gives the new snapshot
//   worker 1: (asleep, offline) not waited for; its next forwarding() after online() gives the new one
//   control: publish returns; the old snapshot is freed when the last control-side holder lets go of it.
//
// Thread contract: publish() and the current_*() readers from any control thread (a mutex orders them); every
// function that takes a worker number only from that worker's thread. Needs no EAL.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>

#include "dataplane/snapshot/forwarding_snapshot.h"
#include "dataplane/snapshot/routing_snapshot.h"
#include "dataplane/snapshot/yielded_set.h"

struct rte_rcu_qsbr;

namespace guideway::observe {
class Tap;
}

namespace guideway::snapshot {

/// What is in force, as a worker takes it once a poll.
struct View {
    const ForwardingSnapshot* forwarding;
    const RoutingSnapshot* routing;
    std::uint64_t number;       ///< another for each change of either that may change what connections do: 1, 2, ...
    observe::Tap* tap;          ///< null nearly always; its coming and going is no change: connections need no new look
    const YieldedSet* yielded;  ///< likewise: what happens to connections does not depend on it
};

class Publisher {
  public:
    /// Starts with an empty ForwardingSnapshot (generation 0) and an empty RoutingSnapshot: readers never see
    /// null.
    explicit Publisher(std::uint32_t workers);
    ~Publisher();
    Publisher(const Publisher&) = delete;
    Publisher& operator=(const Publisher&) = delete;

    // Control threads.

    /// Swaps and waits for the grace period (a poll of each worker: microseconds, at most some milliseconds).
    /// Calls are serialised; do not call from a worker.
    void publish(std::shared_ptr<const ForwardingSnapshot> next);
    void publish(std::shared_ptr<const RoutingSnapshot> next);
    /// The same, of one that has next hops more, at indices that were unused, and is as the present one in all else: what workers have
    /// looked over stays so.
    void publish_addition(std::shared_ptr<const RoutingSnapshot> next) { publish(std::move(next), 0); }
    /// Null: packets are looked at no more, and nobody holds the one before.
    void show_tap(std::shared_ptr<observe::Tap> next);
    /// Null: none is.
    void show_yielded(std::shared_ptr<const YieldedSet> next);
    /// What is in force, kept alive by the returned pointer.
    std::shared_ptr<const ForwardingSnapshot> current_forwarding() const;
    std::shared_ptr<const RoutingSnapshot> current_routing() const;

    // Workers.

    /// Before the first read; the worker is then offline.
    void register_worker(std::uint32_t worker);
    void unregister_worker(std::uint32_t worker);
    void online(std::uint32_t worker) noexcept;
    void offline(std::uint32_t worker) noexcept;
    /// Pointers read before this call must not be used after it.
    void quiescent(std::uint32_t worker) noexcept;
    /// Valid until the caller's next quiescent() or offline(). Never null.
    const View& view() const noexcept { return *view_.load(std::memory_order_acquire); }
    const ForwardingSnapshot* forwarding() const noexcept { return view().forwarding; }
    const RoutingSnapshot* routing() const noexcept { return view().routing; }

  private:
    void publish(std::shared_ptr<const RoutingSnapshot> next, std::uint64_t changes);
    void wait_for_grace_period();
    /// Makes the pointers below what workers see. Under publishing_; returns the view to be freed after the grace period.
    std::unique_ptr<const View> show_current(std::uint64_t changes = 1);

    struct FreeMemory {
        void operator()(rte_rcu_qsbr* qsbr) const noexcept;
    };

    alignas(64) std::atomic<const View*> view_{nullptr};
    alignas(64) std::unique_ptr<rte_rcu_qsbr, FreeMemory> qsbr_;
    std::mutex publishing_;       ///< held for a whole publish(), grace period included
    mutable std::mutex current_;  ///< guards the two pointers below, only for a copy or a swap
    std::shared_ptr<const ForwardingSnapshot> current_forwarding_;
    std::shared_ptr<const RoutingSnapshot> current_routing_;
    std::shared_ptr<observe::Tap> current_tap_;          ///< under publishing_
    std::shared_ptr<const YieldedSet> current_yielded_;  ///< likewise
};

}  // namespace guideway::snapshot
