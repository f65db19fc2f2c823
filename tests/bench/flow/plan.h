// The benchmark's network: who has which address.
//
//   clients 198.18.0.0/15 --- router --- port 0 [ Guideway ] port 1 --- 64 nodes 10.0.2.1..64
//                                  VIP 203.0.113.10   SNAT 10.0.2.200..215
//
// Terms: `low` is the IPv4 address in network order; the IPv6 address of the same station is a prefix of its kind (kClientPrefix ...)
// with the same four bytes at the end. So both families are one arithmetic. `index` numbers connections: index i comes from client
// address 198.18.0.0 + i % 131072, port 1024 + i / 131072 (RFC 2544's range for benchmarks, RFC 5180's for IPv6).
//
// Example: connection 131073 is 198.18.0.1:1025 -> 203.0.113.10:80.
// Thread contract: constants and pure functions.
#pragma once

#include <array>
#include <cstdint>

#include "api/contract/forwarding_state.h"
#include "dataplane/packet/wire.h"
#include "dataplane/snapshot/routing_snapshot.h"

namespace guideway::bench {

inline constexpr std::uint32_t kSnatAddresses = 16;
inline constexpr std::uint32_t kBackends = 64;
inline constexpr std::uint32_t kClientBits = 17;  ///< addresses of clients
inline constexpr std::uint16_t kFirstClientPort = 1024;
inline constexpr std::uint32_t kMostConnections = (65536U - kFirstClientPort) << kClientBits;

enum Port : std::uint16_t { kClientPort = 0, kNodePort = 1, kPorts = 2 };
enum Direction : std::uint8_t { kRequest = 0, kReply = 1 };

inline constexpr std::array<packet::MacAddress, kPorts> kPortMac{{{0x02, 0, 0, 0, 0, 1}, {0x02, 0, 0, 0, 0, 2}}};
inline constexpr packet::MacAddress kRouterMac{0x02, 0, 0, 0, 0, 0xfe};
constexpr packet::MacAddress node_mac(std::uint32_t backend) {
    return {0x02, 0, 0, 0, 1, static_cast<std::uint8_t>(backend)};
}

constexpr std::uint32_t low(std::uint32_t host_order) { return packet::swap_if_little(host_order); }
inline constexpr std::uint32_t kVipLow = low(0xcb00710a);
constexpr std::uint32_t client_low(std::uint32_t index) {
    return low(0xc6120000U + (index & ((1U << kClientBits) - 1)));
}
constexpr std::uint16_t client_port_be(std::uint32_t index) {
    return packet::swap_if_little(static_cast<std::uint16_t>(kFirstClientPort + (index >> kClientBits)));
}
constexpr std::uint32_t backend_low(std::uint32_t backend) { return low(0x0a000201U + backend); }
constexpr std::uint32_t snat_low(std::uint32_t snat) { return low(0x0a0002c8U + snat); }
/// The reverse of backend_low() and snat_low(); anything for other addresses.
constexpr std::uint8_t backend_of(std::uint32_t low_be) { return static_cast<std::uint8_t>((low_be >> 24) - 1); }
constexpr std::uint8_t snat_of(std::uint32_t low_be) { return static_cast<std::uint8_t>((low_be >> 24) - 0xc8); }

using Prefix = std::array<std::uint8_t, 12>;  ///< an IPv6 address without its last four bytes
inline constexpr Prefix kClientPrefix{0x20, 0x01, 0, 0x02, 0, 0, 0, 1, 0, 0, 0, 0};
inline constexpr Prefix kVipPrefix{0x20, 0x01, 0x0d, 0xb8, 0, 1, 0, 0, 0, 0, 0, 0};
inline constexpr Prefix kNodePrefix{0x20, 0x01, 0x0d, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0};

/// Host order.
constexpr std::uint16_t vip_port(std::uint8_t protocol) { return protocol == 6 ? 80 : 53; }
constexpr std::uint16_t node_port(std::uint8_t protocol) { return protocol == 6 ? 30080 : 30053; }

/// What one connection became inside: learnt from the first packet that leaves towards a node. Four bytes, so that the generator
/// takes little of the cache that it measures.
struct Connection {
    std::uint16_t snat_port_be = 0;
    std::uint8_t snat = 0;
    std::uint8_t backend = 0;
    friend bool operator==(const Connection&, const Connection&) = default;
};
static_assert(sizeof(Connection) == 4);

IpAddress address(int ip, const Prefix& prefix, std::uint32_t low_be);
/// Services for TCP and UDP on the VIP of both families, on all nodes.
contract::ForwardingState forwarding_state();
std::vector<IpAddress> snat_addresses();
/// Everything resolved: the router for all clients, each node on the link of port 1.
snapshot::RoutingSnapshot routing();

}  // namespace guideway::bench
