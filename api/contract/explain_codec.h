// The strict JSON form of explain: snake_case, the members' names. The answer is also that of GET /v1/explain.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "api/contract/decoded.h"
#include "api/contract/explain.h"

namespace guideway::contract {

std::string encode(const ExplainRequest& request, bool pretty = false);
std::string encode(const ExplainAnswer& answer, bool pretty = false);
/// Source and destination must be of one family.
Decoded<ExplainRequest> decode_explain_request(std::string_view text);
Decoded<ExplainAnswer> decode_explain_answer(std::string_view text);

}  // namespace guideway::contract
