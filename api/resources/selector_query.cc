#include "api/resources/selector_query.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "api/json/object_reader.h"
#include "api/resources/decode_limits.h"
#include "api/resources/names.h"

namespace guideway::resources {

namespace {

using json::ObjectReader;

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.' || c == '/';
}

class Parser {
  public:
    explicit Parser(std::string_view text) : text_(text) {}

    contract::Decoded<LabelQuery> parse() {
        LabelQuery query;
        if (text_.size() > kMaxLabelQueryBytes) {
            refuse("found " + std::to_string(text_.size()) + " bytes, allowed " + std::to_string(kMaxLabelQueryBytes));
        } else if (!at_end()) {
            do {
                query.requirements.push_back(requirement());
                if (query.requirements.size() > kMaxExpressions) {
                    refuse("found more than " + std::to_string(kMaxExpressions) + " requirements, allowed " +
                           std::to_string(kMaxExpressions));
                }
            } while (!fault_ && take(','));
            if (!fault_ && !at_end()) expected("',' or the end");
        }
        contract::Decoded<LabelQuery> result;
        if (fault_) {
            result.faults.push_back(*std::move(fault_));
        } else {
            result.value = std::move(query);
        }
        return result;
    }

  private:
    SelectorRequirement requirement() {
        SelectorRequirement out;
        const bool absent = take('!');
        out.key = key();
        if (fault_) return out;
        if (absent) {
            out.op = SelectorOperator::does_not_exist;
            return out;
        }
        if (take('!')) {
            if (!take('=')) {
                expected("'=' after '!'");
                return out;
            }
            out.op = SelectorOperator::not_in;
            out.values = {value()};
        } else if (take('=')) {
            // "==" means the same.
            if (at_ < text_.size() && text_[at_] == '=') ++at_;
            out.values = {value()};
        } else if (at_end() || text_[at_] == ',') {
            out.op = SelectorOperator::exists;
        } else {
            const std::string_view word = next_word();
            if (word != "in" && word != "notin") {
                at_ -= word.size();
                expected("'=', '==', '!=', 'in', 'notin', ',' or the end");
                return out;
            }
            out.op = word == "in" ? SelectorOperator::in : SelectorOperator::not_in;
            values(out.values);
        }
        return out;
    }

    std::string key() {
        const std::string_view word = next_word();
        if (word.empty()) {
            expected("a label's name");
        } else if (!is_label_key(word)) {
            refuse("found " + ObjectReader::quoted(word) +
                   " as a label's name, allowed 1..63 letters, digits, '-', '_' and '.' after an optional prefix "
                   "(\"example.com/\")");
        }
        return std::string(word);
    }

    std::string value() {
        const std::string_view word = next_word();
        if (!is_label_value(word)) {
            refuse("found " + ObjectReader::quoted(word) +
                   " as a label's value, allowed 0..63 letters, digits, '-', '_' and '.'");
        }
        return std::string(word);
    }

    void values(std::vector<std::string>& out) {
        if (!take('(')) return expected("'('");
        do {
            out.push_back(value());
            if (out.size() > kMaxSelectorValues) {
                refuse("found more than " + std::to_string(kMaxSelectorValues) + " values, allowed " +
                       std::to_string(kMaxSelectorValues));
            }
        } while (!fault_ && take(','));
        if (!fault_ && !take(')')) expected("',' or ')'");
    }

    void skip_blanks() {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t')) ++at_;
    }
    bool at_end() {
        skip_blanks();
        return at_ == text_.size();
    }
    bool take(char wanted) {
        if (at_end() || text_[at_] != wanted) return false;
        ++at_;
        return true;
    }
    std::string_view next_word() {
        skip_blanks();
        const std::size_t begin = at_;
        while (at_ < text_.size() && is_word(text_[at_])) ++at_;
        return text_.substr(begin, at_ - begin);
    }

    void expected(const char* allowed) {
        const std::string found = at_end() ? "the end" : ObjectReader::quoted(text_.substr(at_));
        refuse("found " + found + " at character " + std::to_string(at_ + 1) + ", allowed " + allowed);
    }
    void refuse(std::string message) {
        if (!fault_) fault_ = contract::Fault{"", std::move(message)};
    }

    std::string_view text_;
    std::size_t at_ = 0;
    std::optional<contract::Fault> fault_;
};

std::string joined(const std::vector<std::string>& values) {
    std::string out;
    for (std::size_t i = 0; i < values.size(); ++i) out += (i == 0 ? "" : ",") + values[i];
    return out;
}

}  // namespace

contract::Decoded<LabelQuery> parse_label_query(std::string_view text) { return Parser(text).parse(); }

std::string to_string(const LabelQuery& query) {
    std::string out;
    for (const SelectorRequirement& one : query.requirements) {
        if (!out.empty()) out += ',';
        switch (one.op) {
            case SelectorOperator::in:
                out += one.values.size() == 1 ? one.key + "=" + one.values[0]
                                              : one.key + " in (" + joined(one.values) + ")";
                break;
            case SelectorOperator::not_in:
                out += one.values.size() == 1 ? one.key + "!=" + one.values[0]
                                              : one.key + " notin (" + joined(one.values) + ")";
                break;
            case SelectorOperator::exists:
                out += one.key;
                break;
            case SelectorOperator::does_not_exist:
                out += "!" + one.key;
                break;
        }
    }
    return out;
}

bool matches(const SelectorRequirement& requirement, const Labels& labels) {
    const auto found = labels.find(requirement.key);
    const bool there = found != labels.end();
    const auto listed = [&] {
        return std::find(requirement.values.begin(), requirement.values.end(), found->second) !=
               requirement.values.end();
    };
    switch (requirement.op) {
        case SelectorOperator::in:
            return there && listed();
        case SelectorOperator::not_in:
            return !there || !listed();
        case SelectorOperator::exists:
            return there;
        case SelectorOperator::does_not_exist:
            return !there;
    }
    return false;
}

bool matches(const LabelQuery& query, const Labels& labels) {
    return std::all_of(query.requirements.begin(), query.requirements.end(),
                       [&](const SelectorRequirement& one) { return matches(one, labels); });
}

bool matches(const LabelSelector& selector, const Labels& labels) {
    for (const auto& [name, value] : selector.match_labels) {
        const auto found = labels.find(name);
        if (found == labels.end() || found->second != value) return false;
    }
    return std::all_of(selector.match_expressions.begin(), selector.match_expressions.end(),
                       [&](const SelectorRequirement& one) { return matches(one, labels); });
}

}  // namespace guideway::resources
