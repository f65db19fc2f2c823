// What every Store promises, as one test-suite: instantiate it with a factory of the implementation.
//
// A place is opened by one store at a time here, as some implementations allow no more (ErrorKind::in_use).
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/store/store.h"

namespace guideway::store {

/// A fresh place for each test, opened again and again. Its leases go by `now`; it keeps at least 20 deletions and at most 22.
struct StorePlace {
    std::chrono::steady_clock::time_point now{};
    std::function<std::unique_ptr<Store>()> open;
};
struct StoreFactory {
    std::string name;
    std::function<std::shared_ptr<StorePlace>()> fresh_place;
};
inline constexpr std::uint64_t kContractTombstones = 20;

class StoreContract : public testing::TestWithParam<StoreFactory> {
  protected:
    StoreContract() : place_(GetParam().fresh_place()) {}

    std::unique_ptr<Store> open_() { return place_->open(); }
    static Contents contents_of(Store& store) {
        Contents contents;
        const auto error = store.load(contents);
        EXPECT_FALSE(error) << error->message;
        return contents;
    }
    static Changes changes_of(Store& store, std::uint64_t since) {
        Changes changes;
        const auto error = store.changes_since(since, changes);
        EXPECT_FALSE(error) << error->message;
        return changes;
    }
    static void commit(Store& store, const Batch& batch) {
        const auto error = store.commit(batch);
        ASSERT_FALSE(error) << error->message;
    }
    static void expect_refused(const std::optional<Error>& error, ErrorKind kind) {
        ASSERT_TRUE(error);
        EXPECT_EQ(to_string(error->kind), to_string(kind)) << error->message;
        EXPECT_FALSE(error->message.empty());
    }
    static LeaseId granted(Store& store, std::chrono::milliseconds ttl) {
        const auto result = store.grant_lease(ttl);
        if (const auto* error = std::get_if<Error>(&result)) {
            ADD_FAILURE() << error->message;
            return kNoLease;
        }
        return std::get<LeaseId>(result);
    }

    std::shared_ptr<StorePlace> place_;
};

TEST_P(StoreContract, BeginsEmpty) {
    const Contents contents = contents_of(*open_());
    EXPECT_TRUE(contents.records.empty());
    EXPECT_EQ(contents.revision, 0U);
    EXPECT_EQ(contents.generation, 0U);
}

TEST_P(StoreContract, KeepsABatchAcrossReopening) {
    commit(*open_(), {{{"node", "b", "{\"n\":1}"}, {"node", "a", "{}"}, {"address-pool", "z", "[]"}}, 0, 1, 7});
    const Contents contents = contents_of(*open_());
    EXPECT_EQ(
        contents.records,
        (std::vector<Record>{{"address-pool", "z", "[]", 1}, {"node", "a", "{}", 1}, {"node", "b", "{\"n\":1}", 1}}));
    EXPECT_EQ(contents.revision, 1U);
    EXPECT_EQ(contents.generation, 7U);
}

TEST_P(StoreContract, ReplacesAndTakesAway) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}, {"node", "b", "1"}}, 0, 1, 1});
    commit(*store, {{{"node", "a", "2"}, {"node", "b", std::nullopt}, {"node", "unknown", std::nullopt}}, 1, 2, 2});
    EXPECT_EQ(contents_of(*store).records, (std::vector<Record>{{"node", "a", "2", 2}}));
}

TEST_P(StoreContract, EachRecordCarriesTheRevisionItWasLastWrittenIn) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}, {"node", "b", "1"}}, 0, 3, 1});
    commit(*store, {{{"node", "b", "1"}}, 3, 8, 1});
    EXPECT_EQ(contents_of(*store).records, (std::vector<Record>{{"node", "a", "1", 3}, {"node", "b", "1", 8}}));
}

TEST_P(StoreContract, TheSameKeyOfTwoKindsIsTwoRecords) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}, {"address-pool", "a", "2"}}, 0, 1, 1});
    commit(*store, {{{"node", "a", std::nullopt}}, 1, 2, 1});
    EXPECT_EQ(contents_of(*store).records, (std::vector<Record>{{"address-pool", "a", "2", 1}}));
}

TEST_P(StoreContract, RefusesABatchThatFollowsAnotherRevisionAndChangesNothing) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}}, 0, 1, 1});
    expect_refused(store->commit({{{"node", "a", "2"}}, 0, 1, 9}), ErrorKind::conflict);
    expect_refused(store->commit({{{"node", "a", "2"}}, 2, 3, 9}), ErrorKind::conflict);
    const Contents contents = contents_of(*store);
    EXPECT_EQ(contents.records, (std::vector<Record>{{"node", "a", "1", 1}}));
    EXPECT_EQ(contents.generation, 1U);
}

