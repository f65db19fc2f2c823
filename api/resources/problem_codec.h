// The JSON form of Problem, RFC 9457: {"type": "about:blank", "title": "Bad Request", "status": 400, "detail": "...",
// "reason": "InvalidRequest", "faults": [{"field": "/spec/ports/0/port", "message": "found 0, allowed 1..65535"}]}.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"
#include "api/resources/problem.h"

namespace guideway::resources {

std::string encode(const Problem& problem, bool pretty = false);
/// Takes any RFC 9457 document: unknown members are passed over, as the RFC asks of a client.
contract::Decoded<Problem> read_problem(std::string_view body);

/// 400 "InvalidRequest" with every fault; the detail tells the first.
Problem invalid_request(std::vector<contract::Fault> faults);

}  // namespace guideway::resources
