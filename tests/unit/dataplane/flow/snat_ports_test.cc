#include "dataplane/flow/snat_ports.h"

#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::flow {
namespace {

using Tuple = packet::FiveTupleV4;

Tuple backend(const char* address, std::uint16_t port) { return {inet_addr(address), 0, htons(port), 0, 6, {}}; }

const std::array<std::uint32_t, 1> kOneAddress{inet_addr("10.0.2.1")};
const std::array<std::uint32_t, 2> kTwoAddresses{inet_addr("10.0.2.1"), inet_addr("10.0.2.2")};
constexpr auto kNothingTaken = [](const Tuple&) { return false; };
constexpr auto kEverythingTaken = [](const Tuple&) { return true; };

template <std::size_t kCount, typename InUse>
std::optional<Tuple> choose(SnatPorts& ports, const Tuple& reply, const std::array<std::uint32_t, kCount>& addresses,
                            std::uint64_t hash, InUse in_use) {
    return ports.choose(reply, std::span<const std::uint32_t>(addresses), hash, in_use);
}

TEST(SnatPorts, FillsInAddressAndPortAndNothingElse) {
    SnatPorts ports(1024, 65535, 0, 1);
    const auto reply = choose(ports, backend("10.0.2.11", 30080), kOneAddress, 0x123456789abcdef0ULL, kNothingTaken);
    ASSERT_TRUE(reply);
    EXPECT_EQ(reply->source, inet_addr("10.0.2.11"));
    EXPECT_EQ(reply->source_port, htons(30080));
    EXPECT_EQ(reply->protocol, 6);
    EXPECT_EQ(reply->destination, kOneAddress[0]);
    EXPECT_GE(ntohs(reply->destination_port), 1024);
}

TEST(SnatPorts, TheSameHashNamesTheSameAddressAndPort) {
    SnatPorts ports(1024, 65535, 0, 1);
    const auto one = choose(ports, backend("10.0.2.11", 1), kTwoAddresses, 77, kNothingTaken);
    EXPECT_EQ(one, choose(ports, backend("10.0.2.11", 1), kTwoAddresses, 77, kNothingTaken));
    EXPECT_NE(one, choose(ports, backend("10.0.2.11", 1), kTwoAddresses, 78, kNothingTaken));
}

TEST(SnatPorts, ConnectionsOfOneWorkerAndOneBackendUseAllAddresses) {
    // The low half of a selection hash names the worker, the high half the backend: here both are nearly constant.
    SnatPorts ports(1024, 65535, 0, 4);
    std::uint32_t first = 0;
    for (std::uint64_t i = 0; i < 1000; ++i) {
        const std::uint64_t hash = i << 32 | i * 1000;
        first +=
            choose(ports, backend("10.0.2.11", 1), kTwoAddresses, hash, kNothingTaken)->destination == kTwoAddresses[0]
                ? 1U
                : 0U;
    }
    EXPECT_GT(first, 400U);
    EXPECT_LT(first, 600U);
}

TEST(SnatPorts, AFullAddressLeadsToTheOther) {
    SnatPorts ports(1024, 65535, 0, 1);
    for (const std::uint64_t hash : {0x0ULL, 0xffffffffULL}) {
        const auto reply = choose(ports, backend("10.0.2.11", 1), kTwoAddresses, hash,
                                  [](const Tuple& t) { return t.destination == kTwoAddresses[0]; });
        ASSERT_TRUE(reply);
        EXPECT_EQ(reply->destination, kTwoAddresses[1]);
    }
}

TEST(SnatPorts, ExhaustedIsSaidAndCostsABoundedNumberOfLooks) {
    SnatPorts ports(1024, 65535, 0, 1);
    std::uint32_t looks = 0;
    EXPECT_FALSE(choose(ports, backend("10.0.2.11", 1), kTwoAddresses, 1, [&](const Tuple&) {
        ++looks;
        return true;
    }));
    EXPECT_EQ(looks, 2 * (SnatPorts::kRandomProbes + SnatPorts::kScan));
    EXPECT_FALSE(choose(ports, backend("10.0.2.11", 1), kOneAddress, 1, kEverythingTaken));
}

TEST(SnatPorts, WithoutAddressThereIsNone) {
    SnatPorts ports(1024, 65535, 0, 1);
    EXPECT_FALSE(choose(ports, backend("10.0.2.11", 1), std::array<std::uint32_t, 0>{}, 1, kNothingTaken));
}

TEST(SnatPorts, TwoBackendsMayHaveTheSamePort) {
    SnatPorts ports(2000, 2000, 0, 1);
    std::vector<Tuple> taken;
    const auto in_use = [&](const Tuple& t) { return std::find(taken.begin(), taken.end(), t) != taken.end(); };
    for (const char* address : {"10.0.2.11", "10.0.2.12"}) {
        const auto reply = choose(ports, backend(address, 30080), kOneAddress, 7, in_use);
        ASSERT_TRUE(reply) << address;
        EXPECT_EQ(reply->destination_port, htons(2000));
        taken.push_back(*reply);
    }
    EXPECT_FALSE(choose(ports, backend("10.0.2.11", 30080), kOneAddress, 7, in_use)) << "one backend never twice";
    EXPECT_TRUE(choose(ports, backend("10.0.2.11", 30081), kOneAddress, 7, in_use)) << "another port of it is another";
}

TEST(SnatPorts, EveryPortOfTheClassAndNoOtherIsACandidate) {
    for (const std::uint32_t workers : {1U, 2U, 3U, 7U, 64U}) {
        std::set<std::uint16_t> all;
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            SnatPorts ports(1024, 2047, worker, workers);
            std::set<std::uint16_t> seen;
            choose(ports, backend("10.0.2.11", 1), kOneAddress, 0x9876543210ULL, [&](const Tuple& t) {
                seen.insert(ntohs(t.destination_port));
                return true;
            });
            EXPECT_EQ(seen.size(), ports.candidates());
            for (const std::uint16_t port : seen) {
                EXPECT_EQ(port % workers, worker);
                EXPECT_TRUE(port >= 1024 && port <= 2047) << port;
                EXPECT_TRUE(all.insert(port).second) << port << " belongs to two workers";
            }
        }
        EXPECT_EQ(all.size(), 1024U) << workers << " workers";
    }
}

