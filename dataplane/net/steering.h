// Steering: decides at start, for each IP family and protocol, whether owners follow the NICs (rss) or the rings.
//
// Terms:
//   DeviceRss   what one device does with packets, as read back from it after its start (device_rss.h), or why that is no use.
//   usable      a port with a DeviceRss without a why_not: several queues, a key and a redirection table that it tells.
//   agree       usable ports lead equal packets to equal workers: same key, same worker by residue. A client's packet and its
//               reply may come by any of them.
//
// rss needs two workers and a usable port, and all usable ports in agreement. A port that is not usable does no harm: its packets
// are handed over, as all are by rings.
//
// Worked example: two ports of an E810 with four queues for four workers, both hashing ports of TCP and UDP only:
//   steering: rss for TCP over IPv4, UDP over IPv4, TCP over IPv6, UDP over IPv6 (at least 16128 SNAT ports ...); rings for SCTP
//   over IPv4 (port 'outside' does not hash its ports), ...
// Thread contract: pure functions and plain values; a RssAgreement belongs to one thread.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "api/contract/counters.h"
#include "dataplane/flow/ownership.h"

namespace guideway::net {

/// The key we ask devices for. Random, of full rank in every number of low bits for the two bytes of each port and family
/// (a test shows it), not symmetric. Fixed: after a restart the same packets belong to the same workers.
inline constexpr flow::ToeplitzKey kRssKey{0xf9, 0x9a, 0xf9, 0x16, 0xaa, 0xa1, 0xcf, 0x2a, 0xfd, 0xc7,
                                           0xeb, 0x3d, 0x0f, 0x24, 0xc0, 0x5b, 0x2c, 0x94, 0x3d, 0x44,
                                           0x1a, 0x63, 0xd5, 0xe0, 0xd3, 0x65, 0x08, 0x4b, 0xe5, 0xbc,
                                           0xd5, 0xc8, 0xb1, 0x7d, 0xd7, 0x01, 0x03, 0x34, 0x59, 0xb0};

inline constexpr std::array<contract::Protocol, 3> kSteeredProtocols{contract::Protocol::tcp, contract::Protocol::udp,
                                                                     contract::Protocol::sctp};

struct DeviceRss {
    std::string why_not;  ///< why it is not usable; empty: it is, and the rest holds
    flow::ToeplitzKey key{};
    std::vector<std::uint16_t> reta;                       ///< queue by residue
    std::array<std::array<bool, 3>, 2> hashes_ports_of{};  ///< [IPv4, IPv6][position in kSteeredProtocols]
};

struct PortRss {
    std::string name;
    DeviceRss rss;
    std::vector<std::uint16_t> worker_of_queue;
};

struct Steering {
    flow::Ownership ownership;
    std::vector<contract::Steering> ways;  ///< six: each family and protocol
    std::string summary;                   ///< one line for the log
};

/// SNAT ports first..last, both included.
Steering decide_steering(std::span<const PortRss> ports, std::uint32_t workers, std::uint16_t first,
                         std::uint16_t last);

/// Do devices compute the hash that was expected of them? Looks at what was compared since the last judgement.
class RssAgreement {
  public:
    static constexpr std::uint64_t kFewest = 1000;    ///< comparisons for a judgement
    static constexpr std::uint64_t kMostPercent = 3;  ///< that may differ (a tunnel's inner header, an IP option)

    /// Totals so far. The percentage that differed, where it is too high and was not at the last judgement.
    std::optional<std::uint64_t> look(std::uint64_t agreed, std::uint64_t disagreed);

  private:
    std::uint64_t agreed_ = 0;
    std::uint64_t disagreed_ = 0;
    bool bad_ = false;
};

}  // namespace guideway::net
