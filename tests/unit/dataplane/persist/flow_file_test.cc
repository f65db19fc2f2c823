#include "dataplane/persist/flow_file.h"

#include <algorithm>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <random>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::persist {
namespace {

namespace fs = std::filesystem;
constexpr std::uint64_t kMiB = 1 << 20;

/// Two folders of their own on tmpfs, gone with the test.
class FlowFileTest : public ::testing::Test {
  protected:
    FlowFileTest() {
        static int number = 0;
        base_ = "/dev/shm/guideway-flow-file-test-" + std::to_string(getpid()) + "-" + std::to_string(++number);
        fs::create_directories(base_ + "/a");
        fs::create_directories(base_ + "/b");
        request_.name = "flows";
        request_.places = {place(base_ + "/a")};
        request_.wish = Wish::required;
        request_.need.shape = {1, {256, 128}, {"10.0.2.100"}};
        request_.need.layout = {1, 77, {64, 128}};
        request_.there = {1024 * kMiB};
        request_.boot_id = "this-boot";
        request_.patience_ms = 0;
    }
    ~FlowFileTest() override { fs::remove_all(base_); }

    static Place place(const std::string& folder, std::uint64_t free_bytes = 1024 * kMiB) {
        Place result;
        result.folder = folder;
        result.free_bytes = free_bytes;
        return result;
    }
    std::string path() const { return base_ + "/a/flows"; }

    /// An entry's worth of bytes that tell where they stand.
    static void fill(const FlowFile& file, std::uint32_t workers, std::uint8_t salt) {
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            for (const Family family : {kV4, kV6}) {
                std::size_t at = 0;
                for (auto& byte : file.entries(worker, family)) {
                    byte = static_cast<std::byte>(at++ * 7 + worker * 31 + family * 101 + salt);
                }
            }
        }
    }
    template <typename Bytes>
    static bool filled(const Bytes& bytes, std::uint32_t worker, unsigned family, std::uint8_t salt) {
        std::size_t at = 0;
        return std::ranges::all_of(bytes, [&](std::byte byte) {
            return byte == static_cast<std::byte>(at++ * 7 + worker * 31 + family * 101 + salt);
        });
    }
    static bool zero(std::span<const std::byte> bytes) {
        return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{0}; });
    }

    /// Made, filled, ready, closed.
    void leave_a_file(std::uint8_t salt = 1) {
        auto opened = open_flow_file(request_);
        ASSERT_TRUE(opened.file) << opened.error;
        ASSERT_EQ(opened.origin, Origin::anew);
        for (std::uint32_t w = 0; w < request_.need.shape.workers; ++w)
            ASSERT_EQ(opened.file->populate(w), std::nullopt);
        fill(*opened.file, request_.need.shape.workers, salt);
        ASSERT_EQ(opened.file->ready(), std::nullopt);
    }
    static std::string text_of(const OpenedFile& opened) {
        std::string text = opened.error;
        for (const auto& line : opened.lines) text += (line.loud ? "\nLOUD " : "\n") + line.text;
        return text;
    }
    /// Opens what is there and expects it refused, and a new empty one that works.
    void expect_refused(RefusalKind kind, const std::string& said) {
        auto opened = open_flow_file(request_);
        ASSERT_TRUE(opened.file) << opened.error;
        EXPECT_EQ(opened.origin, Origin::anew);
        ASSERT_EQ(opened.refused.size(), 1U) << text_of(opened);
        EXPECT_EQ(opened.refused.front().kind, kind) << text_of(opened);
        EXPECT_NE(text_of(opened).find("LOUD flow file '" + path() + "' refused: "), std::string::npos)
            << text_of(opened);
        EXPECT_NE(text_of(opened).find(said), std::string::npos) << text_of(opened);
        EXPECT_TRUE(zero(opened.file->entries(0, kV4)));
        EXPECT_EQ(opened.file->ready(), std::nullopt);
        opened.file.reset();
        opened = open_flow_file(request_);
        EXPECT_EQ(opened.origin, Origin::adopted) << text_of(opened);
    }
    /// Runs in a process of its own, which then dies by kill -9 with the file still open.
    static void in_a_killed_process(const std::function<OpenedFile()>& work) {
        const pid_t child = fork();
        if (child == 0) {
            const OpenedFile still_open = work();
            kill(getpid(), SIGKILL);
        }
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    }

    std::string base_;
    OpenRequest request_;
};

