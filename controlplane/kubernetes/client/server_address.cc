#include "controlplane/kubernetes/client/server_address.h"

namespace guideway::kubernetes {

std::optional<ServerAddress> parse_server_address(std::string_view text) {
    const auto scheme = text.find("://");
    const std::size_t begin = scheme == std::string_view::npos ? 0 : scheme + 3;
    const std::size_t slash = text.find('/', begin);
    ServerAddress out;
    if (slash != std::string_view::npos) {
        out.prefix = text.substr(slash);
        while (out.prefix.ends_with('/')) out.prefix.pop_back();
        for (const char c : out.prefix) {
            if (c <= ' ' || c >= '\x7f' || c == '?' || c == '#') return std::nullopt;
        }
    }
    auto url = client::parse_server_url(text.substr(0, slash));
    if (!url) return std::nullopt;
    out.url = *std::move(url);
    return out;
}

}  // namespace guideway::kubernetes
