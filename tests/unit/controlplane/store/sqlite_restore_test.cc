// Restoring: the store has exactly the backup's records, the old one is kept, and no instant leaves neither.
#include "controlplane/store/sqlite_restore.h"

#include <fstream>
#include <vector>

#include "tests/unit/controlplane/store/store_testing.h"

namespace guideway::store {
namespace {

namespace fs = std::filesystem;

const Contents kBackup{{{"node", "kept", "{}", 3}}, 5, 2};

Contents contents_of(const std::string& path) {
    Contents contents;
    const auto store = open_or_fail(path);
    EXPECT_TRUE(store != nullptr && !store->load(contents));
    return contents;
}

void fill(const std::string& path) {
    const auto store = open_or_fail(path);
    ASSERT_FALSE(store->commit({{{"node", "old", "1"}}, 0, 9, 4}));
}

TEST(SqliteRestore, TheStoreHasWhatTheBackupHasAndCountsOn) {
    const Folder folder;
    fill(folder.file());
    ASSERT_FALSE(restore_sqlite(folder.file(), kBackup));
    const Contents now = contents_of(folder.file());
    EXPECT_EQ(now.records, kBackup.records);
    EXPECT_EQ(now.revision, 10U) << "beyond both: no revision is given twice";
    EXPECT_EQ(now.generation, 5U);
    EXPECT_EQ(contents_of(folder.file() + ".before-restore").records, (std::vector<Record>{{"node", "old", "1", 9}}));
    EXPECT_FALSE(fs::exists(folder.file() + ".restoring"));
    EXPECT_FALSE(fs::exists(folder.file() + ".restored"));
}

TEST(SqliteRestore, WorksWhereThereIsNoStoreYet) {
    const Folder folder;
    ASSERT_FALSE(restore_sqlite(folder.file(), kBackup));
    EXPECT_EQ(contents_of(folder.file()).records, kBackup.records);
    EXPECT_EQ(contents_of(folder.file()).revision, 6U);
    EXPECT_FALSE(fs::exists(folder.file() + ".before-restore"));
}

TEST(SqliteRestore, WorksWhereTheStoreIsDamaged) {
    const Folder folder;
    std::ofstream(folder.file()) << std::string(8192, 'x');
    ASSERT_FALSE(restore_sqlite(folder.file(), kBackup));
    EXPECT_EQ(contents_of(folder.file()).records, kBackup.records);
    EXPECT_EQ(fs::file_size(folder.file() + ".before-restore"), 8192U);
}

TEST(SqliteRestore, ARunningControlPlaneIsNotPulledFromUnder) {
    const Folder folder;
    fill(folder.file());
    const auto store = open_or_fail(folder.file());
    const auto error = restore_sqlite(folder.file(), kBackup);
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::in_use);
    Contents contents;
    ASSERT_FALSE(store->load(contents));
    EXPECT_EQ(contents.revision, 9U);
}

TEST(SqliteRestore, WhatCannotBeIsRefusedAndTheOldStoreStays) {
    const Folder folder;
    fill(folder.file());
    const auto error = restore_sqlite(folder.file(), {{{"node", "a", "1", 1}, {"node", "a", "2", 1}}, 5, 2});
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::invalid);
    EXPECT_EQ(contents_of(folder.file()).revision, 9U);
}

/// A crash while the new file was being filled.
TEST(SqliteRestore, AnUnfinishedFileIsNotUsed) {
    const Folder folder;
    fill(folder.file());
    std::ofstream(folder.file() + ".restoring") << "half";
    std::ofstream(folder.file() + ".restoring-wal") << "half";
    EXPECT_EQ(contents_of(folder.file()).revision, 9U);
    ASSERT_FALSE(restore_sqlite(folder.file(), kBackup));
    EXPECT_EQ(contents_of(folder.file()).records, kBackup.records);
}

/// A crash after the new file was whole: at each step of the rest. The old store had a log, which must not be played into the new one.
TEST(SqliteRestore, AWholeFileTakesItsPlaceAtTheNextStart) {
    for (int step = 0; step < 3; ++step) {
        const Folder folder;
        fill(folder.file());
        const Folder other;
        ASSERT_FALSE(restore_sqlite(other.file(), kBackup));
        fs::copy(other.file(), folder.file() + ".restored");
        {
            const auto store = open_or_fail(other.file());
            ASSERT_FALSE(store->commit({{{"node", "of the log", "1"}}, 6, 7, 4}));
            fs::copy(other.file() + "-wal", folder.file() + "-wal");
        }
        if (step >= 1) fs::rename(folder.file() + "-wal", folder.file() + ".before-restore-wal");
        if (step >= 2) fs::rename(folder.file(), folder.file() + ".before-restore");
        EXPECT_EQ(contents_of(folder.file()).records, kBackup.records) << step;
        EXPECT_TRUE(fs::exists(folder.file() + ".before-restore")) << step;
        EXPECT_TRUE(fs::exists(folder.file() + ".before-restore-wal")) << step;
        EXPECT_FALSE(fs::exists(folder.file() + ".restored")) << step;
    }
}

}  // namespace
}  // namespace guideway::store
