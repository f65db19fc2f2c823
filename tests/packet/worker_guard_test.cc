// What a worker does about sources that cannot be, about floods, and about closed doors.
#include <gtest/gtest.h>

#include "dataplane/worker/explain.h"
#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerGuard : public ::testing::Test {
  protected:
    WorkerGuard() { lab_.apply(lab_.web()); }

    static Frame syn(std::string_view from, std::string_view to, std::uint16_t port = 80,
                     std::uint16_t source_port = 40000) {
        return PacketBuilder().ip(from, to).tcp(source_port, port, tcp::kSyn).build();
    }
    /// Nothing leaves, nothing reaches the kernel, and exactly this is counted, once.
    static void expect_dropped(Lab& lab, const Frame& frame, DropReason reason, std::string_view what) {
        const std::uint64_t before = lab.dropped(reason);
        const std::uint64_t all = lab.dropped();
        lab.inject(kClientPort, frame);
        lab.poll_all();
        EXPECT_TRUE(lab.sent(kClientPort).empty()) << what;
        EXPECT_TRUE(lab.sent(kNodePort).empty()) << what;
        EXPECT_TRUE(lab.to_kernel().empty()) << what;
        EXPECT_EQ(lab.dropped(reason), before + 1) << what << ' ' << observe::to_string(reason);
        EXPECT_EQ(lab.dropped(), all + 1) << what;
        EXPECT_EQ(lab.connections(), 0U) << what;
    }
    /// Packets of every kind from this source to this address of ours.
    void expect_all_dropped(const char* source, const char* destination, DropReason reason) {
        const auto from = [&] { return PacketBuilder().ip(source, destination); };
        expect_dropped(lab_, from().tcp(4000, 80, tcp::kSyn).build(), reason, source);
        expect_dropped(lab_, from().tcp(4000, 81, tcp::kSyn).build(), reason, source);
        expect_dropped(lab_, from().tcp(4000, 80, tcp::kAck).build(), reason, source);
        expect_dropped(lab_, from().udp(4000, 53).payload(9).build(), reason, source);
        expect_dropped(lab_, from().sctp(4000, 9000, 0).chunk(sctp::kInit).build(), reason, source);
        expect_dropped(lab_, from().echo_request(1, 1).payload(8).build(), reason, source);
        expect_dropped(lab_, from().protocol(47).payload(8).build(), reason, source);
    }
    /// How many of `count` frames were answered to the client.
    template <typename Make>
    static std::size_t answered(Lab& lab, unsigned count, Make&& make) {
        std::size_t answers = 0;
        for (unsigned i = 0; i < count; ++i) {
            lab.inject(kClientPort, make(i));
            lab.poll_all();
            answers += lab.sent(kClientPort).size();
        }
        return answers;
    }

    Lab lab_;
};

TEST_F(WorkerGuard, MartiansAreDroppedByNameWhateverTheyCarryAndWhicheverAddressOfOursTheyGoTo) {
    for (const char* source :
         {"0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.5", "239.255.255.250", "240.0.0.1", "255.255.255.255"}) {
        expect_all_dropped(source, kVip, DropReason::martian_source);
        expect_all_dropped(source, kSnat, DropReason::martian_source);
    }
    for (const char* source : {"::", "::1", "ff02::1", "ff0e::1", "::ffff:198.51.100.7"}) {
        expect_all_dropped(source, kVipV6, DropReason::martian_source);
        expect_all_dropped(source, kSnatV6, DropReason::martian_source);
    }
}

TEST_F(WorkerGuard, LandIsDroppedByName) {
    // Why: an answer to it would be a packet to ourselves, and so on (CERT CA-1997-28).
    expect_all_dropped(kVip, kVip, DropReason::land_attack);
    expect_all_dropped(kSnat, kSnat, DropReason::land_attack);
    expect_all_dropped(kVipV6, kVipV6, DropReason::land_attack);
    expect_all_dropped(kSnatV6, kSnatV6, DropReason::land_attack);
}

TEST_F(WorkerGuard, NobodyElseSendsFromOurAddresses) {
    expect_all_dropped(kSnat, kVip, DropReason::own_source);
    expect_all_dropped(kVip, kSnat, DropReason::own_source);
    expect_all_dropped(kSnatV6, kVipV6, DropReason::own_source);
    expect_all_dropped(kVipV6, kSnatV6, DropReason::own_source);
}

