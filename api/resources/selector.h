// LabelSelector and LabelQuery: which labels are meant, by Kubernetes' two ways of saying it: the selector of a document
// (matchLabels, matchExpressions) and the text of a query ("team=shop,tier!=test,!old"). Thread contract: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace guideway::resources {

enum class SelectorOperator : std::uint8_t { in, not_in, exists, does_not_exist };

struct SelectorRequirement {
    std::string key;
    SelectorOperator op = SelectorOperator::in;
    std::vector<std::string> values;  ///< in, not_in: at least one; exists, does_not_exist: none
    friend bool operator==(const SelectorRequirement&, const SelectorRequirement&) = default;
};

/// All must hold; an empty one matches everything.
struct LabelSelector {
    std::map<std::string, std::string> match_labels;
    std::vector<SelectorRequirement> match_expressions;
    friend bool operator==(const LabelSelector&, const LabelSelector&) = default;
};

/// "team=shop,tier!=test,zone in (a,b),!old,new": all must hold. Empty: everything. (selector_query.h reads and applies it)
struct LabelQuery {
    std::vector<SelectorRequirement> requirements;
    friend bool operator==(const LabelQuery&, const LabelQuery&) = default;
};

}  // namespace guideway::resources
