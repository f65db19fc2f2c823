// ServerAddress: the URL of an API server, with the path before all paths that proxies of several clusters have.
//
// Worked example: "https://[fd00::1]:6443/k8s/clusters/a/" -> {https, "fd00::1", 6443}, prefix "/k8s/clusters/a".
// Thread contract: a plain value and a pure function.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "api/client/server_url.h"

namespace guideway::kubernetes {

struct ServerAddress {
    client::ServerUrl url;
    std::string prefix;  ///< empty, or "/..." without slash at the end
};

/// What a person may write, for errors.
inline constexpr const char* kServerAddressForms = "https://HOST[:PORT][/PREFIX], IPv6 in brackets";

/// Nothing: it is none. As for kubectl, no scheme is http.
std::optional<ServerAddress> parse_server_address(std::string_view text);

}  // namespace guideway::kubernetes
