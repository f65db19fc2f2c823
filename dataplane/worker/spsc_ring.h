// SpscRing: a bounded queue of plain values from one thread to one other.
//
// Terms: the producer calls push(), the consumer pop(). Both are a load and a store with acquire/release
// order; there is no atomic read-modify-write, no lock and no allocation, so the poll path may use either
// end. Thread contract: exactly one producer thread and one consumer thread at a time.
//
// Example: a worker asks for a neighbour, the netlink thread resolves it:
//   worker:  if (!queue.push(key)) the next retry asks again;
//   netlink: while (auto key = queue.pop()) resolve(*key);
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <type_traits>

namespace guideway::worker {

template <typename T, std::size_t kCapacity>
class SpscRing {
    static_assert(kCapacity >= 2 && (kCapacity & (kCapacity - 1)) == 0, "a power of two");
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    /// False when the ring is full; the value is then not kept.
    bool push(const T& value) noexcept {
        const std::uint32_t tail = tail_.load(std::memory_order_relaxed);
        if (tail - head_.load(std::memory_order_acquire) == kCapacity) return false;
        values_[tail & (kCapacity - 1)] = value;
        tail_.store(tail + 1, std::memory_order_release);
        return true;
    }

    /// Nothing when the ring is empty.
    std::optional<T> pop() noexcept {
        const std::uint32_t head = head_.load(std::memory_order_relaxed);
        if (head == tail_.load(std::memory_order_acquire)) return std::nullopt;
        std::optional<T> value{values_[head & (kCapacity - 1)]};
        head_.store(head + 1, std::memory_order_release);
        return value;
    }

  private:
    alignas(64) std::atomic<std::uint32_t> tail_{0};
    alignas(64) std::atomic<std::uint32_t> head_{0};
    alignas(64) std::array<T, kCapacity> values_{};
};

}  // namespace guideway::worker
