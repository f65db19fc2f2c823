// Cores: which ones the benchmark may use.
// Thread contract: any thread.
#pragma once

#include <vector>

namespace guideway::bench {

/// All cores of the machine that this process may be moved to, whatever it was started on.
std::vector<unsigned> all_cores();
/// Moves the calling thread to the other cores, where there are any.
void leave_core(unsigned core);

}  // namespace guideway::bench
