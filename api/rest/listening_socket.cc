#include "api/rest/listening_socket.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace guideway::rest {

std::optional<IpAddress> listen_address(const std::string& host) {
    return IpAddress::parse(host == "localhost" ? "127.0.0.1" : host);
}

ListeningSocket open_listener(const std::string& host, std::uint16_t port) {
    ListeningSocket out;
    const auto failed = [&](std::string error) {
        if (out.fd >= 0) ::close(out.fd);
        return ListeningSocket{-1, 0, false, std::move(error)};
    };
    const std::optional<IpAddress> address = listen_address(host);
    if (!address) return failed("listen address \"" + host + "\": not an IPv4 or IPv6 address");
    out.loopback = address->is_loopback();
    const std::string shown = (address->is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address->bytes.data(), sizeof v4.sin_addr);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address->bytes.data(), sizeof v6.sin6_addr);
    auto* const name = address->is_v4() ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);
    socklen_t length = address->is_v4() ? sizeof v4 : sizeof v6;

    out.fd = ::socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out.fd < 0) return failed("cannot make a socket: " + std::system_category().message(errno));
    const int on = 1;
    ::setsockopt(out.fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    // 0.0.0.0 and [::] beside each other are two addresses, not one that is in use.
    if (!address->is_v4()) ::setsockopt(out.fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    // Connections that come in one burst wait here for a moment, instead of a second for the client's second try.
    constexpr int kBacklog = 4096;
    if (::bind(out.fd, name, length) != 0 || ::listen(out.fd, kBacklog) != 0) {
        const int error = errno;
        return failed(error == EADDRINUSE ? "address in use: " + shown
                                          : "cannot listen on " + shown + ": " + std::system_category().message(error));
    }
    ::getsockname(out.fd, name, &length);
    out.port = ntohs(address->is_v4() ? v4.sin_port : v6.sin6_port);
    return out;
}

}  // namespace guideway::rest
