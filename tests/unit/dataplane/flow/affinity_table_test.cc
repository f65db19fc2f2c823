// What is remembered of clients: exactly, for as long as it counts, within bounds, over a restart.
#include "dataplane/flow/affinity_table.h"

#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::flow {
namespace {

using Stored = AffinityTable::Stored;

/// Memory as a file has it: aligned, zero.
struct Region {
    explicit Region(std::uint32_t clients)
        : bytes(AffinityTable::bytes_for(clients)), memory(new (std::align_val_t{64}) std::byte[bytes]) {
        std::memset(memory, 0, bytes);
    }
    ~Region() { operator delete[](memory, std::align_val_t{64}); }
    Region(const Region&) = delete;
    Region& operator=(const Region&) = delete;
    std::span<std::byte> span() const { return {memory, bytes}; }

    std::size_t bytes;
    std::byte* memory;
};

AffinityKey client(std::uint32_t number, std::uint16_t port = 80, std::uint8_t protocol = 6) {
    return {address_words(IpAddress::v4(0x0a000000 + number)), address_words(IpAddress::v4(0xcb00710a)), port,
            protocol};
}
AffinityBackend backend(std::uint32_t number) { return {address_words(IpAddress::v4(0x0a010000 + number)), 0}; }

class AffinityTableTest : public ::testing::Test {
  protected:
    AffinityTableTest() { table.attach(region.span(), 7); }

    Stored put(const AffinityKey& key, std::uint32_t to, std::uint32_t now, std::uint32_t timeout = 100) {
        return table.remember(key, table.hash(key), backend(to), timeout, 0, now);
    }
    std::optional<Remembered> get(const AffinityKey& key) const { return table.find(key, table.hash(key)); }

