// Relocations: connections that their client's packets would not lead to, because they were opened when there was another number of
// workers, or another way of sharing them out. Empty in the ordinary case.
//
// Terms:
//   home    the worker that an entry lives at: the one its replies arrive at, for they cannot be led anywhere else by choice.
//   owner   the worker that a client's tuple names by itself. Where that is not the home, the home stands here.
// What stands here stands until the next start: while it does, the home is the owner of that tuple for everybody, also for a
// later connection on the same ports. So it never matters whether the connection still lives.
//
// Worked example: one worker had 198.51.100.7:40000 -> 203.0.113.10:80 with SNAT port 5001. Of two, worker 1 gets its replies and
// its entry, and the hash of the client's tuple h says worker 0: of(h, 0) = 1, at every worker.
//
// Two tuples with 57 equal bits of hash are one: then a connection lives at another worker than it might. Harmless.
// Thread contract: built by the start-up thread before the workers run, constant afterwards, shared by them. of() is for misses on
// the poll path: one comparison when empty, else one cache line.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace guideway::worker {

struct Relocation {
    std::uint64_t selection_hash;  ///< flow::selection_hash of the client's tuple
    std::uint32_t home;            ///< below kMaxWorkers (64)
};

class Relocations {
  public:
    Relocations() = default;
    /// Of two with one hash the later counts.
    explicit Relocations(std::span<const std::vector<Relocation>> lists) {
        for (const auto& list : lists) size_ += list.size();
        if (size_ == 0) return;
        const std::size_t slots = std::bit_ceil(size_ * 2);
        shift_ = 64 - static_cast<unsigned>(std::countr_zero(slots));
        slots_.resize(slots);
        for (const auto& list : lists) {
            for (const Relocation& one : list) add(one);
        }
    }

    /// The owner of the client's packets; `otherwise`: the one that the tuple names by itself.
    std::uint32_t of(std::uint64_t selection_hash, std::uint32_t otherwise) const noexcept {
        if (slots_.empty()) [[likely]]
            return otherwise;
        const std::uint64_t slot = slots_[place_of(selection_hash)];
        return slot == 0 ? otherwise : static_cast<std::uint32_t>(slot & kHome);
    }
    std::size_t size() const noexcept { return size_; }

  private:
    static constexpr std::uint64_t kHome = 63;
    static constexpr std::uint64_t kUsed = 64;
    static constexpr std::uint64_t kHash = ~(kHome | kUsed);

    /// Of the slot with this hash, or the free one where it belongs. At most half are used.
    std::size_t place_of(std::uint64_t hash) const noexcept {
        std::size_t at = static_cast<std::size_t>(hash >> shift_);
        while (slots_[at] != 0 && ((slots_[at] ^ hash) & kHash) != 0) at = (at + 1) & (slots_.size() - 1);
        return at;
    }
    void add(const Relocation& one) {
        slots_[place_of(one.selection_hash)] = (one.selection_hash & kHash) | kUsed | one.home;
    }

    std::vector<std::uint64_t> slots_;
    unsigned shift_ = 0;
    std::size_t size_ = 0;
};

}  // namespace guideway::worker
