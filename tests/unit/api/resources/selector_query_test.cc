#include "api/resources/selector_query.h"

#include <gtest/gtest.h>

namespace guideway::resources {
namespace {

LabelQuery query(const char* text) {
    auto parsed = parse_label_query(text);
    EXPECT_TRUE(parsed.ok()) << text << ": " << (parsed.ok() ? "" : parsed.faults[0].message);
    return parsed.value.value_or(LabelQuery{});
}

std::string fault(std::string_view text) {
    const auto parsed = parse_label_query(text);
    EXPECT_FALSE(parsed.ok()) << text;
    return parsed.ok() ? "" : parsed.faults.at(0).message;
}

TEST(LabelQuery, EachFormSaysWhatKubernetesMeansByIt) {
    const Labels shop{{"team", "shop"}, {"tier", ""}};
    const struct {
        const char* text;
        bool matched;
    } cases[] = {
        {"", true},
        {"  ", true},
        {"team", true},
        {"other", false},
        {"!team", false},
        {"!other", true},
        {" ! other ", true},
        {"team=shop", true},
        {"team==shop", true},
        {"team = shop", true},
        {"team=bank", false},
        {"other=shop", false},
        {"team!=shop", false},
        {"team != bank", true},
        {"other!=shop", true},
        {"tier=", true},
        {"tier!=", false},
        {"team in (bank,shop)", true},
        {"team in(bank , shop )", true},
        {"team in (bank)", false},
        {"tier in ()", true},
        {"tier in (a,)", true},
        {"other in (shop)", false},
        {"team notin (bank)", true},
        {"team notin (bank,shop)", false},
        {"other notin (shop)", true},
        {"team=shop,tier,!other", true},
        {"team=shop,other", false},
    };
    for (const auto& one : cases) EXPECT_EQ(matches(query(one.text), shop), one.matched) << one.text;
}

TEST(LabelQuery, WordsOfTheGrammarMayBeNames) {
    EXPECT_TRUE(matches(query("in in (in,notin)"), {{"in", "notin"}}));
    EXPECT_TRUE(matches(query("notin"), {{"notin", ""}}));
    EXPECT_TRUE(matches(query("example.com/in=In"), {{"example.com/in", "In"}}));
}

TEST(LabelQuery, FaultsSayWhatWasFoundWhereAndWhatIsAllowed) {
    EXPECT_EQ(fault("a="
                    "b=c"),
              "found \"=c\" at character 4, allowed ',' or the end");
    EXPECT_EQ(fault("a,"), "found the end at character 3, allowed a label's name");
    EXPECT_EQ(fault(",a"), "found \",a\" at character 1, allowed a label's name");
    EXPECT_EQ(fault("a in b"), "found \"b\" at character 6, allowed '('");
    EXPECT_EQ(fault("a in (b"), "found the end at character 8, allowed ',' or ')'");
    EXPECT_EQ(fault("a>1"), "found \">1\" at character 2, allowed '=', '==', '!=', 'in', 'notin', ',' or the end");
    EXPECT_EQ(fault("a within (b)"),
              "found \"within (b)\" at character 3, allowed '=', '==', '!=', 'in', 'notin', ',' or the end");
    EXPECT_EQ(fault("a!b"), "found \"b\" at character 3, allowed '=' after '!'");
    EXPECT_EQ(fault("a===b"), "found \"=b\" at character 4, allowed ',' or the end");
    EXPECT_NE(fault("-a").find("found \"-a\" as a label's name"), std::string::npos);
    EXPECT_NE(fault("a=-").find("found \"-\" as a label's value"), std::string::npos);
    EXPECT_NE(fault(std::string(64, 'a')).find("label's name"), std::string::npos);
    EXPECT_NE(fault("a=" + std::string(64, 'a')).find("label's value"), std::string::npos);
    EXPECT_NE(fault("Bad_Prefix/a").find("label's name"), std::string::npos);
    EXPECT_EQ(fault(std::string(5000, 'a')), "found 5000 bytes, allowed 4096");
    std::string many = "a";
    for (int i = 0; i < 64; ++i) many += ",a";
    EXPECT_EQ(fault(many), "found more than 64 requirements, allowed 64");
    std::string values = "a in (a";
    for (int i = 0; i < 256; ++i) values += ",a";
    EXPECT_EQ(fault(values + ")"), "found more than 256 values, allowed 256");
}

TEST(LabelQuery, ItsTextMeansTheSameQuery) {
    for (const char* text : {"", "a", "!a", "a=b", "a=", "a!=b", "a in (b,c)", "a notin (,c)", "a=b,!c,d in (e,f),g"}) {
        EXPECT_EQ(to_string(query(text)), text);
        EXPECT_EQ(query(to_string(query(text)).c_str()), query(text));
    }
}

TEST(LabelSelector, LabelsAndExpressionsMustAllHold) {
    const LabelSelector selector{{{"team", "shop"}}, {{"tier", SelectorOperator::not_in, {"test"}}}};
    EXPECT_TRUE(matches(selector, {{"team", "shop"}}));
    EXPECT_FALSE(matches(selector, {{"team", "shop"}, {"tier", "test"}}));
    EXPECT_FALSE(matches(selector, {{"tier", "front"}}));
    EXPECT_TRUE(matches(LabelSelector{}, {}));
}

}  // namespace
}  // namespace guideway::resources