TEST_F(FlowFileTest, ANewFileIsEmptyPrivateAndAlignedForHugePages) {
    const auto opened = open_flow_file(request_);
    ASSERT_TRUE(opened.file) << opened.error;
    EXPECT_EQ(opened.origin, Origin::anew);
    EXPECT_TRUE(opened.refused.empty());
    EXPECT_EQ(opened.file->entries(0, kV4).size(), 256U * 64);
    EXPECT_EQ(opened.file->entries(0, kV6).size(), 128U * 128);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(opened.file->entries(0, kV6).data()) % (2 * kMiB), 0U);
    EXPECT_TRUE(zero(opened.file->entries(0, kV4)) && zero(opened.file->entries(0, kV6)));
    EXPECT_EQ(opened.file->ready(), std::nullopt);
    struct stat status {};
    ASSERT_EQ(stat(path().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0600U);
    EXPECT_FALSE(fs::exists(path() + ".new"));
}

TEST_F(FlowFileTest, PopulatedPagesAreThereAtOnce) {
    request_.need.shape.capacity = {65536, 1024};
    const auto opened = open_flow_file(request_);
    ASSERT_TRUE(opened.file) << opened.error;
    ASSERT_EQ(opened.file->populate(0), std::nullopt);
    const auto bytes = opened.file->entries(0, kV4);
    std::vector<unsigned char> resident(bytes.size() / 4096);
    ASSERT_EQ(mincore(bytes.data(), bytes.size(), resident.data()), 0);
    EXPECT_TRUE(std::ranges::all_of(resident, [](unsigned char state) { return (state & 1) != 0; }));
}

TEST_F(FlowFileTest, TheNextProcessFindsEveryByte) {
    leave_a_file();
    const auto opened = open_flow_file(request_);
    ASSERT_TRUE(opened.file) << opened.error;
    EXPECT_EQ(opened.origin, Origin::adopted);
    EXPECT_EQ(opened.file->populate(0), std::nullopt);
    EXPECT_TRUE(filled(opened.file->entries(0, kV4), 0, kV4, 1));
    EXPECT_TRUE(filled(opened.file->entries(0, kV6), 0, kV6, 1));
    EXPECT_FALSE(opened.file->old_shape());
    EXPECT_EQ(opened.file->ready(), std::nullopt);
}

TEST_F(FlowFileTest, WhatWasWrittenBeforeAKillIsThere) {
    leave_a_file(1);
    in_a_killed_process([&] {
        auto opened = open_flow_file(request_);
        if (opened.origin == Origin::adopted) fill(*opened.file, 1, 9);
        return opened;
    });
    const auto opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::adopted) << text_of(opened);
    EXPECT_TRUE(filled(opened.file->entries(0, kV4), 0, kV4, 9));
}

TEST_F(FlowFileTest, AKillBeforeANewFileIsReadyLeavesNothingBehind) {
    in_a_killed_process([&] {
        auto opened = open_flow_file(request_);
        fill(*opened.file, 1, 9);
        return opened;
    });
    EXPECT_TRUE(fs::exists(path() + ".new"));
    const auto opened = open_flow_file(request_);
    ASSERT_TRUE(opened.file) << opened.error;
    EXPECT_EQ(opened.origin, Origin::anew);
    EXPECT_TRUE(zero(opened.file->entries(0, kV4)));
    EXPECT_NE(text_of(opened).find("cut short: removed"), std::string::npos);
}

TEST_F(FlowFileTest, AKillBeforeAnImportIsReadyLeavesTheOldFile) {
    leave_a_file(1);
    OpenRequest other = request_;
    other.need.shape.workers = 2;
    in_a_killed_process([&] {
        auto opened = open_flow_file(other);
        if (opened.origin == Origin::import) fill(*opened.file, 2, 9);
        return opened;
    });
    EXPECT_TRUE(fs::exists(path() + ".new"));
    const auto opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::adopted);
    EXPECT_TRUE(filled(opened.file->entries(0, kV4), 0, kV4, 1));
    EXPECT_FALSE(fs::exists(path() + ".new"));
}

TEST_F(FlowFileTest, AFileThatDoesNotGetReadyIsRemoved) {
    { const auto opened = open_flow_file(request_); }
    EXPECT_TRUE(fs::is_empty(base_ + "/a"));
}

