#include "dataplane/control/line_server.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace guideway::control {
namespace {

/// A plain blocking client. Reads give up after ten seconds so that a broken server fails the test instead of
/// hanging it.
class TestClient {
  public:
    explicit TestClient(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), address.sun_path);
        connected_ = connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
        const timeval patience{10, 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    ~TestClient() { close(fd_); }
    TestClient(const TestClient&) = delete;
    TestClient& operator=(const TestClient&) = delete;

    bool connected() const { return connected_; }
    bool send_text(const std::string& text) {
        std::size_t done = 0;
        while (done < text.size()) {
            const auto sent = send(fd_, text.data() + done, text.size() - done, MSG_NOSIGNAL);
            if (sent <= 0) return false;
            done += static_cast<std::size_t>(sent);
        }
        return true;
    }
    void end_of_input() const { shutdown(fd_, SHUT_WR); }
    /// One line without its newline; "<closed>" when the server hung up before a whole line.
    std::string line() {
        for (;;) {
            if (const auto end = buffer_.find('\n'); end != std::string::npos) {
                auto result = buffer_.substr(0, end);
                buffer_.erase(0, end + 1);
                return result;
            }
            char bytes[4096];
            const auto got = read(fd_, bytes, sizeof bytes);
            if (got <= 0) return "<closed>";
            buffer_.append(bytes, static_cast<std::size_t>(got));
        }
    }

  private:
    int fd_;
    bool connected_ = false;
    std::string buffer_;
};

class LineServerTest : public ::testing::Test {
  protected:
    void SetUp() override {
        std::string pattern = (std::filesystem::temp_directory_path() / "guideway-sock-XXXXXX").string();
        ASSERT_NE(mkdtemp(pattern.data()), nullptr);
        folder_ = pattern;
        path_ = folder_ / "s";
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }
    static LineServer echo(LineServerLimits limits = {}) {
        return LineServer([](std::string_view line) { return "got " + std::string(line); }, "too long", limits);
    }
    std::filesystem::path folder_;
    std::string path_;
};

TEST_F(LineServerTest, AnswersEachLineInOrder) {
    auto server = echo();
    ASSERT_EQ(server.start(path_), std::nullopt);
    TestClient client(path_);
    ASSERT_TRUE(client.send_text("one\ntwo\nthr"));
    EXPECT_EQ(client.line(), "got one");
    EXPECT_EQ(client.line(), "got two");
    ASSERT_TRUE(client.send_text("ee\n"));
    EXPECT_EQ(client.line(), "got three");
}

TEST_F(LineServerTest, AnswersWhatWasAskedBeforeTheClientClosedItsSide) {
    auto server = echo();
    ASSERT_EQ(server.start(path_), std::nullopt);
    TestClient client(path_);
    ASSERT_TRUE(client.send_text("one\ntwo\nunfinished"));
    client.end_of_input();
    EXPECT_EQ(client.line(), "got one");
    EXPECT_EQ(client.line(), "got two");
    EXPECT_EQ(client.line(), "<closed>");
}

TEST_F(LineServerTest, ASilentClientAndOneThatDoesNotReadHoldUpNobody) {
    LineServer server([](std::string_view line) { return std::string(line.size() == 3 ? 32U << 20 : 2, 'x'); },
                      "too long");
    ASSERT_EQ(server.start(path_), std::nullopt);
    TestClient silent(path_);
    ASSERT_TRUE(silent.send_text("half a li"));
    TestClient deaf(path_);
    ASSERT_TRUE(deaf.send_text("big\n"));  // 32 MiB that it never reads
    TestClient other(path_);
    ASSERT_TRUE(other.send_text("quick\n"));
    EXPECT_EQ(other.line(), "xx");
}

TEST_F(LineServerTest, TellsWhoAsksAndWhoIsGone) {
    std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::uint64_t> gone;
    LineServer server([](std::string_view, std::uint64_t client) { return std::to_string(client); },
                      [&](std::uint64_t client) {
                          const std::lock_guard lock(mutex);
                          gone.push_back(client);
                          changed.notify_one();
                      },
                      "too long");
    ASSERT_EQ(server.start(path_), std::nullopt);
    TestClient stays(path_);
    ASSERT_TRUE(stays.send_text("x\n"));
    EXPECT_EQ(stays.line(), "1");
    {
        TestClient leaves(path_);
        ASSERT_TRUE(leaves.send_text("x\nx\n"));
        EXPECT_EQ(leaves.line(), "2");
        EXPECT_EQ(leaves.line(), "2");
    }
    {
        std::unique_lock lock(mutex);
        changed.wait(lock, [&] { return !gone.empty(); });
        EXPECT_EQ(gone, std::vector<std::uint64_t>{2});
    }
    ASSERT_TRUE(stays.send_text("x\n"));
    EXPECT_EQ(stays.line(), "1");
    server.stop();
    EXPECT_EQ(gone, (std::vector<std::uint64_t>{2, 1})) << "those that are there when it stops too";
}

TEST_F(LineServerTest, RefusesALineThatIsTooLongAndHangsUp) {
    auto server = echo({.request_bytes = 1000});
    ASSERT_EQ(server.start(path_), std::nullopt);
    TestClient client(path_);
    client.send_text(std::string(5000, 'a'));
    EXPECT_EQ(client.line(), "too long");
    EXPECT_EQ(client.line(), "<closed>");
    TestClient next(path_);
    ASSERT_TRUE(next.send_text("fine\n"));
    EXPECT_EQ(next.line(), "got fine");
}

TEST_F(LineServerTest, BoundsItsClients) {
    auto server = echo({.clients = 2});
    ASSERT_EQ(server.start(path_), std::nullopt);
    TestClient first(path_);
    TestClient second(path_);
    for (TestClient* client : {&first, &second}) {
        ASSERT_TRUE(client->send_text("x\n"));
        ASSERT_EQ(client->line(), "got x");
    }
    TestClient third(path_);
    EXPECT_EQ(third.line(), "<closed>");
}

TEST_F(LineServerTest, CarriesLargeLinesBothWays) {
    auto server = echo();
    ASSERT_EQ(server.start(path_), std::nullopt);
    TestClient client(path_);
    const std::string large(5U << 20, 'z');
    ASSERT_TRUE(client.send_text(large + "\n"));
    EXPECT_EQ(client.line(), "got " + large);
}

TEST_F(LineServerTest, ReplacesTheSocketOfADeadProcessButNotOfALiveOne) {
    auto first = echo();
    ASSERT_EQ(first.start(path_), std::nullopt);
    auto second = echo();
    const auto error = second.start(path_);
    ASSERT_TRUE(error);
    EXPECT_NE(error->find("another process"), std::string::npos) << *error;
    first.stop();

    // What kill -9 leaves: a socket file nobody listens on.
    const int left = socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::copy(path_.begin(), path_.end(), address.sun_path);
    ASSERT_EQ(bind(left, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    close(left);
    EXPECT_EQ(second.start(path_), std::nullopt);
    EXPECT_TRUE(TestClient(path_).connected());
}

TEST_F(LineServerTest, NeverRemovesAFileThatIsNoSocket) {
    std::ofstream(path_) << "precious";
    auto server = echo();
    const auto error = server.start(path_);
    ASSERT_TRUE(error);
    EXPECT_NE(error->find("not a socket"), std::string::npos) << *error;
    EXPECT_TRUE(std::filesystem::exists(path_));
}

TEST_F(LineServerTest, StopRemovesTheSocketFileAndHangsUp) {
    auto server = echo();
    ASSERT_EQ(server.start(path_), std::nullopt);
    TestClient client(path_);
    ASSERT_TRUE(client.send_text("x\n"));
    ASSERT_EQ(client.line(), "got x");
    server.stop();
    EXPECT_EQ(client.line(), "<closed>");
    EXPECT_FALSE(std::filesystem::exists(path_));
}

TEST_F(LineServerTest, IsReadableByOwnerAndGroupOnly) {
    auto server = echo();
    ASSERT_EQ(server.start(path_), std::nullopt);
    struct stat status {};
    ASSERT_EQ(stat(path_.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 0777U, 0660U);
}

TEST_F(LineServerTest, RefusesAPathTheSystemCannotHold) {
    auto server = echo();
    EXPECT_TRUE(server.start(std::string(200, 'x')));
    EXPECT_TRUE(server.start(""));
}

}  // namespace
}  // namespace guideway::control
