// Datagrams in fragments: those behind the first have no ports and go where the first went, in both directions, whichever worker
// receives them. And packets larger than the way on, which IPv4 lets us cut.
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/packet/fragment_tools.h"
#include "tests/packet/icmp_quotes.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;
using packet::testing::faults;

LabSettings settings_of(std::uint32_t workers) {
    LabSettings settings;
    settings.workers = workers;
    return settings;
}

/// A client's datagram to UDP 53 of the VIP.
Frame request(bool v6, std::size_t payload, std::uint16_t source_port = 4000) {
    return PacketBuilder()
        .ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip)
        .ipv4_fragment(0)
        .udp(source_port, 53)
        .payload(payload)
        .build();
}

/// A node's, to whom `behind` is a request that left for it.
Frame reply(const Frame& behind, std::size_t payload) {
    const ParsedPacket p = parsed(behind);
    return PacketBuilder()
        .ethernet(kPortMac1, kRouterMac)
        .ip(p.destination().to_string(), p.source().to_string())
        .ipv4_fragment(0)
        .udp(swap_if_little(p.has_v6 ? p.v6.destination_port : p.v4.destination_port),
             swap_if_little(p.has_v6 ? p.v6.source_port : p.v4.source_port))
        .payload(payload)
        .build();
}

/// In this order, each at the worker `at(position)`; what left through `out`.
template <typename At>
std::vector<Frame> pass_all(Lab& lab, std::uint16_t in, std::uint16_t out, const std::vector<Frame>& frames, At at) {
    std::vector<Frame> left;
    for (std::size_t i = 0; i < frames.size(); ++i) {
        lab.inject(in, frames[i], at(i));
        if (i % 16 != 15 && i + 1 != frames.size()) continue;
        for (int round = 0; round < 4; ++round) lab.poll_all();
        for (Frame& frame : lab.sent(out)) left.push_back(std::move(frame));
    }
    return left;
}
std::vector<Frame> pass_all(Lab& lab, std::uint16_t in, std::uint16_t out, const std::vector<Frame>& frames) {
    return pass_all(lab, in, out, frames, [](std::size_t) { return 0U; });
}

class WorkerFragment : public ::testing::TestWithParam<bool> {
  protected:
    WorkerFragment() { lab_.apply(lab_.web()); }
    bool v6() const { return GetParam(); }
    std::vector<Frame> to_node(const std::vector<Frame>& frames) {
        return pass_all(lab_, kClientPort, kNodePort, frames);
    }
    void expect_dropped(const std::vector<Frame>& frames, DropReason reason, std::uint64_t count) {
        const std::uint64_t before = lab_.dropped(reason);
        EXPECT_TRUE(to_node(frames).empty());
        EXPECT_EQ(lab_.dropped(reason), before + count) << observe::to_string(reason);
    }
    Lab lab_;
};
INSTANTIATE_TEST_SUITE_P(Families, WorkerFragment, ::testing::Bool(),
                         [](const auto& v6) { return v6.param ? "IPv6" : "IPv4"; });

TEST_P(WorkerFragment, SixtyThousandBytesGoThereAndBack) {
    const Frame whole = request(v6(), 60000);
    const std::vector<Frame> there = to_node(cut(whole, 1440, 77));
    EXPECT_EQ(there.size(), 42U);
    const Frame arrived = join(there);
    ASSERT_FALSE(arrived.empty());
    // The checksum of all of it, which stands in the first fragment alone, is right.
    EXPECT_EQ(faults(arrived), "");
    EXPECT_EQ(parsed(arrived).source(), ip(v6() ? kSnatV6 : kSnat));
    EXPECT_EQ(parsed(arrived).ttl, 63);
    EXPECT_TRUE(std::equal(whole.end() - 60000, whole.end(), arrived.end() - 60000));

    const Frame answer = reply(arrived, 50000);
    const Frame back = join(pass_all(lab_, kNodePort, kClientPort, cut(answer, 1440, 77)));
    ASSERT_FALSE(back.empty());
    EXPECT_EQ(faults(back), "");
    EXPECT_EQ(parsed(back).source(), ip(v6() ? kVipV6 : kVip));
    EXPECT_EQ(parsed(back).destination(), ip(v6() ? kClientV6 : kClient));
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_EQ(lab_.dropped(), 0U);
    lab_.wait_ms(1);
    EXPECT_EQ(lab_.totals().fragment_datagrams.read(), 0U) << "a datagram that is through needs no place";
    EXPECT_EQ(lab_.counters().workers[0].fragments_forwarded, 41U + 34U);
}

