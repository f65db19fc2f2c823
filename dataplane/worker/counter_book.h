// CounterBook: from the workers' lines to contract::Counters, by name.
//
// Terms: a slot's lines only grow, also when another service takes the slot. `base` is what stood there when the slot's present user
// began; a user's count is the lines less its base. So counters of a removed service go away with it, and a service that
// comes back begins at 0.
//
// Worked example: slot 3 counted 500 packets for A; A is removed, later B gets slot 3: before B's snapshot is published,
// before_publish() notes base 500; B shows 0.
// Thread contract: one control thread at a time; the lines are written by the workers meanwhile.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "api/contract/counters.h"
#include "dataplane/observe/counters.h"
#include "dataplane/snapshot/forwarding_snapshot.h"

namespace guideway::worker {

class CounterBook {
  public:
    /// `workers` must outlive the book.
    explicit CounterBook(std::vector<const observe::CounterBlock*> workers);

    /// For each snapshot before it is published. Slots that get a new user are not written by anybody: their last user's state
    /// is at least one grace period old (builder.h).
    void before_publish(const snapshot::ForwardingSnapshot& next);
    /// Everything but ports and start time. `in_force` must have been given to before_publish().
    contract::Counters collect(const snapshot::ForwardingSnapshot& in_force) const;
    /// Of a port that is a VLAN, by its index.
    contract::Traffic vlan_traffic(std::size_t port) const;

  private:
    struct Sum {
        contract::Traffic traffic;
        std::uint64_t new_connections = 0;
        std::uint64_t refused_connections = 0;
        std::uint64_t source_not_allowed = 0;
        std::uint64_t limited = 0;
        Sum& operator-=(const Sum& base);
    };
    using Lines = std::span<const observe::SlotCounters> (observe::CounterBlock::*)() const noexcept;
    Sum sum(Lines lines, std::size_t slot) const;

    struct SlotUser {
        bool used = false;
        std::uint8_t incarnation = 0;
        Sum base;
    };
    void begin_where_new(std::vector<SlotUser>& users, std::size_t slot, std::uint8_t incarnation, Lines lines);

    std::vector<const observe::CounterBlock*> workers_;
    std::vector<SlotUser> services_;
    std::vector<SlotUser> backends_;
};

}  // namespace guideway::worker
