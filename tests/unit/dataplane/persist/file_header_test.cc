#include "dataplane/persist/file_header.h"

#include <cstring>
#include <functional>
#include <random>

#include <gtest/gtest.h>

#include "dataplane/persist/flow_layout.h"

namespace guideway::persist {
namespace {

constexpr std::uint64_t kOneMiB = 1 << 20;
constexpr Layout kLayout{3, 0x1234, {64, 128}};
const std::string kBoot = "8479b957-487c-4b5b-a747-f43a65b4e65c";
const Shape kShape{2, {1000, 1000}, {"fd00:2::100", "10.0.2.100"}};

FileHeader good() {
    FileHeader header = make_header(kLayout, kShape, kBoot, 4096, 7);
    header.state = kReady;
    return header;
}

std::optional<Refusal> judged(const FileHeader& header, std::uint64_t file_bytes = 10 * kOneMiB) {
    return judge_header(std::as_bytes(std::span(&header, 1)), file_bytes, kLayout, kBoot);
}

/// Changed by somebody who knows how to compute the checksum.
std::string refusal_of(const std::function<void(FileHeader&)>& change, std::uint64_t file_bytes = 10 * kOneMiB) {
    FileHeader header = good();
    change(header);
    header.checksum = header_checksum(header);
    const auto refusal = judged(header, file_bytes);
    return refusal ? refusal->text() : "";
}

TEST(FileHeader, RegionsAreAlignedAndDoNotMeet) {
    const FileHeader header = good();
    EXPECT_EQ(header.regions[0][kV4].offset, 2 * kOneMiB);
    EXPECT_EQ(header.regions[0][kV6].offset, 4 * kOneMiB);
    EXPECT_EQ(header.regions[1][kV4].offset, 6 * kOneMiB);
    EXPECT_EQ(header.regions[1][kV6].offset, 8 * kOneMiB);
    EXPECT_EQ(header.regions[1][kV6].bytes, 128'000U);
    EXPECT_EQ(header.file_bytes, 10 * kOneMiB);
    EXPECT_FALSE(judged(header));
}

TEST(FileHeader, TheFileIsAWholeNumberOfPages) {
    EXPECT_EQ(make_header(kLayout, kShape, kBoot, 1024 * kOneMiB, 7).file_bytes, 1024 * kOneMiB);
}

TEST(FileHeader, ClientsRememberedHaveARegionOfTheirOwn) {
    const Layout layout{3, 0x1234, {64, 128, 64}};
    Shape shape = kShape;
    shape.capacity[kAffinity] = 1025;
    FileHeader header = make_header(layout, shape, kBoot, 4096, 7);
    header.state = kReady;
    EXPECT_EQ(header.regions[0][kAffinity].offset, 6 * kOneMiB);
    EXPECT_EQ(header.regions[0][kAffinity].bytes, 65'600U);
    EXPECT_EQ(header.regions[1][kV4].offset, 8 * kOneMiB);
    const auto bytes = std::as_bytes(std::span(&header, 1));
    EXPECT_FALSE(judge_header(bytes, header.file_bytes, layout, kBoot));
    EXPECT_EQ(shape_of(header).capacity, shape.capacity);
    EXPECT_TRUE(differences(shape_of(header), shape).empty());
    EXPECT_EQ(differences(shape_of(header), kShape),
              (std::vector<std::string>{"flows.affinity_clients (rounded up): 0, were 1024"}));
    // A build that lays them out otherwise, or has none.
    EXPECT_EQ(judge_header(bytes, header.file_bytes, kLayout, kBoot)->text(),
              "another layout: found version 3, entries of 64 and 128 bytes, clients of 64 bytes, digest 1234, wanted "
              "version 3, entries of 64 and 128 bytes, digest 1234");
}

TEST(FileHeader, TheShapeIsReadBack) {
    const Shape shape = shape_of(good());
    EXPECT_EQ(shape.workers, 2U);
    EXPECT_EQ(shape.capacity, (std::array<std::uint32_t, kFamilies>{1000, 1000, 0}));
    EXPECT_EQ(shape.snat_addresses, (std::vector<std::string>{"10.0.2.100", "fd00:2::100"}));
    EXPECT_TRUE(differences(shape, kShape).empty());
}

TEST(FileHeader, ShapesOutOfRangeAreTheCallersFault) {
    EXPECT_THROW(make_header(kLayout, {0, {1, 1}, {}}, kBoot, 4096, 7), std::invalid_argument);
    EXPECT_THROW(make_header(kLayout, {kMostWorkers + 1, {1, 1}, {}}, kBoot, 4096, 7), std::invalid_argument);
    EXPECT_THROW(make_header(kLayout, {1, {0, 1}, {}}, kBoot, 4096, 7), std::invalid_argument);
    EXPECT_THROW(make_header(kLayout, {1, {1, kMostEntries + 1}, {}}, kBoot, 4096, 7), std::invalid_argument);
    EXPECT_THROW(make_header(kLayout, {1, {1, 1}, std::vector<std::string>(1000, "10.0.0.1")}, kBoot, 4096, 7),
                 std::invalid_argument);
}

TEST(FileHeader, MostOfEverythingFits) {
    const Shape most{kMostWorkers, {kMostEntries, kMostEntries}, std::vector<std::string>(64, std::string(45, 'f'))};
    FileHeader header = make_header(kLayout, most, kBoot, 4096, 7);
    header.state = kReady;
    EXPECT_FALSE(judged(header, header.file_bytes));
}

TEST(Differences, AreSaidInWords) {
    const Shape now{1, {2000, 1000}, {"10.0.2.101", "fd00:2::100"}};
    EXPECT_EQ(differences(kShape, now), (std::vector<std::string>{"workers: 1, were 2", "flows.ipv4: 2000, were 1000",
                                                                  "snat_addresses no longer there: 10.0.2.100",
                                                                  "snat_addresses new: 10.0.2.101"}));
}

TEST(JudgeHeader, NamesEachReason) {
    EXPECT_EQ(refusal_of([](FileHeader& h) { h.magic[3] = 'x'; }), "damaged: does not begin as a flow file does");
    EXPECT_EQ(refusal_of([](FileHeader& h) { h.format = 9; }), "another layout: found header format 9, wanted 2");
    EXPECT_EQ(refusal_of([](FileHeader& h) { h.state = kBeingMade; }), "damaged: its making was cut short");
    EXPECT_EQ(refusal_of([](FileHeader& h) { h.state = 0; }), "damaged: its state is 0, which is none");
    EXPECT_EQ(refusal_of([](FileHeader& h) { h.layout_version = 2; }),
              "another layout: found version 2, entries of 64 and 128 bytes, digest 1234, "
              "wanted version 3, entries of 64 and 128 bytes, digest 1234");
    EXPECT_NE(refusal_of([](FileHeader& h) { h.layout_digest = 2; }).find("another layout: "), std::string::npos);
    EXPECT_NE(refusal_of([](FileHeader& h) { h.entry_bytes[kV4] = 32; }).find("entries of 32 and"), std::string::npos);
    EXPECT_NE(refusal_of([](FileHeader& h) { h.boot_id[0] = 'x'; }).find("another boot: "), std::string::npos);
    EXPECT_NE(refusal_of([](FileHeader& h) { h.boot_id.fill('a'); }).find("another boot: "), std::string::npos);

    FileHeader header = good();
    header.made_at_ns ^= 1;
    ASSERT_TRUE(judged(header));
    EXPECT_EQ(judged(header)->text(), "damaged: the header's checksum is wrong");
}

TEST(JudgeHeader, BelievesNoNumberEvenWithARightChecksum) {
    const auto damaged = [](const std::function<void(FileHeader&)>& change) {
        const std::string text = refusal_of(change);
        EXPECT_EQ(text.substr(0, 9), "damaged: ") << text;
        return text;
    };
    damaged([](FileHeader& h) { h.workers = 0; });
    damaged([](FileHeader& h) { h.workers = kMostWorkers + 1; });
    damaged([](FileHeader& h) { h.workers = 0xffffffff; });
    damaged([](FileHeader& h) { h.workers = 3; });  // whose regions are zero
    damaged([](FileHeader& h) { h.file_bytes += 1; });
    damaged([](FileHeader& h) { h.capacity[kV4] = 999; });
    damaged([](FileHeader& h) { h.regions[1][kV4].capacity = 0xffffffff; });
    damaged([](FileHeader& h) { h.regions[1][kV4].bytes = ~std::uint64_t{0}; });
    damaged([](FileHeader& h) { h.regions[1][kV4].offset = h.regions[0][kV6].offset; });  // overlapping
    damaged([](FileHeader& h) { h.regions[0][kV4].offset = 0; });                         // over the header
    damaged([](FileHeader& h) { h.regions[0][kV4].offset += 64; });
    damaged([](FileHeader& h) { h.regions[1][kV6].offset = 10 * kOneMiB; });
    damaged([](FileHeader& h) { h.regions[1][kV6].offset = ~std::uint64_t{0} / kRegionAlignment * kRegionAlignment; });
    damaged([](FileHeader& h) { h.snat_bytes = 0xffffffff; });
    damaged([](FileHeader& h) { h.snat_bytes -= 1; });
    EXPECT_NE(damaged([](FileHeader& h) { h.snat_text[0] = '\x1b'; }).find("other characters"), std::string::npos);
}

TEST(JudgeHeader, ShortFilesAreDamaged) {
    const FileHeader header = good();
    const auto bytes = std::as_bytes(std::span(&header, 1));
    for (std::size_t length = 0; length < kHeaderBytes; length += 37) {
        const auto refusal = judge_header(bytes.first(length), length, kLayout, kBoot);
        ASSERT_TRUE(refusal);
        EXPECT_EQ(refusal->kind, RefusalKind::damaged);
    }
    ASSERT_TRUE(judged(header, 10 * kOneMiB - 4096));
}

TEST(JudgeHeader, AnyChangedBitIsNoticedOrHarmless) {
    std::mt19937 random(2);
    const FileHeader original = good();
    for (int round = 0; round < 50'000; ++round) {
        FileHeader header = original;
        auto* bytes = reinterpret_cast<unsigned char*>(&header);
        for (unsigned count = 1 + random() % 8; count > 0; --count) {
            bytes[random() % (round % 2 != 0 ? 256 : kHeaderBytes)] ^= static_cast<unsigned char>(1U << random() % 8);
        }
        const bool only_padding = [&] {
            FileHeader other = header;
            other.unused = original.unused;
            return std::memcmp(&other, &original, sizeof other) == 0;
        }();
        ASSERT_EQ(judged(header).has_value(), !only_padding) << "round " << round;
    }
}

TEST(JudgeHeader, GarbageWithARightChecksumLeadsNowhere) {
    std::mt19937_64 random(3);
    for (int round = 0; round < 50'000; ++round) {
        FileHeader header = good();
        auto* bytes = reinterpret_cast<unsigned char*>(&header);
        // Words in the part that tells of numbers and regions: small, huge and random ones.
        for (unsigned count = 1 + random() % 4; count > 0; --count) {
            const std::uint64_t values[] = {0, 1, ~std::uint64_t{0}, random(), random() % 64 * kRegionAlignment, 1000};
            const std::uint64_t value = values[random() % std::size(values)];
            std::memcpy(bytes + 24 + random() % 50 * 4, &value, random() % 2 != 0 ? 4 : 8);
        }
        header.checksum = header_checksum(header);
        if (judged(header)) continue;
        const Shape shape = shape_of(header);
        std::uint64_t end = kHeaderBytes;
        for (std::uint32_t worker = 0; worker < shape.workers; ++worker) {
            for (const auto& region : header.regions[worker]) {
                ASSERT_GE(region.offset, end);
                ASSERT_LE(region.offset + region.bytes, 10 * kOneMiB);
                end = region.offset + region.bytes;
            }
        }
    }
}

TEST(FlowLayout, TellsSizesAndAnyOtherPlaceOfAField) {
    static_assert(flow_layout().entry_bytes[kV4] == 64 && flow_layout().entry_bytes[kV6] == 128);
    static_assert(digest_of({1, 2}) != digest_of({2, 1}) && digest_of({1}) != digest_of({1, 0}));
    EXPECT_NE(entry_digest<flow::FlowEntryV4>(), entry_digest<flow::FlowEntryV6>());
    EXPECT_EQ(flow_layout(), flow_layout());
}

}  // namespace
}  // namespace guideway::persist
