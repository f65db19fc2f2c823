#include "dataplane/config/dataplane_config.h"

#include <string>

#include <gtest/gtest.h>

namespace guideway::config {
namespace {

/// A small good file; each test puts one thing wrong. Line numbers are counted from `dataplane:` on line 1.
std::string file_with(const std::string& port_extra, const std::string& dataplane_extra = "") {
    return "dataplane:\n"                                                     // 1
           "{\n"                                                              // 2
           "  ports = ( {\n"                                                  // 3
           "    name = \"client0\"; interface = \"eth1\";\n"                  // 4
           "    addresses = [ \"192.0.2.1/24\", \"2001:db8:1::1/64\" ];\n" +  // 5
           port_extra +
           "\n"          // 6
           "  } );\n" +  // 7
           dataplane_extra +
           "\n"  // 8
           "};\n";
}

std::string report_of(const std::string& text) { return parse_dataplane_config(text, "x.cfg").report; }

TEST(DataplaneConfig, TheSampleIsRight) {
    const auto loaded = load_dataplane_config(SAMPLE_CONFIG);
    ASSERT_TRUE(loaded.config) << loaded.report;
    const DataplaneConfig& config = *loaded.config;
    ASSERT_EQ(config.ports.size(), 2U);
    EXPECT_EQ(config.ports[0].name, "client0");
    EXPECT_EQ(config.ports[0].twin_name(), "gw-client0");
    EXPECT_EQ(config.ports[0].kind, PortKind::interface);
    EXPECT_EQ(config.ports[0].driver, InterfaceDriver::automatic);
    ASSERT_EQ(config.ports[1].addresses.size(), 2U);
    EXPECT_EQ(config.ports[1].addresses[0].to_string(), "10.0.2.1/24");
    ASSERT_EQ(config.snat_addresses.size(), 2U);
    EXPECT_EQ(config.snat_addresses[1].to_string(), "fd00:2::100");
    EXPECT_EQ(config.workers.count, 1U);
    EXPECT_EQ(config.workers.idle, Idle::adaptive);
    EXPECT_EQ(config.control_socket, "/run/guideway/dataplane.sock");
}

TEST(DataplaneConfig, WhatIsNotGivenHasItsDefault) {
    const auto loaded = parse_dataplane_config(file_with(""), "x.cfg");
    ASSERT_TRUE(loaded.config) << loaded.report;
    EXPECT_EQ(loaded.config->ports[0].mtu, 1500);
    EXPECT_EQ(loaded.config->timeouts.tcp_established, 7440U);
    EXPECT_EQ(loaded.config->memory.huge_pages, HugePages::automatic);
    EXPECT_EQ(loaded.config->refusals_per_second, 1000U);
    EXPECT_EQ(loaded.config->icmp_errors_per_second, 1000U);
    EXPECT_EQ(loaded.config->refusals_per_source, 100U);
    EXPECT_EQ(loaded.config->source_prefix_ipv4, 24);
    EXPECT_EQ(loaded.config->source_prefix_ipv6, 56);
    EXPECT_EQ(loaded.config->kernel_packets_per_second, 20000U);
    EXPECT_EQ(loaded.config->ports[0].source_check, SourceCheck::off);
    EXPECT_EQ(loaded.config->ports[0].replies, Replies::routes);
    EXPECT_EQ(loaded.config->echo, EchoReplies::always);
    EXPECT_EQ(loaded.config->fragments.datagrams, 4096U);
    EXPECT_EQ(loaded.config->fragments.remember_seconds, 5U);
    EXPECT_FALSE(loaded.config->mss_clamp_auto);
    EXPECT_EQ(loaded.config->mss_clamp, 0U);
    EXPECT_EQ(loaded.config->announce_repeats, 3U);
    EXPECT_EQ(loaded.config->announce_per_second, 1000U);
    EXPECT_FALSE(loaded.config->conflict_yield);
    EXPECT_EQ(loaded.config->conflict_quiet_seconds, 60U);
    EXPECT_EQ(loaded.config->timeouts.udp_one_way, 30U);
    EXPECT_EQ(loaded.config->flows_file, "auto");
    EXPECT_EQ(loaded.config->affinity_clients, 65536U);
    EXPECT_EQ(loaded.config->half_open_of(65536), 16384U);
    EXPECT_EQ(loaded.config->half_open_of(1), 1U);
}

TEST(DataplaneConfig, ReadsEveryField) {
    const auto loaded = parse_dataplane_config(
        file_with(
            "source_check = \"strict\"; replies = \"last_hop\"; mtu = 9000; driver = \"af_packet\"; routes = ( { to = "
            "\"0.0.0.0/0\"; via = "
            "\"192.0.2.254\"; } );",
            "snat_addresses = [ \"10.0.2.100\" ]; workers = 2; cores = [ 0, 1 ]; idle = \"busy\";"
            "memory: { huge_pages = \"never\"; megabytes = 512; }; flows: { ipv4 = 2048; ipv6 = 1024; half_open "
            "= 1000; affinity_clients = 500; file = \"/dev/shm/x\"; };"
            "limits: { services = 10; backends = 20; }; timeouts: { udp_one_way = 7; udp = 30; }; "
            "refusals_per_source = 5; source_prefix_ipv4 = 32; source_prefix_ipv6 = 64; kernel_packets_per_second = 0; "
            "refusals_per_second = 0; icmp_errors_per_second = 7; echo = \"while_serving\"; tcp_mss_clamp = \"1360\";"
            "fragments: { datagrams = 64; held_kilobytes = 256; hold_milliseconds = 100; remember_seconds = 2; };"
            "announce: { repeats = 5; per_second = 50; on_conflict = \"yield\"; conflict_quiet_seconds = 5; };"
            "control_socket = \"/tmp/s\"; state_file = \"/tmp/f\"; log: { level = \"debug\"; };"),
        "x.cfg");
    ASSERT_TRUE(loaded.config) << loaded.report;
    const DataplaneConfig& config = *loaded.config;
    EXPECT_EQ(config.ports[0].mtu, 9000);
    EXPECT_EQ(config.ports[0].source_check, SourceCheck::strict);
    EXPECT_EQ(config.ports[0].replies, Replies::last_hop);
    EXPECT_EQ(config.refusals_per_source, 5U);
    EXPECT_EQ(config.source_prefix_ipv4, 32);
    EXPECT_EQ(config.source_prefix_ipv6, 64);
    EXPECT_EQ(config.kernel_packets_per_second, 0U);
    EXPECT_EQ(config.ports[0].driver, InterfaceDriver::af_packet);
    ASSERT_EQ(config.ports[0].routes.size(), 1U);
    EXPECT_EQ(config.ports[0].routes[0].to.length, 0);
    EXPECT_EQ(config.ports[0].routes[0].via.to_string(), "192.0.2.254");
    EXPECT_EQ(config.workers.count, 2U);
    EXPECT_EQ(config.workers.cores, (std::vector<std::uint32_t>{0, 1}));
    EXPECT_EQ(config.workers.idle, Idle::busy);
    EXPECT_EQ(config.memory.huge_pages, HugePages::never);
    EXPECT_EQ(config.memory.megabytes, 512U);
    EXPECT_EQ(config.flows_ipv4, 2048U);
    EXPECT_EQ(config.flows_half_open, 1000U);
    EXPECT_EQ(config.affinity_clients, 500U);
    EXPECT_EQ(config.half_open_of(config.flows_ipv4), 1000U);
    EXPECT_EQ(config.flows_file, "/dev/shm/x");
    EXPECT_EQ(config.timeouts.udp_one_way, 7U);
    EXPECT_EQ(config.limit_services, 10U);
    EXPECT_EQ(config.limit_backends, 20U);
    EXPECT_EQ(config.timeouts.udp, 30U);
    EXPECT_EQ(config.refusals_per_second, 0U);
    EXPECT_EQ(config.icmp_errors_per_second, 7U);
    EXPECT_EQ(config.echo, EchoReplies::while_serving);
    EXPECT_EQ(config.mss_clamp, 1360U);
    EXPECT_EQ(config.fragments.datagrams, 64U);
    EXPECT_EQ(config.fragments.held_kilobytes, 256U);
    EXPECT_EQ(config.fragments.hold_milliseconds, 100U);
    EXPECT_EQ(config.fragments.remember_seconds, 2U);
    EXPECT_EQ(config.announce_repeats, 5U);
    EXPECT_EQ(config.announce_per_second, 50U);
    EXPECT_TRUE(config.conflict_yield);
    EXPECT_EQ(config.conflict_quiet_seconds, 5U);
    EXPECT_EQ(config.control_socket, "/tmp/s");
    EXPECT_EQ(config.log_level, "debug");
}

TEST(DataplaneConfig, VlansArePortsBehindTheRealOnes) {
    const auto loaded = parse_dataplane_config(
        file_with("mtu = 1600; vlans = ( { id = 100; addresses = [ \"10.0.1.1/24\" ]; routes = ( { to = \"0.0.0.0/0\"; "
                  "via = \"10.0.1.2\"; } ); source_check = \"loose\"; replies = \"last_hop\"; },"
                  "{ id = 100; outer = 10; name = \"provider\"; mtu = 1700; } );"),
        "x.cfg");
    ASSERT_TRUE(loaded.config) << loaded.report;
    const auto& ports = loaded.config->ports;
    ASSERT_EQ(ports.size(), 3U);
    EXPECT_EQ(ports[0].mtu, 1600);
    EXPECT_EQ(ports[0].wire_mtu, 1708);  // the larger VLAN's and its two tags
    EXPECT_EQ(ports[1].name, "client0.100");
    EXPECT_EQ(ports[1].twin_name(), "gw-client0.100");
    EXPECT_EQ(ports[1].kind, PortKind::vlan);
    EXPECT_EQ(ports[1].vlan_id, 100);
    EXPECT_EQ(ports[1].vlan_outer, 0);
    EXPECT_EQ(ports[1].lies_on, 0U);
    EXPECT_EQ(ports[1].mtu, 1600);
    EXPECT_EQ(ports[1].routes.size(), 1U);
    EXPECT_EQ(ports[1].source_check, SourceCheck::loose);
    EXPECT_EQ(ports[0].replies, Replies::routes);
    EXPECT_EQ(ports[1].replies, Replies::last_hop);
    EXPECT_EQ(ports[2].name, "provider");
    EXPECT_EQ(ports[2].vlan_outer, 10);
    EXPECT_EQ(ports[2].mtu, 1700);
}

TEST(DataplaneConfig, SidesGivePortsAndVlansATableEach) {
    const auto loaded =
        parse_dataplane_config(file_with("side = \"clients\"; vlans = ( { id = 100; side = \"nodes\"; } );",
                                         "sides = { nodes_table = 2002; };"),
                               "x.cfg");
    ASSERT_TRUE(loaded.config) << loaded.report;
    EXPECT_TRUE(loaded.config->sides_apart());
    EXPECT_EQ(loaded.config->ports[0].side, Side::clients);
    EXPECT_EQ(loaded.config->ports[0].table, 1001U);
    EXPECT_EQ(loaded.config->ports[1].side, Side::nodes);
    EXPECT_EQ(loaded.config->ports[1].table, 2002U);

    const auto together = parse_dataplane_config(file_with(""), "x.cfg");
    ASSERT_TRUE(together.config) << together.report;
    EXPECT_FALSE(together.config->sides_apart());
    EXPECT_EQ(together.config->ports[0].table, 254U) << "the kernel's main table";
}

TEST(DataplaneConfig, TheControlPlanesSectionIsAnotherProgramsMatter) {
    EXPECT_EQ(report_of(file_with("") + "controlplane: { anything = 7; };\n"), "");
    const std::string report = report_of(file_with("") + "control: { anything = 7; };\n");
    EXPECT_NE(report.find("x.cfg:10: control: "), std::string::npos) << report;
}

struct Wrong {
    const char* name;
    const char* port_extra;
    const char* dataplane_extra;
    const char* place;     ///< file, line and field
    const char* contains;  ///< of the message
};

class WrongConfig : public ::testing::TestWithParam<Wrong> {};

TEST_P(WrongConfig, IsNamedWithLineFieldAndWhatIsAllowed) {
    const std::string report = report_of(file_with(GetParam().port_extra, GetParam().dataplane_extra));
    EXPECT_NE(report.find(GetParam().place), std::string::npos) << report;
    EXPECT_NE(report.find(GetParam().contains), std::string::npos) << report;
}

INSTANTIATE_TEST_SUITE_P(
    Each, WrongConfig,
    ::testing::Values(
        Wrong{"mtu", "mtu = 70000;", "", "x.cfg:6: dataplane.ports[0].mtu: ", "found 70000, allowed 1280..9000"},
        Wrong{"driver", "driver = \"dpdk\";", "", "x.cfg:6: dataplane.ports[0].driver: ", "found \"dpdk\""},
        Wrong{"two_devices", "pci = \"0000:03:00.0\";", "", "x.cfg:6: dataplane.ports[0].pci: ", "exactly one of"},
        Wrong{"pci", "pci = \"3:0\";", "", "x.cfg:6: dataplane.ports[0].pci: ", "PCI address"},
        Wrong{"unknown_key", "adresses = [];", "", "x.cfg:6: dataplane.ports[0].adresses: ", "addresses"},
        Wrong{"route_prefix", "routes = ( { to = \"10.0.0.1/8\"; via = \"192.0.2.2\"; } );", "",
              "x.cfg:6: dataplane.ports[0].routes[0].to: ", "without host bits"},
        Wrong{"route_family", "routes = ( { to = \"::/0\"; via = \"192.0.2.2\"; } );", "",
              "x.cfg:6: dataplane.ports[0].routes[0].via: ", "family"},
        Wrong{"route_away", "routes = ( { to = \"0.0.0.0/0\"; via = \"198.51.100.1\"; } );", "",
              "x.cfg:6: dataplane.ports[0].routes[0].via: ", "within the port's own prefixes"},
        Wrong{"snat_text", "", "snat_addresses = [ \"10.0.2.100/24\" ];",
              "x.cfg:8: dataplane.snat_addresses[0]: ", "unicast IPv4 or IPv6"},
        Wrong{"snat_multicast", "", "snat_addresses = [ \"224.0.0.1\" ];",
              "x.cfg:8: dataplane.snat_addresses[0]: ", "unicast"},
        Wrong{"snat_twice", "", "snat_addresses = [ \"10.0.2.9\", \"10.0.2.9\" ];",
              "x.cfg:8: dataplane.snat_addresses[1]: ", "twice"},
        Wrong{"snat_of_port", "", "snat_addresses = [ \"192.0.2.1\" ];",
              "x.cfg:8: dataplane.snat_addresses[0]: ", "port \"client0\""},
        Wrong{"workers", "", "workers = 17;", "x.cfg:8: dataplane.workers: ", "found 17, allowed 1..16"},
        Wrong{"cores", "", "workers = 2; cores = [ 0 ];",
              "x.cfg:8: dataplane.cores: ", "one for each of the 2 workers"},
        Wrong{"idle", "", "idle = \"lazy\";", "x.cfg:8: dataplane.idle: ", "found \"lazy\""},
        Wrong{"huge", "", "memory: { huge_pages = \"yes\"; };", "x.cfg:8: dataplane.memory.huge_pages: ", "require"},
        Wrong{"megabytes", "", "memory: { megabytes = 1; };", "x.cfg:8: dataplane.memory.megabytes: ", "found 1"},
        Wrong{"flows", "", "flows: { ipv4 = 5; };", "x.cfg:8: dataplane.flows.ipv4: ", "found 5"},
        Wrong{"half_open", "", "flows: { ipv4 = 4096; ipv6 = 2048; half_open = 2049; };",
              "x.cfg:8: dataplane.flows.half_open: ", "found 2049, allowed 0..2048"},
        Wrong{"affinity_clients", "", "flows: { affinity_clients = 16777217; };",
              "x.cfg:8: dataplane.flows.affinity_clients: ", "found 16777217, allowed 0..16777216"},
        Wrong{"half_open_negative", "", "flows: { half_open = -1; };",
              "x.cfg:8: dataplane.flows.half_open: ", "found -1, allowed 0.."},
        Wrong{"flow_file", "", "flows: { file = \"here\"; };",
              "x.cfg:8: dataplane.flows.file: ", "found \"here\", allowed \"auto\", \"none\" or the absolute path"},
        Wrong{"udp_one_way", "", "timeouts: { udp_one_way = 0; };",
              "x.cfg:8: dataplane.timeouts.udp_one_way: ", "found 0"},
        Wrong{"limits", "", "limits: { services = 70000; };", "x.cfg:8: dataplane.limits.services: ", "1..65535"},
        Wrong{"timeout", "", "timeouts: { udp = 0; };", "x.cfg:8: dataplane.timeouts.udp: ", "found 0"},
        Wrong{"socket", "", "control_socket = \"run/x\";", "x.cfg:8: dataplane.control_socket: ", "absolute path"},
        Wrong{"replies", "replies = \"back\";", "", "x.cfg:6: dataplane.ports[0].replies: ", "found \"back\", allowed"},
        Wrong{"source_check", "source_check = \"yes\";", "",
              "x.cfg:6: dataplane.ports[0].source_check: ", "found \"yes\", allowed"},
        Wrong{"side", "side = \"inside\";", "", "x.cfg:6: dataplane.ports[0].side: ", "found \"inside\", allowed"},
        Wrong{"side_alone", "side = \"clients\";", "",
              "dataplane.ports: ", "found ports of the side \"clients\" alone, allowed some of each side"},
        Wrong{"side_missing", "side = \"clients\"; vlans = ( { id = 7; side = \"nodes\"; }, { id = 8; } );", "",
              "dataplane.ports: ", "found no side at \"client0.8\", allowed one at each port and VLAN, or at none"},
        Wrong{"sides_without", "", "sides = { clients_table = 1001; };",
              "x.cfg:8: dataplane.sides: ", "found beside ports without side"},
        Wrong{"sides_table", "", "sides = { clients_table = 254; };",
              "x.cfg:8: dataplane.sides.clients_table: ", "found 254, allowed 256..2147483647"},
        Wrong{"sides_one_table", "", "sides = { clients_table = 1002; };",
              "x.cfg:8: dataplane.sides.nodes_table: ", "found 1002, which clients_table is already"},
        Wrong{"prefix_v4", "", "source_prefix_ipv4 = 33;",
              "x.cfg:8: dataplane.source_prefix_ipv4: ", "found 33, allowed 8..32"},
        Wrong{"prefix_v6", "", "source_prefix_ipv6 = 128;",
              "x.cfg:8: dataplane.source_prefix_ipv6: ", "found 128, allowed 32..64"},
        Wrong{"refusals_per_source", "", "refusals_per_source = -1;",
              "x.cfg:8: dataplane.refusals_per_source: ", "found -1, allowed 0..1000000"},
        Wrong{"vlan_id", "vlans = ( { id = 4095; } );", "",
              "x.cfg:6: dataplane.ports[0].vlans[0].id: ", "found 4095, allowed 1..4094"},
        Wrong{"vlan_outer_alone", "vlans = ( { outer = 10; } );", "", "dataplane.ports[0].vlans[0].id: ", "missing"},
        Wrong{"vlan_outer", "vlans = ( { id = 1; outer = 0; } );", "",
              "x.cfg:6: dataplane.ports[0].vlans[0].outer: ", "found 0, allowed 1..4094"},
        Wrong{"vlan_twice", "vlans = ( { id = 7; outer = 10; name = \"a\"; }, { id = 7; outer = 10; name = \"b\"; } );",
              "", "x.cfg:6: dataplane.ports[0].vlans[1].id: ", "found 7 in outer 10 twice"},
        Wrong{"vlan_name", "vlans = ( { id = 7; outer = 1000; } );", "",
              "dataplane.ports[0].vlans[0].name: ", "\"client0.1000.7\" is too long, allowed 12 characters"},
        Wrong{"vlan_name_taken", "vlans = ( { id = 7; name = \"client0\"; } );", "",
              "x.cfg:6: dataplane.ports[0].vlans[0].name: ", "found \"client0\" twice"},
        Wrong{"vlan_address", "vlans = ( { id = 7; addresses = [ \"192.0.2.1/24\" ]; } );", "",
              "x.cfg:6: dataplane.ports[0].vlans[0].addresses: ", "which port \"client0\" has already"},
        Wrong{"vlan_mtu", "vlans = ( { id = 7; mtu = 9001; } );", "",
              "x.cfg:6: dataplane.ports[0].vlans[0].mtu: ", "found 9001, allowed 1280..9000"},
        Wrong{"vlan_key", "vlans = ( { id = 7; driver = \"auto\"; } );", "",
              "x.cfg:6: dataplane.ports[0].vlans[0].driver: ", ""},
        Wrong{"vlan_snat", "vlans = ( { id = 7; addresses = [ \"10.0.2.1/24\" ]; } );",
              "snat_addresses = [ \"10.0.2.1\" ];", "x.cfg:8: dataplane.snat_addresses[0]: ", "port \"client0.7\""},
        Wrong{"vlan_xdp", "driver = \"af_xdp\"; vlans = ( { id = 7; } );", "",
              "x.cfg:6: dataplane.ports[0].driver: ", "beside vlans, allowed \"auto\" or \"af_packet\""},
        Wrong{"kernel_rate", "", "kernel_packets_per_second = -1;",
              "x.cfg:8: dataplane.kernel_packets_per_second: ", "found -1, allowed 0..10000000"},
        Wrong{"icmp_rate", "", "icmp_errors_per_second = -1;",
              "x.cfg:8: dataplane.icmp_errors_per_second: ", "found -1, allowed 0..1000000"},
        Wrong{"fragments", "", "fragments: { datagrams = 4; };",
              "x.cfg:8: dataplane.fragments.datagrams: ", "found 4, allowed 16..1048576"},
        Wrong{"held", "", "fragments: { held_kilobytes = 64; };",
              "x.cfg:8: dataplane.fragments.held_kilobytes: ", "found 64, allowed 128..262144"},
        Wrong{"announce_repeats", "", "announce: { repeats = 11; };",
              "x.cfg:8: dataplane.announce.repeats: ", "found 11, allowed 0..10"},
        Wrong{"announce_on_conflict", "", "announce: { on_conflict = \"stop\"; };",
              "x.cfg:8: dataplane.announce.on_conflict: ", "found \"stop\", allowed \"defend\", \"yield\""},
        Wrong{"announce_quiet", "", "announce: { conflict_quiet_seconds = 0; };",
              "x.cfg:8: dataplane.announce.conflict_quiet_seconds: ", "found 0, allowed 1..86400"},
        Wrong{"announce_pace", "", "announce: { per_second = 0; };",
              "x.cfg:8: dataplane.announce.per_second: ", "found 0, allowed 1..100000"},
        Wrong{"echo", "", "echo = \"sometimes\";", "x.cfg:8: dataplane.echo: ", "while_serving"},
        Wrong{"mss_small", "", "tcp_mss_clamp = \"87\";", "x.cfg:8: dataplane.tcp_mss_clamp: ", "88 to 8960"},
        Wrong{"mss_large", "", "tcp_mss_clamp = \"8961\";", "x.cfg:8: dataplane.tcp_mss_clamp: ", "88 to 8960"},
        Wrong{"mss_text", "", "tcp_mss_clamp = \"1360b\";", "x.cfg:8: dataplane.tcp_mss_clamp: ", "found \"1360b\""},
        Wrong{"level", "", "log: { level = \"loud\"; };", "x.cfg:8: dataplane.log.level: ", "found \"loud\""},
        Wrong{"type", "", "workers = \"two\";", "x.cfg:8: dataplane.workers: ", "two"}),
    [](const auto& wrong) { return wrong.param.name; });

std::string with_bond(const std::string& bond, const std::string& more = "") {
    return "dataplane: { ports = ( { name = \"up\"; " + more + "\nbond = { " + bond +
           " };\n}, { name = \"other\"; interface = \"eth9\"; } ); };";
}

TEST(DataplaneConfig, ABondIsAPortOfSeveralDevices) {
    const auto loaded = parse_dataplane_config(
        with_bond(
            "mode = \"active-backup\"; members = ( { interface = \"eth0\"; }, { interface = \"eth1\"; } ); primary = "
            "\"eth1\"; up_delay_ms = 5;",
            "vlans = ( { id = 7; } );"),
        "x.cfg");
    ASSERT_TRUE(loaded.config) << loaded.report;
    const PortConfig& port = loaded.config->ports[0];
    EXPECT_EQ(port.kind, PortKind::bond);
    EXPECT_EQ(port.device, "eth0 + eth1");
    EXPECT_EQ(port.bond.mode, BondMode::active_backup);
    EXPECT_EQ(port.bond.kind, PortKind::interface);
    EXPECT_EQ(port.bond.members, (std::vector<std::string>{"eth0", "eth1"}));
    EXPECT_EQ(port.bond.primary, 1U);
    EXPECT_EQ(port.bond.up_delay_ms, 5U);
    EXPECT_EQ(port.driver, InterfaceDriver::af_packet);
    EXPECT_TRUE(port.is_of_interfaces());
    EXPECT_EQ(port.wire_mtu, 1504);
    EXPECT_EQ(loaded.config->ports[2].lies_on, 0U);

    const auto lacp = parse_dataplane_config(
        with_bond(
            "mode = \"lacp\"; lacp_rate = \"slow\"; members = ( { pci = \"03:00.0\"; }, { pci = \"03:00.1\"; } );"),
        "x.cfg");
    ASSERT_TRUE(lacp.config) << lacp.report;
    EXPECT_EQ(lacp.config->ports[0].bond.mode, BondMode::lacp);
    EXPECT_EQ(lacp.config->ports[0].bond.kind, PortKind::pci);
    EXPECT_FALSE(lacp.config->ports[0].bond.fast);
    EXPECT_FALSE(lacp.config->ports[0].bond.primary);
    EXPECT_EQ(lacp.config->ports[0].bond.up_delay_ms, 1000U);
}

TEST(DataplaneConfig, MistakesInABondAreNamed) {
    const std::string members = "members = ( { interface = \"eth0\"; }, { interface = \"eth1\"; } ); ";
    const std::string backup = "mode = \"active-backup\"; ";
    struct Mistake {
        std::string bond, more, field, words;
    };
    for (const Mistake& one : {
             Mistake{members, "", "x.cfg:2: dataplane.ports[0].bond.mode: ", "missing, allowed \"active-backup\""},
             Mistake{"mode = \"802.3ad\"; " + members, "",
                     "x.cfg:2: dataplane.ports[0].bond.mode: ", "found \"802.3ad\""},
             Mistake{backup, "", "dataplane.ports[0].bond.members: ", ""},
             Mistake{backup + "members = ( { interface = \"eth0\"; } );", "", "dataplane.ports[0].bond.members: ", "2"},
             Mistake{backup + "members = ( { interface = \"eth0\"; }, { interface = \"eth0\"; } );", "",
                     "dataplane.ports[0].bond.members[1].interface: ", "found \"eth0\" twice"},
             Mistake{backup + "members = ( { interface = \"eth0\"; }, { interface = \"eth9\"; } );", "",
                     "dataplane.ports[1].interface: ", "found \"eth9\", which port \"up\" has already"},
             Mistake{backup + "members = ( { interface = \"eth0\"; }, { interface = \"gw-up\"; } );", "",
                     "dataplane.ports[0].bond: ", "TAP twin"},
             Mistake{backup + "members = ( { interface = \"eth0\"; }, { pci = \"03:00.0\"; } );", "",
                     "dataplane.ports[0].bond.members[1].pci: ", "members of one kind"},
             Mistake{backup + "members = ( { interface = \"eth0\"; }, { } );", "",
                     "dataplane.ports[0].bond.members[1].interface: ", "missing, allowed one of interface, pci"},
             Mistake{backup + "members = ( { interface = \"eth0\"; pci = \"03:00.0\"; }, { interface = \"eth1\"; } );",
                     "", "dataplane.ports[0].bond.members[0].pci: ", "beside \"interface\""},
             Mistake{backup + "members = ( { interface = \"eth0\"; }, { vdev = \"net_null0\"; } );", "",
                     "dataplane.ports[0].bond.members[1].vdev: ", ""},
             Mistake{backup + members + "primary = \"eth2\";", "",
                     "dataplane.ports[0].bond.primary: ", "one of the members"},
             Mistake{"mode = \"lacp\"; " + members + "primary = \"eth0\";", "",
                     "dataplane.ports[0].bond.primary: ", "\"lacp\""},
             Mistake{backup + members + "lacp_rate = \"fast\";", "",
                     "dataplane.ports[0].bond.lacp_rate: ", "\"active-backup\""},
             Mistake{"mode = \"lacp\"; " + members + "up_delay_ms = 5;", "",
                     "dataplane.ports[0].bond.up_delay_ms: ", "\"active-backup\""},
             Mistake{backup + members + "up_delay_ms = -1;", "",
                     "dataplane.ports[0].bond.up_delay_ms: ", "allowed 0..600000"},
             Mistake{backup + members, "driver = \"af_xdp\";", "dataplane.ports[0].driver: ", "beside bond"},
             Mistake{backup + members, "interface = \"eth5\";", "dataplane.ports[0].bond: ", "beside \"interface\""},
         }) {
        const std::string report = report_of(with_bond(one.bond, one.more));
        const std::size_t at = report.find(one.field);
        ASSERT_NE(at, std::string::npos) << one.field << "\n" << report;
        EXPECT_NE(report.find(one.words, at), std::string::npos) << one.words << "\n" << report;
    }
    std::string nine = backup + "members = ( ";
    for (int i = 0; i < 9; ++i)
        nine += std::string(i == 0 ? "" : ", ") + "{ interface = \"e" + std::to_string(i) + "\"; }";
    EXPECT_NE(report_of(with_bond(nine + " );")).find("dataplane.ports[0].bond.members: "), std::string::npos);
}

TEST(DataplaneConfig, NamesAllMistakesAtOnce) {
    const std::string report = report_of(file_with("mtu = 1;", "workers = 0; idle = \"x\";"));
    EXPECT_NE(report.find("ports[0].mtu"), std::string::npos);
    EXPECT_NE(report.find("dataplane.workers"), std::string::npos);
    EXPECT_NE(report.find("dataplane.idle"), std::string::npos);
}

TEST(DataplaneConfig, PortsAreToldApart) {
    const std::string two =
        "dataplane: { ports = ( { name = \"a\"; interface = \"eth1\"; addresses = [\"192.0.2.1/24\"]; },\n"
        " { name = \"a\"; interface = \"eth1\"; addresses = [\"192.0.2.1/24\"]; } ); };";
    const std::string report = report_of(two);
    EXPECT_NE(report.find("x.cfg:2: dataplane.ports[1].name: found \"a\" twice"), std::string::npos) << report;
    EXPECT_NE(report.find("dataplane.ports[1].interface: "), std::string::npos) << report;
    EXPECT_NE(report.find("dataplane.ports[1].addresses: "), std::string::npos) << report;
}

TEST(DataplaneConfig, APortNeedsANameThatFitsItsTwinAndADevice) {
    const std::string report = report_of("dataplane: { ports = ( { name = \"thirteenchars\"; } ); };");
    EXPECT_NE(report.find("dataplane.ports[0].name: "), std::string::npos) << report;
    EXPECT_NE(report.find("dataplane.ports[0].interface: missing"), std::string::npos) << report;
}

TEST(DataplaneConfig, AFileThatIsNotThereIsNamed) {
    const auto loaded = load_dataplane_config("/nowhere/guideway.cfg");
    EXPECT_FALSE(loaded.config);
    EXPECT_NE(loaded.report.find("/nowhere/guideway.cfg"), std::string::npos);
}

}  // namespace
}  // namespace guideway::config
