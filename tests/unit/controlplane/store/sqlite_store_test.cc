#include "controlplane/store/sqlite_store.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>

#include <sqlite3.h>

#include "tests/unit/controlplane/store/memory_store.h"
#include "tests/unit/controlplane/store/store_contract.h"
#include "tests/unit/controlplane/store/store_testing.h"

namespace guideway::store {
namespace {

namespace fs = std::filesystem;

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

StoreFactory sqlite_factory() {
    return {"sqlite", [] {
                auto folder = std::make_shared<Folder>();
                auto place = std::make_shared<StorePlace>();
                place->open = [folder, raw = place.get()]() -> std::unique_ptr<Store> {
                    SqliteOptions options;
                    options.max_tombstones = kContractTombstones;
                    options.now = [raw] { return raw->now; };
                    return open_or_fail(folder->file(), options);
                };
                return place;
            }};
}

StoreFactory memory_factory() {
    return {"memory", [] {
                auto memory = std::make_shared<MemoryPlace>();
                auto place = std::make_shared<StorePlace>();
                memory->max_tombstones = kContractTombstones;
                memory->now = [raw = place.get()] { return raw->now; };
                place->open = [memory] { return std::make_unique<MemoryStore>(memory); };
                return place;
            }};
}

INSTANTIATE_TEST_SUITE_P(Stores, StoreContract, testing::Values(sqlite_factory(), memory_factory()),
                         [](const auto& instance) { return instance.param.name; });

TEST(SqliteStore, WritesAhead) {
    const Folder folder;
    const auto store = open_or_fail(folder.file());
    ASSERT_FALSE(store->commit({{{"node", "a", "1"}}, 0, 1, 1}));
    EXPECT_GT(fs::file_size(folder.file() + "-wal"), 0U);
    // The format's two version bytes (sqlite.org/fileformat2.html, 1.3): 2 is the write-ahead log.
    std::ifstream file(folder.file(), std::ios::binary);
    std::string header(100, '\0');
    file.read(header.data(), 100);
    EXPECT_EQ(header.substr(18, 2), "\2\2");
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
    Stranger(folder.file()).run("PRAGMA user_version=3");
    const Error error = refusal_of(folder.file());
    EXPECT_EQ(error.kind, ErrorKind::newer);
    EXPECT_NE(error.message.find("schema 3"), std::string::npos) << error.message;
    EXPECT_EQ(Stranger(folder.file()).ask("PRAGMA user_version"), "3");
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

TEST(SqliteStore, AFullStoreChangesNothingAndIsSaidPlainly) {
    const Folder folder;
    SqliteOptions options;
    options.max_bytes = 12 * 4096;
    const auto store = open_or_fail(folder.file(), options);
    ASSERT_FALSE(store->commit({{{"node", "a", "1"}}, 0, 1, 1}));
    const auto error = store->commit({{{"node", "a", "2"}, {"node", "b", std::string(100000, 'x')}}, 1, 2, 2});
    ASSERT_TRUE(error);
    EXPECT_EQ(error->kind, ErrorKind::full);
    EXPECT_NE(error->message.find("make room"), std::string::npos) << error->message;
    Contents contents;
    ASSERT_FALSE(store->load(contents));
    EXPECT_EQ(contents.records, (std::vector<Record>{{"node", "a", "1", 1}}));
    EXPECT_EQ(contents.revision, 1U);
    EXPECT_FALSE(store->commit({{{"node", "a", "3"}}, 1, 2, 2})) << "room for a small one is left";
    EXPECT_LE(fs::file_size(folder.file()), options.max_bytes);
}

TEST(SqliteStore, RoomThatWasFreedIsUsedAgain) {
    const Folder folder;
    SqliteOptions options;
    options.max_bytes = 64 * 4096;
    const auto store = open_or_fail(folder.file(), options);
    for (std::uint64_t i = 0; i < 50; ++i) {
        ASSERT_FALSE(store->commit({{{"node", "a", std::string(100000, 'x')}}, 2 * i, 2 * i + 1, 1}));
        ASSERT_FALSE(store->commit({{{"node", "a", std::nullopt}}, 2 * i + 1, 2 * i + 2, 1}));
    }
}

TEST(SqliteStore, TheLogBesideTheFileIsBounded) {
    const Folder folder;
    const auto store = open_or_fail(folder.file());
    for (std::uint64_t i = 0; i < 500; ++i) {
        ASSERT_FALSE(store->commit({{{"node", std::to_string(i % 7), std::string(200000, 'x')}}, i, i + 1, 1}));
        ASSERT_LE(fs::file_size(folder.file() + "-wal"), SqliteStore::kLogBytes);
    }
}

TEST(SqliteStore, ABatchLargerThanTheLogsBoundIsWrittenAndTheLogShrinksAgain) {
    const Folder folder;
    const auto store = open_or_fail(folder.file());
    Batch batch{{}, 0, 1, 1};
    for (int i = 0; i < 12000; ++i) batch.changes.push_back({"node", std::to_string(i), std::string(6000, 'x')});
    ASSERT_FALSE(store->commit(batch));
    EXPECT_GT(fs::file_size(folder.file() + "-wal"), SqliteStore::kLogBytes);
    ASSERT_FALSE(store->commit({{{"node", "a", "1"}}, 1, 2, 1}));
    EXPECT_LE(fs::file_size(folder.file() + "-wal"), SqliteStore::kLogBytes);
}

TEST(SqliteStore, ASecondControlPlaneIsRefusedByName) {
    const Folder folder;
    auto store = open_or_fail(folder.file());
    const Error error = refusal_of(folder.file());
    EXPECT_EQ(error.kind, ErrorKind::in_use);
    EXPECT_NE(error.message.find("process " + std::to_string(getpid())), std::string::npos) << error.message;
    store.reset();
    EXPECT_TRUE(open_or_fail(folder.file()));
}

// Was by transaction before; now another program is kept out for as long as the store is open.
TEST(SqliteStore, AnotherProgramHoldsTheStoreOrWeDo) {
    const Folder folder;
    open_or_fail(folder.file());
    {
        const Stranger stranger(folder.file());
        stranger.run("BEGIN IMMEDIATE");
        SqliteOptions options;
        options.busy_timeout = std::chrono::milliseconds(0);
        auto opened = SqliteStore::open(folder.file(), options);
        ASSERT_TRUE(std::holds_alternative<Error>(opened));
        EXPECT_EQ(std::get<Error>(opened).kind, ErrorKind::busy);
    }
    const auto store = open_or_fail(folder.file());
    const Stranger stranger(folder.file());
    EXPECT_EQ(sqlite3_exec(stranger.database, "SELECT * FROM records", nullptr, nullptr, nullptr), SQLITE_BUSY);
    EXPECT_FALSE(store->commit({{{"node", "a", "1"}}, 0, 1, 1}));
}

TEST(SqliteStore, AFolderInItsPlaceIsRefused) {
    const Folder folder;
    const Error error = refusal_of(folder.path.string());
    EXPECT_NE(error.message.find("Is a directory"), std::string::npos) << error.message;
}

/// A store as schema 1 wrote it.
void write_version_1(const std::string& path, int records) {
    const Stranger file(path);
    file.run(
        "PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; PRAGMA application_id=1196906801; PRAGMA user_version=1;"
        " CREATE TABLE records(kind TEXT NOT NULL, key TEXT NOT NULL, document TEXT NOT NULL,"
        " PRIMARY KEY(kind, key)) WITHOUT ROWID;"
        " CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
        " INSERT INTO counters VALUES('revision', 41), ('generation', 17); COMMIT");
    for (int i = 0; i < records; ++i) {
        const std::string number = std::to_string(i);
        file.run(("INSERT INTO records VALUES('node', '" + number + "', '{\"n\":" + number + "}')").c_str());
    }
}

TEST(SqliteStore, AStoreOfSchema1IsMigrated) {
    const Folder folder;
    write_version_1(folder.file(), 2);
    const auto store = open_or_fail(folder.file());
    ASSERT_TRUE(store);
    Contents contents;
    ASSERT_FALSE(store->load(contents));
    EXPECT_EQ(contents.records, (std::vector<Record>{{"node", "0", "{\"n\":0}", 41}, {"node", "1", "{\"n\":1}", 41}}));
    EXPECT_EQ(contents.revision, 41U);
    EXPECT_EQ(contents.generation, 17U);
    Changes changes;
    const auto error = store->changes_since(40, changes);
    ASSERT_TRUE(error) << "what was taken away before is not known";
    EXPECT_EQ(error->kind, ErrorKind::compacted);
    EXPECT_FALSE(store->commit({{{"node", "0", std::nullopt}}, 41, 42, 18, {{"node", "0", 41}}}));
    ASSERT_FALSE(store->changes_since(41, changes));
    EXPECT_EQ(changes.gone, (std::vector<Gone>{{"node", "0", 42}}));
}

TEST(SqliteStore, AMigrationThatFindsNoRoomLeavesTheOldStore) {
    const Folder folder;
    write_version_1(folder.file(), 300);
    SqliteOptions options;
    options.max_bytes = 1;  // the file does not grow
    {
        // Room is set before the migration.
        auto opened = SqliteStore::open(folder.file(), options);
        ASSERT_TRUE(std::holds_alternative<Error>(opened));
        EXPECT_EQ(std::get<Error>(opened).kind, ErrorKind::full);
    }
    EXPECT_EQ(Stranger(folder.file()).ask("PRAGMA user_version"), "1");
    EXPECT_EQ(Stranger(folder.file()).ask("SELECT count(*) FROM records"), "300");
    Contents contents;
    ASSERT_FALSE(open_or_fail(folder.file())->load(contents));
    EXPECT_EQ(contents.records.size(), 300U);
}

}  // namespace
}  // namespace guideway::store
