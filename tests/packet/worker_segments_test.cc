// Frames in several packet buffers, as NICs bring jumbo frames and as an odd driver might split any: whatever the split, what leaves is
// what would have left in one piece.
#include <numeric>
#include <random>

#include <gtest/gtest.h>

#include "dataplane/worker/tap_desk.h"
#include "tests/packet/fragment_tools.h"
#include "tests/packet/icmp_quotes.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;
using packet::testing::faults;

constexpr std::uint16_t kJumbo = 9000;

struct SplitCase {
    const char* name;
    bool v6;
    Split split;
};

std::vector<SplitCase> split_cases() {
    std::vector<SplitCase> cases;
    for (const bool v6 : {false, true}) {
        cases.push_back({"Full", v6, {}});
        cases.push_back({"HeaderApart", v6, {{static_cast<std::uint16_t>(v6 ? 74 : 54)}}});
        cases.push_back({"InCrumbs", v6, {std::vector<std::uint16_t>(300, 1)}});
        cases.push_back({"Odd", v6, {{13, 1, 0, 3, 1033, 7}}});
        cases.push_back({"Front", v6, {{static_cast<std::uint16_t>(segments::kFrontAndTags), 1, 999}, true}});
    }
    return cases;
}

/// No two places alike.
Frame random_bytes(std::size_t size, unsigned seed = 1) {
    std::mt19937 random(seed);
    Frame bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(random());
    return bytes;
}

/// What is behind the first `headers` bytes is the same, and all lengths and checksums are right.
void expect_same_data(const Frame& in, const Frame& out, std::size_t headers) {
    ASSERT_EQ(in.size(), out.size());
    EXPECT_EQ(faults(out), "");
    EXPECT_TRUE(std::equal(in.begin() + static_cast<std::ptrdiff_t>(headers), in.end(),
                           out.begin() + static_cast<std::ptrdiff_t>(headers)));
}

void use_mtu(Lab& lab, std::uint16_t mtu) {
    for (snapshot::PortState& port : lab.routing().ports) port.mtu = mtu;
    ++lab.routing().epoch;
    lab.publish_routing();
}

class WorkerSegments : public ::testing::TestWithParam<SplitCase> {
  protected:
    explicit WorkerSegments(const LabSettings& settings = {}) : lab_(settings) {
        lab_.apply(lab_.web());
        use_mtu(lab_, kJumbo);
    }
    bool v6() const { return GetParam().v6; }
    const Split& split() const { return GetParam().split; }
    std::size_t headers() const { return 14 + (v6() ? 40 : 20); }
    PacketBuilder from_client() const {
        PacketBuilder builder;
        builder.ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip);
        return builder;
    }
    Frame pass(std::uint16_t port, const Frame& frame, std::uint32_t worker = 0) {
        return lab_.pass_split(port, frame, split(), worker);
    }
    /// A reply with this payload, to whom `behind` is a request that left for it.
    static Frame reply_with(const Frame& behind, std::uint8_t flags, std::span<const std::uint8_t> payload) {
        const ParsedPacket p = parsed(behind);
        const auto port = [&](auto v4, auto v6) { return swap_if_little(p.has_v6 ? v6 : v4); };
        return PacketBuilder()
            .ethernet(kPortMac1, kRouterMac)
            .ip(p.destination().to_string(), p.source().to_string())
            .tcp(port(p.v4.destination_port, p.v6.destination_port), port(p.v4.source_port, p.v6.source_port), flags)
            .payload(payload)
            .build();
    }
    std::size_t reply_size(std::size_t payload) const { return headers() + 20 + payload; }
    std::uint64_t bytes_of_services() const {
        std::uint64_t bytes = 0;
        for (const auto& service : lab_.counters().services)
            bytes += service.traffic.rx_bytes + service.traffic.tx_bytes;
        return bytes;
    }
    Lab lab_;
};

