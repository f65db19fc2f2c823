#include "dataplane/net/eal.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <fstream>
#include <sched.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_log.h>

namespace guideway::net {
namespace {

constexpr std::uint64_t kHeadroomMegabytes = 128;  ///< left to the rest of the machine when memory is short

std::uint64_t read_number(const std::filesystem::path& path) {
    std::ifstream file(path);
    std::uint64_t value = 0;
    file >> value;
    return file ? value : 0;
}

std::uint64_t free_huge_megabytes() {
    std::uint64_t total = 0;
    std::error_code ignored;
    for (const auto& pool : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", ignored)) {
        const std::string name = pool.path().filename();  // hugepages-2048kB
        const auto digits = std::ranges::find_if(name, [](unsigned char c) { return std::isdigit(c) != 0; });
        const std::uint64_t kib = std::strtoull(&*digits, nullptr, 10);
        const std::uint64_t free = read_number(pool.path() / "free_hugepages");
        const std::uint64_t reserved = read_number(pool.path() / "resv_hugepages");
        total += free > reserved ? (free - reserved) * kib / 1024 : 0;
    }
    return total;
}

std::uint64_t available_megabytes() {
    std::ifstream file("/proc/meminfo");
    for (std::string key; file >> key;) {
        std::uint64_t kib = 0;
        if (key == "MemAvailable:" && file >> kib) return kib / 1024;
        file.ignore(256, '\n');
    }
    return 0;
}

std::string list(const std::vector<unsigned>& cores) {
    std::string text;
    for (const unsigned core : cores) text += (text.empty() ? "" : ",") + std::to_string(core);
    return text;
}

bool drives_pci(const config::DataplaneConfig& config) {
    return std::ranges::any_of(config.ports, [](const auto& port) {
        const auto kind = port.kind == config::PortKind::bond ? port.bond.kind : port.kind;
        return kind == config::PortKind::pci;
    });
}

void plan_memory(const config::MemoryConfig& wanted, const Machine& machine, EalPlan& plan) {
    using config::HugePages;
    const std::string huge = std::to_string(machine.free_huge_megabytes) + " MB of huge pages are free";
    plan.huge_pages = wanted.huge_pages != HugePages::never && machine.free_huge_megabytes >= kLeastMegabytes;
    if (wanted.huge_pages == HugePages::require && machine.free_huge_megabytes < wanted.megabytes) {
        plan.error = huge + ", memory.megabytes wants " + std::to_string(wanted.megabytes) +
                     " and memory.huge_pages is \"require\": set vm.nr_hugepages (2 MB each) or take \"auto\"";
        return;
    }
    if (wanted.huge_pages == HugePages::automatic && !plan.huge_pages) {
        plan.warnings.push_back(huge +
                                ": going on with ordinary pages, slower (for huge pages: sysctl vm.nr_hugepages=" +
                                std::to_string(wanted.megabytes / 2 + 16) + ")");
    }
    std::uint64_t there = machine.free_huge_megabytes;
    if (!plan.huge_pages) {
        there = machine.available_megabytes > kHeadroomMegabytes ? machine.available_megabytes - kHeadroomMegabytes : 0;
    }
    plan.megabytes = static_cast<std::uint32_t>(std::min<std::uint64_t>(wanted.megabytes, there));
    if (plan.megabytes < kLeastMegabytes) {
        plan.error = "memory is short: " + std::to_string(machine.available_megabytes) + " MB are available, " +
                     std::to_string(kLeastMegabytes + kHeadroomMegabytes) + " are needed";
    } else if (plan.megabytes < wanted.megabytes) {
        plan.warnings.push_back("memory is short: going on with " + std::to_string(plan.megabytes) +
                                " MB for packets instead of " + std::to_string(wanted.megabytes));
    }
}

void plan_cores(const config::WorkersConfig& workers, const Machine& machine, EalPlan& plan) {
    const auto& cores = machine.cores;
    if (cores.empty()) {
        plan.error = "the kernel names no core this process may run on";
        return;
    }
    std::string map = "0@(" + list(cores) + ")";
    for (std::uint32_t worker = 0; worker < workers.count; ++worker) {
        const unsigned core = workers.cores.empty() ? cores[worker % cores.size()] : workers.cores[worker];
        if (std::ranges::find(cores, core) == cores.end()) {
            plan.error = "dataplane.cores: worker " + std::to_string(worker) + " wants core " + std::to_string(core) +
                         ", allowed for this process are " + list(cores);
            return;
        }
        plan.lcores.push_back(worker + 1);
        map += "," + std::to_string(worker + 1) + "@" + std::to_string(core);
    }
    if (workers.count > cores.size()) {
        plan.warnings.push_back(std::to_string(workers.count) + " workers share " + std::to_string(cores.size()) +
                                " cores");
    }
    plan.arguments.insert(plan.arguments.end(), {"--lcores", map, "--main-lcore", "0"});
}

}  // namespace

Machine read_machine() {
    Machine machine;
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
            if (CPU_ISSET(core, &set)) machine.cores.push_back(core);
        }
    }
    machine.free_huge_megabytes = free_huge_megabytes();
    machine.available_megabytes = available_megabytes();
    return machine;
}

EalPlan plan_eal(const config::DataplaneConfig& config, const Machine& machine) {
    EalPlan plan;
    plan.arguments = {"--no-telemetry", "--log-level=lib.*:warning", "--log-level=pmd.*:warning"};
    plan_cores(config.workers, machine, plan);
    if (!plan.error) plan_memory(config.memory, machine, plan);
    if (plan.error) return plan;
    if (!drives_pci(config)) plan.arguments.insert(plan.arguments.end(), {"--no-pci", "--iova-mode=va"});
    // Nothing on disk, so that several instances and namespaces do not meet; DPDK takes --in-memory with huge pages only.
    if (plan.huge_pages) {
        plan.arguments.emplace_back("--in-memory");
    } else {
        plan.arguments.insert(plan.arguments.end(), {"--no-huge", "--no-shconf"});
    }
    plan.arguments.insert(plan.arguments.end(), {"-m", std::to_string(plan.megabytes)});
    return plan;
}

std::optional<std::string> start_eal(const EalPlan& plan) {
    std::vector<std::string> texts{"guideway-dataplane"};
    texts.insert(texts.end(), plan.arguments.begin(), plan.arguments.end());
    std::vector<char*> argv;
    for (auto& text : texts) argv.push_back(text.data());
    argv.push_back(nullptr);
    rte_log_set_global_level(RTE_LOG_WARNING);
    if (rte_eal_init(static_cast<int>(texts.size()), argv.data()) < 0) {
        std::string all;
        for (const auto& text : plan.arguments) all += " " + text;
        return std::string("DPDK did not start: ") + rte_strerror(rte_errno) + "; its arguments were:" + all;
    }
    return std::nullopt;
}

void stop_eal() { rte_eal_cleanup(); }

}  // namespace guideway::net
