#include "api/resources/selector_codec.h"

#include <array>
#include <optional>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"
#include "api/resources/names.h"

namespace guideway::resources {

namespace {

using Tree = nlohmann::ordered_json;

constexpr std::array<std::pair<std::string_view, SelectorOperator>, 4> kOperators{{
    {"In", SelectorOperator::in},
    {"NotIn", SelectorOperator::not_in},
    {"Exists", SelectorOperator::exists},
    {"DoesNotExist", SelectorOperator::does_not_exist},
}};

std::string text_of(SelectorOperator op) {
    for (const auto& [text, value] : kOperators) {
        if (value == op) return std::string(text);
    }
    return {};
}

std::optional<SelectorOperator> parse_operator(std::string_view found) {
    for (const auto& [text, value] : kOperators) {
        if (text == found) return value;
    }
    return std::nullopt;
}

SelectorRequirement read_requirement(json::ObjectReader& reader) {
    SelectorRequirement out;
    out.key = reader.required_string(
        "key", {1, 317, is_label_key, "a label's name: letters, digits, '-', '_' and '.' after an optional prefix"});
    std::optional<SelectorOperator> op;
    reader.required_value<bool>(
        "operator",
        [&op](std::string_view text) {
            op = parse_operator(text);
            return op ? std::optional(true) : std::nullopt;
        },
        "In, NotIn, Exists or DoesNotExist");
    const bool needs_values = op == SelectorOperator::in || op == SelectorOperator::not_in;
    out.values =
        reader.strings("values", {needs_values ? 1U : 0U, kMaxSelectorValues},
                       {0, 63, is_label_value, "a label's value: letters, digits, '-', '_' and '.', or nothing"});
    if (!op) return out;  // a misspelt operator must not draw faults of values that its right spelling would allow
    out.op = *op;
    if (!needs_values && !out.values.empty()) {
        reader.fault("values", "found " + std::to_string(out.values.size()) +
                                   " values, allowed none where operator is " + text_of(out.op));
    }
    return out;
}

}  // namespace

Tree tree_of(const LabelSelector& selector) {
    Tree out = Tree::object();
    if (!selector.match_labels.empty()) {
        Tree& labels = out["matchLabels"] = Tree::object();
        for (const auto& [name, value] : selector.match_labels) labels[name] = value;
    }
    if (!selector.match_expressions.empty()) {
        Tree& expressions = out["matchExpressions"] = Tree::array();
        for (const SelectorRequirement& requirement : selector.match_expressions) {
            Tree& one = expressions.emplace_back(Tree::object());
            one["key"] = requirement.key;
            one["operator"] = text_of(requirement.op);
            if (!requirement.values.empty()) one["values"] = requirement.values;
        }
    }
    return out;
}

std::vector<LabelSelector> read_selectors(json::ObjectReader& reader, std::string_view key) {
    std::vector<LabelSelector> out;
    reader.each_object(key, {0, kMaxSelectors}, [&](json::ObjectReader& one) {
        LabelSelector selector;
        selector.match_labels = read_labels(one, "matchLabels");
        one.each_object("matchExpressions", {0, kMaxExpressions}, [&](json::ObjectReader& expression) {
            selector.match_expressions.push_back(read_requirement(expression));
        });
        out.push_back(std::move(selector));
    });
    return out;
}

}  // namespace guideway::resources