TEST_F(WorkerGuard, BadOptionsAndRoutingHeadersAreDroppedByName) {
    const auto options = [](std::vector<std::uint8_t> bytes) {
        return PacketBuilder().ip(kClient, kVip).ipv4_options(bytes).tcp(4000, 80, tcp::kSyn).build();
    };
    expect_dropped(lab_, options({131, 7, 4, 10, 0, 0, 1}), DropReason::ip_source_route, "loose source route");
    expect_dropped(lab_, options({137, 7, 4, 10, 0, 0, 1}), DropReason::ip_source_route, "strict source route");
    expect_dropped(lab_, options({7, 40, 4, 0}), DropReason::ip_options_bad, "longer than the header");
    const auto v6 = [] { return PacketBuilder().ip(kClientV6, kVipV6); };
    expect_dropped(lab_, v6().routing(1).udp(1, 53).build(), DropReason::ipv6_routing_header, "segments left");
    expect_dropped(lab_, v6().extension(ipv6::kRouting, std::array<std::uint8_t, 7>{}).udp(1, 53).build(),
                   DropReason::ipv6_routing_header, "type 0");
    PacketBuilder chain = v6();
    for (unsigned i = 0; i <= kMaxExtensionHeaders; ++i) chain.padding_extension(ipv6::kDestinationOptions);
    expect_dropped(lab_, chain.udp(1, 53).build(), DropReason::ipv6_extension_bad, "a chain without end");
}

TEST_F(WorkerGuard, OptionsThatAreNoHarmGoThroughToTheBackend) {
    const std::array<std::uint8_t, 4> router_alert{148, 4, 0, 0};
    EXPECT_EQ(packet::testing::faults(lab_.pass(
                  kClientPort,
                  PacketBuilder().ip(kClient, kVip).ipv4_options(router_alert).tcp(4000, 80, tcp::kSyn).build())),
              "");
    EXPECT_EQ(
        packet::testing::faults(lab_.pass(
            kClientPort,
            PacketBuilder().ip(kClientV6, kVipV6).padding_extension(ipv6::kHopByHop).routing(0).udp(4000, 53).build())),
        "");
    EXPECT_EQ(lab_.connections(), 2U);
}

TEST_F(WorkerGuard, ClosedDoorsAnswerEachSourcePrefixAtARateOfItsOwn) {
    // Why: with the limit for all alone, one scanner silences the answers to everybody else.
    LabSettings settings;
    settings.worker.refusals_per_source = 3;
    Lab lab(settings);
    lab.apply(lab.web());
    struct Case {
        const char *one, *same, *other, *vip;
    };
    for (const Case& c : {Case{kClient, "198.51.100.200", "198.51.101.7", kVip},
                          Case{kClientV6, "2001:db8:c:ff::7", "2001:db8:c:100::7", kVipV6}}) {
        EXPECT_EQ(answered(lab, 10, [&](unsigned) { return syn(c.one, c.vip, 81); }), 3U);
        EXPECT_EQ(answered(lab, 10, [&](unsigned) { return syn(c.same, c.vip, 81); }), 0U) << "of the same prefix";
        EXPECT_EQ(answered(lab, 10, [&](unsigned) { return syn(c.other, c.vip, 81); }), 3U) << "of another one";
        lab.now_ms += 1000;
        EXPECT_EQ(answered(lab, 10, [&](unsigned) { return syn(c.same, c.vip, 81); }), 3U);
        lab.now_ms += 1000;
    }
    EXPECT_EQ(lab.dropped(DropReason::port_closed), 2U * (7 + 10 + 7 + 7));
}

TEST_F(WorkerGuard, HowMuchOfASourceCountsIsAnOption) {
    LabSettings settings;
    settings.worker.refusals_per_source = 1;
    settings.worker.source_prefix_v4 = 32;
    settings.worker.source_prefix_v6 = 64;
    Lab lab(settings);
    lab.apply(lab.web());
    for (const char* source : {"198.51.100.7", "198.51.100.8"})
        EXPECT_EQ(answered(lab, 5, [&](unsigned) { return syn(source, kVip, 81); }), 1U);
    for (const char* source : {"2001:db8:c::7", "2001:db8:c:1::7"})
        EXPECT_EQ(answered(lab, 5, [&](unsigned) { return syn(source, kVipV6, 81); }), 1U);
    EXPECT_EQ(answered(lab, 5, [&](unsigned) { return syn("2001:db8:c:1::8", kVipV6, 81); }), 0U);
}

