// Workers behind NICs with RSS: both directions of a connection arrive where it is at home, and nothing is handed over.
#include <array>

#include <gtest/gtest.h>

#include "dataplane/worker/explain.h"
#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;

/// A NIC of four queues and 128 entries, for four workers.
LabSettings four_workers() {
    LabSettings settings;
    settings.workers = 4;
    flow::RssLayout nic;
    for (std::size_t i = 0; i < nic.key.size(); ++i) nic.key[i] = static_cast<std::uint8_t>(i * 151 + 0x6d + i * i * 7);
    for (std::uint16_t i = 0; i < 128; ++i) nic.reta.push_back(i % 4);
    nic.worker_of_queue = {0, 1, 2, 3};
    settings.rss = nic;
    return settings;
}

Frame one_out(Lab& lab, std::uint16_t port) {
    const std::vector<Frame> frames = lab.sent(port);
    return frames.size() == 1 ? frames.front() : Frame{};
}

std::uint64_t handed_over(const Lab& lab) {
    std::uint64_t sum = 0;
    for (std::uint32_t worker = 0; worker < 4; ++worker) sum += lab.totals(worker).handed_over.read();
    return sum;
}

Frame syn(bool v6, std::uint16_t port) {
    return PacketBuilder().ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip).tcp(port, 80, tcp::kSyn).build();
}

TEST(WorkerRss, AThousandConnectionsAndNothingIsHandedOver) {
    Lab lab(four_workers());
    lab.apply(lab.web());
    std::array<std::uint32_t, 4> connections{};
    for (std::uint16_t i = 0; i < 1000; ++i) {
        const bool v6 = i % 2 == 1;
        const auto port = static_cast<std::uint16_t>(1000 + i);
        const bool udp = i % 4 >= 2;
        const Frame request =
            udp ? PacketBuilder().ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip).udp(port, 53).payload(20).build()
                : syn(v6, port);
        const std::uint32_t home = lab.inject_by_rss(kClientPort, request);
        ++connections[home];
        lab.poll(home);
        const Frame out = one_out(lab, kNodePort);
        ASSERT_FALSE(out.empty()) << i;
        ASSERT_EQ(lab.inject_by_rss(kNodePort, lab.reply_to(out)), home) << "the reply comes home";
        lab.poll(home);
        const Frame back = one_out(lab, kClientPort);
        ASSERT_EQ(parsed(back).destination(), ip(v6 ? kClientV6 : kClient)) << i;
    }
    EXPECT_EQ(handed_over(lab), 0U);
    EXPECT_EQ(lab.connections(), 1000U);
    EXPECT_EQ(lab.dropped(), 0U);
    std::uint64_t agreed = 0;
    for (std::uint32_t worker = 0; worker < 4; ++worker) {
        EXPECT_GT(connections[worker], 150U) << "the NIC of this test should spread";
        EXPECT_EQ(lab.totals(worker).rss_agreed.read(), connections[worker]);
        EXPECT_EQ(lab.totals(worker).rss_disagreed.read(), 0U);
        agreed += lab.counters().workers[worker].rss_agreed;
    }
    EXPECT_EQ(agreed, 1000U);
}

TEST(WorkerRss, WhatANicPutsOnTheWrongQueueIsForwardedAllTheSame) {
    Lab lab(four_workers());
    lab.apply(lab.web());
    for (std::uint16_t port = 1000; port < 1040; ++port) {
        const std::uint32_t home = lab.rss_worker(syn(false, port));
        for (std::uint32_t other = 1; other < 4; ++other) {
            const Frame out = lab.pass(kClientPort, syn(false, port), (home + other) % 4);
            ASSERT_FALSE(out.empty());
            const Frame reply = lab.reply_to(out);
            ASSERT_EQ(lab.rss_worker(reply), home);
            const Frame back = lab.pass(kNodePort, reply, (home + other) % 4);
            ASSERT_EQ(parsed(back).destination(), ip(kClient)) << port;
        }
    }
    EXPECT_EQ(handed_over(lab), 40U * 3 * 2);
    EXPECT_EQ(lab.connections(), 40U) << "each at one worker";
    EXPECT_EQ(lab.dropped(), 0U);
}

