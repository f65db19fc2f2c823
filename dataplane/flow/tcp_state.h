// State machines of TCP, UDP and SCTP connections as a balancer in the middle sees them: both directions, and of TCP's sequence
// numbers about where each side is.
//
// Terms: `half` is the side the packet came from (kClientHalf, kBackendHalf). `flags` are the entry's flow_flags.
//
//   opening --backend SYN-ACK--> answered --client ACK--> established --FIN--> closing --FIN of the other--> time_wait
//   any state but time_wait --RST--> reset      (RFC 1337: a late RST must not cut TIME_WAIT short)
//
// RST and FIN can be forged by somebody who sees nothing of the connection (RFC 5961, RFC 7857 section 2.2). They pass in any
// case, the ends judge them for themselves; but they change the state only if tcp_sequence_plausible(). And the reset state only
// shortens the timeout: if the side that "sent" the RST goes on talking, it did not, and the connection is established again.
//
// Worked example, both sides closing:
//   client SYN -> opening; backend SYN-ACK -> answered; client ACK -> established; client FIN -> closing (kClientFin);
//   backend FIN -> time_wait (kBackendFin); the last ACK changes nothing; a new client SYN: opens_anew() is true.
//
// Thread contract: pure functions.
#pragma once

#include <cstdint>

#include "dataplane/flow/connection_state.h"
#include "dataplane/flow/flow_entry.h"

