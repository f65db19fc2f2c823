#include "dataplane/flow/tag_bucket.h"

#include <random>

#include <gtest/gtest.h>

namespace guideway::flow {
namespace {

TEST(TagBucket, MatchesOnlyUsedSlotsWithTheTag) {
    TagBucket bucket{};
    bucket.tags = {5, 6, 5, 7, 0xffff, 0x8000, 5, 0, 5, 5};
    bucket.used = 0x3ff;
    EXPECT_EQ(match_tags_scalar(bucket, 5), 0b1101000101U);
    EXPECT_EQ(match_tags(bucket, 5), 0b1101000101U);
    EXPECT_EQ(match_tags(bucket, 0xffff), 0b0000010000U);
    EXPECT_EQ(match_tags(bucket, 0x8000), 0b0000100000U);
    EXPECT_EQ(match_tags(bucket, 0), 0b0010000000U);
    EXPECT_EQ(match_tags(bucket, 9), 0U);
    bucket.used = 0b0100000001;
    EXPECT_EQ(match_tags(bucket, 5), 0b0100000001U);
}

TEST(TagBucket, VectorFormEqualsScalarForm) {
    std::mt19937 random(3);
    for (int round = 0; round < 20000; ++round) {
        TagBucket bucket{};
        // Few different values, so that tags meet; references are arbitrary and must not be mistaken for tags.
        for (auto& tag : bucket.tags) tag = static_cast<std::uint16_t>(0x7ffe + random() % 4);
        for (auto& reference : bucket.references) reference = static_cast<std::uint32_t>(0x7fff7fff + random() % 4);
        bucket.used = static_cast<std::uint16_t>(random() & 0x3ff);
        for (std::uint32_t tag = 0x7ffd; tag < 0x8004; ++tag) {
            const auto wanted = static_cast<std::uint16_t>(tag);
            ASSERT_EQ(match_tags(bucket, wanted), match_tags_scalar(bucket, wanted)) << "tag " << tag;
        }
    }
}

}  // namespace
}  // namespace guideway::flow
