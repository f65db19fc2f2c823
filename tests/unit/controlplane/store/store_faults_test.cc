// SqliteStore on disks that fail, and killed at every instant at which it touches them (tests/faults).
//
// A driver process holds the store; the test writes its commands, and the faults, between them. Rule 20 of the address management
// rests on what is shown here: what was answered is there, whatever happens.
#include <csignal>
#include <fstream>
#include <functional>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "controlplane/store/backup.h"
#include "controlplane/store/sqlite_restore.h"
#include "tests/faults/store_steps.h"
#include "tests/unit/controlplane/store/store_testing.h"

namespace guideway::store {
namespace {

namespace fs = std::filesystem;

std::string required(const char* name) {
    const char* value = std::getenv(name);
    if (value == nullptr) {
        std::fprintf(stderr, "%s is not set; run this by: meson test -C build store_faults\n", name);
        std::exit(2);
    }
    return value;
}

/// A folder with a store, and the control file of its faults.
struct Disk : Folder {
    std::string control() const { return (path / "faults").string(); }
    /// Takes effect at the next call of the driver's store.
    void fail(const std::string& settings) const {
        // By rename, so that the driver never sees half of it.
        std::ofstream(control() + ".new") << "match store.db\n" << settings << "\n";
        fs::rename(control() + ".new", control());
    }
    void heal() const { fail(""); }
};

class Driver {
  public:
    explicit Driver(const Disk& disk) {
        int in[2], out[2];
        if (pipe(in) != 0 || pipe(out) != 0) std::abort();
        const std::string program = required("GUIDEWAY_STORE_DRIVER");
        const std::string library = required("GUIDEWAY_FAULTS_LIBRARY");
        child_ = fork();
        if (child_ == 0) {
            prctl(PR_SET_PDEATHSIG, SIGKILL);
            dup2(in[0], 0);
            dup2(out[1], 1);
            for (const int end : {in[0], in[1], out[0], out[1]}) ::close(end);
            setenv("LD_PRELOAD", library.c_str(), 1);
            setenv("GUIDEWAY_FAULTS", disk.control().c_str(), 1);
            execl(program.c_str(), program.c_str(), nullptr);
            _exit(127);
        }
        ::close(in[0]);
        ::close(out[1]);
        to_ = in[1];
        from_ = fdopen(out[0], "r");
    }
    ~Driver() {
        ::close(to_);
        std::fclose(from_);
        waitpid(child_, nullptr, 0);
    }
    Driver(const Driver&) = delete;
    Driver& operator=(const Driver&) = delete;

    /// The answer; empty where the driver died instead.
    std::string ask(const std::string& command) {
        const std::string line = command + "\n";
        if (::write(to_, line.data(), line.size()) < 0) return "";
        char* buffer = nullptr;
        std::size_t size = 0;
        const ssize_t length = getline(&buffer, &size, from_);
        std::string answer(buffer, length > 0 ? static_cast<std::size_t>(length - 1) : 0);
        std::free(buffer);
        return answer;
    }
    std::string commit(std::uint64_t after, std::size_t size) {
        return ask("commit " + std::to_string(after) + " " + std::to_string(size));
    }

