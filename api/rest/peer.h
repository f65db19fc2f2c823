// Peer: a client's address as the bounds see it.
//
// Terms. Key: what counts as one client: an IPv4 address, or the /64 of an IPv6 address, which one client has wholly. IPv4 clients of
// an IPv6 socket (::ffff:192.0.2.7) are the IPv4 clients they are.
//
// Thread contract: plain value.
#pragma once

#include <string>
#include <sys/socket.h>

#include "api/contract/ip_address.h"

namespace guideway::rest {

struct Peer {
    std::string address;  ///< literal; empty: not known
    std::string key;      ///< "192.0.2.7", "2001:db8::/64"
    bool loopback = false;
};

/// Of what accept() or getpeername() filled in.
Peer peer_of(const sockaddr_storage& address);

}  // namespace guideway::rest
