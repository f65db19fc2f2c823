// flow_bench: see --help and tests/bench/flow/cases.h.
#include <cstdio>
#include <sched.h>

#include "dataplane/worker/memory.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/ports.h"

namespace {

using namespace guideway::bench;

/// The wanted core, and another one for those cases that need two.
std::vector<unsigned> cores_for(const Options& options) {
    std::vector<unsigned> cores{options.core};
    cpu_set_t online;
    CPU_ZERO(&online);
    sched_getaffinity(1, sizeof online, &online);  // of init: the machine's, whatever we were started with
    if (!CPU_ISSET(options.core, &online)) fail("there is no core " + std::to_string(options.core));
    for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
        if (core == options.core || !CPU_ISSET(core, &online)) continue;
        cores.push_back(core);
        break;
    }
    return cores;
}

}  // namespace

int main(int count, char** words) {
    const Options options = parse_options(count, words);
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
    report.print(machine, pages);
    if (!options.json.empty() && !report.write_json(options.json, machine)) {
        fail("cannot write " + options.json);
    }
    return 0;
}
