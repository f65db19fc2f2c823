#include "api/cli/text.h"

#include <algorithm>
#include <ctime>
#include <optional>
#include <ostream>

namespace guideway::cli {

namespace {

/// Seconds from a time to now; nothing: it is none.
std::optional<std::int64_t> seconds_since(const std::string& timestamp) {
    std::tm time{};
    if (strptime(timestamp.c_str(), "%Y-%m-%dT%H:%M:%S", &time) == nullptr) return std::nullopt;
    return std::time(nullptr) - timegm(&time);
}

}  // namespace

std::string joined(const std::vector<std::string>& parts, const char* separator) {
    std::string out;
    for (const std::string& part : parts) out += (out.empty() ? "" : separator) + part;
    return out;
}

std::vector<std::string> texts_of(const std::vector<IpAddress>& addresses) {
    std::vector<std::string> out;
    for (const IpAddress& address : addresses) out.push_back(address.to_string());
    return out;
}

std::string yes_no(bool value) { return value ? "yes" : "no"; }

std::string duration_text(std::uint64_t seconds) {
    if (seconds < 120) return std::to_string(seconds) + "s";
    if (seconds < 7200) return std::to_string(seconds / 60) + "m";
    if (seconds < 172800) return std::to_string(seconds / 3600) + "h";
    return std::to_string(seconds / 86400) + "d";
}

std::string age_text(const std::string& timestamp) {
    const auto age = seconds_since(timestamp);
    return age ? duration_text(static_cast<std::uint64_t>(std::max<std::int64_t>(*age, 0))) : std::string();
}

std::string until_text(const std::string& timestamp) {
    const auto age = seconds_since(timestamp);
    if (!age) return {};
    if (*age < 0) return "in " + duration_text(static_cast<std::uint64_t>(-*age));
    return duration_text(static_cast<std::uint64_t>(*age)) + " ago";
}

std::string endpoint(const IpAddress& address, std::uint16_t port) {
    const std::string host = address.is_v4() ? address.to_string() : "[" + address.to_string() + "]";
    return port == 0 ? host : host + ":" + std::to_string(port);
}

std::string count_text(std::uint64_t count) {
    constexpr std::uint64_t kSaturated = (std::uint64_t{1} << 53) - 1;
    if (count >= kSaturated) return "huge";
    std::string text = std::to_string(count);
    for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
    return text;
}

std::string bar_text(std::uint64_t part, std::uint64_t whole, std::size_t width) {
    part = std::min(part, whole);
    const double share = whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
    auto filled = static_cast<std::size_t>(share * static_cast<double>(width) + 0.5);
    if (part > 0) filled = std::max<std::size_t>(filled, 1);
    if (part < whole) filled = std::min(filled, width - 1);
    return "[" + std::string(filled, '#') + std::string(width - filled, '.') + "]";
}

std::string printable(std::string text) {
    for (std::size_t i = 0; i < text.size(); ++i) {
        const auto byte = static_cast<unsigned char>(text[i]);
        // U+0080..U+009F are controls too, to some terminals.
        const bool c1 = byte == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
        if (byte >= 0x20 && byte != 0x7f && !c1) continue;
        if (c1) text.erase(i, 1);
        text[i] = '?';
    }
    return text;
}

void line(std::ostream& out, const std::string& name, const std::string& value) {
    std::string text = name + ":";
    text.resize(std::max<std::size_t>(text.size() + 1, 18), ' ');
    out << text << (value.empty() ? "-" : printable(value)) << '\n';
}

}  // namespace guideway::cli
