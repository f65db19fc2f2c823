// ConnectionState: how far a connection is, and how long it may be idle in that state.
//
// Sources: RFC 5382 REQ-5 (established TCP at least 2 h 4 min; its 4 min for half-open and closing connections are for
// NATs in front of clients: a balancer sees both directions and is shorter), RFC 4787 REQ-5 (UDP: 5 minutes
// recommended), RFC 9260 (SCTP).
// Times are whole seconds of a coarse clock that the caller reads once a poll; it may start anywhere and may wrap.
//
// Worked example: established at second 100, last packet at 150, timeout 7440: alive at 7590, expired at 7591.
// Thread contract: plain values and pure functions.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace guideway::flow {

enum class ConnectionState : std::uint8_t {
    none,             ///< a free entry
    tcp_opening,      ///< the client's SYN was seen
    tcp_answered,     ///< and the backend's SYN-ACK
    tcp_established,  ///< and the client's ACK of it
    tcp_closing,      ///< one side has sent FIN
    tcp_time_wait,    ///< both have
    tcp_reset,        ///< RST seen
    udp_one_way,      ///< the backend has not answered yet
    udp_both_ways,
    sctp_opening,
    sctp_established,
    sctp_closing,
};
inline constexpr std::size_t kConnectionStateCount = 12;

/// The table's lists, oldest first: what may have to make room for others (flow_table.h).
enum class FlowList : std::uint8_t {
    opening,  ///< TCP and SCTP handshakes that are not finished
    one_way,  ///< UDP that the backend has not answered
    closed,   ///< over, kept only for late packets
    none,     ///< never gives way
};
inline constexpr std::size_t kFlowListCount = 3;

constexpr FlowList list_of(ConnectionState state) {
    switch (state) {
        case ConnectionState::tcp_opening:
        case ConnectionState::tcp_answered:
        case ConnectionState::sctp_opening:
            return FlowList::opening;
        case ConnectionState::udp_one_way:
            return FlowList::one_way;
        case ConnectionState::tcp_time_wait:
        case ConnectionState::tcp_reset:
        case ConnectionState::sctp_closing:
            return FlowList::closed;
        default:
            return FlowList::none;
    }
}

/// Whether a connection of the IP protocol (6, 17 or 132) can be in the state.
constexpr bool fits(ConnectionState state, std::uint8_t protocol) {
    using enum ConnectionState;
    if (state >= tcp_opening && state <= tcp_reset) return protocol == 6;
    if (state == udp_one_way || state == udp_both_ways) return protocol == 17;
    return state >= sctp_opening && state <= sctp_closing && protocol == 132;
}

/// Bits of FlowEntry::flags.
namespace flow_flags {
inline constexpr std::uint8_t kClientFin = 1 << 0;
inline constexpr std::uint8_t kBackendFin = 1 << 1;
inline constexpr std::uint8_t kClientReset = 1 << 2;
inline constexpr std::uint8_t kBackendReset = 1 << 3;
/// A packet of the side was further ahead than is believed; the other side's next acknowledgement will tell where it is.
inline constexpr std::uint8_t kClientAhead = 1 << 4;
inline constexpr std::uint8_t kBackendAhead = 1 << 5;
inline constexpr std::uint8_t kAnyAhead = kClientAhead | kBackendAhead;
/// UDP of a backend that drains: the client sent something at last_seen that nothing has answered yet.
inline constexpr std::uint8_t kAwaitsAnswer = 1 << 6;
/// next_hop of packets to the client is the router that its last packet came from, not the routing table's.
inline constexpr std::uint8_t kLastHop = 1 << 7;
constexpr std::uint8_t ahead(unsigned half) { return static_cast<std::uint8_t>(kClientAhead << half); }
}  // namespace flow_flags

/// Idle time in seconds after which a connection in the state is forgotten.
struct Timeouts {
    std::uint32_t tcp_opening = 60;        ///< opening and answered
    std::uint32_t tcp_established = 7440;  ///< 2 h 4 min
    std::uint32_t tcp_closing = 120;
    std::uint32_t tcp_time_wait = 60;
    std::uint32_t tcp_reset = 10;
    std::uint32_t udp_one_way = 30;  ///< nothing came back: no mapping that anybody relies on
    std::uint32_t udp = 300;
    std::uint32_t sctp_opening = 60;
    std::uint32_t sctp_established = 7440;
    std::uint32_t sctp_closing = 30;
};

/// Timeouts indexed by state, for the ageing sweep.
class IdleLimits {
  public:
    explicit constexpr IdleLimits(const Timeouts& t)
        : seconds_{0,           t.tcp_opening, t.tcp_opening, t.tcp_established, t.tcp_closing,      t.tcp_time_wait,
                   t.tcp_reset, t.udp_one_way, t.udp,         t.sctp_opening,    t.sctp_established, t.sctp_closing} {}

    /// `override_seconds` is the service's own timeout (0: none); it replaces that of the steady states only: a
    /// half-open or closing connection is not kept longer because its service has long-lived ones.
    constexpr std::uint32_t seconds(ConnectionState state, std::uint32_t override_seconds) const {
        if (override_seconds != 0 && is_steady(state)) return override_seconds;
        return seconds_[static_cast<std::size_t>(state)];
    }

    static constexpr bool is_steady(ConnectionState state) {
        return state == ConnectionState::tcp_established || state == ConnectionState::udp_both_ways ||
               state == ConnectionState::sctp_established;
    }

  private:
    std::array<std::uint32_t, kConnectionStateCount> seconds_;
};

/// True when more than `limit` seconds lie between. Right across the wrap of the clock for limits below 2^31.
constexpr bool idle_longer_than(std::uint32_t now, std::uint32_t last_seen, std::uint32_t limit) {
    return static_cast<std::uint32_t>(now - last_seen) > limit;
}

}  // namespace guideway::flow
