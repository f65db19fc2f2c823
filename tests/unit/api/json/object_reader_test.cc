#include "api/json/object_reader.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace guideway::json {
namespace {

using contract::Fault;

struct Reading {
    explicit Reading(const char* text) : tree(nlohmann::json::parse(text)), reader(tree, "", faults) {}
    nlohmann::json tree;
    std::vector<Fault> faults;
    ObjectReader reader;
};

TEST(ObjectReader, ReadsEveryType) {
    Reading r(
        R"({"s": "x", "i": 7, "b": true, "l": ["a", "b"], "o": {"i": 1}, "os": [{"i": 1}, {"i": 2}], "m": {"k": "v"}})");
    EXPECT_EQ(r.reader.required_string("s", length(1, 3)), "x");
    EXPECT_EQ(r.reader.required_integer<std::uint16_t>("i", 1, 65535), 7);
    EXPECT_TRUE(r.reader.required_boolean("b"));
    EXPECT_EQ(r.reader.strings("l", {0, 2}, length(1, 1)), (std::vector<std::string>{"a", "b"}));
    ObjectReader inner = r.reader.required_object("o");
    EXPECT_EQ(inner.required_unsigned("i", 0, 1), 1U);
    inner.finish();
    std::uint64_t sum = 0;
    r.reader.each_object("os", {1, 2}, [&](ObjectReader& one) { sum += one.required_unsigned("i", 0, 9); });
    EXPECT_EQ(sum, 3U);
    r.reader.each_member("m", {0, 1}, length(0, 9),
                         [](const std::string& k, const std::string& v) { EXPECT_EQ(k + v, "kv"); });
    r.reader.finish();
    EXPECT_TRUE(r.faults.empty());
}

TEST(ObjectReader, CollectsEveryFaultWithItsPlace) {
    Reading r(R"({"s": 1, "i": 70000, "b": "yes", "extra": 0, "os": [{}, 5]})");
    r.reader.required_string("s", length(1, 3));
    r.reader.required_integer<std::uint16_t>("i", 1, 65535);
    r.reader.required_boolean("b");
    r.reader.required_string("gone", length(1, 3));
    r.reader.each_object("os", {0, 9}, [](ObjectReader& one) { one.required_unsigned("n", 1, 2); });
    r.reader.finish();
    ASSERT_EQ(r.faults.size(), 7U);
    EXPECT_EQ(r.faults[0], (Fault{"/s", "found 1, allowed a text"}));
    EXPECT_EQ(r.faults[1], (Fault{"/i", "found 70000, allowed 1..65535"}));
    EXPECT_EQ(r.faults[2], (Fault{"/b", "found \"yes\", allowed true or false"}));
    EXPECT_EQ(r.faults[3], (Fault{"/gone", "missing, allowed a text"}));
    EXPECT_EQ(r.faults[4], (Fault{"/os/0/n", "missing, allowed 1..2"}));
    EXPECT_EQ(r.faults[5], (Fault{"/os/1", "found 5, allowed an object"}));
    EXPECT_EQ(r.faults[6].field, "/extra");
    EXPECT_EQ(r.faults[6].message, "unknown field, allowed s, i, b, gone, os");
}

TEST(ObjectReader, AnUnknownFieldIsToldEveryFieldThatIsAllowedOnceThoughNoneIsThere) {
    Reading r(R"({"extra": 0, "there": true})");
    const auto parse = [](std::string_view text) { return std::optional(text.size()); };
    r.reader.value_or<std::size_t>("value", 0, parse, "a text");
    r.reader.unsigned_or("number", 0, 0, 9);
    r.reader.boolean_or("there", false);
    r.reader.string_or("text", {}, length(0, 9));
    r.reader.finish();
    ASSERT_EQ(r.faults.size(), 1U);
    EXPECT_EQ(r.faults[0], (Fault{"/extra", "unknown field, allowed value, number, there, text"}));
}

TEST(ObjectReader, IntegersAreNeitherNegativeNorFractionsNorTexts) {
    for (const char* text : {R"({"i": -1})", R"({"i": 1.0})", R"({"i": 1e1})", R"({"i": "1"})", R"({"i": null})",
                             R"({"i": true})", R"({"i": 18446744073709551616})", R"({"i": [1]})"}) {
        Reading r(text);
        EXPECT_EQ(r.reader.required_integer<std::uint32_t>("i", 5, 100), 5U) << text;
        EXPECT_EQ(r.faults.size(), 1U) << text;
    }
}

TEST(ObjectReader, OptionalFieldsFallBackOnlyWhereTheyAreMissing) {
    Reading r(R"({"there": null})");
    EXPECT_EQ(r.reader.string_or("gone", "x", length(0, 9)), "x");
    EXPECT_EQ(r.reader.integer_or<std::uint16_t>("gone2", 3, 0, 9), 3);
    EXPECT_TRUE(r.reader.boolean_or("gone3", true));
    EXPECT_TRUE(r.faults.empty());
    r.reader.string_or("there", "x", length(0, 9));
    ASSERT_EQ(r.faults.size(), 1U);
    EXPECT_EQ(r.faults[0].message, "found null, allowed a text");
}

TEST(ObjectReader, CountsOfArraysAreLimited) {
    Reading r(R"({"a": ["1", "2", "3"], "e": []})");
    r.reader.strings("a", {0, 2}, length(0, 9));
    r.reader.strings("e", {1, 2}, length(0, 9));
    ASSERT_EQ(r.faults.size(), 2U);
    EXPECT_EQ(r.faults[0].message, "found 3 elements, allowed 0..2");
    EXPECT_EQ(r.faults[1].message, "found 0 elements, allowed 1..2");
}

TEST(ObjectReader, SomethingElseThanAnObjectIsOneFaultAndAbsent) {
    Reading r("[1]");
    EXPECT_FALSE(r.reader.present());
    EXPECT_EQ(r.reader.required_string("s", length(1, 1)), "");
    r.reader.finish();
    ASSERT_EQ(r.faults.size(), 1U);
    EXPECT_EQ(r.faults[0], (Fault{"", "found an array, allowed an object"}));
}

TEST(ObjectReader, ListsOfFaultsEnd) {
    std::string text = R"({"o": [)";
    for (int i = 0; i < 500; ++i) text += std::string(i == 0 ? "" : ",") + "0";
    Reading r((text + "]}").c_str());
    r.reader.each_object("o", {0, 1000}, [](ObjectReader&) {});
    EXPECT_EQ(r.faults.size(), kMaxFaults);
}

TEST(ObjectReader, QuotedTextsAreShortAndWithoutControlCharacters) {
    EXPECT_EQ(ObjectReader::quoted("a\n\x1b[31m"), "\"a??[31m\"");
    EXPECT_EQ(ObjectReader::quoted(std::string(500, 'x')).size(), 105U);
}

}  // namespace
}  // namespace guideway::json
