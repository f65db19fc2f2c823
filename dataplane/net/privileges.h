// What this process may not do but must, said before anything fails half way. Thread contract: any thread.
#pragma once

#include <optional>
#include <string>

namespace guideway::net {

/// Names each missing right or device and how to get it; none: all there.
std::optional<std::string> missing_privileges();

}  // namespace guideway::net
