// Kubernetes rule 5: events on objects; equal ones are counted, none holds its caller up, and what is dropped is counted.
#include "controlplane/kubernetes/client/event_recorder.h"

#include <atomic>
#include <mutex>
#include <string>

#include <gtest/gtest.h>

#include "tests/unit/controlplane/kubernetes/client/fake_api_server.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using testing::FakeApiServer;

const std::string kCollection = "/api/v1/events";
const ObjectReference kWeb{.kind = "Service", .name_space = "prod", .name = "web", .uid = "u-1"};

EventRecorderOptions quick(const FakeApiServer& server) {
    EventRecorderOptions options;
    options.client.access.server = server.url();
    options.client.first_pause = options.client.longest_pause = Milliseconds(1);
    options.client.retry_for = Milliseconds(0);
    return options;
}

TEST(EventRecorder, Rule5AnEventTellsWhatHappenedToWhom) {
    FakeApiServer server;
    EventRecorder recorder(quick(server));
    recorder.start();
    recorder.record(kWeb, EventType::warning, "AllocationFailed", "no address is free");
    ASSERT_TRUE(recorder.wait_sent(seconds(10)));
    const auto events = server.objects(kCollection);
    ASSERT_EQ(events.size(), 1U);
    EXPECT_EQ(events[0]["metadata"]["namespace"], "prod");
    EXPECT_EQ(events[0]["metadata"]["name"].get<std::string>().substr(0, 4), "web.");
    EXPECT_EQ(events[0]["involvedObject"]["uid"], "u-1");
    EXPECT_EQ(events[0]["involvedObject"]["kind"], "Service");
    EXPECT_EQ(events[0]["type"], "Warning");
    EXPECT_EQ(events[0]["reason"], "AllocationFailed");
    EXPECT_EQ(events[0]["message"], "no address is free");
    EXPECT_EQ(events[0]["count"], 1);
    EXPECT_EQ(events[0]["source"]["component"], "guideway-cloud-controller");
    EXPECT_EQ(recorder.written(), 1U);
}

TEST(EventRecorder, Rule5EqualEventsAreCountedUpAndOthersAreNot) {
    FakeApiServer server;
    EventRecorder recorder(quick(server));
    recorder.start();
    recorder.record(kWeb, EventType::normal, "Ensured", "a");
    ASSERT_TRUE(recorder.wait_sent(seconds(10)));
    // These wait together: one write.
    server.hold();
    recorder.record(kWeb, EventType::normal, "Ensuring", "b");
    const std::size_t before = server.seen().size();
    ASSERT_TRUE(server.wait_for([&] { return server.seen().size() > before || recorder.waiting() == 0; }));
    for (int i = 0; i < 3; ++i) recorder.record(kWeb, EventType::normal, "Ensured", "a");
    server.release();
    ASSERT_TRUE(recorder.wait_sent(seconds(10)));
    ObjectReference other = kWeb;
    other.uid = "u-2";
    recorder.record(other, EventType::normal, "Ensured", "a");
    ASSERT_TRUE(recorder.wait_sent(seconds(10)));
    std::multimap<std::string, int> counts;
    for (const json& event : server.objects(kCollection)) {
        counts.emplace(event["reason"].get<std::string>() + event["involvedObject"]["uid"].get<std::string>(),
                       event["count"].get<int>());
    }
    EXPECT_EQ(counts, (std::multimap<std::string, int>{{"Ensuredu-1", 4}, {"Ensuredu-2", 1}, {"Ensuringu-1", 1}}));
    EXPECT_EQ(recorder.written(), 4U);
}

TEST(EventRecorder, AnEventWhoseTimeWasOverIsMadeAnew) {
    FakeApiServer server;
    EventRecorder recorder(quick(server));
    recorder.start();
    recorder.record(kWeb, EventType::normal, "Ensured", "a");
    ASSERT_TRUE(recorder.wait_sent(seconds(10)));
    const auto events = server.objects(kCollection);
    ASSERT_EQ(events.size(), 1U);
    server.remove(kCollection, "prod", events[0]["metadata"]["name"]);
    recorder.record(kWeb, EventType::normal, "Ensured", "a");
    ASSERT_TRUE(recorder.wait_sent(seconds(10)));
    ASSERT_EQ(server.objects(kCollection).size(), 1U);
    EXPECT_EQ(server.objects(kCollection)[0]["count"], 1);
}

TEST(EventRecorder, ATryWithoutAnAnswerIsRepeatedAndMakesNoSecondEvent) {
    FakeApiServer server;
    server.refuse({{.drop = true}, {.status = 500}});
    EventRecorder recorder(quick(server));
    recorder.start();
    recorder.record(kWeb, EventType::normal, "Ensured", "a");
    ASSERT_TRUE(recorder.wait_sent(seconds(10)));
    EXPECT_EQ(server.objects(kCollection).size(), 1U);
    EXPECT_EQ(recorder.written(), 1U);
}

TEST(EventRecorder, AFullQueueAnObjectToldOfTooOftenAndAFollowerDropEventsAndCountThem) {
    FakeApiServer server;
    EventRecorderOptions options = quick(server);
    options.queue = 3;
    EventRecorder full(options);
    for (int i = 0; i < 5; ++i) full.record(kWeb, EventType::normal, "R", std::to_string(i));
    EXPECT_EQ(full.dropped(), 2U) << "and no call waited, though nobody sends";
    options.queue = 100;
    options.object_burst = 2;
    EventRecorder often(options);
    for (int i = 0; i < 5; ++i) often.record(kWeb, EventType::normal, "R", std::to_string(i));
    EXPECT_EQ(often.dropped(), 3U);
    options.may_write = [] { return false; };
    EventRecorder follower(options);
    follower.start();
    follower.record(kWeb, EventType::normal, "R", "x");
    ASSERT_TRUE(follower.wait_sent(seconds(10)));
    EXPECT_EQ(follower.dropped(), 1U);
    EXPECT_TRUE(server.objects(kCollection).empty());
}

TEST(EventRecorder, WhatTheServerRefusesIsGivenUpAndTold) {
    FakeApiServer server;
    server.refuse({{.status = 403, .body = R"({"kind":"Status","reason":"Forbidden","message":"no"})"}});
    EventRecorderOptions options = quick(server);
    std::atomic<int> told{0};
    options.on_trouble = [&](const ApiError& error) { told = error.status; };
    EventRecorder recorder(options);
    recorder.start();
    recorder.record(kWeb, EventType::normal, "R", "x");
    ASSERT_TRUE(recorder.wait_sent(seconds(10)));
    EXPECT_EQ(told, 403);
    EXPECT_EQ(recorder.given_up(), 1U);
    EXPECT_EQ(server.seen().size(), 1U) << "not tried again";
}

TEST(EventRecorder, StopSendsWhatWaitsAndIsNotHeldUpByAServerThatHangs) {
    FakeApiServer server;
    {
        EventRecorder recorder(quick(server));
        recorder.record(kWeb, EventType::normal, "R", "x");
        recorder.start();
        recorder.stop();
        EXPECT_EQ(recorder.written(), 1U);
    }
    server.hold();
    EventRecorderOptions options = quick(server);
    options.drain = Milliseconds(20);
    EventRecorder recorder(options);
    recorder.start();
    recorder.record(kWeb, EventType::normal, "R", "y");
    recorder.record(kWeb, EventType::normal, "R", "z");
    recorder.stop();
    EXPECT_GE(recorder.dropped() + recorder.given_up(), 1U);
    server.release();
}

}  // namespace
}  // namespace guideway::kubernetes