TEST_F(WorkerGuard, ManySourcesTogetherStayWithinTheLimitForAll) {
    LabSettings settings;
    settings.worker.refusals_per_second = 10;
    settings.worker.refusal_burst = 10;
    Lab lab(settings);
    lab.apply(lab.web());
    EXPECT_EQ(answered(lab, 100, [&](unsigned i) { return syn("198.51." + std::to_string(i) + ".7", kVip, 81); }), 10U);
}

TEST_F(WorkerGuard, ASilentServicesAddressRefusesWithoutAWord) {
    auto state = lab_.web();
    for (auto& service : state.services) service.silent = service.vip == ip(kVip);
    for (auto& set : state.backend_sets) set.backends.clear();
    lab_.apply(state);
    const auto from = [] { return PacketBuilder().ip(kClient, kVip); };
    expect_dropped(lab_, from().tcp(4000, 81, tcp::kSyn).build(), DropReason::port_closed, "closed TCP port");
    expect_dropped(lab_, from().udp(4000, 54).build(), DropReason::port_closed, "closed UDP port");
    expect_dropped(lab_, from().tcp(4000, 80, tcp::kAck).build(), DropReason::no_connection, "of no connection");
    expect_dropped(lab_, from().tcp(4000, 80, tcp::kSyn).build(), DropReason::no_backend, "no backend");
    EXPECT_FALSE(lab_.pass(kClientPort, syn(kClientV6, kVipV6, 81)).empty()) << "the other address answers";
    for (auto& service : state.services) service.silent = !service.silent;
    lab_.apply(state);
    EXPECT_FALSE(lab_.pass(kClientPort, syn(kClient, kVip, 81)).empty());
    expect_dropped(lab_, syn(kClientV6, kVipV6, 81), DropReason::port_closed, "closed port over IPv6");
}

TEST_F(WorkerGuard, RefusalsHaveTheSequenceNumbersThatMakeTheirReceiverBelieveThem) {
    // RFC 9293 3.10.7.1: with ACK, the RST has the acknowledgement's number; without, it acknowledges all of the segment.
    for (const bool v6 : {false, true}) {
        const auto from = [&] { return PacketBuilder().ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip); };
        const auto answer = [&](const PacketBuilder& builder) { return lab_.pass(kClientPort, builder.build()); };
        const auto word = [&](const Frame& frame, unsigned at) {
            return load_be32(frame.data() + parsed(frame).l4_offset + at);
        };
        const Frame to_ack = answer(from().tcp(4000, 81, tcp::kAck).sequence(7, 99));
        EXPECT_EQ(parsed(to_ack).tcp_flags, tcp::kRst);
        EXPECT_EQ(word(to_ack, tcp::kSequence), 99U);
        const Frame to_syn = answer(from().tcp(4001, 81, tcp::kSyn).sequence(0xffffffff, 0).payload(10));
        EXPECT_EQ(parsed(to_syn).tcp_flags, tcp::kRst | tcp::kAck);
        EXPECT_EQ(word(to_syn, tcp::kSequence), 0U);
        EXPECT_EQ(word(to_syn, tcp::kAcknowledgement), 10U) << "SYN counts one, and the number wraps";
        const Frame to_fin = answer(from().tcp(4002, 81, tcp::kFin).sequence(5, 0).payload(3));
        EXPECT_EQ(word(to_fin, tcp::kAcknowledgement), 9U);
    }
}

TEST_F(WorkerGuard, AServicesLimitOfNewConnectionsLeavesThoseThatAreOpenAlone) {
    auto state = lab_.web();
    for (auto& service : state.services) service.new_connections_per_second = 5;
    lab_.apply(state);
    for (const bool v6 : {false, true}) {
        const char* client = v6 ? kClientV6 : kClient;
        const char* vip = v6 ? kVipV6 : kVip;
        std::size_t opened = 0;
        for (std::uint16_t port = 1; port <= 20; ++port)
            opened += lab_.pass(kClientPort, syn(client, vip, 80, port)).empty() ? 0 : 1;
        EXPECT_EQ(opened, 5U);
        EXPECT_FALSE(lab_.pass(kClientPort, syn(client, vip, 80, 3)).empty()) << "a SYN again is no new connection";
        EXPECT_FALSE(lab_.pass(kClientPort, PacketBuilder().ip(client, vip).udp(9, 53).build()).empty())
            << "each service has its own";
        lab_.now_ms += 200;
        EXPECT_FALSE(lab_.pass(kClientPort, syn(client, vip, 80, 30)).empty()) << "a fifth of a second, one more";
        EXPECT_TRUE(lab_.pass(kClientPort, syn(client, vip, 80, 31)).empty());
    }
    EXPECT_EQ(lab_.dropped(DropReason::service_connections_limited), 2U * 16);
    std::uint64_t limited = 0;
    for (const auto& service : lab_.counters().services) {
        EXPECT_TRUE(service.limited == 0 || service.port == 80);
        limited += service.limited;
    }
    EXPECT_EQ(limited, 2U * 16);
}

