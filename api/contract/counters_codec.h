// The strict JSON form of Counters: snake_case, the members' names. Also the answer of GET /v1/counters.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "api/contract/counters.h"
#include "api/contract/decoded.h"

namespace guideway::contract {

std::string encode(const Counters& counters, bool pretty = false);
Decoded<Counters> decode_counters(std::string_view text);

}  // namespace guideway::contract
