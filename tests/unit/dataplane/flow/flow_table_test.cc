#include "dataplane/flow/flow_table.h"

#include <arpa/inet.h>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::flow {
namespace {

struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
};

/// A table with memory of its own, filled with rubbish first: the table must not count on zeros.
template <typename Table>
class Fixture {
  public:
    explicit Fixture(std::uint32_t capacity, std::uint64_t seed = 1)
        : memory_(static_cast<std::byte*>(std::aligned_alloc(64, Table::bytes_needed(capacity)))),
          table_((std::memset(memory_.get(), 0xa5, Table::bytes_needed(capacity)),
                  std::span(memory_.get(), Table::bytes_needed(capacity))),
                 capacity, seed) {}
    Table* operator->() { return &table_; }
    Table& operator*() { return table_; }

  private:
    std::unique_ptr<std::byte, FreeMemory> memory_;
    Table table_;
};

packet::FiveTupleV4 client_v4(std::uint32_t number) {
    return {htonl(0xc6336407U),
            htonl(0xcb00710aU + (number >> 16)),
            htons(static_cast<std::uint16_t>(number)),
            htons(80),
            6,
            {}};
}
packet::FiveTupleV4 backend_v4(std::uint32_t number) {
    return {htonl(0x0a00020bU),
            htonl(0x0a000201U + (number >> 16)),
            htons(30080),
            htons(static_cast<std::uint16_t>(number)),
            6,
            {}};
}

TEST(FlowTable, BothTuplesOfAConnectionFindItAndSayWhichHalf) {
    Fixture<FlowTableV4> table(8);
    const std::uint32_t index = table->insert(client_v4(1), backend_v4(1));
    ASSERT_NE(index, FlowTableV4::kNoEntry);
    const FlowRef request = table->find(client_v4(1));
    const FlowRef reply = table->find(backend_v4(1));
    ASSERT_TRUE(request && reply);
    EXPECT_EQ(request, FlowRef(index, kClientHalf));
    EXPECT_EQ(reply, FlowRef(index, kBackendHalf));
    EXPECT_EQ(table->entry(index).other_half(request.half()), backend_v4(1));
    EXPECT_EQ(table->entry(index).other_half(reply.half()), client_v4(1));
    EXPECT_FALSE(table->find(client_v4(2)));
    EXPECT_EQ(table->size(), 1U);
}

TEST(FlowTable, AnErasedConnectionIsFoundByNeitherTuple) {
    Fixture<FlowTableV4> table(8);
    const std::uint32_t first = table->insert(client_v4(1), backend_v4(1));
    table->insert(client_v4(2), backend_v4(2));
    table->erase(first);
    EXPECT_FALSE(table->find(client_v4(1)));
    EXPECT_FALSE(table->find(backend_v4(1)));
    EXPECT_TRUE(table->find(client_v4(2)));
    EXPECT_TRUE(table->find(backend_v4(2)));
    EXPECT_EQ(table->size(), 1U);
    EXPECT_TRUE(table->consistent());
}

TEST(FlowTable, ANewEntryIsZeroBesidesItsHalvesAlsoWhenReused) {
    Fixture<FlowTableV4> table(1);
    for (int round = 0; round < 2; ++round) {
        const std::uint32_t index = table->insert(client_v4(1), backend_v4(1));
        FlowEntryV4& entry = table->entry(index);
        EXPECT_EQ(entry.last_seen, 0U);
        EXPECT_EQ(entry.sequence, (std::array<std::uint32_t, 2>{}));
        EXPECT_EQ(entry.checksum_delta_all, 0);
        EXPECT_EQ(entry.service_incarnation, 0);
        EXPECT_EQ(entry.state, ConnectionState::none);
        EXPECT_EQ(entry.flags, 0);
        table->set_state(index, ConnectionState::tcp_established);
        std::memset(static_cast<void*>(&entry.last_seen), 0xff,
                    offsetof(FlowEntryV4, state) - offsetof(FlowEntryV4, last_seen));
        table->erase(index);
    }
}

