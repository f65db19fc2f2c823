// What becomes of connections when something changes: backends, services, routes, neighbours, time.
#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerChange : public ::testing::Test {
  protected:
    WorkerChange() { lab_.apply(lab_.web()); }

    static Frame data(std::uint16_t port) {
        return PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kAck).payload(10).build();
    }
    static Frame datagram(std::uint16_t port) {
        return PacketBuilder().ip(kClient, kVip).udp(port, 53).payload(10).build();
    }
    static IpAddress node_of(const Frame& out) { return parsed(out).destination(); }
    /// Without the node at `gone`, in both sets' first one.
    contract::ForwardingState without(const IpAddress& gone) const {
        auto state = lab_.web();
        std::erase_if(state.backend_sets[0].backends, [&](const auto& backend) { return backend.address == gone; });
        return state;
    }

    Lab lab_;
};

TEST_F(WorkerChange, TcpStaysWithABackendThatLeftTheSet) {
    // Why: I3, no established connection moves; the node itself is still there for it.
    const Frame syn = lab_.establish(40000);
    lab_.apply(without(node_of(syn)));
    const Frame out = lab_.pass(kClientPort, data(40000));
    ASSERT_FALSE(out.empty());
    EXPECT_EQ(node_of(out), node_of(syn));
    EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty());
    for (std::uint16_t port = 1; port < 100; ++port) {
        const Frame other = lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kSyn).build());
        EXPECT_NE(node_of(other), node_of(syn));
    }
}

TEST_F(WorkerChange, CountsOfABackendThatLeftDoNotLandOnItsSlotsNextUser) {
    const Frame syn = lab_.establish(40000);
    const IpAddress gone = node_of(syn);
    lab_.apply(without(gone));
    lab_.pass(kClientPort, data(40000));
    lab_.apply(lab_.web());
    lab_.pass(kClientPort, data(40000));
    for (const auto& backend : lab_.counters().backends) {
        if (backend.address != gone) continue;
        EXPECT_EQ(backend.traffic, contract::Traffic{});
    }
}

TEST_F(WorkerChange, UdpOfABackendThatLeftTheStateIsDecidedAnew) {
    const Frame first = lab_.pass(kClientPort, datagram(40000));
    lab_.apply(without(node_of(first)));
    const Frame second = lab_.pass(kClientPort, datagram(40000));
    ASSERT_FALSE(second.empty());
    EXPECT_NE(node_of(second), node_of(first));
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_F(WorkerChange, ADrainedBackendKeepsItsConnectionsOfEachProtocolAndGetsNoNewOnes) {
    const Frame syn = lab_.establish(40000);
    const Frame query = lab_.pass(kClientPort, datagram(40000));
    auto state = lab_.web();
    for (auto& backend : state.backend_sets[0].backends) {
        if (backend.address == node_of(syn) || backend.address == node_of(query)) backend.weight = 0;
    }
    lab_.apply(state);
    EXPECT_EQ(node_of(lab_.pass(kClientPort, data(40000))), node_of(syn));
    EXPECT_EQ(node_of(lab_.pass(kClientPort, datagram(40000))), node_of(query));
    for (std::uint16_t port = 1; port < 50; ++port) {
        EXPECT_NE(node_of(lab_.pass(kClientPort, datagram(port))), node_of(query));
    }
}

TEST_F(WorkerChange, UnrelatedChangesLeaveConnectionsWhereTheyAre) {
    const Frame syn = lab_.establish(40000);
    for (std::uint16_t i = 0; i < 300; ++i) {
        auto state = lab_.web();
        state.generation = 2U + i;
        state.services.push_back({"other", ip("203.0.113.99"), contract::Protocol::tcp,
                                  static_cast<std::uint16_t>(1 + i), "nodes-ipv4", 31000, 0});
        lab_.apply(state);
        const Frame out = lab_.pass(kClientPort, data(40000));
        ASSERT_FALSE(out.empty()) << i;
        ASSERT_EQ(node_of(out), node_of(syn));
    }
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_F(WorkerChange, ARemovedServicesConnectionsEnd) {
    const Frame syn = lab_.establish(40000);
    auto state = lab_.web();
    state.services.erase(state.services.begin());
    lab_.apply(state);
    EXPECT_EQ(parsed(lab_.pass(kClientPort, data(40000))).tcp_flags & tcp::kRst, tcp::kRst);
    EXPECT_EQ(lab_.connections(), 0U);
    EXPECT_TRUE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty());
    EXPECT_EQ(lab_.dropped(DropReason::reply_unknown), 1U);
}

TEST_F(WorkerChange, ConnectionsOfAVipThatIsGoneAreRefusedNotLeftHanging) {
    // Why: with its last service the VIP goes too, and the kernel, which knows no such address, would be silent. Only the
    // owner knows the connection, wherever its packets arrive.
    LabSettings settings;
    settings.workers = 2;
    Lab lab(settings);
    for (std::uint16_t port = 40000; port < 40016; ++port) {
        for (std::uint32_t worker = 0; worker < 2; ++worker) {
            lab.apply(lab.web());
            ASSERT_FALSE(
                lab.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kSyn).build()).empty());
            auto state = lab.web();
            state.services.clear();
            lab.apply(state);
            EXPECT_EQ(parsed(lab.pass(kClientPort, data(port), worker)).tcp_flags & tcp::kRst, tcp::kRst);
            EXPECT_TRUE(lab.pass(kClientPort, data(port), worker).empty());  // told once; now it is the kernel's
        }
    }
    EXPECT_EQ(lab.connections(), 0U);
}

