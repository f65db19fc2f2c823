// A program run as a child: its output, its errors, how it ended. No shell; it gets our standard input and environment.
//
// Worked example: run_child({"kubectl", "version"}) -> code 0, out "Client Version: ...".
// Thread contract: one thread a call; SIGCHLD must not be ignored.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace guideway::cli {

struct ChildResult {
    int code = -1;         ///< its exit code; -1: it did not run, or a signal ended it
    std::string out, err;  ///< what it wrote
    std::string failure;   ///< a sentence where it did not run to its end: "kubectl: No such file or directory"
    bool ok() const { return code == 0 && failure.empty(); }
};

/// `argv[0]` is looked for in PATH. A child that writes more than `most` bytes is ended.
ChildResult run_child(const std::vector<std::string>& argv, std::size_t most = 64U << 20);

}  // namespace guideway::cli
