#include "controlplane/announce/maintenance.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

struct Folder {
    std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("guideway-maintenance-" + std::to_string(::getpid()));
    Folder() { std::filesystem::create_directory(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    ~Folder() { std::filesystem::remove_all(path); }
};

struct Recorder final : Announcer {
    explicit Recorder(std::vector<Route>& told) : told_(told) {}
    std::variant<std::vector<Route>, std::string> present() override { return told_; }
    std::string apply(const std::vector<Route>& wanted) override {
        told_ = wanted;
        return {};
    }
    std::vector<Route>& told_;
};

TEST(Maintenance, WhileItLastsNothingIsToldAndAfterItEverythingAgain) {
    const Folder folder;
    const MaintenanceFile file = MaintenanceFile::beside(folder.path / "guideway.db");
    EXPECT_EQ(file.path(), folder.path / "maintenance");
    std::vector<Route> told;
    Held held(std::make_unique<Recorder>(told), file);
    const std::vector<Route> wanted{{*IpPrefix::parse("203.0.113.10/32"), 0}};
    EXPECT_EQ(held.apply(wanted), "");
    EXPECT_EQ(told, wanted);
    EXPECT_EQ(file.begin(), "");
    EXPECT_EQ(file.begin(), "") << "twice is once";
    EXPECT_TRUE(MaintenanceFile::beside(folder.path / "guideway.db").on()) << "another process sees it";
    EXPECT_EQ(held.apply(wanted), "");
    EXPECT_TRUE(told.empty());
    EXPECT_EQ(file.end(), "");
    EXPECT_EQ(file.end(), "");
    EXPECT_EQ(held.apply(wanted), "");
    EXPECT_EQ(told, wanted);
}

TEST(Maintenance, AWithdrawalIsHandedOnAsItIs) {
    const Folder folder;
    const MaintenanceFile file = MaintenanceFile::beside(folder.path / "guideway.db");
    std::vector<Route> told{{*IpPrefix::parse("203.0.113.10/32"), 0}};
    Held held(std::make_unique<Recorder>(told), file);
    EXPECT_EQ(held.apply({}), "");
    EXPECT_TRUE(told.empty());
}

TEST(Maintenance, SinceWhenAndWhyStandInTheFile) {
    const Folder folder;
    const MaintenanceFile file = MaintenanceFile::beside(folder.path / "guideway.db");
    EXPECT_FALSE(file.note());
    EXPECT_EQ(file.begin("new NIC = more ports"), "");
    const auto first = file.note();
    ASSERT_TRUE(first);
    EXPECT_EQ(first->reason, "new NIC = more ports");
    const auto age = std::chrono::system_clock::now() - first->since;
    EXPECT_TRUE(age >= std::chrono::seconds(0) && age < std::chrono::hours(1));
    EXPECT_EQ(file.begin(), "");
    EXPECT_EQ(file.note(), first) << "who gives no reason leaves the one there is";
    EXPECT_EQ(file.begin("another"), "");
    EXPECT_EQ(file.note()->reason, "another");
    EXPECT_EQ(file.note()->since, first->since);
    EXPECT_EQ(file.end(), "");
    EXPECT_FALSE(file.note());
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(folder.path), {}), 0) << "nothing is left behind";
}

TEST(Maintenance, AnyFileOfThatNameIsMaintenance) {
    const Folder folder;
    const MaintenanceFile file = MaintenanceFile::beside(folder.path / "guideway.db");
    for (const char* text : {"", "\n\n", "since=yesterday\nreason", "\xff\xfe", "reason=by touch"}) {
        std::ofstream(file.path()) << text;
        ASSERT_TRUE(file.note()) << text;
        EXPECT_GT(file.note()->since.time_since_epoch().count(), 0) << "when it was made";
    }
    EXPECT_EQ(file.note()->reason, "by touch");
}

TEST(Maintenance, ConnectionsThatAreClosedAlreadyAreNotWaitedFor) {
    contract::Counters counters;
    contract::WorkerCounters worker;
    worker.flows_ipv4 = 5;
    worker.flows_ipv6 = 2;
    worker.flows_closed = 3;
    counters.workers = {worker, worker};
    EXPECT_EQ(open_connections(counters), 8U);
    counters.workers[0].flows_closed = 100;  // counted at another instant
    EXPECT_EQ(open_connections(counters), 4U);
}

TEST(Maintenance, AFolderThatIsNotThereIsToldByName) {
    const MaintenanceFile file("/nowhere/at/all/maintenance");
    EXPECT_NE(file.begin().find("/nowhere/at/all/maintenance cannot be made: No such file"), std::string::npos)
        << file.begin();
}

}  // namespace
}  // namespace guideway::announce
