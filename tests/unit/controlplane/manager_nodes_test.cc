// The manager: what is found out about nodes (health, podCIDRs) is said, and outlives a restart where it must.
#include <algorithm>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tests/unit/controlplane/manager_testing.h"

namespace guideway::controlplane::manager_testing {
namespace {

/// A port of loopback that refuses: nobody listens, and nobody else gets it.
struct ClosedPort {
    ClosedPort() : socket(::socket(AF_INET, SOCK_STREAM, 0)) {
        sockaddr_in address{};
        address.sin_family = AF_INET;
        address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
        socklen_t length = sizeof(address);
        EXPECT_EQ(::bind(socket, reinterpret_cast<sockaddr*>(&address), length), 0);
        EXPECT_EQ(::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length), 0);
        port = ntohs(address.sin_port);
    }
    ~ClosedPort() { ::close(socket); }
    int socket;
    std::uint16_t port = 0;
};

const resources::Condition* find(const resources::Node& object, const std::string& type) {
    for (const resources::Condition& one : object.status.conditions) {
        if (one.type == type) return &one;
    }
    return nullptr;
}

std::optional<std::uint32_t> weight_of(const FakeDataplane& self, const std::string& node) {
    if (!self.state) return std::nullopt;
    for (const auto& set : self.state->backend_sets) {
        for (const auto& backend : set.backends) {
            if (backend.name == node) return backend.weight;
        }
    }
    return std::nullopt;
}

TEST_F(ManagerTest, I1AStartDoesNotSendConnectionsToANodeThatTheDataplaneKnowsToFail) {
    const ClosedPort closed;
    dataplane.start();
    put(pool("a", {"203.0.113.10-203.0.113.19"}));
    put(node("n1", "10.0.2.11"));
    put(balancer("web"));
    auto failing = node("n2", "127.0.0.1");
    failing.spec.health_check_port = closed.port;
    put(failing);
    ASSERT_TRUE(dataplane.until([](const FakeDataplane& self) { return weight_of(self, "n2") == 0U; }));
    dataplane.with_lock([](FakeDataplane& self) { self.applied.clear(); });
    restart();
    put(node("n3", "10.0.2.13"));  // makes a new state wanted, in any case
    ASSERT_TRUE(dataplane.until([](const FakeDataplane& self) { return !self.applied.empty(); }));
    dataplane.with_lock([](const FakeDataplane& self) {
        EXPECT_EQ(weight_of(self, "n2"), 0U) << "the first state after the start already has the verdict";
        EXPECT_EQ(weight_of(self, "n3"), 1U);
    });
}

TEST_F(ManagerTest, ADataplaneThatHasNothingIsNotKeptWaitingForVerdicts) {
    const ClosedPort closed;
    put(pool("a", {"203.0.113.10-203.0.113.19"}));
    put(balancer("web"));
    auto failing = node("n2", "127.0.0.1");
    failing.spec.health_check_port = closed.port;
    put(failing);
    manager.reset();
    dataplane.start();
    start();
    ASSERT_TRUE(dataplane.until([](const FakeDataplane& self) { return self.state.has_value(); }));
    EXPECT_TRUE(manager->wait_until_forwarding(20s));
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
