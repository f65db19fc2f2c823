// Watches and lists kept up to date, against a server that breaks connections, restarts and forgets.
#include <condition_variable>
#include <future>
#include <mutex>

#include <gtest/gtest.h>

#include "api/client/list_watch.h"
#include "api/resources/node_codec.h"
#include "tests/unit/api/client/fake_server.h"

namespace guideway::client {
namespace {

using resources::Node;
using resources::Problem;
using testing::FakeServer;
using testing::Manner;
using testing::sse;
using testing::stream_of;

const std::string kTooOld = R"({"status": 410, "reason": "Expired", "detail": "list again"})";

std::string watch_of(std::uint64_t revision) {
    return "GET /v1/nodes?watch=true&allowBookmarks=true&resourceVersion=" + std::to_string(revision);
}

Node node(const std::string& name, std::uint64_t version, std::uint32_t weight = 1) {
    Node object;
    object.metadata.name = name;
    object.metadata.resource_version = version;
    object.spec.addresses = {IpAddress::parse("10.0.2.11").value()};
    object.spec.weight = weight;
    return object;
}

std::string list_of(std::uint64_t revision, const std::vector<Node>& nodes) {
    resources::List<Node> list;
    list.metadata.resource_version = revision;
    list.items = nodes;
    return resources::encode(list);
}

Options quick(const FakeServer& server) {
    Options options;
    options.server = server.url();
    options.first_pause = Milliseconds(1);
    options.longest_pause = Milliseconds(2);
    return options;
}

/// Watches until `wanted` changes came, and says why it ended.
struct Watched {
    std::vector<Change> changes;
    Problem end;
};

Watched watch_nodes(Options options, std::uint64_t from, std::size_t wanted) {
    Watched out;
    out.end = Client(std::move(options)).watch<Node>({}, from, {.on_change = [&](const Change& change) {
                                                         out.changes.push_back(change);
                                                         return out.changes.size() < wanted;
                                                     }});
    return out;
}

TEST(Watch, TellsChangesAndTheirRevision) {
    FakeServer server;
    server.answer(watch_of(5),
                  {stream_of(sse("ADDED", "", "{\"a\":1}") + sse("MODIFIED", "6", "{\"a\":2}") + ": alive\n\n" +
                             sse("DELETED", "7", "{\"a\":3}") + sse("BOOKMARK", "9", "{}"))});
    const Watched watched = watch_nodes(quick(server), 5, 4);
    ASSERT_EQ(watched.changes.size(), 4U);
    EXPECT_EQ(watched.end.reason, "Cancelled");
    EXPECT_EQ(watched.changes[0].type, ChangeType::added);
    EXPECT_EQ(watched.changes[0].revision, 5U) << "not whole yet: to be taken up before it";
    EXPECT_EQ(watched.changes[1].type, ChangeType::modified);
    EXPECT_EQ(watched.changes[1].revision, 6U);
    EXPECT_EQ(watched.changes[2].object, "{\"a\":3}");
    EXPECT_EQ(watched.changes[3].type, ChangeType::bookmark);
    EXPECT_EQ(watched.changes[3].revision, 9U);
    EXPECT_EQ(server.seen().at(0).headers.at("accept"), "text/event-stream");
}

TEST(Watch, ABrokenConnectionIsTakenUpFromTheLastRevision) {
    FakeServer server;
    server.answer(watch_of(5),
                  {{503, "{}"},
                   {200, "", {}, Manner::drop},
                   {200, sse("ADDED", "8", "{}") + sse("ADDED", "", "{}"), {{"Content-Type", "text/event-stream"}}}});
    server.answer(watch_of(8), {stream_of(sse("ADDED", "9", "{}"))});
    const Watched watched = watch_nodes(quick(server), 5, 3);
    EXPECT_EQ(watched.changes.back().revision, 9U);
    EXPECT_EQ(server.seen().back().what, watch_of(8));
}

TEST(Watch, SilenceForTooLongIsABrokenConnection) {
    FakeServer server;
    server.answer(watch_of(5), {stream_of(""), stream_of(sse("ADDED", "6", "{}"))});
    Options options = quick(server);
    options.watch_silence = Milliseconds(50);
    EXPECT_EQ(watch_nodes(options, 5, 1).changes.size(), 1U);
}

TEST(Watch, WhatIsTooOldEndsIt) {
    FakeServer server;
    server.answer(watch_of(5), {{410, kTooOld}});
    EXPECT_EQ(watch_nodes(quick(server), 5, 1).end.status, 410);
    server.answer(watch_of(6), {stream_of(sse("ADDED", "7", "{}") + sse("ERROR", "", kTooOld))});
    const Watched watched = watch_nodes(quick(server), 6, 9);
    EXPECT_EQ(watched.changes.size(), 1U);
    EXPECT_EQ(watched.end.status, 410);
}

TEST(Watch, WhatWaitingDoesNotMendEndsIt) {
    FakeServer server;
    server.answer(watch_of(1), {{403, R"({"status": 403, "reason": "Forbidden", "detail": "no"})"}});
    EXPECT_EQ(watch_nodes(quick(server), 1, 1).end.status, 403);
    server.answer(watch_of(2), {{200, "{}"}});
    EXPECT_EQ(watch_nodes(quick(server), 2, 1).end.reason, "UnexpectedAnswer");
    server.answer(watch_of(3), {stream_of(sse("ADDED", "x7", "{}"))});
    EXPECT_EQ(watch_nodes(quick(server), 3, 1).end.reason, "UnexpectedAnswer");
    server.answer(watch_of(4), {stream_of("data: " + std::string(3U << 20, 'x'))});
    EXPECT_NE(watch_nodes(quick(server), 4, 1).end.detail.find("a line longer than"), std::string::npos);
}

TEST(Watch, EventsOfANewerServerArePassedOver) {
    FakeServer server;
    server.answer(watch_of(5), {stream_of(sse("FUTURE", "x", "?") + sse("ADDED", "6", "{}"))});
    EXPECT_EQ(watch_nodes(quick(server), 5, 1).changes.at(0).revision, 6U);
}

TEST(Watch, IsEndedFromAnotherThread) {
    FakeServer server;
    server.answer(watch_of(5), {stream_of(sse("BOOKMARK", "6", "{}"))});
    Client client(quick(server));
    std::promise<void> begun;
    auto end = std::async(std::launch::async, [&] {
        return client.watch<Node>({}, 5, {.on_change = [&](const Change&) { return begun.set_value(), true; }});
    });
    begun.get_future().wait();
    client.cancel();
    EXPECT_EQ(end.get().reason, "Cancelled");
}

/// What a ListWatch told, line by line; waits for lines.
class Diary {
  public:
    ListWatchHandler<Node> handler() {
        return {.on_add = [this](const Node& now) { write("+" + now.metadata.name); },
                .on_change =
                    [this](const Node& before, const Node& now) {
                        write(now.metadata.name + " " + std::to_string(before.spec.weight) + ">" +
                              std::to_string(now.spec.weight));
                    },
                .on_delete = [this](const Node& before) { write("-" + before.metadata.name); },
                .on_synced = [this] { write("synced"); },
                .on_trouble = [this](const Problem& problem) { trouble(problem); }};
    }
    /// The lines, once there are so many, or ten seconds are over.
    std::vector<std::string> lines(std::size_t count) {
        std::unique_lock lock(mutex_);
        changed_.wait_for(lock, std::chrono::seconds(10), [&] { return lines_.size() >= count; });
        return lines_;
    }
    bool wait_for_trouble(const std::string& reason) {
        std::unique_lock lock(mutex_);
        return changed_.wait_for(lock, std::chrono::seconds(10), [&] {
            return std::find(troubles_.begin(), troubles_.end(), reason) != troubles_.end();
        });
    }

