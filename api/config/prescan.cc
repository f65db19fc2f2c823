#include "api/config/prescan.h"

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

#include "api/config/reader.h"

namespace guideway::config {
namespace {

bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.' || c == '*'; }

/// The parser keeps integers without the suffix L in 32 bits and drops what does not fit.
bool cut_by_parser(std::string_view token) {
    bool negative = false;
    if (!token.empty() && (token.front() == '-' || token.front() == '+')) {
        negative = token.front() == '-';
        token.remove_prefix(1);
    }
    bool wide = false;
    while (!token.empty() && token.back() == 'L') {
        wide = true;
        token.remove_suffix(1);
    }
    unsigned base = 10;
    if (token.size() > 2 && token[0] == '0' && (token[1] == 'x' || token[1] == 'X')) {
        base = 16;
        token.remove_prefix(2);
    }
    if (token.empty()) return false;
    std::uint64_t value = 0;
    for (const char c : token) {
        const auto byte = static_cast<unsigned char>(c);
        if (base == 10 ? std::isdigit(byte) == 0 : std::isxdigit(byte) == 0) return false;  // not an integer
        const unsigned digit = std::isdigit(byte) != 0 ? byte - '0' : (std::tolower(byte) - 'a' + 10U);
        if (value > (std::numeric_limits<std::uint64_t>::max() - digit) / base) return true;
        value = value * base + digit;
    }
    const std::uint64_t limit =
        wide ? std::numeric_limits<std::int64_t>::max() : std::numeric_limits<std::int32_t>::max();
    return value > limit + (negative ? 1 : 0);
}

class Scanner {
  public:
    explicit Scanner(std::string_view text) : text_(text) {}

    std::vector<PrescanFault> run() {
        while (at_ < text_.size()) step();
        return std::move(faults_);
    }

  private:
    void step() {
        const char c = text_[at_];
        const char next = at_ + 1 < text_.size() ? text_[at_ + 1] : '\0';
        if (c == '\n') {
            advance(1);
            only_blanks_ = true;
            return;
        }
        if (c == ' ' || c == '\t') return advance(1);
        const bool line_start = only_blanks_;
        only_blanks_ = false;
        if (c == '#' || (c == '/' && next == '/')) return skip_line();
        if (c == '/' && next == '*') return skip_block();
        if (c == '"') return skip_string();
        if (c == '\0') add("a NUL byte");
        if (c == '@' && line_start && text_.substr(at_).starts_with("@include")) {
            add("@include is refused: one file holds the whole configuration");
            return skip_line();
        }
        if (c == '{' || c == '(' || c == '[') {
            if (++depth_ == kMaxNesting + 1) {
                add("groups and lists nested more than " + std::to_string(kMaxNesting) + " deep");
            }
        }
        if ((c == '}' || c == ')' || c == ']') && depth_ > 0) --depth_;
        if (is_word(c) || c == '-' || c == '+') return word();
        advance(1);
    }

    void word() {
        std::size_t end = at_ + 1;
        while (end < text_.size() && is_word(text_[end])) ++end;
        const std::string_view token = text_.substr(at_, end - at_);
        if (cut_by_parser(token)) {
            add("the number " + std::string(token.substr(0, 40)) +
                " does not fit: 32 bits, or 64 bits with the suffix L");
        }
        advance(end - at_);
    }

    void skip_line() {
        const std::size_t end = text_.find('\n', at_);
        advance((end == std::string_view::npos ? text_.size() : end) - at_);
    }

    void skip_block() {
        const std::size_t end = text_.find("*/", at_ + 2);
        advance((end == std::string_view::npos ? text_.size() : end + 2) - at_);
    }

    void skip_string() {
        std::size_t end = at_ + 1;
        while (end < text_.size() && text_[end] != '"') end += text_[end] == '\\' ? 2 : 1;
        advance(std::min(end + 1, text_.size()) - at_);
    }

    void advance(std::size_t count) {
        for (const char c : text_.substr(at_, count)) {
            if (c == '\n') ++line_;
            // Inside comments and strings too: the parser's text would end there.
            if (c == '\0' && count > 1) add("a NUL byte");
        }
        at_ += count;
    }

    void add(std::string message) {
        if (faults_.size() < 100) faults_.push_back({line_, std::move(message)});
    }

    std::string_view text_;
    std::size_t at_ = 0;
    unsigned line_ = 1;
    unsigned depth_ = 0;
    bool only_blanks_ = true;  ///< nothing but blanks on this line so far
    std::vector<PrescanFault> faults_;
};

}  // namespace

std::vector<PrescanFault> prescan(std::string_view text) { return Scanner(text).run(); }

}  // namespace guideway::config
