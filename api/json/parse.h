// parse_strict: JSON text (RFC 8259) to a tree, refusing what readers disagree on.
//
// Refused: duplicate keys (named by JSON pointer), nesting beyond the limit, texts beyond the size limit, bytes after the
// document, bad UTF-8, numbers that no double holds. The fault says where: JSON pointer, or line and column for syntax.
// Thread contract: pure function.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

#include "api/contract/decoded.h"

namespace guideway::json {

struct Limits {
    std::size_t bytes = 1U << 20;
    unsigned depth = 32;  ///< arrays and objects within each other
};

contract::Decoded<nlohmann::json> parse_strict(std::string_view text, const Limits& limits = {});

/// `key` as a reference token of a JSON pointer: "~" and "/" escaped (RFC 6901).
std::string pointer_token(std::string_view key);

}  // namespace guideway::json
