// Timing: how long something takes, and whether anybody else had the core meanwhile.
//
// Terms: `share` is the part of the time that this thread had its core, by the kernel's account (a hypervisor's other guests do not
// show). A turn below kQuiet is tried again, a few times; the worst share kept is in the row, so that a disturbed figure is seen.
//
// Example:  Timing t = timed(0.2, [&] { return worker.poll_once(clock_ms()); });   // t.ns a packet
// Thread contract: the calling thread.
#pragma once

#include <cstdint>
#include <ctime>

#include "tests/bench/flow/machine.h"

namespace guideway::bench {

inline constexpr double kQuiet = 0.98;
/// --cpu-time: time that others had the core is left out. For work on a shared machine; published figures are wall time.
inline bool by_cpu_time = false;

struct Timing {
    double ns = 0;  ///< each item
    double share = 1;
    double items = 0;
};

inline double thread_ns() {
    timespec time{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

/// Calls `once`, which returns how many items it did, for about `seconds`.
template <typename Once>
Timing timed_once(double seconds, Once&& once) {
    const double cpu_started = thread_ns();
    const std::uint64_t started = rte_rdtsc();
    const std::uint64_t until = started + static_cast<std::uint64_t>(seconds * 1e9 / ns_per_cycle());
    std::uint64_t items = 0, now = started;
    while (now < until) {
        for (unsigned i = 0; i < 16; ++i) items += once();
        now = rte_rdtsc();
    }
    const double wall = ns_between(started, now), cpu = thread_ns() - cpu_started;
    return {(by_cpu_time ? cpu : wall) / static_cast<double>(items), cpu / wall, static_cast<double>(items)};
}

template <typename Once>
Timing timed(double seconds, Once&& once) {
    Timing best{0, 0, 0};
    for (unsigned attempt = 0; attempt < 3; ++attempt) {
        const Timing now = timed_once(seconds, once);
        if (now.share > best.share) best = now;
        if (best.share >= kQuiet || by_cpu_time) break;
    }
    return best;
}

/// What takes one go: nanoseconds.
template <typename Work>
double ns_of(Work&& work) {
    const std::uint64_t started = rte_rdtsc();
    work();
    return ns_between(started, rte_rdtsc());
}

}  // namespace guideway::bench