TEST_P(WorkerFragment, TheFirstFragmentAlsoFollowsAConnectionThatIsThere) {
    const Frame small = lab_.pass(kClientPort, request(v6(), 10));
    const Frame large = join(to_node(cut(request(v6(), 3000), 1440, 1)));
    ASSERT_FALSE(small.empty() || large.empty());
    EXPECT_EQ(parsed(large).destination(), parsed(small).destination());
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_P(WorkerFragment, InAnyOrderThoseBeforeTheFirstAreHeldAndLeaveBehindIt) {
    std::mt19937 random(7);
    for (std::uint32_t id = 1; id <= 20; ++id) {
        const Frame whole = request(v6(), 20000, static_cast<std::uint16_t>(5000 + id));
        std::vector<Frame> parts = cut(whole, 1440, id);
        std::shuffle(parts.begin(), parts.end(), random);
        if (id == 1) std::reverse(parts.begin(), parts.end());
        const std::vector<Frame> left = to_node(parts);
        ASSERT_EQ(left.size(), parts.size());
        EXPECT_EQ(fragment_offset(left.front()), 0U) << "the first leaves first";
        EXPECT_EQ(faults(join(left)), "");
    }
    lab_.wait_ms(1);
    EXPECT_EQ(lab_.totals().fragment_held_bytes.read(), 0U);
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerFragment, WhatWaitsInVainForTheFirstIsDroppedByName) {
    std::vector<Frame> parts = cut(request(v6(), 4000), 1440, 1);
    const Frame first = parts.front();
    parts.erase(parts.begin());
    EXPECT_TRUE(to_node(parts).empty());
    lab_.wait_ms(1);
    EXPECT_GT(lab_.totals().fragment_held_bytes.read(), 0U);
    lab_.wait_ms(400);
    EXPECT_EQ(lab_.dropped(), 0U);
    lab_.wait_ms(200);
    EXPECT_EQ(lab_.dropped(DropReason::fragment_timed_out), 2U);
    EXPECT_EQ(lab_.totals().fragment_held_bytes.read(), 0U);
    EXPECT_EQ(lab_.totals().fragment_datagrams.read(), 0U);
}

TEST_P(WorkerFragment, ADatagramIsForgottenSomeSecondsAfterItsFirst) {
    const std::vector<Frame> parts = cut(request(v6(), 4000), 1440, 1);
    EXPECT_EQ(to_node({parts[0]}).size(), 1U);
    lab_.wait_ms(4900);
    EXPECT_EQ(to_node({parts[1]}).size(), 1U);
    lab_.wait_ms(200);
    expect_dropped({parts[2]}, DropReason::fragment_timed_out, 0);
    lab_.wait_ms(600);
    EXPECT_EQ(lab_.dropped(DropReason::fragment_timed_out), 1U);
}

TEST_P(WorkerFragment, OverlapsSpoilTheWholeDatagram) {
    // Why: what is laid over the first fragment is not what was looked at (RFC 1858); IPv6 forbids all overlaps (RFC 5722).
    const Frame whole = request(v6(), 4000);
    const std::vector<Frame> parts = cut(whole, 1440, 1);
    EXPECT_EQ(to_node({parts[0]}).size(), 1U);
    expect_dropped({piece_of(whole, 1432, 80, true, 1)}, DropReason::fragment_overlap, 1);
    expect_dropped({parts[1], parts[2]}, DropReason::fragment_overlap, 2);
    // Before the first has come: what is held goes, too.
    const std::vector<Frame> other = cut(whole, 1440, 2);
    EXPECT_TRUE(to_node({other[1]}).empty());
    expect_dropped({piece_of(whole, 2000, 160, true, 2), other[0]}, DropReason::fragment_overlap, 3);
    // Two ends.
    const std::vector<Frame> third = cut(whole, 1440, 3);
    EXPECT_EQ(to_node({third[0], third[2]}).size(), 2U);
    expect_dropped({piece_of(whole, 1440, 96, false, 3)}, DropReason::fragment_overlap, 1);
}

TEST_P(WorkerFragment, ADuplicateIsDroppedAloneAndTheDatagramArrives) {
    // RFC 8200 4.5: networks duplicate packets.
    std::vector<Frame> parts = cut(request(v6(), 4000), 1440, 1);
    parts.insert(parts.begin() + 1, parts[0]);
    parts.insert(parts.begin() + 3, parts[2]);
    EXPECT_EQ(faults(join(to_node(parts))), "");
    EXPECT_EQ(lab_.dropped(DropReason::fragment_duplicate), 2U);
}

TEST_P(WorkerFragment, ImpossiblePiecesAreNamed) {
    const Frame whole = request(v6(), 4000);
    expect_dropped({piece_of(whole, 1440, 1001, true, 1)}, DropReason::fragment_bad, 1);
    expect_dropped({piece_of(whole, 1440, 0, true, 1)}, DropReason::fragment_bad, 1);
    Frame beyond = piece_of(whole, 0, 1440, false, 1);  // "ping of death": ends beyond 65,535 bytes
    std::uint8_t* l3 = beyond.data() + 14;
    if (v6()) {
        store_be16(l3 + 42, 0xfff8);
    } else {
        store_be16(l3 + 6, 0x1fff);
        store_raw16(l3 + 10, ipv4_header_checksum(l3, 20));
    }
    expect_dropped({beyond}, DropReason::fragment_bad, 1);
    std::vector<Frame> crumbs;
    for (std::size_t i = 0; i < 129; ++i) crumbs.push_back(piece_of(whole, 8 + i * 8, 8, true, 2));
    expect_dropped(crumbs, DropReason::fragment_too_many, 1);
    EXPECT_EQ(to_node({piece_of(whole, 0, 8, true, 2)}).size(), 0U) << "too many is for ever";
}

TEST_P(WorkerFragment, AFirstFragmentWithoutAllOfItsHeaderIsTiny) {
    const Frame syn = PacketBuilder()
                          .ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip)
                          .tcp(4000, 80, tcp::kSyn)
                          .payload(40)
                          .build();
    expect_dropped({piece_of(syn, 0, 16, true, 1)}, DropReason::fragment_tiny, 1);
    // RFC 3128: laid over the flags of the first. For IPv6 the overlap tells.
    if (!v6()) expect_dropped({piece_of(syn, 8, 32, true, 2)}, DropReason::fragment_tiny, 1);
    EXPECT_EQ(to_node({piece_of(syn, 0, 24, true, 3)}).size(), 1U);
    expect_dropped({piece_of(syn, 16, 44, false, 3)}, v6() ? DropReason::fragment_overlap : DropReason::fragment_tiny,
                   1);
}

