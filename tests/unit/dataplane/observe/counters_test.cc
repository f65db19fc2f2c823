#include "dataplane/observe/counters.h"

#include <array>
#include <thread>

#include <gtest/gtest.h>

namespace guideway::observe {
namespace {

TEST(Counters, EachPacketTouchesOneLineAService) {
    EXPECT_EQ(sizeof(SlotCounters), 64U);
    EXPECT_EQ(alignof(SlotCounters), 64U);
}

TEST(Counters, DropsAreCountedUnderTheirReasonOnly) {
    CounterBlock block({}, {});
    block.drop(DropReason::tx_full);
    block.drop(DropReason::tx_full);
    EXPECT_EQ(block.dropped(DropReason::tx_full), 2U);
    for (std::size_t i = 0; i < kDropReasonCount; ++i) {
        const auto reason = static_cast<DropReason>(i);
        EXPECT_EQ(block.dropped(reason), reason == DropReason::tx_full ? 2U : 0U) << to_string(reason);
    }
}

TEST(Counters, AReaderInAnotherThreadSeesWholeValuesThatOnlyGrow) {
    std::array<SlotCounters, 1> services;
    CounterBlock block(services, {});
    constexpr std::uint64_t kStep = (std::uint64_t{1} << 32) + 1;  // a torn read would show unequal halves
    constexpr std::uint64_t kSteps = 20000;
    std::thread writer([&] {
        for (std::uint64_t i = 0; i < kSteps; ++i) block.service(0).traffic[0].bytes.add(kStep);
    });
    std::uint64_t last = 0;
    while (last < kStep * kSteps) {
        const std::uint64_t now = block.services()[0].traffic[0].bytes.read();
        ASSERT_GE(now, last);
        ASSERT_EQ(now >> 32, now & 0xffffffff);
        last = now;
    }
    writer.join();
}

}  // namespace
}  // namespace guideway::observe
