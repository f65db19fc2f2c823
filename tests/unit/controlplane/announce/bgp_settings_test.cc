#include "controlplane/announce/bgp_settings.h"

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

struct Read {
    std::optional<BgpSettings> settings;
    std::string report;
};

Read read(const std::string& text) {
    config::Document document = config::Document::from_text("controlplane: { " + text + " };\n", "f");
    config::Section section = document.root().required_group("controlplane");
    Read out{read_bgp(section), {}};
    document.finish();
    out.report = document.report();
    return out;
}

const std::string kPeer = "name = \"tor1\"; address = \"192.0.2.254\"; asn = 64513;";

std::string with_peer(const std::string& more) {
    return "bgp: { daemon = \"bird\"; asn = 64512; peers = ( { " + kPeer + more + " } ); };";
}
std::string with_advertisement(const std::string& more) {
    return "bgp: { daemon = \"bird\"; asn = 64512; peers = ( { " + kPeer + " } ); advertisements = ( { name = \"a\"; " +
           more + " } ); };";
}

TEST(BgpSettings, WithoutTheGroupNothingIsAnnounced) { EXPECT_FALSE(read("").settings); }

TEST(BgpSettings, TheLeastThatIsSaidTellsEveryPeerOfEveryAddress) {
    const Read got = read(with_peer(""));
    EXPECT_EQ(got.report, "");
    EXPECT_EQ(got.settings->socket, "/run/bird/bird.ctl");
    EXPECT_EQ(got.settings->tables(), (KernelTables{173, 173}));
    ASSERT_EQ(got.settings->advertisements.size(), 1U);
    EXPECT_TRUE(BgpSettings::tells(got.settings->advertisements[0], got.settings->peers[0]));
    EXPECT_TRUE(got.settings->peers[0].carries(IpFamily::ipv4));
    EXPECT_FALSE(got.settings->peers[0].carries(IpFamily::ipv6));
}

TEST(BgpSettings, FrrGetsItsRoutesByTheMainTable) {
    const Read got = read("bgp: { daemon = \"frr\"; asn = 64512; };");
    EXPECT_EQ(got.report, "");
    EXPECT_EQ(got.settings->tables(), (KernelTables{254, 254}));
}

TEST(BgpSettings, EveryFaultIsNamedByField) {
    const std::pair<std::string, std::string> cases[] = {
        {"bgp: { daemon = \"quagga\"; asn = 1; };", "controlplane.bgp.daemon: found \"quagga\""},
        {"bgp: { daemon = \"bird\"; };", "controlplane.bgp.asn"},
        {"bgp: { daemon = \"bird\"; asn = 0; };", "controlplane.bgp.asn: found 0, allowed 1.."},
        {"bgp: { daemon = \"frr\"; asn = 1; table = 5; };", "controlplane.bgp.table"},
        {"bgp: { daemon = \"bird\"; asn = 1; table = 254; };", "controlplane.bgp.table: found 254, allowed 1..252"},
        {"bgp: { daemon = \"bird\"; asn = 1; router_id = \"::1\"; };", "controlplane.bgp.router_id"},
        {"bgp: { daemon = \"bird\"; asn = 1; graceful_restart = false; long_lived_seconds = 5; };",
         "controlplane.bgp.long_lived_seconds"},
        {"bgp: { daemon = \"bird\"; asn = 1; peers = ( { name = \"A\"; address = \"192.0.2.1\"; asn = 1; } ); };",
         "controlplane.bgp.peers[0].name: found \"A\""},
        {"bgp: { daemon = \"bird\"; asn = 1; peers = ( { " + kPeer + " }, { " + kPeer + " } ); };",
         "controlplane.bgp.peers[1].name: found \"tor1\" twice"},
        {with_peer("address_family = 4;"), "controlplane.bgp.peers[0].address_family"},
        {with_peer("families = [ \"IPv4\", \"IPv6\" ];"),
         "controlplane.bgp.peers[0].families: found IPv6 over IPv4 without next_hop_ipv6"},
        {with_peer("next_hop_ipv6 = \"2001:db8::1\";"), "controlplane.bgp.peers[0].next_hop_ipv6"},
        {with_peer("source = \"2001:db8::1\";"),
         "controlplane.bgp.peers[0].source: found \"2001:db8::1\", allowed an IPv4 address"},
        {with_peer("hold_seconds = 2;"), "controlplane.bgp.peers[0].hold_seconds: found 2, allowed 3..65535"},
        {with_advertisement("aggregation_length = 33;"), "controlplane.bgp.advertisements[0].aggregation_length"},
        {with_advertisement("communities = [ \"64512:70000\" ];"), "controlplane.bgp.advertisements[0].communities[0]"},
        {with_advertisement("peers = [ \"tor2\" ];"),
         "controlplane.bgp.advertisements[0].peers[0]: found \"tor2\", allowed the names of peers: \"tor1\""},
        {with_advertisement("med = -1;"), "controlplane.bgp.advertisements[0].med"},
    };
    for (const auto& [text, fault] : cases) {
        EXPECT_NE(read(text).report.find(fault), std::string::npos) << text << "\n" << read(text).report;
    }
}

TEST(BgpSettings, CommunitiesOfEitherKind) {
    for (const char* good :
         {"64512:7", "0:0", "65535:65535", "1:2:3", "4294967295:0:4294967295", "no-export", "no-advertise"}) {
        EXPECT_TRUE(is_community(good)) << good;
    }
    for (const char* bad :
         {"", "7", "64512:", ":7", "64512:7:", "65536:1", "1:2:3:4", "1:2:4294967296", "a:b", "1 :2", "-1:2", "1:2x"}) {
        EXPECT_FALSE(is_community(bad)) << bad;
    }
}

}  // namespace
}  // namespace guideway::announce
