#include "dataplane/persist/place.h"

#include <filesystem>
#include <unistd.h>

#include <gtest/gtest.h>

namespace guideway::persist {
namespace {

constexpr std::uint64_t kMebi = 1 << 20;

Need need_of(std::uint32_t workers, std::uint32_t ipv4) {
    Need need;
    need.shape = {workers, {ipv4, 1024}, {}};
    need.layout = {1, 2, {64, 128}};
    need.index_bytes = {std::uint64_t{ipv4} * 16, 16384};
    need.counter_bytes = kMebi;
    return need;
}

Place huge(std::uint64_t free_pages, std::uint64_t page = 2 * kMebi) {
    Place place;
    place.folder = page > kMebi * 512 ? "/huge1G" : "/huge2M";
    place.huge = true;
    place.page_bytes = page;
    place.free_bytes = free_pages * page;
    return place;
}

Place tmpfs(const char* folder, std::uint64_t free_bytes) {
    Place place;
    place.folder = folder;
    place.free_bytes = free_bytes;
    return place;
}

// 2 workers x 1 Mi connections: regions of 64 MiB (IPv4) and 128 KiB (IPv6) begin at 2, 66, 68 and 132 MiB: 134 MiB in all.
const Need kNeed = need_of(2, 1 << 20);

TEST(ChoosePlace, TakesHugePagesWhereEnoughAreFree) {
    const auto choice = choose_place(kNeed, {huge(67), tmpfs("/run/guideway", 4096 * kMebi)}, {16384 * kMebi});
    ASSERT_TRUE(choice.place);
    EXPECT_EQ(choice.place->folder, "/huge2M");
}

TEST(ChoosePlace, OnePageTooFewAndTheNextPlaceIsTaken) {
    const auto choice = choose_place(kNeed, {huge(66), tmpfs("/run/guideway", 4096 * kMebi)}, {16384 * kMebi});
    ASSERT_TRUE(choice.place);
    EXPECT_EQ(choice.place->folder, "/run/guideway");
    EXPECT_NE(choice.why_not.find("1 more pages would do (sysctl vm.nr_hugepages)"), std::string::npos)
        << choice.why_not;
}

TEST(ChoosePlace, LeavesPacketsTheirHugePages) {
    Need need = kNeed;
    need.other_huge_bytes = 256 * kMebi;
    EXPECT_FALSE(choose_place(need, {huge(67)}, {16384 * kMebi}).place);
    EXPECT_TRUE(choose_place(need, {huge(67 + 128)}, {16384 * kMebi}).place);
}

TEST(ChoosePlace, GiantPagesAreTakenWhole) {
    EXPECT_FALSE(choose_place(kNeed, {huge(0, 1024 * kMebi)}, {16384 * kMebi}).place);
    EXPECT_TRUE(choose_place(kNeed, {huge(1, 1024 * kMebi)}, {16384 * kMebi}).place);
}

TEST(ChoosePlace, ASmallTmpfsIsPassedOver) {
    const auto choice =
        choose_place(kNeed, {tmpfs("/run/guideway", 100 * kMebi), tmpfs("/dev/shm", 4096 * kMebi)}, {16384 * kMebi});
    ASSERT_TRUE(choice.place);
    EXPECT_EQ(choice.place->folder, "/dev/shm");
}

TEST(ChoosePlace, WhatAnEarlierSettingUsedIsForFindingOnly) {
    Place place = tmpfs("/dev/shm", 4096 * kMebi);
    place.only_found = true;
    EXPECT_FALSE(choose_place(kNeed, {place}, {16384 * kMebi}).place);
}

TEST(Shortage, NamesWhatIsNeededForWhatWhatThereIsAndWhatToChange) {
    const Place place = tmpfs("/run/guideway", 4096 * kMebi);
    const auto text = shortage(kNeed, 134 * kMebi, &place, {200 * kMebi});
    ASSERT_TRUE(text);
    EXPECT_EQ(
        *text,
        "connections need entries 129 MiB (flows.ipv4 = 1048576 x 2 workers x 64 B, flows.ipv6 = 1024 x 2 workers x "
        "128 B), "
        "index 33 MiB, counters 2 MiB; that is 169 MiB of ordinary memory, 200 MiB are available of which 64 MiB are "
        "left "
        "to the rest of the machine: lower dataplane.flows.ipv4 or ipv6, or workers, or give the machine more memory");
}

TEST(Shortage, AFileThatIsThereAlreadyNeedsOnlyWhatIsAroundIt) {
    const Place place = tmpfs("/run/guideway", 0);
    EXPECT_FALSE(shortage(kNeed, 0, &place, {100 * kMebi}));
    EXPECT_TRUE(shortage(kNeed, 0, &place, {98 * kMebi}));
}

TEST(Shortage, HugePagesAreNoOrdinaryMemory) {
    const Place place = huge(67);
    EXPECT_FALSE(shortage(kNeed, 134 * kMebi, &place, {100 * kMebi}));
}

TEST(FindPlaces, AutomaticallySharedMemoryIsAlwaysACandidate) {
    const auto places = find_places("auto", "/nowhere-guideway.sock", false);
    EXPECT_EQ(places.error, "");
    bool found = false;
    for (const auto& place : places.list) {
        found = found || (place.folder == "/dev/shm" && !place.only_found);
        EXPECT_TRUE(!place.huge || place.only_found) << place.folder;  // memory.huge_pages = "never"
    }
    EXPECT_TRUE(found);
}

TEST(FindPlaces, WithNoneEveryPlaceIsForFindingOnly) {
    for (const auto& place : find_places("none", "/nowhere-guideway.sock", true).list) EXPECT_TRUE(place.only_found);
}

TEST(FindPlaces, AFolderIsMadeAndComesFirst) {
    const std::string folder = "/dev/shm/guideway-place-test-" + std::to_string(getpid());
    const auto places = find_places(folder, "/nowhere-guideway.sock", true);
    EXPECT_EQ(places.error, "");
    ASSERT_FALSE(places.list.empty());
    EXPECT_EQ(places.list.front().folder, folder);
    EXPECT_FALSE(places.list.front().only_found);
    EXPECT_GT(places.list.front().free_bytes, 0U);
    std::filesystem::remove(folder);
}

TEST(FindPlaces, AFolderThatIsNeitherIsRefusedWithTheReason) {
    EXPECT_NE(find_places("/proc", "/nowhere-guideway.sock", true).error.find("neither hugetlbfs nor tmpfs"),
              std::string::npos);
    EXPECT_NE(find_places("/proc/version/x", "/nowhere-guideway.sock", true).error.find("cannot be made a folder"),
              std::string::npos);
}

TEST(FileName, IsTheControlSocketsOwn) {
    EXPECT_EQ(file_name_for("/run/guideway/dataplane.sock"), file_name_for("/run/guideway/dataplane.sock"));
    EXPECT_NE(file_name_for("/run/a/dataplane.sock"), file_name_for("/run/b/dataplane.sock"));
    EXPECT_TRUE(file_name_for("/run/a/dataplane.sock").starts_with("guideway-flows-dataplane-"));
    EXPECT_EQ(file_name_for("/run/a/a b\n.sock").find_first_of(" \n/"), std::string::npos);
}

TEST(Machine, IsRead) {
    EXPECT_GT(read_memory_there().available_bytes, kMebi);
    EXPECT_EQ(read_boot_id().size(), 36U);
}

TEST(Mebibytes, AreRoundedUp) {
    EXPECT_EQ(mebibytes(0), "1 MiB");
    EXPECT_EQ(mebibytes(kMebi), "1 MiB");
    EXPECT_EQ(mebibytes(kMebi + 1), "2 MiB");
}

}  // namespace
}  // namespace guideway::persist
