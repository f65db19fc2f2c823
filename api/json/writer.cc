#include "api/json/writer.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <nlohmann/json.hpp>

namespace guideway::json {

Writer& Writer::text(std::string_view value) {
    const bool plain = std::all_of(value.begin(), value.end(), [](char c) {
        const auto byte = static_cast<unsigned char>(c);
        return byte >= 0x20 && byte < 0x80 && byte != '"' && byte != '\\';
    });
    if (!plain) return raw(nlohmann::json(value).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
    separate();
    out_.push_back('"');
    out_.append(value);
    out_.push_back('"');
    comma_ = true;
    return *this;
}

Writer& Writer::number(std::uint64_t value) {
    std::array<char, 20> digits;
    const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), value);
    return raw({digits.data(), static_cast<std::size_t>(result.ptr - digits.data())});
}

std::string indented(const std::string& line) { return nlohmann::ordered_json::parse(line).dump(2); }

}  // namespace guideway::json
