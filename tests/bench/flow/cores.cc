#include "tests/bench/flow/cores.h"

#include <pthread.h>
#include <sched.h>

namespace guideway::bench {

std::vector<unsigned> all_cores() {
    std::vector<unsigned> cores;
    cpu_set_t started_with, all;
    sched_getaffinity(0, sizeof started_with, &started_with);
    CPU_ZERO(&all);
    for (unsigned core = 0; core < CPU_SETSIZE; ++core) CPU_SET(core, &all);
    sched_setaffinity(0, sizeof all, &all);  // the kernel takes away what there is not, and what a cpuset forbids
    sched_getaffinity(0, sizeof all, &all);
    sched_setaffinity(0, sizeof started_with, &started_with);
    for (unsigned core = 0; core < CPU_SETSIZE; ++core) {
        if (CPU_ISSET(core, &all)) cores.push_back(core);
    }
    return cores;
}

void leave_core(unsigned core) {
    cpu_set_t others;
    CPU_ZERO(&others);
    for (const unsigned other : all_cores()) {
        if (other != core) CPU_SET(other, &others);
    }
    if (CPU_COUNT(&others) > 0) pthread_setaffinity_np(pthread_self(), sizeof others, &others);
}

}  // namespace guideway::bench
