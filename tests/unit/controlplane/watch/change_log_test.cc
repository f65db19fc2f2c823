#include "controlplane/watch/change_log.h"

#include <thread>

#include <gtest/gtest.h>

namespace guideway::controlplane {
namespace {

using namespace std::chrono_literals;
using rest::ChangeType;
using rest::Kind;

Change change(const std::string& name, ChangeType type = ChangeType::added,
              std::map<std::string, std::string> labels = {}, std::map<std::string, std::string> before = {}) {
    Change made;
    made.type = type;
    made.scope = {"default", "shop", std::move(labels), {}, {}};
    made.labels_before = std::move(before);
    made.encode = [name] { return name; };
    return made;
}

std::vector<std::string> names(const rest::WatchBatch& batch) {
    std::vector<std::string> out;
    for (const rest::WatchEvent& event : batch.events) out.push_back(event.object);
    return out;
}

using Names = std::vector<std::string>;

TEST(ChangeLog, AWatchTellsWhatCameAfterItsRevision) {
    ChangeLog log;
    log.restart(4);
    log.append(5, {change("web")});
    log.append(6, {change("web"), change("api")});
    const auto watch = log.watch(Kind::load_balancer, {}, 5);
    ASSERT_NE(watch, nullptr);
    const rest::WatchBatch batch = watch->next(0ms);
    EXPECT_EQ(names(batch), (Names{"web", "api"}));
    EXPECT_EQ(batch.revision, 6U);
    EXPECT_FALSE(batch.events[0].last_of_revision);
    EXPECT_TRUE(batch.events[1].last_of_revision);
    EXPECT_TRUE(watch->next(0ms).events.empty());
}

TEST(ChangeLog, FromNowOnTellsNothingOfThePast) {
    ChangeLog log;
    log.append(5, {change("web")});
    const auto watch = log.watch(Kind::load_balancer, {}, 0);
    EXPECT_TRUE(watch->next(0ms).events.empty());
    log.append(6, {change("api")});
    EXPECT_EQ(names(watch->next(0ms)), (Names{"api"}));
}

TEST(ChangeLog, OtherKindsAreNotToldButMoveTheRevision) {
    ChangeLog log;
    Change node = change("node-1");
    node.kind = Kind::node;
    const auto watch = log.watch(Kind::load_balancer, {}, 0);
    log.append(7, {node});
    const rest::WatchBatch batch = watch->next(0ms);
    EXPECT_TRUE(batch.events.empty());
    EXPECT_EQ(batch.revision, 7U);
}

TEST(ChangeLog, WhoFallsBehindWhatIsKeptIsTooOld) {
    ChangeLog log({.changes = 3});
    const auto slow = log.watch(Kind::load_balancer, {}, 0);
    for (std::uint64_t revision = 1; revision <= 5; ++revision) log.append(revision, {change("web")});
    EXPECT_TRUE(slow->next(0ms).too_old);
    EXPECT_EQ(log.watch(Kind::load_balancer, {}, 1), nullptr) << "revision 2 is cut";
    EXPECT_NE(log.watch(Kind::load_balancer, {}, 2), nullptr);
}

TEST(ChangeLog, IsBoundedInBytesToo) {
    ChangeLog log({.bytes = 5000});
    Change large = change("web");
    large.bytes = 3000;
    log.append(1, {large});
    log.append(2, {large});
    EXPECT_EQ(log.watch(Kind::load_balancer, {}, 0)->next(0ms).revision, 2U);
    EXPECT_NE(log.watch(Kind::load_balancer, {}, 1), nullptr);
    log.append(3, {large});
    EXPECT_EQ(log.watch(Kind::load_balancer, {}, 1), nullptr);
}

TEST(ChangeLog, ARevisionToComeIsOfAnotherHistory) {
    ChangeLog log;
    log.restart(10);
    EXPECT_EQ(log.watch(Kind::load_balancer, {}, 11), nullptr);
    EXPECT_NE(log.watch(Kind::load_balancer, {}, 10), nullptr);
}

TEST(ChangeLog, WhenEverythingIsReplacedWatchesEnd) {
    ChangeLog log;
    log.append(5, {change("web")});
    const auto watch = log.watch(Kind::load_balancer, {}, 5);
    log.restart(9);
    EXPECT_TRUE(watch->next(0ms).too_old);
}

TEST(ChangeLog, ChangesWithoutACommitAreToldAgainToWhoResumesFromTheirRevision) {
    ChangeLog log;
    log.append(5, {change("web")});
    log.append_status({change("web is forwarded", ChangeType::modified)});
    const auto resumed = log.watch(Kind::load_balancer, {}, 5);
    EXPECT_EQ(names(resumed->next(0ms)), (Names{"web is forwarded"}));
    const auto earlier = log.watch(Kind::load_balancer, {}, 5);
    log.append(6, {change("api")});
    EXPECT_EQ(names(earlier->next(0ms)), (Names{"web is forwarded", "api"}));
}

TEST(ChangeLog, AfterACutOfAChangeWithoutACommitItsRevisionIsTooOld) {
    ChangeLog log({.changes = 1});
    log.append(5, {});
    log.append_status({change("a", ChangeType::modified)});
    log.append_status({change("b", ChangeType::modified)});
    EXPECT_EQ(log.watch(Kind::load_balancer, {}, 5), nullptr);
}

TEST(ChangeLog, ASelectionTellsComingAndGoing) {
    ChangeLog log;
    rest::Selection shop;
    shop.labels.requirements = {{"team", resources::SelectorOperator::in, {"shop"}}};
    const auto watch = log.watch(Kind::load_balancer, shop, 0);
    log.append(1, {change("other", ChangeType::added, {{"team", "ops"}})});
    log.append(2, {change("enters", ChangeType::modified, {{"team", "shop"}}, {{"team", "ops"}})});
    log.append(3, {change("stays", ChangeType::modified, {{"team", "shop"}}, {{"team", "shop"}})});
    log.append(4, {change("leaves", ChangeType::modified, {{"team", "ops"}}, {{"team", "shop"}})});
    log.append(5, {change("never", ChangeType::modified, {{"team", "ops"}}, {{"team", "ops"}})});
    const rest::WatchBatch batch = watch->next(0ms);
    EXPECT_EQ(names(batch), (Names{"enters", "stays", "leaves"}));
    EXPECT_EQ(batch.events[0].type, ChangeType::added);
    EXPECT_EQ(batch.events[1].type, ChangeType::modified);
    EXPECT_EQ(batch.events[2].type, ChangeType::deleted);
}

TEST(ChangeLog, SelectsByClusterAndNamespace) {
    ChangeLog log;
    rest::Selection prod;
    prod.cluster = "prod";
    rest::Selection shop;
    shop.namespace_ = "shop";
    const auto of_prod = log.watch(Kind::load_balancer, prod, 0);
    const auto of_shop = log.watch(Kind::load_balancer, shop, 0);
    log.append(1, {change("web")});
    EXPECT_TRUE(of_prod->next(0ms).events.empty());
    EXPECT_EQ(names(of_shop->next(0ms)), (Names{"web"}));
}

TEST(ChangeLog, ARevisionIsNotCutInTwo) {
    ChangeLog log({.changes_read_at_once = 2});
    const auto watch = log.watch(Kind::load_balancer, {}, 0);
    log.append(1, {change("a"), change("b"), change("c")});
    log.append(2, {change("d")});
    EXPECT_EQ(names(watch->next(0ms)), (Names{"a", "b", "c"}));
    EXPECT_EQ(names(watch->next(0ms)), (Names{"d"}));
}

TEST(ChangeLog, AnObjectIsEncodedOnceForAllReaders) {
    ChangeLog log;
    int encoded = 0;
    Change counted = change("web");
    counted.encode = [&encoded] {
        ++encoded;
        return std::string("web");
    };
    const auto one = log.watch(Kind::load_balancer, {}, 0);
    const auto other = log.watch(Kind::load_balancer, {}, 0);
    log.append(1, {counted});
    EXPECT_EQ(encoded, 0) << "nobody has asked yet";
    one->next(0ms);
    other->next(0ms);
    EXPECT_EQ(encoded, 1);
}

TEST(ChangeLog, WhoWaitsIsWokenAndStopEndsAll) {
    ChangeLog log;
    const auto watch = log.watch(Kind::load_balancer, {}, 0);
    std::thread writer([&] { log.append(1, {change("web")}); });
    rest::WatchBatch batch = watch->next(std::chrono::minutes(1));
    writer.join();
    EXPECT_EQ(names(batch), (Names{"web"}));
    std::thread stopper([&] { log.stop(); });
    batch = watch->next(std::chrono::minutes(1));
    stopper.join();
    EXPECT_TRUE(batch.ended);
}

}  // namespace
}  // namespace guideway::controlplane
