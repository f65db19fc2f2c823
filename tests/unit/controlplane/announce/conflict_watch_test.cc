// Who else claims our addresses: told when it becomes otherwise, and only then.
#include "controlplane/announce/conflict_watch.h"

#include <chrono>
#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

using namespace std::chrono_literals;
using Conflicts = ConflictWatch::Conflicts;

/// What the dataplane says, and what was told of it.
struct Conversation {
    std::mutex mutex;
    std::condition_variable changed;
    std::optional<Conflicts> says = Conflicts{};
    std::size_t asked = 0;
    std::vector<Conflicts> told;

    std::optional<Conflicts> ask() {
        const std::lock_guard lock(mutex);
        ++asked;
        changed.notify_all();
        return says;
    }
    void tell(const Conflicts& now) {
        const std::lock_guard lock(mutex);
        told.push_back(now);
        changed.notify_all();
    }
    void say(std::optional<Conflicts> now) {
        const std::lock_guard lock(mutex);
        says = std::move(now);
    }
    /// Until it was asked twice more: what was told before the second was told of the first.
    std::vector<Conflicts> after_two_questions() {
        std::unique_lock lock(mutex);
        const std::size_t wanted = asked + 2;
        EXPECT_TRUE(changed.wait_for(lock, 20s, [&] { return asked >= wanted; }));
        return told;
    }
};

TEST(ConflictWatch, TellsOfEachChangeOnceAndOfCountsNever) {
    Conversation talk;
    ConflictWatch watch([&] { return talk.ask(); }, [&](const Conflicts& now) { talk.tell(now); }, 1ms);
    watch.start();
    EXPECT_TRUE(talk.after_two_questions().empty()) << "nobody claims anything";
    contract::AddressConflict one{IpAddress::v4(0xcb00710a), "02:00:00:00:00:66", "client0", 1, 1700000000, false};
    talk.say(Conflicts{one});
    EXPECT_EQ(talk.after_two_questions(), std::vector<Conflicts>{Conflicts{one}});
    const contract::AddressConflict first = one;
    one.claims = 7;
    one.last_seen_unix_seconds += 10;
    talk.say(Conflicts{one});
    EXPECT_EQ(talk.after_two_questions().size(), 1U);
    talk.say(std::nullopt);
    EXPECT_EQ(talk.after_two_questions().size(), 1U) << "a dataplane that is away has not settled it";
    one.yielded = true;
    talk.say(Conflicts{one});
    EXPECT_EQ(talk.after_two_questions(), (std::vector<Conflicts>{{first}, {one}}));
    talk.say(Conflicts{});
    EXPECT_EQ(talk.after_two_questions().back(), Conflicts{});
    watch.stop();
    EXPECT_EQ(talk.told.size(), 3U);
}

}  // namespace
}  // namespace guideway::announce
