// Timestamps as the API writes them: RFC 3339 in UTC, to the second: "2026-01-02T03:04:05Z". Thread contract: pure functions.
#pragma once

#include <chrono>
#include <ctime>
#include <optional>
#include <string>

namespace guideway::controlplane {

inline std::string timestamp_of(std::chrono::system_clock::time_point time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

/// None: not of this form.
inline std::optional<std::chrono::system_clock::time_point> time_of(const std::string& timestamp) {
    std::tm parts{};
    const char* end = strptime(timestamp.c_str(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    if (end == nullptr || *end != '\0') return std::nullopt;
    return std::chrono::system_clock::from_time_t(timegm(&parts));
}

}  // namespace guideway::controlplane
