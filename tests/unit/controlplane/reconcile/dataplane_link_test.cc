// The link against a real Unix socket: whoever starts first, or again, the dataplane ends up with the newest state.
#include "controlplane/reconcile/dataplane_link.h"

#include <algorithm>
#include <atomic>

#include "tests/unit/controlplane/fake_dataplane.h"

namespace guideway::reconcile {
namespace {

using testing_support::FakeDataplane;
using testing_support::TemporaryFolder;
using namespace std::chrono_literals;

DataplaneLink::State state(std::uint64_t generation, std::uint16_t port = 80) {
    contract::ForwardingState made;
    made.generation = generation;
    made.backend_sets = {{"nodes-ipv4", IpFamily::ipv4, {}}};
    made.services = {
        {"default/web", *IpAddress::parse("203.0.113.10"), contract::Protocol::tcp, port, "nodes-ipv4", 30080, 0}};
    return std::make_shared<const contract::ForwardingState>(std::move(made));
}

class Link : public testing::Test {
  protected:
    explicit Link(std::chrono::milliseconds often = 1h)
        : ask_every(often), dataplane(folder.file("dp.sock")), link(options()) {}
    LinkOptions options() const {
        LinkOptions made;
        made.socket = folder.file("dp.sock");
        made.first_backoff = 1ms;
        made.longest_backoff = 5ms;
        made.retry_refused = 5ms;
        made.ask_every = ask_every;
        return made;
    }
    void start() {
        link.start(
            [this](std::uint64_t generation) {
                ahead = generation;
                link.set_desired(state(generation + 1, 8080));
            },
            [this] {
                if (!link.status().connected) ++not_connected;
            });
    }

