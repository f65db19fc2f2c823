#include "api/client/paths.h"

namespace guideway::client {

std::string encoded(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += kHex[byte >> 4];
        out += kHex[byte & 0xf];
    }
    return out;
}

std::string query_text(const Query& query) {
    std::string out;
    for (const auto& [name, value] : query) {
        if (value.empty()) continue;
        out += (out.empty() ? '?' : '&');
        out += name;
        out += '=' + encoded(value);
    }
    return out;
}

}  // namespace guideway::client
