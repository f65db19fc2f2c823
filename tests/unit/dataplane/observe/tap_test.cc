#include "dataplane/observe/tap.h"

#include <cstring>
#include <string>
#include <thread>

#include <gtest/gtest.h>

#include "dataplane/observe/byte_ring.h"

namespace guideway::observe {
namespace {

bool put_record(ByteRing& ring, const std::string& text, std::size_t reserved = 0) {
    std::byte* room = ring.reserve(std::max(reserved, text.size()));
    if (room == nullptr) return false;
    std::memcpy(room, text.data(), text.size());
    ring.commit(text.size());
    return true;
}

std::string take_record(ByteRing& ring) {
    const auto record = ring.front();
    std::string text(reinterpret_cast<const char*>(record.data()), record.size());
    if (!record.empty()) ring.pop();
    return text;
}

TEST(ByteRing, KeepsRecordsWholeAndInOrder) {
    ByteRing ring(256);
    EXPECT_EQ(take_record(ring), "");
    EXPECT_TRUE(put_record(ring, "first"));
    EXPECT_TRUE(put_record(ring, "the second one", 100));
    EXPECT_EQ(take_record(ring), "first");
    EXPECT_EQ(take_record(ring), "the second one") << "as long as was committed, not as was reserved";
    EXPECT_EQ(take_record(ring), "");
}

TEST(ByteRing, AFullOneRefusesAndGoesOnOnceThereIsRoom) {
    ByteRing ring(64);
    EXPECT_TRUE(put_record(ring, std::string(16, 'a')));
    EXPECT_TRUE(put_record(ring, std::string(24, 'b')));
    EXPECT_FALSE(put_record(ring, "c"));
    EXPECT_FALSE(put_record(ring, std::string(100, 'd'))) << "larger than all of it";
    EXPECT_EQ(take_record(ring), std::string(16, 'a'));
    EXPECT_TRUE(put_record(ring, "c"));
    EXPECT_EQ(take_record(ring), std::string(24, 'b'));
    EXPECT_EQ(take_record(ring), "c");
}

TEST(ByteRing, WhatWasReservedAndNotCommittedIsNotSeen) {
    ByteRing ring(64);
    EXPECT_NE(ring.reserve(40), nullptr);
    EXPECT_EQ(take_record(ring), "");
    EXPECT_TRUE(put_record(ring, "x"));
    EXPECT_EQ(take_record(ring), "x");
}

TEST(ByteRing, OneThreadToAnother) {
    ByteRing ring(1024);
    constexpr unsigned kRecords = 20'000;
    std::thread producer([&] {
        for (unsigned i = 0; i < kRecords; ++i) {
            const std::string text(1 + i * 7 % 200, static_cast<char>('a' + i % 26));
            while (!put_record(ring, text, 200)) std::this_thread::yield();
        }
    });
    for (unsigned i = 0; i < kRecords; ++i) {
        std::string text;
        while ((text = take_record(ring)).empty()) std::this_thread::yield();
        ASSERT_EQ(text, std::string(1 + i * 7 % 200, static_cast<char>('a' + i % 26))) << i;
    }
    producer.join();
}

TapEnds ends(std::uint64_t source, std::uint64_t destination, std::uint16_t source_port, std::uint16_t destination_port,
             std::uint8_t protocol = 6) {
    return {{0, source}, {0, destination}, source_port, destination_port, protocol};
}

TEST(TapFilter, OneThatSaysNothingMatchesAll) {
    EXPECT_TRUE(TapFilter{}.matches(ends(1, 2, 3, 4)));
    EXPECT_TRUE(TapFilter{}.matches(TapEnds{}));
}

TEST(TapFilter, EitherDirectionMatchesButNotAMixtureOfBoth) {
    TapFilter filter;
    filter.source = {{0, 1}, {~0ULL, ~0ULL}, 0};
    filter.destination = {{0, 2}, {~0ULL, ~0ULL}, 80};
    EXPECT_TRUE(filter.matches(ends(1, 2, 40000, 80)));
    EXPECT_TRUE(filter.matches(ends(2, 1, 80, 40000)));
    EXPECT_FALSE(filter.matches(ends(1, 2, 80, 40000))) << "the port is the other side's";
    EXPECT_FALSE(filter.matches(ends(1, 3, 40000, 80)));
    EXPECT_FALSE(filter.matches(ends(3, 2, 40000, 80)));
}

TEST(TapFilter, ThePrefixCountsAndNoMore) {
    TapFilter filter;
    filter.source = {{0, 0x1100}, {~0ULL, 0xff00}, 0};
    EXPECT_TRUE(filter.matches(ends(0x11ab, 9, 1, 2)));
    EXPECT_TRUE(filter.matches(ends(9, 0x11cd, 1, 2)));
    EXPECT_FALSE(filter.matches(ends(0x12ab, 9, 1, 2)));
}

TEST(TapFilter, TheProtocol) {
    TapFilter filter;
    filter.protocol = 17;
    EXPECT_TRUE(filter.matches(ends(1, 2, 3, 4, 17)));
    EXPECT_FALSE(filter.matches(ends(1, 2, 3, 4, 6)));
}

}  // namespace
}  // namespace guideway::observe