TEST_F(FlowFileTest, ClientsRememberedAreKeptAndImportedLikeConnections) {
    request_.need.layout.entry_bytes[kAffinity] = 64;
    request_.need.shape.capacity[kAffinity] = 65;
    {
        const auto opened = open_flow_file(request_);
        ASSERT_TRUE(opened.file) << opened.error;
        ASSERT_EQ(opened.file->populate(0), std::nullopt);
        ASSERT_EQ(opened.file->entries(0, kAffinity).size(), 65U * 64);
        EXPECT_TRUE(zero(opened.file->entries(0, kAffinity)));
        std::ranges::fill(opened.file->entries(0, kAffinity), std::byte{5});
        ASSERT_EQ(opened.file->ready(), std::nullopt);
    }
    const auto fives = [](std::span<const std::byte> bytes) {
        return std::ranges::all_of(bytes, [](std::byte byte) { return byte == std::byte{5}; });
    };
    {
        const auto opened = open_flow_file(request_);
        ASSERT_EQ(opened.origin, Origin::adopted) << text_of(opened);
        EXPECT_TRUE(fives(opened.file->entries(0, kAffinity)));
        EXPECT_TRUE(zero(opened.file->entries(0, kV6)));
    }
    request_.need.shape.capacity[kAffinity] = 129;
    const auto opened = open_flow_file(request_);
    ASSERT_EQ(opened.origin, Origin::import) << text_of(opened);
    EXPECT_NE(text_of(opened).find("flows.affinity_clients (rounded up): 128, were 64"), std::string::npos)
        << text_of(opened);
    EXPECT_EQ(opened.file->old_entries(0, kAffinity).size(), 65U * 64);
    EXPECT_TRUE(fives(opened.file->old_entries(0, kAffinity)));
    EXPECT_TRUE(zero(opened.file->entries(0, kAffinity)));
}

TEST_F(FlowFileTest, AnotherShapeIsImportedAndThenTakesTheOldOnesPlace) {
    request_.need.shape = {2, {256, 128}, {"10.0.2.100", "10.0.2.101"}};
    leave_a_file(3);
    request_.need.shape = {3, {512, 128}, {"10.0.2.101"}};
    auto opened = open_flow_file(request_);
    ASSERT_TRUE(opened.file) << opened.error;
    ASSERT_EQ(opened.origin, Origin::import) << text_of(opened);
    EXPECT_NE(text_of(opened).find(
                  "(workers: 3, were 2; flows.ipv4: 512, were 256; snat_addresses no longer there: 10.0.2.100)"),
              std::string::npos)
        << text_of(opened);
    ASSERT_TRUE(opened.file->old_shape());
    EXPECT_EQ(opened.file->old_shape()->workers, 2U);
    for (std::uint32_t worker = 0; worker < 2; ++worker) {
        EXPECT_TRUE(filled(opened.file->old_entries(worker, kV4), worker, kV4, 3));
        EXPECT_TRUE(filled(opened.file->old_entries(worker, kV6), worker, kV6, 3));
    }
    for (std::uint32_t worker = 0; worker < 3; ++worker) EXPECT_TRUE(zero(opened.file->entries(worker, kV4)));
    fill(*opened.file, 3, 4);
    EXPECT_EQ(opened.file->ready(), std::nullopt);
    EXPECT_FALSE(opened.file->old_shape());
    opened.file.reset();
    opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::adopted) << text_of(opened);
    EXPECT_TRUE(filled(opened.file->entries(2, kV4), 2, kV4, 4));
}

TEST_F(FlowFileTest, AnImportMayMoveToAnotherFolder) {
    leave_a_file(3);
    request_.places = {place(base_ + "/b"), place(base_ + "/a")};
    request_.places[1].only_found = true;
    auto opened = open_flow_file(request_);
    ASSERT_EQ(opened.origin, Origin::import) << text_of(opened);
    EXPECT_TRUE(filled(opened.file->old_entries(0, kV4), 0, kV4, 3));
    EXPECT_EQ(opened.file->ready(), std::nullopt);
    EXPECT_FALSE(fs::exists(path()));
    EXPECT_TRUE(fs::exists(base_ + "/b/flows"));
}

TEST_F(FlowFileTest, AFileInALaterPlaceIsFoundAndStays) {
    leave_a_file(3);
    request_.places = {place(base_ + "/b"), place(base_ + "/a")};
    const auto opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::adopted) << text_of(opened);
    EXPECT_EQ(opened.file->path(), path());
}