TEST_P(WorkerSegments, AnEstablishedConnectionsJumboFramesBothWays) {
    const Frame syn = lab_.pass(kClientPort, from_client().tcp(4000, 80, tcp::kSyn).build());
    ASSERT_FALSE(syn.empty());
    ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(syn)).empty());
    ASSERT_FALSE(lab_.pass(kClientPort, from_client().tcp(4000, 80, tcp::kAck).build()).empty());
    const std::uint64_t before = bytes_of_services();
    std::uint64_t bytes = 0;
    for (const std::size_t size : {1400U, 2048U, 6000U, 8900U}) {
        for (const unsigned round : {0U, 1U}) {
            const Frame payload = random_bytes(size, round);
            const Frame request = from_client().tcp(4000, 80, tcp::kAck).payload(payload).build();
            expect_same_data(request, pass(kClientPort, request), headers() + 20);
            bytes += request.size() + reply_size(payload.size());
            const Frame reply = reply_with(syn, tcp::kAck, payload);
            expect_same_data(reply, pass(kNodePort, reply), headers() + 20);
        }
    }
    EXPECT_EQ(bytes_of_services() - before, bytes) << "all of a frame is counted, not its first buffer";
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerSegments, TheFirstPacketOfAConnectionWithItsChecksumOverAll) {
    const Frame datagram = from_client().udp(4001, 53).payload(random_bytes(8000)).build();
    expect_same_data(datagram, pass(kClientPort, datagram), headers() + 8);
    const Frame syn = from_client().tcp(4002, 80, tcp::kSyn).payload(random_bytes(5000)).build();
    expect_same_data(syn, pass(kClientPort, syn), headers() + 20);
    Frame damaged = from_client().udp(4003, 53).payload(random_bytes(8000)).build();
    damaged.back() ^= 1;
    EXPECT_TRUE(pass(kClientPort, damaged).empty());
    EXPECT_EQ(lab_.dropped(DropReason::l4_checksum_bad), 1U);
    EXPECT_EQ(lab_.connections(), 2U);
}

TEST_P(WorkerSegments, SctpWhoseChecksumIsMadeAnew) {
    const Frame opening =
        from_client().sctp(4000, 9000, 0).chunk(sctp::kInit, std::array<std::uint8_t, 16>{0, 0, 0, 9}).build();
    ASSERT_FALSE(lab_.pass(kClientPort, opening).empty());
    const Frame data = from_client().sctp(4000, 9000, 7).chunk(sctp::kData, random_bytes(7000)).build();
    expect_same_data(data, pass(kClientPort, data), headers() + 12);
    Frame damaged = data;
    damaged.back() ^= 1;
    const Frame out = pass(kClientPort, damaged);
    EXPECT_NE(faults(out), "") << "damage stays visible to the node";
}

TEST_P(WorkerSegments, PingsOfAnySizeAreAnswered) {
    for (const std::size_t size : {56U, 1500U, 8000U}) {
        const Frame ping = from_client().echo_request(7, 1).payload(random_bytes(size)).build();
        const Frame pong = pass(kClientPort, ping);
        expect_same_data(ping, pong, headers() + 8);
        EXPECT_EQ(pong.at(headers()), v6() ? 129 : 0);
        Frame damaged = ping;
        damaged.back() ^= 1;
        EXPECT_TRUE(pass(kClientPort, damaged).empty());
    }
    EXPECT_EQ(lab_.dropped(DropReason::answered), 3U);
    EXPECT_EQ(lab_.dropped(DropReason::icmp_checksum_bad), 3U);
}

TEST_P(WorkerSegments, NeighbourDiscoveryIsAnswered) {
    if (!v6()) return;
    const Frame asked = PacketBuilder()
                            .ethernet({0x33, 0x33, 0xff, 0, 0, 0x10}, packet::testing::kClientMac)
                            .ipv6("fe80::7", "ff02::1:ff00:10")
                            .neighbour_solicitation(kVipV6, packet::testing::kClientMac)
                            .pad_to(3000)
                            .build();
    const Frame answer = pass(kClientPort, asked);
    EXPECT_EQ(answer.size(), 14U + 40 + 32) << "the padding is not sent back";
    EXPECT_EQ(faults(answer), "");
}

TEST_P(WorkerSegments, AnIcmpErrorThatQuotesMuch) {
    const Frame request = from_client().udp(4000, 53).payload(random_bytes(5000)).build();
    const Frame behind = lab_.pass(kClientPort, request);
    ASSERT_FALSE(behind.empty());
    const Frame error = error_about(behind, v6() ? "2001:db8:2::77" : "10.0.2.77", v6() ? Says{1, 4, 0} : Says{3, 3, 0},
                                    65535, kNodePort);
    const Frame told = pass(kNodePort, error);
    ASSERT_FALSE(told.empty());
    EXPECT_EQ(faults(told), "");
    EXPECT_EQ(quote_in(told), as_sent(request));
    Frame damaged = error;
    damaged.back() ^= 1;
    EXPECT_TRUE(pass(kNodePort, damaged).empty());
    EXPECT_EQ(lab_.dropped(DropReason::icmp_checksum_bad), 1U);
}

