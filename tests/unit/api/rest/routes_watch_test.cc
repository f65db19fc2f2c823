// Watches: what is told, in which order, with which ids, and how they end.
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/unit/api/rest/routes_fixture.h"

namespace guideway::rest {
namespace {

using namespace std::chrono_literals;

struct Seen {
    std::string type, id, data;
    nlohmann::json json() const { return nlohmann::json::parse(data, nullptr, false); }
    std::string name() const { return json().at("metadata").value("name", std::string()); }
};

/// Server-sent events as a browser reads them; comments have the type ":".
std::vector<Seen> parse(const std::string& text) {
    std::vector<Seen> out;
    std::size_t at = 0;
    while (at < text.size()) {
        const std::size_t end = text.find("\n\n", at);
        EXPECT_NE(end, std::string::npos) << "an event is not whole: " << text;
        if (end == std::string::npos) break;
        Seen seen;
        std::size_t line = at;
        while (line < end) {
            const std::size_t stop = std::min(text.find('\n', line), end);
            const std::string one = text.substr(line, stop - line);
            if (one.starts_with("event: ")) seen.type = one.substr(7);
            if (one.starts_with("id: ")) seen.id = one.substr(4);
            if (one.starts_with("data: ")) seen.data = one.substr(6);
            if (one == ":") seen.type = ":";
            line = stop + 1;
        }
        out.push_back(seen);
        at = end + 2;
    }
    return out;
}

class RoutesWatchTest : public RoutesTest {
  protected:
    std::shared_ptr<BodyStream> watch(const std::string& target) {
        Response response = ask("GET", target);
        EXPECT_EQ(response.status, 200) << response.body;
        EXPECT_EQ(response.content_type, "text/event-stream");
        EXPECT_EQ(header(response, "Cache-Control"), "no-cache");
        EXPECT_NE(response.stream, nullptr);
        return response.stream;
    }
    static std::vector<Seen> next(BodyStream& stream, std::chrono::milliseconds wait = 0ms) {
        const std::optional<std::string> text = stream.next(wait);
        EXPECT_TRUE(text) << "the stream is at its end";
        return parse(text.value_or(""));
    }
    void put_node(const std::string& name, const std::string& labels = "{}", int weight = 1) {
        const Response response =
            ask("PUT", "/v1/nodes/" + name,
                R"({"metadata": {"labels": )" + labels + R"(}, "spec": {"addresses": ["10.0.2.11"], "weight": )" +
                    std::to_string(weight) + "}}");
        ASSERT_LT(response.status, 300) << response.body;
    }
};

TEST_F(RoutesWatchTest, BeginsWithWhatIsThereAndGoesOnWithWhatChanges) {
    put_node("a");
    put_node("b");
    const auto stream = watch("/v1/nodes?watch=true");
    put_node("a", "{}", 2);  // before the first read: it must be told once
    const std::vector<Seen> present = next(*stream);
    ASSERT_EQ(present.size(), 2U);
    EXPECT_EQ(present[0].type, "ADDED");
    EXPECT_EQ(present[0].name(), "a");
    EXPECT_EQ(present[0].id, "") << "who resumed here would miss b";
    EXPECT_EQ(present[1].name(), "b");
    EXPECT_EQ(present[1].id, "2");
    const std::vector<Seen> changed = next(*stream);
    ASSERT_EQ(changed.size(), 1U);
    EXPECT_EQ(changed[0].type, "MODIFIED");
    EXPECT_EQ(changed[0].id, "3");
    EXPECT_EQ(changed[0].json().at("spec").at("weight"), 2);
    ASSERT_EQ(ask("DELETE", "/v1/nodes/b").status, 204);
    const std::vector<Seen> gone = next(*stream);
    ASSERT_EQ(gone.size(), 1U);
    EXPECT_EQ(gone[0].type, "DELETED");
    EXPECT_EQ(gone[0].name(), "b");
    EXPECT_TRUE(next(*stream).empty()) << "nothing happened";
}

TEST_F(RoutesWatchTest, ResumesAfterARevision) {
    put_node("a");
    put_node("b");
    put_node("c");
    const auto stream = watch("/v1/nodes?watch=true&resourceVersion=1");
    const std::vector<Seen> seen = next(*stream);
    ASSERT_EQ(seen.size(), 2U);
    EXPECT_EQ(seen[0].name(), "b");
    EXPECT_EQ(seen[1].name(), "c");
}

TEST_F(RoutesWatchTest, TheLastEventIdGoesBeforeTheAddress) {
    put_node("a");
    put_node("b");
    Request one = request("GET", "/v1/nodes?watch=true&resourceVersion=1");
    one.last_event_id = "2";
    const Response response = routes_.answer(one);
    ASSERT_NE(response.stream, nullptr);
    EXPECT_TRUE(next(*response.stream).empty()) << "b was read already";
    one.last_event_id = "two";
    EXPECT_EQ(fields(problem(routes_.answer(one), 400)), std::vector<std::string>{"Last-Event-ID"});
    one.last_event_id = "";
    EXPECT_EQ(next(*routes_.answer(one).stream).size(), 1U) << "as if it were not there";
}

TEST_F(RoutesWatchTest, ARevisionTooLongAgoIs410BeforeAnythingIsSent) {
    put_node("a");
    put_node("b");
    appliance_.forget_before(2);
    const Response response = ask("GET", "/v1/nodes?watch=true&resourceVersion=1");
    EXPECT_EQ(problem(response, 410).at("reason"), "Expired");
    EXPECT_EQ(response.stream, nullptr);
}

TEST_F(RoutesWatchTest, WhoFallsBehindIsToldAndCut) {
    put_node("a");
    const auto stream = watch("/v1/nodes?watch=true&resourceVersion=1");
    put_node("b");
    appliance_.forget_before(3);
    put_node("c");
    const std::vector<Seen> seen = next(*stream);
    ASSERT_FALSE(seen.empty());
    EXPECT_EQ(seen.back().type, "ERROR");
    EXPECT_EQ(seen.back().id, "");
    EXPECT_EQ(seen.back().json().at("status"), 410);
    EXPECT_EQ(seen.back().json().at("reason"), "Expired");
    EXPECT_FALSE(stream->next(0ms)) << "nothing follows";
}

TEST_F(RoutesWatchTest, EndsWithTheControlPlane) {
    const auto stream = watch("/v1/nodes?watch=true");
    next(*stream);
    appliance_.end_watches();
    EXPECT_FALSE(stream->next(1000ms));
    EXPECT_FALSE(stream->next(0ms));
}

TEST_F(RoutesWatchTest, ABookmarkEndsThePresentObjectsAndTimesOfQuiet) {
    put_node("a");
    Routes quick(appliance_, RoutesOptions{.max_waiting_requests = 1, .watch_quiet = 1ms});
    const Response response = quick.answer(request("GET", "/v1/nodes?watch=true&allowBookmarks=true"));
    const std::vector<Seen> present = next(*response.stream);
    ASSERT_EQ(present.size(), 2U);
    EXPECT_EQ(present[1].type, "BOOKMARK");
    EXPECT_EQ(present[1].id, "1");
    EXPECT_EQ(present[1].json(), nlohmann::json::parse(R"({"kind": "Node", "metadata": {"resourceVersion": "1",
                  "annotations": {"k8s.io/initial-events-end": "true"}}})"));
    ASSERT_EQ(ask("PUT", "/v1/address-pools/p", kPool).status, 201);  // a revision of another kind
    std::vector<Seen> quiet;
    while (quiet.empty()) quiet = next(*response.stream, 1000ms);
    ASSERT_EQ(quiet.size(), 1U);
    EXPECT_EQ(quiet[0].type, "BOOKMARK");
    EXPECT_EQ(quiet[0].id, "2") << "so that the reader does not become too old";
    EXPECT_EQ(quiet[0].data, R"({"kind":"Node","metadata":{"resourceVersion":"2"}})");
}

TEST_F(RoutesWatchTest, WithoutBookmarksACommentShowsThatItLives) {
    Routes quick(appliance_, RoutesOptions{.max_waiting_requests = 1, .watch_quiet = 1ms});
    const Response response = quick.answer(request("GET", "/v1/nodes?watch=true"));
    EXPECT_TRUE(next(*response.stream).empty()) << "nothing is there";
    std::vector<Seen> quiet;
    while (quiet.empty()) quiet = next(*response.stream, 1000ms);
    EXPECT_EQ(quiet[0].type, ":");
}

TEST_F(RoutesWatchTest, TellsOfTheSelectionOnly) {
    put_node("a", R"({"team": "shop"})");
    put_node("b", R"({"team": "bank"})");
    const auto stream = watch("/v1/nodes?watch=true&labelSelector=team%3Dshop");
    std::vector<Seen> seen = next(*stream);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].name(), "a");
    put_node("b", R"({"team": "shop"})");
    seen = next(*stream);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].type, "ADDED") << "it enters";
    put_node("b", R"({"team": "bank"})");
    seen = next(*stream);
    ASSERT_EQ(seen.size(), 1U);
    EXPECT_EQ(seen[0].type, "DELETED") << "it leaves";
    put_node("b", R"({"team": "post"})");
    EXPECT_TRUE(next(*stream).empty());
}

