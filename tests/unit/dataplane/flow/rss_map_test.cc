#include "dataplane/flow/rss_map.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cmath>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/flow/rss_testing.h"

namespace guideway::flow {
namespace {

using testing::arrives_at;
using testing::even_layout;
using testing::kMicrosoftKey;
using testing::random_tuple;
using Tuple = packet::FiveTupleV4;

std::string reason_against(const RssLayout& layout, std::uint32_t workers, std::uint16_t first = 1024,
                           std::uint16_t last = 65535) {
    std::string error;
    EXPECT_EQ(RssMapV4::make(layout, workers, first, last, error), nullptr);
    return error;
}

TEST(RssMap, KnowsWhereThePacketArrives) {
    std::mt19937_64 random(1);
    std::string error;
    const RssLayout layout = even_layout(kMicrosoftKey, 128, 3);
    const auto v4 = RssMapV4::make(layout, 3, 1024, 65535, error);
    const auto v6 = RssMapV6::make(layout, 3, 1024, 65535, error);
    ASSERT_TRUE(v4 && v6) << error;
    for (int i = 0; i < 2000; ++i) {
        const auto four = random_tuple<packet::FiveTupleV4>(random);
        const auto six = random_tuple<packet::FiveTupleV6>(random);
        ASSERT_EQ(v4->worker_of(four), arrives_at(layout, four));
        ASSERT_EQ(v6->worker_of(six), arrives_at(layout, six));
        ASSERT_EQ(v4->hash(four), toeplitz(four, layout.key));
    }
}

TEST(RssMap, ItsPortsForAWorkerAreExactlyThoseWhoseReplyArrivesThere) {
    std::mt19937_64 random(2);
    std::string error;
    RssLayout layout = even_layout(kMicrosoftKey, 64, 5);
    layout.worker_of_queue = {2, 0, 1, 1, 2};  // two queues of one worker
    const auto map = RssMapV4::make(layout, 3, 1024, 40000, error);
    ASSERT_TRUE(map) << error;
    for (int i = 0; i < 5; ++i) {
        auto reply = random_tuple<Tuple>(random);
        for (std::uint32_t worker = 0; worker < 3; ++worker) {
            const auto ports = map->ports_to(worker, reply);
            std::set<std::uint16_t> given;
            for (std::uint32_t group = 0; group < ports.groups(); ++group) {
                for (const std::uint16_t port : ports.group(group)) ASSERT_TRUE(given.insert(port).second);
            }
            for (std::uint32_t port = 0; port < 65536; ++port) {
                reply.destination_port = htons(static_cast<std::uint16_t>(port));
                const bool wanted = port >= 1024 && port <= 40000 && arrives_at(layout, reply) == worker;
                ASSERT_EQ(given.contains(static_cast<std::uint16_t>(port)), wanted) << port;
            }
            EXPECT_EQ(ports.count(), given.size());
            EXPECT_GE(ports.count(), map->fewest_ports());
        }
    }
}

TEST(RssMap, DrawsEveryPortAsOftenAsAnyOther) {
    std::mt19937_64 random(3);
    std::string error;
    const auto map = RssMapV4::make(even_layout(kMicrosoftKey, 128, 3), 3, 1024, 4095, error);
    ASSERT_TRUE(map) << error;
    const auto ports = map->ports_to(1, random_tuple<Tuple>(random));
    std::vector<std::uint32_t> drawn(65536);
    constexpr std::uint32_t kEach = 100;
    for (std::uint32_t left = ports.count() * kEach; left > 0;) {
        const auto port = ports.draw(static_cast<std::uint32_t>(random() >> 32));
        if (!port) continue;
        ++drawn[*port];
        --left;
    }
    double chi_square = 0;
    std::uint32_t different = 0;
    for (const std::uint32_t times : drawn) {
        if (times == 0) continue;
        ++different;
        chi_square += (times - double{kEach}) * (times - double{kEach}) / kEach;
    }
    EXPECT_EQ(different, ports.count());
    // Mean n - 1, variance 2 (n - 1): five standard deviations.
    EXPECT_NEAR(chi_square, different - 1.0, 5 * std::sqrt(2.0 * different));
}

TEST(RssMap, ATableThatRepeatsItselfIsFolded) {
    std::string error;
    EXPECT_EQ(workers_by_residue(even_layout(kMicrosoftKey, 512, 4), error), (std::vector<std::uint16_t>{0, 1, 2, 3}));
    EXPECT_EQ(workers_by_residue(even_layout(kMicrosoftKey, 128, 3), error).size(), 128U);
    EXPECT_EQ(workers_by_residue(even_layout(kMicrosoftKey, 1, 1), error).size(), 1U);
    RssLayout shared = even_layout(kMicrosoftKey, 64, 4);
    shared.worker_of_queue = {0, 0, 0, 0};
    EXPECT_EQ(workers_by_residue(shared, error), std::vector<std::uint16_t>{0});
}

TEST(RssMap, RefusesWhatIsNoRedirectionTable) {
    EXPECT_NE(reason_against(even_layout(kMicrosoftKey, 100, 2), 2).find("100 entries"), std::string::npos);
    EXPECT_NE(reason_against(even_layout(kMicrosoftKey, 0, 2), 2).find("0 entries"), std::string::npos);
    EXPECT_NE(reason_against(even_layout(kMicrosoftKey, 4096, 2), 2).find("4096 entries"), std::string::npos);
    RssLayout foreign = even_layout(kMicrosoftKey, 64, 4);
    foreign.reta[7] = 9;
    EXPECT_NE(reason_against(foreign, 4).find("queue 9 of 4"), std::string::npos);
    EXPECT_NE(reason_against(even_layout(kMicrosoftKey, 64, 4), 2).find("worker 2"), std::string::npos);
}

TEST(RssMap, RefusesAWorkerWithoutAQueue) {
    EXPECT_NE(reason_against(even_layout(kMicrosoftKey, 64, 2), 4).find("no queue of worker 2"), std::string::npos);
}

TEST(RssMap, RefusesAKeyUnderWhichPortsDoNotReachEveryWorker) {
    RssLayout layout = even_layout(kMicrosoftKey, 64, 4);
    for (std::size_t i = 10; i < 16; ++i) layout.key[i] = 0;  // of IPv4 the destination port contributes nothing
    EXPECT_NE(reason_against(layout, 4).find("no SNAT port"), std::string::npos);
    std::string error;
    EXPECT_TRUE(RssMapV6::make(layout, 4, 1024, 65535, error)) << "of IPv6 it does: " << error;
    EXPECT_NE(reason_against(even_layout(kMicrosoftKey, 128, 3), 3, 2000, 2001).find("no SNAT port"),
              std::string::npos);
}

TEST(RssMap, AKeyOfLessRankWillDoWhereEveryWorkerHasAPort) {
    // The hash's bit 6 does not depend on the port: half of the 128 residues are out of reach, but each worker is in both halves.
    RssLayout layout = even_layout(kMicrosoftKey, 128, 4);
    layout.worker_of_queue = {0, 1, 2, 3};
    std::rotate(layout.reta.begin(), layout.reta.begin() + 65, layout.reta.end());
    std::swap(layout.reta[0], layout.reta[5]);  // so that it is not folded
    // Key bits 105..120 are what the port adds to the hash's bit 6 (value 0x40).
    for (std::size_t bit = 105; bit <= 120; ++bit)
        layout.key[bit / 8] &= static_cast<std::uint8_t>(~(0x80U >> bit % 8));
    // Then the lower bits' rows shift through zeros too: what remains is checked against the slow NIC.
    std::string error;
    const auto map = RssMapV4::make(layout, 4, 1024, 65535, error);
    std::mt19937_64 random(5);
    auto reply = random_tuple<Tuple>(random);
    std::set<std::uint32_t> residues;
    for (std::uint32_t port = 0; port < 65536; ++port) {
        reply.destination_port = htons(static_cast<std::uint16_t>(port));
        residues.insert(toeplitz(reply, layout.key) & 127U);
    }
    ASSERT_LT(residues.size(), 128U) << "the key should lack rank";
    ASSERT_TRUE(map) << error;
    EXPECT_GT(map->fewest_ports(), 1000U);
}

}  // namespace
}  // namespace guideway::flow
