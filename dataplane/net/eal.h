// EAL: how DPDK's environment is started on this machine.
//
// Planning is pure (machine and configuration in, arguments and warnings out), starting is not. Lcore 0 is the main thread's
// and may run on any core; worker i is lcore i + 1, pinned to its core. More workers than cores share them.
//
// Thread contract: from the main thread, once a process.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/config/dataplane_config.h"

namespace guideway::net {

/// What the kernel says is there.
struct Machine {
    std::vector<unsigned> cores;            ///< this process may run on
    std::uint64_t free_huge_megabytes = 0;  ///< of 2 MiB and 1 GiB pages
    std::uint64_t available_megabytes = 0;  ///< of ordinary memory
};

Machine read_machine();

struct EalPlan {
    std::vector<std::string> arguments;  ///< without the program's name
    std::vector<unsigned> lcores;        ///< of the workers, in their order
    bool huge_pages = false;
    std::uint32_t megabytes = 0;
    std::vector<std::string> warnings;
    std::optional<std::string> error;  ///< then nothing else counts
};

/// Packet buffers need at least this much.
inline constexpr std::uint32_t kLeastMegabytes = 64;

EalPlan plan_eal(const config::DataplaneConfig& config, const Machine& machine);

/// Returns why it could not.
std::optional<std::string> start_eal(const EalPlan& plan);
void stop_eal();

}  // namespace guideway::net
