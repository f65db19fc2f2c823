// Reflectors against a server that closes, resets, forgets, refuses, falls silent and goes back in time (Kubernetes rules 6 and 3).
#include "controlplane/kubernetes/client/reflector.h"

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/kubernetes/client/resource_path.h"
#include "tests/unit/controlplane/kubernetes/client/fake_api_server.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;
using testing::FakeApiServer;

const std::string kCollection = "/api/v1/services";

struct Thing {
    std::string key, uid;
    int value = 0;
    friend bool operator==(const Thing&, const Thing&) = default;
};

contract::Decoded<Thing> decode_thing(const json& object) {
    const auto value = object.find("value");
    if (value != object.end() && value->is_string()) throw std::runtime_error("thrown: found text");
    if (value != object.end() && !value->is_number_integer()) return {std::nullopt, {{"/value", "found no number"}}};
    const ObjectMeta meta = read_meta(object);
    return {Thing{meta.key, meta.uid, value == object.end() ? 0 : value->get<int>()}, {}};
}

/// A reflector and what it told, as words.
class Watched {
  public:
    explicit Watched(FakeApiServer& server, const std::function<void(ReflectorOptions<Thing>&)>& adjust = {})
        : server_(server) {
        ReflectorOptions<Thing> options;
        options.client.access.server = server.url();
        options.client.first_pause = options.client.longest_pause = Milliseconds(1);
        options.list.path = kCollection;
        options.list.first_pause = Milliseconds(1);
        options.list.longest_pause = Milliseconds(4);
        options.list.steady = Milliseconds(0);
        options.decode = decode_thing;
        if (adjust) adjust(options);
        ReflectorHandler<Thing> handler;
        handler.on_add = [this](const Thing& now) { tell("+" + now.key + "=" + std::to_string(now.value)); };
        handler.on_change = [this](const Thing& before, const Thing& now) {
            tell(now.key + ":" + std::to_string(before.value) + ">" + std::to_string(now.value));
        };
        handler.on_delete = [this](const Thing& last) { tell("-" + last.key + "=" + std::to_string(last.value)); };
        handler.on_synced = [this] { tell("synced"); };
        handler.on_trouble = [this](const ApiError& error) {
            const std::lock_guard lock(mutex_);
            troubles_.push_back(error);
        };
        handler.on_unreadable = [this](const UnreadableObject& object) {
            tell("?" + object.key + (object.kept ? " kept" : "") + " " + object.faults.front().message);
        };
        handler.on_unreadable_gone = [this](const std::string& key) { tell("?-" + key); };
        reflector_ = std::make_unique<Reflector<Thing>>(std::move(options), std::move(handler));
        reflector_->start();
    }

    Reflector<Thing>& operator*() { return *reflector_; }
    Reflector<Thing>* operator->() { return reflector_.get(); }

    /// What was told since the last call, once it is so many; fewer: not within ten seconds.
    std::vector<std::string> told(std::size_t count) {
        server_.wait_for([&] {
            const std::lock_guard lock(mutex_);
            return told_.size() >= count;
        });
        const std::lock_guard lock(mutex_);
        return std::exchange(told_, {});
    }
    std::vector<ApiError> troubles() {
        const std::lock_guard lock(mutex_);
        return troubles_;
    }
    bool wait_for_end(WatchEnd end, std::uint64_t count = 1) {
        return server_.wait_for([&] { return reflector_->metrics().ends(end) >= count; });
    }

  private:
    void tell(std::string words) {
        const std::lock_guard lock(mutex_);
        told_.push_back(std::move(words));
    }

    FakeApiServer& server_;
    std::mutex mutex_;
    std::vector<std::string> told_;
    std::vector<ApiError> troubles_;
    std::unique_ptr<Reflector<Thing>> reflector_;
};

using Words = std::vector<std::string>;

TEST(Reflector, TellsTheListInPagesThenEachChange) {
    FakeApiServer server;
    for (int i = 0; i < 7; ++i) server.put(kCollection, "a", "s" + std::to_string(i), {{"value", i}});
    Watched watched(server, [](auto& options) { options.list.page_size = 3; });
    EXPECT_EQ(watched.told(8),
              (Words{"+a/s0=0", "+a/s1=1", "+a/s2=2", "+a/s3=3", "+a/s4=4", "+a/s5=5", "+a/s6=6", "synced"}));
    EXPECT_TRUE(watched->synced());
    server.put(kCollection, "b", "new", {{"value", 9}});
    server.put(kCollection, "a", "s1", {{"value", 11}});
    server.remove(kCollection, "a", "s2");
    EXPECT_EQ(watched.told(3), (Words{"+b/new=9", "a/s1:1>11", "-a/s2=2"}));
    EXPECT_EQ(watched->size(), 7U);
    ASSERT_NE(watched->find("a/s1"), nullptr);
    EXPECT_EQ(watched->find("a/s1")->value, 11);
    EXPECT_EQ(watched->find("a/s2"), nullptr);
    std::size_t pages = 0;
    for (const auto& request : server.seen()) pages += request.what.find("limit=3") != std::string::npos ? 1 : 0;
    EXPECT_EQ(pages, 3U);
}

