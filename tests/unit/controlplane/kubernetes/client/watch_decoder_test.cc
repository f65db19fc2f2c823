// Lines of a watch: events, in pieces of any size, and what ends them.
#include "controlplane/kubernetes/client/watch_decoder.h"

#include <vector>

#include <gtest/gtest.h>

namespace guideway::kubernetes {
namespace {

struct Decoded {
    std::vector<WatchEvent> events;
    std::string error;
};

Decoded decode(std::string_view text, std::size_t piece, WatchDecoder::Limits limits = {}) {
    WatchDecoder decoder(limits);
    Decoded out;
    while (!text.empty()) {
        decoder.feed(text.substr(0, piece), [&](WatchEvent&& event) {
            out.events.push_back(std::move(event));
            return true;
        });
        text.remove_prefix(std::min(piece, text.size()));
    }
    out.error = decoder.error();
    return out;
}

TEST(WatchDecoder, TellsEventsHoweverTheBytesAreCut) {
    const std::string text = R"({"type":"ADDED","object":{"metadata":{"name":"a","resourceVersion":"7"}}})"
                             "\n\n"
                             R"({"object":{"metadata":{"resourceVersion":"9"}},"type":"BOOKMARK"})"
                             "\r\n"
                             R"({"type":"LATER","object":3})"
                             "\n"
                             R"({"type":"DELETED","object":{"metadata":{"name":"a","resourceVersion":10}}})"
                             "\n"
                             R"({"type":"ADDED","object":{"meta)";
    for (const std::size_t piece : {1U, 2U, 5U, 64U, 4096U}) {
        const Decoded out = decode(text, piece);
        EXPECT_EQ(out.error, "");
        ASSERT_EQ(out.events.size(), 3U) << "a type of a newer server is passed over, half a line is none";
        EXPECT_EQ(out.events[0].type, WatchEventType::added);
        EXPECT_EQ(out.events[0].resource_version, "7");
        EXPECT_EQ(out.events[1].type, WatchEventType::bookmark);
        EXPECT_EQ(out.events[1].resource_version, "9");
        EXPECT_EQ(out.events[2].resource_version, "") << "of a wrong type";
    }
}

TEST(WatchDecoder, Rule6AnErrorTellsItsStatus) {
    const Decoded out = decode(
        R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old","details":{"retryAfterSeconds":4}}})"
        "\n",
        4096);
    ASSERT_EQ(out.events.size(), 1U);
    EXPECT_TRUE(out.events[0].error.expired());
    EXPECT_EQ(out.events[0].error.text(), "410 Expired: too old");
    EXPECT_EQ(out.events[0].error.retry_after, std::chrono::seconds(4));
}

TEST(WatchDecoder, WhatIsNoEventEndsTheStream) {
    for (const char* line : {"nonsense", "[]", "{}", R"({"type":1,"object":{}})", R"({"type":"ADDED"})",
                             R"({"type":"ADDED","object":null})", R"({"type":"ADDED","object":{"a":1,"a":2}})"}) {
        const Decoded out = decode(std::string(line) + "\n" + R"({"type":"ADDED","object":{}})" + "\n", 3);
        EXPECT_NE(out.error, "") << line;
        EXPECT_TRUE(out.events.empty()) << "nothing after it is read: " << line;
    }
}

TEST(WatchDecoder, LinesAndNestingAreBounded) {
    const std::string fits = R"({"type":"ADDED","object":{}})";
    EXPECT_EQ(decode(fits + "\n", 7, {.max_line = fits.size(), .depth = 8}).events.size(), 1U);
    EXPECT_NE(decode(fits + " \n", 7, {.max_line = fits.size(), .depth = 8}).error, "");
    EXPECT_NE(decode(std::string(100, 'x'), 7, {.max_line = 50, .depth = 8}).error, "") << "before its end comes";
    EXPECT_NE(decode(R"({"type":"ADDED","object":{"a":[[[]]]}})"
                     "\n",
                     7, {.max_line = 100, .depth = 4})
                  .error,
              "");
}

}  // namespace
}  // namespace guideway::kubernetes
