// Rule 4: selectors, by Kubernetes' semantics.
#include "tests/unit/controlplane/ipam/ipam_testing.h"

namespace guideway::ipam {
namespace {

using Op = LabelOperator;

LabelSelector expression(std::string key, Op operation, std::vector<std::string> values = {}) {
    return {{}, {{std::move(key), operation, std::move(values)}}};
}

TEST(Rule4, AnEmptySelectorMatchesEverything) {
    EXPECT_TRUE(LabelSelector{}.matches({}));
    EXPECT_TRUE(LabelSelector{}.matches({{"a", "b"}}));
}

TEST(Rule4, EveryMatchLabelMustBeThereWithItsValue) {
    const LabelSelector selector{{{"tier", "edge"}, {"env", "prod"}}, {}};
    EXPECT_TRUE(selector.matches({{"tier", "edge"}, {"env", "prod"}, {"more", "x"}}));
    EXPECT_FALSE(selector.matches({{"tier", "edge"}}));
    EXPECT_FALSE(selector.matches({{"tier", "edge"}, {"env", "dev"}}));
    EXPECT_FALSE(selector.matches({}));
}

TEST(Rule4, InWantsOneOfTheValues) {
    const LabelSelector selector = expression("env", Op::in, {"prod", "stage"});
    EXPECT_TRUE(selector.matches({{"env", "stage"}}));
    EXPECT_FALSE(selector.matches({{"env", "dev"}}));
    EXPECT_FALSE(selector.matches({})) << "an absent label is in nothing";
}

TEST(Rule4, NotInAlsoHoldsWhereTheLabelIsAbsent) {
    const LabelSelector selector = expression("env", Op::not_in, {"dev"});
    EXPECT_TRUE(selector.matches({{"env", "prod"}}));
    EXPECT_TRUE(selector.matches({}));
    EXPECT_FALSE(selector.matches({{"env", "dev"}}));
}

TEST(Rule4, ExistsAndDoesNotExistLookAtTheKeyOnly) {
    EXPECT_TRUE(expression("env", Op::exists).matches({{"env", ""}}));
    EXPECT_FALSE(expression("env", Op::exists).matches({{"other", ""}}));
    EXPECT_TRUE(expression("env", Op::does_not_exist).matches({{"other", ""}}));
    EXPECT_FALSE(expression("env", Op::does_not_exist).matches({{"env", "x"}}));
}

TEST(Rule4, LabelsAndExpressionsMustAllHold) {
    LabelSelector selector = expression("env", Op::not_in, {"dev"});
    selector.match_labels["tier"] = "edge";
    selector.match_expressions.push_back({"owner", Op::exists, {}});
    EXPECT_TRUE(selector.matches({{"tier", "edge"}, {"owner", "x"}}));
    EXPECT_FALSE(selector.matches({{"tier", "edge"}}));
    EXPECT_FALSE(selector.matches({{"tier", "edge"}, {"owner", "x"}, {"env", "dev"}}));
}

TEST(Rule4, OperatorsAreNamedAsInKubernetes) {
    for (const char* name : {"In", "NotIn", "Exists", "DoesNotExist"}) {
        ASSERT_TRUE(parse_label_operator(name)) << name;
        EXPECT_EQ(to_string(*parse_label_operator(name)), name);
    }
    EXPECT_FALSE(parse_label_operator("in"));
    EXPECT_FALSE(parse_label_operator(""));
}

std::vector<std::string> faults(const LabelSelector& selector) {
    std::vector<std::string> texts;
    for (const SelectorFault& fault : faults_of(selector)) texts.push_back(fault.field + " " + fault.message);
    return texts;
}

TEST(Rule4, InAndNotInNeedValuesAndTheOthersTakeNone) {
    for (const Op operation : {Op::in, Op::not_in}) {
        const auto found = faults(expression("env", operation));
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].rfind("/matchExpressions/0/values is empty; ", 0), 0U) << found[0];
    }
    for (const Op operation : {Op::exists, Op::does_not_exist}) {
        const auto found = faults(expression("env", operation, {"x"}));
        ASSERT_EQ(found.size(), 1U);
        EXPECT_EQ(found[0].rfind("/matchExpressions/0/values has 1 values; ", 0), 0U) << found[0];
    }
    EXPECT_TRUE(faults(expression("env", Op::in, {"x", ""})).empty()) << "the empty value is one";
}

TEST(Rule4, KeysAndValuesThatNoLabelCanHaveAreFaults) {
    const std::string long_part(64, 'x');
    for (const std::string& key :
         {std::string(""), std::string("-a"), std::string("a-"), std::string("a b"), std::string("/a"),
          std::string("a/"), std::string("Example.com/a"), std::string("a..b/c"), std::string("a/b/c"),
          std::string("-a.b/c"), std::string("a-.b/c"), long_part, std::string(254, 'a') + "/b"}) {
        EXPECT_EQ(faults(expression(key, Op::exists)).size(), 1U) << key;
    }
    for (const std::string& key : {std::string("a"), std::string("A_b.c-9"), std::string("example.com/name"),
                                   std::string("kubernetes.io/metadata.name"), long_part.substr(1)}) {
        EXPECT_TRUE(faults(expression(key, Op::exists)).empty()) << key;
    }
    for (const std::string& value : {std::string("a b"), std::string("-a"), std::string("a."), long_part}) {
        EXPECT_EQ(faults(expression("k", Op::in, {"fine", value})).size(), 1U) << value;
        EXPECT_EQ(faults({{{"k", value}}, {}}).size(), 1U) << value;
    }
}

TEST(Rule4, EveryFaultIsNamedByItsField) {
    LabelSelector selector = expression("bad key", Op::in);
    selector.match_labels["a/b/c~"] = "no value";
    const auto found = faults(selector);
    ASSERT_EQ(found.size(), 4U) << testing::PrintToString(found);
    EXPECT_EQ(found[0].rfind("/matchLabels/a~1b~1c~0 ", 0), 0U) << found[0];
    EXPECT_EQ(found[1].rfind("/matchLabels/a~1b~1c~0 ", 0), 0U) << found[1];
    EXPECT_EQ(found[2].rfind("/matchExpressions/0/key ", 0), 0U) << found[2];
    EXPECT_EQ(found[3].rfind("/matchExpressions/0/values ", 0), 0U) << found[3];
}

TEST(Rule4, AFaultOfASelectorRefusesTheWholeSetOfPools) {
    PoolDefinition bad = pool("a", {"10.0.1.0/30"});
    bad.service_allocation =
        ServiceAllocation{1, {"shop", ""}, {expression("k", Op::in)}, {expression("-", Op::exists)}, {""}};
    const ParsedPools parsed = parse_pools({bad, pool("b", {"10.0.2.0/30"})});
    std::vector<std::string> fields;
    for (const PoolFault& fault : parsed.faults) fields.push_back(fault.pool + fault.field);
    EXPECT_EQ(fields, (std::vector<std::string>{"a/serviceAllocation/namespaces/1",
                                                "a/serviceAllocation/namespaceSelectors/0/matchExpressions/0/values",
                                                "a/serviceAllocation/serviceSelectors/0/matchExpressions/0/key",
                                                "a/serviceAllocation/clusters/0"}));
    EXPECT_TRUE(parsed.set.pools().empty());
}

}  // namespace
}  // namespace guideway::ipam
