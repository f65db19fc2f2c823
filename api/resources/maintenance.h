// Maintenance: whether everything that is announced by BGP is withdrawn, and until when to wait before the appliance may be taken away, as
// /v1/maintenance has it. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace guideway::resources {

struct Maintenance {
    bool on = false;
    std::string reason;  ///< one line for people; empty: none was given
    // What the server says.
    std::string since;                         ///< RFC 3339; empty: it is off
    bool withdrawn = false;                    ///< nothing is told by BGP now
    std::optional<std::uint64_t> connections;  ///< that are not done; none: the dataplane does not say
    friend bool operator==(const Maintenance&, const Maintenance&) = default;
};

}  // namespace guideway::resources
