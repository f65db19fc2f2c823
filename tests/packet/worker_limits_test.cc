// A worker at its limits: floods, full tables, used-up SNAT ports. Who is established goes on, who is refused is counted, and used
// and free entries are the capacity at every step.
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

constexpr auto kFinWithAck = static_cast<std::uint8_t>(tcp::kFin | tcp::kAck);

LabSettings small(std::uint32_t flows, std::uint32_t half_open) {
    LabSettings settings;
    settings.worker.capacity.flows_ipv4 = flows;
    settings.worker.capacity.flows_ipv6 = flows;
    settings.worker.capacity.half_open = half_open;
    return settings;
}

class WorkerLimits : public ::testing::Test {
  protected:
    explicit WorkerLimits(LabSettings settings = small(512, 32)) : lab_(settings) { lab_.apply(lab_.web()); }

    static Frame segment(std::uint16_t port, std::uint8_t flags, const char* client = kClient) {
        return PacketBuilder().ip(client, kVip).tcp(port, 80, flags).payload(10).build();
    }
    static Frame datagram(std::uint16_t port, const char* client = kClient) {
        return PacketBuilder().ip(client, kVip).udp(port, 53).payload(10).build();
    }
    /// From anywhere: 198.51.100.1..254, any port.
    std::string some_source() { return "198.51.100." + std::to_string(1 + random_() % 254); }
    Frame flood_syn() { return PacketBuilder().ip(some_source(), kVip).tcp(some_port(), 80, tcp::kSyn).build(); }
    Frame flood_datagram() { return PacketBuilder().ip(some_source(), kVip).udp(some_port(), 53).payload(4).build(); }
    std::uint16_t some_port() { return static_cast<std::uint16_t>(10'000 + random_() % 50'000); }

    /// Gauges are shown once a millisecond.
    void expect_every_entry_accounted_for() {
        ++lab_.now_ms;
        lab_.poll();
        const observe::WorkerTotals& t = lab_.totals();
        ASSERT_EQ(t.flows_ipv4.read() + t.flows_free_ipv4.read(), t.flow_capacity_ipv4.read());
        ASSERT_EQ(t.flows_ipv6.read() + t.flows_free_ipv6.read(), t.flow_capacity_ipv6.read());
        ASSERT_EQ(t.flows_ipv4.read() + t.flows_ipv6.read(), lab_.connections());
        ASSERT_LE(t.flows_opening.read() + t.flows_one_way.read() + t.flows_closed.read(), lab_.connections());
    }
    void expect_passes_both_ways(std::uint16_t port, const Frame& syn) {
        ASSERT_FALSE(lab_.pass(kClientPort, segment(port, tcp::kAck)).empty()) << port;
        ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty()) << port;
    }

    std::mt19937 random_{11};
    Lab lab_;
};

TEST_F(WorkerLimits, ASynFloodNeitherEvictsNorRefusesTheEstablishedAndTheHonestGetIn) {
    std::map<std::uint16_t, Frame> established;
    for (std::uint16_t port = 1; port <= 50; ++port) established[port] = lab_.establish(port);
    std::uint16_t honest = 100;
    constexpr int kRounds = 200;
    for (int round = 0; round < kRounds; ++round) {
        for (int i = 0; i < 20; ++i) lab_.pass(kClientPort, flood_syn());
        const auto& [port, syn] = *std::next(established.begin(), round % 50);
        expect_passes_both_ways(port, syn);
        // Its handshake takes as long as 30 packets of the flood: fewer than there is room for.
        const std::uint16_t mine = honest++;
        const Frame first = lab_.pass(kClientPort, segment(mine, tcp::kSyn, "198.51.100.7"));
        ASSERT_FALSE(first.empty());
        for (int i = 0; i < 15; ++i) lab_.pass(kClientPort, flood_syn());
        ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(first)).empty());
        for (int i = 0; i < 15; ++i) lab_.pass(kClientPort, flood_syn());
        ASSERT_FALSE(lab_.pass(kClientPort, segment(mine, tcp::kAck)).empty());
        expect_passes_both_ways(mine, first);
        expect_every_entry_accounted_for();
    }
    lab_.pass(kClientPort, flood_syn());  // takes the place of the last handshake that was finished
    expect_every_entry_accounted_for();
    const observe::WorkerTotals& t = lab_.totals();
    EXPECT_EQ(t.flows_opening.read(), 32U) << "the half-open part is full, and no fuller";
    EXPECT_EQ(lab_.connections(), 50U + kRounds + 32U);
    EXPECT_GT(t.evicted_opening.read(), 50U * kRounds - 200U);
    EXPECT_EQ(t.evicted_one_way.read() + t.evicted_closed.read(), 0U);
    EXPECT_EQ(lab_.dropped(), 0U) << "nobody was refused";
}