template <typename Table, typename Client, typename Backend>
void takes_exactly_its_capacity(Client client, Backend backend) {
    for (const std::uint32_t capacity : {1U, 2U, 3U, 7U, 64U, 1000U, 20000U}) {
        for (std::uint64_t seed = 1; seed <= 3; ++seed) {
            Fixture<Table> table(capacity, seed);
            for (std::uint32_t i = 0; i < capacity; ++i) {
                ASSERT_NE(table->insert(client(i), backend(i)), Table::kNoEntry) << i << " of " << capacity;
            }
            EXPECT_EQ(table->insert(client(capacity), backend(capacity)), Table::kNoEntry);
            EXPECT_FALSE(table->find(client(capacity)));
            EXPECT_EQ(table->size(), capacity);
            for (std::uint32_t i = 0; i < capacity; ++i) {
                ASSERT_TRUE(table->find(client(i)));
                ASSERT_TRUE(table->find(backend(i)));
            }
            ASSERT_TRUE(table->consistent());
        }
    }
}

TEST(FlowTable, TakesExactlyItsCapacityV4) { takes_exactly_its_capacity<FlowTableV4>(client_v4, backend_v4); }

TEST(FlowTable, TakesExactlyItsCapacityV6) {
    const auto of = [](std::uint8_t side) {
        return [side](std::uint32_t number) {
            packet::FiveTupleV6 tuple{};
            tuple.source[0] = side;
            std::memcpy(tuple.source.data() + 12, &number, sizeof number);
            tuple.protocol = 17;
            return tuple;
        };
    };
    takes_exactly_its_capacity<FlowTableV6>(of(1), of(2));
}

TEST(FlowTable, ManyConnectionsOfOneTagAreToldApart) {
    // 3000 tuples over 65536 tags: some hundred pairs share a tag, in any bucket; only the tuple decides.
    Fixture<FlowTableV4> table(3000, 17);
    for (std::uint32_t i = 0; i < 3000; ++i) table->insert(client_v4(i), backend_v4(i));
    for (std::uint32_t i = 0; i < 3000; ++i)
        ASSERT_EQ(table->entry(table->find(client_v4(i)).index()).halves[1], backend_v4(i));
    for (std::uint32_t i = 3000; i < 60000; ++i) ASSERT_FALSE(table->find(client_v4(i))) << i;
}

TEST(FlowTable, ARefusedInsertLeavesNothingBehind) {
    // Twenty tuples of one hash fill the two buckets that it may use, and nothing in them can move elsewhere.
    Fixture<FlowTableV4> table(64);
    constexpr std::uint64_t kCrowded = 0x1234567800000009ULL;
    constexpr std::uint64_t kFree = 0xf000000000000010ULL;
    for (std::uint32_t i = 0; i < 10; ++i) {
        ASSERT_NE(table->insert(client_v4(i), kCrowded, backend_v4(i), kCrowded), FlowTableV4::kNoEntry) << i;
    }
    EXPECT_EQ(table->insert(client_v4(10), kFree, backend_v4(10), kCrowded), FlowTableV4::kNoEntry);
    EXPECT_EQ(table->size(), 10U);
    EXPECT_FALSE(table->candidate(kFree)) << "the client's half was taken back";
    const std::uint32_t next = table->insert(client_v4(10), kFree, backend_v4(10), kFree + 1);
    EXPECT_EQ(next, 10U);
    EXPECT_EQ(table->find(client_v4(10), kFree), FlowRef(next, kClientHalf));
    for (std::uint32_t i = 0; i < 10; ++i) ASSERT_EQ(table->find(backend_v4(i), kCrowded).half(), kBackendHalf);
}

TEST(FlowTable, CandidateIsTheEntryThatFindReadsUnlessDisplaced) {
    Fixture<FlowTableV4> table(1000);
    for (std::uint32_t i = 0; i < 1000; ++i) table->insert(client_v4(i), backend_v4(i));
    std::uint32_t right = 0;
    for (std::uint32_t i = 0; i < 1000; ++i) {
        const std::uint64_t hash = table->hash(client_v4(i));
        table->prefetch_bucket(hash);
        table->prefetch_entry(table->candidate(hash));
        EXPECT_EQ(table->is(table->candidate(hash), client_v4(i)), table->candidate(hash) == table->find(client_v4(i)));
        if (table->candidate(hash) == table->find(client_v4(i), hash)) ++right;
    }
    EXPECT_GT(right, 850U) << "nearly all stand in their first bucket even in a full table";
}

