#include "dataplane/flow/hash.h"

#include <arpa/inet.h>
#include <set>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::flow {
namespace {

packet::FiveTupleV4 tuple_v4(const char* source, const char* destination, std::uint16_t source_port,
                             std::uint16_t destination_port) {
    return {inet_addr(source), inet_addr(destination), htons(source_port), htons(destination_port), 6, {}};
}

packet::FiveTupleV6 tuple_v6(const char* source, const char* destination, std::uint16_t source_port,
                             std::uint16_t destination_port) {
    packet::FiveTupleV6 tuple{};
    inet_pton(AF_INET6, source, tuple.source.data());
    inet_pton(AF_INET6, destination, tuple.destination.data());
    tuple.source_port = htons(source_port);
    tuple.destination_port = htons(destination_port);
    tuple.protocol = 6;
    return tuple;
}

TEST(SelectionHash, IsTheSameNumberOnEveryMachineAndInEveryVersion) {
    EXPECT_EQ(selection_hash(tuple_v4("198.51.100.7", "203.0.113.10", 40000, 80)), 0xd5c986d6103c76b7ULL);
    EXPECT_EQ(selection_hash(tuple_v6("2001:db8:1::7", "2001:db8::10", 40000, 80)), 0x22eca098f85cdd98ULL);
}

TEST(SelectionHash, BackendAndWorkerUseDifferentHalves) {
    EXPECT_EQ(maglev_hash(0x1234567800000000ULL), 0x12345678U);
    EXPECT_EQ(owner_worker(0xffffffff00000000ULL, 4), 0U);
    EXPECT_EQ(owner_worker(0x0000000040000000ULL, 4), 1U);
    EXPECT_EQ(owner_worker(0x00000000ffffffffULL, 4), 3U);
    EXPECT_EQ(owner_worker(0x00000000ffffffffULL, 1), 0U);
}

TEST(FlowHash, DependsOnTheSeed) {
    const auto tuple = tuple_v4("198.51.100.7", "203.0.113.10", 40000, 80);
    EXPECT_NE(hash_tuple(tuple, HashKeys::from_seed(1)), hash_tuple(tuple, HashKeys::from_seed(2)));
}

template <typename Tuple>
void every_bit_changes_about_half_of_the_hash(Tuple tuple, std::size_t bytes) {
    const HashKeys keys = HashKeys::from_seed(99);
    const std::uint64_t before = hash_tuple(tuple, keys);
    for (std::size_t bit = 0; bit < bytes * 8; ++bit) {
        std::vector<unsigned char> raw(sizeof tuple);
        std::memcpy(raw.data(), &tuple, sizeof tuple);
        raw[bit / 8] = static_cast<unsigned char>(raw[bit / 8] ^ 1U << bit % 8);
        Tuple changed;
        std::memcpy(&changed, raw.data(), sizeof changed);
        const int flips = std::popcount(hash_tuple(changed, keys) ^ before);
        EXPECT_GT(flips, 12) << "bit " << bit;
        EXPECT_LT(flips, 52) << "bit " << bit;
    }
}

TEST(FlowHash, EveryBitOfTheKeyMattersV4) {
    every_bit_changes_about_half_of_the_hash(tuple_v4("198.51.100.7", "203.0.113.10", 40000, 80), 13);
}

TEST(FlowHash, EveryBitOfTheKeyMattersV6) {
    every_bit_changes_about_half_of_the_hash(tuple_v6("2001:db8:1::7", "2001:db8::10", 40000, 80), 37);
}

TEST(FlowHash, SourceAndDestinationAreNotInterchangeable) {
    const HashKeys keys = HashKeys::from_seed(5);
    EXPECT_NE(hash_tuple(tuple_v4("10.0.0.1", "10.0.0.2", 1, 2), keys),
              hash_tuple(tuple_v4("10.0.0.2", "10.0.0.1", 2, 1), keys));
    EXPECT_NE(hash_tuple(tuple_v6("fd00::1", "fd00::2", 1, 2), keys),
              hash_tuple(tuple_v6("fd00::2", "fd00::1", 2, 1), keys));
}

TEST(FlowHash, SequentialPortsAndAddressesDoNotCollide) {
    const HashKeys keys = HashKeys::from_seed(5);
    std::set<std::uint64_t> seen;
    for (std::uint32_t address = 0; address < 64; ++address) {
        for (std::uint16_t port = 0; port < 1024; ++port) {
            auto tuple = tuple_v4("198.51.100.0", "203.0.113.10", port, 80);
            tuple.source += address << 24;
            seen.insert(hash_tuple(tuple, keys));
        }
    }
    EXPECT_EQ(seen.size(), 64U * 1024U);
}

}  // namespace
}  // namespace guideway::flow
