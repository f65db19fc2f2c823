// MaglevTable: spreads a 32-bit hash over backends evenly, and moves few connections when the set changes.
// Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4.
//
// Terms:
//   identity     of a backend: (family, address, port). Names and the order in the set do not matter: the same set in
//                any order, on any appliance, fills the same slots with the same backends.
//   permutation  each backend walks all M slots in an order of its own (offset, then always `skip` further, modulo the
//                prime M).
//   turn         each backend in identity order takes the next slot of its walk that is still free. A backend of
//                weight w gains w / (largest weight) of a claim in every turn and takes a slot when it has a whole one.
//   weight 0     not in the table (draining).
//
// Worked example (M = 7, backends 10.0.0.1, .2, .3 port 80 of equal weight): maglev_test.cc has the table slot by slot.
//
// Thread contract: immutable after build(); read by all workers without synchronisation. build() allocates and takes
// milliseconds: control thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::balancing {

struct MaglevBackend {
    IpAddress address;
    std::uint16_t port = 0;    ///< host order; 0 where the port is the service's
    std::uint32_t weight = 1;  ///< 0..1000
};

/// Where a backend's walk over the slots starts and how far each step goes.
struct MaglevWalk {
    std::uint32_t offset;  ///< 0..M-1
    std::uint32_t skip;    ///< 1..M-1
};

/// For a prime `size`. The same on all machines and in all versions.
MaglevWalk maglev_walk(const IpAddress& address, std::uint16_t port, std::uint32_t size);

class MaglevTable {
  public:
    static constexpr std::uint16_t kNoBackend = 0xffff;
    static constexpr std::size_t kMaxBackends = 65535;  ///< indices 0..65534

    /// `size` must be prime (see size_for). At most kMaxBackends backends: null otherwise. Without a backend of
    /// positive weight the table is empty: one slot, and lookup() always yields kNoBackend.
    static std::shared_ptr<const MaglevTable> build(std::span<const MaglevBackend> backends, std::uint32_t size);

    /// A prime of at least 100 slots for each backend, at least 65537: then the shares differ by at most about 1 %.
    static std::uint32_t size_for(std::size_t backends);

    /// Index into the `backends` given to build(), or kNoBackend. Takes the hash's high bits most seriously.
    std::uint16_t lookup(std::uint32_t hash) const noexcept { return entries_[slot_of(hash)]; }
    void prefetch(std::uint32_t hash) const noexcept { __builtin_prefetch(&entries_[slot_of(hash)]); }
    /// Multiply-shift instead of a modulo: equally even, a third of the cycles.
    std::uint32_t slot_of(std::uint32_t hash) const noexcept {
        return static_cast<std::uint32_t>((std::uint64_t{hash} * entries_.size()) >> 32);
    }

    std::uint32_t size() const { return static_cast<std::uint32_t>(entries_.size()); }
    bool empty() const { return entries_.front() == kNoBackend; }
    std::span<const std::uint16_t> slots() const { return entries_; }
    /// Slots of each backend, by index.
    std::span<const std::uint32_t> slots_by_backend() const { return slots_by_backend_; }
    /// Over the backends of positive weight; 0 in an empty table.
    std::uint32_t min_slots() const { return min_slots_; }
    std::uint32_t max_slots() const { return max_slots_; }

  private:
    MaglevTable() = default;

    std::vector<std::uint16_t> entries_;
    std::vector<std::uint32_t> slots_by_backend_;
    std::uint32_t min_slots_ = 0;
    std::uint32_t max_slots_ = 0;
};

}  // namespace guideway::balancing
