#include "api/resources/names.h"

namespace guideway::resources {

namespace {

bool is_alphanumeric(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

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

}  // namespace guideway::resources