TEST_P(WorkerSegments, APacketTooBigForTheWayOnIsTold) {
    lab_.routing().ports[kNodePort].mtu = 1500;
    ++lab_.routing().epoch;
    lab_.publish_routing();
    const Frame big = from_client().udp(4000, 53).payload(random_bytes(5000)).build();
    const Frame error = pass(kClientPort, big);
    ASSERT_FALSE(error.empty());
    EXPECT_EQ(faults(error), "");
    const Frame quote = quote_in(error);
    EXPECT_GE(quote.size(), 500U);
    EXPECT_TRUE(std::equal(quote.begin(), quote.end(), big.begin() + 14)) << "as it came";
    EXPECT_EQ(lab_.dropped(DropReason::packet_too_big), 1U);
}

TEST_P(WorkerSegments, Refusals) {
    const Frame reset = pass(kClientPort, from_client().tcp(4000, 81, tcp::kAck).payload(random_bytes(4000)).build());
    EXPECT_EQ(faults(reset), "");
    EXPECT_NE(parsed(reset).tcp_flags & tcp::kRst, 0);
    const Frame datagram = from_client().udp(4000, 81).payload(random_bytes(4000)).build();
    const Frame unreachable = pass(kClientPort, datagram);
    EXPECT_EQ(faults(unreachable), "");
    const Frame quote = quote_in(unreachable);
    EXPECT_TRUE(std::equal(quote.begin(), quote.end(), datagram.begin() + 14));
    const Frame abort =
        pass(kClientPort, from_client().sctp(4000, 81, 7).chunk(sctp::kData, random_bytes(4000)).build());
    EXPECT_EQ(faults(abort), "");
    EXPECT_EQ(parsed(abort).sctp_chunk, sctp::kAbort);
    EXPECT_EQ(lab_.dropped(DropReason::refused), 3U);
}

