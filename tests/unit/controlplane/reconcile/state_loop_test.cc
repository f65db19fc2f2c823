#include "controlplane/reconcile/state_loop.h"

#include <condition_variable>
#include <mutex>

#include <gtest/gtest.h>

namespace guideway::reconcile {
namespace {

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

Forwarded forwarded(const std::string& name, const char* address) {
    return {name, {ip(address)}, {{"http", contract::Protocol::tcp, 80, 30080}}, 0};
}

/// Collects what the loop hands on; can hold it up.
class Sink {
  public:
    void take(StateLoop::State state) {
        std::unique_lock lock(mutex_);
        states_.push_back(std::move(state));
        changed_.notify_all();
        changed_.wait(lock, [this] { return !held_; });
    }
    void hold(bool held) {
        const std::lock_guard lock(mutex_);
        held_ = held;
        changed_.notify_all();
    }
    StateLoop::State wait_for(std::uint64_t generation) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return !states_.empty() && states_.back()->generation >= generation; });
        return states_.back();
    }
    std::size_t count() {
        const std::lock_guard lock(mutex_);
        return states_.size();
    }

  private:
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<StateLoop::State> states_;
    bool held_ = false;
};

struct StateLoopTest : testing::Test {
    Sink sink;
    std::mutex mutex;
    std::vector<std::string> errors;
    StateLoop loop{[this](StateLoop::State state) { sink.take(std::move(state)); },
                   [this](double, const std::string& error) {
                       const std::lock_guard lock(mutex);
                       errors.push_back(error);
                   }};
};

TEST_F(StateLoopTest, BuildsWhatWasPushed) {
    loop.start();
    Delta delta;
    delta.generation = 4;
    delta.load_balancers.emplace_back("default/web", forwarded("default/web", "203.0.113.10"));
    loop.push(std::move(delta));
    const auto state = sink.wait_for(4);
    ASSERT_EQ(state->services.size(), 1U);
    EXPECT_EQ(state->services[0].name, "default/web");
    Delta gone;
    gone.generation = 5;
    gone.load_balancers.emplace_back("default/web", std::nullopt);
    loop.push(std::move(gone));
    EXPECT_TRUE(sink.wait_for(5)->services.empty());
}

TEST_F(StateLoopTest, ABurstIsBuiltOnce) {
    sink.hold(true);
    loop.start();
    Delta first;
    first.generation = 1;
    loop.push(std::move(first));
    sink.wait_for(1);  // the loop is held in its sink now
    for (std::uint64_t generation = 2; generation <= 100; ++generation) {
        Delta delta;
        delta.generation = generation;
        const std::string name = "default/s" + std::to_string(generation);
        const std::string address = "203.0.113." + std::to_string(generation);
        delta.load_balancers.emplace_back(name, forwarded(name, address.c_str()));
        loop.push(std::move(delta));
    }
    sink.hold(false);
    EXPECT_EQ(sink.wait_for(100)->services.size(), 99U);
    EXPECT_EQ(sink.count(), 2U);
}

TEST_F(StateLoopTest, EverythingForgetsWhatWasBefore) {
    loop.start();
    Delta delta;
    delta.generation = 1;
    delta.load_balancers.emplace_back("default/web", forwarded("default/web", "203.0.113.10"));
    loop.push(delta);
    delta.generation = 2;
    delta.everything = true;
    delta.load_balancers = {{"default/api", forwarded("default/api", "203.0.113.11")}};
    loop.push(delta);
    const auto state = sink.wait_for(2);
    ASSERT_EQ(state->services.size(), 1U);
    EXPECT_EQ(state->services[0].name, "default/api");
}

TEST_F(StateLoopTest, AFaultyStateIsNotHandedOnAndSaid) {
    loop.start();
    Delta delta;
    delta.generation = 1;
    // Two of one address and port: the address management never does that; here it is the last line that is tried.
    delta.load_balancers.emplace_back("default/a", forwarded("default/a", "203.0.113.10"));
    delta.load_balancers.emplace_back("default/b", forwarded("default/b", "203.0.113.10"));
    loop.push(delta);
    Delta mended;
    mended.generation = 2;
    mended.load_balancers.emplace_back("default/b", std::nullopt);
    while (loop.last_error().empty()) std::this_thread::yield();
    EXPECT_NE(loop.last_error().find("again"), std::string::npos);
    loop.push(mended);
    sink.wait_for(2);
    EXPECT_EQ(sink.count(), 1U);
}

TEST_F(StateLoopTest, AnotherClusterHasItsOwnNodes) {
    resources::Node node;
    node.metadata.name = "node-1";
    node.spec.addresses = {ip("10.0.2.11")};
    Delta delta;
    delta.generation = 1;
    delta.nodes.emplace_back("node-1", node);
    node.metadata.cluster = "prod";
    node.spec.addresses = {ip("10.0.3.11")};
    delta.nodes.emplace_back("prod/node-1", node);
    Forwarded web = forwarded("prod/default/web", "203.0.113.10");
    web.cluster = "prod";
    delta.load_balancers.emplace_back("prod/default/web", web);
    loop.start();
    loop.push(delta);
    const auto state = sink.wait_for(1);
    ASSERT_EQ(state->services.size(), 1U);
    EXPECT_EQ(state->services[0].backend_set, "prod/nodes-ipv4");
    for (const contract::BackendSet& set : state->backend_sets) {
        if (set.name != "prod/nodes-ipv4") continue;
        ASSERT_EQ(set.backends.size(), 1U);
        EXPECT_EQ(set.backends[0].address, ip("10.0.3.11"));
    }
}

}  // namespace
}  // namespace guideway::reconcile
