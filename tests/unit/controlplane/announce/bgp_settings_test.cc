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

std::string named(const std::string& name) {
    return "bgp: { daemon = \"bird\"; asn = 1; peers = ( { name = \"" + name +
           "\"; address = \"192.0.2.1\"; asn = 2; } ); };";
}
std::string at(const std::string& address) {
    return "bgp: { daemon = \"bird\"; asn = 1; peers = ( { name = \"tor1\"; address = \"" + address +
           "\"; asn = 2; } ); };";
}
std::string two_ports(const std::string& daemon) {
    return "bgp: { daemon = \"" + daemon + "\"; asn = 64512; peers = ( { " + kPeer +
           " }, { name = \"tor2\"; address = \"192.0.2.254\"; port = 1790; asn = 64513; } ); };";
}
/// Peers tor1 (IPv4), tor2 (IPv4) and tor3 (IPv6), and these advertisements.
std::string with_advertisements(const std::string& all) {
    return "bgp: { daemon = \"bird\"; asn = 64512; peers = ( { " + kPeer +
           " }, { name = \"tor2\"; address = \"192.0.2.253\"; asn = 64513; }, { name = \"tor3\"; address = "
           "\"2001:db8::3\"; "
           "asn = 64513; } ); advertisements = ( " +
           all + " ); };";
}

TEST(BgpSettings, APeerThatOnlyALaterAdvertisementOfTheSameRoutesNamesIsRefused) {
    const std::string first = "{ name = \"a\"; pools = [ \"office\" ]; peers = [ \"tor1\" ]; }, ";
    const std::string fault =
        "controlplane.bgp.advertisements[1].peers: found \"tor2\" for routes that \"a\" makes too, without \"tor2\", "
        "allowed the peers of \"a\"";
    for (const char* second : {
             "{ name = \"b\"; pools = [ \"office\" ]; peers = [ \"tor2\" ]; }",
             "{ name = \"b\"; pools = [ \"lab\", \"office\" ]; peers = [ \"tor1\", \"tor2\" ]; }",
             "{ name = \"b\"; }",
             "{ name = \"b\"; aggregation_length_ipv6 = 64; peers = [ \"tor2\" ]; }",
         }) {
        const std::string report = read(with_advertisements(first + second)).report;
        EXPECT_NE(report.find(fault), std::string::npos) << second << "\n" << report;
    }
    for (const char* second : {
             "{ name = \"b\"; pools = [ \"lab\" ]; peers = [ \"tor2\" ]; }",
             "{ name = \"b\"; pools = [ \"office\" ]; peers = [ \"tor1\" ]; }",
             // Another length makes other routes; IPv6, of one length in both, is not told to tor2.
             "{ name = \"b\"; pools = [ \"office\" ]; aggregation_length = 24; peers = [ \"tor2\" ]; }",
         }) {
        EXPECT_EQ(read(with_advertisements(first + second)).report, "") << second;
    }
    EXPECT_NE(read(with_advertisements(first + "{ name = \"b\"; aggregation_length = 24; peers = [ \"tor3\" ]; }"))
                  .report.find("found \"tor3\" for routes that \"a\" makes too"),
              std::string::npos);
    EXPECT_EQ(read(with_advertisements("{ name = \"a\"; }, { name = \"b\"; peers = [ \"tor2\" ]; }")).report, "")
        << "the first tells everybody";
}

TEST(BgpSettings, WhatOnlyBirdOrOnlyFrrCannotHaveTheOtherMay) {
    EXPECT_EQ(read(two_ports("bird")).report, "");
    EXPECT_EQ(
        read("bgp: { daemon = \"frr\"; asn = 1; peers = ( { name = \"bfd\"; address = \"192.0.2.1\"; asn = 2; } ); };")
            .report,
        "");
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
        {named("bfd"), "controlplane.bgp.peers[0].name: found \"bfd\", allowed others than the words of BIRD's"},
        {named("bgp"), "controlplane.bgp.peers[0].name: found \"bgp\""},
        {named("guideway_kernel4"), "controlplane.bgp.peers[0].name: found \"guideway_kernel4\", allowed names that"},
        {at("fe80::1"), "controlplane.bgp.peers[0].address: found \"fe80::1\", allowed others than link-local"},
        {at("224.0.0.5"), "controlplane.bgp.peers[0].address: found \"224.0.0.5\", allowed an address of one machine"},
        {at("255.255.255.255"), "controlplane.bgp.peers[0].address: found \"255.255.255.255\""},
        {at("240.0.0.1"), "controlplane.bgp.peers[0].address: found \"240.0.0.1\""},
        {at("ff02::1"), "controlplane.bgp.peers[0].address: found \"ff02::1\""},
        {at("::ffff:192.0.2.1"), "controlplane.bgp.peers[0].address: found \"::ffff:"},
        {with_peer("source = \"224.0.0.1\";"), "controlplane.bgp.peers[0].source: found \"224.0.0.1\""},
        {with_peer("next_hop_ipv4 = \"224.0.0.1\";"), "controlplane.bgp.peers[0].next_hop_ipv4: found"},
        {two_ports("frr"), "controlplane.bgp.peers[1].address: found \"192.0.2.254\" twice, allowed once with daemon"},
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
