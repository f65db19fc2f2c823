// One worker writes its table while others read it: they find a whole line or nothing. For the thread sanitizer, too.
#include <atomic>
#include <new>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/flow/affinity_table.h"

namespace guideway::flow {
namespace {

constexpr std::uint32_t kClients = 12;  ///< of two buckets: lines are refreshed, replaced and forgotten all the time

AffinityKey client(std::uint32_t number) {
    return {{number, ~std::uint64_t{number}}, {1, 2}, static_cast<std::uint16_t>(number), 6};
}
/// Such that any two parts of different writings contradict each other.
AffinityBackend backend(std::uint32_t number, std::uint32_t round) {
    return {{std::uint64_t{round} << 32 | number, ~(std::uint64_t{round} << 32 | number)},
            static_cast<std::uint16_t>(round)};
}

TEST(AffinityThreads, ReadersFindAWholeLineOrNothing) {
    alignas(64) static std::byte memory[AffinityTable::bytes_for(8)];
    std::vector<AffinityTable> tables(1);
    tables[0].attach(memory, 7);
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> found{0}, torn{0};
    std::vector<std::thread> readers;
    for (int i = 0; i < 2; ++i) {
        readers.emplace_back([&] {
            std::uint64_t own = 0;
            for (std::uint32_t number = 0; !stop.load(std::memory_order_relaxed); number = (number + 1) % kClients) {
                const AffinityKey key = client(number);
                const auto line = recall(tables, key, tables[0].hash(key), [](const Remembered&) { return true; });
                if (!line) continue;
                const std::uint32_t round = line->opened_s;
                if (line->backend != backend(number, round) || line->hint != round % 8191 ||
                    line->timeout_s != 1 + round % 86400)
                    torn.fetch_add(1);
                if (++own % 64 == 0) found.fetch_add(64);
            }
        });
    }
    constexpr std::uint32_t kMostRounds = 20'000'000;
    for (std::uint32_t round = 1; round < kMostRounds && (round < 300'000 || found.load() < 20'000); ++round) {
        const std::uint32_t number = round * 7 % kClients;
        const AffinityKey key = client(number);
        tables[0].remember(key, tables[0].hash(key), backend(number, round), 1 + round % 86400,
                           static_cast<std::uint16_t>(round % 8191), round);
        if (round % 64 == 0) tables[0].forget_over(round + 40'000, 8);
    }
    stop = true;
    for (std::thread& reader : readers) reader.join();
    EXPECT_EQ(torn.load(), 0U);
    EXPECT_GE(found.load(), 20'000U) << "the readers hardly read";
}

}  // namespace
}  // namespace guideway::flow