TEST_P(WorkerFragment, FollowersOfARefusedFirstEndByName) {
    const Frame closed =
        PacketBuilder().ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip).udp(4000, 99).payload(3000).build();
    const std::vector<Frame> parts = cut(closed, 1440, 1);
    const Frame answer = lab_.pass(kClientPort, parts[0]);
    EXPECT_EQ(parsed(answer).kind, PacketKind::icmp_other) << "port unreachable";
    expect_dropped({parts[1], parts[2]}, DropReason::fragment_orphan, 2);
    // Nobody is told of later fragments whose TTL ends (RFC 1122 3.2.2).
    const std::vector<Frame> good = cut(request(v6(), 3000), 1440, 2);
    EXPECT_EQ(to_node({good[0]}).size(), 1U);
    Frame old = good[1];
    old[14 + (v6() ? 7 : 8)] = 1;
    if (!v6()) store_raw16(&old[24], ipv4_header_checksum(&old[14], 20));
    expect_dropped({old}, DropReason::ttl_exceeded, 1);
}

TEST_P(WorkerFragment, ClientsWithTheSameIdentificationDoNotMeetBehindTheSnatAddress) {
    // Why: the node would put one client's end behind another's beginning (RFC 6864 4.3).
    std::size_t datagrams = 0;
    std::vector<std::vector<Frame>> all;
    for (int client = 1; client <= 60; ++client) {
        const std::string from = (v6() ? "2001:db8:c::" : "198.51.100.") + std::to_string(client);
        all.push_back(
            cut(PacketBuilder().ip(from, v6() ? kVipV6 : kVip).ipv4_fragment(0).udp(4000, 53).payload(2000).build(),
                1440, 5));
    }
    std::vector<Frame> mixed;
    for (std::size_t part = 0; part < 2; ++part) {
        for (const auto& parts : all) mixed.push_back(parts[part]);
    }
    std::map<std::pair<std::string, std::uint32_t>, std::vector<Frame>> arrived;
    for (const Frame& frame : to_node(mixed)) {
        arrived[{parsed(frame).destination().to_string(), fragment_id(frame)}].push_back(frame);
    }
    for (const auto& [key, parts] : arrived) {
        EXPECT_EQ(faults(join(parts)), "") << key.first << " " << key.second;
        datagrams += join(parts).empty() ? 0U : 1U;
    }
    EXPECT_EQ(datagrams, 60U);
}

