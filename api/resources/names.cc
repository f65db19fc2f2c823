#include "api/resources/names.h"

#include <chrono>
#include <cstddef>

namespace guideway::resources {

namespace {

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || is_digit(c); }
bool is_letter_or_digit(char c) { return is_alphanumeric(c) || (c >= 'A' && c <= 'Z'); }

/// `text` has only digits.
int number_of(std::string_view text) {
    int value = 0;
    for (const char c : text) value = value * 10 + (c - '0');
    return value;
}

}  // namespace

bool is_label(std::string_view text) {
    if (text.empty() || text.size() > 63 || !is_alphanumeric(text.front()) || !is_alphanumeric(text.back()))
        return false;
    for (const char c : text) {
        if (!is_alphanumeric(c) && c != '-') return false;
    }
    return true;
}

bool is_name(std::string_view text) {
    if (text.size() > 253) return false;
    while (true) {
        const auto dot = text.find('.');
        if (!is_label(text.substr(0, dot))) return false;
        if (dot == std::string_view::npos) return true;
        text.remove_prefix(dot + 1);
    }
}

bool is_label_value(std::string_view text) {
    if (text.empty()) return true;
    if (text.size() > 63 || !is_letter_or_digit(text.front()) || !is_letter_or_digit(text.back())) return false;
    for (const char c : text) {
        if (!is_letter_or_digit(c) && c != '-' && c != '_' && c != '.') return false;
    }
    return true;
}

bool is_label_key(std::string_view text) {
    if (const auto slash = text.find('/'); slash != std::string_view::npos) {
        if (!is_name(text.substr(0, slash))) return false;
        text.remove_prefix(slash + 1);
    }
    return !text.empty() && is_label_value(text);
}

bool is_utc_time(std::string_view text) {
    constexpr std::string_view kShape = "0000-00-00T00:00:00Z";
    if (text.size() != kShape.size()) return false;
    for (std::size_t i = 0; i < kShape.size(); ++i) {
        if (kShape[i] == '0' ? !is_digit(text[i]) : text[i] != kShape[i]) return false;
    }
    const std::chrono::year_month_day day{std::chrono::year(number_of(text.substr(0, 4))),
                                          std::chrono::month(static_cast<unsigned>(number_of(text.substr(5, 2)))),
                                          std::chrono::day(static_cast<unsigned>(number_of(text.substr(8, 2))))};
    return day.ok() && number_of(text.substr(11, 2)) < 24 && number_of(text.substr(14, 2)) < 60 &&
           number_of(text.substr(17, 2)) < 60;
}

}  // namespace guideway::resources
