// Ports on DPDK's null device, which keeps an RSS key and a redirection table as a NIC does but receives what it makes up.
#include <array>
#include <string>

#include <gtest/gtest.h>
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

}  // namespace
}  // namespace guideway::net
