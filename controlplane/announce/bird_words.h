// Words of BIRD's configuration language: what no protocol in it may be called. Quoting does not help: in BIRD 2.0 a quoted word is that word.
//
// Worked example: is_bird_word("master4"), is_bird_word("bfd") -> true; is_bird_word("tor1") -> false.
// Thread contract: pure.
#pragma once

#include <string_view>

namespace guideway::announce {

/// A keyword, attribute or table of BIRD 2.0.12, all that of them consists of small letters, digits and _.
bool is_bird_word(std::string_view name);

}  // namespace guideway::announce
