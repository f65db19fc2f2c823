// LACP (IEEE 802.1AX clause 6.4): the protocol by which both ends of several cables agree to use them as one.
//
// Terms:
//   member      one of our links. partner: what stands at its other end, as its LACPDUs tell.
//   actor       ourselves in our own LACPDUs, the other in its own; "partner" in one is what its sender knows of the receiver.
//   group       members whose partner tells the same system and key; the largest one carries, the others wait (selected or not).
//   in sync     both ends have put the link into a group: from then on frames are collected (taken from it), and distributed
//               (given to it) once the partner says that it collects.
//   rate        how often we ask the partner to send: each second (fast) or each 30; three times that without a word is the end.
//
// Worked example: two links to one switch, fast. Link up -> LACPDU of state 0x07 | expired -> the switch answers with our own values as
// its partner's and in sync -> collecting, a LACPDU at once -> the switch collects -> distributing; then a LACPDU each second.
// One cable is cut: its member is out at once where the carrier tells, after three seconds of silence where only the way is broken.
//
// Simpler than the standard, on purpose: there is no wait before a link is put into a group (a link that comes later changes nothing
// for those that are there), and a partner that does not speak LACP carries nothing (the standard would use one such link by itself:
// a switch with its LACP forgotten would then learn our address on two of its ports).
//
// Thread contract: one thread. Pure: time is given, frames are bytes.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dataplane/snapshot/routing_snapshot.h"

namespace guideway::net::lacp {

using snapshot::MacAddress;
using TimePoint = std::chrono::steady_clock::time_point;

/// Of a port's state.
inline constexpr std::uint8_t kActive = 0x01, kFast = 0x02, kAggregation = 0x04, kSynchronized = 0x08,
                              kCollecting = 0x10, kDistributing = 0x20, kDefaulted = 0x40, kExpired = 0x80;

inline constexpr std::size_t kFrameBytes = 124;  ///< Ethernet's header and a LACPDU
inline constexpr MacAddress kSlowProtocols{0x01, 0x80, 0xc2, 0x00, 0x00, 0x02};

struct PortInfo {
    std::uint16_t system_priority = 0;
    MacAddress system{};
    std::uint16_t key = 0;
    std::uint16_t port_priority = 0;
    std::uint16_t port = 0;
    std::uint8_t state = 0;

    /// The same port, whatever its state.
    bool is(const PortInfo& other) const {
        return system_priority == other.system_priority && system == other.system && key == other.key &&
               port_priority == other.port_priority && port == other.port;
    }
    friend bool operator==(const PortInfo&, const PortInfo&) = default;
};

struct Pdu {
    PortInfo actor;
    PortInfo partner;
    friend bool operator==(const Pdu&, const Pdu&) = default;
};

void write(std::span<std::uint8_t, kFrameBytes> frame, const MacAddress& source, const Pdu& pdu);
/// Nothing where the frame is no whole LACPDU.
std::optional<Pdu> read(std::span<const std::uint8_t> frame);

class Aggregator {
  public:
    /// `system`: the bond's MAC address, which names us.
    Aggregator(const MacAddress& system, std::size_t members, bool fast);

    void set_link(std::size_t member, bool up, TimePoint now);
    void receive(std::size_t member, const Pdu& pdu, TimePoint now);
    /// Time passes: silence is noticed.
    void tick(TimePoint now);
    /// The LACPDU that is to be sent now, at most three a second; until sent() says so it is due again.
    std::optional<Pdu> due(std::size_t member, TimePoint now) const;
    void sent(std::size_t member, TimePoint now);

    bool collecting(std::size_t member) const { return (members_[member].actor.state & kCollecting) != 0; }
    bool distributing(std::size_t member) const { return (members_[member].actor.state & kDistributing) != 0; }
    /// LACPDUs come as often as they were asked for.
    bool hears(std::size_t member) const { return members_[member].hearing == Hearing::current; }
    /// Whom the member is cabled to; nothing once it was silent for long.
    std::optional<PortInfo> partner(std::size_t member) const;
    /// The system that the carrying members lead to; nothing where none does.
    std::optional<MacAddress> system_carried() const;

  private:
    static constexpr std::size_t kMostASecond = 3;

    enum class Hearing : std::uint8_t { disabled, defaulted, expired, current };
    struct Member {
        PortInfo actor;
        PortInfo partner;
        Hearing hearing = Hearing::disabled;
        bool partner_in_sync = false;
        bool selected = false;
        bool need_to_send = false;
        TimePoint silent_at{};  ///< without another LACPDU, expired or current end then
        TimePoint last_sent{};
        std::array<TimePoint, kMostASecond> sent_at{};  ///< a ring, the oldest at `oldest`
        std::size_t oldest = 0;
    };

    void forget(Member& member);
    void expire(Member& member, TimePoint now);
    /// Chooses the group, and what each member's state follows from it.
    void settle();
    std::optional<std::size_t> leader() const;
    static bool same_group(const Member& a, const Member& b);
    static bool is_known(const Member& member);

    std::vector<Member> members_;
    std::optional<std::size_t> leader_;
};

}  // namespace guideway::net::lacp
