// Ports on DPDK's null device, which keeps an RSS key and a redirection table as a NIC does but receives what it makes up.
#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <rte_dev.h>
#include <rte_eal.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dataplane/net/ports.h"

namespace guideway::net {
namespace {

rte_mempool* pool() {
    static rte_mempool* const instance = [] {
        std::array<std::string, 8> words{"ports_rss_test", "--no-huge", "--no-shconf", "--no-telemetry",
                                         "--no-pci",       "-m",        "64",          "--log-level=error"};
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) std::abort();
        return rte_pktmbuf_pool_create("ports_rss", 1023, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    }();
    return instance;
}

config::DataplaneConfig two_null_ports(std::uint32_t workers) {
    config::DataplaneConfig config;
    config.workers.count = workers;
    for (const char* name : {"a", "b"}) {
        config::PortConfig port;
        port.name = name;
        port.kind = config::PortKind::vdev;
        port.device = std::string("net_null_") + name + ",no-rx=1";
        port.mtu = 1500;
        config.ports.push_back(port);
    }
    return config;
}

TEST(PortsRss, TheDeviceHasOurKeyAndAnEvenTableAndTellsThem) {
    Ports ports;
    const auto error = ports.open(two_null_ports(3), pool());
    ASSERT_FALSE(error) << *error;
    const auto rss = ports.rss();
    ASSERT_EQ(rss.size(), 2U);
    for (const PortRss& port : rss) {
        EXPECT_EQ(port.rss.why_not, "") << port.name;
        EXPECT_EQ(port.rss.key, kRssKey) << port.name;
        EXPECT_EQ(port.worker_of_queue, (std::vector<std::uint16_t>{0, 1, 2}));
        ASSERT_EQ(port.rss.reta.size(), 128U);
        for (std::size_t i = 0; i < port.rss.reta.size(); ++i) ASSERT_EQ(port.rss.reta[i], i % 3) << port.name << i;
        EXPECT_TRUE(port.rss.hashes_ports_of[0][0]) << "TCP over IPv4";
        EXPECT_TRUE(port.rss.hashes_ports_of[1][1]) << "UDP over IPv6";
    }
    const Steering steering = decide_steering(rss, 3, 1024, 65535);
    EXPECT_EQ(steering.ways[0].way, "rss") << steering.summary;
}

TEST(PortsRss, WithOneQueueThereIsNothingToSteer) {
    Ports ports;
    const auto error = ports.open(two_null_ports(1), pool());
    ASSERT_FALSE(error) << *error;
    EXPECT_EQ(ports.rss()[0].rss.why_not, "one receive queue");
}

TEST(PortsRss, AKeyThatTheDeviceHasInsteadIsFollowed) {
    Ports ports;
    const auto error = ports.open(two_null_ports(2), pool());
    ASSERT_FALSE(error) << *error;
    // As a driver that ignores what it is asked for would tell.
    auto rss = ports.rss();
    rss[0].rss.key[0] = rss[1].rss.key[0] = 0x11;
    const Steering steering = decide_steering(rss, 2, 1024, 65535);
    const packet::FiveTupleV4 tuple{1, 2, 3, 4, 6, {}};
    ASSERT_NE(steering.ownership.rss(tuple), nullptr);
    EXPECT_EQ(steering.ownership.rss(tuple)->hash(tuple), flow::toeplitz(tuple, rss[0].rss.key));
}

/// Members that are no Linux interfaces: found by name, as NICs at PCI addresses are.
TEST(PortsRss, ABondOfNicsIsOneDeviceWithOurKeyAndLetsItsMembersGo) {
    pool();
    config::DataplaneConfig config = two_null_ports(2);
    config.ports.resize(1);
    config::PortConfig& port = config.ports[0];
    port.kind = config::PortKind::bond;
    port.wire_mtu = 1604;
    port.bond.kind = config::PortKind::pci;
    port.bond.members = {"net_null_first", "net_null_second"};
    port.bond.primary = 1;
    for (const std::string& member : port.bond.members)
        ASSERT_EQ(rte_eal_hotplug_add("vdev", member.c_str(), "no-rx=1"), 0) << member;
    std::uint16_t first = 0;
    std::uint16_t second = 0;
    ASSERT_EQ(rte_eth_dev_get_port_by_name("net_null_first", &first), 0);
    ASSERT_EQ(rte_eth_dev_get_port_by_name("net_null_second", &second), 0);
    {
        Ports ports;
        const auto error = ports.open(config, pool());
        ASSERT_FALSE(error) << *error;
        ASSERT_EQ(ports.all().size(), 1U);
        EXPECT_EQ(ports.all()[0].driver, "net_bonding");
        ASSERT_EQ(ports.all()[0].devices.size(), 1U);
        const PortRss rss = ports.rss()[0];
        EXPECT_EQ(rss.rss.why_not, "");
        EXPECT_EQ(rss.rss.key, kRssKey);
        for (std::size_t i = 0; i < rss.rss.reta.size(); ++i) ASSERT_EQ(rss.rss.reta[i], i % 2) << i;
        EXPECT_TRUE(ports.for_worker(1)[0].drives_bond);
        std::uint16_t mtu = 0;
        EXPECT_EQ(rte_eth_dev_get_mtu(second, &mtu), 0);
        EXPECT_EQ(mtu, 1604);
        rte_ether_addr mac{};
        rte_eth_macaddr_get(first, &mac);
        EXPECT_TRUE(std::equal(mac.addr_bytes, mac.addr_bytes + 6, ports.all()[0].mac.begin())) << "the first member's";

        const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
        while (!ports.counters()[0].link_up && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
        const auto counters = ports.counters()[0];
        ASSERT_TRUE(counters.bond);
        EXPECT_EQ(counters.bond->mode, "active-backup");
        ASSERT_EQ(counters.bond->members.size(), 2U);
        EXPECT_FALSE(counters.bond->members[0].carries);
        EXPECT_TRUE(counters.bond->members[0].link_up);
        EXPECT_TRUE(counters.bond->members[1].carries) << "the primary";
        EXPECT_GE(ports.moves(0), 1U);

        rte_mbuf* frame = rte_pktmbuf_alloc(pool());
        ASSERT_NE(frame, nullptr);
        std::memset(rte_pktmbuf_append(frame, 60), 0, 60);
        const std::uint16_t ethdev = ports.all()[0].devices[0].ethdev;
        ASSERT_EQ(rte_eth_tx_burst(ethdev, 1, &frame, 1), 1U);
        rte_eth_stats stats{};
        EXPECT_EQ(rte_eth_stats_get(second, &stats), 0);
        EXPECT_EQ(stats.opackets, 1U);
        stats = {};
        EXPECT_EQ(rte_eth_stats_get(first, &stats), 0);
        EXPECT_EQ(stats.opackets, 0U);
        EXPECT_EQ(ports.counters()[0].tx_packets, 1U);
    }
    EXPECT_NE(rte_eth_dev_get_port_by_name("net_null_first", &first), 0) << "closed";
    EXPECT_NE(rte_eth_dev_get_port_by_name("net_bonding_a", &first), 0) << "closed";
    for (const std::string& member : port.bond.members) rte_eal_hotplug_remove("vdev", member.c_str());
}

TEST(PortsRss, ABondWithAMemberThatIsNotThereNamesIt) {
    pool();
    config::DataplaneConfig config = two_null_ports(1);
    config.ports.resize(1);
    config.ports[0].kind = config::PortKind::bond;
    config.ports[0].bond.kind = config::PortKind::pci;
    config.ports[0].bond.members = {"0000:7f:00.0", "0000:7f:00.1"};
    Ports ports;
    const auto error = ports.open(config, pool());
    ASSERT_TRUE(error);
    EXPECT_NE(error->find("port 'a': no DPDK device at 0000:7f:00.0"), std::string::npos) << *error;
}

}  // namespace
}  // namespace guideway::net
