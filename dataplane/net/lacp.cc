#include "dataplane/net/lacp.h"

#include <algorithm>

namespace guideway::net::lacp {
namespace {

using namespace std::chrono_literals;

constexpr std::chrono::nanoseconds kFastPeriod = 1s;
constexpr std::chrono::nanoseconds kSlowPeriod = 30s;
constexpr std::uint16_t kOurPriority = 0xffff;  // the partner's wishes win, as with most hosts
constexpr std::uint16_t kOurPortPriority = 0xff;
constexpr std::uint16_t kOurKey = 1;

constexpr std::uint8_t kSlowType[2] = {0x88, 0x09};
constexpr std::size_t kHeader = 14;
constexpr std::uint8_t kSubtypeLacp = 1, kVersion = 1;
constexpr std::size_t kActorAt = kHeader + 2, kPartnerAt = kActorAt + 20, kCollectorAt = kPartnerAt + 20;
constexpr std::uint8_t kActorTlv = 1, kPartnerTlv = 2, kCollectorTlv = 3, kInfoLength = 20, kCollectorLength = 16;

void put16(std::uint8_t* to, std::uint16_t value) {
    to[0] = static_cast<std::uint8_t>(value >> 8);
    to[1] = static_cast<std::uint8_t>(value);
}

std::uint16_t get16(const std::uint8_t* from) { return static_cast<std::uint16_t>(from[0] << 8 | from[1]); }

void put_info(std::uint8_t* to, std::uint8_t type, const PortInfo& info) {
    to[0] = type;
    to[1] = kInfoLength;
    put16(to + 2, info.system_priority);
    std::copy(info.system.begin(), info.system.end(), to + 4);
    put16(to + 10, info.key);
    put16(to + 12, info.port_priority);
    put16(to + 14, info.port);
    to[16] = info.state;
}

PortInfo get_info(const std::uint8_t* from) {
    PortInfo info;
    info.system_priority = get16(from + 2);
    std::copy_n(from + 4, info.system.size(), info.system.begin());
    info.key = get16(from + 10);
    info.port_priority = get16(from + 12);
    info.port = get16(from + 14);
    info.state = from[16];
    return info;
}

std::chrono::nanoseconds patience(std::uint8_t state) { return 3 * ((state & kFast) != 0 ? kFastPeriod : kSlowPeriod); }

}  // namespace

void write(std::span<std::uint8_t, kFrameBytes> frame, const MacAddress& source, const Pdu& pdu) {
    std::ranges::fill(frame, std::uint8_t{0});
    std::uint8_t* at = frame.data();
    std::copy(kSlowProtocols.begin(), kSlowProtocols.end(), at);
    std::copy(source.begin(), source.end(), at + 6);
    std::copy(std::begin(kSlowType), std::end(kSlowType), at + 12);
    at[kHeader] = kSubtypeLacp;
    at[kHeader + 1] = kVersion;
    put_info(at + kActorAt, kActorTlv, pdu.actor);
    put_info(at + kPartnerAt, kPartnerTlv, pdu.partner);
    at[kCollectorAt] = kCollectorTlv;
    at[kCollectorAt + 1] = kCollectorLength;
}

std::optional<Pdu> read(std::span<const std::uint8_t> frame) {
    if (frame.size() < kFrameBytes) return std::nullopt;
    const std::uint8_t* at = frame.data();
    // A later version is read as version 1 (6.4.2.3): what it adds comes behind.
    if (!std::equal(std::begin(kSlowType), std::end(kSlowType), at + 12) || at[kHeader] != kSubtypeLacp)
        return std::nullopt;
    if (at[kActorAt] != kActorTlv || at[kActorAt + 1] != kInfoLength) return std::nullopt;
    if (at[kPartnerAt] != kPartnerTlv || at[kPartnerAt + 1] != kInfoLength) return std::nullopt;
    return Pdu{get_info(at + kActorAt), get_info(at + kPartnerAt)};
}

Aggregator::Aggregator(const MacAddress& system, std::size_t members, bool fast) : members_(members) {
    for (std::size_t i = 0; i < members; ++i) {
        PortInfo& actor = members_[i].actor;
        actor = {kOurPriority, system, kOurKey, kOurPortPriority, static_cast<std::uint16_t>(i + 1), 0};
        actor.state = static_cast<std::uint8_t>(kActive | kAggregation | kDefaulted | (fast ? kFast : 0));
    }
}

void Aggregator::forget(Member& member) {
    member.partner = {};
    member.partner_in_sync = false;
    member.actor.state = static_cast<std::uint8_t>((member.actor.state | kDefaulted) & ~kExpired);
}

/// What was known of the partner stays for three seconds, but is not relied upon; it is asked to hurry.
void Aggregator::expire(Member& member, TimePoint now) {
    member.hearing = Hearing::expired;
    member.partner_in_sync = false;
    member.partner.state = static_cast<std::uint8_t>((member.partner.state & ~kSynchronized) | kFast);
    member.actor.state |= kExpired;
    member.silent_at = now + patience(kFast);
    member.need_to_send = true;
}

void Aggregator::set_link(std::size_t index, bool up, TimePoint now) {
    Member& member = members_[index];
    if (up == (member.hearing != Hearing::disabled)) return;
    if (up) {
        expire(member, now);
    } else {
        forget(member);
        member.hearing = Hearing::disabled;
    }
    settle();
}

void Aggregator::receive(std::size_t index, const Pdu& pdu, TimePoint now) {
    Member& member = members_[index];
    if (member.hearing == Hearing::disabled) return;
    if (pdu.actor.system == member.actor.system)
        return;  // our own: two members cabled to each other, or a switch's loop
    member.partner = pdu.actor;
    const bool knows_us = pdu.partner.is(member.actor) && (pdu.partner.state & kAggregation) != 0;
    const bool speaks = (pdu.actor.state & kActive) != 0 || (pdu.partner.state & kActive) != 0;
    const bool alone = (pdu.actor.state & kAggregation) == 0;
    member.partner_in_sync = (pdu.actor.state & kSynchronized) != 0 && (knows_us || alone) && speaks;
    member.hearing = Hearing::current;
    member.silent_at = now + patience(member.actor.state);
    member.actor.state = static_cast<std::uint8_t>(member.actor.state & ~(kDefaulted | kExpired));
    settle();
    constexpr std::uint8_t kTold = kActive | kFast | kSynchronized | kAggregation;
    if (!pdu.partner.is(member.actor) || ((pdu.partner.state ^ member.actor.state) & kTold) != 0)
        member.need_to_send = true;
}

void Aggregator::tick(TimePoint now) {
    bool changed = false;
    for (Member& member : members_) {
        if (member.hearing != Hearing::current && member.hearing != Hearing::expired) continue;
        if (now < member.silent_at) continue;
        if (member.hearing == Hearing::current) {
            expire(member, now);
        } else {
            forget(member);
            member.hearing = Hearing::defaulted;
        }
        changed = true;
    }
    if (changed) settle();
}

bool Aggregator::is_known(const Member& member) {
    return (member.hearing == Hearing::current || member.hearing == Hearing::expired) &&
           member.partner.system != MacAddress{};
}

bool Aggregator::same_group(const Member& a, const Member& b) {
    // A partner that does not aggregate is a group of its own.
    const bool aggregate = (a.partner.state & b.partner.state & kAggregation) != 0;
    return a.partner.system_priority == b.partner.system_priority && a.partner.system == b.partner.system &&
           a.partner.key == b.partner.key && (aggregate || a.partner.port == b.partner.port);
}

/// A member of the largest group; of the one that carries already where others are no larger.
std::optional<std::size_t> Aggregator::leader() const {
    const auto size_of = [this](std::size_t leader) {
        return std::ranges::count_if(members_, [&](const Member& one) {
            return one.hearing == Hearing::current && is_known(one) && same_group(one, members_[leader]);
        });
    };
    std::optional<std::size_t> best = leader_ && is_known(members_[*leader_]) ? leader_ : std::nullopt;
    for (std::size_t i = 0; i < members_.size(); ++i) {
        if (is_known(members_[i]) && (!best || size_of(i) > size_of(*best))) best = i;
    }
    return best;
}

void Aggregator::settle() {
    leader_ = leader();
    for (Member& member : members_) {
        const std::uint8_t before = member.actor.state;
        member.selected = leader_ && is_known(member) && same_group(member, members_[*leader_]);
        std::uint8_t state = before & static_cast<std::uint8_t>(~(kSynchronized | kCollecting | kDistributing));
        if (member.selected) state |= kSynchronized;
        if (member.selected && member.partner_in_sync) {
            state |= kCollecting;
            if ((member.partner.state & kCollecting) != 0) state |= kDistributing;
        }
        member.actor.state = state;
        if (state != before) member.need_to_send = true;
    }
}

std::optional<Pdu> Aggregator::due(std::size_t index, TimePoint now) const {
    const Member& member = members_[index];
    if (member.hearing == Hearing::disabled) return std::nullopt;
    const bool hurry = (member.partner.state & kFast) != 0 || member.hearing == Hearing::defaulted;
    const bool wanted = member.need_to_send || now - member.last_sent >= (hurry ? kFastPeriod : kSlowPeriod);
    if (!wanted || now - member.sent_at[member.oldest] < 1s) return std::nullopt;
    return Pdu{member.actor, member.partner};
}

void Aggregator::sent(std::size_t index, TimePoint now) {
    Member& member = members_[index];
    member.last_sent = member.sent_at[member.oldest] = now;
    member.oldest = (member.oldest + 1) % member.sent_at.size();
    member.need_to_send = false;
}

std::optional<PortInfo> Aggregator::partner(std::size_t index) const {
    if (!is_known(members_[index])) return std::nullopt;
    return members_[index].partner;
}

std::optional<MacAddress> Aggregator::system_carried() const {
    for (const Member& member : members_) {
        if ((member.actor.state & kDistributing) != 0) return member.partner.system;
    }
    return std::nullopt;
}

}  // namespace guideway::net::lacp
