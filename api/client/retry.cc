#include "api/client/retry.h"

#include <charconv>
#include <ctime>
#include <string>
#include <system_error>

namespace guideway::client {

std::optional<std::chrono::seconds> parse_retry_after(std::string_view text, std::chrono::seconds now) {
    constexpr std::chrono::seconds kLongest{86400};
    if (!text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos) {
        std::uint64_t seconds = 0;
        const auto result = std::from_chars(text.data(), text.data() + text.size(), seconds);
        if (result.ec != std::errc() || seconds > static_cast<std::uint64_t>(kLongest.count())) return kLongest;
        return std::chrono::seconds(seconds);
    }
    std::tm time{};
    const std::string copy(text);
    const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time);
    if (end == nullptr || *end != '\0') return std::nullopt;
    return std::clamp(std::chrono::seconds(timegm(&time)) - now, std::chrono::seconds(0), kLongest);
}

}  // namespace guideway::client