  private:
    void write(std::string line) {
        const std::lock_guard lock(mutex_);
        lines_.push_back(std::move(line));
        changed_.notify_all();
    }
    void trouble(const Problem& problem) {
        const std::lock_guard lock(mutex_);
        troubles_.push_back(problem.reason);
        changed_.notify_all();
    }
    std::mutex mutex_;
    std::condition_variable changed_;
    std::vector<std::string> lines_, troubles_;
};

using Lines = std::vector<std::string>;
const std::string kFirstPage = "GET /v1/nodes?limit=500";

TEST(ListWatch, ListsThenTellsChanges) {
    FakeServer server;
    server.answer(kFirstPage, {{200, list_of(5, {node("a", 1), node("b", 2)})}});
    server.answer(watch_of(5), {stream_of(sse("MODIFIED", "6", resources::encode(node("a", 6, 3))) +
                                          sse("ADDED", "7", resources::encode(node("c", 7))) +
                                          sse("DELETED", "8", resources::encode(node("b", 8))))});
    Diary diary;
    ListWatch<Node> watched(quick(server), {}, diary.handler());
    watched.start();
    EXPECT_EQ(diary.lines(6), (Lines{"+a", "+b", "synced", "a 1>3", "+c", "-b"}));
    watched.stop();
    watched.stop();
}

TEST(ListWatch, AfterTooOldOnlyWhatTrulyChangedIsTold) {
    FakeServer server;
    server.answer(kFirstPage, {{200, list_of(5, {node("a", 1), node("b", 2), node("c", 3)})},
                               {200, list_of(50, {node("a", 1), node("c", 40, 9), node("d", 41)})}});
    server.answer(watch_of(5), {{410, kTooOld}});
    server.answer(watch_of(50), {stream_of(sse("DELETED", "51", resources::encode(node("a", 51))))});
    Diary diary;
    ListWatch<Node> watched(quick(server), {}, diary.handler());
    watched.start();
    EXPECT_EQ(diary.lines(8), (Lines{"+a", "+b", "+c", "synced", "-b", "c 1>9", "+d", "-a"}));
}

TEST(ListWatch, AChangeToldTwiceIsTakenOnce) {
    FakeServer server;
    const std::string added = resources::encode(node("b", 6));
    server.answer(kFirstPage, {{200, list_of(5, {node("a", 1)})}});
    server.answer(watch_of(5),
                  {{200, sse("ADDED", "", added), {{"Content-Type", "text/event-stream"}}},
                   stream_of(sse("ADDED", "6", added) + sse("MODIFIED", "7", resources::encode(node("b", 7, 2))))});
    Diary diary;
    ListWatch<Node> watched(quick(server), {}, diary.handler());
    watched.start();
    EXPECT_EQ(diary.lines(4), (Lines{"+a", "synced", "+b", "b 1>2"}));
}

TEST(ListWatch, SurvivesARestartOfTheServer) {
    FakeServer server;
    server.answer(kFirstPage, {{200, list_of(5, {node("a", 1)})}});
    server.answer(watch_of(5), {stream_of("")});
    Diary diary;
    ListWatch<Node> watched(quick(server), {}, diary.handler());
    watched.start();
    EXPECT_EQ(diary.lines(2), (Lines{"+a", "synced"}));
    ASSERT_TRUE(server.wait_for_requests(2));
    server.stop();
    EXPECT_TRUE(diary.wait_for_trouble("Unreachable"));
    server.answer(watch_of(5), {stream_of(sse("ADDED", "6", resources::encode(node("b", 6))))});
    server.start();
    EXPECT_EQ(diary.lines(3), (Lines{"+a", "synced", "+b"}));
}

TEST(ListWatch, AWrongTokenIsTroubleAndTriedAgain) {
    FakeServer server;
    server.answer(kFirstPage, {{401, R"({"status": 401, "reason": "Unauthorized", "detail": "who?"})"},
                               {200, list_of(5, {node("a", 1)})}});
    server.answer(watch_of(5), {stream_of("")});
    Diary diary;
    ListWatch<Node> watched(quick(server), {}, diary.handler());
    watched.start();
    EXPECT_TRUE(diary.wait_for_trouble("Unauthorized"));
    EXPECT_EQ(diary.lines(2), (Lines{"+a", "synced"}));
}

TEST(ListWatch, AnObjectThatCannotBeReadIsTroubleAndListedAnew) {
    FakeServer server;
    server.answer(kFirstPage, {{200, list_of(5, {})}, {200, list_of(9, {node("a", 6)})}});
    server.answer(watch_of(5), {stream_of(sse("ADDED", "6", "{\"kind\": \"Future\"}"))});
    server.answer(watch_of(9), {stream_of("")});
    Diary diary;
    ListWatch<Node> watched(quick(server), {}, diary.handler());
    watched.start();
    EXPECT_TRUE(diary.wait_for_trouble("UnexpectedAnswer"));
    EXPECT_EQ(diary.lines(2), (Lines{"synced", "+a"}));
}

TEST(ListWatch, StopsAtOnceWhateverItDoes) {
    FakeServer server;
    server.answer(kFirstPage, {{200, "", {}, Manner::stall}});
    Diary diary;
    ListWatch<Node> stalled(quick(server), {}, diary.handler());
    stalled.start();
    ASSERT_TRUE(server.wait_for_requests(1));
    stalled.stop();

    Options patient = quick(server);
    patient.server = testing::unreachable_url();
    patient.first_pause = patient.longest_pause = std::chrono::hours(1);
    ListWatch<Node> pausing(patient, {}, diary.handler());
    pausing.start();
    EXPECT_TRUE(diary.wait_for_trouble("Unreachable"));
    pausing.stop();

    ListWatch<Node> never_started(quick(server), {}, diary.handler());
    never_started.stop();
}

}  // namespace
}  // namespace guideway::client
