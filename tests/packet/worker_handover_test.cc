// Two workers and more: a connection belongs to one of them, whichever receives its packets. And explain() tells the truth.
#include <set>

#include <gtest/gtest.h>

#include "dataplane/worker/explain.h"
#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

LabSettings workers(std::uint32_t count) {
    LabSettings settings;
    settings.workers = count;
    return settings;
}

Frame syn(std::uint16_t port) { return PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kSyn).build(); }

TEST(WorkerHandover, WhereverPacketsArriveTheOwnerForwardsThem) {
    Lab lab(workers(3));
    lab.apply(lab.web());
    for (std::uint16_t port = 1000; port < 1060; ++port) {
        const Frame out = lab.pass(kClientPort, syn(port), port % 3);
        ASSERT_FALSE(out.empty());
        for (std::uint32_t worker = 0; worker < 3; ++worker) {
            const Frame back = lab.pass(kNodePort, lab.reply_to(out), worker);
            ASSERT_EQ(parsed(back).destination(), ip(kClient)) << port << " " << worker;
            const Frame again = lab.pass(kClientPort, syn(port), worker);
            ASSERT_EQ(again, out);
        }
    }
    EXPECT_EQ(lab.connections(), 60U);
    EXPECT_GT(lab.totals(0).handed_over.read(), 0U);
    EXPECT_GT(lab.totals(1).taken_over.read(), 0U);
    EXPECT_EQ(lab.dropped(), 0U);
}

TEST(WorkerHandover, TheSnatPortTellsTheOwner) {
    Lab lab(workers(2));
    lab.apply(lab.web());
    std::set<unsigned> owners;
    for (std::uint16_t port = 1000; port < 1040; ++port) {
        const Frame out = lab.pass(kClientPort, syn(port));
        const auto answer = explain(lab.state(), 2, {contract::Protocol::tcp, ip(kClient), port, ip(kVip), 80});
        EXPECT_EQ(swap_if_little(parsed(out).v4.source_port) % 2U, answer.worker);
        owners.insert(answer.worker);
    }
    EXPECT_EQ(owners.size(), 2U);
}

TEST(WorkerHandover, ExplainTellsWhichPortsLetASourceIn) {
    const std::vector<std::string> names{"client-side", "node-side"};
    for (const SourceCheck check : {SourceCheck::off, SourceCheck::loose, SourceCheck::strict}) {
        LabSettings settings;
        settings.source_check = check;
        Lab lab(settings);
        lab.apply(lab.web());
        std::vector<WorkerPort> ports(2);
        for (WorkerPort& port : ports) port.source_check = check;
        std::uint16_t source_port = 1000;
        for (const char* source : {kClient, "10.0.2.99", "192.0.3.9"}) {
            const auto answer = explain(lab.state(), 1, {contract::Protocol::tcp, ip(source), 4000, ip(kVip), 80}, {},
                                        {}, {&lab.routing(), ports, names});
            std::string told;
            for (const std::string& step : answer.steps) told += step + "\n";
            bool some = false;
            for (const std::uint16_t port : {kClientPort, kNodePort}) {
                const std::uint64_t before = lab.dropped(observe::DropReason::source_unroutable);
                lab.inject(port, PacketBuilder()
                                     .ethernet(port == kClientPort ? kPortMac0 : kPortMac1, kRouterMac)
                                     .ip(source, kVip)
                                     .tcp(++source_port, 80, tcp::kSyn)
                                     .build());
                lab.poll();
                const bool dropped = lab.dropped(observe::DropReason::source_unroutable) != before;
                some = some || !dropped;
                const std::string list =
                    told.substr(std::min(told.find("Ports whose source_check finds"), told.size()));
                EXPECT_EQ(list.find(names[port]) != std::string::npos, dropped) << source << "\n" << told;
            }
            EXPECT_EQ(answer.verdict, some ? "forward" : "refuse") << told;
            EXPECT_EQ(told.find("source_check") != std::string::npos, check != SourceCheck::off);
        }
    }
}

