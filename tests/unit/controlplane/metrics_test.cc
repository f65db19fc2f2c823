// Names, units and help by Prometheus' conventions, held by promtool itself.
#include "controlplane/metrics.h"

#include <cstdio>
#include <string>

#include <gtest/gtest.h>

namespace guideway::controlplane {
namespace {

MetricsSnapshot full_snapshot() {
    MetricsSnapshot snapshot;
    snapshot.status.version = "1.2.3";
    snapshot.status.load_balancers = 3;
    snapshot.status.load_balancers_waiting = 1;
    snapshot.forwarding_known = true;
    resources::AddressPool pool;
    pool.metadata.name = "a";
    pool.status.ipv4 = {16, 2, 1, 1, 13};
    pool.status.ipv6 = {9007199254740991, 1, 0, 0, 9007199254740990};
    pool.status.load_balancers = 3;
    snapshot.pools = {{pool, 3600.0, {}}};
    snapshot.waiting = {{"NoAvailableIPs", 1}};
    snapshot.sync_lag_seconds = 0.25;
    contract::Counters counters;
    contract::ServiceCounters service;
    service.name = "default/web";
    service.vip = *IpAddress::parse("2001:db8::1");
    service.port = 80;
    counters.services = {service};
    contract::BackendCounters backend;
    backend.backend_set = "nodes-ipv4";
    backend.name = "node-\"1\"\\";
    counters.backends = {backend};
    contract::PortCounters port;
    port.name = "outside";
    port.driver = "af_xdp";
    port.bond = contract::Bond{"lacp", 4, {{"eth0", true, true, "02:00:00:00:00:01"}, {"eth1", true, false, ""}}};
    counters.ports = {port};
    contract::WorkerCounters worker;
    worker.drops = {{"no_route", 1}};
    worker.rss_disagreed = 7;
    counters.workers = {worker};
    counters.steering = {{IpFamily::ipv6, contract::Protocol::udp, "rss", ""}};
    counters.flow_file = {"/dev/shm/flows", 4096, 12, {{"idle", 3}, {"damaged", 0}}, {}};
    snapshot.counters = counters;
    snapshot.announcing = AnnounceSeries{true, 2, 3, true, {{"tor1", true, 2}, {"tor2", false, 0}}};
    return snapshot;
}

TEST(Metrics, PromtoolFindsNoFault) {
    Metrics metrics;
    metrics.observe("GET", "/v1/status", 200, 0.004);
    metrics.committed(0.002);
    const std::string text = metrics.text(full_snapshot());
    std::FILE* promtool = popen("promtool check metrics 2>&1 1>/dev/null", "w");
    ASSERT_NE(promtool, nullptr);
    std::fwrite(text.data(), 1, text.size(), promtool);
    EXPECT_EQ(pclose(promtool), 0) << text;
}

TEST(Metrics, SteeringIsShown) {
    Metrics metrics;
    const std::string text = metrics.text(full_snapshot());
    EXPECT_NE(text.find("guideway_dataplane_steering{family=\"ipv6\",protocol=\"UDP\",way=\"rss\"} 1"),
              std::string::npos)
        << text;
    EXPECT_NE(text.find("guideway_dataplane_rss_hashes_total{worker=\"0\",result=\"disagreed\"} 7"), std::string::npos)
        << text;
}

TEST(Metrics, MembersOfBondsAreSeriesByPort) {
    Metrics metrics;
    MetricsSnapshot snapshot = full_snapshot();
    const std::string text = metrics.text(snapshot);
    for (const char* line : {"guideway_bond_member_up{port=\"outside\",member=\"eth1\",mode=\"lacp\"} 1\n",
                             "guideway_bond_member_carries{port=\"outside\",member=\"eth0\",mode=\"lacp\"} 1\n",
                             "guideway_bond_member_carries{port=\"outside\",member=\"eth1\",mode=\"lacp\"} 0\n",
                             "guideway_bond_moves_total{port=\"outside\"} 4\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line << text;
    }
    snapshot.counters->ports[0].bond.reset();
    EXPECT_EQ(metrics.text(snapshot).find("guideway_bond_"), std::string::npos) << "no bond, no series";
}

TEST(Metrics, EveryCounterEndsInTotalAndNothingElseDoes) {
    Metrics metrics;
    const std::string text = metrics.text(full_snapshot());
    for (std::size_t at = text.find("# TYPE "); at != std::string::npos; at = text.find("# TYPE ", at + 1)) {
        const std::size_t end = text.find('\n', at);
        const std::string line = text.substr(at + 7, end - at - 7);
        const std::string name = line.substr(0, line.find(' '));
        const bool counter = line.substr(line.find(' ') + 1) == "counter";
        EXPECT_EQ(counter, name.size() > 6 && name.substr(name.size() - 6) == "_total") << line;
        EXPECT_EQ(name.rfind("guideway_", 0), 0U) << name;
        EXPECT_NE(text.find("# HELP " + name + " "), std::string::npos) << name;
    }
}

TEST(Metrics, SessionsAreSeriesByPeerWhileTheDaemonAnswers) {
    Metrics metrics;
    MetricsSnapshot snapshot = full_snapshot();
    const std::string text = metrics.text(snapshot);
    for (const char* line :
         {"guideway_bgp_peer_up{peer=\"tor1\"} 1\n", "guideway_bgp_peer_up{peer=\"tor2\"} 0\n",
          "guideway_bgp_peer_routes{peer=\"tor1\"} 2\n", "guideway_bgp_routes 2\n", "guideway_bgp_daemon_answers 1\n",
          "guideway_announce_errors_total 3\n", "guideway_maintenance 1\n"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line;
    }
    snapshot.announcing = AnnounceSeries{};  // it was not asked yet
    EXPECT_EQ(metrics.text(snapshot).find("guideway_bgp_daemon_answers"), std::string::npos);
    snapshot.announcing.reset();  // BGP is not configured
    EXPECT_EQ(metrics.text(snapshot).find("guideway_maintenance"), std::string::npos);
}

TEST(Metrics, WithoutADataplaneItsSeriesAreAbsentInsteadOfZero) {
    Metrics metrics;
    MetricsSnapshot snapshot = full_snapshot();
    snapshot.counters.reset();
    snapshot.forwarding_known = false;
    const std::string text = metrics.text(snapshot);
    EXPECT_EQ(text.find("guideway_service_"), std::string::npos);
    EXPECT_EQ(text.find("guideway_forwarding_generation"), std::string::npos);
    EXPECT_NE(text.find("guideway_dataplane_up 0"), std::string::npos);
}

TEST(Metrics, WhatBecameOfConnectionsAtTheStartIsTold) {
    const std::string text = Metrics().text(full_snapshot());
    for (const char* line : {"guideway_dataplane_connections_at_start{result=\"kept\"} 12", "{result=\"idle\"} 3",
                             "{result=\"damaged\"} 0", "guideway_dataplane_flow_file_bytes 4096"}) {
        EXPECT_NE(text.find(line), std::string::npos) << line;
    }
    MetricsSnapshot memory_alone = full_snapshot();
    memory_alone.counters->flow_file = {"", 4096, 0, {}, {}};
    const std::string other = Metrics().text(memory_alone);
    EXPECT_EQ(other.find("connections_at_start"), std::string::npos);
    EXPECT_NE(other.find("guideway_dataplane_flow_file_bytes 0"), std::string::npos);
}

TEST(Metrics, InventedMethodsMakeOneSeries) {
    Metrics metrics;
    for (int i = 0; i < 10; ++i) metrics.observe("METHOD" + std::to_string(i), "other", 501, 0.001);
    const std::string text = metrics.text({});
    EXPECT_NE(text.find("_count{code=\"501\",method=\"other\",route=\"other\"} 10"), std::string::npos) << text;
    EXPECT_EQ(text.find("METHOD"), std::string::npos);
}

}  // namespace
}  // namespace guideway::controlplane
