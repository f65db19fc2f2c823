// Label queries: Kubernetes' text form of a label selector, as in ?labelSelector=.
//
// Grammar: requirements joined by ','; all must hold. `key`: the label is there; `!key`: it is not; `key=value`, `key==value`: it has
// this value; `key!=value`: it has another value or is not there; `key in (a,b)`, `key notin (a,b)`: one of these values; another or
// not there. Blanks between the words do not matter. Names and values as names.h has them.
//
// Worked example: matches(*parse_label_query("team=shop,tier notin (test)").value, {{"team", "shop"}}) -> true.
// Thread contract: pure functions.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "api/contract/decoded.h"
#include "api/resources/selector.h"

namespace guideway::resources {

/// Faults have the field "" and say what was found where.
contract::Decoded<LabelQuery> parse_label_query(std::string_view text);
/// Such that parse_label_query() gives the query again.
std::string to_string(const LabelQuery& query);

using Labels = std::map<std::string, std::string>;
bool matches(const SelectorRequirement& requirement, const Labels& labels);
bool matches(const LabelQuery& query, const Labels& labels);
bool matches(const LabelSelector& selector, const Labels& labels);

}  // namespace guideway::resources