  private:
    pid_t child_ = 0;
    int to_ = -1;
    FILE* from_ = nullptr;
};

std::string words_at(std::uint64_t revision, std::size_t size) {
    return std::to_string(revision) + " " + in_words(contents_at(revision, size));
}

/// What a store holds, opened without faults; checks that it is a revision's contents, whole.
std::uint64_t revision_of_whole_store(const std::string& path, std::size_t size) {
    Contents contents;
    const auto store = open_or_fail(path);
    if (store == nullptr) return UINT64_MAX;
    const auto error = store->load(contents);
    EXPECT_FALSE(error) << error->message;
    EXPECT_EQ(in_words(contents), in_words(contents_at(contents.revision, size)));
    EXPECT_FALSE(store->commit(step(contents.revision, size))) << "and it goes on";
    return contents.revision;
}

class StoreFaults : public testing::Test {
  protected:
    static void SetUpTestSuite() { std::signal(SIGPIPE, SIG_IGN); }
};

/// Kills the driver at the first, second, ... touch of its disk until it gets through.
/// `run` drives it and returns the last revision answered; `size` is that of its commits.
void kill_at_each_instant(const std::string& how, std::size_t size,
                          const std::function<std::uint64_t(Driver&, const Disk&)>& run) {
    int instant = 0;
    for (bool through = false; !through;) {
        ++instant;
        ASSERT_LT(instant, 2000);
        const Disk disk;
        disk.fail("kill " + std::to_string(instant) + "\n" + how);
        std::uint64_t answered = 0;
        {
            Driver driver(disk);
            answered = run(driver, disk);
            through = !driver.ask("close").empty();
        }
        SCOPED_TRACE("instant " + std::to_string(instant) + " " + how);
        const std::uint64_t found = revision_of_whole_store(disk.file(), size);
        ASSERT_GE(found, answered) << "what was answered is lost";
        ASSERT_LE(found, answered + 1);
    }
    EXPECT_GT(instant, 20) << "too few instants: the faults are not in force";
}

std::uint64_t few_commits(Driver& driver, const Disk& disk, std::size_t size) {
    std::uint64_t answered = 0;
    if (driver.ask("open " + disk.file()).empty()) return 0;
    while (answered < 6 && driver.commit(answered, size) == "ok") ++answered;
    return answered;
}

TEST_F(StoreFaults, Rule20KilledAtAnyInstantNothingAnsweredIsLost) {
    for (const char* how : {"", "tear"}) {
        for (const std::size_t size : {10, 20000}) {
            kill_at_each_instant(how, size,
                                 [&](Driver& driver, const Disk& disk) { return few_commits(driver, disk, size); });
        }
    }
}

TEST_F(StoreFaults, Rule20APowerCutAtAnyInstantLosesNothingAnswered) {
    for (int seed = 1; seed <= 2; ++seed) {
        for (const std::size_t size : {10, 20000}) {
            const std::string how = "cut " + std::to_string(seed) + (seed == 2 ? "\ntear" : "");
            kill_at_each_instant(how, size,
                                 [&](Driver& driver, const Disk& disk) { return few_commits(driver, disk, size); });
        }
    }
}

/// The log is moved into the file again and again, while commits go on.
TEST_F(StoreFaults, Rule20ACutWhileTheLogIsMovedIntoTheFileLosesNothing) {
    for (const char* how : {"tear", "cut 1", "cut 2"}) {
        kill_at_each_instant(how, 10000, [&](Driver& driver, const Disk& disk) {
            std::uint64_t answered = 0;
            if (driver.ask("open " + disk.file() + " 8").empty()) return answered;
            while (answered < 6 && driver.commit(answered, 10000) == "ok") ++answered;
            return answered;
        });
    }
}

struct Refusal {
    const char* faults;
    const char* kind;
    const char* says;
};

TEST_F(StoreFaults, ADiskThatRefusesWritesIsNamedReadsGoOnAndItRecoversByItself) {
    for (const Refusal& refusal :
         {Refusal{"write ENOSPC", "full", "make room"}, Refusal{"write EDQUOT", "full", "make room"},
          Refusal{"write EROFS", "read_only", "writable"}, Refusal{"write EIO", "unavailable", "look at the disk"}}) {
        SCOPED_TRACE(refusal.faults);
        const Disk disk;
        Driver driver(disk);
        ASSERT_EQ(driver.ask("open " + disk.file()), "ok 0");
        ASSERT_EQ(driver.commit(0, 10), "ok");
        disk.fail(refusal.faults);
        for (int i = 0; i < 3; ++i) {
            const std::string answer = driver.commit(1, 10);
            EXPECT_EQ(answer.rfind(std::string("error ") + refusal.kind, 0), 0U) << answer;
            EXPECT_NE(answer.find(refusal.says), std::string::npos) << answer;
            EXPECT_NE(answer.find(disk.file()), std::string::npos) << answer;
            EXPECT_EQ(driver.ask("load"), "ok " + words_at(1, 10));
        }
        disk.heal();
        EXPECT_EQ(driver.commit(1, 10), "ok");
        EXPECT_EQ(driver.ask("load"), "ok " + words_at(2, 10));
    }
}

TEST_F(StoreFaults, ADiskThatIsFullInTheMiddleOfABatchLeavesNothingOfIt) {
    for (int room = 0; room < 12; ++room) {
        const Disk disk;
        {
            Driver driver(disk);
            ASSERT_EQ(driver.ask("open " + disk.file()), "ok 0");
            ASSERT_EQ(driver.commit(0, 20000), "ok");
            // The first writes of the batch find room: those are let through by dying only at the next one, torn.
            disk.fail("kill " + std::to_string(room + 1) + "\ntear");
            if (driver.commit(1, 20000) == "ok") break;
        }
        EXPECT_EQ(revision_of_whole_store(disk.file(), 20000), 1U) << room;
    }
}

TEST_F(StoreFaults, WhenSyncFailsOnceTheBatchIsShutOutForEver) {
    for (const std::size_t size : {10, 20000}) {
        for (int seed = 1; seed <= 8; ++seed) {
            const Disk disk;
            {
                Driver driver(disk);
                ASSERT_EQ(driver.ask("open " + disk.file()), "ok 0");
                ASSERT_EQ(driver.commit(0, size), "ok");
                disk.fail(seed % 2 == 0 ? "sync EIO 1" : "sync EIO 1\nreach 1");
                const std::string answer = driver.commit(1, size);
                EXPECT_EQ(answer.rfind("error unavailable", 0), 0U) << answer;
                EXPECT_NE(answer.find("nothing was changed"), std::string::npos) << answer;
                EXPECT_EQ(driver.ask("load"), "ok " + words_at(1, size));
                disk.fail("kill 1\ncut " + std::to_string(seed));
                EXPECT_EQ(driver.commit(1, size), "");
            }
            EXPECT_EQ(revision_of_whole_store(disk.file(), size), 1U) << "seed " << seed;
        }
    }
}

TEST_F(StoreFaults, WhileSyncFailsNothingIsAnsweredAsDoneAndAfterwardsAllIsWell) {
    for (int seed = 1; seed <= 8; ++seed) {
        const Disk disk;
        std::uint64_t answered = 2;
        {
            Driver driver(disk);
            ASSERT_EQ(driver.ask("open " + disk.file()), "ok 0");
            ASSERT_EQ(driver.commit(0, 10), "ok");
            ASSERT_EQ(driver.commit(1, 10), "ok");
            disk.fail("sync EIO");
            std::string answer = driver.commit(2, 10);
            EXPECT_EQ(answer.rfind("error unknown", 0), 0U) << answer;
            EXPECT_NE(answer.find("not known"), std::string::npos) << answer;
            for (int i = 0; i < 2; ++i) {
                answer = driver.commit(2, 10);
                EXPECT_EQ(answer.rfind("error unavailable", 0), 0U) << answer;
                EXPECT_EQ(driver.ask("load"), "ok " + words_at(2, 10));
            }
            disk.heal();
            for (int i = 0; i < 3; ++i) {
                EXPECT_EQ(driver.commit(answered, 10), "ok");
                ++answered;
            }
            EXPECT_EQ(driver.ask("load"), "ok " + words_at(answered, 10));
            disk.fail("kill 1\ncut " + std::to_string(seed));
            EXPECT_EQ(driver.commit(answered, 10), "");
        }
        EXPECT_EQ(revision_of_whole_store(disk.file(), 10), answered) << "what a failed sync dropped was written again";
    }
}

TEST_F(StoreFaults, ACrashWhileSyncFailsLeavesTheOldOrTheNewWhole) {
    bool old_seen = false, new_seen = false;
    for (int reach = 0; reach <= 2; ++reach) {
        for (int instant = 1; instant <= 3; ++instant) {
            for (const char* how : {"", "tear", "cut 1", "cut 2"}) {
                const Disk disk;
                {
                    Driver driver(disk);
                    ASSERT_EQ(driver.ask("open " + disk.file()), "ok 0");
                    ASSERT_EQ(driver.commit(0, 10), "ok");
                    // The batch, then what shall shut it out: on the disk or not, each.
                    disk.fail("sync EIO\nreach " + std::to_string(reach));
                    EXPECT_EQ(driver.commit(1, 10).rfind("error unknown", 0), 0U);
                    EXPECT_EQ(driver.ask("load"), "ok " + words_at(1, 10));
                    disk.fail("sync EIO\nkill " + std::to_string(instant) + "\n" + how);
                    EXPECT_EQ(driver.commit(1, 10), "");
                }
                const std::uint64_t found = revision_of_whole_store(disk.file(), 10);
                EXPECT_TRUE(found == 1 || found == 2) << found;
                old_seen |= found == 1;
                new_seen |= found == 2;
            }
        }
    }
    EXPECT_TRUE(old_seen);
    EXPECT_TRUE(new_seen) << "then `unknown` would be needless";
}

TEST_F(StoreFaults, ACheckpointThatFailsDoesNotHurtAndItsLogIsBounded) {
    constexpr std::size_t kSize = 1'000'000;
    const Disk disk;
    Driver driver(disk);
    ASSERT_EQ(driver.ask("open " + disk.file()), "ok 0");
    std::uint64_t answered = 0;
    // The log can be written, the file itself not.
    std::ofstream(disk.control()) << "match store.db!\nwrite ENOSPC\n";
    std::string answer = "ok";
    while (answered < 200 && (answer = driver.commit(answered, kSize)) == "ok") ++answered;
    EXPECT_EQ(answer.rfind("error full", 0), 0U) << answer;
    EXPECT_LT(fs::file_size(disk.file() + "-wal"), 2 * SqliteStore::kLogBytes);
    EXPECT_EQ(driver.ask("load"), "ok " + words_at(answered, kSize));
    disk.heal();
    EXPECT_EQ(driver.commit(answered, kSize), "ok");
    EXPECT_EQ(driver.ask("load"), "ok " + words_at(answered + 1, kSize));
}

TEST_F(StoreFaults, AStoreThatCannotBeOpenedSaysWhy) {
    for (const Refusal& refusal :
         {Refusal{"open EROFS", "read_only", "writable"}, Refusal{"open ENOSPC", "full", "make room"},
          Refusal{"write ENOSPC", "full", "make room"}, Refusal{"sync EIO", "unavailable", "disk"}}) {
        const Disk disk;
        Driver driver(disk);
        disk.fail(refusal.faults);
        const std::string answer = driver.ask("open " + disk.file());
        EXPECT_EQ(answer.rfind(std::string("error ") + refusal.kind, 0), 0U) << refusal.faults << ": " << answer;
        EXPECT_NE(answer.find(refusal.says), std::string::npos) << answer;
        disk.heal();
        EXPECT_EQ(driver.ask("open " + disk.file()), "ok 0");
    }
}

TEST_F(StoreFaults, ARestoreKilledAtAnyInstantLeavesTheOldStoreOrTheNewOneWhole) {
    const Disk source;
    const std::string file = (source.path / "backup").string();
    {
        std::ofstream stream(file);
        Contents backup{{{"node", "restored", "{}", 3}}, 3, 3};
        ASSERT_FALSE(backup::encode(backup, backup::about_now(), [&](std::string_view bytes) {
            stream << bytes;
            return true;
        }));
    }
    for (const std::string how : {"", "tear", "cut 1", "cut 2"}) {
        int instant = 0;
        bool old_seen = false, new_seen = false;
        for (bool through = false; !through;) {
            ASSERT_LT(++instant, 500);
            const Disk disk;
            {
                const auto store = open_or_fail(disk.file());
                for (std::uint64_t after = 0; after < 4; ++after) ASSERT_FALSE(store->commit(step(after, 10)));
            }
            disk.fail("kill " + std::to_string(instant) + "\n" + how);
            {
                Driver driver(disk);
                through = driver.ask("restore " + disk.file() + " " + file) == "ok";
            }
            SCOPED_TRACE("instant " + std::to_string(instant) + " " + how);
            Contents contents;
            const auto store = open_or_fail(disk.file());
            ASSERT_TRUE(store);
            ASSERT_FALSE(store->load(contents));
            if (contents.records.size() == 1) {
                EXPECT_EQ(in_words(contents), "restored={}@3;g5");
                EXPECT_EQ(contents.revision, 5U);
                new_seen = true;
            } else {
                EXPECT_EQ(in_words(contents), in_words(contents_at(4, 10)));
                EXPECT_FALSE(new_seen) << "it went back";
                EXPECT_FALSE(through);
                old_seen = true;
            }
        }
        EXPECT_TRUE(old_seen && new_seen);
        EXPECT_GT(instant, 10);
    }
}

TEST_F(StoreFaults, AMigrationKilledAtAnyInstantLeavesTheOldSchemaOrTheNewOneWhole) {
    for (const std::string how : {"", "tear", "cut 1", "cut 2"}) {
        int instant = 0;
        for (bool through = false; !through;) {
            ASSERT_LT(++instant, 500);
            const Disk disk;
            sqlite3* database = nullptr;
            ASSERT_EQ(sqlite3_open(disk.file().c_str(), &database), SQLITE_OK);
            ASSERT_EQ(sqlite3_exec(database,
                                   "PRAGMA journal_mode=WAL; BEGIN IMMEDIATE; PRAGMA application_id=1196906801;"
                                   "PRAGMA user_version=1; CREATE TABLE records(kind TEXT NOT NULL, key TEXT NOT NULL,"
                                   " document TEXT NOT NULL, PRIMARY KEY(kind, key)) WITHOUT ROWID;"
                                   "CREATE TABLE counters(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
                                   "INSERT INTO counters VALUES('revision', 7), ('generation', 7);"
                                   "INSERT INTO records VALUES('node', 'a', '1'); COMMIT",
                                   nullptr, nullptr, nullptr),
                      SQLITE_OK);
            sqlite3_close(database);
            disk.fail("kill " + std::to_string(instant) + "\n" + how);
            {
                Driver driver(disk);
                through = driver.ask("open " + disk.file()) == "ok 7" && driver.ask("close") == "ok";
            }
            SCOPED_TRACE("instant " + std::to_string(instant) + " " + how);
            Contents contents;
            const auto store = open_or_fail(disk.file());
            ASSERT_TRUE(store);
            ASSERT_FALSE(store->load(contents));
            EXPECT_EQ(in_words(contents), "a=1@7;g7");
        }
        EXPECT_GT(instant, 5);
    }
}

}  // namespace
}  // namespace guideway::store