namespace guideway::flow {

namespace tcp_flag {  // RFC 9293 section 3.1
inline constexpr std::uint8_t kFin = 0x01;
inline constexpr std::uint8_t kSyn = 0x02;
inline constexpr std::uint8_t kRst = 0x04;
inline constexpr std::uint8_t kAck = 0x10;
}  // namespace tcp_flag

/// What a packet makes of a connection.
struct Progress {
    ConnectionState state;
    std::uint8_t flags;
    friend bool operator==(const Progress&, const Progress&) = default;
};

/// Only a SYN without ACK, FIN and RST may open a connection.
constexpr bool tcp_opens(std::uint8_t tcp_flags) {
    return (tcp_flags & (tcp_flag::kSyn | tcp_flag::kAck | tcp_flag::kRst | tcp_flag::kFin)) == tcp_flag::kSyn;
}

/// A client's SYN on a connection that is over: forget the entry and decide anew (RFC 6191 lets clients reuse ports
/// early).
constexpr bool tcp_opens_anew(ConnectionState state, unsigned half, std::uint8_t tcp_flags) {
    return half == kClientHalf && tcp_opens(tcp_flags) &&
           (state == ConnectionState::tcp_time_wait || state == ConnectionState::tcp_reset);
}

/// Whether a FIN or RST with this sequence number can be of the side whose last known one is `tracked` (FlowEntry::sequence: up to
/// kSequenceStep behind). Wide enough for what was lost before it came here, narrow enough that one forged in the blind has a
/// chance of 1 in 12,000 even where addresses and ports were guessed right.
constexpr bool tcp_sequence_plausible(std::uint32_t tracked, std::uint32_t sequence) {
    constexpr std::uint32_t kBehind = 64 * 1024;
    constexpr std::uint32_t kAhead = 256 * 1024;
    return sequence - (tracked - kBehind) <= kBehind + kSequenceStep + kAhead;
}

/// Whether an ICMP error can be about a segment that this side sent: RFC 5927 4.1, as much of it as is known here. A segment is quoted
/// after more were sent, and again each time its retransmission fails; so further back than for a FIN: as far as the sender's
/// buffer is long (4 MiB is what Linux lets it grow to). Never ahead: what is quoted went through here. The end judges once more.
constexpr bool tcp_quote_plausible(std::uint32_t tracked, std::uint32_t sequence) {
    constexpr std::uint32_t kBehind = 4 * 1024 * 1024;
    return sequence - (tracked - kBehind) <= kBehind + kSequenceStep;
}

constexpr Progress tcp_advance(Progress now, unsigned half, std::uint8_t tcp_flags) {
    using enum ConnectionState;
    // The case of almost every packet first.
    if (now.state == tcp_established && (tcp_flags & (tcp_flag::kFin | tcp_flag::kRst)) == 0) return now;

    if ((tcp_flags & tcp_flag::kRst) != 0) {
        if (now.state == tcp_time_wait) return now;
        const auto sender = half == kClientHalf ? flow_flags::kClientReset : flow_flags::kBackendReset;
        return {tcp_reset, static_cast<std::uint8_t>(now.flags | sender)};
    }
    if ((tcp_flags & tcp_flag::kFin) != 0 && now.state != tcp_reset) {
        const auto sender = half == kClientHalf ? flow_flags::kClientFin : flow_flags::kBackendFin;
        const auto flags = static_cast<std::uint8_t>(now.flags | sender);
        constexpr std::uint8_t kBoth = flow_flags::kClientFin | flow_flags::kBackendFin;
        return {(flags & kBoth) == kBoth ? tcp_time_wait : tcp_closing, flags};
    }
    const bool syn = (tcp_flags & tcp_flag::kSyn) != 0;
    const bool ack = (tcp_flags & tcp_flag::kAck) != 0;
    switch (now.state) {
        case tcp_opening:
            return {half == kBackendHalf && syn && ack ? tcp_answered : tcp_opening, now.flags};
        case tcp_answered:
            return {half == kClientHalf && ack && !syn ? tcp_established : tcp_answered, now.flags};
        case tcp_reset: {
            const auto sender = half == kClientHalf ? flow_flags::kClientReset : flow_flags::kBackendReset;
            constexpr std::uint8_t kResets = flow_flags::kClientReset | flow_flags::kBackendReset;
            constexpr std::uint8_t kFins = flow_flags::kClientFin | flow_flags::kBackendFin;
            if ((now.flags & kResets) != sender || !ack || syn || (tcp_flags & tcp_flag::kFin) != 0) return now;
            if ((now.flags & kFins) != 0) return now;  // it was closing anyway
            return {tcp_established, static_cast<std::uint8_t>(now.flags & ~kResets)};
        }
        default:
            return now;
    }
}

constexpr ConnectionState udp_advance(ConnectionState state, unsigned half) {
    return half == kBackendHalf ? ConnectionState::udp_both_ways : state;
}

namespace sctp_chunk {  // RFC 9260 section 3.2
inline constexpr std::uint8_t kInit = 1;
inline constexpr std::uint8_t kAbort = 6;
inline constexpr std::uint8_t kShutdown = 7;
inline constexpr std::uint8_t kShutdownAck = 8;
inline constexpr std::uint8_t kCookieEcho = 10;
inline constexpr std::uint8_t kCookieAck = 11;
inline constexpr std::uint8_t kShutdownComplete = 14;
}  // namespace sctp_chunk

/// INIT is always alone in its packet (RFC 9260 section 6.10), so the first chunk's type decides.
constexpr bool sctp_opens(std::uint8_t first_chunk_type) { return first_chunk_type == sctp_chunk::kInit; }

/// A client's INIT on an association that is over: forget the entry and decide anew.
constexpr bool sctp_opens_anew(ConnectionState state, unsigned half, std::uint8_t first_chunk_type) {
    return half == kClientHalf && sctp_opens(first_chunk_type) && state == ConnectionState::sctp_closing;
}

/// By the type of the packet's first chunk. COOKIE ECHO and COOKIE ACK come first in their packets (section 6.10).
constexpr ConnectionState sctp_advance(ConnectionState state, unsigned half, std::uint8_t first_chunk_type) {
    using enum ConnectionState;
    switch (first_chunk_type) {
        case sctp_chunk::kCookieAck:
            return state == sctp_opening && half == kBackendHalf ? sctp_established : state;
        case sctp_chunk::kAbort:
        case sctp_chunk::kShutdown:
        case sctp_chunk::kShutdownAck:
        case sctp_chunk::kShutdownComplete:
            return sctp_closing;
        default:
            return state;
    }
}

}  // namespace guideway::flow
