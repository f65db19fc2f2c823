#include "api/json/parse.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace guideway::json {
namespace {

contract::Fault fault_of(std::string_view text, Limits limits = {}) {
    const auto result = parse_strict(text, limits);
    EXPECT_FALSE(result.ok()) << text;
    EXPECT_EQ(result.faults.size(), 1U) << text;
    return result.faults.empty() ? contract::Fault{} : result.faults[0];
}

TEST(ParseStrict, AcceptsEveryKindOfValue) {
    const auto result = parse_strict(R"({"a": [1, -2, 2.5, "x", true, null, {}], "b": {"c": []}})");
    ASSERT_TRUE(result.ok());
    EXPECT_EQ(result.value->dump(), R"({"a":[1,-2,2.5,"x",true,null,{}],"b":{"c":[]}})");
}

TEST(ParseStrict, NamesADuplicateKeyByPointer) {
    EXPECT_EQ(fault_of(R"({"a": 1, "a": 2})").field, "/a");
    EXPECT_EQ(fault_of(R"({"x": [0, {"y/z": 1, "y/z": 1}]})").field, "/x/1/y~1z");
    EXPECT_EQ(fault_of(R"([[1], [{"k": {}, "k": {}}]])").field, "/1/0/k");
}

TEST(ParseStrict, TheSameKeyInDifferentObjectsIsFine) {
    EXPECT_TRUE(parse_strict(R"([{"a": 1}, {"a": {"a": 1}}])").ok());
}

TEST(ParseStrict, RefusesNestingBeyondTheLimit) {
    const std::string deep = std::string(32, '[') + std::string(32, ']');
    EXPECT_TRUE(parse_strict(deep).ok());
    EXPECT_NE(fault_of("[" + deep + "]").message.find("32 levels"), std::string::npos);
    // Far beyond: refused at the limit, without recursion to the end.
    fault_of(std::string(1'000'000, '['), {2'000'000, 32});
}

TEST(ParseStrict, RefusesTextsBeyondTheSizeLimit) {
    EXPECT_TRUE(parse_strict("[1]", {3, 32}).ok());
    EXPECT_NE(fault_of("[12]", {3, 32}).message.find("4 bytes"), std::string::npos);
}

TEST(ParseStrict, RefusesWhatIsNoJson) {
    for (const char* text :
         {"", " ", "{", "{} {}", "[1] x", "NaN", "[Infinity]", "[1,]", "{a: 1}", "'a'", "[01]", "// c\n1"}) {
        fault_of(text);
    }
}

TEST(ParseStrict, RefusesBadUtf8) {
    fault_of("\"\xff\"");
    fault_of("\"\xc0\xaf\"");
    fault_of("\"\xed\xa0\x80\"");
    fault_of(R"("\ud800")");
}

TEST(ParseStrict, RefusesNumbersThatNoDoubleHolds) {
    fault_of("[1e400]");
    EXPECT_TRUE(parse_strict("[18446744073709551615]").ok());
}

}  // namespace
}  // namespace guideway::json