TEST_F(FlowFileTest, OfTwoFilesTheYoungerIsRight) {
    leave_a_file(3);
    request_.places = {place(base_ + "/b")};
    leave_a_file(5);
    request_.places = {place(base_ + "/a"), place(base_ + "/b")};
    const auto opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::adopted) << text_of(opened);
    EXPECT_TRUE(filled(opened.file->entries(0, kV4), 0, kV4, 5));
    EXPECT_FALSE(fs::exists(path()));
}

TEST_F(FlowFileTest, NoneMeansMemoryAloneThatTakesTheOldConnectionsOnce) {
    leave_a_file(3);
    request_.places.front().only_found = true;
    request_.wish = Wish::none;
    auto opened = open_flow_file(request_);
    ASSERT_EQ(opened.origin, Origin::import) << text_of(opened);
    EXPECT_EQ(opened.file->path(), "");
    EXPECT_EQ(opened.file->populate(0), std::nullopt);
    EXPECT_TRUE(filled(opened.file->old_entries(0, kV4), 0, kV4, 3));
    EXPECT_EQ(opened.file->ready(), std::nullopt);
    EXPECT_FALSE(fs::exists(path()));
    opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::memory);
    EXPECT_TRUE(zero(opened.file->entries(0, kV6)));
}

TEST_F(FlowFileTest, AnotherLayoutIsRefused) {
    leave_a_file();
    request_.need.layout.digest = 78;
    expect_refused(RefusalKind::layout,
                   "another layout: found version 1, entries of 64 and 128 bytes, digest 4d, wanted");
}

TEST_F(FlowFileTest, AnotherBootIsRefused) {
    leave_a_file();
    request_.boot_id = "next-boot";
    expect_refused(RefusalKind::boot, "another boot");
}

TEST_F(FlowFileTest, ATruncatedFileIsRefused) {
    leave_a_file();
    const auto length = fs::file_size(path());
    fs::resize_file(path(), length - 1);
    expect_refused(RefusalKind::damaged,
                   std::to_string(length - 1) + " bytes long, " + std::to_string(length) + " expected");
    fs::resize_file(path(), 0);
    expect_refused(RefusalKind::damaged, "0 bytes long");
}

TEST_F(FlowFileTest, AFileOthersMayWriteIsRefused) {
    leave_a_file();
    fs::permissions(path(), fs::perms{0666});
    expect_refused(RefusalKind::damaged, "may have written it");
}

TEST_F(FlowFileTest, ALinkAPipeAndASocketAreRefusedWithoutWaiting) {
    fs::create_symlink("/etc/passwd", path());
    expect_refused(RefusalKind::unreadable, "unreadable");
    fs::remove(path());
    ASSERT_EQ(mkfifo(path().c_str(), 0600), 0);
    expect_refused(RefusalKind::damaged, "not a regular file");
    fs::remove(path());
    const int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::snprintf(address.sun_path, sizeof address.sun_path, "%s", path().c_str());
    ASSERT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    expect_refused(RefusalKind::unreadable, "unreadable");
    close(fd);
}

TEST_F(FlowFileTest, WhatCannotBeRemovedIsPassedOver) {
    fs::create_directories(path() + "/inside");
    EXPECT_FALSE(open_flow_file(request_).file);
    request_.wish = Wish::wanted;
    request_.places.push_back(place(base_ + "/b"));
    auto opened = open_flow_file(request_);
    ASSERT_TRUE(opened.file) << opened.error;
    EXPECT_EQ(opened.file->path(), base_ + "/b/flows");
    EXPECT_NE(text_of(opened).find("cannot be removed"), std::string::npos);
}

TEST_F(FlowFileTest, ASecondDataplaneIsToldWhoHasTheFile) {
    auto opened = open_flow_file(request_);
    ASSERT_TRUE(opened.file);
    const auto expect_in_use = [&] {
        const auto second = open_flow_file(request_);
        EXPECT_FALSE(second.file);
        EXPECT_NE(second.error.find("is in use by process " + std::to_string(getpid())), std::string::npos)
            << second.error;
    };
    expect_in_use();  // while it is being made
    ASSERT_EQ(opened.file->ready(), std::nullopt);
    expect_in_use();
    fill(*opened.file, 1, 1);
    opened.file.reset();
    opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::adopted);
    expect_in_use();
    EXPECT_TRUE(filled(opened.file->entries(0, kV4), 0, kV4, 1));
}

