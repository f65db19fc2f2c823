#include "controlplane/announce/peers.h"

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

BgpSettings settings() {
    BgpSettings out;
    out.socket = "/nowhere/bird.ctl";
    out.peers = {{.name = "tor1", .address = *IpAddress::parse("10.9.0.2"), .asn = 64513},
                 {.name = "tor2", .address = *IpAddress::parse("10.9.0.3"), .asn = 64514}};
    return out;
}

/// As BIRD 2.0.12 sends it.
constexpr const char* kBird =
    "2002-Name       Proto      Table      State  Since         Info\n"
    "1002-device1    Device     ---        up     20:10:40.000  \n"
    "1006-\n"
    "1002-tor1       BGP        ---        up     20:10:47.155  Established   \n"
    "1006-  BGP state:          Established\n"
    "     Neighbor address: 10.9.0.2\n"
    "   Channel ipv4\n"
    "     State:          UP\n"
    "     Routes:         0 imported, 2 exported, 0 preferred\n"
    "   Channel ipv6\n"
    "     Routes:         0 imported, 1 exported, 0 preferred\n"
    "1002-tor2       BGP        ---        start  20:10:41.000  Active        Socket: Connection refused\n"
    "1006-  BGP state:          Active\n"
    "     Last error:       Socket: Connection refused\n"
    "1002-others     BGP        ---        up     20:10:41.000  Established   \n"
    "1006-  BGP state:          Established\n"
    "0000 \n";

TEST(Peers, BirdsAnswerIsReadPeerByPeer) {
    const auto got = read_bird(kBird, settings());
    const auto& peers = std::get<std::vector<PeerState>>(got);
    ASSERT_EQ(peers.size(), 2U);
    EXPECT_EQ(peers[0],
              (PeerState{"tor1", *IpAddress::parse("10.9.0.2"), 64513, true, "Established", "20:10:47.155", 3, {}}));
    EXPECT_EQ(peers[1], (PeerState{"tor2", *IpAddress::parse("10.9.0.3"), 64514, false, "Active", "20:10:41.000", 0,
                                   "Socket: Connection refused"}));
}

TEST(Peers, APeerThatTheDaemonDoesNotHaveIsToldSo) {
    const auto got = read_bird("0000 \n", settings());
    EXPECT_EQ(std::get<std::vector<PeerState>>(got)[0].state, "unknown to the daemon");
}

TEST(Peers, BirdsRefusalIsTold) {
    const auto got = read_bird("9001 syntax error\n", settings());
    EXPECT_EQ(std::get<std::string>(got), "BIRD answers: syntax error");
}

/// As bgpd of FRR 8.4 sends it, shortened.
constexpr const char* kFrr =
    R"({"10.9.0.2": {"remoteAs": 64513, "bgpState": "Established", "bgpTimerUpString": "00:01:02",
    "lastResetDueTo": "Waiting for peer OPEN", "addressFamilyInfo": {"ipv4Unicast": {"sentPrefixCounter": 2}, "ipv6Unicast": {"sentPrefixCounter": 1}}},
    "10.9.0.3": {"bgpState": "Active", "lastResetDueTo": "No AFI/SAFI activated for peer"}})";

TEST(Peers, FrrsAnswerIsReadPeerByPeer) {
    const auto got = read_frr(kFrr, settings());
    const auto& peers = std::get<std::vector<PeerState>>(got);
    EXPECT_EQ(peers[0],
              (PeerState{"tor1", *IpAddress::parse("10.9.0.2"), 64513, true, "Established", "00:01:02", 3, {}}));
    EXPECT_EQ(peers[1].state, "Active");
    EXPECT_EQ(peers[1].last_error, "No AFI/SAFI activated for peer");
}

TEST(Peers, AnswersCutAnywhereAndOfOtherShapesHarmNothing) {
    for (const std::string whole : {kBird, kFrr}) {
        for (std::size_t length = 0; length <= whole.size(); ++length) {
            read_bird(whole.substr(0, length), settings());
            read_frr(whole.substr(0, length), settings());
        }
    }
    for (const char* odd :
         {"[]", "{\"10.9.0.2\": 5}",
          "{\"10.9.0.2\": {\"bgpState\": 7, \"addressFamilyInfo\": [1, {\"sentPrefixCounter\": -1}]}}",
          "{\"10.9.0.2\": {\"addressFamilyInfo\": {\"x\": 3}}}"}) {
        read_frr(odd, settings());
    }
}

TEST(Peers, ADaemonThatIsNotThereIsToldByItsSocket) {
    BgpSettings bird = settings();
    const auto got = ask_peers(bird);
    EXPECT_EQ(std::get<std::string>(got), "/nowhere/bird.ctl: No such file or directory");
    bird.daemon = Daemon::frr;
    bird.socket = "/nowhere";
    const auto asked = ask_peers(bird);
    EXPECT_EQ(std::get<std::string>(asked), "/nowhere/bgpd.vty: No such file or directory");
}

}  // namespace
}  // namespace guideway::announce