// Was `conflict` before; that now means "catch up and try again", which would not help here.
TEST_P(StoreContract, RefusesARevisionThatDoesNotGrow) {
    const auto store = open_();
    commit(*store, {{}, 0, 5, 1});
    for (const std::uint64_t revision : {5, 4, 0}) {
        expect_refused(store->commit({{{"node", "a", "1"}}, 5, revision, 2}), ErrorKind::invalid);
    }
    EXPECT_TRUE(contents_of(*store).records.empty());
}

TEST_P(StoreContract, RefusesAKeyTwiceInOneBatchAndChangesNothing) {
    const auto store = open_();
    const auto error = store->commit({{{"node", "a", "1"}, {"node", "b", "1"}, {"node", "a", std::nullopt}}, 0, 1, 1});
    expect_refused(error, ErrorKind::invalid);
    EXPECT_NE(error->message.find("node a"), std::string::npos) << error->message;
    EXPECT_EQ(contents_of(*store).revision, 0U);
    EXPECT_TRUE(contents_of(*store).records.empty());
}

TEST_P(StoreContract, RefusesNamesAndDocumentsBeyondTheirBounds) {
    const auto store = open_();
    const std::string longest(kLongestKey, 'k');
    for (const Change& change : {Change{"", "a", "1"}, Change{"node", "", "1"}, Change{"node", longest + "k", "1"},
                                 Change{std::string(kLongestKind + 1, 'k'), "a", "1"},
                                 Change{"node", "a", std::string(kLongestDocument + 1, 'd')}}) {
        expect_refused(store->commit({{change}, 0, 1, 1}), ErrorKind::invalid);
    }
    commit(*store, {{{"node", longest, "1"}}, 0, 1, 1});
    EXPECT_EQ(contents_of(*store).records.size(), 1U);
}

TEST_P(StoreContract, WritesWhereEachRecordIsAtTheRevisionExpected) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}}, 0, 1, 1});
    commit(*store, {{{"node", "b", "1"}}, 1, 2, 1, {{"node", "a", 1}, {"node", "b", 0}}});
    EXPECT_EQ(contents_of(*store).records.size(), 2U);
}

TEST_P(StoreContract, RefusesWhereARecordIsNotAtTheRevisionExpectedAndChangesNothing) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}}, 0, 1, 1});
    commit(*store, {{{"node", "a", "2"}, {"node", "c", "1"}}, 1, 2, 1});
    for (const Expectation& expectation : {Expectation{"node", "a", 1}, Expectation{"node", "a", 0},
                                           Expectation{"node", "b", 2}, Expectation{"pool", "a", 2}}) {
        expect_refused(store->commit({{{"node", "a", "3"}, {"node", "c", std::nullopt}}, 2, 3, 2, {expectation}}),
                       ErrorKind::conflict);
    }
    EXPECT_EQ(contents_of(*store).records, (std::vector<Record>{{"node", "a", "2", 2}, {"node", "c", "1", 2}}));
    EXPECT_EQ(contents_of(*store).revision, 2U);
}

TEST_P(StoreContract, KeepsAnyText) {
    const std::string odd = std::string("{\"a\":\"\\u0000\xf0\x9f\x9a\x84 'x' \"\" ") + std::string(100000, 'y');
    commit(*open_(), {{{"k'ind", "ns/na'me", odd}}, 0, 1, 1});
    EXPECT_EQ(contents_of(*open_()).records, (std::vector<Record>{{"k'ind", "ns/na'me", odd, 1}}));
}

TEST_P(StoreContract, KeepsTheLargestCounters) {
    const auto store = open_();
    commit(*store, {{}, 0, kLargestRevision, kLargestRevision});
    EXPECT_EQ(contents_of(*store).revision, kLargestRevision);
    EXPECT_EQ(contents_of(*store).generation, kLargestRevision);
    expect_refused(store->commit({{}, kLargestRevision, kLargestRevision + 1, 1}), ErrorKind::invalid);
}

TEST_P(StoreContract, TellsWhatChangedSinceARevision) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}, {"node", "b", "1"}, {"node", "c", "1"}}, 0, 1, 1});
    commit(*store, {{{"node", "b", std::nullopt}, {"node", "c", "2"}}, 1, 2, 2});
    commit(*store, {{{"node", "d", "1"}, {"node", "c", "3"}}, 2, 3, 2});
    const Changes changes = changes_of(*store, 1);
    EXPECT_EQ(changes.written, (std::vector<Record>{{"node", "c", "3", 3}, {"node", "d", "1", 3}}));
    EXPECT_EQ(changes.gone, (std::vector<Gone>{{"node", "b", 2}}));
    EXPECT_EQ(changes.revision, 3U);
    EXPECT_EQ(changes.generation, 2U);
    EXPECT_EQ(changes_of(*store, 2).written.size(), 2U);
}