TEST_F(WorkerChange, AServiceThatComesBackCountsFromZero) {
    lab_.establish(40000);
    EXPECT_EQ(lab_.counters().services[0].new_connections, 1U);
    auto state = lab_.web();
    state.services.erase(state.services.begin());
    lab_.apply(state);
    EXPECT_EQ(lab_.counters().services.size(), 5U);
    lab_.apply(lab_.web());
    for (const auto& service : lab_.counters().services) EXPECT_EQ(service.new_connections, 0U);
}

TEST_F(WorkerChange, ANewRoutingEpochMovesConnectionsToTheNewNextHop) {
    const Frame syn = lab_.establish(40000);
    const MacAddress moved{2, 0, 0, 0, 7, 7};
    lab_.learn_neighbour(kNodePort, node_of(syn).to_string(), moved);
    lab_.publish_routing();
    const Frame same_epoch = lab_.pass(kClientPort, data(40000));
    EXPECT_NE(0, std::memcmp(same_epoch.data(), moved.data(), 6));  // nobody said that an index changed
    ++lab_.routing().epoch;
    lab_.publish_routing();
    const std::uint64_t lookups = lab_.totals().next_hop_lookups.read();
    EXPECT_EQ(0, std::memcmp(lab_.pass(kClientPort, data(40000)).data(), moved.data(), 6));
    EXPECT_EQ(0, std::memcmp(lab_.pass(kClientPort, data(40000)).data(), moved.data(), 6));
    EXPECT_EQ(lab_.totals().next_hop_lookups.read(), lookups + 1);  // once an epoch, not once a packet
}

TEST_F(WorkerChange, AnUnknownNeighbourIsAskedForAndThePacketWaitsReadyToGo) {
    auto state = lab_.web();
    state.backend_sets[0].backends.resize(1);
    lab_.apply(state);
    lab_.forget_neighbour(kNodePort, "10.0.2.11");
    lab_.publish_routing();
    EXPECT_TRUE(
        lab_.pass(kClientPort, PacketBuilder().vlan(3).ip(kClient, kVip).tcp(1, 80, tcp::kSyn).build()).empty());
    EXPECT_EQ(lab_.totals().pending.read(), 1U);
    const auto wanted = lab_.resolve().pop();
    ASSERT_TRUE(wanted.has_value());
    EXPECT_EQ(wanted->address, ip("10.0.2.11"));
    EXPECT_EQ(wanted->port, kNodePort);

    lab_.learn_neighbour(kNodePort, "10.0.2.11", {2, 0, 0, 0, 1, 11});
    lab_.publish_routing();
    lab_.poll();
    const auto frames = lab_.sent(kNodePort);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(parsed(frames[0]).destination(), ip("10.0.2.11"));
    EXPECT_EQ(parsed(frames[0]).l2_length, 14);
    EXPECT_EQ(packet::testing::faults(frames[0]), "");
    EXPECT_EQ(lab_.totals().pending.read(), 0U);
}