TEST(Reflector, ResumesAClosedWatchFromWhereItStoodAndTellsNothingTwice) {
    FakeApiServer server;
    server.put(kCollection, "a", "s", {{"value", 1}});
    Watched watched(server);
    EXPECT_EQ(watched.told(2), (Words{"+a/s=1", "synced"}));
    ASSERT_TRUE(server.wait_for_watches(1));
    const std::uint64_t revision = server.put(kCollection, "a", "s", {{"value", 2}});
    EXPECT_EQ(watched.told(1), (Words{"a/s:1>2"}));
    server.end_watches();
    ASSERT_TRUE(watched.wait_for_end(WatchEnd::closed));
    ASSERT_TRUE(server.wait_for_watches(1));
    server.put(kCollection, "a", "s", {{"value", 3}});
    EXPECT_EQ(watched.told(1), (Words{"a/s:2>3"}));
    EXPECT_EQ(watched->metrics().lists, 1U);
    std::string last;
    for (const auto& request : server.seen()) {
        if (request.what.find("watch=1") != std::string::npos) last = request.what;
    }
    EXPECT_NE(last.find("resourceVersion=" + std::to_string(revision)), std::string::npos) << last;
    EXPECT_NE(last.find("allowWatchBookmarks=true"), std::string::npos) << last;
    EXPECT_TRUE(watched.troubles().empty()) << "an end of a watch is no trouble";
}

TEST(Reflector, BookmarksMoveTheRevisionToResumeFrom) {
    FakeApiServer server;
    Watched watched(server);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.put("/api/v1/nodes", "", "elsewhere");  // of another kind: nothing is told, the revision grows
    const std::uint64_t revision = server.revision();
    server.bookmark();
    server.end_watches();
    ASSERT_TRUE(server.wait_for([&] {
        const auto seen = server.seen();
        return seen.back().what.find("resourceVersion=" + std::to_string(revision)) != std::string::npos;
    }));
}

TEST(Reflector, AWatchResetWithinALineLosesNothing) {
    FakeApiServer server;
    Watched watched(server);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.end_watches(true);
    ASSERT_TRUE(watched.wait_for_end(WatchEnd::broken));
    server.put(kCollection, "a", "s", {{"value", 1}});
    EXPECT_EQ(watched.told(2), (Words{"synced", "+a/s=1"}));
    EXPECT_EQ(watched->metrics().lists, 1U);
    EXPECT_FALSE(watched.troubles().empty());
}

TEST(Reflector, Rule6AWatchThatIsTooOldIsListedAgainAndWhatVanishedMeanwhileIsTold) {
    FakeApiServer server;
    server.put(kCollection, "a", "gone", {{"value", 1}});
    server.put(kCollection, "a", "same", {{"value", 2}});
    server.put(kCollection, "a", "other", {{"value", 3}});
    Watched watched(server);
    watched.told(4);
    ASSERT_TRUE(server.wait_for_watches(1));
    // While nobody watches: changes, and their history is compacted away.
    server.hold();
    server.end_watches();
    ASSERT_TRUE(watched.wait_for_end(WatchEnd::closed));
    server.remove(kCollection, "a", "gone");
    server.put(kCollection, "a", "other", {{"value", 4}});
    server.put(kCollection, "a", "new", {{"value", 5}});
    server.compact();
    server.release();
    EXPECT_EQ(watched.told(3), (Words{"-a/gone=1", "+a/new=5", "a/other:3>4"})) << "those that left come first";
    EXPECT_EQ(watched->metrics().ends(WatchEnd::expired), 1U);
    EXPECT_EQ(watched->metrics().lists, 2U);
    EXPECT_TRUE(watched.troubles().empty());
}

TEST(Reflector, APageThatExpiredIsBegunAnew) {
    FakeApiServer server;
    for (int i = 0; i < 5; ++i) server.put(kCollection, "a", "s" + std::to_string(i));
    server.refuse({{.status = 200,
                    .body = R"({"items":[{"metadata":{"name":"old","namespace":"a"}}],)"
                            R"("metadata":{"resourceVersion":"7","continue":"1:7"}})"}});
    server.compact();
    Watched watched(server);
    const Words told = watched.told(6);
    ASSERT_EQ(told.size(), 6U);
    EXPECT_EQ(told.back(), "synced");
    EXPECT_FALSE(watched->exists("a/old")) << "of a list that came to nothing";
}