TEST_P(StoreContract, TellsOfAKeyOnceAsItIsNow) {
    const auto store = open_();
    commit(*store, {{{"node", "back", "1"}, {"node", "twice", "1"}}, 0, 1, 1});
    commit(*store, {{{"node", "back", std::nullopt}, {"node", "twice", std::nullopt}}, 1, 2, 1});
    commit(*store, {{{"node", "back", "2"}, {"node", "twice", "2"}}, 2, 3, 1});
    commit(*store, {{{"node", "twice", std::nullopt}}, 3, 4, 1});
    const Changes changes = changes_of(*store, 1);
    EXPECT_EQ(changes.written, (std::vector<Record>{{"node", "back", "2", 3}}));
    EXPECT_EQ(changes.gone, (std::vector<Gone>{{"node", "twice", 4}}));
}

TEST_P(StoreContract, TellsThatNothingChanged) {
    const auto store = open_();
    EXPECT_EQ(changes_of(*store, 0).revision, 0U);
    commit(*store, {{{"node", "a", "1"}}, 0, 4, 9});
    const Changes changes = changes_of(*store, 4);
    EXPECT_TRUE(changes.written.empty() && changes.gone.empty());
    EXPECT_EQ(changes.revision, 4U);
    EXPECT_EQ(changes.generation, 9U);
}

TEST_P(StoreContract, DeletionsTooOldToBeKnownAreCompacted) {
    const auto store = open_();
    std::uint64_t revision = 0;
    const auto step = [&](std::optional<std::string> document) {
        commit(*store, {{{"node", "a", std::move(document)}}, revision, revision + 1, 1});
        ++revision;
    };
    for (int i = 0; i < 50; ++i) {
        step("1");
        step(std::nullopt);
    }
    Changes changes;
    for (const std::uint64_t old : {0, 1, 40}) {
        expect_refused(store->changes_since(old, changes), ErrorKind::compacted);
    }
    EXPECT_EQ(changes_of(*store, revision - 2 * kContractTombstones).gone.size(), 1U) << "at least so many are kept";
    expect_refused(store->changes_since(revision + 1, changes), ErrorKind::compacted);
}

TEST_P(StoreContract, CallsWhoWaitsForChanges) {
    const auto store = open_();
    std::vector<std::uint64_t> seen;
    store->on_change([&](std::uint64_t revision) { seen.push_back(revision); });
    commit(*store, {{{"node", "a", "1"}}, 0, 3, 1});
    EXPECT_TRUE(store->commit({{{"node", "a", "1"}}, 0, 3, 1}));
    EXPECT_FALSE(store->replace({{}, 5, 1}, 3));
    store->on_change({});
    commit(*store, {{}, 5, 6, 1});
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{3, 5}));
}

TEST_P(StoreContract, IsReplacedWholly) {
    commit(*open_(), {{{"node", "a", "1"}, {"node", "b", "1"}}, 0, 4, 4});
    const Contents wanted{{{"node", "b", "2", 2}, {"pool", "p", "{}", 7}}, 9, 12};
    EXPECT_FALSE(open_()->replace(wanted, 4));
    const auto store = open_();
    const Contents contents = contents_of(*store);
    EXPECT_EQ(contents.records, wanted.records);
    EXPECT_EQ(contents.revision, 9U);
    EXPECT_EQ(contents.generation, 12U);
    Changes changes;
    expect_refused(store->changes_since(4, changes), ErrorKind::compacted);
    EXPECT_EQ(changes_of(*store, 9).revision, 9U);
    commit(*store, {{{"node", "b", "3"}}, 9, 10, 12, {{"node", "b", 2}}});
}

TEST_P(StoreContract, RefusesContentsThatCannotBeAndChangesNothing) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}}, 0, 4, 4});
    expect_refused(store->replace({{}, 9, 1}, 3), ErrorKind::conflict);
    expect_refused(store->replace({{}, 4, 1}, 4), ErrorKind::invalid);
    expect_refused(store->replace({{{"node", "b", "1", 10}}, 9, 1}, 4), ErrorKind::invalid);
    expect_refused(store->replace({{{"node", "b", "1", 1, 5}}, 9, 1}, 4), ErrorKind::invalid);
    expect_refused(store->replace({{{"node", "b", "1", 1}, {"node", "b", "1", 1}}, 9, 1}, 4), ErrorKind::invalid);
    EXPECT_EQ(contents_of(*store).records, (std::vector<Record>{{"node", "a", "1", 4}}));
}

