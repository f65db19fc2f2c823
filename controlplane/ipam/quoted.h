// quoted(): what somebody wrote, as messages show it. Thread contract: pure function.
#pragma once

#include <string>
#include <string_view>

namespace guideway::ipam {

inline std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

}  // namespace guideway::ipam
