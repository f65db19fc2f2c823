#include "dataplane/control/state_file.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace guideway::control {
namespace {

class StateFileTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "guideway-state-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    std::filesystem::path folder_;
};

TEST_F(StateFileTest, NothingThereIsNoError) {
    const auto loaded = StateFile(folder_ / "state.json").load();
    EXPECT_FALSE(loaded.text);
    EXPECT_FALSE(loaded.error);
}

TEST_F(StateFileTest, GivesBackWhatWasStoredAndMakesItsFolder) {
    const StateFile file(folder_ / "a" / "b" / "state.json");
    EXPECT_EQ(file.store("first"), std::nullopt);
    EXPECT_EQ(file.store(std::string(3 << 20, 'x')), std::nullopt);
    EXPECT_EQ(file.load().text, std::string(3 << 20, 'x'));
}

TEST_F(StateFileTest, LeavesNoTemporaryFileBehind) {
    const StateFile file(folder_ / "state.json");
    ASSERT_EQ(file.store("x"), std::nullopt);
    int entries = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
        EXPECT_EQ(entry.path().filename(), "state.json");
        ++entries;
    }
    EXPECT_EQ(entries, 1);
}

TEST_F(StateFileTest, AFailedWriteLeavesTheOldStateAndSaysWhy) {
    const StateFile file(folder_ / "state.json");
    ASSERT_EQ(file.store("good"), std::nullopt);
    // A folder in the temporary file's place makes the write fail, for root too.
    std::filesystem::create_directory(folder_ / "state.json.new");
    const auto error = file.store("bad");
    ASSERT_TRUE(error);
    EXPECT_NE(error->find("state.json.new"), std::string::npos) << *error;
    EXPECT_EQ(file.load().text, "good");
}

TEST_F(StateFileTest, RefusesWhatIsNoRegularFile) {
    const auto loaded = StateFile(folder_).load();
    EXPECT_FALSE(loaded.text);
    ASSERT_TRUE(loaded.error);
    EXPECT_NE(loaded.error->find("regular file"), std::string::npos) << *loaded.error;
}

TEST_F(StateFileTest, RefusesAFileTooLargeToBeOurs) {
    const auto path = folder_ / "state.json";
    std::ofstream(path).put('x');
    std::filesystem::resize_file(path, StateFile::kLargest + 1);  // sparse
    const auto loaded = StateFile(path).load();
    EXPECT_FALSE(loaded.text);
    EXPECT_TRUE(loaded.error);
}

TEST_F(StateFileTest, SetsADamagedFileAside) {
    const StateFile file(folder_ / "state.json");
    ASSERT_EQ(file.store("garbage"), std::nullopt);
    const auto aside = file.set_aside();
    ASSERT_TRUE(aside);
    EXPECT_TRUE(std::filesystem::exists(*aside));
    EXPECT_FALSE(file.load().text);
}

}  // namespace
}  // namespace guideway::control
