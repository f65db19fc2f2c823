// What is looked at before libconfig sees the text: things its parser would accept silently or follow too
// far. NUL bytes (its text ends there), @include (reads other files), deep nesting (it recurses), hexadecimal
// integers that do not fit the 32 bits it would cut them to.
//
// Thread contract: a pure function.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace guideway::config {

struct PrescanFault {
    unsigned line = 0;
    std::string message;
};

/// Empty: nothing found. Comments and strings are skipped the way libconfig's scanner skips them.
std::vector<PrescanFault> prescan(std::string_view text);

}  // namespace guideway::config