TEST_F(WorkerGuard, ASourcePrefixOverItsPartOfAServiceLeavesTheOthersTheirs) {
    auto state = lab_.web();
    for (auto& service : state.services) {
        service.new_connections_per_second_per_source = 4;
        service.new_connections_per_second = 6;
    }
    lab_.apply(state);
    const auto opened = [&](const char* from, const char* vip, unsigned count) {
        std::size_t sum = 0;
        for (unsigned i = 1; i <= count; ++i)
            sum += lab_.pass(kClientPort, syn(from, vip, 80, static_cast<std::uint16_t>(i))).empty() ? 0 : 1;
        return sum;
    };
    EXPECT_EQ(opened("198.51.100.7", kVip, 100), 4U);
    EXPECT_EQ(opened("198.51.101.7", kVip, 1), 1U);
    EXPECT_EQ(opened("2001:db8:c::7", kVipV6, 100), 4U);
    EXPECT_EQ(opened("2001:db8:d::7", kVipV6, 1), 1U);
    EXPECT_EQ(lab_.dropped(DropReason::source_connections_limited), 2U * 96);
    EXPECT_EQ(lab_.dropped(DropReason::service_connections_limited), 0U);
}

TEST_F(WorkerGuard, AServicesLimitOfPacketsHoldsForEstablishedConnectionsAndOnlyTheirClients) {
    ASSERT_FALSE(lab_.establish(40001).empty());
    const Frame request = PacketBuilder().ip(kClient, kVip).tcp(40001, 80, tcp::kAck).payload(10).build();
    const Frame out = lab_.pass(kClientPort, request);
    ASSERT_FALSE(out.empty());
    const Frame reply = lab_.reply_to(out, tcp::kAck);
    // The connection goes the plain way by now; the change must take it off that.
    auto state = lab_.web();
    state.services[0].packets_per_second = 5;
    ASSERT_EQ(state.services[0].vip, ip(kVip));
    ASSERT_EQ(state.services[0].port, 80);
    lab_.apply(state);
    std::size_t requests = 0, replies = 0;
    for (unsigned i = 0; i < 20; ++i) {
        requests += lab_.pass(kClientPort, request).empty() ? 0 : 1;
        replies += lab_.pass(kNodePort, reply).empty() ? 0 : 1;
    }
    EXPECT_EQ(requests, 5U);
    EXPECT_EQ(replies, 20U);
    EXPECT_EQ(lab_.dropped(DropReason::service_packets_limited), 15U);
    EXPECT_EQ(lab_.counters().services[0].limited, 15U);
    lab_.apply(lab_.web());
    for (unsigned i = 0; i < 20; ++i) EXPECT_FALSE(lab_.pass(kClientPort, request).empty()) << "without it, all again";
}

