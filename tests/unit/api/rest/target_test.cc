#include "api/rest/target.h"

#include <gtest/gtest.h>

namespace guideway::rest {
namespace {

TEST(Target, SplitsThePathBeforeDecodingIt) {
    const ParsedTarget parsed = parse_target("/v1/load-balancers/a%2Fb/c%20d");
    ASSERT_TRUE(parsed.target) << parsed.error;
    EXPECT_EQ(parsed.target->segments, (std::vector<std::string>{"v1", "load-balancers", "a/b", "c d"}));
}

TEST(Target, KeepsAnEmptyLastSegmentSoThatItIsAnotherPath) {
    EXPECT_EQ(parse_target("/v1/nodes/").target->segments, (std::vector<std::string>{"v1", "nodes", ""}));
    EXPECT_EQ(parse_target("/").target->segments, (std::vector<std::string>{""}));
}

TEST(Target, DecodesQueryParameters) {
    const ParsedTarget parsed = parse_target("/x?source=2001%3adb8::1&flag&empty=&a+b=c+d&&");
    ASSERT_TRUE(parsed.target) << parsed.error;
    EXPECT_EQ(*parsed.target->parameter("source"), "2001:db8::1");
    EXPECT_EQ(*parsed.target->parameter("flag"), "");
    EXPECT_EQ(*parsed.target->parameter("empty"), "");
    EXPECT_EQ(*parsed.target->parameter("a b"), "c d");
    EXPECT_EQ(parsed.target->parameter("other"), nullptr);
    EXPECT_EQ(parsed.target->query.size(), 4U);
}

TEST(Target, RefusesWhatIsAmbiguousOrBroken) {
    for (const char* raw :
         {"",        "x",          "http://host/x", "*",       "/%",         "/%4",          "/%zz",    "/%00",
          "/a%0ab",  "/\x01",      "/%7f",          "/a#b",    "/..",        "/v1/%2e%2e/x", "/.",      "/%ff",
          "/%c0%80", "/%ed%a0%80", "/%f5%80%80%80", "/%e2%82", "/x?a=1&a=2", "/x?a=%",       "/x?%00=1"}) {
        const ParsedTarget parsed = parse_target(raw);
        EXPECT_FALSE(parsed.target) << raw;
        EXPECT_FALSE(parsed.error.empty()) << raw;
    }
}

TEST(Target, TakesUtf8OfEveryLength) {
    const ParsedTarget parsed = parse_target("/%c3%a9%e2%82%ac%f0%9f%9a%84");
    ASSERT_TRUE(parsed.target) << parsed.error;
    EXPECT_EQ(parsed.target->segments[0], "é€🚄");
}

}  // namespace
}  // namespace guideway::rest