TEST_P(WorkerFragment, AFloodCostsBoundedMemoryAndHarmsNobody) {
    LabSettings settings;
    settings.worker.fragments.datagrams = 64;
    settings.worker.fragments.held_kilobytes = 64;
    Lab lab(settings);
    lab.apply(lab.web());
    ASSERT_FALSE(lab.establish(40000).empty());
    const Frame whole = request(v6(), 4000);
    std::uint32_t honest = 0;
    for (std::uint32_t round = 0; round < 40; ++round) {
        std::vector<Frame> flood;
        for (std::uint32_t i = 0; i < 48; ++i) {
            // Later fragments whose first never comes, and firsts without an end.
            flood.push_back(piece_of(whole, i % 2 * 1440, 1440, true, 1000 + round * 48 + i));
        }
        std::vector<Frame> parts = cut(request(v6(), 4000, 4001), 1440, 9);
        std::swap(parts[0], parts[1]);
        flood.insert(flood.end() - 10, parts[0]);
        flood.insert(flood.end() - 5, parts[1]);
        flood.push_back(parts[2]);
        std::vector<Frame> ours;
        for (Frame& frame : pass_all(lab, kClientPort, kNodePort, flood)) {
            if (parsed(frame).part == Part::following) ours.push_back(std::move(frame));
        }
        honest += ours.size() == 2 ? 1U : 0U;
        ++lab.now_ms;
        lab.poll();
        EXPECT_LE(lab.totals().fragment_held_bytes.read(), 64U * 1024U);
        EXPECT_LE(lab.totals().fragment_datagrams.read(), 64U);
        lab.sent(kNodePort);
    }
    EXPECT_EQ(honest, 40U);
    EXPECT_GT(lab.totals().fragments_displaced.read(), 0U);
    EXPECT_GT(lab.dropped(DropReason::fragment_displaced), 0U);
    EXPECT_FALSE(
        lab.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kAck).payload(9).build()).empty());
}

TEST_P(WorkerFragment, WhicheverWorkerReceivesWhichFragmentAllGoOneWay) {
    std::mt19937 random(11);
    for (const std::uint32_t workers : {2U, 3U}) {
        Lab lab(settings_of(workers));
        lab.apply(lab.web());
        for (std::uint32_t id = 1; id <= 30; ++id) {
            const Frame whole = request(v6(), 9000, static_cast<std::uint16_t>(5000 + id));
            std::vector<Frame> parts = cut(whole, 1440, id);
            if (id % 2 == 0) std::shuffle(parts.begin(), parts.end(), random);
            const auto anywhere = [&](std::size_t) { return static_cast<std::uint32_t>(random() % workers); };
            const Frame there = join(pass_all(lab, kClientPort, kNodePort, parts, anywhere));
            ASSERT_FALSE(there.empty()) << id;
            EXPECT_EQ(faults(there), "");
            parts = cut(reply(there, 9000), 1440, id);
            if (id % 2 == 0) std::shuffle(parts.begin(), parts.end(), random);
            const Frame back = join(pass_all(lab, kNodePort, kClientPort, parts, anywhere));
            ASSERT_FALSE(back.empty()) << id;
            EXPECT_EQ(faults(back), "");
        }
        EXPECT_EQ(lab.connections(), 30U);
        EXPECT_EQ(lab.dropped(), 0U);
        std::set<std::uint32_t> served;
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            if (lab.totals(worker).fragments_forwarded.read() != 0) served.insert(worker);
        }
        EXPECT_EQ(served.size(), workers) << "the owners are several";
        lab.wait_ms(1);
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            EXPECT_EQ(lab.totals(worker).fragment_datagrams.read(), 0U)
                << "neither gatherer nor owner keeps what is through";
        }
    }
}