TEST_F(WorkerChange, ANeighbourThatDoesNotAnswerIsGivenUpAfterASecondByName) {
    for (const char* node : {"10.0.2.11", "10.0.2.12", "10.0.2.13"}) lab_.forget_neighbour(kNodePort, node);
    lab_.publish_routing();
    lab_.inject(kClientPort, datagram(1));
    lab_.poll();
    lab_.wait_ms(900);
    EXPECT_EQ(lab_.dropped(), 0U);
    lab_.wait_ms(200);
    EXPECT_EQ(lab_.dropped(DropReason::neighbour_unresolved), 1U);
    EXPECT_EQ(lab_.totals().pending.read(), 0U);
}

TEST_F(WorkerChange, TheQueueForNeighboursIsBoundedByName) {
    for (const char* node : {"10.0.2.11", "10.0.2.12", "10.0.2.13"}) lab_.forget_neighbour(kNodePort, node);
    lab_.publish_routing();
    for (std::uint16_t i = 0; i < 300; ++i) {
        lab_.inject(kClientPort, datagram(static_cast<std::uint16_t>(1000 + i)));
        lab_.poll();
    }
    EXPECT_EQ(lab_.totals().pending.read(), PendingQueue::kCapacity);
    EXPECT_EQ(lab_.dropped(DropReason::neighbour_queue_full), 300U - PendingQueue::kCapacity);
}

TEST_F(WorkerChange, ARouteThatGoesAwayWhileAPacketWaitsIsNamed) {
    for (const char* node : {"10.0.2.11", "10.0.2.12", "10.0.2.13"}) lab_.forget_neighbour(kNodePort, node);
    lab_.publish_routing();
    lab_.inject(kClientPort, datagram(1));
    lab_.poll();
    lab_.routing().routes.clear();
    lab_.publish_routing();
    lab_.poll();
    EXPECT_EQ(lab_.dropped(DropReason::no_route), 1U);
}

TEST_F(WorkerChange, ASynOnAConnectionInTimeWaitIsANewDecision) {
    // Why: RFC 6191; a client that reuses its port must not wait for our table.
    const Frame syn = lab_.establish(40000);
    const auto fin = static_cast<std::uint8_t>(tcp::kFin | tcp::kAck);
    lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, fin).build());
    lab_.pass(kNodePort, lab_.reply_to(syn, fin));
    auto state = without(node_of(syn));
    lab_.apply(state);
    EXPECT_EQ(node_of(lab_.pass(kClientPort, data(40000))), node_of(syn));  // the last ACK
    const Frame again = lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kSyn).build());
    ASSERT_FALSE(again.empty());
    EXPECT_NE(node_of(again), node_of(syn));
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_F(WorkerChange, ConnectionsAreForgottenByTheTimeoutOfTheirState) {
    lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(1, 80, tcp::kSyn).build());  // 60 s: opening
    lab_.establish(2);                                                                        // 7440 s
    const Frame query = lab_.pass(kClientPort, datagram(3));                                  // 30 s, then 300 s
    lab_.pass(kClientPort, datagram(4));                                                      // 30 s: one way
    lab_.pass(kNodePort, lab_.reply_to(query));
    EXPECT_EQ(lab_.connections(), 4U);
    const auto skip_to = [&](std::uint64_t seconds) {
        lab_.now_ms = 5000 + seconds * 1000;
        lab_.wait_ms(200);
    };
    constexpr std::uint64_t kLate = 2 + flow::kStampSeconds;  // entries are stamped so seldom
    skip_to(29);
    EXPECT_EQ(lab_.connections(), 4U);
    skip_to(30 + kLate);
    EXPECT_EQ(lab_.connections(), 3U);
    skip_to(60 + kLate);
    EXPECT_EQ(lab_.connections(), 2U);
    skip_to(300 + kLate);
    EXPECT_EQ(lab_.connections(), 1U);
    skip_to(7400);
    EXPECT_EQ(lab_.connections(), 1U);
    skip_to(7440 + kLate);
    EXPECT_EQ(lab_.connections(), 0U);
}

TEST_F(WorkerChange, AServicesOwnTimeoutReplacesTheEstablishedOne) {
    auto state = lab_.web();
    state.services[0].idle_timeout_seconds = 100;
    lab_.apply(state);
    lab_.establish(2);
    lab_.now_ms += 99'000;
    lab_.wait_ms(200);
    EXPECT_EQ(lab_.connections(), 1U);
    lab_.now_ms += 3'000 + flow::kStampSeconds * 1000;
    lab_.wait_ms(200);
    EXPECT_EQ(lab_.connections(), 0U);
}

}  // namespace
}  // namespace guideway::worker::testing
