// ServerUrl: where a server is, out of what a person wrote.
//
// Worked example: "gw.example:8870/" -> {https false, "gw.example", 8870}; "https://[2001:db8::1]" -> {https, "2001:db8::1", 443}.
// Thread contract: a plain value and a pure function.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace guideway::client {

struct ServerUrl {
    bool https = false;
    std::string host;  ///< a name or literal address, without brackets
    std::uint16_t port = 80;

    /// "https://[2001:db8::1]:8870"
    std::string text() const;
    /// Nobody between here and there can listen: 127.0.0.0/8, ::1, "localhost".
    bool is_loopback() const;
};

/// What a person may write, for errors.
inline constexpr const char* kServerForms =
    "http://HOST:PORT or https://HOST:PORT, such as http://127.0.0.1:8870 (no path)";

/// No scheme is http; a slash at the end is fine; nothing where it is no such server.
std::optional<ServerUrl> parse_server_url(std::string_view text);

}  // namespace guideway::client
