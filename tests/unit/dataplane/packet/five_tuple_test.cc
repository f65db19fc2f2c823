#include "dataplane/packet/five_tuple.h"

#include <gtest/gtest.h>

#include "tests/packet/packet_builder.h"

namespace guideway::packet {
namespace {

TEST(FiveTuple, SwappedExchangesAddressesAndPortsAndTwiceIsTheSame) {
    const auto v4 = testing::tuple_v4("10.0.0.1", 1, "10.0.0.2", 2, 6);
    EXPECT_EQ(swapped(v4), testing::tuple_v4("10.0.0.2", 2, "10.0.0.1", 1, 6));
    EXPECT_EQ(swapped(swapped(v4)), v4);
    const auto v6 = testing::tuple_v6("fd00::1", 1, "fd00::2", 2, 17);
    EXPECT_EQ(swapped(v6), testing::tuple_v6("fd00::2", 2, "fd00::1", 1, 17));
    EXPECT_EQ(swapped(swapped(v6)), v6);
}

TEST(FiveTuple, AddressesGoToTheContractAndBack) {
    const auto v4 = testing::tuple_v4("203.0.113.10", 1, "10.0.0.2", 2, 6);
    EXPECT_EQ(to_contract(v4.source), *IpAddress::parse("203.0.113.10"));
    EXPECT_EQ(to_network(to_contract(v4.destination)), v4.destination);
    const auto v6 = testing::tuple_v6("2001:db8::1", 1, "fd00::2", 2, 6);
    EXPECT_EQ(to_contract(v6.source), *IpAddress::parse("2001:db8::1"));
}

}  // namespace
}  // namespace guideway::packet
