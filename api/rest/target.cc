#include "api/rest/target.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace guideway::rest {
namespace {

int hex_value(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    return -1;
}

/// RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF.
bool is_utf8(std::string_view text) {
    std::size_t i = 0;
    while (i < text.size()) {
        const auto lead = static_cast<unsigned char>(text[i]);
        std::size_t length = 0;
        std::uint32_t point = 0;
        if (lead < 0x80) {
            ++i;
            continue;
        }
        if (lead >= 0xc2 && lead <= 0xdf) {
            length = 2;
            point = lead & 0x1fU;
        } else if (lead >= 0xe0 && lead <= 0xef) {
            length = 3;
            point = lead & 0x0fU;
        } else if (lead >= 0xf0 && lead <= 0xf4) {
            length = 4;
            point = lead & 0x07U;
        } else {
            return false;
        }
        if (i + length > text.size()) return false;
        for (std::size_t j = 1; j < length; ++j) {
            const auto byte = static_cast<unsigned char>(text[i + j]);
            if ((byte & 0xc0U) != 0x80U) return false;
            point = point << 6 | (byte & 0x3fU);
        }
        const bool overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
        if (overlong || (point >= 0xd800 && point <= 0xdfff) || point > 0x10ffff) return false;
        i += length;
    }
    return true;
}

/// Decoded text, or the reason it cannot be.
std::optional<std::string> decode(std::string_view text, bool plus_is_space, std::string& error) {
    std::string out;
    out.reserve(text.size());
    for (std::size_t i = 0; i < text.size(); ++i) {
        char c = text[i];
        if (c == '%') {
            const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
            const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
            if (high < 0 || low < 0) {
                error = "'%' must be followed by two hexadecimal digits";
                return std::nullopt;
            }
            c = static_cast<char>(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20 || byte == 0x7f) {
            error = "control characters are not allowed in a path or query";
            return std::nullopt;
        }
        out += c;
    }
    if (!is_utf8(out)) {
        error = "the path and query must be UTF-8";
        return std::nullopt;
    }
    return out;
}

}  // namespace

const std::string* Target::parameter(std::string_view name) const {
    for (const auto& [key, value] : query) {
        if (key == name) return &value;
    }
    return nullptr;
}

ParsedTarget parse_target(std::string_view raw) {
    ParsedTarget result;
    const auto refuse = [&result](std::string why) {
        result.error = std::move(why);
        return result;
    };
    if (raw.empty() || raw.front() != '/') return refuse("the request target must begin with '/'");
    if (raw.find('#') != std::string_view::npos) return refuse("a fragment ('#') does not belong in a request");

    Target target;
    const std::size_t question = raw.find('?');
    std::string_view path = raw.substr(1, question == std::string_view::npos ? question : question - 1);
    while (true) {
        const std::size_t slash = path.find('/');
        std::optional<std::string> segment = decode(path.substr(0, slash), false, result.error);
        if (!segment) return result;
        if (*segment == "." || *segment == "..") return refuse("'.' and '..' are not followed");
        target.segments.push_back(*std::move(segment));
        if (slash == std::string_view::npos) break;
        path.remove_prefix(slash + 1);
    }
    std::string_view query = question == std::string_view::npos ? std::string_view() : raw.substr(question + 1);
    while (!query.empty()) {
        const std::size_t end = std::min(query.find('&'), query.size());
        const std::string_view pair = query.substr(0, end);
        query.remove_prefix(std::min(end + 1, query.size()));
        if (pair.empty()) continue;
        const std::size_t equals = std::min(pair.find('='), pair.size());
        std::optional<std::string> key = decode(pair.substr(0, equals), true, result.error);
        std::optional<std::string> value = decode(pair.substr(std::min(equals + 1, pair.size())), true, result.error);
        if (!key || !value) return result;
        if (target.parameter(*key) != nullptr) return refuse("the query parameter \"" + *key + "\" is given twice");
        target.query.emplace_back(*std::move(key), *std::move(value));
    }
    result.target = std::move(target);
    return result;
}

}  // namespace guideway::rest
