// V4 and V6: what the stages need to be written once for both IP families.
// Thread contract: constants and pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <span>

#include "dataplane/flow/flow_table.h"
#include "dataplane/packet/icmp_error.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/snapshot/forwarding_snapshot.h"
#include "dataplane/worker/burst.h"

namespace guideway::worker {

struct V4 {
    using Tuple = packet::FiveTupleV4;
    using Entry = flow::FlowEntryV4;
    using Address = std::uint32_t;

    static const Tuple& tuple(const packet::ParsedPacket& parsed) noexcept { return parsed.v4; }
    static Tuple flow(const packet::IcmpError& error) noexcept { return error.flow_v4(); }
    static PlainSlots<Tuple>& plain(Burst& burst) noexcept { return burst.plain_v4; }
    static Address address(const IpAddress& value) noexcept { return packet::to_network(value); }
    static bool contains(const balancing::AddressSet& set, Address value) noexcept { return set.contains_v4(value); }
    static const balancing::ServiceEntry* find(const balancing::ServiceTable& table, const Tuple& tuple) noexcept {
        return table.find_v4(tuple.destination, tuple.protocol, tuple.destination_port);
    }
    static std::span<const Address> snat(const snapshot::ForwardingSnapshot& state) noexcept { return state.snat_v4; }
    static void rewrite(std::uint8_t* frame, const packet::ParsedPacket& parsed, const Tuple& out,
                        packet::ChecksumDelta delta) noexcept {
        packet::rewrite_v4(frame, parsed, out, delta);
    }
};

struct V6 {
    using Tuple = packet::FiveTupleV6;
    using Entry = flow::FlowEntryV6;
    using Address = std::array<std::uint8_t, 16>;

    static const Tuple& tuple(const packet::ParsedPacket& parsed) noexcept { return parsed.v6; }
    static Tuple flow(const packet::IcmpError& error) noexcept { return error.flow_v6(); }
    static PlainSlots<Tuple>& plain(Burst& burst) noexcept { return burst.plain_v6; }
    static Address address(const IpAddress& value) noexcept { return value.bytes; }
    static bool contains(const balancing::AddressSet& set, const Address& value) noexcept {
        return set.contains_v6(value.data());
    }
    static const balancing::ServiceEntry* find(const balancing::ServiceTable& table, const Tuple& tuple) noexcept {
        return table.find_v6(tuple.destination.data(), tuple.protocol, tuple.destination_port);
    }
    static std::span<const Address> snat(const snapshot::ForwardingSnapshot& state) noexcept { return state.snat_v6; }
    static void rewrite(std::uint8_t* frame, const packet::ParsedPacket& parsed, const Tuple& out,
                        packet::ChecksumDelta delta) noexcept {
        packet::rewrite_v6(frame, parsed, out, delta);
    }
};

}  // namespace guideway::worker
