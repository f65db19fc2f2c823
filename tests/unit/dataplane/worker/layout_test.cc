// What workers write on the poll path shares no cache line with what another thread writes there: false sharing would cost more
// than a whole packet does. The layouts say it; where objects stand apart on the heap their alignment does.
#include <bit>
#include <cstddef>
#include <memory>
#include <set>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/observe/counters.h"
#include "dataplane/worker/plumbing.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {
namespace {

constexpr std::size_t kLine = 64;

template <typename T>
constexpr bool kOwnLines = alignof(T) % kLine == 0 && sizeof(T) % kLine == 0;

static_assert(kOwnLines<Worker>, "burst, time, queues: all that a worker keeps");
static_assert(kOwnLines<observe::CounterBlock>, "totals and drops");
static_assert(kOwnLines<observe::SlotCounters>, "a service's or backend's line of one worker");
static_assert(kOwnLines<flow::AffinityTable> && sizeof(flow::AffinityTable) == 2 * kLine,
              "what all read, what one writes");
static_assert(kOwnLines<ResolveQueue>, "worker writes its end, the netlink thread the other");
static_assert(kOwnLines<flow::FlowEntryV4> && kOwnLines<flow::FlowEntryV6> && kOwnLines<flow::TagBucket>);

std::uintptr_t line_of(const void* at) { return std::bit_cast<std::uintptr_t>(at) / kLine; }

TEST(WorkerLayout, CountersOfWorkersShareNoLine) {
    std::vector<std::vector<observe::SlotCounters>> lines(4);
    std::vector<std::unique_ptr<observe::CounterBlock>> blocks;
    std::set<std::uintptr_t> seen;
    std::size_t wanted = 0;
    for (auto& own : lines) {
        own = std::vector<observe::SlotCounters>(8);
        blocks.push_back(std::make_unique<observe::CounterBlock>(own, own));
        for (std::uintptr_t at = line_of(blocks.back().get());
             at <= line_of(reinterpret_cast<const char*>(blocks.back().get() + 1) - 1); ++at) {
            seen.insert(at);
            ++wanted;
        }
        for (const observe::SlotCounters& line : own) {
            seen.insert(line_of(&line));
            ++wanted;
        }
    }
    EXPECT_EQ(seen.size(), wanted);
}

TEST(WorkerLayout, TheTwoEndsOfAResolveQueueAreLinesApart) {
    // The producer's index, the consumer's and the values: three lines at the least.
    EXPECT_GE(sizeof(ResolveQueue), 3 * kLine);
}

}  // namespace
}  // namespace guideway::worker
