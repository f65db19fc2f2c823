// ByteRing: a bounded queue of records of any length from one thread to one other, in memory taken beforehand.
//
// Terms: the producer reserves room in one piece, fills it, and commits as much of it as it needed; only then the consumer sees it.
// A record that does not fit before the memory's end begins at its start; what is left over is skipped. Both sides are loads and
// stores with acquire/release order: no atomic read-modify-write, no lock, no allocation.
//
// Worked example: worker:  if (std::byte* room = ring.reserve(400)) { fill(room); ring.commit(312); } else lost.add(1);
//                 control: for (auto record = ring.front(); !record.empty(); record = ring.front()) { take(record); ring.pop(); }
// Thread contract: exactly one producer thread (reserve, commit) and one consumer thread (front, pop) at a time.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace guideway::observe {

class ByteRing {
  public:
    /// A power of two, at least 64.
    explicit ByteRing(std::size_t capacity) : memory_(capacity) {}

    /// Null where there is no room; then nothing is to be committed. A second reserve() takes the first's place.
    std::byte* reserve(std::size_t bytes) noexcept {
        const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
        const std::uint64_t to_end = memory_.size() - (tail & mask());
        const std::uint64_t need = kHead + rounded(bytes);
        const std::uint64_t skipped = need > to_end ? to_end : 0;
        if (tail + skipped + need - head_.load(std::memory_order_acquire) > memory_.size()) return nullptr;
        if (skipped != 0) write_head(tail, kSkip);
        reserved_ = tail + skipped;
        return memory_.data() + (reserved_ & mask()) + kHead;
    }
    /// No more than was reserved, and at least 1.
    void commit(std::size_t bytes) noexcept {
        write_head(reserved_, bytes);
        tail_.store(reserved_ + kHead + rounded(bytes), std::memory_order_release);
    }

    /// The oldest record, or nothing. Valid until pop().
    std::span<const std::byte> front() noexcept {
        std::uint64_t head = head_.load(std::memory_order_relaxed);
        const std::uint64_t tail = tail_.load(std::memory_order_acquire);
        if (head == tail) return {};
        if (read_head(head) == kSkip) {
            head += memory_.size() - (head & mask());
            head_.store(head, std::memory_order_release);
        }
        return {memory_.data() + (head & mask()) + kHead, static_cast<std::size_t>(read_head(head))};
    }
    /// After a front() that was something.
    void pop() noexcept {
        const std::uint64_t head = head_.load(std::memory_order_relaxed);
        head_.store(head + kHead + rounded(read_head(head)), std::memory_order_release);
    }

  private:
    static constexpr std::uint64_t kHead = sizeof(std::uint64_t);  ///< a record's length stands before it
    static constexpr std::uint64_t kSkip = ~std::uint64_t{0};
    static constexpr std::uint64_t rounded(std::uint64_t bytes) noexcept { return (bytes + 7) & ~std::uint64_t{7}; }
    std::uint64_t mask() const noexcept { return memory_.size() - 1; }
    void write_head(std::uint64_t at, std::uint64_t value) noexcept {
        std::memcpy(memory_.data() + (at & mask()), &value, sizeof value);
    }
    std::uint64_t read_head(std::uint64_t at) const noexcept {
        std::uint64_t value = 0;
        std::memcpy(&value, memory_.data() + (at & mask()), sizeof value);
        return value;
    }

    std::vector<std::byte> memory_;
    std::uint64_t reserved_ = 0;  ///< the producer's
    alignas(64) std::atomic<std::uint64_t> tail_{0};
    alignas(64) std::atomic<std::uint64_t> head_{0};
};

}  // namespace guideway::observe
