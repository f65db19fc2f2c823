// flow_bench: see --help and tests/bench/flow/cases.h.
#include <algorithm>
#include <string>
#include <vector>

#include "dataplane/worker/memory.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/cores.h"
#include "tests/bench/flow/ports.h"
#include "tests/bench/flow/timing.h"
#include "tests/bench/flow/traffic.h"

namespace {

using namespace guideway::bench;

/// The wanted core, and another one for those cases that need two.
std::vector<unsigned> cores_for(const Options& options) {
    std::vector<unsigned> cores{options.core};
    const std::vector<unsigned> all = all_cores();
    if (std::ranges::find(all, options.core) == all.end()) fail("there is no core " + std::to_string(options.core));
    for (const unsigned core : all) {
        if (cores.size() < 2 && core != options.core) cores.push_back(core);
    }
    return cores;
}

}  // namespace

int main(int count, char** words) {
    const Options options = parse_options(count, words);
    by_cpu_time = options.cpu_time;
    spoil_a_packet = options.spoil;
    open_nic(cores_for(options), options.verbose);
    const Machine machine = this_machine();
    progress(machine.host + ": " + machine.cpu);
    std::string pages;
    {
        const guideway::worker::Memory memory(std::size_t{64} << 20);
        pages = "tables " + pages_of(memory.bytes()) + ", packet buffers " + pages_of(buffer_memory());
    }
    Report report;
    if (options.wants("established")) run_established(options, report);
    for (const char* name : {"setup", "lifecycle"}) {
        if (options.wants(name)) run_connections(options, report, name);
    }
    if (options.wants("flood")) run_flood(options, report);
    if (options.wants("maglev")) run_maglev(options, report);
    if (options.wants("apply")) run_apply(options, report);
    if (options.wants("scaling")) run_scaling(options, report);
    report.print(machine, pages);
    if (!options.json.empty() && !report.write_json(options.json, machine, pages)) {
        fail("cannot write " + options.json);
    }
    return 0;
}