TEST_P(StoreContract, RecordsVanishWithTheLeaseTheyAreBoundTo) {
    const auto store = open_();
    const LeaseId lease = granted(*store, std::chrono::seconds(10));
    const LeaseId other = granted(*store, std::chrono::seconds(60));
    EXPECT_NE(lease, other);
    commit(*store, {{{"owner", "vip", "me", lease}, {"owner", "other", "me", other}, {"node", "a", "1"}}, 0, 1, 3});
    place_->now += std::chrono::milliseconds(9999);
    EXPECT_EQ(contents_of(*store).records.size(), 3U);
    place_->now += std::chrono::milliseconds(1);
    const Contents contents = contents_of(*store);
    EXPECT_EQ(contents.records, (std::vector<Record>{{"node", "a", "1", 1}, {"owner", "other", "me", 1, other}}));
    EXPECT_EQ(contents.revision, 2U) << "it is a change as any other";
    EXPECT_EQ(contents.generation, 3U);
    EXPECT_EQ(changes_of(*store, 1).gone, (std::vector<Gone>{{"owner", "vip", 2}}));
    expect_refused(store->keep_alive(lease), ErrorKind::no_lease);
    expect_refused(store->commit({{{"owner", "vip", "me", lease}}, 2, 3, 3}), ErrorKind::no_lease);
    expect_refused(store->commit({{{"node", "a", "2"}}, 1, 2, 3}), ErrorKind::conflict);
}

TEST_P(StoreContract, ALeaseKeptAliveLasts) {
    const auto store = open_();
    const LeaseId lease = granted(*store, std::chrono::seconds(10));
    commit(*store, {{{"owner", "vip", "me", lease}}, 0, 1, 1});
    for (int i = 0; i < 5; ++i) {
        place_->now += std::chrono::seconds(9);
        EXPECT_FALSE(store->keep_alive(lease));
    }
    EXPECT_EQ(contents_of(*store).revision, 1U);
}

TEST_P(StoreContract, ARevokedLeaseEndsAtOnce) {
    const auto store = open_();
    std::vector<std::uint64_t> seen;
    const LeaseId lease = granted(*store, std::chrono::seconds(10));
    commit(*store, {{{"owner", "vip", "me", lease}}, 0, 1, 1});
    store->on_change([&](std::uint64_t revision) { seen.push_back(revision); });
    EXPECT_FALSE(store->revoke_lease(lease));
    EXPECT_TRUE(contents_of(*store).records.empty());
    EXPECT_EQ(seen, (std::vector<std::uint64_t>{2}));
    expect_refused(store->revoke_lease(lease), ErrorKind::no_lease);
}

TEST_P(StoreContract, ALeaseThatNothingIsBoundToEndsWithoutARevision) {
    const auto store = open_();
    granted(*store, std::chrono::seconds(10));
    const LeaseId lease = granted(*store, std::chrono::seconds(20));
    place_->now += std::chrono::seconds(15);
    EXPECT_FALSE(store->revoke_lease(lease));
    EXPECT_EQ(contents_of(*store).revision, 0U);
}

TEST_P(StoreContract, ARecordWrittenWithoutALeaseIsNoLongerBound) {
    const auto store = open_();
    const LeaseId lease = granted(*store, std::chrono::seconds(10));
    commit(*store, {{{"owner", "vip", "me", lease}}, 0, 1, 1});
    commit(*store, {{{"owner", "vip", "me"}}, 1, 2, 1});
    EXPECT_FALSE(store->revoke_lease(lease));
    EXPECT_EQ(contents_of(*store).records, (std::vector<Record>{{"owner", "vip", "me", 2}}));
}

TEST_P(StoreContract, ALeaseOutlivesReopening) {
    LeaseId lease = kNoLease;
    {
        const auto store = open_();
        lease = granted(*store, std::chrono::seconds(10));
        commit(*store, {{{"owner", "vip", "me", lease}}, 0, 1, 1});
    }
    const auto store = open_();
    EXPECT_FALSE(store->keep_alive(lease));
    place_->now += std::chrono::seconds(10);
    EXPECT_TRUE(contents_of(*store).records.empty());
    EXPECT_NE(granted(*store, std::chrono::seconds(10)), lease);
}

TEST_P(StoreContract, RefusesLeasesOfOddLength) {
    const auto store = open_();
    for (const auto ttl : {std::chrono::milliseconds(0), kShortestLease - std::chrono::milliseconds(1),
                           kLongestLease + std::chrono::milliseconds(1)}) {
        const auto result = store->grant_lease(ttl);
        ASSERT_TRUE(std::holds_alternative<Error>(result));
        EXPECT_EQ(std::get<Error>(result).kind, ErrorKind::invalid);
    }
}

}  // namespace guideway::store