TEST_F(WorkerGuard, WhatExplainSaysOfSourcesLimitsAndSilenceIsWhatHappens) {
    auto state = lab_.web();
    for (auto& service : state.services) {
        service.new_connections_per_second = 20;
        service.new_connections_per_second_per_source = 5;
    }
    lab_.apply(state);
    const auto told = [&](const char* source, const char* destination, std::uint16_t port = 80) {
        const auto answer =
            explain(lab_.state(), flow::Ownership(1),
                    {contract::Protocol::tcp, *IpAddress::parse(source), 40000, *IpAddress::parse(destination), port});
        std::string text = answer.verdict + ": ";
        for (const std::string& step : answer.steps) text += step + ' ';
        return text;
    };
    struct Bad {
        const char* source;
        const char* destination;
        DropReason reason;
    };
    for (const Bad& bad : {Bad{"127.0.0.1", kVip, DropReason::martian_source}, Bad{kVip, kVip, DropReason::land_attack},
                           Bad{kSnat, kVip, DropReason::own_source}, Bad{kVip, kSnat, DropReason::own_source},
                           Bad{kSnat, kSnat, DropReason::land_attack}, Bad{"::1", kVipV6, DropReason::martian_source},
                           Bad{kSnatV6, kVipV6, DropReason::own_source}}) {
        expect_dropped(lab_, syn(bad.source, bad.destination), bad.reason, bad.source);
        const std::string text = told(bad.source, bad.destination);
        EXPECT_EQ(text.rfind("refuse: ", 0), 0U) << text;
        EXPECT_NE(text.find("dropped as " + std::string(observe::to_string(bad.reason)) + "."), std::string::npos)
            << text;
    }
    const std::string served = told(kClient, kVip);
    EXPECT_EQ(served.rfind("forward: ", 0), 0U) << served;
    EXPECT_NE(
        served.find(
            "It allows 20 new connections a second (service_connections_limited), 5 new connections a second of each "
            "source network (source_connections_limited); more are dropped"),
        std::string::npos)
        << served;
    EXPECT_NE(told(kClient, kVip, 81).find("the client is refused with a RST"), std::string::npos);
    EXPECT_FALSE(lab_.pass(kClientPort, syn(kClient, kVip, 81)).empty());
    for (auto& service : state.services) service.silent = true;
    lab_.apply(state);
    EXPECT_NE(told(kClient, kVip, 81).find("dropped without an answer"), std::string::npos);
    EXPECT_TRUE(lab_.pass(kClientPort, syn(kClient, kVip, 81)).empty());
}

TEST_F(WorkerGuard, WorkersShareALimitInEqualParts) {
    LabSettings settings;
    settings.workers = 2;
    Lab lab(settings);
    auto state = lab.web();
    for (auto& service : state.services) service.new_connections_per_second = 20;
    lab.apply(state);
    std::size_t opened = 0;
    for (std::uint16_t port = 1000; port < 1200; ++port) {
        lab.inject(kClientPort, syn(kClient, kVip, 80, port), port % 2);
        for (int i = 0; i < 3; ++i) lab.poll_all();
        opened += lab.sent(kNodePort).size();
    }
    EXPECT_EQ(opened, 20U) << "ten each";
}

TEST_F(WorkerGuard, ByOptionASourceWithoutARouteThroughThePortItCameByOpensNothing) {
    struct Case {
        SourceCheck check;
        const char* source;
        bool opens;
    };
    // The lab's routes: clients behind port 0's router, nodes on port 1's link, and no other.
    for (const bool v6 : {false, true}) {
        const char* client = v6 ? kClientV6 : kClient;
        const char* node_side = v6 ? "2001:db8:2::99" : "10.0.2.99";
        for (const Case& c : {Case{SourceCheck::off, client, true}, Case{SourceCheck::off, node_side, true},
                              Case{SourceCheck::loose, client, true}, Case{SourceCheck::loose, node_side, true},
                              Case{SourceCheck::strict, client, true}, Case{SourceCheck::strict, node_side, false}}) {
            LabSettings settings;
            settings.source_check = c.check;
            Lab lab(settings);
            lab.apply(lab.web());
            const Frame frame = syn(c.source, v6 ? kVipV6 : kVip);
            if (c.opens) {
                EXPECT_FALSE(lab.pass(kClientPort, frame).empty()) << c.source << static_cast<int>(c.check);
            } else {
                expect_dropped(lab, frame, DropReason::source_unroutable, c.source);
            }
        }
        LabSettings settings;
        settings.source_check = SourceCheck::loose;
        Lab lab(settings);
        lab.apply(lab.web());
        expect_dropped(lab, syn(v6 ? "2001:db8:ffff::1" : "100.64.0.1", v6 ? kVipV6 : kVip),
                       DropReason::source_unroutable, "no route at all");
    }
}