TEST_F(FlowFileTest, AFileThatIsGivenBackMeanwhileIsWaitedFor) {
    leave_a_file();
    const int fd = open(path().c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_EQ(flock(fd, LOCK_EX), 0);
    const pid_t dying = fork();  // has the lock with us, and it is free only when both are gone
    if (dying == 0) {
        usleep(50'000);
        _exit(0);
    }
    close(fd);
    request_.patience_ms = 60'000;
    const auto opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::adopted) << text_of(opened);
    EXPECT_EQ(waitpid(dying, nullptr, 0), dying);
}

TEST_F(FlowFileTest, ARequestIsReadFromTheMachine) {
    std::string error;
    auto request = request_for(base_ + "/a", base_ + "/dataplane.sock", false, request_.need, error);
    ASSERT_EQ(error, "");
    EXPECT_EQ(request.wish, Wish::required);
    auto opened = open_flow_file(request);
    ASSERT_TRUE(opened.file) << opened.error;
    EXPECT_TRUE(opened.file->path().starts_with(base_ + "/a/guideway-flows-dataplane-")) << opened.file->path();
    request_for("/proc", base_ + "/dataplane.sock", false, request_.need, error);
    EXPECT_NE(error, "");
}

TEST_F(FlowFileTest, WithoutABootIdNothingIsBelieved) {
    leave_a_file();
    request_.boot_id = "";
    const auto opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::anew);
    EXPECT_NE(text_of(opened).find("another boot: /proc does not say"), std::string::npos);
}

TEST_F(FlowFileTest, WhereNoFileCanBeMadeAWishGoesOnInMemoryAndSaysSo) {
    request_.places = {place(base_ + "/a", 1 * kMiB)};
    const auto refused = open_flow_file(request_);
    EXPECT_FALSE(refused.file);
    EXPECT_NE(refused.error.find("/a (tmpfs, ordinary pages) has 1 MiB free, the file takes 6 MiB"), std::string::npos)
        << refused.error;
    request_.wish = Wish::wanted;
    const auto opened = open_flow_file(request_);
    ASSERT_TRUE(opened.file) << opened.error;
    EXPECT_EQ(opened.origin, Origin::memory);
    EXPECT_NE(text_of(opened).find("LOUD no flow file can be made, so connections will not survive"),
              std::string::npos);
    EXPECT_EQ(opened.file->populate(0), std::nullopt);
}

TEST_F(FlowFileTest, TooLittleMemoryIsAnErrorThatSaysWhatToChange) {
    request_.there = {65 * kMiB};
    for (const Wish wish : {Wish::none, Wish::wanted, Wish::required}) {
        request_.wish = wish;
        const auto opened = open_flow_file(request_);
        EXPECT_FALSE(opened.file);
        EXPECT_NE(opened.error.find("lower dataplane.flows.ipv4 or ipv6"), std::string::npos) << text_of(opened);
    }
}

TEST_F(FlowFileTest, WithoutRoomForOldAndNewTheOldOneGoesAndThatIsSaid) {
    request_.need.shape.capacity = {65536, 1024};
    leave_a_file();
    request_.need.shape.capacity = {32768, 1024};
    request_.places = {place(base_ + "/a", 4 * kMiB)};
    expect_refused(RefusalKind::no_room,
                   "no room: the configuration differs (flows.ipv4: 32768, were 65536) and there is no memory");
}

TEST_F(FlowFileTest, AShapeOutOfRangeIsAnError) {
    request_.need.shape.workers = 0;
    const auto opened = open_flow_file(request_);
    EXPECT_FALSE(opened.file);
    EXPECT_NE(opened.error, "");
}

