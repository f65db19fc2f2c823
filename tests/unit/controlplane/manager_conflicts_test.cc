// The manager: another machine that claims an address is an event of the load balancer that has it, and makes it not ready where it is left to it.
#include <algorithm>

#include "tests/unit/controlplane/manager_testing.h"

namespace guideway::controlplane::manager_testing {
namespace {

constexpr const char* kOther = "02:00:00:00:00:66";

struct ManagerConflictsTest : ManagerTest {
    ManagerConflictsTest() {
        adjust = [](ManagerOptions& options) { options.conflicts_every = 1ms; };
        dataplane.start();
        restart();
        put(pool("a", {"203.0.113.10-203.0.113.20"}));
        put(node("n", "10.0.2.11"));
        put(balancer("web"));
        EXPECT_TRUE(manager->wait_until_forwarding(20s));
    }
    ~ManagerConflictsTest() override { manager.reset(); }

    void claimed(std::vector<contract::AddressConflict> conflicts) {
        dataplane.with_lock([&](FakeDataplane& self) {
            self.status.emplace();
            self.status->address_conflicts = std::move(conflicts);
        });
    }
    contract::AddressConflict by_other(const char* address, bool yielded) {
        return {ip(address), kOther, "client0", 2, 1700000000, yielded};
    }
    /// Reasons of all events about it, oldest first.
    std::vector<std::string> told_of(const std::string& kind, const std::string& name) {
        std::vector<std::string> reasons;
        const auto events = manager->events({}).value().items;
        for (const resources::Event& event : events) {
            if (event.regarding.kind == kind && event.regarding.name == name && event.reason.starts_with("Address"))
                reasons.push_back(event.reason);
        }
        return reasons;
    }
    /// Until the events are these.
    void expect_told(const std::string& kind, const std::string& name, const std::vector<std::string>& reasons) {
        const auto end = std::chrono::steady_clock::now() + 20s;
        while (told_of(kind, name) != reasons && std::chrono::steady_clock::now() < end) std::this_thread::yield();
        EXPECT_EQ(told_of(kind, name), reasons);
    }
    using List = std::vector<std::string>;
};

TEST_F(ManagerConflictsTest, AConflictIsAnEventWithMacAndPortAndItsEndIsOneToo) {
    claimed({by_other("203.0.113.10", false)});
    expect_told("LoadBalancer", "web", List{"AddressConflict"});
    const auto events = manager->events({}).value().items;
    const auto event = std::ranges::find(events, "AddressConflict", &resources::Event::reason);
    EXPECT_TRUE(event->warning);
    EXPECT_NE(event->message.find(kOther), std::string::npos) << event->message;
    EXPECT_NE(event->message.find("client0"), std::string::npos) << event->message;
    EXPECT_TRUE(condition(get("web"), "Ready").status) << "it is defended: clients are served";
    EXPECT_EQ(manager->status().address_conflicts, 1U);
    EXPECT_EQ(manager->status().addresses_yielded, 0U);
    claimed({});
    expect_told("LoadBalancer", "web", (List{"AddressConflict", "AddressConflictOver"}));
    EXPECT_EQ(manager->status().address_conflicts, 0U);
}

TEST_F(ManagerConflictsTest, AnAddressThatIsLeftToAnotherMachineIsNotReady) {
    claimed({by_other("203.0.113.10", true)});
    expect_told("LoadBalancer", "web", List{"AddressYielded"});
    EXPECT_FALSE(condition(get("web"), "Ready").status);
    EXPECT_EQ(condition(get("web"), "Ready").reason, "AddressYielded");
    EXPECT_TRUE(condition(get("web"), "Programmed").status) << "packets that come all the same are forwarded";
    EXPECT_EQ(manager->status().addresses_yielded, 1U);
    EXPECT_EQ(address_of("web"), "203.0.113.10") << "and it keeps its address";
    put(balancer("other"));
    EXPECT_TRUE(manager->wait_until_forwarding(20s));
    EXPECT_TRUE(condition(get("other"), "Ready").status) << "whose address nobody claims";
    claimed({});
    expect_told("LoadBalancer", "web", (List{"AddressYielded", "AddressConflictOver"}));
    EXPECT_TRUE(condition(get("web"), "Ready").status);
}

TEST_F(ManagerConflictsTest, APoolThatIsBoundToAPortThatWentAwayIsTold) {
    const auto with_ports = [&](std::vector<contract::PortStatus> ports) {
        dataplane.with_lock([&](FakeDataplane& self) {
            self.status.emplace();
            self.status->ports = std::move(ports);
        });
    };
    const auto told = [&] {
        const auto events = manager->events({}).value().items;
        return std::ranges::count(events, "PortUnknown", &resources::Event::reason);
    };
    with_ports({{"clients", "vlan", true}, {"nodes", "vlan", true}});
    auto bound = pool("b", {"203.0.113.30-203.0.113.30"});
    bound.spec.ports = {"clients", "nodes"};
    put(bound);
    EXPECT_EQ(told(), 0);
    with_ports({{"nodes", "vlan", true}});
    const auto end = std::chrono::steady_clock::now() + 20s;
    while (told() == 0 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(told(), 1);
    const auto events = manager->events({}).value().items;
    const auto event = std::ranges::find(events, "PortUnknown", &resources::Event::reason);
    ASSERT_NE(event, events.end());
    EXPECT_EQ(event->regarding.name, "b");
    EXPECT_EQ(event->message, "the dataplane has no port clients: nobody is served by it");
}

TEST_F(ManagerConflictsTest, AnAddressOfNoLoadBalancerIsToldOfTheAppliance) {
    claimed({by_other("10.0.2.100", false)});
    expect_told("Appliance", "dataplane", List{"AddressConflict"});
}

}  // namespace
}  // namespace guideway::controlplane::manager_testing
