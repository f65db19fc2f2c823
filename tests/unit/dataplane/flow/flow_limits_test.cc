// What a table does at its limits: who gives way, who never does, and that nothing is lost count of.
#include <cstdlib>
#include <memory>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "dataplane/flow/flow_table.h"

namespace guideway::flow {
namespace {

using enum ConnectionState;

struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
};

std::uint8_t protocol_of(ConnectionState state) {
    if (fits(state, 6)) return 6;
    return fits(state, 17) ? 17 : 132;
}

class LimitedTable {
  public:
    explicit LimitedTable(FlowLimits limits)
        : memory_(static_cast<std::byte*>(std::aligned_alloc(64, FlowTableV4::bytes_needed(limits.capacity)))),
          table_(std::span(memory_.get() + FlowTableV4::index_bytes(limits.capacity),
                           FlowTableV4::entry_bytes(limits.capacity)),
                 std::span(memory_.get(), FlowTableV4::index_bytes(limits.capacity)), limits, 7) {}
    FlowTableV4* operator->() { return &table_; }

    static FlowEntryV4 connection(std::uint32_t number, ConnectionState state) {
        FlowEntryV4 entry{};
        entry.halves[kClientHalf] = {number, 1, 2, 3, protocol_of(state), {}};
        entry.halves[kBackendHalf] = {4, number, 5, 6, protocol_of(state), {}};
        entry.state = state;
        return entry;
    }
    std::uint32_t open(std::uint32_t number, ConnectionState state) {
        const FlowEntryV4 entry = connection(number, state);
        return table_.insert(entry, table_.hash(entry.halves[0]), table_.hash(entry.halves[1]));
    }
    bool has(std::uint32_t number, ConnectionState state) const {
        const FlowEntryV4 entry = connection(number, state);
        const FlowRef client = table_.find(entry.halves[kClientHalf]);
        return client && table_.find(entry.halves[kBackendHalf]) == FlowRef(client.index(), kBackendHalf);
    }

