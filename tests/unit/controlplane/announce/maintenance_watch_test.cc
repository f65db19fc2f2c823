#include "controlplane/announce/maintenance_watch.h"

#include <filesystem>
#include <fstream>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

using namespace std::chrono_literals;

struct MaintenanceWatchTest : testing::Test {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("guideway-maintained-" + std::to_string(::getpid()));
    std::mutex mutex;
    std::condition_variable told;
    std::vector<MaintenanceWatch::State> changes;

    MaintenanceWatchTest() { std::filesystem::create_directory(folder); }
    ~MaintenanceWatchTest() override { std::filesystem::remove_all(folder); }

    MaintenanceFile file() const { return MaintenanceFile((folder / "maintenance").string()); }
    std::unique_ptr<MaintenanceWatch> make(std::chrono::milliseconds every = 1h) {
        return std::make_unique<MaintenanceWatch>(
            file(),
            [this](const MaintenanceWatch::State& state) {
                const std::lock_guard lock(mutex);
                changes.push_back(state);
                told.notify_all();
            },
            every);
    }
    /// All of them, once there are so many.
    std::vector<MaintenanceWatch::State> wait_for_changes(std::size_t count) {
        std::unique_lock lock(mutex);
        EXPECT_TRUE(told.wait_for(lock, 30s, [&] { return changes.size() >= count; }));
        return changes;
    }
};

TEST_F(MaintenanceWatchTest, WhatIsSetIsInTheFileAndActedOnAtOnce) {
    const auto watch = make();
    EXPECT_EQ(watch->set(true, "new NIC"), "");
    ASSERT_EQ(changes.size(), 1U);
    EXPECT_EQ(changes[0]->reason, "new NIC");
    EXPECT_EQ(watch->state(), changes[0]);
    EXPECT_EQ(file().note(), changes[0]);
    EXPECT_EQ(watch->set(true, "new NIC"), "");
    EXPECT_EQ(changes.size(), 1U) << "the same again is nothing new";
    EXPECT_EQ(watch->set(true, "new switch"), "");
    ASSERT_EQ(changes.size(), 2U);
    EXPECT_EQ(changes[1]->since, changes[0]->since) << "it goes on";
    EXPECT_EQ(watch->set(false, ""), "");
    ASSERT_EQ(changes.size(), 3U);
    EXPECT_FALSE(changes[2]);
    EXPECT_FALSE(file().on());
}

TEST_F(MaintenanceWatchTest, WhatOthersDoToTheFileIsSeen) {
    const auto watch = make(1ms);
    watch->start();
    EXPECT_EQ(file().begin("by hand"), "");
    const auto begun = wait_for_changes(1);
    ASSERT_EQ(begun.size(), 1U);
    EXPECT_EQ(begun[0]->reason, "by hand");
    EXPECT_EQ(file().end(), "");
    const auto ended = wait_for_changes(2);
    ASSERT_EQ(ended.size(), 2U);
    EXPECT_FALSE(ended[1]);
}

TEST_F(MaintenanceWatchTest, WhatLastsFromBeforeIsKnownAfterTheFirstLook) {
    EXPECT_EQ(file().begin(), "");
    const auto watch = make();
    EXPECT_FALSE(watch->state());
    watch->look();
    EXPECT_TRUE(watch->state());
    EXPECT_EQ(changes.size(), 1U);
}

TEST_F(MaintenanceWatchTest, WhatCannotBeWrittenIsToldAndChangesNothing) {
    std::filesystem::remove_all(folder);
    const auto watch = make();
    EXPECT_NE(watch->set(true, "new NIC").find("maintenance cannot be made: No such file"), std::string::npos);
    EXPECT_FALSE(watch->state());
    EXPECT_TRUE(changes.empty());
}

}  // namespace
}  // namespace guideway::announce
