// Peers: how the sessions are, asked of the routing daemon itself: BIRD by its control socket ("show protocols all"), FRR by bgpd's vty
// socket ("show bgp neighbors json"). Only peers of our settings are told, in their order; others of the daemon are the operator's matter.
//
// Bounds: an answer has 8 MiB and two seconds. Worked example: {name "tor1", state "Established", since "20:10:47.155", told 3}.
// Thread contract: pure functions; ask_peers() blocks for those seconds at most.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "controlplane/announce/bgp_settings.h"

namespace guideway::announce {

struct PeerState {
    std::string name;
    IpAddress address;
    std::uint32_t asn = 0;
    bool established = false;
    std::string
        state;  ///< in the daemon's words: "Established", "Active", "Idle"; "unknown to the daemon": not in its configuration
    std::string since;         ///< in the daemon's words; empty: not told
    std::uint64_t routes = 0;  ///< told to it
    std::string last_error;    ///< why the last session ended; empty: none, or not told
    friend bool operator==(const PeerState&, const PeerState&) = default;
};

/// Else why the daemon could not be asked.
std::variant<std::vector<PeerState>, std::string> ask_peers(const BgpSettings& settings);

/// What BIRD says to "show protocols all", as it comes over the socket.
std::variant<std::vector<PeerState>, std::string> read_bird(std::string_view answer, const BgpSettings& settings);
/// What bgpd says to "show bgp neighbors json".
std::variant<std::vector<PeerState>, std::string> read_frr(std::string_view answer, const BgpSettings& settings);

}  // namespace guideway::announce
