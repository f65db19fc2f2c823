#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "dataplane/control/line_server.h"

namespace guideway::control {
namespace {

class Client {
  public:
    explicit Client(const std::string& path) : fd_(socket(AF_UNIX, SOCK_STREAM, 0)) {
        sockaddr_un address{};
        address.sun_family = AF_UNIX;
        std::copy(path.begin(), path.end(), address.sun_path);
        EXPECT_EQ(connect(fd_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
        const timeval patience{10, 0};
        setsockopt(fd_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    }
    ~Client() { close(fd_); }
    Client(const Client&) = delete;
    Client& operator=(const Client&) = delete;

    void send_text(const std::string& text) const { send(fd_, text.data(), text.size(), MSG_NOSIGNAL); }
    /// What comes first, or "closed".
    std::string received() const {
        char bytes[256];
        const auto got = read(fd_, bytes, sizeof bytes);
        return got > 0 ? std::string(bytes, static_cast<std::size_t>(got)) : "closed";
    }

  private:
    int fd_;
};

class FullLineServer : public testing::Test {
  protected:
    FullLineServer() {
        char folder[] = "/tmp/guideway_full_server_XXXXXX";
        folder_ = mkdtemp(folder);
        path_ = folder_ + "/control.sock";
    }
    ~FullLineServer() override { std::filesystem::remove_all(folder_); }

    static LineServer echo(LineServerLimits limits) {
        return LineServer([](std::string_view line) { return "got " + std::string(line); }, "too long", limits);
    }

    std::string folder_;
    std::string path_;
};

TEST_F(FullLineServer, GivesTheLongestSilentClientsPlaceAway) {
    auto server = echo({.clients = 2, .silent_seconds = 0});
    ASSERT_EQ(server.start(path_), std::nullopt);
    const Client first(path_);
    first.send_text("1\n");
    ASSERT_EQ(first.received(), "got 1\n");
    const Client hung(path_);
    hung.send_text("half a request\nand a ha");
    ASSERT_EQ(hung.received(), "got half a request\n");
    first.send_text("2\n");
    ASSERT_EQ(first.received(), "got 2\n");

    const Client control_plane(path_);
    control_plane.send_text("apply\n");
    EXPECT_EQ(control_plane.received(), "got apply\n");
    EXPECT_EQ(hung.received(), "closed");
    first.send_text("3\n");
    EXPECT_EQ(first.received(), "got 3\n");
}

TEST_F(FullLineServer, KeepsClientsThatSpokeLately) {
    auto server = echo({.clients = 1, .silent_seconds = 3600});
    ASSERT_EQ(server.start(path_), std::nullopt);
    const Client first(path_);
    first.send_text("1\n");
    ASSERT_EQ(first.received(), "got 1\n");
    const Client second(path_);
    EXPECT_EQ(second.received(), "closed");
    first.send_text("2\n");
    EXPECT_EQ(first.received(), "got 2\n");
}

}  // namespace
}  // namespace guideway::control
