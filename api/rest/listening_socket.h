// open_listener: a listening TCP socket on a literal address. Thread contract: pure but for the socket.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "api/contract/ip_address.h"

namespace guideway::rest {

struct ListeningSocket {
    int fd = -1;  ///< non-blocking; the caller's to close
    std::uint16_t port = 0;
    bool loopback = false;
    std::string error;  ///< empty: it listens
};

/// What a host of the configuration means; "localhost" is 127.0.0.1. Nothing: no literal address.
std::optional<IpAddress> listen_address(const std::string& host);

/// As listen_address(); port 0: the kernel chooses. An IPv6 socket takes IPv6 alone.
ListeningSocket open_listener(const std::string& host, std::uint16_t port);

}  // namespace guideway::rest
