#include "api/client/server_url.h"

#include <algorithm>
#include <charconv>
#include <system_error>

#include "api/contract/ip_address.h"

namespace guideway::client {

namespace {

bool is_host_name(std::string_view text) {
    return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
               c == '_';
    });
}

}  // namespace

std::string ServerUrl::text() const {
    const bool v6 = host.find(':') != std::string::npos;
    return (https ? "https://" : "http://") + (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

bool ServerUrl::is_loopback() const {
    if (host == "localhost" || host == "::1") return true;
    const auto address = IpAddress::parse(host);
    return address && address->is_v4() && host.starts_with("127.");
}

std::optional<ServerUrl> parse_server_url(std::string_view text) {
    ServerUrl url;
    const auto scheme = text.find("://");
    if (scheme != std::string_view::npos) {
        url.https = text.substr(0, scheme) == "https";
        if (!url.https && text.substr(0, scheme) != "http") return std::nullopt;
        text.remove_prefix(scheme + 3);
    }
    if (text.ends_with('/')) text.remove_suffix(1);
    if (text.empty()) return std::nullopt;
    url.port = url.https ? 443 : 80;
    std::string_view host = text;
    const auto colon = text.rfind(':');
    if (colon != std::string_view::npos && colon > 0 && (text.front() != '[' || text[colon - 1] == ']')) {
        host = text.substr(0, colon);
        const std::string_view port = text.substr(colon + 1);
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), url.port);
        if (error != std::errc() || end != port.data() + port.size() || url.port == 0) return std::nullopt;
    }
    if (host.starts_with('[')) {
        const auto address = host.ends_with(']') ? IpAddress::parse(host.substr(1, host.size() - 2)) : std::nullopt;
        if (!address || address->is_v4()) return std::nullopt;
        host = host.substr(1, host.size() - 2);
    } else if (!is_host_name(host)) {
        return std::nullopt;
    }
    url.host = host;
    return url;
}

}  // namespace guideway::client
