// Maglev's promises over many random sets: permutation, balance, order independence, small disruption.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/balancing/maglev.h"

namespace guideway::balancing {
namespace {

std::vector<MaglevBackend> random_set(std::mt19937& random, std::size_t count, std::uint32_t largest_weight = 1) {
    std::vector<MaglevBackend> backends;
    const auto base = static_cast<std::uint32_t>(random());
    const bool v6 = random() % 2 == 0;
    for (std::uint32_t i = 0; i < count; ++i) {
        IpAddress address = IpAddress::v4(base + i);
        if (v6) {
            std::array<std::uint8_t, 16> bytes{0x20, 0x01, 0x0d, 0xb8};
            std::copy_n(address.bytes.begin(), 4, bytes.begin() + 12);
            address = IpAddress::v6(bytes);
        }
        backends.push_back(
            {address, static_cast<std::uint16_t>(30080), 1 + static_cast<std::uint32_t>(random()) % largest_weight});
    }
    return backends;
}

/// Who has each slot, by identity, so that tables of different sets can be compared.
std::vector<const IpAddress*> owners(const MaglevTable& table, const std::vector<MaglevBackend>& backends) {
    std::vector<const IpAddress*> result;
    for (const std::uint16_t index : table.slots()) result.push_back(&backends[index].address);
    return result;
}

double changed_percent(const std::vector<const IpAddress*>& a, const std::vector<const IpAddress*>& b) {
    std::size_t changed = 0;
    for (std::size_t i = 0; i < a.size(); ++i) changed += *a[i] != *b[i] ? 1 : 0;
    return 100.0 * static_cast<double>(changed) / static_cast<double>(a.size());
}

TEST(MaglevProperty, EachWalkVisitsEverySlotOnce) {
    std::mt19937 random(1);
    for (const std::uint32_t size : {7U, 4093U, 65537U, 655373U}) {
        for (const MaglevBackend& backend : random_set(random, 5)) {
            const MaglevWalk walk = maglev_walk(backend.address, backend.port, size);
            ASSERT_LT(walk.offset, size);
            ASSERT_TRUE(walk.skip >= 1 && walk.skip < size);
            std::vector<bool> seen(size);
            std::uint64_t at = walk.offset;
            for (std::uint32_t step = 0; step < size; ++step) {
                ASSERT_FALSE(seen[at]);
                seen[at] = true;
                at = (at + walk.skip) % size;
            }
        }
    }
}

TEST(MaglevProperty, EqualWeightsDifferByAtMostOneSlot) {
    std::mt19937 random(2);
    for (const std::size_t count : {1U, 2U, 3U, 10U, 100U, 655U}) {
        for (int trial = 0; trial < 5; ++trial) {
            const auto table = MaglevTable::build(random_set(random, count), 65537);
            ASSERT_LE(table->max_slots() - table->min_slots(), 1U) << count << " backends";
        }
    }
}

TEST(MaglevProperty, TheOrderOfTheSetDoesNotMatter) {
    std::mt19937 random(3);
    for (int trial = 0; trial < 20; ++trial) {
        auto backends = random_set(random, 1 + random() % 200, 1 + random() % 10);
        const auto before = owners(*MaglevTable::build(backends, 4093), backends);
        std::vector<IpAddress> expected;
        for (const IpAddress* owner : before) expected.push_back(*owner);
        std::shuffle(backends.begin(), backends.end(), random);
        const auto table = MaglevTable::build(backends, 4093);
        for (std::size_t i = 0; i < expected.size(); ++i) ASSERT_EQ(backends[table->slots()[i]].address, expected[i]);
    }
}

TEST(MaglevProperty, SharesFollowRandomWeights) {
    std::mt19937 random(4);
    for (int trial = 0; trial < 20; ++trial) {
        const auto backends = random_set(random, 1 + random() % 50, 1000);
        const auto table = MaglevTable::build(backends, 65537);
        const double sum = std::accumulate(backends.begin(), backends.end(), 0.0,
                                           [](double total, const MaglevBackend& b) { return total + b.weight; });
        for (std::size_t i = 0; i < backends.size(); ++i) {
            ASSERT_NEAR(table->slots_by_backend()[i], 65537.0 * backends[i].weight / sum, 2.0) << "backend " << i;
        }
    }
}

/// The paper's section 3.4 as it is written, with this project's weights: the truth for whatever build() does instead.
std::vector<std::uint16_t> plain_table(const std::vector<MaglevBackend>& backends, std::uint32_t size) {
    std::vector<std::size_t> order;
    for (std::size_t i = 0; i < backends.size(); ++i) {
        if (backends[i].weight > 0) order.push_back(i);
    }
    std::sort(order.begin(), order.end(),
              [&](std::size_t a, std::size_t b) { return backends[a].address < backends[b].address; });
    std::uint32_t largest = 0;
    for (const MaglevBackend& backend : backends) largest = std::max(largest, backend.weight);
    std::vector<std::uint64_t> step(backends.size(), 0);
    std::vector<std::uint32_t> credit(backends.size(), 0);
    std::vector<std::uint16_t> table(size, MaglevTable::kNoBackend);
    for (std::uint32_t filled = 0; filled < size;) {
        for (const std::size_t i : order) {
            credit[i] += backends[i].weight;
            if (credit[i] < largest || filled == size) continue;
            credit[i] -= largest;
            const MaglevWalk walk = maglev_walk(backends[i].address, backends[i].port, size);
            std::uint64_t slot = 0;
            do slot = (walk.offset + step[i]++ * walk.skip) % size;
            while (table[slot] != MaglevTable::kNoBackend);
            table[slot] = static_cast<std::uint16_t>(i);
            ++filled;
        }
    }
    return table;
}

TEST(MaglevProperty, EveryTableIsThePapersSlotBySlot) {
    std::mt19937 random(6);
    for (const std::uint32_t size : {2U, 3U, 5U, 7U, 17U, 101U, 257U, 1009U, 4093U, 65537U, 131071U}) {
        for (const std::size_t count : {1U, 2U, 3U, 15U, 16U, 17U, 100U, 300U}) {
            if (size > 4093 && count > 100) continue;  // the plain way takes seconds
            auto backends = random_set(random, count, count % 2 == 0 ? 1 : 1000);
            backends[random() % count].weight = count > 1 && random() % 2 == 0 ? 0 : 1;
            std::shuffle(backends.begin(), backends.end(), random);
            const auto table = MaglevTable::build(backends, size);
            const auto expected = plain_table(backends, size);
            ASSERT_TRUE(std::equal(expected.begin(), expected.end(), table->slots().begin(), table->slots().end()))
                << count << " backends, " << size << " slots";
            std::vector<std::uint32_t> slots(count, 0);
            for (const std::uint16_t index : expected) ++slots[index];
            ASSERT_TRUE(std::equal(slots.begin(), slots.end(), table->slots_by_backend().begin()));
        }
    }
}

struct Disruption {
    std::uint32_t size;
    std::size_t backends;
    std::size_t removed;
    double changed_percent;  // mean of a simulation with random offset and skip
};

class MaglevDisruption : public testing::TestWithParam<Disruption> {};

TEST_P(MaglevDisruption, StaysNearTheSimulationsMean) {
    const Disruption& expected = GetParam();
    std::mt19937 random(5);
    double sum = 0;
    constexpr int kTrials = 5;
    for (int trial = 0; trial < kTrials; ++trial) {
        auto backends = random_set(random, expected.backends);
        std::shuffle(backends.begin(), backends.end(), random);
        const auto before = owners(*MaglevTable::build(backends, expected.size), backends);
        const std::vector<MaglevBackend> rest(backends.begin() + static_cast<std::ptrdiff_t>(expected.removed),
                                              backends.end());
        const auto after = owners(*MaglevTable::build(rest, expected.size), rest);
        const double changed = changed_percent(before, after);
        const double least = 100.0 * static_cast<double>(expected.removed) / static_cast<double>(expected.backends);
        ASSERT_GE(changed, least * 0.99);
        sum += changed;
    }
    EXPECT_NEAR(sum / kTrials, expected.changed_percent, 0.1 * expected.changed_percent + 0.15);
}

INSTANTIATE_TEST_SUITE_P(Sizes, MaglevDisruption,
                         testing::Values(Disruption{65537, 1000, 1, 0.68}, Disruption{65537, 1000, 10, 3.33},
                                         Disruption{65537, 1000, 50, 8.26}, Disruption{65537, 1000, 100, 13.55},
                                         Disruption{65537, 1000, 200, 23.50}, Disruption{655373, 1000, 10, 1.58},
                                         Disruption{65537, 10, 1, 10.26}, Disruption{65537, 100, 1, 1.56},
                                         Disruption{4093, 100, 1, 3.9}),
                         [](const auto& row) {
                             return "M" + std::to_string(row.param.size) + "N" + std::to_string(row.param.backends) +
                                    "Removed" + std::to_string(row.param.removed);
                         });

}  // namespace
}  // namespace guideway::balancing
