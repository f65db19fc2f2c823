// Tap: what an operator asks to be shown of packets on their way (`guideway trace`, `guideway capture`), and what is shown.
//
// Terms:
//   filter   of which connections: both directions, before and after translation. What is not said matches everything.
//   bounds   a tap ends by itself after so many packets and seconds; what comes faster than `rate` is counted, not shown.
//   verdict  what became of a packet: forwarded, answered, refused (RST, port unreachable, ABORT), dropped, kernel, held (waits for
//            a MAC address or its datagram's first fragment), handed_over (its connection is another worker's), other.
//
// Worked example, over the dataplane's socket: TapRequest{filter: TCP to 203.0.113.10:80, count 100, ...} begins; each TapReadRequest
// of the same client fetches what was seen since; the tap ends with its bounds, or when the client hangs up.
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::contract {

// What one tap may cost at most.
inline constexpr std::uint32_t kMostTapPackets = 1'000'000;
inline constexpr std::uint32_t kMostTapSeconds = 3600;
inline constexpr std::uint32_t kMostTapRate = 50'000;  ///< packets a second
inline constexpr std::uint32_t kLeastTapBytes = 64;    ///< of each packet
inline constexpr std::uint32_t kMostTapBytes = 9216;

/// `source` is the side that opened the connection; replies, and the translated side, match with it.
struct TapFilter {
    std::string protocol;  ///< "TCP", "UDP", "SCTP" or "ICMP"; empty: any
    std::optional<IpPrefix> source;
    std::uint16_t source_port = 0;  ///< 0: any
    std::optional<IpPrefix> destination;
    std::uint16_t destination_port = 0;
    std::string port;    ///< packets that come in or leave there; empty: all ports
    bool drops = false;  ///< only what was dropped or refused
    std::string reason;  ///< only what was dropped or refused for this; empty: any
    friend bool operator==(const TapFilter&, const TapFilter&) = default;
};

struct TapRequest {
    TapFilter filter;
    std::uint32_t bytes = 256;  ///< of each packet that are shown
    std::uint32_t count = 1000;
    std::uint32_t seconds = 60;
    std::uint32_t rate = 1000;
    bool steps = false;  ///< TapRecord::steps and TapFrame::packet are wanted
    std::string who;     ///< told to the next who asks
    friend bool operator==(const TapRequest&, const TapRequest&) = default;
};
struct TapReadRequest {};

struct TapFrame {
    std::string port;          ///< empty: has not left (yet)
    std::string packet;        ///< "TCP 192.0.2.1:40000 > 203.0.113.10:80 SYN"
    std::uint32_t length = 0;  ///< of the whole frame
    std::string bytes;         ///< its beginning, as it is
    friend bool operator==(const TapFrame&, const TapFrame&) = default;
};

struct TapRecord {
    std::uint64_t time_ns = 0;  ///< since 1970
    std::uint32_t worker = 0;
    bool taken_over = false;  ///< another worker received it
    std::string verdict;
    std::string reason;  ///< of a drop or refusal; empty: neither
    std::string service, backend;
    std::vector<std::string> steps;  ///< one plain sentence for each stage, in order
    TapFrame in;
    std::vector<TapFrame> out;
    std::uint32_t more_out = 0;  ///< frames that left, besides
    friend bool operator==(const TapRecord&, const TapRecord&) = default;
};

struct TapAnswer {
    std::string ended;               ///< why there will be no more: "count" or "seconds"; empty: it goes on
    std::vector<std::string> ports;  ///< all there are
    std::vector<TapRecord> records;  ///< since the last read
    // So far.
    std::uint64_t matched = 0;        ///< packets of the filter's connections
    std::uint64_t lost = 0;           ///< ... for which there was no room
    std::uint64_t over_rate = 0;      ///< ... that came faster than was asked for
    std::uint64_t not_looked_at = 0;  ///< ... that came faster than a worker follows
    friend bool operator==(const TapAnswer&, const TapAnswer&) = default;
};

}  // namespace guideway::contract
