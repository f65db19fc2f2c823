// BgpSettings: the group `bgp` of the section `controlplane`: which daemon speaks for us, with whom, and what it says of which pools.
// docs/bgp.md explains each; every fault is named by field.
//
// Worked example:
//   bgp: {
//       daemon = "bird"; asn = 64512; router_id = "192.0.2.1";
//       peers = ( { name = "tor1"; address = "192.0.2.254"; asn = 64513; bfd = true; password_file = "/etc/guideway/tor1.password"; } );
//       advertisements = ( { name = "office"; pools = [ "office" ]; communities = [ "64512:7" ]; } );
//   };
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/config/reader.h"
#include "api/contract/ip_address.h"
#include "controlplane/announce/kernel_routes.h"
#include "controlplane/announce/routes.h"

namespace guideway::announce {

enum class Daemon : std::uint8_t { bird, frr };
const char* to_string(Daemon daemon);

struct BgpPeer {
    std::string name;  ///< [a-z][a-z0-9_]*, at most 32: it is a name in the daemon's configuration
    IpAddress address;
    std::uint16_t port = 179;
    std::uint32_t asn = 0;
    std::uint32_t local_asn = 0;     ///< ours towards it; 0: that of all
    std::string password_file = {};  ///< its first line is the TCP MD5 password (RFC 2385); empty: none
    std::uint8_t multihop = 0;       ///< hops allowed; 0: next door
    bool bfd = false;
    std::uint16_t hold_seconds = 0;  ///< 0: the daemon's default
    std::optional<IpAddress> source = {};
    std::vector<IpFamily> families = {};  ///< sorted; by default that of `address`
    /// Where the router shall send the traffic; none: where the session comes from.
    std::optional<IpAddress> next_hop_ipv4 = {}, next_hop_ipv6 = {};

    bool carries(IpFamily family) const;
};

struct BgpSettings {
    Daemon daemon = Daemon::bird;
    /// BIRD's control socket; FRR's folder of sockets.
    std::string socket;
    std::uint32_t table = kDefaultTable;  ///< FRR: always the main table
    std::uint32_t asn = 0;
    std::optional<IpAddress> router_id = {};
    WithoutBackends without_backends = WithoutBackends::withdraw;
    bool graceful_restart = true;
    std::uint32_t long_lived_seconds = 0;  ///< RFC 9494; 0: off
    std::uint32_t bfd_interval_ms = 100;
    std::uint8_t bfd_multiplier = 3;
    std::vector<BgpPeer> peers;
    std::vector<Advertisement> advertisements;

    KernelTables tables() const;
    /// Whether this peer is told of what the advertisement makes.
    static bool tells(const Advertisement& rule, const BgpPeer& peer);
};

/// "64512:7", "64512:1:2" (large, RFC 8092), "no-export", "no-advertise".
bool is_community(std::string_view text);

/// None: there is no such group. Faults are recorded in the document.
std::optional<BgpSettings> read_bgp(config::Section& controlplane);

}  // namespace guideway::announce
