// LabelSelector: which labels a pool asks for, by Kubernetes' semantics
// (https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/).
//
// Terms: a selector matches where every pair of `match_labels` and every requirement of `match_expressions` holds; an empty
// selector matches everything. NotIn and DoesNotExist also hold where the label is absent.
// Worked example: match_labels {tier: edge}, match_expressions [{env NotIn [dev]}] matches {tier: edge} and
// {tier: edge, env: prod}, but not {tier: edge, env: dev} and not {}.
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace guideway::ipam {

using Labels = std::map<std::string, std::string>;

enum class LabelOperator : std::uint8_t { in, not_in, exists, does_not_exist };

/// "In", "NotIn", "Exists", "DoesNotExist".
std::string_view to_string(LabelOperator operation);
std::optional<LabelOperator> parse_label_operator(std::string_view text);

struct LabelRequirement {
    std::string key;
    LabelOperator operation = LabelOperator::exists;
    std::vector<std::string> values;  ///< In, NotIn: at least one; Exists, DoesNotExist: none
    bool matches(const Labels& labels) const;
    friend bool operator==(const LabelRequirement&, const LabelRequirement&) = default;
};

struct LabelSelector {
    Labels match_labels;
    std::vector<LabelRequirement> match_expressions;
    bool matches(const Labels& labels) const;
    /// "tier=edge, env NotIn (dev)"; "everything" for an empty one.
    std::string to_string() const;
    friend bool operator==(const LabelSelector&, const LabelSelector&) = default;
};

struct SelectorFault {
    std::string field;  ///< JSON pointer beneath the selector, as the REST API spells it: "/matchExpressions/0/values"
    std::string message;
};

/// Every fault: In or NotIn without values, Exists or DoesNotExist with values, keys and values that no label can have.
std::vector<SelectorFault> faults_of(const LabelSelector& selector);

}  // namespace guideway::ipam
