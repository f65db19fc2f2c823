#include "controlplane/announce/peer_watch.h"

#include <filesystem>
#include <optional>
#include <vector>

#include "tests/unit/controlplane/announce/fake_bird.h"

namespace guideway::announce {
namespace {

using testing_support::FakeBird;
using namespace std::chrono_literals;

constexpr std::chrono::seconds kWatchPatience{30};

struct PeerWatchTest : testing::Test {
    const std::filesystem::path folder =
        std::filesystem::temp_directory_path() / ("guideway-peers-" + std::to_string(::getpid()));
    BgpSettings watched;

    PeerWatchTest() {
        std::filesystem::create_directory(folder);
        watched.socket = folder / "bird.ctl";
        watched.peers = {{.name = "tor1", .address = *IpAddress::parse("10.9.0.2"), .asn = 64513},
                         {.name = "tor2", .address = *IpAddress::parse("10.9.0.3"), .asn = 64514}};
    }
    ~PeerWatchTest() override { std::filesystem::remove_all(folder); }

    static std::string both(bool first, bool second) {
        return FakeBird::whole(FakeBird::peer("tor1", first, 2) + FakeBird::peer("tor2", second, 2));
    }
};

TEST_F(PeerWatchTest, BeforeTheFirstAnswerNothingIsKnownButWhoThePeersAre) {
    const PeerWatch watch(watched);
    const PeerReport report = watch.report();
    EXPECT_FALSE(report.at);
    EXPECT_EQ(report.error, "");
    ASSERT_EQ(report.peers.size(), 2U);
    EXPECT_EQ(report.peers[1].name, "tor2");
    EXPECT_EQ(report.peers[1].asn, 64514U);
    EXPECT_EQ(report.peers[1].state, "unknown");
    EXPECT_FALSE(report.peers[1].established);
}

TEST_F(PeerWatchTest, TheLastAnswerIsThereForWhoeverWantsIt) {
    FakeBird bird(watched.socket, both(true, false));
    PeerWatch watch(watched, {1h, 1ms});
    watch.start();
    ASSERT_TRUE(watch.wait_until_asked(kWatchPatience));
    PeerReport report = watch.report();
    EXPECT_TRUE(report.at);
    EXPECT_EQ(report.error, "");
    EXPECT_TRUE(report.peers[0].established);
    EXPECT_EQ(report.peers[0].routes, 2U);
    EXPECT_EQ(report.peers[1].state, "Active");
    EXPECT_EQ(report.peers[1].last_error, "Hold timer expired");
    bird.set_answer(both(false, true));
    ASSERT_TRUE(watch.wait_until_asked(kWatchPatience));
    report = watch.report();
    EXPECT_FALSE(report.peers[0].established);
    EXPECT_TRUE(report.peers[1].established);
}

TEST_F(PeerWatchTest, ItAsksAgainByItself) {
    const FakeBird bird(watched.socket, both(true, true));
    PeerWatch watch(watched, {1ms, 1ms});
    watch.start();
    const auto end = std::chrono::steady_clock::now() + kWatchPatience;
    while (bird.asked() < 5 && std::chrono::steady_clock::now() < end) std::this_thread::yield();
    EXPECT_GE(bird.asked(), 5U);
}

TEST_F(PeerWatchTest, OfADaemonThatDoesNotAnswerNothingIsKnownUntilItIsBack) {
    PeerWatch watch(watched, {1h, 1ms});
    {
        const FakeBird bird(watched.socket, both(true, true));
        watch.start();
        ASSERT_TRUE(watch.wait_until_asked(kWatchPatience));
        EXPECT_TRUE(watch.report().peers[0].established);
    }
    ASSERT_TRUE(watch.wait_until_asked(kWatchPatience));
    PeerReport report = watch.report();
    EXPECT_EQ(report.error, watched.socket + ": No such file or directory");
    EXPECT_TRUE(report.at);
    EXPECT_FALSE(report.peers[0].established);
    EXPECT_EQ(report.peers[0].state, "unknown");
    const FakeBird again(watched.socket, both(true, false));
    ASSERT_TRUE(watch.wait_until_asked(kWatchPatience));
    report = watch.report();
    EXPECT_EQ(report.error, "");
    EXPECT_TRUE(report.peers[0].established);
}

TEST_F(PeerWatchTest, AnAnswerThatIsNoneIsTold) {
    const FakeBird bird(watched.socket, "9001 syntax error\n");
    PeerWatch watch(watched, {1h, 1ms});
    watch.start();
    ASSERT_TRUE(watch.wait_until_asked(kWatchPatience));
    EXPECT_EQ(watch.report().error, "BIRD answers: syntax error");
}

/// It would take no more connections for ever: each question waits no longer than for an answer.
TEST_F(PeerWatchTest, ADaemonThatHangsDoesNotHoldUpItsWatch) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, watched.socket.c_str(), watched.socket.size() + 1);
    const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(listener, 0), 0);
    std::vector<int> waiting;
    for (;;) {  // its queue is full when the next one would wait
        const int one = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        waiting.push_back(one);
        if (::connect(one, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) break;
    }
    PeerWatch watch(watched, {1h, 1ms});
    watch.start();
    EXPECT_TRUE(watch.wait_until_asked(kWatchPatience));
    EXPECT_EQ(watch.report().error, watched.socket + ": no connection within 2 s");
    watch.stop();
    for (const int one : waiting) ::close(one);
    ::close(listener);
}

}  // namespace
}  // namespace guideway::announce