    std::chrono::milliseconds ask_every;
    TemporaryFolder folder;
    FakeDataplane dataplane;
    std::atomic<unsigned> not_connected{0};  ///< how often it was said
    std::atomic<std::uint64_t> ahead{0};
    DataplaneLink link;
};

TEST_F(Link, ADataplaneThatIsThereGetsTheState) {
    dataplane.start();
    link.set_desired(state(7));
    start();
    EXPECT_TRUE(link.wait_until_forwarding(7, 20s));
    const LinkStatus status = link.status();
    ASSERT_TRUE(status.forwards);
    EXPECT_EQ(*status.forwards, *state(7));
    EXPECT_EQ(status, (LinkStatus{true, 7, 7, "", 0, {}, status.forwards}));
}

TEST_F(Link, ADataplaneThatStartsLaterGetsItWithoutBeingAsked) {
    link.set_desired(state(7));
    start();
    EXPECT_FALSE(link.wait_until_forwarding(7, 0ms));
    EXPECT_FALSE(link.status().error.empty());
    dataplane.start();
    EXPECT_TRUE(link.wait_until_forwarding(7, 20s));
}

TEST_F(Link, ADataplaneThatStartsAgainEmptyGetsItAgain) {
    dataplane.start();
    link.set_desired(state(7));
    start();
    ASSERT_TRUE(link.wait_until_forwarding(7, 20s));
    dataplane.stop();
    dataplane.with_lock([](FakeDataplane& self) { self.state.reset(); });
    dataplane.start();
    EXPECT_TRUE(dataplane.until([](const auto& self) { return self.applied.size() == 2; }));
    EXPECT_TRUE(link.wait_until_forwarding(7, 20s));
}

TEST_F(Link, ADataplaneThatKeptTheStateIsSentNothing) {
    dataplane.start();
    link.set_desired(state(7));
    start();
    ASSERT_TRUE(link.wait_until_forwarding(7, 20s));
    dataplane.stop();
    dataplane.start();
    ASSERT_TRUE(dataplane.until([](const auto& self) { return self.state_requests == 2; }));
    EXPECT_TRUE(link.wait_until_forwarding(7, 20s));
    dataplane.with_lock([](const FakeDataplane& self) { EXPECT_EQ(self.applied, std::vector<std::uint64_t>{7}); });
}

TEST_F(Link, ChangesReachARunningDataplaneAndOnlyGrow) {
    dataplane.start();
    link.set_desired(state(1));
    start();
    for (std::uint64_t generation = 2; generation <= 300; ++generation) {
        link.set_desired(state(generation, static_cast<std::uint16_t>(generation)));
    }
    EXPECT_TRUE(link.wait_until_forwarding(300, 20s));
    dataplane.with_lock([](const FakeDataplane& self) {
        EXPECT_EQ(self.state->services[0].port, 300);
        EXPECT_TRUE(std::is_sorted(self.applied.begin(), self.applied.end()));
        EXPECT_LE(self.applied.size(), 300U);
    });
}

TEST_F(Link, ARefusalIsKeptWithEveryFaultAndEndsWithTheNextGoodState) {
    dataplane.with_lock([](FakeDataplane& self) { self.refuse_with = {{"/services/0/port", "no"}, {"/x", "y"}}; });
    dataplane.start();
    link.set_desired(state(7));
    start();
    ASSERT_TRUE(dataplane.until([](const auto& self) { return self.applied.size() >= 2; })) << "offered again";
    const LinkStatus refused = link.status();
    EXPECT_TRUE(refused.connected);
    EXPECT_EQ(refused.refused_generation, 7U);
    EXPECT_EQ(refused.refusal.size(), 2U);
    EXPECT_NE(refused.error.find("/services/0/port: no (and 1 more)"), std::string::npos) << refused.error;
    EXPECT_FALSE(link.wait_until_forwarding(7, 0ms));
    dataplane.with_lock([](FakeDataplane& self) { self.refuse_with.clear(); });
    link.set_desired(state(8));
    EXPECT_TRUE(link.wait_until_forwarding(8, 20s));
    EXPECT_TRUE(link.status().error.empty());
}

TEST_F(Link, ARefusalSaysWhatTheDataplaneForwardsByMeanwhile) {
    dataplane.with_lock([](FakeDataplane& self) {
        self.state = *state(5, 443);
        self.refuse_with = {{"/services/0/port", "no"}};
    });
    dataplane.start();
    link.set_desired(state(7));
    start();
    ASSERT_TRUE(dataplane.until([](const auto& self) { return self.applied.size() >= 2; }));
    const LinkStatus refused = link.status();
    EXPECT_EQ(refused.confirmed, 0U);
    ASSERT_TRUE(refused.forwards);
    EXPECT_EQ(*refused.forwards, *state(5, 443));
}

TEST_F(Link, AStateThatIsInForceButNotOnDiskIsSaidToBeForwardedAndOfferedAgainUntilItIs) {
    dataplane.with_lock([](FakeDataplane& self) {
        self.refuse_with = {{"/state_file", "No space left on device"}};
        self.disk_full = true;
    });
    dataplane.start();
    link.set_desired(state(7));
    start();
    ASSERT_TRUE(dataplane.until([](const auto& self) { return self.applied.size() >= 3; }));
    const LinkStatus full = link.status();
    EXPECT_EQ(full.refused_generation, 7U);
    EXPECT_EQ(full.confirmed, 0U);
    ASSERT_TRUE(full.forwards);
    EXPECT_EQ(*full.forwards, *state(7));
    EXPECT_EQ(ahead, 0U) << "no reason to number it anew";
    dataplane.with_lock([](FakeDataplane& self) { self.refuse_with.clear(); });
    EXPECT_TRUE(link.wait_until_forwarding(7, 20s));
    EXPECT_TRUE(link.status().error.empty());
}

TEST_F(Link, ADataplaneWithoutStateIsSaidToForwardNothing) {
    dataplane.start();
    start();
    ASSERT_TRUE(dataplane.until([](const auto& self) { return self.state_requests == 1; }));
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (!link.status().connected && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    ASSERT_TRUE(link.status().forwards);
    EXPECT_TRUE(link.status().forwards->services.empty());
}

TEST_F(Link, AConnectionThatIsCutByADataplaneThatLivesIsNotItsEnd) {
    dataplane.start();
    link.set_desired(state(7));
    start();
    ASSERT_TRUE(link.wait_until_forwarding(7, 20s));
    const unsigned before = not_connected;
    for (unsigned cuts = 1; cuts <= 3; ++cuts) {
        const auto said = link.status().forwards;
        dataplane.cut();
        const auto until = std::chrono::steady_clock::now() + 20s;
        const auto again = [&] { return link.status().forwards != said && link.status().confirmed == 7; };
        while (!again() && std::chrono::steady_clock::now() < until) std::this_thread::yield();
        ASSERT_TRUE(again()) << cuts;
    }
    link.set_desired(state(8));
    EXPECT_TRUE(link.wait_until_forwarding(8, 20s));
    EXPECT_EQ(not_connected, before);
    dataplane.stop();
    const auto until = std::chrono::steady_clock::now() + 20s;
    while (link.status().connected && std::chrono::steady_clock::now() < until) std::this_thread::yield();
    EXPECT_FALSE(link.status().connected);
    EXPECT_FALSE(link.status().forwards);
}

struct TalkativeLink : Link {
    TalkativeLink() : Link(1ms) {}
};

TEST_F(TalkativeLink, IsNeverSilentForLong) {
    dataplane.start();
    link.set_desired(state(7));
    start();
    EXPECT_TRUE(dataplane.until([](const auto& self) { return self.status_requests >= 3; }));
    EXPECT_EQ(link.status().confirmed, 7U);
    link.set_desired(state(8));
    EXPECT_TRUE(link.wait_until_forwarding(8, 20s));
}

TEST_F(Link, ADataplaneThatIsAheadIsOutnumbered) {
    dataplane.with_lock([](FakeDataplane& self) { self.state = *state(500, 443); });
    dataplane.start();
    link.set_desired(state(7));
    start();
    EXPECT_TRUE(dataplane.until([](const auto& self) { return self.state->generation == 501; }));
    EXPECT_EQ(ahead, 500U);
    EXPECT_TRUE(link.wait_until_forwarding(501, 20s));
}

TEST_F(Link, TheSameGenerationWithOtherContentIsOutnumberedToo) {
    dataplane.with_lock([](FakeDataplane& self) { self.state = *state(7, 443); });
    dataplane.start();
    link.set_desired(state(7, 80));
    start();
    EXPECT_TRUE(dataplane.until([](const auto& self) { return self.state->generation == 8; }));
}

TEST_F(Link, StopEndsWaitsAndAnExchangeUnderWay) {
    dataplane.with_lock([](FakeDataplane& self) { self.silent = true; });
    dataplane.start();
    link.set_desired(state(7));
    start();
    std::thread waiting([&] { EXPECT_FALSE(link.wait_until_forwarding(7, 60s)); });
    link.stop();
    waiting.join();
}

TEST_F(Link, AskAnswersWhileTheLinkIsIdle) {
    dataplane.start();
    link.set_desired(state(7));
    start();
    const auto answer = link.ask(contract::CountersRequest{}, 20s);
    ASSERT_TRUE(std::holds_alternative<contract::Response>(answer)) << std::get<std::string>(answer);
    EXPECT_TRUE(std::get<contract::Response>(answer).counters);
}

TEST_F(Link, AskHasADeadline) {
    dataplane.with_lock([](FakeDataplane& self) { self.silent = true; });
    dataplane.start();
    const auto answer = link.ask(contract::CountersRequest{}, 5ms);
    ASSERT_TRUE(std::holds_alternative<std::string>(answer));
    EXPECT_NE(std::get<std::string>(answer).find("too long"), std::string::npos);
}

TEST_F(Link, AskSaysThatNobodyIsThere) {
    const auto answer = link.ask(contract::CountersRequest{}, 20s);
    ASSERT_TRUE(std::holds_alternative<std::string>(answer));
    EXPECT_NE(std::get<std::string>(answer).find("is guideway-dataplane running?"), std::string::npos);
}

}  // namespace
}  // namespace guideway::reconcile
