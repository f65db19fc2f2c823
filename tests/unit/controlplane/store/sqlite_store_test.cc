#include "controlplane/store/sqlite_store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/unit/controlplane/store/store_contract.h"

namespace guideway::store {
namespace {

namespace fs = std::filesystem;

struct Folder {
    Folder() {
        std::string name = (fs::temp_directory_path() / "guideway-store-XXXXXX").string();
        path = mkdtemp(name.data());
    }
    ~Folder() { fs::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;
    std::string file() const { return (path / "store.db").string(); }
    fs::path path;
};

std::unique_ptr<SqliteStore> open_or_fail(const std::string& path, SqliteOptions options = {}) {
    auto opened = SqliteStore::open(path, options);
    if (auto* error = std::get_if<Error>(&opened)) {
        ADD_FAILURE() << error->message;
        return nullptr;
    }
    return std::move(std::get<std::unique_ptr<SqliteStore>>(opened));
}

Error refusal_of(const std::string& path) {
    auto opened = SqliteStore::open(path);
    if (auto* error = std::get_if<Error>(&opened)) return *error;
    ADD_FAILURE() << path << " was opened";
    return {};
}

/// What another process does to the file.
struct Stranger {
    explicit Stranger(const std::string& path) { sqlite3_open(path.c_str(), &database); }
    ~Stranger() { sqlite3_close(database); }
    Stranger(const Stranger&) = delete;
    Stranger& operator=(const Stranger&) = delete;
    void run(const char* sql) const {
        ASSERT_EQ(sqlite3_exec(database, sql, nullptr, nullptr, nullptr), SQLITE_OK) << sqlite3_errmsg(database);
    }
    std::string ask(const char* sql) const {
        std::string answer;
        sqlite3_exec(
            database, sql,
            [](void* into, int, char** columns, char**) {
                *static_cast<std::string*>(into) = columns[0];
                return 0;
            },
            &answer, nullptr);
        return answer;
    }
    sqlite3* database = nullptr;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreContract,
                         testing::Values(StoreFactory{"sqlite",
                                                      [] {
                                                          auto folder = std::make_shared<Folder>();
                                                          return [folder]() -> std::unique_ptr<Store> {
                                                              return open_or_fail(folder->file());
                                                          };
                                                      }}),
                         [](const auto& instance) { return instance.param.name; });

TEST(SqliteStore, WritesAheadAndSynchronously) {
    const Folder folder;
    const auto store = open_or_fail(folder.file());
    EXPECT_EQ(Stranger(folder.file()).ask("PRAGMA journal_mode"), "wal");
}

TEST(SqliteStore, IsReadableByItsOwnerAlone) {
    const Folder folder;
    open_or_fail(folder.file());
    struct stat status {};
    ASSERT_EQ(stat(folder.file().c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0600U);
}

TEST(SqliteStore, ANameThatSqliteTakesForMemoryIsAFileToo) {
    const Folder folder;
    const fs::path before = fs::current_path();
    fs::current_path(folder.path);
    {
        auto store = open_or_fail(":memory:");
        EXPECT_FALSE(store->commit({{{"k", "a", "{}"}}, 0, 1, 1}));
    }
    Contents contents;
    EXPECT_FALSE(open_or_fail(":memory:")->load(contents));
    fs::current_path(before);
    EXPECT_EQ(contents.revision, 1U);
}

TEST(SqliteStore, RefusesANewerSchemaUntouched) {
    const Folder folder;
    open_or_fail(folder.file());
    Stranger(folder.file()).run("PRAGMA user_version=2");
    const Error error = refusal_of(folder.file());
    EXPECT_EQ(error.kind, ErrorKind::newer);
    EXPECT_NE(error.message.find("schema 2"), std::string::npos) << error.message;
    EXPECT_EQ(Stranger(folder.file()).ask("PRAGMA user_version"), "2");
}

TEST(SqliteStore, RefusesAnotherProgramsDatabase) {
    const Folder folder;
    Stranger(folder.file()).run("CREATE TABLE theirs(x)");
    EXPECT_EQ(refusal_of(folder.file()).kind, ErrorKind::corrupt);
    EXPECT_EQ(Stranger(folder.file()).ask("SELECT count(*) FROM sqlite_master"), "1");
}

TEST(SqliteStore, RefusesWhatIsNoDatabase) {
    const Folder folder;
    std::ofstream(folder.file()) << std::string(8192, 'x');
    EXPECT_EQ(refusal_of(folder.file()).kind, ErrorKind::corrupt);
}

TEST(SqliteStore, NoticesDamageAtTheStart) {
    const Folder folder;
    {
        const auto store = open_or_fail(folder.file());
        Batch batch{{}, 0, 1, 1};
        for (int i = 0; i < 200; ++i) batch.changes.push_back({"node", std::to_string(i), std::string(500, 'x')});
        ASSERT_FALSE(store->commit(batch));
    }
    {
        std::fstream file(folder.file(), std::ios::in | std::ios::out | std::ios::binary);
        file.seekp(4096 * 4);
        file << std::string(4096 * 4, '\x5a');
    }
    const Error error = refusal_of(folder.file());
    EXPECT_EQ(error.kind, ErrorKind::corrupt);
    EXPECT_NE(error.message.find("restore a backup"), std::string::npos) << error.message;
}

TEST(SqliteStore, SaysThatTheFolderIsMissing) {
    const Error error = refusal_of("/nonexistent-folder/store.db");
    EXPECT_EQ(error.kind, ErrorKind::unavailable);
    EXPECT_NE(error.message.find("create its folder"), std::string::npos) << error.message;
}

TEST(SqliteStore, AFullDiskChangesNothingAndIsSaidPlainly) {
    const Folder folder;
    const auto store = open_or_fail(folder.file(), {std::chrono::milliseconds(0), 8});
    ASSERT_FALSE(store->commit({{{"node", "a", "1"}}, 0, 1, 1}));
    const auto error = store->commit({{{"node", "a", "2"}, {"node", "b", std::string(100000, 'x')}}, 1, 2, 2});
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::full);
    EXPECT_NE(error->message.find("make room"), std::string::npos) << error->message;
    Contents contents;
    ASSERT_FALSE(store->load(contents));
    EXPECT_EQ(contents.records, (std::vector<Record>{{"node", "a", "1"}}));
    EXPECT_EQ(contents.revision, 1U);
    EXPECT_FALSE(store->commit({{{"node", "a", "3"}}, 1, 2, 2})) << "room for a small one is left";
}

TEST(SqliteStore, ABusyStoreChangesNothingAndWorksAgainAfterwards) {
    const Folder folder;
    const auto store = open_or_fail(folder.file(), {std::chrono::milliseconds(0)});
    Stranger stranger(folder.file());
    stranger.run("BEGIN IMMEDIATE");
    const auto error = store->commit({{{"node", "a", "1"}}, 0, 1, 1});
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::busy);
    stranger.run("ROLLBACK");
    EXPECT_FALSE(store->commit({{{"node", "a", "1"}}, 0, 1, 1}));
}

TEST(SqliteStore, AFolderInItsPlaceIsRefused) {
    const Folder folder;
    const Error error = refusal_of(folder.path.string());
    EXPECT_NE(error.message.find("Is a directory"), std::string::npos) << error.message;
}

}  // namespace
}  // namespace guideway::store