TEST(Reflector, ARefusedListNeverCountsAsAnEmptyOne) {
    FakeApiServer server;
    server.put(kCollection, "a", "s", {{"value", 1}});
    Watched watched(server, [](auto& options) { options.client.retry_for = Milliseconds(0); });
    watched.told(2);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.refuse({{.status = 200, .body = "{}", .only = "GET"},
                   {.status = 200, .body = R"({"items":{},"metadata":{"resourceVersion":"9999"}})", .only = "GET"},
                   {.status = 403, .body = "no", .only = "GET"},
                   {.status = 500, .only = "GET"},
                   {.drop = true, .only = "GET"}});
    server.send_raw("this is no event\n");
    ASSERT_TRUE(server.wait_for([&] { return watched->metrics().lists == 2; }));
    EXPECT_EQ(watched->metrics().list_failures, 5U);
    EXPECT_EQ(watched->metrics().ends(WatchEnd::unclear), 1U);
    EXPECT_TRUE(watched->exists("a/s"));
    EXPECT_TRUE(watched.told(0).empty()) << "nothing was told as gone";
}

TEST(Reflector, AnObjectThatCannotBeReadAnyMoreIsKeptAndNamed) {
    FakeApiServer server;
    server.put(kCollection, "a", "s", {{"value", 1}});
    Watched watched(server);
    watched.told(2);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.put(kCollection, "a", "s", {{"value", nullptr}});
    EXPECT_EQ(watched.told(1), (Words{"?a/s kept found no number"}));
    ASSERT_NE(watched->find("a/s"), nullptr);
    EXPECT_EQ(watched->find("a/s")->value, 1);
    ASSERT_EQ(watched->unreadable().size(), 1U);
    EXPECT_EQ(watched->unreadable().front().faults.front().field, "/value");
    // A list that shows it so deletes it neither.
    server.compact();
    server.end_watches();
    EXPECT_EQ(watched.told(1), (Words{"?a/s kept found no number"}));
    EXPECT_NE(watched->find("a/s"), nullptr);
    server.put(kCollection, "a", "s", {{"value", 3}});
    EXPECT_EQ(watched.told(1), (Words{"a/s:1>3"}));
    EXPECT_TRUE(watched->unreadable().empty());
    EXPECT_EQ(watched->metrics().undecodable, 2U);
}

TEST(Reflector, AnObjectThatCouldNeverBeReadExistsAllTheSame) {
    FakeApiServer server;
    server.put(kCollection, "a", "s", {{"value", "text"}});
    Watched watched(server);
    EXPECT_EQ(watched.told(2), (Words{"?a/s thrown: found text", "synced"}));
    EXPECT_EQ(watched->find("a/s"), nullptr);
    EXPECT_TRUE(watched->exists("a/s"));
    server.remove(kCollection, "a", "s");
    EXPECT_EQ(watched.told(1), (Words{"?-a/s"}));
    EXPECT_FALSE(watched->exists("a/s"));
}

TEST(Reflector, AnObjectWithoutANameKeepsAListFromTellingDeletions) {
    FakeApiServer server;
    server.put(kCollection, "a", "s", {{"value", 1}});
    Watched watched(server);
    watched.told(2);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.refuse({{.status = 200,
                    .body = R"({"items":[{"metadata":{"name":7}}],"metadata":{"resourceVersion":"101"}})",
                    .only = "GET"}});
    server.send_raw(R"({"type":"MODIFIED","object":{"metadata":{"name":7}}})"
                    "\n");
    const Words told = watched.told(2);
    ASSERT_EQ(told.size(), 2U);
    EXPECT_EQ(told[1].substr(0, 2), "? ");
    EXPECT_NE(watched->find("a/s"), nullptr) << "it may be the one";
    EXPECT_TRUE(watched->has_nameless());
}

TEST(Reflector, Rule3AnObjectMadeAnewUnderItsNameIsToldAsDeletedThenAdded) {
    FakeApiServer server;
    server.put(kCollection, "a", "s", {{"value", 1}, {"metadata", {{"uid", "one"}}}});
    Watched watched(server);
    watched.told(2);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.put(kCollection, "a", "s", {{"value", 1}, {"metadata", {{"uid", "two"}}}});
    EXPECT_EQ(watched.told(2), (Words{"-a/s=1", "+a/s=1"}));
    EXPECT_EQ(watched->find("a/s")->uid, "two");
}

