// The text of api/openapi.yaml, built into the program. Thread contract: a constant.
#pragma once

#include <string_view>

namespace guideway::rest {

std::string_view openapi_text();

}  // namespace guideway::rest
