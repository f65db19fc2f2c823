// BgpStatus: what the network is told of our addresses by BGP, and how the sessions are, as GET /v1/bgp answers. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::resources {

struct BgpPeerStatus {
    std::string name;
    IpAddress address;
    std::uint32_t asn = 0;
    std::string state;  ///< in the daemon's words; "unknown": it does not answer
    bool established = false;
    std::string since;         ///< in the daemon's words; empty: not told
    std::uint64_t routes = 0;  ///< told to it
    std::string last_error;    ///< empty: none, or not told
    friend bool operator==(const BgpPeerStatus&, const BgpPeerStatus&) = default;
};

struct ToldRoute {
    IpPrefix prefix;
    std::string advertisement;  ///< that made it; empty: one of an earlier configuration
    friend bool operator==(const ToldRoute&, const ToldRoute&) = default;
};

struct BgpStatus {
    bool configured = false;  ///< false: there is no group controlplane.bgp, and nothing of what follows
    std::string daemon;       ///< "bird" or "frr"
    std::uint32_t asn = 0;
    std::string router_id;  ///< empty: the daemon's own choice
    bool daemon_answers = false;
    std::string daemon_error;                  ///< why it does not answer; empty: it does
    std::optional<std::uint64_t> age_seconds;  ///< of what the daemon said; none: it was not asked yet
    std::vector<BgpPeerStatus> peers;          ///< in the order of the configuration
    std::vector<ToldRoute> routes;
    std::string announce_error;  ///< why the routes are not as they should be; empty: they are
    bool maintenance = false;
    friend bool operator==(const BgpStatus&, const BgpStatus&) = default;
};

}  // namespace guideway::resources
