#include "dataplane/net/steering.h"

#include <algorithm>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/flow/rss_testing.h"

namespace guideway::net {
namespace {

PortRss port(const std::string& name, std::uint16_t queues, std::size_t entries = 128) {
    const flow::RssLayout layout = flow::testing::even_layout(kRssKey, entries, queues);
    return {name, {"", layout.key, layout.reta, {{{true, true, true}, {true, true, true}}}}, layout.worker_of_queue};
}

Steering decide(const std::vector<PortRss>& ports, std::uint32_t workers) {
    return decide_steering(ports, workers, 1024, 65535);
}

/// The reason of every family and protocol, which must be one.
std::string reason_of(const Steering& steering) {
    std::set<std::string> reasons;
    for (const auto& way : steering.ways) {
        EXPECT_EQ(way.way, "rings");
        reasons.insert(way.reason);
    }
    EXPECT_EQ(reasons.size(), 1U);
    EXPECT_NE(steering.summary.find(*reasons.begin()), std::string::npos) << steering.summary;
    return *reasons.begin();
}

TEST(Steering, UsablePortsThatAgreeGoByRss) {
    const Steering steering = decide({port("outside", 4), port("inside", 4)}, 4);
    ASSERT_EQ(steering.ways.size(), 6U);
    for (const auto& way : steering.ways) {
        EXPECT_EQ(way.way, "rss");
        EXPECT_EQ(way.reason, "");
    }
    EXPECT_EQ(
        steering.summary,
        "rss for TCP over IPv4, UDP over IPv4, SCTP over IPv4, TCP over IPv6, UDP over IPv6, SCTP over IPv6 (at least "
        "16128 SNAT ports a worker, backend and SNAT address)");
    packet::FiveTupleV4 tuple{1, 2, 3, 4, 6, {}};
    ASSERT_NE(steering.ownership.rss(tuple), nullptr);
    EXPECT_EQ(steering.ownership.rss(tuple)->hash(tuple), flow::toeplitz(tuple, kRssKey));
}

TEST(Steering, TablesOfDifferentLengthMayAgree) {
    EXPECT_EQ(decide({port("a", 4, 128), port("b", 4, 512)}, 4).ways[0].way, "rss");
    EXPECT_EQ(reason_of(decide({port("a", 3, 128), port("b", 3, 512)}, 3)),
              "ports 'a' and 'b' lead equal hashes to different workers");
}

TEST(Steering, AProtocolWhosePortsAreNotHashedGoesByRings) {
    auto two = port("b", 2);
    two.rss.hashes_ports_of[1][2] = false;
    const Steering steering = decide({port("a", 2), two}, 2);
    for (const auto& way : steering.ways) {
        const bool sctp_v6 = way.family == IpFamily::ipv6 && way.protocol == contract::Protocol::sctp;
        EXPECT_EQ(way.way, sctp_v6 ? "rings" : "rss");
        EXPECT_EQ(way.reason, sctp_v6 ? "port 'b' does not hash its ports" : "");
    }
    packet::FiveTupleV6 tuple{};
    tuple.protocol = 132;
    EXPECT_EQ(steering.ownership.rss(tuple), nullptr);
    tuple.protocol = 6;
    EXPECT_NE(steering.ownership.rss(tuple), nullptr);
}

TEST(Steering, EveryReasonForRingsIsSaid) {
    EXPECT_EQ(reason_of(decide({port("a", 1)}, 1)), "one worker has every connection");
    EXPECT_EQ(reason_of(decide({}, 2)), "there is no port");
    PortRss one_queue{"a", {"one receive queue", {}, {}, {}}, {0}};
    PortRss no_rss{"b", {"its driver has no RSS", {}, {}, {}}, {0, 1}};
    EXPECT_EQ(reason_of(decide({one_queue, no_rss}, 2)),
              "port 'a': one receive queue; port 'b': its driver has no RSS");
    auto other_key = port("b", 2);
    other_key.rss.key[3] ^= 1;
    EXPECT_EQ(reason_of(decide({port("a", 2), other_key}, 2)), "ports 'a' and 'b' hash with different keys");
    EXPECT_EQ(reason_of(decide({port("a", 2)}, 3)), "port 'a': no queue of worker 2 in the redirection table");
    auto odd = port("a", 2);
    odd.rss.reta.resize(100);
    EXPECT_EQ(reason_of(decide({odd}, 2)),
              "port 'a': a redirection table of 100 entries, usable is a power of two up to 2048");
    auto zeros = port("a", 2);
    zeros.rss.key.fill(0);
    EXPECT_NE(reason_of(decide({zeros}, 2)).find("no SNAT port"), std::string::npos);
}

TEST(Steering, APortWithoutRssDoesNotKeepTheOthersFromIt) {
    PortRss software{"lab", {"its driver has no RSS", {}, {}, {}}, {0, 1}};
    EXPECT_EQ(decide({software, port("a", 2)}, 2).ways[0].way, "rss");
}

TEST(Steering, OurKeyIsOfFullRankForBothPortsOfBothFamilies) {
    for (const std::size_t first_bit : {64U, 80U, 256U, 272U}) {
        for (unsigned bits = 1; bits <= 16; ++bits) {
            // The span of the 16 windows' low bits, grown one by one.
            std::set<std::uint32_t> span{0};
            for (std::size_t bit = first_bit; bit < first_bit + 16; ++bit) {
                const std::uint32_t window = flow::toeplitz_window(kRssKey, bit) & ((1U << bits) - 1);
                if (span.contains(window)) continue;
                for (const std::uint32_t one : std::vector(span.begin(), span.end())) span.insert(one ^ window);
            }
            EXPECT_EQ(span.size(), std::size_t{1} << bits) << "port at bit " << first_bit << ", low bits " << bits;
        }
    }
}

TEST(RssAgreement, TellsOnceWhenTooManyHashesDiffer) {
    RssAgreement agreement;
    EXPECT_FALSE(agreement.look(500, 400)) << "too few to judge";
    EXPECT_EQ(agreement.look(900, 100), 10U);
    EXPECT_FALSE(agreement.look(1800, 200)) << "said already";
    EXPECT_FALSE(agreement.look(11800, 200)) << "right again";
    EXPECT_FALSE(agreement.look(12800, 220)) << "a few are no fault";
    EXPECT_EQ(agreement.look(12800, 2220), 100U);
}

}  // namespace
}  // namespace guideway::net
