// Microsoft's verification suite ("Verifying the RSS Hash Calculation"), with ports.
#include "dataplane/flow/toeplitz.h"

#include <arpa/inet.h>

#include <gtest/gtest.h>

namespace guideway::flow {
namespace {

constexpr ToeplitzKey kMicrosoftKey{0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3,
                                    0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3,
                                    0x80, 0x30, 0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

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

TEST(Toeplitz, Ipv4VectorWithoutPorts) {
    constexpr std::array<std::uint8_t, 8> kAddresses{66, 9, 149, 187, 161, 142, 100, 80};
    EXPECT_EQ(toeplitz(kAddresses, kMicrosoftKey), 0x323e8fc2U);
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