TEST_F(WorkerLimits, AHandshakeSlowerThanTheFloodIsLostAndBeginsAgain) {
    // Why: said honestly: with room for 32 half-open connections, one that is overtaken by 32 others is forgotten.
    const Frame first = lab_.pass(kClientPort, segment(1, tcp::kSyn));
    for (int i = 0; i < 33; ++i) lab_.pass(kClientPort, flood_syn());
    EXPECT_TRUE(lab_.pass(kNodePort, lab_.reply_to(first)).empty());
    EXPECT_EQ(lab_.dropped(DropReason::reply_unknown), 1U);
    EXPECT_FALSE(lab_.establish(1).empty()) << "the client's next SYN";
}

TEST_F(WorkerLimits, AUdpFloodDoesNotTouchUdpThatIsAnswered) {
    std::map<std::uint16_t, Frame> answered;
    for (std::uint16_t port = 1; port <= 50; ++port) {
        answered[port] = lab_.pass(kClientPort, datagram(port));
        ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(answered[port])).empty());
    }
    const Frame syn = lab_.establish(200);
    for (int round = 0; round < 200; ++round) {
        for (int i = 0; i < 40; ++i) ASSERT_FALSE(lab_.pass(kClientPort, flood_datagram()).empty());
        const auto& [port, query] = *std::next(answered.begin(), round % 50);
        const Frame again = lab_.pass(kClientPort, datagram(port));
        ASSERT_FALSE(again.empty());
        ASSERT_EQ(parsed(again).v4, parsed(query).v4) << "same node, same SNAT port";
        ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(query)).empty());
        expect_every_entry_accounted_for();
    }
    expect_passes_both_ways(200, syn);
    const observe::WorkerTotals& t = lab_.totals();
    EXPECT_EQ(t.flows_one_way.read(), 32U);
    EXPECT_GT(t.evicted_one_way.read(), 7'000U);
    EXPECT_EQ(t.evicted_opening.read() + t.evicted_closed.read(), 0U);
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_F(WorkerLimits, AUdpFloodLeavesHandshakesAlone) {
    const Frame first = lab_.pass(kClientPort, segment(1, tcp::kSyn));
    for (int i = 0; i < 400; ++i) lab_.pass(kClientPort, flood_datagram());
    EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(first)).empty());
    EXPECT_FALSE(lab_.pass(kClientPort, segment(1, tcp::kAck)).empty());
}

class WorkerFull : public WorkerLimits {
  protected:
    WorkerFull() : WorkerLimits(small(64, 16)) {}
    void fill() {
        for (std::uint16_t port = 1; port <= 64; ++port) {
            ASSERT_FALSE(lab_.establish(port).empty()) << port;
            expect_every_entry_accounted_for();
        }
    }
};

TEST_F(WorkerFull, ATableFullOfEstablishedConnectionsRefusesSilentlyByNameAndServesAgainAfterAgeing) {
    // Silence, not RST: the client tries again, and by then there may be room.
    fill();
    for (std::uint16_t port = 100; port < 110; ++port) {
        EXPECT_TRUE(lab_.pass(kClientPort, segment(port, tcp::kSyn)).empty());
        EXPECT_TRUE(lab_.pass(kClientPort, datagram(port)).empty());
        expect_every_entry_accounted_for();
    }
    EXPECT_EQ(lab_.dropped(DropReason::flow_table_full), 20U);
    EXPECT_EQ(lab_.dropped(), 20U);
    EXPECT_EQ(lab_.totals().answers.read(), 0U);
    EXPECT_EQ(lab_.counters().services[0].refused_connections + lab_.counters().services[1].refused_connections, 20U);
    for (std::uint16_t port = 1; port <= 64; ++port) {
        EXPECT_FALSE(lab_.pass(kClientPort, segment(port, tcp::kAck)).empty()) << port;
    }
    const Frame v6 = PacketBuilder().ip(kClientV6, kVipV6).tcp(1, 80, tcp::kSyn).build();
    EXPECT_FALSE(lab_.pass(kClientPort, v6).empty()) << "the other family has a table of its own";

    lab_.now_ms += 7'450'000;
    lab_.wait_ms(4500);
    EXPECT_EQ(lab_.connections(), 0U);
    expect_every_entry_accounted_for();
    fill();
    EXPECT_EQ(lab_.dropped(DropReason::flow_table_full), 20U);
}

