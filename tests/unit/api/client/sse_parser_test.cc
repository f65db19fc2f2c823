#include "api/client/sse_parser.h"

#include <vector>

#include <gtest/gtest.h>

namespace guideway::client {
namespace {

std::vector<SseEvent> events_of(std::string_view text, std::size_t piece = std::string_view::npos) {
    SseParser parser;
    std::vector<SseEvent> events;
    for (std::size_t at = 0; at < text.size(); at += std::min(piece, text.size() - at)) {
        parser.feed(text.substr(at, piece), [&](const SseEvent& event) {
            events.push_back(event);
            return true;
        });
    }
    return events;
}

using Events = std::vector<SseEvent>;

TEST(SseParser, AnEventEndsWithAnEmptyLine) {
    EXPECT_EQ(events_of("id: 12\nevent: ADDED\ndata: {\"a\":1}\n\n"), (Events{{"ADDED", "{\"a\":1}", "12"}}));
    EXPECT_EQ(events_of("data: not over\n"), Events{});
    EXPECT_EQ(events_of("data: x\n\ndata: y\n\n"), (Events{{"message", "x", ""}, {"message", "y", ""}}));
}

TEST(SseParser, AnyLineEndAndAnyPieceGiveTheSameEvents) {
    const Events expected{{"A", "1\n2", "7"}, {"message", "3", "7"}};
    for (const std::string text :
         {"event: A\ndata: 1\ndata: 2\nid: 7\n\ndata: 3\n\n", "event: A\rdata: 1\rdata: 2\rid: 7\r\rdata: 3\r\r",
          "event: A\r\ndata: 1\r\ndata: 2\r\nid: 7\r\n\r\ndata: 3\r\n\r\n"}) {
        for (const std::size_t piece : {1U, 2U, 3U, 7U, 1000U}) EXPECT_EQ(events_of(text, piece), expected) << piece;
    }
}

TEST(SseParser, TheIdStaysUntilAnotherComes) {
    EXPECT_EQ(events_of("id: 1\ndata: a\n\ndata: b\n\nid: 2\ndata: c\n\nid\ndata: d\n\n"),
              (Events{{"message", "a", "1"}, {"message", "b", "1"}, {"message", "c", "2"}, {"message", "d", ""}}));
}

TEST(SseParser, AnIdWithoutDataMovesOnToo) {
    SseParser parser;
    parser.feed("id: 9\n\n", [](const SseEvent&) { return ADD_FAILURE() << "no event", true; });
    EXPECT_EQ(parser.last_id(), "9");
}

TEST(SseParser, AnIdWithANulIsNone) {
    EXPECT_EQ(events_of(std::string_view("id: 1\nid: 2\0\ndata: a\n\n", 22)), (Events{{"message", "a", "1"}}));
}

TEST(SseParser, CommentsAndUnknownFieldsArePassedOver) {
    EXPECT_EQ(events_of(": alive\n\nfuture: x\ndata: a\n:\n\n"), (Events{{"message", "a", ""}}));
}

TEST(SseParser, OneBlankAfterTheColonIsNoPartOfTheValue) {
    EXPECT_EQ(events_of("data:  a\ndata:b\ndata\n\n"), (Events{{"message", " a\nb\n", ""}}));
}

TEST(SseParser, AByteOrderMarkIsTakenOnceAtTheBeginning) {
    EXPECT_EQ(events_of("\xef\xbb\xbf"
                        "data: a\n\n",
                        1),
              (Events{{"message", "a", ""}}));
    EXPECT_EQ(events_of("\n\xef\xbb\xbf"
                        "data: a\n\n"),
              Events{});
}

TEST(SseParser, TheTypeOfAnEventWithoutDataDoesNotStay) {
    EXPECT_EQ(events_of("event: A\n\ndata: a\n\n"), (Events{{"message", "a", ""}}));
}

TEST(SseParser, RetryTakesDigitsOnlyAndIsBounded) {
    SseParser parser;
    const auto none = [](const SseEvent&) { return true; };
    parser.feed("retry: 1500\n", none);
    EXPECT_EQ(parser.retry_ms(), 1500U);
    parser.feed("retry: -1\nretry: 2s\nretry:\nretry: 99999999999999\n", none);
    EXPECT_EQ(parser.retry_ms(), 1500U);
    parser.feed("retry: 4000000\n", none);
    EXPECT_EQ(parser.retry_ms(), 600000U);
}

TEST(SseParser, ALineLongerThanAllowedEndsTheStream) {
    SseParser parser({.max_line = 10, .max_event = 100});
    int events = 0;
    const auto count = [&](const SseEvent&) { return ++events, true; };
    EXPECT_TRUE(parser.feed("data: 1234\n\n", count));
    EXPECT_FALSE(parser.feed("data: 12345\n\n", count));
    EXPECT_NE(parser.error().find("longer than 10 bytes"), std::string::npos) << parser.error();
    EXPECT_FALSE(parser.feed("\n\ndata: 1\n\n", count));
    EXPECT_EQ(events, 1);
}

TEST(SseParser, ALineThatNeverEndsIsBoundedTooHoweverItComes) {
    SseParser parser({.max_line = 10, .max_event = 100});
    bool more = true;
    int fed = 0;
    while (more && fed < 100) more = (++fed, parser.feed("x", [](const SseEvent&) { return true; }));
    EXPECT_EQ(fed, 11);
}

TEST(SseParser, AnEventWithMoreDataThanAllowedEndsTheStream) {
    SseParser parser({.max_line = 100, .max_event = 20});
    EXPECT_FALSE(parser.feed("data: 123456789\ndata: 123456789\ndata: 1\n\n", [](const SseEvent&) { return true; }));
    EXPECT_NE(parser.error().find("more than 20 bytes"), std::string::npos) << parser.error();
}

TEST(SseParser, WhoHasEnoughIsToldNothingMore) {
    SseParser parser;
    int events = 0;
    EXPECT_FALSE(parser.feed("data: a\n\ndata: b\n\n", [&](const SseEvent&) { return ++events, false; }));
    EXPECT_FALSE(parser.feed("data: c\n\n", [&](const SseEvent&) { return ++events, true; }));
    EXPECT_EQ(events, 1);
    EXPECT_EQ(parser.error(), "");
}

}  // namespace
}  // namespace guideway::client
