// log_value: a text as one value of a log line, `key="..."`, whatever stands in it.
//
// Messages quote what clients wrote (names, sharing keys), so a text may hold quotes and line breaks: escaped, they can
// neither end the value nor begin a line that looks like another entry.
//
// Thread contract: pure.
#pragma once

#include <string>
#include <string_view>

namespace guideway::controlplane {

/// With its quotes: say "a" -> "say \"a\"". Control characters become \n, \t, \r or \xHH.
inline std::string log_value(std::string_view text) {
    constexpr std::string_view kHex = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n' || c == '\t' || c == '\r') {
            out += '\\';
            out += c == '\n' ? 'n' : c == '\t' ? 't' : 'r';
        } else if (byte < 0x20 || byte == 0x7f) {
            out += "\\x";
            out += kHex[byte >> 4];
            out += kHex[byte & 0xf];
        } else {
            out += c;
        }
    }
    return out + '"';
}

}  // namespace guideway::controlplane
