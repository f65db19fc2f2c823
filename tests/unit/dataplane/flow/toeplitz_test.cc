// Microsoft's verification suite ("Verifying the RSS Hash Calculation"), all of it, and the table against the bits.
#include "dataplane/flow/toeplitz.h"

#include <arpa/inet.h>

#include <gtest/gtest.h>

#include "tests/unit/dataplane/flow/rss_testing.h"

namespace guideway::flow {
namespace {

using testing::kMicrosoftKey;

struct Vector {
    const char* destination;
    std::uint16_t destination_port;
    const char* source;
    std::uint16_t source_port;
    std::uint32_t hash;
};

TEST(Toeplitz, Ipv4VectorsWithPorts) {
    for (const Vector& vector : {Vector{"161.142.100.80", 1766, "66.9.149.187", 2794, 0x51ccc178},
                                 Vector{"65.69.140.83", 4739, "199.92.111.2", 14230, 0xc626b0ea},
                                 Vector{"12.22.207.184", 38024, "24.19.198.95", 12898, 0x5c2b394a},
                                 Vector{"209.142.163.6", 2217, "38.27.205.30", 48228, 0xafc7327f},
                                 Vector{"202.188.127.2", 1303, "153.39.163.191", 44251, 0x10e828a2}}) {
        const packet::FiveTupleV4 tuple{inet_addr(vector.source),
                                        inet_addr(vector.destination),
                                        htons(vector.source_port),
                                        htons(vector.destination_port),
                                        6,
                                        {}};
        EXPECT_EQ(toeplitz(tuple, kMicrosoftKey), vector.hash) << vector.source;
    }
}

TEST(Toeplitz, Ipv6VectorsWithPorts) {
    for (const Vector& vector :
         {Vector{"3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x40207d3d},
          Vector{"ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0xdde51bbf},
          Vector{"fe80::200:f8ff:fe21:67cf", 38024, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 44251, 0x02d1feef}}) {
        packet::FiveTupleV6 tuple{};
        ASSERT_EQ(inet_pton(AF_INET6, vector.source, tuple.source.data()), 1);
        ASSERT_EQ(inet_pton(AF_INET6, vector.destination, tuple.destination.data()), 1);
        tuple.source_port = htons(vector.source_port);
        tuple.destination_port = htons(vector.destination_port);
        EXPECT_EQ(toeplitz(tuple, kMicrosoftKey), vector.hash) << vector.source;
    }
}

TEST(Toeplitz, VectorsWithoutPorts) {
    for (const Vector& vector : {Vector{"161.142.100.80", 0, "66.9.149.187", 0, 0x323e8fc2},
                                 Vector{"65.69.140.83", 0, "199.92.111.2", 0, 0xd718262a},
                                 Vector{"12.22.207.184", 0, "24.19.198.95", 0, 0xd2d0a5de},
                                 Vector{"209.142.163.6", 0, "38.27.205.30", 0, 0x82989176},
                                 Vector{"202.188.127.2", 0, "153.39.163.191", 0, 0x5d1809c5}}) {
        const packet::FiveTupleV4 tuple{inet_addr(vector.source), inet_addr(vector.destination), 0, 0, 6, {}};
        EXPECT_EQ(toeplitz(tuple, kMicrosoftKey), vector.hash) << vector.source;  // ports of 0 add nothing
    }
    for (const Vector& vector :
         {Vector{"3ffe:2501:200:3::1", 0, "3ffe:2501:200:1fff::7", 0, 0x2cc18cd5},
          Vector{"ff02::1", 0, "3ffe:501:8::260:97ff:fe40:efab", 0, 0x0f0c461c},
          Vector{"fe80::200:f8ff:fe21:67cf", 0, "3ffe:1900:4545:3:200:f8ff:fe21:67cf", 0, 0x4b61e985}}) {
        packet::FiveTupleV6 tuple{};
        ASSERT_EQ(inet_pton(AF_INET6, vector.source, tuple.source.data()), 1);
        ASSERT_EQ(inet_pton(AF_INET6, vector.destination, tuple.destination.data()), 1);
        EXPECT_EQ(toeplitz(tuple, kMicrosoftKey), vector.hash) << vector.source;
    }
}

template <typename Tuple>
void expect_table_equals_bits() {
    std::mt19937_64 random(11);
    std::vector<ToeplitzKey> keys{kMicrosoftKey, testing::kMellanoxKey, ToeplitzKey{}};
    for (int i = 0; i < 5; ++i) keys.push_back(testing::random_key(random));
    for (const ToeplitzKey& key : keys) {
        const ToeplitzTable<kToeplitzBytes<Tuple>> table(key);
        for (int i = 0; i < 2000; ++i) {
            const auto tuple = testing::random_tuple<Tuple>(random);
            ASSERT_EQ(table.of(reinterpret_cast<const std::uint8_t*>(&tuple)), toeplitz(tuple, key));
        }
    }
}

TEST(ToeplitzTable, EqualsTheBitwiseForm) {
    expect_table_equals_bits<packet::FiveTupleV4>();
    expect_table_equals_bits<packet::FiveTupleV6>();
}

TEST(ToeplitzTable, GivesWhatOneByteContributes) {
    const ToeplitzTable<12> table(kMicrosoftKey);
    const packet::FiveTupleV4 port{0, 0, 0, htons(0xabcd), 6, {}};
    EXPECT_EQ(table.of_byte(10, 0xab) ^ table.of_byte(11, 0xcd), toeplitz(port, kMicrosoftKey));
}

TEST(Toeplitz, IsLinear) {
    packet::FiveTupleV4 a{0x12345678, 0x9abcdef0, 0x1111, 0x2222, 6, {}};
    packet::FiveTupleV4 b{0x0badcafe, 0x00c0ffee, 0x3333, 0x4444, 6, {}};
    packet::FiveTupleV4 both{
        a.source ^ b.source, a.destination ^ b.destination, 0x1111 ^ 0x3333, 0x2222 ^ 0x4444, 6, {}};
    EXPECT_EQ(toeplitz(both, kMicrosoftKey), toeplitz(a, kMicrosoftKey) ^ toeplitz(b, kMicrosoftKey));
}

}  // namespace
}  // namespace guideway::flow
