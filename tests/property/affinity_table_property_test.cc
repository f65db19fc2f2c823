// AffinityTable against a map that remembers everybody: random clients, time-outs, sweeps, restarts and times that wrap.
#include <algorithm>
#include <cstring>
#include <map>
#include <new>
#include <random>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/flow/affinity_table.h"

namespace guideway::flow {
namespace {

struct Known {
    std::uint32_t backend;
    std::uint32_t timeout;
    std::uint32_t opened;
};

AffinityKey key_of(std::uint32_t client) {
    static constexpr std::uint8_t kProtocols[] = {6, 17, 132};
    return {{client / 3, 5}, {client % 5, 6}, static_cast<std::uint16_t>(80 + client % 2), kProtocols[client % 3]};
}
AffinityBackend backend_of(std::uint32_t number) { return {{number, number * 3}, static_cast<std::uint16_t>(number)}; }

struct Size {
    std::uint32_t clients;  ///< who come
    std::uint32_t lines;
    std::uint32_t start;  ///< seconds
};
class AffinityProperty : public ::testing::TestWithParam<Size> {};
INSTANTIATE_TEST_SUITE_P(Sizes, AffinityProperty,
                         ::testing::Values(Size{40, 4, 1000}, Size{40, 16, 0xffffff00U}, Size{300, 64, 0x7fffff00U},
                                           Size{100, 4096, 0xfffffff0U}));

TEST_P(AffinityProperty, WhatIsFoundIsRightAndWhatIsMissingIsOverOrCounted) {
    const Size run = GetParam();
    const std::size_t bytes = AffinityTable::bytes_for(run.lines);
    std::vector<std::byte> memory(bytes + 64);
    const auto offset = (64 - reinterpret_cast<std::uintptr_t>(memory.data()) % 64) % 64;
    const std::span<std::byte> region = std::span(memory).subspan(offset, bytes);
    AffinityTable table;
    table.attach(region, 99);

    std::mt19937 random(run.clients * 31 + run.lines);
    const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
    std::map<std::uint32_t, Known> model;
    std::uint32_t now = run.start;
    std::uint64_t displaced = 0, after_over = 0, added = 0, forgotten = 0, hits = 0;
    for (int step = 0; step < 60'000; ++step) {
        if (below(4) == 0) now += below(4);
        const std::uint32_t client = below(run.clients);
        const AffinityKey key = key_of(client);
        const std::uint64_t hash = table.hash(key);
        const auto found = table.find(key, hash);
        const auto known = model.find(client);
        if (found) {
            ASSERT_NE(known, model.end()) << "never came, step " << step;
            ASSERT_EQ(found->backend, backend_of(known->second.backend)) << step;
            ASSERT_EQ(found->opened_s, known->second.opened) << step;
            ASSERT_EQ(found->timeout_s, known->second.timeout) << step;
            ++hits;
        }
        if (below(3) != 0) {
            const Known next{below(50), 1 + below(60), now};
            // Whoever is in the same bucket and newer than one who had to go would contradict "the oldest".
            const std::uint32_t before = table.size();
            switch (table.remember(key, hash, backend_of(next.backend), next.timeout, 3, now)) {
                case AffinityTable::Stored::refreshed:
                    ASSERT_TRUE(found) << step;
                    break;
                case AffinityTable::Stored::added:
                    ASSERT_EQ(table.size(), before + 1);
                    ++added;
                    break;
                case AffinityTable::Stored::displaced:
                    ++displaced;
                    break;
                case AffinityTable::Stored::after_over:
                    ++after_over;
                    break;
                case AffinityTable::Stored::nowhere:
                    FAIL();
            }
            model[client] = next;
            ASSERT_TRUE(table.find(key, hash)) << "who came last is there, step " << step;
        } else if (below(8) == 0) {
            forgotten += table.forget_over(now, 1 + below(run.lines));
        } else if (below(300) == 0) {
            AffinityTable next;  // the process is another
            next.attach(region, AffinityTable::seed_in(region));
            const auto result = next.restore(now);
            ASSERT_EQ(result.damaged, 0U);
            ASSERT_EQ(result.kept + result.over, table.size());
            forgotten += result.over;
            table = next;
        }
        ASSERT_EQ(table.size(), added - forgotten) << step;
    }
    // Who is not over is there, but for those who were counted.
    std::uint64_t missing = 0, there = 0;
    for (const auto& [client, known] : model) {
        const auto found = table.find(key_of(client), table.hash(key_of(client)));
        there += found.has_value();
        missing += !found && age_of(now, known.opened) <= known.timeout;
    }
    EXPECT_LE(missing, displaced);
    EXPECT_EQ(there, table.size());
    EXPECT_GT(hits, 100U);
    if (run.lines >= 16 * run.clients) {
        EXPECT_EQ(displaced, 0U);
    }
    if (run.lines < run.clients) {
        EXPECT_GT(displaced + after_over, 0U);
    }
}

}  // namespace
}  // namespace guideway::flow
