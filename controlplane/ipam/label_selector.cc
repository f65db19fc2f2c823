#include "controlplane/ipam/label_selector.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "controlplane/ipam/quoted.h"

namespace guideway::ipam {
namespace {

constexpr std::array<std::string_view, 4> kOperators{"In", "NotIn", "Exists", "DoesNotExist"};
// Kubernetes' limits (apimachinery, qualified names and label values).
constexpr std::size_t kMaxPart = 63;
constexpr std::size_t kMaxPrefix = 253;

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }

/// A label's name or value: letters, digits, '-', '_', '.', with a letter or digit at both ends.
bool is_part(std::string_view text) {
    return !text.empty() && text.size() <= kMaxPart && is_alphanumeric(text.front()) && is_alphanumeric(text.back()) &&
           std::all_of(text.begin(), text.end(),
                       [](char c) { return is_alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
}

/// DNS subdomain (RFC 1123): lower case parts between dots.
bool is_prefix(std::string_view text) {
    if (text.empty() || text.size() > kMaxPrefix) return false;
    char before = '.';
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!plain && c != '-' && c != '.') return false;
        if ((c == '.' && (before == '.' || before == '-')) || (c == '-' && before == '.')) return false;
        before = c;
    }
    return before != '.' && before != '-';
}

bool is_key(std::string_view text) {
    const std::size_t slash = text.find('/');
    if (slash == std::string_view::npos) return is_part(text);
    return is_prefix(text.substr(0, slash)) && is_part(text.substr(slash + 1));
}

std::string key_fault(std::string_view key) {
    return quoted(key) +
           " is no label key; write a name of at most 63 letters, digits, '-', '_' and '.' that begins and ends with a "
           "letter "
           "or digit, with or without a DNS name and \"/\" before it";
}

std::string value_fault(std::string_view value) {
    return quoted(value) +
           " is no label value; write at most 63 letters, digits, '-', '_' and '.' that begin and end with a letter or "
           "digit";
}

/// RFC 6901.
std::string escaped(std::string_view text) {
    std::string pointer;
    for (const char c : text) {
        if (c == '~') {
            pointer += "~0";
        } else if (c == '/') {
            pointer += "~1";
        } else {
            pointer += c;
        }
    }
    return pointer;
}

}  // namespace

std::string_view to_string(LabelOperator operation) { return kOperators[static_cast<std::size_t>(operation)]; }

std::optional<LabelOperator> parse_label_operator(std::string_view text) {
    for (std::size_t i = 0; i < kOperators.size(); ++i) {
        if (kOperators[i] == text) return static_cast<LabelOperator>(i);
    }
    return std::nullopt;
}

bool LabelRequirement::matches(const Labels& labels) const {
    const auto at = labels.find(key);
    const bool is_there = at != labels.end();
    const bool is_listed = is_there && std::find(values.begin(), values.end(), at->second) != values.end();
    switch (operation) {
        case LabelOperator::in:
            return is_listed;
        case LabelOperator::not_in:
            return !is_listed;
        case LabelOperator::exists:
            return is_there;
        case LabelOperator::does_not_exist:
            return !is_there;
    }
    return false;
}

bool LabelSelector::matches(const Labels& labels) const {
    for (const auto& [key, value] : match_labels) {
        const auto at = labels.find(key);
        if (at == labels.end() || at->second != value) return false;
    }
    return std::all_of(match_expressions.begin(), match_expressions.end(),
                       [&](const LabelRequirement& requirement) { return requirement.matches(labels); });
}

std::string LabelSelector::to_string() const {
    std::string text;
    const auto add = [&](const std::string& part) { text += (text.empty() ? "" : ", ") + part; };
    for (const auto& [key, value] : match_labels) add(key + "=" + value);
    for (const LabelRequirement& requirement : match_expressions) {
        std::string part = requirement.key + " " + std::string(ipam::to_string(requirement.operation));
        for (std::size_t i = 0; i < requirement.values.size(); ++i) {
            part += (i == 0 ? " (" : ", ") + requirement.values[i];
        }
        add(requirement.values.empty() ? part : part + ")");
    }
    return text.empty() ? "everything" : text;
}

std::vector<SelectorFault> faults_of(const LabelSelector& selector) {
    std::vector<SelectorFault> faults;
    for (const auto& [key, value] : selector.match_labels) {
        const std::string field = "/matchLabels/" + escaped(key);
        if (!is_key(key)) faults.push_back({field, key_fault(key)});
        if (!value.empty() && !is_part(value)) faults.push_back({field, value_fault(value)});
    }
    for (std::size_t i = 0; i < selector.match_expressions.size(); ++i) {
        const LabelRequirement& requirement = selector.match_expressions[i];
        const std::string field = "/matchExpressions/" + std::to_string(i);
        if (!is_key(requirement.key)) faults.push_back({field + "/key", key_fault(requirement.key)});
        const bool lists = requirement.operation == LabelOperator::in || requirement.operation == LabelOperator::not_in;
        const std::string operation(to_string(requirement.operation));
        if (lists && requirement.values.empty()) {
            faults.push_back({field + "/values", "is empty; " + operation +
                                                     " needs at least one value (Exists and DoesNotExist need none)"});
        }
        if (!lists && !requirement.values.empty()) {
            faults.push_back({field + "/values", "has " + std::to_string(requirement.values.size()) + " values; " +
                                                     operation + " takes none (In and NotIn take values)"});
        }
        for (std::size_t j = 0; j < requirement.values.size(); ++j) {
            const std::string& value = requirement.values[j];
            if (!value.empty() && !is_part(value)) {
                faults.push_back({field + "/values/" + std::to_string(j), value_fault(value)});
            }
        }
    }
    return faults;
}

}  // namespace guideway::ipam