TEST_P(WorkerFragment, BehindTagsAndTowardsAnUnknownMacTheyFollow) {
    lab_.forget_neighbour(kNodePort, v6() ? "2001:db8:2::11" : "10.0.2.11");
    lab_.publish_routing();
    for (std::uint16_t port = 1; port < 20; ++port) {
        std::vector<Frame> parts = cut(request(v6(), 3000, port), 1440, port);
        for (Frame& part : parts) part.insert(part.begin() + 12, {0x81, 0, 0, 5});
        std::vector<Frame> left = to_node(parts);
        if (left.empty()) {
            lab_.learn_neighbour(kNodePort, v6() ? "2001:db8:2::11" : "10.0.2.11", {2, 0, 0, 0, 1, 11});
            lab_.publish_routing();
            lab_.wait_ms(60);
            left = lab_.sent(kNodePort);
            EXPECT_EQ(faults(join(left)), "");
            return;
        }
        EXPECT_EQ(faults(join(left)), "");
    }
    FAIL() << "no datagram went to the node without MAC";
}

TEST_P(WorkerFragment, AServicesLimitOfPacketsCountsEveryFragment) {
    auto state = lab_.web();
    for (auto& service : state.services) service.packets_per_second = 10;
    lab_.apply(state);
    EXPECT_EQ(to_node(cut(request(v6(), 20000), 1000, 3)).size(), 10U);
    EXPECT_EQ(lab_.dropped(DropReason::service_packets_limited), 11U);
}

TEST(WorkerFragmentV6, AnAtomicFragmentIsAWholePacket) {
    // RFC 6946: not to be confused with others of its identification, and never held.
    Lab lab;
    lab.apply(lab.web());
    const Frame atomic = PacketBuilder().ip(kClientV6, kVipV6).ipv6_fragment(0, false).udp(4000, 53).payload(9).build();
    const Frame out = lab.pass(kClientPort, atomic);
    EXPECT_EQ(faults(out), "");
    EXPECT_EQ(parsed(out).source(), ip(kSnatV6));
    EXPECT_EQ(lab.totals().fragment_datagrams.read(), 0U);
}

TEST(WorkerCut, AnIpv4PacketThatMayBeFragmentedLeavesInParts) {
    Lab lab;
    lab.apply(lab.web());
    lab.routing().ports[kNodePort].mtu = 600;
    lab.publish_routing();
    for (const std::size_t payload : {573U, 576U, 1200U, 1400U}) {
        const Frame whole = request(false, payload);
        const std::vector<Frame> parts = pass_all(lab, kClientPort, kNodePort, {whole});
        EXPECT_GT(parts.size(), 1U);
        for (const Frame& part : parts) EXPECT_LE(part.size(), 614U);
        const Frame joined = join(parts);
        EXPECT_EQ(faults(joined), "");
        EXPECT_TRUE(std::equal(whole.begin() + 42, whole.end(), joined.begin() + 42, joined.end()));
    }
    EXPECT_EQ(lab.counters().workers[0].packets_cut, 4U);
    // Fragments themselves are cut, too: their parts stand in the same datagram.
    const Frame whole = request(false, 4000);
    EXPECT_EQ(faults(join(pass_all(lab, kClientPort, kNodePort, cut(whole, 1440, 5)))), "");
    EXPECT_EQ(lab.dropped(), 0U);
}