TEST_F(WorkerFull, WhatIsOverGivesWayToTheNew) {
    fill();
    for (std::uint16_t port = 1; port <= 8; ++port) {
        // The handshake's packets are numbered alike in the lab: a FIN there is plausible.
        ASSERT_FALSE(lab_.pass(kClientPort, segment(port, tcp::kRst)).empty());
    }
    for (std::uint16_t port = 100; port < 108; ++port) {
        EXPECT_FALSE(lab_.establish(port).empty());
        expect_every_entry_accounted_for();
    }
    EXPECT_EQ(lab_.totals().evicted_closed.read(), 8U);
    EXPECT_TRUE(lab_.pass(kClientPort, segment(120, tcp::kSyn)).empty()) << "now all are established";
    EXPECT_EQ(lab_.dropped(DropReason::flow_table_full), 1U);
    for (std::uint16_t port = 9; port <= 64; ++port) {
        EXPECT_FALSE(lab_.pass(kClientPort, segment(port, tcp::kAck)).empty()) << port;
    }
}

TEST_F(WorkerFull, AFloodIntoATableThatIsAlmostFullStopsAtTheEstablished) {
    for (std::uint16_t port = 1; port <= 60; ++port) ASSERT_FALSE(lab_.establish(port).empty());
    for (int i = 0; i < 2000; ++i) {
        lab_.pass(kClientPort, i % 2 == 0 ? flood_syn() : flood_datagram());
        expect_every_entry_accounted_for();
    }
    EXPECT_EQ(lab_.connections(), 64U);
    EXPECT_FALSE(lab_.establish(200).empty()) << "an honest client gets in still";
    for (std::uint16_t port = 1; port <= 60; ++port) {
        EXPECT_FALSE(lab_.pass(kClientPort, segment(port, tcp::kAck)).empty()) << port;
    }
    EXPECT_EQ(lab_.dropped(DropReason::flow_table_full), 0U);
}

TEST(WorkerSnatLimits, PortsAreCountedTowardsEachBackendAndExhaustionIsItsOwn) {
    LabSettings settings;
    settings.worker.snat_port_first = 5000;
    settings.worker.snat_port_last = 5009;
    Lab lab(settings);
    lab.apply(lab.web());
    const auto syn = [](std::uint16_t port) {
        return PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kSyn).build();
    };
    std::map<IpAddress, std::set<std::uint16_t>> ports;
    std::map<std::uint16_t, Frame> open;
    std::uint64_t refused = 0;
    for (std::uint16_t port = 1; port <= 60; ++port) {
        const Frame out = lab.pass(kClientPort, syn(port));
        if (out.empty()) {
            ++refused;
        } else {
            open[port] = out;
            ports[parsed(out).destination()].insert(parsed(out).v4.source_port);
        }
    }
    EXPECT_GT(refused, 0U);
    EXPECT_EQ(lab.dropped(DropReason::snat_ports_exhausted), refused);
    EXPECT_EQ(lab.counters().services[0].refused_connections, refused);
    std::uint64_t towards = 0;
    for (const char* node : {"10.0.2.11", "10.0.2.12", "10.0.2.13"}) {
        towards += lab.refused_towards(ip(node));
        EXPECT_EQ(ports[ip(node)].size(), 10U) << node << ": each port serves each backend once";
        EXPECT_GT(lab.refused_towards(ip(node)), 0U) << node;
    }
    EXPECT_EQ(towards, refused);
    EXPECT_EQ(lab.refused_towards(ip("2001:db8:2::11")), 0U);
    EXPECT_EQ(open.size(), 30U);
    for (const auto& [port, first] : open) EXPECT_FALSE(lab.pass(kNodePort, lab.reply_to(first)).empty()) << port;

    lab.now_ms += 70'000;  // none was finished
    lab.wait_ms(4500);
    EXPECT_EQ(lab.connections(), 0U);
    for (std::uint16_t port = 1; port <= 5; ++port) EXPECT_FALSE(lab.pass(kClientPort, syn(port)).empty());
}

