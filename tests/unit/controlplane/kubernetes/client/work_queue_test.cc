// Keys: each once, never twice at the same time, again where it was added meanwhile, and with the back-off of Kubernetes rule 6.
#include "controlplane/kubernetes/client/work_queue.h"

#include <atomic>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::kubernetes {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

struct Timed {
    std::chrono::steady_clock::time_point time{seconds(1000)};
    WorkQueue<> queue{{.now = [this] { return time; }}};

    std::string next() { return queue.try_take().value_or("-"); }
};

TEST(WorkQueue, AKeyAddedTwiceIsHandedOutOnce) {
    Timed timed;
    timed.queue.add("a");
    timed.queue.add("b");
    timed.queue.add("a");
    EXPECT_EQ(timed.queue.depth(), 2U);
    EXPECT_EQ(timed.next(), "a");
    EXPECT_EQ(timed.next(), "b");
    EXPECT_EQ(timed.next(), "-");
    EXPECT_EQ(timed.queue.numbers().merged, 1U);
}

TEST(WorkQueue, AKeyAddedWhileInWorkComesAgainAfterItAndNotBefore) {
    Timed timed;
    timed.queue.add("a");
    EXPECT_EQ(timed.next(), "a");
    timed.queue.add("a");
    timed.queue.add("a");
    EXPECT_EQ(timed.next(), "-");
    timed.queue.done("a");
    EXPECT_EQ(timed.next(), "a");
    timed.queue.done("a");
    EXPECT_EQ(timed.next(), "-");
}

TEST(WorkQueue, Rule6PausesDoubleFromFiveSecondsToThreeHundredAndSuccessForgets) {
    Timed timed;
    std::vector<std::int64_t> pauses;
    for (int i = 0; i < 9; ++i) pauses.push_back(timed.queue.failed("a").count() / 1000);
    EXPECT_EQ(pauses, (std::vector<std::int64_t>{5, 10, 20, 40, 80, 160, 300, 300, 300}));
    EXPECT_EQ(timed.queue.failures("a"), 9U);
    EXPECT_EQ(timed.queue.failures("b"), 0U);
    timed.time += seconds(299);
    EXPECT_EQ(timed.next(), "-");
    timed.time += seconds(1);
    EXPECT_EQ(timed.next(), "a");
    timed.queue.forget("a");
    timed.queue.done("a");
    EXPECT_EQ(timed.queue.failed("a"), seconds(5));
}

TEST(WorkQueue, AForgottenKeyIsNotTriedAgain) {
    Timed timed;
    timed.queue.failed("a");
    timed.queue.add("a");
    EXPECT_EQ(timed.next(), "a") << "a change is worked on at once, back-off or not";
    timed.queue.forget("a");
    timed.queue.done("a");
    timed.time += seconds(3600);
    EXPECT_EQ(timed.next(), "-");
}

TEST(WorkQueue, AServersRetryAfterIsTheLeast) {
    Timed timed;
    EXPECT_EQ(timed.queue.failed("a", seconds(30)), seconds(30));
    EXPECT_EQ(timed.queue.failed("a", seconds(1)), seconds(10));
}

TEST(WorkQueue, OfSeveralDelayedAddsTheEarliestCountsAndForgetLeavesIt) {
    Timed timed;
    timed.queue.add_after("a", seconds(20));
    timed.queue.add_after("a", seconds(10));
    timed.queue.add_after("a", seconds(30));
    timed.queue.forget("a");
    EXPECT_EQ(timed.queue.numbers().delayed, 1U);
    timed.time += seconds(9);
    EXPECT_EQ(timed.next(), "-");
    timed.time += seconds(1);
    EXPECT_EQ(timed.next(), "a");
    timed.queue.done("a");
    timed.time += seconds(60);
    EXPECT_EQ(timed.next(), "-");
}

TEST(WorkQueue, TellsHowLongItsKeysWaitAndAreWorkedOn) {
    Timed timed;
    timed.queue.add("a");
    timed.time += seconds(3);
    EXPECT_EQ(timed.queue.numbers().oldest_waiting, seconds(3));
    timed.next();
    timed.time += seconds(4);
    timed.queue.add("b");
    const WorkQueueNumbers numbers = timed.queue.numbers();
    EXPECT_EQ(numbers.longest_working, seconds(4));
    EXPECT_EQ(numbers.working, 1U);
    EXPECT_EQ(numbers.waiting, 1U);
    EXPECT_EQ(numbers.taken, 1U);
}

TEST(WorkQueue, TakeWakesForAnAddForADelayAndForTheEnd) {
    WorkQueue<> queue;
    std::atomic<int> taken{0};
    std::thread worker([&] {
        while (auto key = queue.take()) {
            ++taken;
            queue.done(*key);
        }
    });
    queue.add("a");
    queue.add_after("b", milliseconds(5));
    while (taken < 2) std::this_thread::yield();
    EXPECT_TRUE(queue.wait_idle(seconds(10)));
    queue.shutdown();
    worker.join();
    queue.add("c");
    EXPECT_EQ(queue.take(), std::nullopt);
    EXPECT_EQ(queue.depth(), 0U);
}

TEST(WorkQueue, ManyWorkersNeverHaveOneKeyTogetherAndLoseNoAdd) {
    constexpr int kKeys = 8, kAdds = 4000;
    WorkQueue<int> queue;
    std::array<std::atomic<int>, kKeys> busy{}, version{}, seen{};
    std::atomic<bool> clash{false};
    std::vector<std::thread> workers;
    for (int i = 0; i < 4; ++i) {
        workers.emplace_back([&] {
            while (auto key = queue.take()) {
                const auto index = static_cast<std::size_t>(*key);
                if (busy[index].fetch_add(1) != 0) clash = true;
                seen[index] = version[index].load();
                busy[index].fetch_sub(1);
                queue.done(*key);
            }
        });
    }
    for (int i = 0; i < kAdds; ++i) {
        ++version[static_cast<std::size_t>(i % kKeys)];
        queue.add(i % kKeys);
    }
    EXPECT_TRUE(queue.wait_idle(seconds(30)));
    queue.shutdown();
    for (std::thread& worker : workers) worker.join();
    EXPECT_FALSE(clash);
    for (std::size_t i = 0; i < kKeys; ++i) EXPECT_EQ(seen[i], version[i]) << "the last change was not seen";
}

}  // namespace
}  // namespace guideway::kubernetes
