#include "dataplane/balancing/service_table.h"

#include <arpa/inet.h>
#include <map>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::balancing {
namespace {

ServiceEntry service(const char* vip, std::uint8_t protocol, std::uint16_t port, std::uint16_t slot) {
    ServiceEntry entry;
    entry.vip = *IpAddress::parse(vip);
    entry.protocol = protocol;
    entry.port_be = htons(port);
    entry.slot = slot;
    return entry;
}

TEST(ServiceTable, FindsByVipProtocolAndPortTogether) {
    const ServiceTable table(std::vector{service("203.0.113.10", 6, 80, 0), service("203.0.113.10", 17, 80, 1),
                                         service("203.0.113.11", 6, 80, 2), service("203.0.113.10", 6, 443, 3)});
    const std::uint32_t vip = inet_addr("203.0.113.10");
    ASSERT_NE(table.find_v4(vip, 6, htons(80)), nullptr);
    EXPECT_EQ(table.find_v4(vip, 6, htons(80))->slot, 0);
    EXPECT_EQ(table.find_v4(vip, 17, htons(80))->slot, 1);
    EXPECT_EQ(table.find_v4(inet_addr("203.0.113.11"), 6, htons(80))->slot, 2);
    EXPECT_EQ(table.find_v4(vip, 6, htons(443))->slot, 3);
    EXPECT_EQ(table.find_v4(vip, 6, htons(81)), nullptr);
    EXPECT_EQ(table.find_v4(vip, 132, htons(80)), nullptr);
    EXPECT_EQ(table.find_v4(inet_addr("203.0.113.12"), 6, htons(80)), nullptr);
}

TEST(ServiceTable, FamiliesDoNotMeet) {
    const ServiceTable table(std::vector{service("2001:db8::10", 6, 80, 7), service("0.0.0.1", 6, 80, 8)});
    const IpAddress vip = *IpAddress::parse("2001:db8::10");
    ASSERT_NE(table.find_v6(vip.bytes.data(), 6, htons(80)), nullptr);
    EXPECT_EQ(table.find_v6(vip.bytes.data(), 6, htons(80))->slot, 7);
    EXPECT_EQ(table.find_v6(vip.bytes.data(), 17, htons(80)), nullptr);
    const IpAddress same_bytes = IpAddress::v6(IpAddress::parse("0.0.0.1")->bytes);
    EXPECT_EQ(table.find_v6(same_bytes.bytes.data(), 6, htons(80)), nullptr);
}

TEST(ServiceTable, EmptyTableFindsNothing) {
    const ServiceTable table;
    EXPECT_EQ(table.find_v4(0, 0, 0), nullptr);
    EXPECT_EQ(table.find_v6(IpAddress{}.bytes.data(), 0, 0), nullptr);
}

TEST(ServiceTable, FirstOfTwoEqualKeysWins) {
    const ServiceTable table(std::vector{service("203.0.113.10", 6, 80, 4), service("203.0.113.10", 6, 80, 5)});
    EXPECT_EQ(table.find(*IpAddress::parse("203.0.113.10"), 6, htons(80))->slot, 4);
}

TEST(ServiceTable, CopyDoesNotReferToTheOriginal) {
    ServiceTable copy;
    {
        const ServiceTable original(std::vector{service("203.0.113.10", 6, 80, 4)});
        copy = original;
    }
    const ServiceEntry* found = copy.find_v4(inet_addr("203.0.113.10"), 6, htons(80));
    ASSERT_NE(found, nullptr);
    EXPECT_EQ(found, copy.services().data());
}

TEST(ServiceTable, AgreesWithAMapOverThousandsOfKeys) {
    std::mt19937 random(7);
    using Key = std::tuple<bool, std::uint8_t, std::uint8_t, std::uint16_t>;
    const auto entry_of = [](const Key& key) {
        ServiceEntry entry;
        const auto& [v6, byte, protocol, port_be] = key;
        entry.vip = v6 ? IpAddress::v6({0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, byte}) : IpAddress::v4(byte);
        entry.protocol = protocol;
        entry.port_be = port_be;
        return entry;
    };
    const auto draw = [&] {
        return Key{random() % 2, static_cast<std::uint8_t>(random() % 32),
                   static_cast<std::uint8_t>(random() % 2 == 0 ? 6 : 17),
                   htons(static_cast<std::uint16_t>(random() % 512))};
    };
    std::map<Key, std::uint16_t> reference;
    std::vector<ServiceEntry> entries;
    while (entries.size() < 5000) {
        const Key key = draw();
        if (!reference.emplace(key, static_cast<std::uint16_t>(entries.size())).second) continue;
        entries.push_back(entry_of(key));
        entries.back().slot = static_cast<std::uint16_t>(entries.size() - 1);
    }
    const ServiceTable table(entries);
    for (int i = 0; i < 50000; ++i) {
        const Key key = draw();
        const ServiceEntry wanted = entry_of(key);
        const ServiceEntry* found = table.find(wanted.vip, wanted.protocol, wanted.port_be);
        const auto expected = reference.find(key);
        ASSERT_EQ(found != nullptr, expected != reference.end());
        if (found != nullptr) {
            ASSERT_EQ(found->slot, expected->second);
        }
    }
}

TEST(AddressSet, ContainsExactlyWhatItWasGiven) {
    const AddressSet set(std::vector{*IpAddress::parse("203.0.113.10"), *IpAddress::parse("2001:db8::10"),
                                     *IpAddress::parse("203.0.113.10")});
    EXPECT_EQ(set.size(), 2U) << "repeated addresses count once";
    EXPECT_TRUE(set.contains_v4(inet_addr("203.0.113.10")));
    EXPECT_FALSE(set.contains_v4(inet_addr("203.0.113.11")));
    EXPECT_TRUE(set.contains(*IpAddress::parse("2001:db8::10")));
    EXPECT_FALSE(set.contains(*IpAddress::parse("2001:db8::11")));
    EXPECT_FALSE(set.contains_v4(0)) << "a free slot is no address";
    EXPECT_FALSE(set.contains_v6(IpAddress{}.bytes.data()));
    EXPECT_FALSE(AddressSet{}.contains_v4(0));
}

TEST(AddressSet, HoldsTheUnspecifiedAddressWhenTold) {
    const AddressSet set(std::vector{IpAddress::v4(0)});
    EXPECT_TRUE(set.contains_v4(0));
    EXPECT_FALSE(set.contains_v4(1));
}

TEST(AddressSet, HoldsThousands) {
    std::vector<IpAddress> even;
    for (std::uint32_t i = 0; i < 8000; i += 2) even.push_back(IpAddress::v4(0xcb007100U + i));
    const AddressSet set(even);
    for (std::uint32_t i = 0; i < 8000; ++i) ASSERT_EQ(set.contains(IpAddress::v4(0xcb007100U + i)), i % 2 == 0) << i;
}

}  // namespace
}  // namespace guideway::balancing
