// Problem: why a request was refused, as RFC 9457 (application/problem+json) carries it (invariant I4).
// Thread contract: plain values.
#pragma once

#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"

namespace guideway::resources {

struct Problem {
    int status = 500;    ///< HTTP status code
    std::string reason;  ///< CamelCase, for programs: "InvalidRequest", "NotFound", "NoAvailableIPs", ...
    std::string detail;  ///< a sentence for a person: what was found, what is allowed, what to do
    std::vector<contract::Fault> faults;  ///< one a faulty field; empty where no field is at fault
    friend bool operator==(const Problem&, const Problem&) = default;
};

}  // namespace guideway::resources