TEST_F(FlowFileTest, HugePagesServeAsWellWhereTheMachineHasThem) {
    std::optional<Place> huge;
    for (const auto& each : find_places("auto", base_ + "/x.sock", true).list) {
        if (each.huge && each.page_bytes == 2 * kMiB && each.free_bytes >= 16 * kMiB && !huge) huge = each;
    }
    if (!huge) GTEST_SKIP() << "no hugetlbfs mount with 8 free pages of 2 MiB";
    request_.name = "guideway-test-" + std::to_string(getpid());
    request_.places = {*huge};
    leave_a_file(3);
    {
        const auto opened = open_flow_file(request_);
        EXPECT_EQ(opened.origin, Origin::adopted) << text_of(opened);
        EXPECT_EQ(opened.file->populate(0), std::nullopt);
        EXPECT_TRUE(filled(opened.file->entries(0, kV4), 0, kV4, 3));
        EXPECT_NE(open_flow_file(request_).error.find("in use"), std::string::npos);
    }
    request_.need.shape.workers = 2;
    auto opened = open_flow_file(request_);
    EXPECT_EQ(opened.origin, Origin::import) << text_of(opened);
    EXPECT_TRUE(filled(opened.file->old_entries(0, kV6), 0, kV6, 3));
    EXPECT_EQ(opened.file->ready(), std::nullopt);
    const std::string path = opened.file->path();
    opened.file.reset();
    // Every page is held by the file now or is taken by somebody else: the kernel's refusal is an error, not a signal.
    request_.name += "-too-large";
    request_.places.front().free_bytes = std::uint64_t{1} << 50;
    request_.there.available_bytes = std::uint64_t{1} << 50;
    request_.need.shape.capacity = {kMostEntries, kMostEntries};
    opened = open_flow_file(request_);
    EXPECT_FALSE(opened.file);
    EXPECT_NE(opened.error, "");
    fs::remove(path);
}

// Whatever is done to the file: adopted with every byte as it was, or refused by name and replaced by an empty one.
TEST_F(FlowFileTest, ThousandsOfDamagedFilesAreAdoptedWholeOrRefusedByName) {
    leave_a_file(1);
    const auto length = fs::file_size(path());
    FileHeader header_kept;
    std::vector<std::byte> v4, v6;
    {
        std::ifstream file(path(), std::ios::binary);
        file.read(reinterpret_cast<char*>(&header_kept), sizeof header_kept);
        const auto opened = open_flow_file(request_);
        v4.assign(opened.file->entries(0, kV4).begin(), opened.file->entries(0, kV4).end());
        v6.assign(opened.file->entries(0, kV6).begin(), opened.file->entries(0, kV6).end());
    }
    const auto put = [](int fd, const void* bytes, std::size_t count, std::uint64_t at) {
        ASSERT_EQ(pwrite(fd, bytes, count, static_cast<off_t>(at)), static_cast<ssize_t>(count));
    };
    std::mt19937_64 random(4);
    int adopted = 0;
    int refused = 0;
    for (int round = 0; round < 4000; ++round) {
        fs::remove(path());
        const int fd = open(path().c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
        ASSERT_GE(fd, 0);
        ASSERT_EQ(ftruncate(fd, static_cast<off_t>(length)), 0);
        put(fd, &header_kept, sizeof header_kept, 0);
        put(fd, v4.data(), v4.size(), header_kept.regions[0][kV4].offset);
        put(fd, v6.data(), v6.size(), header_kept.regions[0][kV6].offset);
        const unsigned kind = round % 5;
        if (kind == 0) {  // nothing, or the one field that is not looked at
            const auto value = static_cast<std::uint32_t>(random());
            put(fd, &value, round % 2 != 0 ? sizeof value : 0, offsetof(FileHeader, unused));
        } else if (kind == 1) {
            ASSERT_EQ(ftruncate(fd, static_cast<off_t>(random() % (2 * length))), 0);
        } else {
            FileHeader header = header_kept;
            const std::uint64_t range = kind == 2 ? 200 : kHeaderBytes;
            for (unsigned count = 1 + random() % 16; count > 0; --count) {
                reinterpret_cast<unsigned char*>(&header)[random() % range] = static_cast<unsigned char>(random());
            }
            if (kind == 4) header.checksum = header_checksum(header);
            put(fd, &header, sizeof header, 0);
        }
        close(fd);
        const auto opened = open_flow_file(request_);
        ASSERT_TRUE(opened.file) << "round " << round << ": " << opened.error;
        if (opened.origin == Origin::adopted) {
            ++adopted;
            ASSERT_TRUE(filled(opened.file->entries(0, kV4), 0, kV4, 1) &&
                        filled(opened.file->entries(0, kV6), 0, kV6, 1));
        } else if (opened.origin == Origin::import) {  // an altered list of addresses is a list of addresses
            ASSERT_EQ(kind, 4U);
            ASSERT_TRUE(filled(opened.file->old_entries(0, kV4), 0, kV4, 1));
        } else {
            ++refused;
            ASSERT_EQ(opened.refused.size(), 1U);
            ASSERT_TRUE(zero(opened.file->entries(0, kV4)));
        }
    }
    EXPECT_GE(adopted, 800);
    EXPECT_GE(refused, 2000);
}

}  // namespace
}  // namespace guideway::persist
