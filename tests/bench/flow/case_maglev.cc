// maglev: how long a look-up table takes to build.
#include <array>
#include <vector>

#include "dataplane/balancing/maglev.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/plan.h"
#include "tests/bench/flow/ports.h"
#include "tests/bench/flow/timing.h"

namespace guideway::bench {

void run_maglev(const Options& options, Report& report) {
    struct Kind {
        std::uint32_t size, backends;
    };
    for (const Kind kind : {Kind{65537, 10}, Kind{65537, 100}, Kind{65537, 1000}, Kind{131071, 1000}}) {
        std::vector<balancing::MaglevBackend> backends;
        for (std::uint32_t i = 0; i < kind.backends; ++i) {
            backends.push_back({address(4, kNodePrefix, low(0x0a010000U + i)), 0, 1});
        }
        std::vector<double> ms;
        for (unsigned turn = 0; turn < options.turns() + 2; ++turn) {
            std::shared_ptr<const balancing::MaglevTable> table;
            ms.push_back(ns_of([&] { table = balancing::MaglevTable::build(backends, kind.size); }) / 1e6);
            if (table == nullptr || table->size() != kind.size || table->min_slots() == 0)
                fail("Maglev table not built");
        }
        Row row("maglev");
        row.set("slots", kind.size).set("backends", kind.backends).set("build_ms", spread_of(ms));
        report.add(std::move(row));
    }
}

}  // namespace guideway::bench
