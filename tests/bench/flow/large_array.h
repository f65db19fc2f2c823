// LargeArray: values in large pages.
//
// A generator that picks connections at random out of an ordinary vector would miss the TLB at each packet, and its page walks would be
// charged to the worker.
// Thread contract: owner only.
#pragma once

#include <algorithm>
#include <cstddef>
#include <span>
#include <type_traits>

#include "dataplane/worker/memory.h"
#include "tests/bench/flow/ports.h"

namespace guideway::bench {

template <typename T>
class LargeArray {
    static_assert(std::is_trivially_copyable_v<T>);

  public:
    LargeArray() = default;
    /// Zeroed.
    explicit LargeArray(std::size_t size) : memory_(std::max(size, std::size_t{1}) * sizeof(T)), size_(size) {
        if (!memory_.ok()) fail("no memory for the generator");
    }

    std::size_t size() const { return size_; }
    std::span<T> span() { return {reinterpret_cast<T*>(memory_.bytes().data()), size_}; }
    std::span<const T> span() const { return {reinterpret_cast<const T*>(memory_.bytes().data()), size_}; }
    operator std::span<T>() { return span(); }
    operator std::span<const T>() const { return span(); }

  private:
    worker::Memory memory_;
    std::size_t size_ = 0;
};

}  // namespace guideway::bench
