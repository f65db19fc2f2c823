// What every Store promises, as one test-suite: instantiate it with a factory of the implementation.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "controlplane/store/store.h"

namespace guideway::store {

/// Opens the same place again and again; a fresh place for each test.
struct StoreFactory {
    std::string name;
    std::function<std::function<std::unique_ptr<Store>()>()> fresh_place;
};

class StoreContract : public testing::TestWithParam<StoreFactory> {
  protected:
    StoreContract() : open_(GetParam().fresh_place()) {}

    static Contents contents_of(Store& store) {
        Contents contents;
        const auto error = store.load(contents);
        EXPECT_FALSE(error) << error->message;
        return contents;
    }
    static void commit(Store& store, const Batch& batch) {
        const auto error = store.commit(batch);
        ASSERT_FALSE(error) << error->message;
    }

    std::function<std::unique_ptr<Store>()> open_;
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
    EXPECT_EQ(contents.records,
              (std::vector<Record>{{"address-pool", "z", "[]"}, {"node", "a", "{}"}, {"node", "b", "{\"n\":1}"}}));
    EXPECT_EQ(contents.revision, 1U);
    EXPECT_EQ(contents.generation, 7U);
}

TEST_P(StoreContract, ReplacesAndTakesAway) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}, {"node", "b", "1"}}, 0, 1, 1});
    commit(*store, {{{"node", "a", "2"}, {"node", "b", std::nullopt}, {"node", "unknown", std::nullopt}}, 1, 2, 2});
    EXPECT_EQ(contents_of(*store).records, (std::vector<Record>{{"node", "a", "2"}}));
}

TEST_P(StoreContract, TheSameKeyOfTwoKindsIsTwoRecords) {
    const auto store = open_();
    commit(*store, {{{"node", "a", "1"}, {"address-pool", "a", "2"}}, 0, 1, 1});
    commit(*store, {{{"node", "a", std::nullopt}}, 1, 2, 1});
    EXPECT_EQ(contents_of(*store).records, (std::vector<Record>{{"address-pool", "a", "2"}}));
}

TEST_P(StoreContract, RefusesABatchThatFollowsAnotherRevisionAndChangesNothing) {
    const auto one = open_();
    const auto two = open_();
    commit(*one, {{{"node", "a", "1"}}, 0, 1, 1});
    const auto error = two->commit({{{"node", "a", "2"}}, 0, 1, 9});
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::conflict);
    const Contents contents = contents_of(*two);
    EXPECT_EQ(contents.records, (std::vector<Record>{{"node", "a", "1"}}));
    EXPECT_EQ(contents.generation, 1U);
}

TEST_P(StoreContract, RefusesARevisionThatDoesNotGrow) {
    const auto store = open_();
    commit(*store, {{}, 0, 5, 1});
    for (const std::uint64_t revision : {5, 4, 0}) {
        const auto error = store->commit({{{"node", "a", "1"}}, 5, revision, 2});
        ASSERT_TRUE(error) << revision;
        EXPECT_EQ(error->kind, ErrorKind::conflict);
    }
    EXPECT_TRUE(contents_of(*store).records.empty());
}

TEST_P(StoreContract, KeepsAnyText) {
    const std::string odd = std::string("{\"a\":\"\\u0000\xf0\x9f\x9a\x84 'x' \"\" ") + std::string(100000, 'y');
    commit(*open_(), {{{"k'ind", "ns/na'me", odd}}, 0, 1, 1});
    EXPECT_EQ(contents_of(*open_()).records, (std::vector<Record>{{"k'ind", "ns/na'me", odd}}));
}

TEST_P(StoreContract, KeepsTheLargestCounters) {
    constexpr std::uint64_t kLargest = (std::uint64_t{1} << 63) - 1;
    const auto store = open_();
    commit(*store, {{}, 0, kLargest, kLargest});
    EXPECT_EQ(contents_of(*store).revision, kLargest);
    EXPECT_EQ(contents_of(*store).generation, kLargest);
}

}  // namespace guideway::store