TEST(WorkerSnatLimits, OnlyTheBackendWithoutPortsRefuses) {
    LabSettings settings;
    settings.worker.snat_port_first = 5000;
    settings.worker.snat_port_last = 5003;
    Lab lab(settings);
    auto state = lab.web();
    state.backend_sets[0].backends.resize(1);  // all to 10.0.2.11
    lab.apply(state);
    const auto syn = [](std::uint16_t port) {
        return PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kSyn).build();
    };
    for (std::uint16_t port = 1; port <= 4; ++port) EXPECT_FALSE(lab.pass(kClientPort, syn(port)).empty());
    EXPECT_TRUE(lab.pass(kClientPort, syn(5)).empty());
    EXPECT_EQ(lab.refused_towards(ip("10.0.2.11")), 1U);
    lab.apply(lab.web());
    int opened = 0;
    for (std::uint16_t port = 10; port <= 13; ++port) opened += lab.pass(kClientPort, syn(port)).empty() ? 0 : 1;
    EXPECT_EQ(lab.refused_towards(ip("10.0.2.12")) + lab.refused_towards(ip("10.0.2.13")), 0U);
    EXPECT_EQ(lab.refused_towards(ip("10.0.2.11")), 1U + 4U - static_cast<unsigned>(opened));
}

TEST(WorkerLeak, UsedAndFreeAreTheCapacityThroughManyWholeLives) {
    // flow_limits_test.cc has the table alone, and many more; here SNAT ports and packet buffers could leak as well.
    for (const std::uint32_t workers : {1U, 3U}) {
        LabSettings settings = small(256, 64);
        settings.workers = workers;
        settings.worker.burst = 64;
        Lab lab(settings);
        lab.apply(lab.web());
        const auto from = [](std::uint16_t port, std::uint8_t flags) {
            return PacketBuilder().ip(kClient, kVip).tcp(port, 80, flags).build();
        };
        std::uint64_t finished = 0;
        for (std::uint32_t life = 0; life < 20'000; ++life) {
            const auto port = static_cast<std::uint16_t>(1 + life * 7 % 40'000);
            const Frame out = lab.pass(kClientPort, from(port, tcp::kSyn), life % workers);
            ASSERT_FALSE(out.empty()) << life;
            if (life % 4 == 0) continue;  // never answered
            ASSERT_FALSE(lab.pass(kNodePort, lab.reply_to(out), life % workers).empty());
            ASSERT_FALSE(lab.pass(kClientPort, from(port, tcp::kAck)).empty());
            if (life % 4 == 1) {
                ASSERT_FALSE(lab.pass(kClientPort, from(port, tcp::kRst)).empty());
            } else {
                ASSERT_FALSE(lab.pass(kClientPort, from(port, kFinWithAck)).empty());
                ASSERT_FALSE(lab.pass(kNodePort, lab.reply_to(out, kFinWithAck)).empty());
            }
            ++finished;
            if (life % 1000 != 1) continue;
            ++lab.now_ms;
            lab.poll_all();
            for (std::uint32_t i = 0; i < workers; ++i) {
                ASSERT_EQ(lab.totals(i).flows_ipv4.read() + lab.totals(i).flows_free_ipv4.read(), 256U);
            }
        }
        EXPECT_EQ(finished, 15'000U);
        EXPECT_EQ(lab.dropped(), 0U);
        lab.now_ms += 100'000;
        lab.wait_ms(4500);
        EXPECT_EQ(lab.connections(), 0U);
        for (std::uint32_t i = 0; i < workers; ++i) {
            EXPECT_EQ(lab.totals(i).flows_free_ipv4.read(), 256U);
            EXPECT_EQ(lab.totals(i).flows_opening.read() + lab.totals(i).flows_closed.read(), 0U);
        }
    }
}

}  // namespace
}  // namespace guideway::worker::testing
