// FlowTable beside a std::unordered_map: random inserts, lookups of both directions, erasures and ageing, from empty to
// full, for both families. Tuples come from a small space, so that they return after having been erased.
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/flow/flow_table.h"

namespace guideway::flow {
namespace {

struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
};

template <typename Tuple>
std::string bytes_of(const Tuple& tuple) {
    return {reinterpret_cast<const char*>(&tuple), sizeof tuple};
}

template <typename Tuple>
Tuple tuple_of(std::uint32_t number, std::uint8_t side) {
    Tuple tuple{};
    std::memcpy(&tuple.source, &number, 3);
    std::memcpy(&tuple.destination, &side, 1);
    tuple.source_port = static_cast<std::uint16_t>(number * 7);
    tuple.destination_port = side;
    tuple.protocol = number % 2 == 0 ? 6 : 17;
    return tuple;
}

template <typename Table>
class Twin {
  public:
    using Tuple = typename Table::Tuple;

    Twin(std::uint32_t capacity, std::uint64_t seed)
        : memory_(static_cast<std::byte*>(std::aligned_alloc(64, Table::bytes_needed(capacity)))),
          table_(std::span(memory_.get(), Table::bytes_needed(capacity)), capacity, seed) {}

    void insert(std::uint32_t client_number, std::uint32_t backend_number, std::uint32_t stamp) {
        const auto client = tuple_of<Tuple>(client_number, 1);
        const auto backend = tuple_of<Tuple>(backend_number, 2);
        if (reference_.contains(bytes_of(client)) || reference_.contains(bytes_of(backend))) return;
        const std::uint32_t index = table_.insert(client, backend);
        ASSERT_EQ(index == Table::kNoEntry, table_size_before_ == table_.capacity()) << "full, and only then";
        if (index == Table::kNoEntry) return;
        table_.entry(index).last_seen = stamp;
        reference_[bytes_of(client)] = FlowRef(index, kClientHalf);
        reference_[bytes_of(backend)] = FlowRef(index, kBackendHalf);
        ++table_size_before_;
    }

    void check(const Tuple& tuple) const {
        const auto expected = reference_.find(bytes_of(tuple));
        ASSERT_EQ(table_.find(tuple), expected == reference_.end() ? FlowRef{} : expected->second);
    }

    void erase(const Tuple& tuple) {
        const FlowRef ref = table_.find(tuple);
        if (!ref) return;
        forget(table_.entry(ref.index()));
        table_.erase(ref.index());
    }

    void age(std::uint32_t count, std::uint32_t older_than) {
        std::uint32_t expected = 0;
        const std::uint32_t erased = table_.age(count, [&](const typename Table::Entry& entry) {
            if (entry.last_seen >= older_than) return false;
            forget(entry);
            ++expected;
            return true;
        });
        ASSERT_EQ(erased, expected);
    }

    void check_everything() const {
        ASSERT_TRUE(table_.consistent());
        ASSERT_EQ(table_.size(), table_size_before_);
        ASSERT_EQ(reference_.size(), 2U * table_.size());
        for (const auto& [bytes, ref] : reference_) {
            Tuple tuple;
            std::memcpy(&tuple, bytes.data(), sizeof tuple);
            ASSERT_EQ(table_.find(tuple), ref);
        }
    }
    bool full() const { return table_.size() == table_.capacity(); }
    std::uint32_t size() const { return table_.size(); }

  private:
    void forget(const typename Table::Entry& entry) {
        reference_.erase(bytes_of(entry.halves[kClientHalf]));
        reference_.erase(bytes_of(entry.halves[kBackendHalf]));
        --table_size_before_;
    }

    std::unique_ptr<std::byte, FreeMemory> memory_;
    Table table_;
    std::unordered_map<std::string, FlowRef> reference_;
    std::uint32_t table_size_before_ = 0;
};

template <typename Table>
class FlowTableProperty : public testing::Test {};
using Tables = testing::Types<FlowTableV4, FlowTableV6>;
TYPED_TEST_SUITE(FlowTableProperty, Tables);

TYPED_TEST(FlowTableProperty, BehavesLikeAMapAtEveryFill) {
    using Tuple = typename TypeParam::Tuple;
    std::mt19937 random(11);
    for (const std::uint32_t capacity : {5U, 100U, 3000U}) {
        Twin<TypeParam> twin(capacity, random());
        const std::uint32_t space = capacity * 3;
        bool was_full = false;
        std::uint32_t inserts_of_ten = 8;  // swings between filling and emptying
        for (std::uint32_t step = 0; step < 100000; ++step) {
            if (step % (capacity * 8) == 0) inserts_of_ten = inserts_of_ten == 8 ? 4 : 8;
            const auto any = [&] { return static_cast<std::uint32_t>(random() % space); };
            if (random() % 10 < inserts_of_ten) {
                ASSERT_NO_FATAL_FAILURE(twin.insert(any(), any(), step));
            } else if (random() % 50 == 0) {
                ASSERT_NO_FATAL_FAILURE(twin.age(1 + random() % 8, step > capacity * 4 ? step - capacity * 4 : 0));
            } else {
                twin.erase(tuple_of<Tuple>(any(), static_cast<std::uint8_t>(1 + random() % 2)));
            }
            ASSERT_NO_FATAL_FAILURE(twin.check(tuple_of<Tuple>(any(), 1)));
            ASSERT_NO_FATAL_FAILURE(twin.check(tuple_of<Tuple>(any(), 2)));
            was_full = was_full || twin.full();
            if (step % 10000 == 0) {
                ASSERT_NO_FATAL_FAILURE(twin.check_everything());
            }
        }
        ASSERT_NO_FATAL_FAILURE(twin.check_everything());
        EXPECT_TRUE(was_full) << capacity;
    }
}

TYPED_TEST(FlowTableProperty, NeverRefusesBeforeItIsFullHoweverLongItIsChurned) {
    constexpr std::uint32_t kCapacity = 20000;
    Twin<TypeParam> twin(kCapacity, 23);
    std::uint32_t next = 0;
    while (!twin.full()) {
        ASSERT_NO_FATAL_FAILURE(twin.insert(next, next, 0));
        ++next;
    }
    std::mt19937 random(29);
    for (int round = 0; round < 40000; ++round) {
        // At 99.99 % and above all the time: each round one goes and a new one comes.
        const std::uint32_t before = twin.size();
        while (twin.size() == before) {
            twin.erase(tuple_of<typename TypeParam::Tuple>(
                next - 1 - static_cast<std::uint32_t>(random() % (2 * kCapacity)), 2));
        }
        ASSERT_NO_FATAL_FAILURE(twin.insert(next, next, 0));
        ++next;
        ASSERT_TRUE(twin.full());
    }
    ASSERT_NO_FATAL_FAILURE(twin.check_everything());
}

}  // namespace
}  // namespace guideway::flow
