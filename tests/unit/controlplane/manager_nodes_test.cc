// The manager: what is found out about nodes (podCIDRs) is said.
#include <algorithm>

#include "tests/unit/controlplane/manager_testing.h"

namespace guideway::controlplane::manager_testing {
namespace {

const resources::Condition* find(const resources::Node& object, const std::string& type) {
    for (const resources::Condition& one : object.status.conditions) {
        if (one.type == type) return &one;
    }
    return nullptr;
}

TEST_F(ManagerTest, Rule12OfTwoNodesWithOnePodCidrTheOneWithoutTheRouteSaysSo) {
    auto low = node("low", "10.0.2.11"), high = node("high", "10.0.2.12");
    low.spec.pod_cidrs = high.spec.pod_cidrs = {*IpPrefix::parse("10.244.1.0/24")};
    put(high);
    const auto condition_of = [&](const char* name) {
        const auto object = manager->node("default", name).value();
        const auto* found = find(object, "PodsRouted");
        return found == nullptr ? resources::Condition{} : *found;
    };
    EXPECT_TRUE(condition_of("high").status);
    put(low);
    EXPECT_TRUE(condition_of("low").status);
    EXPECT_FALSE(condition_of("high").status);
    EXPECT_EQ(condition_of("high").reason, "PodCidrTaken");
    EXPECT_NE(condition_of("high").message.find("\"low\""), std::string::npos) << condition_of("high").message;
    const auto events = manager->events({}).value().items;
    EXPECT_EQ(std::count_if(events.begin(), events.end(),
                            [](const resources::Event& event) {
                                return event.reason == "PodCidrTaken" && event.warning &&
                                       event.regarding.name == "high";
                            }),
              1);
    restart();
    EXPECT_FALSE(condition_of("high").status) << "also after a start";
    low.spec.pod_cidrs = {*IpPrefix::parse("10.244.2.0/24")};
    put(low);
    EXPECT_TRUE(condition_of("high").status);
    put(node("high", "10.0.2.12"));
    EXPECT_EQ(condition_of("high").type, "") << "without a podCIDR there is nothing to say";
}

}  // namespace
}  // namespace guideway::controlplane::manager_testing