TEST(Reflector, AServerWhoseDataWentBackInTimeIsListedAgain) {
    FakeApiServer server;
    server.put(kCollection, "a", "s", {{"value", 1}});
    const auto snapshot = server.snapshot();
    Watched watched(server);
    watched.told(2);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.put(kCollection, "a", "s", {{"value", 2}});
    server.put(kCollection, "a", "later", {{"value", 3}});
    EXPECT_EQ(watched.told(2), (Words{"a/s:1>2", "+a/later=3"}));
    server.restore(snapshot);
    server.end_watches(true);
    EXPECT_EQ(watched.told(2), (Words{"-a/later=3", "a/s:2>1"}));
    EXPECT_EQ(watched->metrics().ends(WatchEnd::went_back), 1U);
}

TEST(Reflector, AnEventOfAnOlderRevisionIsNotTakenForNews) {
    FakeApiServer server;
    server.put(kCollection, "a", "s", {{"value", 1}});
    Watched watched(server);
    watched.told(2);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.send_raw(R"({"type":"DELETED","object":{"metadata":{"name":"s","namespace":"a","resourceVersion":"5"}}})"
                    "\n");
    ASSERT_TRUE(watched.wait_for_end(WatchEnd::went_back));
    ASSERT_TRUE(server.wait_for([&] { return watched->metrics().lists == 2; }));
    EXPECT_NE(watched->find("a/s"), nullptr);
}

TEST(Reflector, ARevisionTooLargeForTheServerIsListedAgain) {
    FakeApiServer server;
    Watched watched(server);
    ASSERT_TRUE(server.wait_for_watches(1));
    server.refuse(
        {{.status = 504,
          .body =
              R"({"kind":"Status","code":504,"reason":"Timeout","message":"Too large resource version: 9, current: 3"})",
          .only = "WATCH"}});
    server.end_watches();
    ASSERT_TRUE(watched.wait_for_end(WatchEnd::went_back));
    ASSERT_TRUE(server.wait_for([&] { return watched->metrics().lists == 2; }));
}

TEST(Reflector, ASilentWatchIsTakenUpAnew) {
    FakeApiServer server;
    Watched watched(server, [](auto& options) { options.list.silence = Milliseconds(30); });
    ASSERT_TRUE(watched.wait_for_end(WatchEnd::silent, 2));
    server.put(kCollection, "a", "s", {{"value", 1}});
    EXPECT_EQ(watched.told(2), (Words{"synced", "+a/s=1"}));
    EXPECT_EQ(watched->metrics().lists, 1U);
}

TEST(Reflector, AWatchRefusedIsTriedAgain) {
    FakeApiServer server;
    server.refuse({{.status = 429, .retry_after = "0", .only = "WATCH"},
                   {.status = 503, .only = "WATCH"},
                   {.status = 401, .only = "WATCH"}});
    Watched watched(server);
    ASSERT_TRUE(watched.wait_for_end(WatchEnd::refused, 3));
    ASSERT_TRUE(server.wait_for_watches(1));
    const auto troubles = watched.troubles();
    ASSERT_EQ(troubles.size(), 3U);
    EXPECT_EQ(troubles[0].status, 429);
    EXPECT_EQ(troubles[2].status, 401);
    EXPECT_NE(troubles[2].message.find("nobody"), std::string::npos) << troubles[2].message;
}

TEST(Reflector, EverythingIsListedAgainAfterAWhileWhateverTheWatchTold) {
    FakeApiServer server;
    Watched watched(server, [](auto& options) { options.list.full_list_every = Milliseconds(0); });
    ASSERT_TRUE(server.wait_for_watches(1));
    server.end_watches();
    ASSERT_TRUE(server.wait_for([&] { return watched->metrics().lists == 2; }));
}

TEST(Reflector, StopsWithinAWatchAndWhileTheServerHangs) {
    FakeApiServer server;
    {
        Watched watched(server);
        ASSERT_TRUE(server.wait_for_watches(1));
        watched->stop();
        watched->stop();
    }
    server.hold();
    const std::size_t before = server.seen().size();
    Watched watched(server);
    ASSERT_TRUE(server.wait_for([&] { return server.seen().size() > before; }));
    watched->stop();
    server.release();
    EXPECT_FALSE(watched->synced());
}

TEST(RevisionBefore, ComparesNumbersAndNothingElse) {
    EXPECT_TRUE(revision_before("99", "100"));
    EXPECT_FALSE(revision_before("100", "99"));
    EXPECT_FALSE(revision_before("7", "7"));
    EXPECT_FALSE(revision_before("", "7"));
    EXPECT_FALSE(revision_before("a", "b"));
}

}  // namespace
}  // namespace guideway::kubernetes