    Region region{64};
    AffinityTable table;
};

TEST_F(AffinityTableTest, AClientIsFoundByItsWholeKeyAlone) {
    EXPECT_EQ(put(client(1), 5, 10), Stored::added);
    ASSERT_TRUE(get(client(1)));
    EXPECT_EQ(get(client(1))->backend, backend(5));
    EXPECT_EQ(get(client(1))->opened_s, 10U);
    EXPECT_EQ(get(client(1))->timeout_s, 100U);
    // Each part of the key, in the very bucket where the client is.
    const std::uint64_t place = table.hash(client(1));
    EXPECT_FALSE(table.find(client(2), place));
    EXPECT_FALSE(table.find(client(1, 81), place));
    EXPECT_FALSE(table.find(client(1, 80, 17), place));
    EXPECT_FALSE(table.find(client(1, 80, 132), place));
    AffinityKey other = client(1);
    other.vip = address_words(IpAddress::v4(0xcb00710b));
    EXPECT_FALSE(table.find(other, place));
}

TEST_F(AffinityTableTest, AnIPv4ClientIsKeptInItsMappedForm) {
    EXPECT_EQ(address_words(IpAddress::parse("198.51.100.7").value()),
              address_words(IpAddress::parse("::ffff:198.51.100.7").value().bytes));
    std::uint32_t network;
    std::memcpy(&network, IpAddress::parse("198.51.100.7").value().bytes.data(), 4);
    EXPECT_EQ(address_words(network), address_words(IpAddress::parse("198.51.100.7").value()));
}

TEST_F(AffinityTableTest, AnotherConnectionRefreshesAndAnotherBackendReplaces) {
    put(client(1), 5, 10);
    EXPECT_EQ(put(client(1), 5, 50), Stored::refreshed);
    EXPECT_EQ(get(client(1))->opened_s, 50U);
    EXPECT_EQ(put(client(1), 6, 51), Stored::refreshed);
    EXPECT_EQ(get(client(1))->backend, backend(6));
    EXPECT_EQ(table.size(), 1U);
}

TEST_F(AffinityTableTest, TheTimeIsOverAfterTheShorterOfBothTimeoutsAndNeverEarly) {
    put(client(1), 5, 10, 100);
    const Remembered line = get(client(1)).value();
    EXPECT_FALSE(is_over(line, 100, 110));
    EXPECT_TRUE(is_over(line, 100, 111));
    EXPECT_TRUE(is_over(line, 50, 61)) << "a shorter time-out acts at once";
    EXPECT_TRUE(is_over(line, 1000, 111)) << "a longer one from the next connection on";
    EXPECT_FALSE(is_over(line, 100, 9)) << "another worker's clock, a moment behind";
}

TEST_F(AffinityTableTest, SecondsMayWrap) {
    put(client(1), 5, 0xfffffff0U, 100);
    EXPECT_FALSE(is_over(get(client(1)).value(), 100, 0x54 - 0x10 + 0));
    EXPECT_TRUE(is_over(get(client(1)).value(), 100, 0x55));
    EXPECT_EQ(table.forget_over(0x54, 64), 0U);
    EXPECT_EQ(table.forget_over(0x55, 64), 1U);
    EXPECT_EQ(table.size(), 0U);
    EXPECT_FALSE(get(client(1)));
}

TEST_F(AffinityTableTest, AFullBucketGivesUpWhoIsOverElseTheOldest) {
    Region small_region(4);
    AffinityTable small;
    small.attach(small_region.span(), 9);
    const auto add = [&](std::uint32_t number, std::uint32_t now, std::uint32_t timeout) {
        return small.remember(client(number), small.hash(client(number)), backend(number), timeout, 0, now);
    };
    const auto has = [&](std::uint32_t number) {
        return small.find(client(number), small.hash(client(number))).has_value();
    };
    EXPECT_EQ(add(1, 10, 1000), Stored::added);
    EXPECT_EQ(add(2, 9, 1000), Stored::added);
    EXPECT_EQ(add(3, 11, 5), Stored::added);
    EXPECT_EQ(add(4, 12, 1000), Stored::added);
    EXPECT_EQ(add(5, 20, 1000), Stored::after_over);
    EXPECT_FALSE(has(3));
    EXPECT_EQ(add(6, 21, 1000), Stored::displaced);
    EXPECT_FALSE(has(2));
    EXPECT_TRUE(has(1) && has(4) && has(5) && has(6));
    EXPECT_EQ(small.size(), 4U);
    EXPECT_EQ(small.capacity(), 4U);
}

TEST_F(AffinityTableTest, OfSeveralWorkersTheNewestCountsAndOfOneSecondTheUsableOne) {
    Region second_region(64);
    std::vector<AffinityTable> tables(2);
    tables[0].attach(region.span(), 7);
    tables[1].attach(second_region.span(), 7);
    const std::uint64_t place = tables[0].hash(client(1));
    ASSERT_EQ(place, tables[1].hash(client(1)));
    const auto newest = [&](auto usable) { return recall(tables, client(1), place, usable); };
    const auto any = [](const Remembered&) { return true; };
    EXPECT_FALSE(newest(any));
    tables[1].remember(client(1), place, backend(1), 100, 0, 10);
    EXPECT_EQ(newest(any)->backend, backend(1));
    tables[0].remember(client(1), place, backend(2), 100, 0, 11);
    EXPECT_EQ(newest(any)->backend, backend(2));
    tables[1].remember(client(1), place, backend(3), 100, 0, 11);
    EXPECT_EQ(newest([](const Remembered& line) { return line.backend == backend(3); })->backend, backend(3));
    EXPECT_EQ(newest([](const Remembered& line) { return line.backend == backend(2); })->backend, backend(2));
}

TEST_F(AffinityTableTest, ARestartFindsWhoIsNotOver) {
    put(client(1), 5, 10, 1000);
    put(client(2), 6, 10, 5);
    put(client(3), 7, 99, 1000);
    EXPECT_EQ(AffinityTable::seed_in(region.span()), 7U);
    AffinityTable next;
    next.attach(region.span(), 7);
    const auto result = next.restore(50);
    EXPECT_EQ(result.kept, 2U);
    EXPECT_EQ(result.over, 1U);
    EXPECT_EQ(result.damaged, 0U);
    EXPECT_EQ(next.size(), 2U);
    EXPECT_EQ(next.find(client(1), next.hash(client(1)))->backend, backend(5));
    EXPECT_FALSE(next.find(client(2), next.hash(client(2))));
    EXPECT_EQ(next.find(client(3), next.hash(client(3)))->opened_s, 50U) << "not of the future";
}

TEST_F(AffinityTableTest, ALineCutShortReadsAsNothingAndARestartDropsIt) {
    put(client(1), 5, 10);
    auto* lines = reinterpret_cast<AffinityLine*>(region.memory);
    for (std::uint32_t i = 0; i < table.capacity(); ++i) {
        if (lines[i].version != 0) ++lines[i].version;
    }
    EXPECT_FALSE(get(client(1)));
    const auto result = table.restore(11);
    EXPECT_EQ(result.damaged, 1U);
    EXPECT_EQ(table.size(), 0U);
    EXPECT_EQ(put(client(1), 6, 12), Stored::added);
    EXPECT_EQ(get(client(1))->backend, backend(6));
}

TEST_F(AffinityTableTest, LinesInAForeignPlaceAreDropped) {
    put(client(1), 5, 10);
    auto* lines = reinterpret_cast<AffinityLine*>(region.memory);
    const auto bucket = static_cast<std::uint32_t>(table.hash(client(1)) >> 32) % 16;
    std::memcpy(static_cast<void*>(lines + (bucket + 1) % 16 * 4), lines + std::size_t{bucket} * 4, 64);
    const auto result = table.restore(11);
    EXPECT_EQ(result.kept, 1U);
    EXPECT_EQ(result.damaged, 1U);
}

TEST_F(AffinityTableTest, AnotherSecretClearsTheTable) {
    put(client(1), 5, 10);
    AffinityTable next;
    next.attach(region.span(), 8);
    EXPECT_EQ(next.restore(11).kept, 0U);
    EXPECT_FALSE(next.find(client(1), next.hash(client(1))));
}

TEST_F(AffinityTableTest, AnotherSizeTakesTheNewestOfAllTables) {
    Region second_region(64);
    AffinityTable second;
    second.attach(second_region.span(), 7);
    for (std::uint32_t i = 0; i < 12; ++i) put(client(i), i, 10 + i);
    second.remember(client(1), second.hash(client(1)), backend(99), 100, 0, 30);
    second.remember(client(2), second.hash(client(2)), backend(98), 100, 0, 5);
    Region target_region(256);
    AffinityTable target;
    target.attach(target_region.span(), 11);
    EXPECT_EQ(target.take_from(region.span(), 40).kept, static_cast<std::uint64_t>(table.size()));
    target.take_from(second_region.span(), 40);
    const auto to = [&](std::uint32_t number) {
        return target.find(client(number), target.hash(client(number)))->backend;
    };
    EXPECT_EQ(to(1), backend(99)) << "newer";
    EXPECT_EQ(to(2), backend(2)) << "older";
    EXPECT_EQ(to(3), backend(3));
}

TEST_F(AffinityTableTest, ATableWithoutLinesRemembersNothing) {
    AffinityTable none;
    none.attach({}, 7);
    EXPECT_EQ(none.remember(client(1), none.hash(client(1)), backend(1), 100, 0, 1), Stored::nowhere);
    EXPECT_FALSE(none.find(client(1), none.hash(client(1))));
    EXPECT_EQ(none.forget_over(1000, 100), 0U);
    EXPECT_EQ(none.capacity(), 0U);
    EXPECT_EQ(none.take_from(region.span(), 10).kept, 0U);
}

TEST_F(AffinityTableTest, SizesAreRoundedUpAndOthersRefused) {
    EXPECT_EQ(AffinityTable::lines_for(0), 0U);
    EXPECT_EQ(AffinityTable::lines_for(1), 4U);
    EXPECT_EQ(AffinityTable::lines_for(65537), 131072U);
    EXPECT_THROW(AffinityTable().attach(region.span().first(64 * 8), 7), std::invalid_argument);
}

TEST_F(AffinityTableTest, ABackendsPortAndPlaceAreKeptWhole) {
    table.remember(client(1), table.hash(client(1)), {backend(1).address, 0xffff}, 86400, 8191, 10);
    const Remembered line = get(client(1)).value();
    EXPECT_EQ(line.backend.port_be, 0xffff);
    EXPECT_EQ(line.timeout_s, 86400U);
    EXPECT_EQ(line.hint, 8191);
    table.remember(client(1, 0xffff, 17), table.hash(client(1, 0xffff, 17)), {backend(1).address, 1}, 1, 0, 10);
    EXPECT_EQ(get(client(1, 0xffff, 17))->backend.port_be, 1);
}

}  // namespace
}  // namespace guideway::flow
