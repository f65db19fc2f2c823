#include "tests/bench/flow/machine.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <fstream>
#include <sstream>
#include <sys/utsname.h>

namespace guideway::bench {
namespace {

double now_ns() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    return static_cast<double>(time.tv_sec) * 1e9 + static_cast<double>(time.tv_nsec);
}

double calibrate() {
    const double started_ns = now_ns();
    const std::uint64_t started = rte_rdtsc();
    while (now_ns() - started_ns < 50e6) {
    }
    const double ended_ns = now_ns();
    return (ended_ns - started_ns) / static_cast<double>(rte_rdtsc() - started);
}

std::size_t kib_of_line(const std::string& line) {
    std::istringstream words(line.substr(line.find(':') + 1));
    std::size_t kib = 0;
    words >> kib;
    return kib;
}

}  // namespace

double ns_per_cycle() {
    static const double value = calibrate();
    return value;
}

Machine this_machine() {
    Machine machine;
    utsname names{};
    uname(&names);
    machine.host = names.nodename;
    machine.kernel = std::string(names.sysname) + " " + names.release;
    machine.tsc_ghz = 1 / ns_per_cycle();
#if defined(__clang__)
    machine.compiler = "clang " __clang_version__;
#else
    machine.compiler = "gcc " __VERSION__;
#endif
    std::ifstream info("/proc/cpuinfo");
    for (std::string line; std::getline(info, line);) {
        if (!line.starts_with("model name")) continue;
        machine.cpu = line.substr(line.find(':') + 2);
        break;
    }
    return machine;
}

std::size_t resident_bytes() {
    std::ifstream file("/proc/self/smaps_rollup");
    for (std::string line; std::getline(file, line);) {
        if (line.starts_with("Rss:")) return kib_of_line(line) * 1024;
    }
    return 0;
}

std::string pages_of(std::span<const std::byte> memory) {
    const auto wanted_from = reinterpret_cast<std::uintptr_t>(memory.data());
    const auto wanted_to = wanted_from + memory.size();
    std::ifstream file("/proc/self/smaps");
    bool inside = false;
    std::size_t resident = 0, transparent = 0, kernel_page = 4;
    for (std::string line; std::getline(file, line);) {
        unsigned long from = 0, to = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &from, &to) == 2) {
            inside = from < wanted_to && to > wanted_from;
            continue;
        }
        if (!inside) continue;
        if (line.starts_with("Rss:")) resident += kib_of_line(line);
        if (line.starts_with("AnonHugePages:") || line.starts_with("ShmemPmdMapped:")) transparent += kib_of_line(line);
        if (line.starts_with("KernelPageSize:")) kernel_page = std::max(kernel_page, kib_of_line(line));
    }
    if (kernel_page > 4) return std::to_string(kernel_page / 1024) + " MiB (hugetlbfs)";
    if (resident == 0) return "not resident";
    const std::size_t percent = transparent * 100 / resident;
    if (percent >= 99) return "2 MiB (transparent)";
    return "4 KiB (" + std::to_string(percent) + " % in transparent 2 MiB)";
}

}  // namespace guideway::bench
