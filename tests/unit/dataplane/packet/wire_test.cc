#include "dataplane/packet/wire.h"

#include <gtest/gtest.h>

namespace guideway::packet {
namespace {

TEST(Wire, LoadsAndStoresAreBigEndianAtAnyAlignment) {
    std::array<std::uint8_t, 9> bytes{};
    store_be16(bytes.data() + 1, 0x1234);
    store_be32(bytes.data() + 3, 0xdeadbeef);
    EXPECT_EQ(bytes, (std::array<std::uint8_t, 9>{0, 0x12, 0x34, 0xde, 0xad, 0xbe, 0xef, 0, 0}));
    EXPECT_EQ(load_be16(bytes.data() + 1), 0x1234);
    EXPECT_EQ(load_be32(bytes.data() + 3), 0xdeadbeefU);
    store_raw16(bytes.data() + 7, load_raw16(bytes.data() + 1));
    EXPECT_EQ(load_be16(bytes.data() + 7), 0x1234) << "raw values move unchanged";
}

}  // namespace
}  // namespace guideway::packet
