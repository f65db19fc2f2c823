// Source ranges (Kubernetes rule 11): who may open connections, and who may keep them.
#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerRanges : public ::testing::TestWithParam<bool> {
  protected:
    static bool v6() { return GetParam(); }
    static const char* vip() { return v6() ? kVipV6 : kVip; }
    static const char* inside() { return v6() ? kClientV6 : kClient; }
    static const char* outside() { return v6() ? "2001:db8:d::7" : "198.51.101.7"; }

    /// Every service of the state takes the client's network alone.
    contract::ForwardingState closed(bool end_established = false) const {
        auto state = lab_.web();
        state.source_range_sets = {
            {"clients", {*IpPrefix::parse("198.51.100.0/24"), *IpPrefix::parse("2001:db8:c::/48")}}};
        for (auto& service : state.services) {
            service.source_ranges = "clients";
            service.ranges_end_established = end_established;
        }
        return state;
    }
    /// The same with nobody in it.
    contract::ForwardingState shut(bool end_established) const {
        auto state = closed(end_established);
        state.source_range_sets[0].prefixes.clear();
        return state;
    }
    static Frame tcp_from(const char* client, std::uint8_t flags, std::uint16_t port = 40000) {
        return PacketBuilder().ip(client, vip()).tcp(port, 80, flags).build();
    }
    static Frame udp_from(const char* client, std::uint16_t port = 40000) {
        return PacketBuilder().ip(client, vip()).udp(port, 53).payload(10).build();
    }
    Frame open_tcp() {
        const Frame syn = lab_.pass(kClientPort, tcp_from(inside(), tcp::kSyn));
        EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(syn)).empty());
        EXPECT_FALSE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kAck)).empty());
        EXPECT_FALSE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kAck)).empty());
        return syn;
    }

    Lab lab_;
};
INSTANTIATE_TEST_SUITE_P(BothFamilies, WorkerRanges, ::testing::Bool(),
                         [](const auto& about) { return about.param ? "IPv6" : "IPv4"; });

TEST_P(WorkerRanges, OnlyClientsWithinTheRangesOpenConnections) {
    // Why: rule 11; with ipMode Proxy nothing behind the load balancer sees the client's address.
    lab_.apply(closed());
    EXPECT_FALSE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kSyn)).empty());
    EXPECT_FALSE(lab_.pass(kClientPort, udp_from(inside())).empty());
    EXPECT_TRUE(lab_.pass(kClientPort, tcp_from(outside(), tcp::kSyn)).empty());
    EXPECT_TRUE(lab_.pass(kClientPort, udp_from(outside())).empty());
    EXPECT_TRUE(lab_.pass(kClientPort, tcp_from(outside(), tcp::kAck)).empty());
    EXPECT_EQ(lab_.dropped(DropReason::source_not_allowed), 3U);
    EXPECT_TRUE(lab_.sent(kClientPort).empty()) << "no RST: whoever is shut out is told nothing";
    std::uint64_t by_service = 0;
    for (const auto& service : lab_.counters().services) by_service += service.source_not_allowed;
    EXPECT_EQ(by_service, 3U);
    EXPECT_EQ(lab_.connections(), 2U);
}

TEST_P(WorkerRanges, AServiceWithoutRangesIsOpenToAll) {
    auto state = closed();
    for (auto& service : state.services) {
        if (service.protocol == contract::Protocol::udp) service.source_ranges.clear();
    }
    lab_.apply(state);
    EXPECT_FALSE(lab_.pass(kClientPort, udp_from(outside())).empty());
    EXPECT_TRUE(lab_.pass(kClientPort, tcp_from(outside(), tcp::kSyn)).empty());
}

TEST_P(WorkerRanges, RangesOfOneFamilyCloseTheOther) {
    // Why: rule 11, on a dual-stack service.
    auto state = closed();
    state.source_range_sets[0].prefixes = {*IpPrefix::parse(v6() ? "0.0.0.0/0" : "::/0")};
    lab_.apply(state);
    EXPECT_TRUE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kSyn)).empty());
    EXPECT_EQ(lab_.dropped(DropReason::source_not_allowed), 1U);
}

TEST_P(WorkerRanges, AChangeIsInForceForNewConnectionsAtOnceAndOldOnesGoOn) {
    lab_.apply(closed());
    const Frame syn = open_tcp();
    lab_.apply(shut(false));
    EXPECT_FALSE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kAck)).empty());
    EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty());
    EXPECT_TRUE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kSyn, 40001)).empty());
    lab_.apply(closed());
    EXPECT_FALSE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kSyn, 40001)).empty());
}

TEST_P(WorkerRanges, WhereTheServiceSaysSoConnectionsOfThoseShutOutEnd) {
    // Why: rule 11, "on established connections by option". The plain way knows nothing of ranges: that marks are old after a
    // change is what is tried here, in either direction first.
    for (const bool client_first : {true, false}) {
        lab_.apply(closed(true));
        const Frame syn = open_tcp();
        const std::uint64_t ended = lab_.totals().ended_ranges.read();
        lab_.apply(shut(true));
        if (client_first) {
            EXPECT_TRUE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kAck)).empty());
        }
        EXPECT_TRUE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty());
        EXPECT_TRUE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kAck)).empty());
        EXPECT_EQ(lab_.connections(), 0U);
        EXPECT_EQ(lab_.totals().ended_ranges.read(), ended + 1);
    }
    EXPECT_EQ(lab_.dropped(DropReason::source_not_allowed), 3U);
    EXPECT_EQ(lab_.dropped(DropReason::reply_unknown), 2U);
}

TEST_P(WorkerRanges, ConnectionsOfThoseStillAllowedGoOn) {
    lab_.apply(closed(true));
    const Frame syn = open_tcp();
    auto state = closed(true);
    state.source_range_sets[0].prefixes.push_back(*IpPrefix::parse("192.0.2.0/24"));
    lab_.apply(state);
    EXPECT_FALSE(lab_.pass(kClientPort, tcp_from(inside(), tcp::kAck)).empty());
    EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty());
    EXPECT_EQ(lab_.dropped(), 0U);
}

}  // namespace
}  // namespace guideway::worker::testing