TEST(WorkerCut, PlainPacketsBehindThoseThatAreCutInTheSameBurstLeaveToo) {
    // 42 packets in three parts each fill the queue to the port, 126 places; those behind them ask for no room of their own. Towards
    // the client, whose port is the first: what is written too far is the second's.
    LabSettings settings;
    settings.worker.burst = 64;
    Lab lab(settings);
    lab.apply(lab.web());
    lab.routing().ports[kClientPort].mtu = 600;
    lab.publish_routing();
    const Frame asked = lab.pass(kClientPort, request(false, 10));
    ASSERT_FALSE(asked.empty());
    const Frame small = reply(asked, 10), large = reply(asked, 1400);
    for (int i = 0; i < 4; ++i) {
        ASSERT_FALSE(lab.pass(kNodePort, small).empty());
        ASSERT_FALSE(lab.pass(kClientPort, request(false, 10)).empty());
    }
    for (int i = 0; i < 42; ++i) lab.inject(kNodePort, large);
    for (int i = 0; i < 22; ++i) lab.inject(kNodePort, small);
    lab.poll();
    EXPECT_EQ(lab.sent(kClientPort).size(), 42U * 3 + 22);
    EXPECT_EQ(lab.dropped(), 0U);
    EXPECT_FALSE(lab.pass(kNodePort, small).empty());
}

TEST(WorkerCut, WhatTheSenderWroteBesideTheReservedBitIsNotTheIdentificationOfTheParts) {
    Lab lab;
    lab.apply(lab.web());
    lab.routing().ports[kNodePort].mtu = 600;
    lab.publish_routing();
    std::set<std::uint32_t> seen;
    for (int i = 0; i < 3; ++i) {
        Frame whole = request(false, 1000);
        store_be16(&whole[14 + 4], 0x1234);
        whole[14 + 6] = 0x80;
        store_raw16(&whole[24], 0);
        store_raw16(&whole[24], ipv4_header_checksum(&whole[14], 20));
        const std::vector<Frame> parts = pass_all(lab, kClientPort, kNodePort, {whole});
        ASSERT_EQ(parts.size(), 2U);
        seen.insert(fragment_id(parts[0]));
    }
    EXPECT_EQ(seen.size(), 3U) << "each datagram of the one source address has its own";
}

TEST(WorkerCut, OptionsWithTheCopiedFlagStandInEveryPart) {
    Lab lab;
    lab.apply(lab.web());
    lab.routing().ports[kNodePort].mtu = 600;
    lab.publish_routing();
    const std::array<std::uint8_t, 8> options{0x94, 4, 0, 0, 7, 4, 4, 0};  // router alert (copied), record route (not)
    const Frame whole =
        PacketBuilder().ip(kClient, kVip).ipv4_options(options).ipv4_fragment(0).udp(4000, 53).payload(1000).build();
    const std::vector<Frame> parts = pass_all(lab, kClientPort, kNodePort, {whole});
    ASSERT_EQ(parts.size(), 2U);
    EXPECT_EQ(parts[0][14], 0x47);
    EXPECT_EQ(parts[1][14], 0x46);
    EXPECT_EQ(parts[1][34], 0x94);
    for (const Frame& part : parts) EXPECT_TRUE(ipv4_header_checksum_ok(&part[14], (part[14] & 15U) * 4U));
}

TEST(WorkerCut, AFragmentThatMayNotBeCutIsAnsweredIfItIsTheFirst) {
    for (const bool v6 : {false, true}) {
        Lab lab;
        lab.apply(lab.web());
        lab.routing().ports[kNodePort].mtu = 1300;
        lab.publish_routing();
        std::vector<Frame> parts = cut(request(v6, 4000), 1400, 5);
        if (!v6) {
            for (Frame& part : parts) {
                part[14 + 6] |= 0x40;
                store_raw16(&part[24], ipv4_header_checksum(&part[14], 20));
            }
        }
        EXPECT_EQ(icmp_summary(lab.pass(kClientPort, parts[0])),
                  v6 ? "icmp 2001:db8:1::10 > 2001:db8:c::7 type 2 code 0 rest 1300"
                     : "icmp 203.0.113.10 > 198.51.100.7 type 3 code 4 rest 1300");
        EXPECT_TRUE(lab.pass(kClientPort, parts[1]).empty());
        EXPECT_EQ(lab.dropped(DropReason::fragment_orphan), 1U);
    }
}

}  // namespace
}  // namespace guideway::worker::testing
