#include "controlplane/commit/commit_queue.h"

#include <atomic>
#include <functional>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::controlplane {
namespace {

using Step = CommitQueue::Step;

/// A writer that notes what it was asked for, and can be held up in the middle of a commit.
struct Writer {
    std::vector<std::size_t> commits;
    std::size_t abandoned = 0;
    std::function<CommitQueue::Failure()> answer = [] { return std::nullopt; };
    CommitQueue queue{{[] {},
                       [this](std::size_t count) {
                           commits.push_back(count);
                           return answer();
                       },
                       [this] { ++abandoned; }}};
};

CommitQueue::Work work(std::function<Step()> prepare, std::atomic<int>& settled) {
    return {std::move(prepare), [&settled](const CommitQueue::Failure& failure) { settled += failure ? -1 : 1; }};
}

TEST(CommitQueue, OneCallerAloneIsOneCommit) {
    Writer writer;
    std::atomic<int> settled{0};
    writer.queue.submit(work([] { return Step::staged; }, settled));
    EXPECT_EQ(writer.commits, (std::vector<std::size_t>{1}));
    EXPECT_EQ(settled, 1);
}

TEST(CommitQueue, WhatIsFinishedAtOnceWritesNothingAndIsNotSettled) {
    Writer writer;
    std::atomic<int> settled{0};
    writer.queue.submit(work([] { return Step::finished; }, settled));
    EXPECT_TRUE(writer.commits.empty());
    EXPECT_EQ(writer.abandoned, 1U);
    EXPECT_EQ(settled, 0);
}

TEST(CommitQueue, AFailureIsToldToEveryoneOfTheCommit) {
    Writer writer;
    writer.answer = [] { return resources::Problem{507, "StoreFull", "no space", {}}; };
    std::atomic<int> settled{0};
    writer.queue.submit(work([] { return Step::staged; }, settled));
    EXPECT_EQ(settled, -1);
}

TEST(CommitQueue, AnExceptionIsAFailureAndTheNextIsServed) {
    Writer writer;
    std::atomic<int> settled{0};
    writer.queue.submit(work([]() -> Step { throw std::runtime_error("the test's own"); }, settled));
    EXPECT_EQ(settled, -1);
    EXPECT_EQ(writer.abandoned, 1U);
    writer.queue.submit(work([] { return Step::staged; }, settled));
    EXPECT_EQ(settled, 0);
}

/// Holds the first commit until `others` have queued up behind it, so that what follows is known.
struct HeldUp {
    explicit HeldUp(Writer& writer, std::size_t others) {
        writer.answer = [this, others]() -> CommitQueue::Failure {
            if (first.exchange(false)) {
                while (arrived < others) std::this_thread::yield();
                // Those who have said that they come may still be on the way into the queue; the test does not depend on it.
            }
            return std::nullopt;
        };
    }
    std::atomic<bool> first{true};
    std::atomic<std::size_t> arrived{0};
};

TEST(CommitQueue, WhoComesDuringACommitSharesTheNextOnes) {
    constexpr std::size_t kOthers = 31;
    Writer writer;
    HeldUp held(writer, kOthers);
    std::atomic<int> settled{0};
    std::vector<std::thread> threads;
    std::atomic<bool> leading{false};
    threads.emplace_back([&] {
        writer.queue.submit(work(
            [&] {
                leading = true;
                return Step::staged;
            },
            settled));
    });
    while (!leading) std::this_thread::yield();
    for (std::size_t i = 0; i < kOthers; ++i) {
        threads.emplace_back([&] {
            ++held.arrived;
            writer.queue.submit(work([] { return Step::staged; }, settled));
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(settled, static_cast<int>(kOthers) + 1);
    std::size_t works = 0;
    for (const std::size_t count : writer.commits) works += count;
    EXPECT_EQ(works, kOthers + 1);
    EXPECT_EQ(writer.commits.front(), 1U);
    EXPECT_LE(writer.commits.size(), kOthers + 1);
}

TEST(CommitQueue, WhatDoesNotGoTogetherComesInTheNextCommitAndInOrder) {
    // Works on the same key exclude each other in one commit, as in the manager.
    std::set<int> staged;
    std::vector<int> order;
    std::size_t commits = 0;
    CommitQueue queue({[&] { staged.clear(); },
                       [&](std::size_t) -> CommitQueue::Failure {
                           ++commits;
                           return std::nullopt;
                       },
                       [] {}});
    std::atomic<int> settled{0};
    std::vector<std::thread> threads;
    for (int i = 0; i < 20; ++i) {
        threads.emplace_back([&, i] {
            queue.submit(work(
                [&, i] {
                    if (!staged.insert(i % 4).second) return Step::deferred;
                    order.push_back(i);
                    return Step::staged;
                },
                settled));
        });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(settled, 20);
    EXPECT_EQ(order.size(), 20U);  // each once
    EXPECT_GE(commits, 5U);        // at most one of a key in each
}

}  // namespace
}  // namespace guideway::controlplane
