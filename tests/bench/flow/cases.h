// The cases of the benchmark, one file each. Each adds its rows to the report and fails the process where packets are wrong.
// Thread contract: the main thread, which is the first worker's.
#pragma once

#include <string>

#include "tests/bench/flow/options.h"
#include "tests/bench/flow/report.h"

namespace guideway::bench {

void run_established(const Options& options, Report& report);
/// `name`: setup or lifecycle.
void run_connections(const Options& options, Report& report, const std::string& name);
void run_flood(const Options& options, Report& report);
void run_maglev(const Options& options, Report& report);
void run_apply(const Options& options, Report& report);
void run_scaling(const Options& options, Report& report);

}  // namespace guideway::bench
