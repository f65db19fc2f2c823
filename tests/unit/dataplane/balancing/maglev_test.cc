// Maglev's tables slot by slot, and the rules they keep. Expected tables come from an independent implementation of the
// paper's section 3.4 with whole permutation lists; its hash constants are those of maglev.cc.
#include "dataplane/balancing/maglev.h"

#include <algorithm>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/balancing/backend_set.h"

namespace guideway::balancing {
namespace {

MaglevBackend backend(unsigned last_byte, std::uint32_t weight = 1) {
    return {IpAddress::v4(0x0a000000U + last_byte), 80, weight};
}

std::vector<std::uint16_t> slots(const MaglevTable& table) { return {table.slots().begin(), table.slots().end()}; }

TEST(Maglev, WalkIsTheSameNumberOnEveryMachineAndInEveryVersion) {
    const auto check = [](const IpAddress& address, std::uint16_t port, std::uint32_t size, std::uint32_t offset,
                          std::uint32_t skip) {
        const MaglevWalk walk = maglev_walk(address, port, size);
        EXPECT_EQ(walk.offset, offset) << address.to_string();
        EXPECT_EQ(walk.skip, skip) << address.to_string();
    };
    check(*IpAddress::parse("10.0.0.1"), 80, 65537, 54307, 42592);
    check(*IpAddress::parse("10.0.0.2"), 80, 65537, 20767, 25112);
    check(*IpAddress::parse("10.0.0.3"), 80, 65537, 55071, 12783);
    check(*IpAddress::parse("2001:db8::1"), 0, 65537, 6455, 53841);
    check(*IpAddress::parse("2001:db8::1"), 30080, 655373, 371611, 42258);
}

TEST(Maglev, TableOfSevenSlotsIsThePapers) {
    const std::vector<MaglevBackend> backends{backend(1), backend(2), backend(3)};
    EXPECT_EQ(slots(*MaglevTable::build(backends, 7)), (std::vector<std::uint16_t>{1, 2, 0, 1, 0, 0, 2}));
}

TEST(Maglev, TableOfSeventeenSlotsIsThePapers) {
    const std::vector<MaglevBackend> backends{backend(1), backend(2), backend(3)};
    EXPECT_EQ(slots(*MaglevTable::build(backends, 17)),
              (std::vector<std::uint16_t>{1, 2, 1, 2, 1, 0, 2, 0, 0, 1, 1, 0, 0, 0, 2, 1, 2}));
}

TEST(Maglev, WeightsActInEveryTurn) {
    const std::vector<MaglevBackend> backends{backend(1, 1), backend(2, 2), backend(3, 4)};
    EXPECT_EQ(slots(*MaglevTable::build(backends, 17)),
              (std::vector<std::uint16_t>{1, 2, 1, 2, 2, 2, 2, 1, 2, 1, 1, 0, 2, 0, 2, 2, 2}));
}

TEST(Maglev, IndicesAreTheCallersWhateverItsOrder) {
    const std::vector<MaglevBackend> backends{backend(3), backend(1), backend(2)};
    EXPECT_EQ(slots(*MaglevTable::build(backends, 7)), (std::vector<std::uint16_t>{2, 0, 1, 2, 1, 1, 0}));
}

TEST(Maglev, SharesFollowTheWeights) {
    const std::vector<MaglevBackend> backends{backend(1, 1), backend(2, 10), backend(3, 100)};
    const auto table = MaglevTable::build(backends, 65537);
    EXPECT_NEAR(table->slots_by_backend()[0], 65537.0 * 1 / 111, 2);
    EXPECT_NEAR(table->slots_by_backend()[1], 65537.0 * 10 / 111, 2);
    EXPECT_NEAR(table->slots_by_backend()[2], 65537.0 * 100 / 111, 2);
}

TEST(Maglev, OnlyTheProportionOfWeightsMatters) {
    const std::vector<MaglevBackend> small{backend(1, 1), backend(2, 3)};
    const std::vector<MaglevBackend> large{backend(1, 300), backend(2, 900)};
    EXPECT_EQ(slots(*MaglevTable::build(small, 1009)), slots(*MaglevTable::build(large, 1009)));
}

TEST(Maglev, WeightZeroGetsNothingAndMovesNoOther) {
    const std::vector<MaglevBackend> with{backend(1), backend(2), backend(3), backend(4, 0)};
    const std::vector<MaglevBackend> without{backend(1), backend(2), backend(3)};
    const auto table = MaglevTable::build(with, 1009);
    EXPECT_EQ(slots(*table), slots(*MaglevTable::build(without, 1009)));
    EXPECT_EQ(table->slots_by_backend()[3], 0U);
    EXPECT_EQ(table->min_slots(), 336U);
    EXPECT_EQ(table->max_slots(), 337U);
}

TEST(Maglev, WithoutUsableBackendEveryLookupSaysSo) {
    for (const auto& backends : {std::vector<MaglevBackend>{}, std::vector<MaglevBackend>{backend(1, 0)}}) {
        const auto table = MaglevTable::build(backends, 65537);
        ASSERT_TRUE(table);
        EXPECT_TRUE(table->empty());
        for (const std::uint32_t hash : {0U, 1U, 0x80000000U, 0xffffffffU}) {
            EXPECT_EQ(table->lookup(hash), MaglevTable::kNoBackend);
        }
    }
}

TEST(Maglev, OneBackendGetsEverything) {
    const auto table = MaglevTable::build(std::vector{backend(9, 1000)}, 65537);
    EXPECT_FALSE(table->empty());
    EXPECT_EQ(table->min_slots(), 65537U);
    EXPECT_EQ(table->lookup(0), 0);
    EXPECT_EQ(table->lookup(0xffffffff), 0);
}

TEST(Maglev, LookupReachesEverySlotAndNoOther) {
    const auto table = MaglevTable::build(std::vector{backend(1), backend(2)}, 1009);
    std::set<std::uint32_t> reached;
    for (std::uint64_t hash = 0; hash <= 0xffffffff; hash += 0x1ffff) {
        const std::uint32_t slot = table->slot_of(static_cast<std::uint32_t>(hash));
        EXPECT_EQ(table->lookup(static_cast<std::uint32_t>(hash)), table->slots()[slot]);
        reached.insert(slot);
    }
    EXPECT_EQ(reached.size(), 1009U);
    EXPECT_EQ(table->slot_of(0xffffffff), 1008U);
}

TEST(Maglev, PortIsPartOfTheIdentity) {
    const auto one = maglev_walk(IpAddress::v4(1), 80, 65537);
    const auto other = maglev_walk(IpAddress::v4(1), 81, 65537);
    EXPECT_NE(one.offset, other.offset);
    EXPECT_NE(one.skip, other.skip);
}

TEST(Maglev, FamilyIsPartOfTheIdentity) {
    const IpAddress v4 = IpAddress::v4(0x0a000001);
    EXPECT_NE(maglev_walk(v4, 80, 65537).offset, maglev_walk(IpAddress::v6(v4.bytes), 80, 65537).offset);
}

TEST(Maglev, SizeGivesEachBackendAHundredSlots) {
    EXPECT_EQ(MaglevTable::size_for(0), 65537U);
    EXPECT_EQ(MaglevTable::size_for(655), 65537U);
    EXPECT_EQ(MaglevTable::size_for(656), 131071U);
    EXPECT_EQ(MaglevTable::size_for(1310), 131071U);
    EXPECT_EQ(MaglevTable::size_for(1311), 655373U);
    EXPECT_EQ(MaglevTable::size_for(6554), 6553577U);
    EXPECT_GE(MaglevTable::size_for(MaglevTable::kMaxBackends), 100 * MaglevTable::kMaxBackends);
}

TEST(Maglev, SizesArePrime) {
    for (const std::size_t backends : {1U, 1000U, 5000U, 60000U}) {
        const std::uint32_t size = MaglevTable::size_for(backends);
        for (std::uint32_t divisor = 2; divisor * divisor <= size; ++divisor) {
            ASSERT_NE(size % divisor, 0U) << size << " = " << divisor << " * ...";
        }
    }
}

TEST(Maglev, MoreBackendsThanIndicesAreRefused) {
    EXPECT_EQ(MaglevTable::build(std::vector<MaglevBackend>(65536), 7), nullptr);
}

TEST(BackendSet, ChoosesWhatTheTableSays) {
    BackendSet set;
    for (unsigned i = 1; i <= 3; ++i) {
        BackendEntry entry;
        entry.address = IpAddress::v4(0x0a000000U + i);
        entry.port_be = 0x5000;  // 80
        entry.slot = static_cast<std::uint16_t>(100 + i);
        set.backends.push_back(entry);
    }
    set.table = MaglevTable::build(maglev_backends(set.backends), 7);
    ASSERT_NE(set.choose(0), nullptr);
    EXPECT_EQ(set.choose(0)->slot, 102) << "slot 0 of the table above is the second backend";
    EXPECT_EQ(set.choose(0xffffffff)->slot, 103);

    for (BackendEntry& entry : set.backends) entry.weight = 0;
    set.table = MaglevTable::build(maglev_backends(set.backends), 7);
    EXPECT_EQ(set.choose(0), nullptr) << "all draining";
}

}  // namespace
}  // namespace guideway::balancing
