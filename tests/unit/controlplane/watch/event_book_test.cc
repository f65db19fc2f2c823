#include "controlplane/watch/event_book.h"

#include <gtest/gtest.h>

namespace guideway::controlplane {
namespace {

resources::Event event(const std::string& name, const std::string& time, const std::string& message = "no address") {
    resources::Event made;
    made.reason = "AllocationFailed";
    made.message = message;
    made.regarding = {"LoadBalancer", "default", "shop", name};
    made.last_timestamp = time;
    return made;
}

TEST(EventBook, CountsWhatHappensAgainAndMovesItToTheEnd) {
    EventBook book;
    book.add(event("web", "10:00"));
    book.add(event("api", "10:01"));
    const EventBook::Added again = book.add(event("web", "10:05"));
    EXPECT_TRUE(again.again);
    EXPECT_EQ(again.event.count, 2U);
    EXPECT_EQ(again.event.first_timestamp, "10:00");
    EXPECT_EQ(again.event.last_timestamp, "10:05");
    ASSERT_EQ(book.events().size(), 2U);
    EXPECT_EQ(book.events().back().regarding.name, "web");
}

TEST(EventBook, OtherWordsAreAnotherEvent) {
    EventBook book;
    book.add(event("web", "10:00"));
    EXPECT_FALSE(book.add(event("web", "10:01", "the pool is full")).again);
    EXPECT_EQ(book.events().size(), 2U);
}

TEST(EventBook, TheOldestGiveWay) {
    EventBook book(2);
    for (const char* name : {"a", "b", "c"}) book.add(event(name, "10:00"));
    ASSERT_EQ(book.events().size(), 2U);
    EXPECT_EQ(book.events().front().regarding.name, "b");
    EXPECT_FALSE(book.add(event("a", "10:05")).again) << "it was forgotten";
}

}  // namespace
}  // namespace guideway::controlplane
