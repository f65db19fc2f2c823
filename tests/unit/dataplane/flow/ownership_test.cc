#include "dataplane/flow/ownership.h"

#include <arpa/inet.h>
#include <array>

#include <gtest/gtest.h>

#include "dataplane/flow/snat_ports.h"
#include "tests/unit/dataplane/flow/rss_testing.h"

namespace guideway::flow {
namespace {

using packet::FiveTupleV4;
using packet::FiveTupleV6;
using testing::arrives_at;
using testing::random_tuple;

const RssLayout kLayout = testing::even_layout(testing::kMellanoxKey, 512, 4);

Ownership tcp_over_ipv4_by_rss() {
    std::string error;
    Ownership ownership(4);
    ownership.use_rss(RssMapV4::make(kLayout, 4, 1024, 65535, error), {6});
    EXPECT_EQ(error, "");
    return ownership;
}

TEST(Ownership, ByRingsItIsTheSelectionHashAndTheSnatPort) {
    std::mt19937_64 random(1);
    const Ownership ownership(5);
    for (int i = 0; i < 1000; ++i) {
        const auto tuple = random_tuple<FiveTupleV6>(random, 17);
        ASSERT_EQ(ownership.of_client(tuple, selection_hash(tuple)), owner_worker(selection_hash(tuple), 5));
        ASSERT_EQ(ownership.of_reply(tuple), ntohs(tuple.destination_port) % 5);
        ASSERT_EQ(ownership.rss(tuple), nullptr);
    }
}

TEST(Ownership, ByRssItIsTheQueueOfBothDirections) {
    std::mt19937_64 random(2);
    const Ownership ownership = tcp_over_ipv4_by_rss();
    for (int i = 0; i < 1000; ++i) {
        const auto tuple = random_tuple<FiveTupleV4>(random);
        ASSERT_EQ(ownership.of_client(tuple, 0), arrives_at(kLayout, tuple));
        ASSERT_EQ(ownership.of_reply(tuple), arrives_at(kLayout, tuple));
    }
}

TEST(Ownership, EachFamilyAndProtocolGoesItsOwnWay) {
    std::mt19937_64 random(3);
    const Ownership ownership = tcp_over_ipv4_by_rss();
    EXPECT_NE(ownership.rss(random_tuple<FiveTupleV4>(random, 6)), nullptr);
    for (const std::uint8_t protocol : {std::uint8_t{17}, std::uint8_t{132}, std::uint8_t{1}}) {
        const auto tuple = random_tuple<FiveTupleV4>(random, protocol);
        EXPECT_EQ(ownership.rss(tuple), nullptr) << int{protocol};
        EXPECT_EQ(ownership.of_reply(tuple), ntohs(tuple.destination_port) % 4);
    }
    EXPECT_EQ(ownership.rss(random_tuple<FiveTupleV6>(random, 6)), nullptr);
}

TEST(Ownership, TheSnatPortBringsTheReplyToTheOwnerInBothWays) {
    std::mt19937_64 random(4);
    const Ownership ownership = tcp_over_ipv4_by_rss();
    const std::array<std::uint32_t, 2> addresses{inet_addr("10.0.2.1"), inet_addr("10.0.2.2")};
    for (std::uint32_t worker = 0; worker < 4; ++worker) {
        SnatPorts ports(1024, 65535, worker, ownership);
        for (int i = 0; i < 1000; ++i) {
            const auto backend = random_tuple<FiveTupleV4>(random, i % 2 == 0 ? 6 : 17);
            const auto reply = ports.choose(backend, std::span<const std::uint32_t>(addresses), random(),
                                            [](const FiveTupleV4&) { return false; });
            ASSERT_TRUE(reply);
            ASSERT_EQ(ownership.of_reply(*reply), worker);
            ASSERT_GE(ntohs(reply->destination_port), 1024);
            ASSERT_EQ(reply->source, backend.source);
            ASSERT_EQ(reply->source_port, backend.source_port);
        }
    }
}

TEST(Ownership, TheFirstCandidateIsTheOneThatIsChosenWhereItIsFree) {
    std::mt19937_64 random(5);
    const Ownership ownership = tcp_over_ipv4_by_rss();
    const std::array<std::uint32_t, 2> addresses{inet_addr("10.0.2.1"), inet_addr("10.0.2.2")};
    const std::span<const std::uint32_t> list(addresses);
    for (const std::uint16_t last : {std::uint16_t{2100}, std::uint16_t{65535}}) {  // scanned only, and probed
        SnatPorts ports(1024, last, 2, ownership);
        for (int i = 0; i < 1000; ++i) {
            const auto backend = random_tuple<FiveTupleV4>(random, i % 2 == 0 ? 6 : 17);
            const std::uint64_t hash = random();
            const auto first = ports.first_candidate(backend, list, hash);
            std::optional<FiveTupleV4> asked;
            const auto chosen = ports.choose(backend, list, hash, [&](const FiveTupleV4& tuple) {
                if (asked) return false;
                asked = tuple;
                return i % 3 == 0;  // taken: another is chosen
            });
            ASSERT_TRUE(first && chosen);
            ASSERT_EQ(*first, *asked);
            ASSERT_EQ(*chosen == *first, i % 3 != 0);
        }
    }
}

TEST(Ownership, ByHashTheSearchIsBounded) {
    const Ownership ownership = tcp_over_ipv4_by_rss();
    const std::array<std::uint32_t, 2> addresses{inet_addr("10.0.2.1"), inet_addr("10.0.2.2")};
    SnatPorts ports(1024, 65535, 1, ownership);
    std::uint32_t looks = 0;
    const FiveTupleV4 backend{inet_addr("10.0.2.11"), 0, htons(80), 0, 6, {}};
    EXPECT_FALSE(ports.choose(backend, std::span<const std::uint32_t>(addresses), 7, [&](const FiveTupleV4&) {
        ++looks;
        return true;
    }));
    EXPECT_GE(looks, 2 * SnatPorts::kScan);
    EXPECT_LE(looks, 2 * (SnatPorts::kRandomProbes + SnatPorts::kScan));
}

}  // namespace
}  // namespace guideway::flow
