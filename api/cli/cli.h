// The `guideway` command: what an operator types, as a function of its arguments and streams.
//
// Exit codes: 0 done; 1 refused, failed, (status) not forwarding what is wanted, (bgp) a session is down, or (maintenance --wait) some
// connections are not done; 2 wrong usage; 3 not found; 4 the server cannot be reached; 5 import --strict: not everything can be carried over as it is.
//
// Example: run({"get", "lb", "-o", "json"}, {std::cin, std::cout, std::cerr}).
// Thread contract: one run at a time (it reads the environment).
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

namespace guideway::cli {

enum ExitCode : int { kOk = 0, kFailed = 1, kUsage = 2, kNotFound = 3, kUnreachable = 4, kDiffers = 5 };

struct Streams {
    std::istream& in;
    std::ostream& out;
    std::ostream& err;
};

/// `arguments` without the program's name.
int run(const std::vector<std::string>& arguments, Streams streams);

}  // namespace guideway::cli