TEST(SnatPorts, ARangeWithoutAPortOfTheClassHasNone) {
    SnatPorts ports(2000, 2000, 1, 2);
    EXPECT_EQ(ports.candidates(), 0U);
    EXPECT_FALSE(choose(ports, backend("10.0.2.11", 1), kOneAddress, 7, kNothingTaken));
}

TEST(SnatPorts, TheHighestPortsDoNotWrapToLowOnes) {
    SnatPorts ports(65530, 65535, 2, 4);
    EXPECT_EQ(ports.candidates(), 2U);
    for (std::uint64_t hash = 0; hash < 16; ++hash) {
        const auto reply = choose(ports, backend("10.0.2.11", 1), kOneAddress, hash << 60, kNothingTaken);
        EXPECT_TRUE(reply->destination_port == htons(65530) || reply->destination_port == htons(65534));
    }
}

TEST(SnatPorts, WorksForIpv6) {
    SnatPorts ports(1024, 65535, 0, 1);
    packet::FiveTupleV6 reply{};
    reply.source[15] = 1;
    reply.protocol = 17;
    const std::array<std::array<std::uint8_t, 16>, 1> addresses{{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}}};
    const auto found = ports.choose(reply, std::span<const std::array<std::uint8_t, 16>>(addresses), 5,
                                    [](const packet::FiveTupleV6&) { return false; });
    ASSERT_TRUE(found);
    EXPECT_EQ(found->destination, addresses[0]);
    EXPECT_NE(found->destination_port, 0);
}

TEST(PortOwner, IsTheRemainderForEveryPortAndNumberOfWorkers) {
    for (std::uint32_t workers = 1; workers <= 64; ++workers) {
        const PortOwner owner(workers);
        for (std::uint32_t port = 0; port < 65536; ++port) {
            ASSERT_EQ(owner.of(static_cast<std::uint16_t>(port)), port % workers) << port << " % " << workers;
        }
    }
}

}  // namespace
}  // namespace guideway::flow
