#include "api/rest/peer.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <netinet/in.h>

namespace guideway::rest {
namespace {

IpAddress address_of(const sockaddr_storage& address) {
    if (address.ss_family == AF_INET) {
        const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
        return IpAddress::v4(ntohl(v4.sin_addr.s_addr));
    }
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    std::array<std::uint8_t, 16> bytes{};
    std::memcpy(bytes.data(), &v6.sin6_addr, bytes.size());
    if (IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) {
        std::uint32_t value = 0;
        std::memcpy(&value, bytes.data() + 12, sizeof value);
        return IpAddress::v4(ntohl(value));
    }
    return IpAddress::v6(bytes);
}

}  // namespace

Peer peer_of(const sockaddr_storage& address) {
    Peer peer;
    if (address.ss_family != AF_INET && address.ss_family != AF_INET6) return peer;
    const IpAddress parsed = address_of(address);
    peer.address = peer.key = parsed.to_string();
    peer.loopback = parsed.is_loopback();
    if (!parsed.is_v4() && !peer.loopback) peer.key = IpPrefix{parsed, 64}.network().to_string();
    return peer;
}

}  // namespace guideway::rest
