// The routing daemon's configuration, made from ours: what BIRD includes, or what FRR is given. It has what takes our routes from the
// kernel (kernel_routes.h), gives them their attributes, and the sessions. It does not change when addresses come and go: only when the
// settings do.
//
// Passwords are read from their files here and stand in the result, which is a secret then; nowhere else.
// Worked example: docs/bgp.md. Thread contract: pure but for reading those files.
#pragma once

#include <string>
#include <variant>

#include "controlplane/announce/bgp_settings.h"

namespace guideway::announce {

struct Rendered {
    std::string text;
};

/// For settings.daemon. Else which file cannot be read, and why.
std::variant<Rendered, std::string> render(const BgpSettings& settings);

/// The first line of the file; else why not: not there, empty, too long (80), or with characters that a configuration does not carry.
struct Password {
    std::string text;
};
std::variant<Password, std::string> read_password(const std::string& file);

}  // namespace guideway::announce
