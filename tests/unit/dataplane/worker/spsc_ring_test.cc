#include "dataplane/worker/spsc_ring.h"

#include <thread>

#include <gtest/gtest.h>

namespace guideway::worker {
namespace {

TEST(SpscRing, ValuesComeOutInOrderAndAFullRingRefuses) {
    SpscRing<int, 4> ring;
    EXPECT_FALSE(ring.pop().has_value());
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(ring.push(i));
    EXPECT_FALSE(ring.push(4));
    EXPECT_EQ(ring.pop(), 0);
    EXPECT_TRUE(ring.push(5));
    for (const int expected : {1, 2, 3, 5}) EXPECT_EQ(ring.pop(), expected);
    EXPECT_FALSE(ring.pop().has_value());
}

TEST(SpscRing, TwoThreadsPassEveryValueOnceAndWhole) {
    struct Wide {
        std::uint64_t a, b, c;
    };
    SpscRing<Wide, 16> ring;
    constexpr std::uint64_t kValues = 50000;
    std::thread producer([&] {
        for (std::uint64_t i = 0; i < kValues; ++i) {
            while (!ring.push({i, i + 1, i + 2})) std::this_thread::yield();
        }
    });
    for (std::uint64_t i = 0; i < kValues;) {
        const auto value = ring.pop();
        if (!value) {
            std::this_thread::yield();
            continue;
        }
        ASSERT_EQ(value->a, i);
        ASSERT_EQ(value->b, i + 1);
        ASSERT_EQ(value->c, i + 2);
        ++i;
    }
    producer.join();
}

}  // namespace
}  // namespace guideway::worker