TEST_F(WorkerGuard, UnderAFloodForTheKernelRoutingAndNeighboursStillGetThere) {
    // The lab's ring has 63 places; nobody takes anything out of it meanwhile.
    const char* own = "192.0.2.1";
    struct Flood {
        const char* what;
        Frame frame;
        DropReason reason;
    };
    const Frame fragment =
        PacketBuilder().ip(kClient, own).ipv4_fragment(ipv4::kMoreFragments).udp(1, 2).payload(64).build();
    for (const Flood& flood :
         {Flood{"SYN", syn(kClient, own, 22), DropReason::kernel_syn_limited},
          Flood{"SYN to BGP", syn(kClient, own, 179), DropReason::kernel_syn_limited},
          Flood{"UDP", PacketBuilder().ip(kClient, own).udp(1, 2).build(), DropReason::kernel_other_limited},
          Flood{"UDP over IPv6", PacketBuilder().ip(kClientV6, "2001:db8:2::fe").udp(1, 2).build(),
                DropReason::kernel_other_limited},
          Flood{"BFD over a router", PacketBuilder().ip(kClient, own).ttl(254).udp(50000, 3784).build(),
                DropReason::kernel_other_limited},
          Flood{"fragments", fragment, DropReason::kernel_other_limited},
          Flood{"OSPF over a router", PacketBuilder().ip(kClient, own).ttl(2).protocol(89).payload(40).build(),
                DropReason::kernel_other_limited},
          Flood{"what looks like routing", PacketBuilder().ip(kClient, own).udp(50000, 4784).build(),
                DropReason::kernel_path_full},
          Flood{"pings", PacketBuilder().ip(kClient, own).echo_request(1, 1).build(), DropReason::kernel_icmp_limited},
          Flood{"pings over IPv6", PacketBuilder().ip(kClientV6, "2001:db8:2::fe").echo_request(1, 1).build(),
                DropReason::kernel_icmp_limited},
          Flood{"TCP", PacketBuilder().ip(kClient, own).tcp(1, 2, tcp::kAck).build(), DropReason::kernel_tcp_limited},
          Flood{"ARP", PacketBuilder().arp_request("192.0.2.254", own).build(),
                DropReason::kernel_neighbour_limited}}) {
        Lab lab;
        lab.apply(lab.web());
        for (unsigned i = 0; i < 200; ++i) {
            lab.inject(kClientPort, flood.frame);
            lab.poll();
        }
        EXPECT_GT(lab.dropped(flood.reason), 100U) << flood.what;
        EXPECT_EQ(lab.dropped(), lab.dropped(flood.reason)) << flood.what;
        const std::uint64_t before = lab.totals().to_kernel.read();
        std::vector<Frame> needed;
        if (flood.reason != DropReason::kernel_path_full) {
            needed = {PacketBuilder().ip("192.0.2.254", own).ttl(1).tcp(179, 40000, tcp::kAck).build(),
                      PacketBuilder().ip("192.0.2.254", own).ttl(255).udp(50000, 3784).build(),
                      PacketBuilder().ip("192.0.2.254", own).udp(50000, 4784).build()};
        }
        if (flood.reason != DropReason::kernel_neighbour_limited) {
            needed.push_back(PacketBuilder().arp_request("192.0.2.254", own).build());
            needed.push_back(PacketBuilder()
                                 .ip("fe80::1", "ff02::1:ff00:fe")
                                 .neighbour_solicitation("2001:db8:2::fe", kRouterMac)
                                 .build());
        }
        for (const Frame& frame : needed) {
            lab.inject(kClientPort, frame);
            lab.poll();
        }
        EXPECT_EQ(lab.totals().to_kernel.read(), before + needed.size()) << flood.what;
    }
}

TEST_F(WorkerGuard, WhatTheKernelNeedNotAnswerHasARate) {
    LabSettings settings;
    settings.kernel_ring = 4096;
    settings.worker.kernel_packets_per_second = 400;
    Lab lab(settings);
    lab.apply(lab.web());
    const auto passed = [&](const Frame& frame) {
        std::size_t count = 0;
        for (unsigned i = 0; i < 1000; ++i) {
            lab.inject(kClientPort, frame);
            lab.poll();
        }
        count = lab.to_kernel().size();
        for (unsigned i = 0; i < 1000; ++i) {
            if (i % 10 == 0) lab.now_ms += 10;
            lab.inject(kClientPort, frame);
            lab.poll();
        }
        const std::size_t second = lab.to_kernel().size();
        EXPECT_EQ(count, 256U) << "at once";
        return second;
    };
    EXPECT_EQ(passed(PacketBuilder().ip(kClient, "192.0.2.1").udp(1, 2).build()), 400U);
    EXPECT_EQ(passed(PacketBuilder().ip(kClient, "192.0.2.1").echo_request(1, 1).build()), 100U);
    EXPECT_EQ(passed(syn(kClient, "192.0.2.1")), 100U);
    EXPECT_EQ(passed(PacketBuilder().arp_request("192.0.2.254", "192.0.2.1").build()), 200U);
}

}  // namespace
}  // namespace guideway::worker::testing