TEST_F(RoutesWatchTest, FieldsAreLeftOutOfEventsToo) {
    put_node("a");
    const auto stream = watch("/v1/nodes?watch=true&fields=spec.weight");
    EXPECT_EQ(next(*stream)[0].json(),
              nlohmann::json::parse(R"({"kind": "Node", "metadata": {"name": "a"}, "spec": {"weight": 1}})"));
    put_node("a", "{}", 3);
    EXPECT_EQ(next(*stream)[0].json().at("spec"), nlohmann::json::parse(R"({"weight": 3})"));
}

TEST_F(RoutesWatchTest, ManyPresentObjectsComeInPieces) {
    for (int i = 0; i < 1000; ++i) put_node("n" + std::to_string(i));
    const auto stream = watch("/v1/nodes?watch=true");
    std::vector<Seen> all;
    int pieces = 0;
    while (all.size() < 1000) {
        for (Seen& one : next(*stream)) all.push_back(std::move(one));
        ++pieces;
    }
    EXPECT_GT(pieces, 1);
    EXPECT_EQ(all.size(), 1000U);
    for (std::size_t i = 0; i < all.size(); ++i) EXPECT_EQ(all[i].id, i + 1 < all.size() ? "" : "1000");
}

TEST_F(RoutesWatchTest, EveryKindButTokensIsWatched) {
    resources::Event event;
    event.reason = "IPAllocated";
    event.regarding = {"LoadBalancer", "prod", "a", "x"};
    appliance_.add_event(event);
    EXPECT_EQ(next(*watch("/v1/events?watch=true&kind=LoadBalancer"))[0].json().at("reason"), "IPAllocated");
    ASSERT_EQ(ask("PUT", "/v1/clusters/prod/load-balancers/a/x", kBalancer).status, 201);
    EXPECT_EQ(next(*watch("/v1/clusters/prod/load-balancers?watch=true&namespace=a"))[0].name(), "x");
    ASSERT_EQ(ask("PUT", "/v1/address-pools/p", kPool).status, 201);
    EXPECT_EQ(next(*watch("/v1/address-pools?watch=true"))[0].name(), "p");
    EXPECT_EQ(fields(problem(ask("GET", "/v1/tokens?watch=true"), 400)), std::vector<std::string>{"?watch"});
}

TEST_F(RoutesWatchTest, AHeadOpensNoStreamAndPagesAreNotWatched) {
    const Response head = ask("HEAD", "/v1/nodes?watch=true");
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.content_type, "text/event-stream");
    EXPECT_EQ(head.stream, nullptr);
    EXPECT_EQ(
        fields(problem(ask("GET", "/v1/nodes?watch=true&limit=1&continue=x&resourceVersion=-1&allowBookmarks=1"), 400)),
        (std::vector<std::string>{"?resourceVersion", "?allowBookmarks", "?limit", "?continue"}));
}

TEST_F(RoutesWatchTest, AChangeWakesTheReader) {
    const auto stream = watch("/v1/nodes?watch=true");
    next(*stream);
    std::thread writer([this] { put_node("a"); });
    std::vector<Seen> seen;
    while (seen.empty()) seen = next(*stream, 10'000ms);
    writer.join();
    EXPECT_EQ(seen[0].name(), "a");
}

}  // namespace
}  // namespace guideway::rest