TEST(WorkerRss, AProtocolWhosePortsTheNicDoesNotHashGoesByRings) {
    Lab lab(four_workers());
    lab.apply(lab.web());
    for (std::uint16_t port = 1000; port < 1040; ++port) {
        const Frame init = PacketBuilder().ip(kClient, kVip).sctp(port, 9000, 0).chunk(1).build();
        const Frame out = lab.pass(kClientPort, init, port % 4);
        ASSERT_FALSE(out.empty()) << port;
        ASSERT_FALSE(lab.pass(kNodePort, lab.reply_to(out), (port + 1) % 4).empty()) << port;
        const auto owner =
            explain(lab.state(), lab.ownership(), {contract::Protocol::sctp, ip(kClient), port, ip(kVip), 9000}).worker;
        EXPECT_EQ(swap_if_little(parsed(out).v4.source_port) % 4U, owner);
    }
    EXPECT_GT(handed_over(lab), 0U);
    EXPECT_EQ(lab.dropped(), 0U);
}

TEST(WorkerRss, HashesThatDifferAreCountedOnceAConnectionWithTheirPort) {
    // Why: a NIC with another key than it tells is noticed only so; everything still works, over the rings.
    Lab lab(four_workers());
    lab.apply(lab.web());
    for (std::uint16_t port = 1000; port < 1020; ++port) {
        const Frame other = syn(true, port);
        lab.inject_with_hash(kClientPort, syn(false, port), 0, lab.rss_hash(other));
        lab.poll_all();
        lab.poll_all();
        lab.inject_with_hash(kClientPort, syn(false, port), 0, lab.rss_hash(other));
        lab.poll_all();
        lab.poll_all();
    }
    std::uint64_t disagreed = 0;
    for (std::uint32_t worker = 0; worker < 4; ++worker) {
        disagreed += lab.totals(worker).rss_disagreed.read();
        EXPECT_EQ(lab.totals(worker).rss_agreed.read(), 0U);
        EXPECT_EQ(lab.totals(worker).rss_disagreed_port.read(), kClientPort);
    }
    EXPECT_EQ(disagreed, 20U);
    EXPECT_EQ(lab.sent(kNodePort).size(), 40U);
}

TEST(WorkerRss, ADeviceThatTellsNoHashIsNotJudged) {
    LabSettings settings = four_workers();
    settings.rss_hash_told = false;
    Lab lab(settings);
    lab.apply(lab.web());
    const std::uint32_t home = lab.inject_by_rss(kClientPort, syn(false, 1000));
    lab.poll(home);
    EXPECT_EQ(lab.connections(), 1U);
    EXPECT_EQ(lab.totals(home).rss_agreed.read() + lab.totals(home).rss_disagreed.read(), 0U);
}

TEST(WorkerRss, ExplainNamesTheWorkerWhereTheNicBringsThePacket) {
    Lab lab(four_workers());
    lab.apply(lab.web());
    for (std::uint16_t port = 1000; port < 1040; ++port) {
        for (const bool v6 : {false, true}) {
            const auto answer =
                explain(lab.state(), lab.ownership(),
                        {contract::Protocol::tcp, ip(v6 ? kClientV6 : kClient), port, ip(v6 ? kVipV6 : kVip), 80});
            ASSERT_EQ(answer.worker, lab.rss_worker(syn(v6, port)));
        }
        const Frame reply = PacketBuilder().ip("10.0.2.11", kSnat).tcp(30080, port, tcp::kAck).build();
        const auto answer =
            explain(lab.state(), lab.ownership(), {contract::Protocol::tcp, ip("10.0.2.11"), 30080, ip(kSnat), port});
        ASSERT_EQ(answer.worker, lab.rss_worker(reply));
        EXPECT_NE(answer.steps.back().find("RSS"), std::string::npos);
    }
}

}  // namespace
}  // namespace guideway::worker::testing