TEST_P(WorkerSegments, AnIpv4PacketThatMayBeFragmentedLeavesInParts) {
    if (v6()) return;
    for (const std::uint16_t mtu : {std::uint16_t{1500}, std::uint16_t{4000}, std::uint16_t{7996}}) {
        use_mtu(lab_, mtu);
        const Frame whole =
            from_client().ipv4_fragment(0).udp(4000, 53).payload(random_bytes(8000)).pad_to(8200).build();
        lab_.inject_split(kClientPort, whole, split());
        lab_.poll_all();
        const std::vector<Frame> parts = lab_.sent(kNodePort);
        EXPECT_EQ(parts.size(), (8008U - 1) / ((mtu - 20U) / 8 * 8) + 1);
        for (const Frame& part : parts) EXPECT_LE(part.size(), 14U + mtu);
        const Frame joined = join(parts);
        ASSERT_EQ(joined.size(), 14U + 20 + 8008) << "the padding stays here";
        EXPECT_EQ(faults(joined), "");
        EXPECT_TRUE(std::equal(joined.begin() + 42, joined.end(), whole.begin() + 42));
    }
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerSegments, FragmentsGoWhereTheirFirstGoes) {
    const Frame whole = from_client().ipv4_fragment(0).udp(4000, 53).payload(random_bytes(30'000)).build();
    std::vector<Frame> pieces = cut(whole, 8000, 7);
    std::reverse(pieces.begin(), pieces.end());
    for (const Frame& piece : pieces) lab_.inject_split(kClientPort, piece, split());
    for (int i = 0; i < 4; ++i) lab_.poll_all();
    const Frame joined = join(lab_.sent(kNodePort));
    ASSERT_FALSE(joined.empty());
    expect_same_data(whole, joined, headers() + 8);
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerSegments, TheKernelGetsAndSendsThemWhole) {
    const Frame frame = PacketBuilder()
                            .ip(v6() ? kClientV6 : kClient, v6() ? "2001:db8:1::1" : "192.0.2.1")
                            .tcp(179, 2000, tcp::kAck)
                            .payload(random_bytes(7000))
                            .build();
    lab_.inject_split(kClientPort, frame, split());
    lab_.poll();
    EXPECT_EQ(lab_.to_kernel(), std::vector<Frame>{frame});
    lab_.inject_from_kernel(kClientPort, frame);
    lab_.poll();
    EXPECT_EQ(lab_.sent(kClientPort), std::vector<Frame>{frame});
}

TEST_P(WorkerSegments, WhatWaitsForAMacAddressLeavesWhole) {
    for (const int node : {11, 12, 13})
        lab_.forget_neighbour(kNodePort, (v6() ? "2001:db8:2::" : "10.0.2.") + std::to_string(node));
    lab_.publish_routing();
    const Frame datagram = from_client().udp(4000, 53).payload(random_bytes(8000)).build();
    EXPECT_TRUE(pass(kClientPort, datagram).empty());
    for (const std::uint8_t node : {std::uint8_t{11}, std::uint8_t{12}, std::uint8_t{13}})
        lab_.learn_neighbour(kNodePort, (v6() ? "2001:db8:2::" : "10.0.2.") + std::to_string(node), kRouterMac);
    ++lab_.routing().epoch;
    lab_.publish_routing();
    lab_.poll();
    const std::vector<Frame> left = lab_.sent(kNodePort);
    ASSERT_EQ(left.size(), 1U);
    expect_same_data(datagram, left.front(), headers() + 8);
}

TEST_P(WorkerSegments, AForeignTagGoesWithoutTheRest) {
    const Frame datagram = from_client().vlan(7).udp(4000, 53).payload(random_bytes(8000)).build();
    const Frame out = pass(kClientPort, datagram);
    ASSERT_EQ(out.size() + 4, datagram.size());
    EXPECT_EQ(faults(out), "");
    EXPECT_TRUE(std::equal(out.begin() + static_cast<std::ptrdiff_t>(headers()) + 8, out.end(),
                           datagram.begin() + static_cast<std::ptrdiff_t>(headers()) + 12));
}

TEST_P(WorkerSegments, ACaptureShowsWhatIsAskedForAcrossBuffers) {
    TapDesk desk({lab_.publisher(),
                  1,
                  {"client-side", "node-side"},
                  flow::IdleLimits(table_timeouts(WorkerSettings{}.timeouts)),
                  [this] { return lab_.now_ms; }});
    contract::TapRequest request;
    request.bytes = 5000;
    request.steps = true;
    ASSERT_TRUE(desk.begin(request, 7).empty());
    const Frame datagram = from_client().udp(4000, 53).payload(random_bytes(8000)).build();
    const Frame out = pass(kClientPort, datagram);
    ASSERT_FALSE(out.empty());
    const auto records = desk.read(7).value_or(contract::TapAnswer{}).records;
    ASSERT_EQ(records.size(), 1U);
    const auto begin = [](const Frame& frame) { return std::string(frame.begin(), frame.begin() + 5000); };
    EXPECT_EQ(records[0].verdict, "forwarded");
    EXPECT_EQ(records[0].in.length, datagram.size());
    EXPECT_EQ(records[0].in.bytes, begin(datagram));
    ASSERT_EQ(records[0].out.size(), 1U);
    EXPECT_EQ(records[0].out[0].bytes, begin(out));
}

std::string name_of_split(const ::testing::TestParamInfo<SplitCase>& each) {
    return std::string(each.param.name) + (each.param.v6 ? "V6" : "V4");
}
INSTANTIATE_TEST_SUITE_P(Splits, WorkerSegments, ::testing::ValuesIn(split_cases()), name_of_split);

LabSettings unfinished_peers() {
    LabSettings settings;
    settings.unfinished_checksums = true;
    return settings;
}

class WorkerSegmentsUnfinished : public WorkerSegments {
  protected:
    WorkerSegmentsUnfinished() : WorkerSegments(unfinished_peers()) {}
};

TEST_P(WorkerSegmentsUnfinished, AChecksumIsFinishedOverAllBuffers) {
    const Frame datagram = from_client().udp(4000, 53).payload(random_bytes(8000)).unfinished_checksum().build();
    for (int i = 0; i < 3; ++i) expect_same_data(datagram, pass(kClientPort, datagram), headers() + 8);
    EXPECT_EQ(lab_.totals().unfinished_checksums.read(), 3U);
}
INSTANTIATE_TEST_SUITE_P(Splits, WorkerSegmentsUnfinished, ::testing::ValuesIn(split_cases()), name_of_split);

LabSettings two_workers() {
    LabSettings settings;
    settings.workers = 2;
    return settings;
}

class WorkerSegmentsHandedOver : public WorkerSegments {
  protected:
    WorkerSegmentsHandedOver() : WorkerSegments(two_workers()) {}
};

TEST_P(WorkerSegmentsHandedOver, AnotherWorkerGetsThemWhole) {
    for (std::uint16_t port = 1000; port < 1010; ++port) {
        const Frame datagram = from_client().udp(port, 53).payload(random_bytes(8000, port)).build();
        expect_same_data(datagram, pass(kClientPort, datagram, port % 2), headers() + 8);
        expect_same_data(datagram, pass(kClientPort, datagram, (port + 1) % 2), headers() + 8);
    }
    EXPECT_GT(lab_.totals(0).handed_over.read() + lab_.totals(1).handed_over.read(), 0U);
    EXPECT_EQ(lab_.dropped(), 0U);
}
INSTANTIATE_TEST_SUITE_P(Splits, WorkerSegmentsHandedOver, ::testing::ValuesIn(split_cases()), name_of_split);

WorkerPort segments_vlan(VlanTags tags) {
    WorkerPort port;
    port.tags = tags;
    port.lies_on = kClientPort;
    return port;
}

LabSettings on_a_trunk() {
    LabSettings settings;
    settings.vlans = {segments_vlan({0, 100}), segments_vlan({10, 200})};
    return settings;
}

class WorkerSegmentsVlan : public WorkerSegments {
  protected:
    WorkerSegmentsVlan() : WorkerSegments(on_a_trunk()) {
        // Clients in VLAN 100, port 2; nodes in VLAN 200 of the provider's 10, port 3.
        for (snapshot::Route& route : lab_.routing().routes) route.port = route.port == kClientPort ? 2 : 3;
        for (const std::uint8_t node : {std::uint8_t{11}, std::uint8_t{12}, std::uint8_t{13}}) {
            lab_.learn_neighbour(3, "10.0.2." + std::to_string(node), kRouterMac);
            lab_.learn_neighbour(3, "2001:db8:2::" + std::to_string(node), kRouterMac);
        }
        ++lab_.routing().epoch;
        lab_.publish_routing();
    }
};

TEST_P(WorkerSegmentsVlan, TagsComeOffAndGoOnInFront) {
    const Frame datagram = from_client().vlan(100).udp(4000, 53).payload(random_bytes(8000)).build();
    for (int i = 0; i < 3; ++i) {
        const Frame out = pass(kClientPort, datagram);
        ASSERT_EQ(out.size(), datagram.size() + 4) << "one tag came, two left";
        const Frame tags{0x88, 0xa8, 0, 10, 0x81, 0, 0, 200};
        EXPECT_TRUE(std::equal(tags.begin(), tags.end(), out.begin() + 12));
        EXPECT_EQ(faults(out), "");
        EXPECT_TRUE(std::equal(out.begin() + static_cast<std::ptrdiff_t>(headers()) + 16, out.end(),
                               datagram.begin() + static_cast<std::ptrdiff_t>(headers()) + 12));
    }
}
INSTANTIATE_TEST_SUITE_P(Splits, WorkerSegmentsVlan, ::testing::ValuesIn(split_cases()), name_of_split);

TEST(WorkerSegmentsAnywhere, ASplitAtAnyByteChangesNothing) {
    // Why: nobody promises that all headers come in one buffer.
    constexpr auto kPush = static_cast<std::uint8_t>(tcp::kAck | 0x08);
    const auto with = [](bool v6) {
        PacketBuilder builder;
        builder.ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip);
        return builder;
    };
    std::vector<Frame> frames;
    for (const bool v6 : {false, true}) {
        frames.push_back(
            with(v6).tcp(4000, 80, tcp::kSyn).tcp_options(std::array<std::uint8_t, 4>{2, 4, 5, 180}).build());
        frames.push_back(with(v6).tcp(4000, 80, kPush).payload(9).build());
        frames.push_back(with(v6).vlan(5).udp(4000, 53).payload(9).build());
        frames.push_back(with(v6).echo_request(1, 1).payload(9).build());
        frames.push_back(with(v6).udp(4000, 81).payload(9).build());
    }
    frames.push_back(with(false).ipv4_options(std::array<std::uint8_t, 8>{7, 7, 4}).udp(4000, 53).payload(9).build());
    frames.push_back(with(true).padding_extension(60).ipv6_fragment(0, false).udp(4000, 53).payload(9).build());
    frames.push_back(PacketBuilder().arp_request("192.0.2.254", kVip).build());
    Lab whole, split;
    for (Lab* lab : {&whole, &split}) lab->apply(lab->web());
    for (const Frame& frame : frames) {
        for (std::size_t at = 0; at <= frame.size(); ++at) {
            const Frame expected = whole.pass(kClientPort, frame);
            ASSERT_FALSE(expected.empty()) << packet::testing::describe(frame);
            ASSERT_EQ(split.pass_split(kClientPort, frame, {{static_cast<std::uint16_t>(at)}}), expected) << at;
        }
    }
}

TEST(WorkerSegmentsAnywhere, AFrameWhoseHeadersCannotComeIntoTheFirstBufferIsNamed) {
    Lab lab;
    lab.apply(lab.web());
    use_mtu(lab, kJumbo);
    const Frame frame = PacketBuilder().ip(kClient, kVip).udp(4000, 53).payload(random_bytes(5000)).build();
    EXPECT_TRUE(lab.pass_split(kClientPort, frame, {{40, 40}, true}).empty());
    EXPECT_TRUE(lab.pass_split(kClientPort, frame, {{static_cast<std::uint16_t>(segments::kFront - 1)}, true}).empty());
    EXPECT_EQ(lab.dropped(DropReason::frame_too_long), 2U);
    EXPECT_EQ(lab.connections(), 0U);
}

TEST(WorkerSegmentsAnywhere, APortThatTakesNoneGetsThemInOneBufferOrNotAtAll) {
    LabSettings settings;
    settings.one_buffer_only = true;
    Lab lab(settings);
    lab.apply(lab.web());
    use_mtu(lab, kJumbo);
    const auto datagram = [](std::size_t size) {
        return PacketBuilder().ip(kClient, kVip).udp(4000, 53).payload(random_bytes(size)).build();
    };
    EXPECT_TRUE(lab.pass(kClientPort, datagram(5000)).empty());
    EXPECT_EQ(lab.dropped(DropReason::frame_too_long), 1U);
    EXPECT_FALSE(lab.pass_split(kClientPort, datagram(1400), {{60}}).empty());
    // In two though it would fit into one: the first is full.
    EXPECT_TRUE(lab.pass_split(kClientPort, datagram(1800), {{1500}, true}).empty());
    EXPECT_EQ(lab.dropped(DropReason::frame_too_long), 2U);
}

TEST(WorkerSegmentsAnywhere, PaddingThatTheWayOnHasNoRoomForIsCutOff) {
    // Why: a port's driver, or the next switch, drops a frame beyond its MTU, however short the packet in it.
    Lab lab;
    lab.apply(lab.web());
    for (const bool v6 : {false, true}) {
        const auto request = [&](std::uint8_t flags, std::size_t length) {
            return PacketBuilder()
                .ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip)
                .tcp(4000, 80, flags)
                .payload(100)
                .pad_to(length)
                .build();
        };
        const std::size_t whole = request(tcp::kAck, 0).size();
        const Frame syn = lab.pass(kClientPort, request(tcp::kSyn, 9014));
        EXPECT_EQ(syn.size(), whole) << "the general way";
        ASSERT_FALSE(lab.pass(kNodePort, lab.reply_to(syn)).empty());
        for (int round = 0; round < 3; ++round) {
            EXPECT_EQ(lab.pass(kClientPort, request(tcp::kAck, 0)).size(), whole);
            const Frame out = lab.pass(kClientPort, request(tcp::kAck, 9014));
            EXPECT_EQ(out.size(), whole) << "of an established connection";
            EXPECT_EQ(faults(out), "");
            EXPECT_EQ(lab.pass(kClientPort, request(tcp::kAck, 1514)).size(), 1514U) << "what has room stays";
        }
    }
    EXPECT_EQ(lab.dropped(), 0U);
}

TEST(WorkerSegmentsAnywhere, PaddingBehindTheLongestPacketIsNoPartOfAPing) {
    // Why: a ping is answered from a copy that has room for the longest packet, not for any padding.
    Lab lab;
    lab.apply(lab.web());
    const Frame ping =
        PacketBuilder().ip(kClient, kVip).echo_request(7, 1).payload(random_bytes(65'507)).pad_to(67'000).build();
    const Frame pong = lab.pass(kClientPort, ping);
    ASSERT_EQ(pong.size(), segments::kLongestFrame);
    EXPECT_EQ(faults(pong), "");
}

}  // namespace
}  // namespace guideway::worker::testing