TEST(FlowTable, AgeingLooksAtEachEntryOnceARound) {
    Fixture<FlowTableV4> table(100);
    for (std::uint32_t i = 0; i < 50; ++i) {
        const std::uint32_t index = table->insert(client_v4(i), backend_v4(i));
        table->entry(index).last_seen = i;
    }
    std::vector<int> looked(50);
    for (int call = 0; call < 10; ++call) {
        EXPECT_EQ(table->age(5, [&](const FlowEntryV4& entry) { return ++looked[entry.last_seen] == 0; }), 0U);
    }
    EXPECT_EQ(looked, std::vector<int>(50, 1));
    EXPECT_EQ(table->age(1000, [](const FlowEntryV4&) { return false; }), 0U) << "at most one round";
}

TEST(FlowTable, AgeingErasesWhatIsIdleAndKeepsTheRest) {
    Fixture<FlowTableV4> table(16);
    const IdleLimits limits{Timeouts{}};
    for (std::uint32_t i = 0; i < 3; ++i) {
        const std::uint32_t index = table->insert(client_v4(i), backend_v4(i));
        table->set_state(index, i == 2 ? ConnectionState::tcp_time_wait : ConnectionState::tcp_established);
        table->entry(index).service_slot = i == 1 ? 7 : 0;
        table->entry(index).touch(1000);
    }
    constexpr std::uint32_t kLate = kStampSeconds - 1;  // the stamp may be so old
    const auto sweep = [&](std::uint32_t now) {
        return table->age(
            16, [&](const FlowEntryV4& entry) { return entry.idle(now, limits, entry.service_slot == 7 ? 900 : 0); });
    };
    EXPECT_EQ(sweep(1060 + kLate), 0U);
    EXPECT_EQ(sweep(1061 + kLate), 1U);
    EXPECT_FALSE(table->find(client_v4(2))) << "TIME_WAIT";
    EXPECT_EQ(sweep(1901 + kLate), 1U);
    EXPECT_FALSE(table->find(client_v4(1))) << "the service's own timeout";
    EXPECT_EQ(sweep(1000 + 7440 + kLate), 0U);
    EXPECT_EQ(sweep(1000 + 7441 + kLate), 1U);
    EXPECT_EQ(table->size(), 0U);
    EXPECT_EQ(sweep(100000), 0U) << "an empty table";
}

TEST(FlowTable, AFreshTableHasNothingToAge) {
    Fixture<FlowTableV4> table(16);
    EXPECT_EQ(table->age(16, [](const FlowEntryV4&) { return true; }), 0U);
}

TEST(FlowTable, BadMemoryIsRefused) {
    alignas(64) static std::array<std::byte, 4096> memory;
    const std::size_t needed = FlowTableV4::bytes_needed(16);
    ASSERT_LE(needed + 64, memory.size());
    EXPECT_NO_THROW(FlowTableV4(std::span(memory).first(needed), 16, 1));
    EXPECT_THROW(FlowTableV4(std::span(memory).first(needed - 1), 16, 1), std::invalid_argument);
    EXPECT_THROW(FlowTableV4(std::span(memory).subspan(8), 16, 1), std::invalid_argument);
    EXPECT_THROW(FlowTableV4(std::span(memory), 0, 1), std::invalid_argument);
    EXPECT_THROW(FlowTableV4(std::span(memory), FlowTableV4::kMaxCapacity + 1, 1), std::invalid_argument);
}

TEST(FlowTable, CostsEightyBytesAConnection) {
    EXPECT_NEAR(static_cast<double>(FlowTableV4::bytes_needed(1 << 20)) / (1 << 20), 80.0, 0.1);
    EXPECT_NEAR(static_cast<double>(FlowTableV6::bytes_needed(1 << 20)) / (1 << 20), 144.0, 0.1);
}

TEST(FlowEntry, DeltasOfTheDirectionsAreComplements) {
    FlowEntryV4 entry{};
    entry.checksum_delta_addresses = 0x1234;
    entry.checksum_delta_all = 0xfedc;
    EXPECT_EQ(entry.delta_addresses(kClientHalf), 0x1234);
    EXPECT_EQ(entry.delta_addresses(kBackendHalf), 0xedcb);
    EXPECT_EQ(entry.delta_all(kClientHalf), 0xfedc);
    EXPECT_EQ(entry.delta_all(kBackendHalf), 0x0123);
}

TEST(FlowRef, NothingIsNoReference) {
    EXPECT_FALSE(FlowRef{});
    const FlowRef last(FlowTableV4::kMaxCapacity - 1, 1);
    EXPECT_TRUE(last);
    EXPECT_EQ(last.index(), FlowTableV4::kMaxCapacity - 1);
    EXPECT_EQ(last.half(), 1U);
}

}  // namespace
}  // namespace guideway::flow
