// The machine: its name, its clock, its pages, and what this process takes of its memory.
// Thread contract: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include <rte_cycles.h>

namespace guideway::bench {

/// Nanoseconds of a cycle of the time stamp counter, measured once against the kernel's clock.
double ns_per_cycle();
inline double ns_between(std::uint64_t from, std::uint64_t to) {
    return static_cast<double>(to - from) * ns_per_cycle();
}

struct Machine {
    std::string host;
    std::string cpu;
    std::string kernel;
    double tsc_ghz = 0;
    std::string compiler;
};
Machine this_machine();

/// Resident bytes of this process (smaps_rollup).
std::size_t resident_bytes();

/// "2 MiB transparent" or "4 KiB (12 % in 2 MiB)": what backs the memory.
std::string pages_of(std::span<const std::byte> memory);

}  // namespace guideway::bench
