#include "controlplane/announce/render.h"

#include <cstdio>
#include <filesystem>
#include <fstream>
#include <unistd.h>

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

IpAddress address_of(const char* text) { return *IpAddress::parse(text); }

struct PasswordFile {
    std::string path = std::filesystem::temp_directory_path() / ("guideway-password-" + std::to_string(::getpid()));
    explicit PasswordFile(const std::string& text) { std::ofstream(path) << text; }
    PasswordFile(const PasswordFile&) = delete;
    PasswordFile& operator=(const PasswordFile&) = delete;
    ~PasswordFile() { std::remove(path.c_str()); }
};

BgpSettings settings(Daemon daemon) {
    BgpSettings out;
    out.daemon = daemon;
    out.asn = 64512;
    out.router_id = address_of("192.0.2.1");
    out.long_lived_seconds = 3600;
    BgpPeer tor{.name = "tor1", .address = address_of("192.0.2.254"), .asn = 64513};
    tor.bfd = true;
    tor.families = {IpFamily::ipv4};
    BgpPeer far{.name = "far", .address = address_of("2001:db8::9"), .asn = 64514};
    far.multihop = 4;
    far.families = {IpFamily::ipv4, IpFamily::ipv6};
    far.next_hop_ipv4 = address_of("192.0.2.1");
    out.peers = {tor, far};
    Advertisement office{.name = "office"};
    office.communities = {"64512:7", "64512:1:2", "no-export"};
    office.med = 50;
    Advertisement edge{.name = "edge"};
    edge.peers = {"far"};
    edge.local_preference = 200;
    out.advertisements = {office, edge};
    return out;
}

std::string text_of(const BgpSettings& settings) { return std::get<Rendered>(render(settings)).text; }

void expect_lines(const std::string& text, std::initializer_list<const char*> lines) {
    std::size_t at = 0;
    for (const char* line : lines) {
        const std::size_t found = text.find(line, at);
        EXPECT_NE(found, std::string::npos) << "not there, or not after the one before: " << line << "\n" << text;
        if (found != std::string::npos) at = found;
    }
}

TEST(Render, BirdTakesOurRoutesFromTheTableAndGivesThemTheirAttributes) {
    const std::string text = text_of(settings(Daemon::bird));
    expect_lines(text, {"ipv4 table guideway4;", "kernel table 173;", "learn;", "import where krt_source = 73;"});
    expect_lines(
        text, {"filter guideway_to_tor1 {", "if krt_metric = 100 then {", "bgp_community.add((64512,7));",
               "bgp_large_community.add((64512,1,2));", "bgp_community.add((65535,65281));", "bgp_med = 50;", "accept;",
               "reject;", "protocol bgp tor1 {", "local as 64512;", "neighbor 192.0.2.254 port 179 as 64513;",
               "router id 192.0.2.1;", "bfd on;", "graceful restart on;", "long lived stale time 3600;",
               "ipv4 { table guideway4; import none; export filter guideway_to_tor1; next hop self; };"});
    expect_lines(text, {"filter guideway_to_far {", "if krt_metric = 101 then {", "bgp_local_pref = 200;",
                        "bgp_next_hop = 192.0.2.1;", "multihop 4;", "ipv6 { table guideway6;"});
}

TEST(Render, AnAdvertisementForSomePeersIsNotInTheFilterOfOthers) {
    const std::string text = text_of(settings(Daemon::bird));
    const std::size_t begin = text.find("filter guideway_to_tor1");
    EXPECT_EQ(text.substr(begin, text.find("protocol bgp tor1") - begin).find("krt_metric = 101"), std::string::npos);
}

TEST(Render, FrrTellsOurRoutesFromOthersAndTheMetricDoesNotGoOut) {
    const std::string text = text_of(settings(Daemon::frr));
    expect_lines(text, {"route-map guideway-ipv4 permit 10", " match metric 100", " match ip next-hop type blackhole",
                        "route-map guideway-ipv4 deny 65000"});
    expect_lines(text, {"route-map guideway-to-tor1-ipv4 permit 10", " match metric 100", " set origin igp",
                        " set metric 50", " set community 64512:7 no-export", " set large-community 64512:1:2"});
    expect_lines(text, {"route-map guideway-to-far-ipv4 permit 20", " match metric 101", " set metric 0",
                        " set local-preference 200", " set ip next-hop 192.0.2.1"});
    expect_lines(text, {"router bgp 64512", " bgp router-id 192.0.2.1", " coalesce-time 0",
                        " bgp graceful-restart select-defer-time 0", " neighbor 192.0.2.254 remote-as 64513",
                        " neighbor 192.0.2.254 bfd profile guideway", " neighbor 2001:db8::9 ebgp-multihop 4",
                        "redistribute kernel route-map guideway-ipv4",
                        "neighbor 192.0.2.254 route-map guideway-to-tor1-ipv4 out"});
}

TEST(Render, APasswordComesFromItsFile) {
    const PasswordFile file("s3cret!\nsecond line\n");
    for (const auto& [daemon, line] : {std::pair(Daemon::bird, "password \"s3cret!\";"),
                                       std::pair(Daemon::frr, "neighbor 192.0.2.254 password s3cret!\n")}) {
        BgpSettings with = settings(daemon);
        with.peers[0].password_file = file.path;
        expect_lines(text_of(with), {line});
    }
}

TEST(Render, APasswordThatCannotBeUsedIsToldWithoutBeingShown) {
    for (const char* bad : {"", "two words\n", "quo\"te\n", "back\\slash\n"}) {
        const PasswordFile file(bad);
        BgpSettings with = settings(Daemon::bird);
        with.peers[0].password_file = file.path;
        const auto got = render(with);
        const auto* error = std::get_if<std::string>(&got);
        ASSERT_NE(error, nullptr) << bad;
        EXPECT_NE(error->find("of peer tor1"), std::string::npos) << *error;
        EXPECT_EQ(error->find("two words"), std::string::npos);
    }
    BgpSettings with = settings(Daemon::bird);
    with.peers[0].password_file = "/nowhere/at/all";
    const auto got = render(with);
    ASSERT_NE(std::get_if<std::string>(&got), nullptr);
    EXPECT_NE(std::get<std::string>(got).find("No such file"), std::string::npos);
}

}  // namespace
}  // namespace guideway::announce