TEST(WorkerHandover, WhatWasHandedOverIsNeverHandedOverAgain) {
    // Why: with a stale view of the owner two workers could play ping-pong for ever.
    Lab lab(workers(2));
    lab.apply(lab.web());
    for (std::uint16_t port = 1000; port < 1020; ++port) {
        lab.inject_handed_over(syn(port), kClientPort, 0, 1);
        lab.inject_handed_over(PacketBuilder().ip("10.0.2.11", kSnat).tcp(80, port, tcp::kAck).build(), kClientPort, 0,
                               1);
        lab.poll(1);
    }
    EXPECT_EQ(lab.totals(1).handed_over.read(), 0U);
    EXPECT_EQ(lab.sent(kNodePort).size(), 20U);
    EXPECT_EQ(lab.dropped(DropReason::reply_unknown), 20U);
}

TEST(WorkerHandover, AFullRingIsNamed) {
    LabSettings settings = workers(2);
    settings.handover_ring = 4;
    Lab lab(settings);
    lab.apply(lab.web());
    std::uint64_t to_other = 0;
    for (std::uint16_t port = 1000; port < 1030; ++port) {
        lab.inject(kClientPort, syn(port));
        to_other += explain(lab.state(), 2, {contract::Protocol::tcp, ip(kClient), port, ip(kVip), 80}).worker;
    }
    lab.poll(0);
    ASSERT_GT(to_other, 3U);
    EXPECT_EQ(lab.dropped(DropReason::handover_full), to_other - 3);
    lab.poll(1);
}

TEST(WorkerExplain, ItsAnswerIsWhatTheWorkerDoes) {
    Lab lab(workers(2));
    lab.apply(lab.web());
    for (const bool v6 : {false, true}) {
        for (const auto protocol : {contract::Protocol::tcp, contract::Protocol::udp}) {
            for (std::uint16_t port = 2000; port < 2050; ++port) {
                const char* client = v6 ? kClientV6 : kClient;
                const char* vip = v6 ? kVipV6 : kVip;
                const bool tcp = protocol == contract::Protocol::tcp;
                PacketBuilder packet;
                packet.ip(client, vip);
                const Frame frame = tcp ? packet.tcp(port, 80, tcp::kSyn).build() : packet.udp(port, 53).build();
                const auto answer = explain(
                    lab.state(), 2, {protocol, ip(client), port, ip(vip), static_cast<std::uint16_t>(tcp ? 80 : 53)});
                const Frame out = lab.pass(kClientPort, frame);
                ASSERT_EQ(answer.verdict, "forward");
                ASSERT_EQ(answer.backend_address, parsed(out).destination().to_string());
                ASSERT_EQ(answer.backend_port, tcp ? 30080 : 30053);
                ASSERT_EQ(answer.service, "default/web");
                ASSERT_FALSE(answer.backend.empty());
                ASSERT_GE(answer.steps.size(), 4U);
            }
        }
    }
}

TEST(WorkerExplain, ItSaysWhyNot) {
    Lab lab;
    auto state = lab.web();
    state.backend_sets[0].backends.clear();
    lab.apply(state);
    const auto ask = [&](contract::Protocol protocol, const char* source, const char* destination, std::uint16_t port) {
        return explain(lab.state(), 1, {protocol, ip(source), 4000, ip(destination), port});
    };
    using contract::Protocol;
    EXPECT_EQ(ask(Protocol::tcp, kClient, "192.0.2.1", 22).verdict, "kernel");
    EXPECT_EQ(ask(Protocol::tcp, "10.0.2.11", kSnat, 5000).verdict, "reply");
    EXPECT_EQ(ask(Protocol::tcp, kClient, kVip, 81).verdict, "refuse");
    EXPECT_NE(ask(Protocol::udp, kClient, kVip, 81).steps.back().find("port unreachable"), std::string::npos);
    EXPECT_NE(ask(Protocol::tcp, kClient, kVip, 80).steps.back().find("No backend"), std::string::npos);
    EXPECT_EQ(ask(Protocol::tcp, kVip, kVip, 80).verdict, "refuse");
    EXPECT_EQ(ask(Protocol::tcp, kClientV6, kVip, 80).verdict, "refuse");
    EXPECT_EQ(ask(Protocol::tcp, kClientV6, kVipV6, 80).verdict, "forward");
}

}  // namespace
}  // namespace guideway::worker::testing
