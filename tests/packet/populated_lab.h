// A Lab with connections of every kind, and their packets as templates for whoever changes them: the fuzzer of frames and the long run.
//
// Connections: of each IP family TCP opening, established, half closed, in TIME_WAIT and reset, UDP with an answer and without. Templates: a
// packet of each from either side, ICMP errors about some, fragments of a larger datagram (the second one first).
// Whatever does not hold ends the process: fuzzers have no other way to say it. Thread contract: none shared.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "dataplane/packet/checksum.h"
#include "tests/packet/fragment_tools.h"
#include "tests/packet/icmp_quotes.h"

namespace guideway::worker::testing {

inline void require(bool holds) {
    if (!holds) std::abort();
}

/// I4: as many in as out.
inline void require_balance(const Lab& lab, std::uint32_t workers = 1) {
    std::uint64_t in = 0, out = 0;
    for (std::uint32_t worker = 0; worker < workers; ++worker) {
        const observe::WorkerTotals& t = lab.totals(worker);
        in += t.rx_packets.read() + t.from_kernel.read() + t.taken_over.read() + t.answers.read() + t.parts_made.read();
        out += t.tx_packets.read() + t.to_kernel.read() + t.handed_over.read() + t.pending.read();
    }
    for (std::size_t i = 0; i < observe::kDropReasonCount; ++i) out += lab.dropped(static_cast<observe::DropReason>(i));
    require(in == out);
}

/// A connection's packets, both ways.
struct Templates {
    std::vector<Frame> from_client;
    std::vector<Frame> from_backend;
};

/// Errors about the packets of a connection as they left: `request` to a node, `reply` to a client.
inline void add_errors(Templates& templates, bool v6, const Frame& request, const Frame& reply) {
    for (const Says& says :
         v6 ? std::vector<Says>{{2, 0, 1400}, {1, 4, 0}} : std::vector<Says>{{3, 4, 1400}, {11, 0, 0}}) {
        templates.from_client.push_back(error_about(reply, v6 ? "2001:db8:77::1" : "192.0.2.77", says));
        templates.from_backend.push_back(
            error_about(request, v6 ? "2001:db8:2::77" : "10.0.2.77", says, 65535, kNodePort));
    }
}

/// Of a larger datagram of the same tuple: a few fragments, the second one first.
inline void add_fragments(std::vector<Frame>& to, const Frame& small) {
    const packet::ParsedPacket p = parsed(small);
    const auto port = [&](auto v4, auto v6) { return packet::swap_if_little(p.has_v6 ? v6 : v4); };
    const Frame whole =
        PacketBuilder()
            .ethernet({small[0], small[1], small[2], small[3], small[4], small[5]}, kRouterMac)
            .ip(p.source().to_string(), p.destination().to_string())
            .ipv4_fragment(0)
            .udp(port(p.v4.source_port, p.v6.source_port), port(p.v4.destination_port, p.v6.destination_port))
            .payload(160)
            .build();
    std::vector<Frame> parts = cut(whole, 64, 7);
    std::swap(parts[0], parts[1]);
    to.insert(to.end(), parts.begin(), parts.end());
}

inline Templates populate(Lab& lab) {
    using namespace packet;
    constexpr auto kFinAck = static_cast<std::uint8_t>(tcp::kFin | tcp::kAck);
    Templates templates;
    for (const bool v6 : {false, true}) {
        Frame request;
        Frame reply;
        const auto segment = [&](std::uint16_t port, std::uint8_t flags) {
            return PacketBuilder()
                .ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip)
                .tcp(port, 80, flags)
                .payload(8)
                .build();
        };
        for (std::uint16_t port = 40000; port < 40005; ++port) {
            const Frame syn = lab.pass(kClientPort, segment(port, tcp::kSyn));
            require(!syn.empty());
            templates.from_client.push_back(segment(port, tcp::kAck));
            templates.from_backend.push_back(lab.reply_to(syn, tcp::kAck));
            if (port == 40000) continue;
            require(!lab.pass(kNodePort, lab.reply_to(syn)).empty());
            require(!lab.pass(kClientPort, segment(port, tcp::kAck)).empty());
            if (port == 40002 || port == 40003) lab.pass(kClientPort, segment(port, kFinAck));
            if (port == 40003) lab.pass(kNodePort, lab.reply_to(syn, kFinAck));
            if (port == 40004) lab.pass(kClientPort, segment(port, tcp::kRst));
        }
        for (std::uint16_t port = 40000; port < 40002; ++port) {
            const Frame datagram =
                PacketBuilder().ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip).udp(port, 53).payload(8).build();
            const Frame query = lab.pass(kClientPort, datagram);
            require(!query.empty());
            templates.from_client.push_back(datagram);
            templates.from_backend.push_back(lab.reply_to(query));
            if (port == 40000) {
                reply = lab.pass(kNodePort, lab.reply_to(query));
                request = query;
                require(!reply.empty());
                add_fragments(templates.from_client, datagram);
                add_fragments(templates.from_backend, lab.reply_to(query));
            }
        }
        add_errors(templates, v6, request, reply);
        const Frame known = lab.pass(kClientPort, segment(40001, tcp::kAck));
        add_errors(templates, v6, known, lab.pass(kNodePort, lab.reply_to(known, tcp::kAck)));
    }
    require(lab.connections() == 14);
    return templates;
}

inline void mend_checksums(Frame& frame) {
    if (frame.size() < 34) return;
    const bool v6 = frame[12] == 0x86;
    if (!v6) {
        const std::uint16_t sum = packet::ipv4_header_checksum(frame.data() + 14, 20);
        packet::store_raw16(frame.data() + 14 + packet::ipv4::kChecksum, sum);
    }
    const packet::ParsedPacket p = parsed(frame);
    if (p.kind != packet::PacketKind::icmp_other) return;
    std::uint8_t* message = frame.data() + p.l4_offset;
    const std::uint16_t pseudo = p.has_v4 ? std::uint16_t{0}
                                          : packet::pseudo_sum_v6(frame.data() + p.l2_length + packet::ipv6::kSource,
                                                                  packet::protocol::kIcmpv6, p.l4_length());
    packet::store_raw16(message + packet::icmp::kChecksum, 0);
    const std::uint16_t sum = packet::sum_of({message, p.l4_length()}, pseudo);
    packet::store_raw16(message + packet::icmp::kChecksum, static_cast<std::uint16_t>(~sum));
}

/// Into the frame, where it is long enough: VLAN 5, or 5 in 7.
inline void put_tags(Frame& frame, bool two) {
    if (frame.size() < 12) return;
    const Frame tags = two ? Frame{0x88, 0xa8, 0, 7, 0x81, 0, 0, 5} : Frame{0x81, 0, 0, 5};
    frame.insert(frame.begin() + 12, tags.begin(), tags.end());
}

/// Both as ports on the clients' port: 2 and 3.
inline std::vector<WorkerPort> vlans_on_client_port() {
    std::vector<WorkerPort> vlans(2);
    for (WorkerPort& vlan : vlans) {
        vlan.tags.id = 5;
        vlan.lies_on = kClientPort;
    }
    vlans[1].tags.outer = 7;
    return vlans;
}

/// With limits, and the IPv4 VIP silent.
inline contract::ForwardingState guarded(const Lab& lab) {
    contract::ForwardingState state = lab.web();
    for (contract::Service& service : state.services) {
        service.silent = service.vip.is_v4();
        service.new_connections_per_second = 4;
        service.new_connections_per_second_per_source = 2;
        service.packets_per_second = 8;
    }
    return state;
}

}  // namespace guideway::worker::testing