  private:
    std::unique_ptr<std::byte, FreeMemory> memory_;
    FlowTableV4 table_;
};

TEST(FlowLimits, HalfOpenConnectionsAreAQuarterUnlessToldOtherwise) {
    EXPECT_EQ(FlowLimits({1000, 0}).half_open_limit(), 250U);
    EXPECT_EQ(FlowLimits({1, 0}).half_open_limit(), 1U);
    EXPECT_EQ(FlowLimits({1000, 10}).half_open_limit(), 10U);
    EXPECT_EQ(FlowLimits({1000, 2000}).half_open_limit(), 1000U);
}

TEST(FlowLimits, TheOldestHandshakeGivesWayToANewOne) {
    LimitedTable table({100, 3});
    for (std::uint32_t i = 0; i < 5; ++i) ASSERT_NE(table.open(i, tcp_opening), FlowTableV4::kNoEntry);
    EXPECT_FALSE(table.has(0, tcp_opening));
    EXPECT_FALSE(table.has(1, tcp_opening));
    for (std::uint32_t i = 2; i < 5; ++i) EXPECT_TRUE(table.has(i, tcp_opening));
    EXPECT_EQ(table->evicted().opening, 2U);
    EXPECT_EQ(table->waiting(FlowList::opening), 3U);
    EXPECT_TRUE(table->consistent());
}

TEST(FlowLimits, AFinishedHandshakeMakesRoomForAnother) {
    LimitedTable table({100, 3});
    for (std::uint32_t i = 0; i < 3; ++i) table.open(i, tcp_opening);
    table->set_state(table->find(LimitedTable::connection(1, tcp_opening).halves[0]).index(), tcp_established);
    table.open(3, tcp_opening);
    for (std::uint32_t i = 0; i < 4; ++i) EXPECT_TRUE(table.has(i, tcp_opening)) << i;
    EXPECT_EQ(table->evicted().opening, 0U);
    EXPECT_TRUE(table->consistent());
}

TEST(FlowLimits, AFloodOfHandshakesTouchesNoEstablishedConnection) {
    LimitedTable table({100, 30});
    for (std::uint32_t i = 0; i < 90; ++i) table.open(i, tcp_established);
    for (std::uint32_t i = 1000; i < 3000; ++i) ASSERT_NE(table.open(i, tcp_opening), FlowTableV4::kNoEntry);
    for (std::uint32_t i = 0; i < 90; ++i) ASSERT_TRUE(table.has(i, tcp_established)) << i;
    EXPECT_EQ(table->size(), 100U);
    EXPECT_TRUE(table.has(2999, tcp_opening)) << "the newest";
    EXPECT_TRUE(table->consistent());
}

TEST(FlowLimits, AFloodOfOneKindLeavesTheOtherAlone) {
    LimitedTable table({100, 10});
    table.open(1, tcp_opening);
    for (std::uint32_t i = 1000; i < 1100; ++i) table.open(i, udp_one_way);
    EXPECT_TRUE(table.has(1, tcp_opening));
    EXPECT_EQ(table->waiting(FlowList::one_way), 10U);
    EXPECT_EQ(table->evicted().one_way, 90U);
}

TEST(FlowLimits, AFullTablePrefersWhatIsOverThenOneWayThenHalfOpen) {
    LimitedTable table({5, 5});
    table.open(0, tcp_opening);
    table.open(1, udp_one_way);
    table.open(2, tcp_time_wait);
    table.open(3, tcp_established);
    table.open(4, tcp_closing);
    EXPECT_NE(table.open(10, tcp_established), FlowTableV4::kNoEntry);
    EXPECT_FALSE(table.has(2, tcp_time_wait));
    EXPECT_NE(table.open(11, tcp_established), FlowTableV4::kNoEntry);
    EXPECT_FALSE(table.has(1, udp_one_way));
    EXPECT_NE(table.open(12, tcp_established), FlowTableV4::kNoEntry);
    EXPECT_FALSE(table.has(0, tcp_opening));
    EXPECT_EQ(table.open(13, tcp_opening), FlowTableV4::kNoEntry) << "established and closing ones never give way";
    EXPECT_TRUE(table.has(3, tcp_established));
    EXPECT_TRUE(table.has(4, tcp_closing));
    EXPECT_TRUE(table->consistent());
}

TEST(FlowLimits, AgeingFindsTheOldestOfEachListAtOnce) {
    LimitedTable table({1000, 1000});
    for (std::uint32_t i = 0; i < 500; ++i) table.open(i, tcp_established);
    for (std::uint32_t i = 500; i < 520; ++i) table->entry(table.open(i, tcp_time_wait)).last_seen = 1;
    for (std::uint32_t i = 520; i < 540; ++i) table->entry(table.open(i, tcp_time_wait)).last_seen = 2;
    EXPECT_EQ(table->age(20, [](const FlowEntryV4& entry) { return entry.last_seen == 1; }), 20U)
        << "the sweep itself looks at 20 established ones";
    EXPECT_EQ(table->waiting(FlowList::closed), 20U);
    EXPECT_TRUE(table->consistent());
}

TEST(FlowLimits, UsedAndFreeAreTheCapacityThroughMillionsOfConnections) {
    // GUIDEWAY_LEAK_CONNECTIONS=100000000 for the long run.
    const char* wanted = std::getenv("GUIDEWAY_LEAK_CONNECTIONS");
    const std::uint32_t connections =
        wanted != nullptr ? static_cast<std::uint32_t>(std::strtoul(wanted, nullptr, 10)) : 10'000'000;
    constexpr std::uint32_t kCapacity = 500;
    LimitedTable table({kCapacity, 100});
    std::mt19937 random(3);
    constexpr ConnectionState kStates[] = {tcp_opening, tcp_answered, tcp_established, tcp_closing,      tcp_time_wait,
                                           tcp_reset,   udp_one_way,  udp_both_ways,   sctp_established, sctp_opening};
    for (std::uint32_t i = 0; i < connections; ++i) {
        const ConnectionState state = kStates[random() % std::size(kStates)];
        const std::uint32_t index = table.open(i, state);
        if (index == FlowTableV4::kNoEntry) {
            ASSERT_EQ(table->size(), kCapacity) << "refused only when full";
            table->age(kCapacity, [&](const FlowEntryV4&) { return random() % 2 == 0; });
        } else if (fits(state, 6) && random() % 4 == 0) {
            table->set_state(index, kStates[random() % 6]);
        }
        ASSERT_EQ(table->size() + table->free(), kCapacity);
        if (i % 1'000'000 == 0) {
            ASSERT_TRUE(table->consistent()) << i;
        }
    }
    table->age(kCapacity, [](const FlowEntryV4&) { return true; });
    EXPECT_EQ(table->size(), 0U);
    EXPECT_EQ(table->free(), kCapacity);
    EXPECT_TRUE(table->consistent());
}

// Two lines at the worst are what a packet of a known connection costs in memory, whichever its direction.
struct CountLines {
    inline static std::set<std::uintptr_t> lines;
    static void touch(const void* line) { lines.insert(std::bit_cast<std::uintptr_t>(line) / 64); }
};

TEST(FlowTableLines, AHitReadsOneBucketAndOneEntryInBothDirectionsAtAnyDensity) {
    using Table = FlowTable<FlowEntryV4, CountLines>;
    constexpr std::uint32_t kCapacity = 4000;
    const std::unique_ptr<std::byte, FreeMemory> memory(
        static_cast<std::byte*>(std::aligned_alloc(64, Table::bytes_needed(kCapacity))));
    Table table(std::span(memory.get(), Table::bytes_needed(kCapacity)), kCapacity, 3);
    for (const std::uint32_t upto : {kCapacity / 4, kCapacity / 2, kCapacity}) {
        for (std::uint32_t i = table.size(); i < upto; ++i) {
            const FlowEntryV4 entry = LimitedTable::connection(i, tcp_established);
            ASSERT_NE(table.insert(entry, table.hash(entry.halves[0]), table.hash(entry.halves[1])), Table::kNoEntry);
        }
        std::size_t lines = 0;
        std::size_t lookups = 0;
        for (std::uint32_t i = 0; i < upto; ++i) {
            for (const unsigned half : {kClientHalf, kBackendHalf}) {
                const auto tuple = LimitedTable::connection(i, tcp_established).halves[half];
                CountLines::lines.clear();
                const std::uint64_t hash = table.hash(tuple);
                table.prefetch_bucket(hash);
                FlowRef ref = table.candidate(hash);
                table.prefetch_entry(ref);
                if (!table.is(ref, tuple)) ref = table.find(tuple, hash);
                ASSERT_TRUE(ref);
                (void)table.entry(ref.index());
                ASSERT_LE(CountLines::lines.size(), 4U)
                    << "displaced, and its first bucket has another with the same tag";
                lines += CountLines::lines.size();
                ++lookups;
            }
        }
        // A tuple in its second bucket costs a third line: none at half, few in a table that is full to the last entry.
        const double mean = static_cast<double>(lines) / static_cast<double>(lookups);
        EXPECT_LT(mean, upto == kCapacity ? 2.15 : 2.005) << upto << " of " << kCapacity;
    }
}

}  // namespace
}  // namespace guideway::flow
