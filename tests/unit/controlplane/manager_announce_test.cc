// What operators see of announcing, and maintenance by the API: with an announcer in memory and a routing daemon's socket.
#include <filesystem>
#include <fstream>
#include <sstream>

#include <nlohmann/json.hpp>

#include "controlplane/announce/maintenance.h"
#include "controlplane/manager.h"
#include "tests/unit/controlplane/announce/fake_bird.h"
#include "tests/unit/controlplane/manager_testing.h"

namespace guideway::controlplane {
namespace {

using namespace manager_testing;
using announce::testing_support::FakeBird;
using namespace std::chrono_literals;

struct NetworkOutside {
    std::mutex mutex;
    std::vector<announce::Route> told;
    std::string fails;
};

class AnnouncerInMemory final : public announce::Announcer {
  public:
    explicit AnnouncerInMemory(NetworkOutside& network) : network_(network) {}
    std::variant<std::vector<announce::Route>, std::string> present() override {
        const std::lock_guard lock(network_.mutex);
        return network_.told;
    }
    std::string apply(const std::vector<announce::Route>& wanted) override {
        const std::lock_guard lock(network_.mutex);
        if (network_.fails.empty()) network_.told = wanted;
        return network_.fails;
    }

  private:
    NetworkOutside& network_;
};

struct ManagerAnnounceTest : ManagerTest {
    NetworkOutside network;
    FakeBird bird{folder.file("bird.ctl"), FakeBird::whole(FakeBird::peer("tor1", true, 1))};
    std::unique_ptr<AuditLog> audit;

    ManagerAnnounceTest() {
        AuditOptions written;
        written.file = folder.file("audit.log");
        audit = std::move(std::get<std::unique_ptr<AuditLog>>(AuditLog::open(written)));
        adjust = [this](ManagerOptions& options) {
            announce::BgpSettings bgp;
            bgp.socket = folder.file("bird.ctl");
            bgp.asn = 64512;
            bgp.router_id = ip("192.0.2.1");
            bgp.peers = {{.name = "tor1", .address = ip("192.0.2.254"), .asn = 64513}};
            bgp.advertisements = {announce::Advertisement{.name = "hosts"}};
            options.bgp = bgp;
            options.maintenance = file();
            options.announcing.advertisements = bgp.advertisements;
            options.announcer = [this] { return std::make_unique<AnnouncerInMemory>(network); };
            options.withdrawal_patience = 30s;
            options.audit = audit.get();
        };
        contract::WorkerCounters worker;
        worker.flows_ipv4 = 5;
        worker.flows_closed = 2;
        dataplane.counters.workers = {worker};
        dataplane.start();
        restart();
        put(pool("a", {"203.0.113.10-203.0.113.20"}));
        put(node("n", "10.0.2.11"));
        put(balancer("web"));
    }
    ~ManagerAnnounceTest() override { manager.reset(); }

    announce::MaintenanceFile file() const { return announce::MaintenanceFile(folder.file("maintenance")); }
    template <class Condition>
    bool eventually(Condition condition) {
        const auto end = std::chrono::steady_clock::now() + 30s;
        while (!condition()) {
            if (std::chrono::steady_clock::now() > end) return false;
            std::this_thread::sleep_for(1ms);
        }
        return true;
    }
    bool is_told() {
        return eventually([&] { return manager->bgp().routes.size() == 1; });
    }
    static resources::Maintenance wish(bool on, std::string reason = {}) {
        resources::Maintenance wanted;
        wanted.on = on;
        wanted.reason = std::move(reason);
        return wanted;
    }
    static rest::Intent by_root() {
        rest::Intent intent;
        intent.caller = {"root", rest::Role::admin, {}, "192.0.2.7"};
        return intent;
    }
};

TEST_F(ManagerAnnounceTest, SessionsAndRoutesAreShown) {
    ASSERT_TRUE(is_told());
    ASSERT_TRUE(eventually([&] { return manager->bgp().daemon_answers; }));
    const resources::BgpStatus shown = manager->bgp();
    EXPECT_TRUE(shown.configured);
    EXPECT_EQ(shown.daemon, "bird");
    EXPECT_EQ(shown.asn, 64512U);
    EXPECT_EQ(shown.router_id, "192.0.2.1");
    EXPECT_EQ(shown.daemon_error, "");
    EXPECT_TRUE(shown.age_seconds);
    ASSERT_EQ(shown.peers.size(), 1U);
    EXPECT_EQ(shown.peers[0],
              (resources::BgpPeerStatus{"tor1", ip("192.0.2.254"), 64513, "Established", true, "20:10:47.155", 1, ""}));
    EXPECT_EQ(shown.routes[0], (resources::ToldRoute{*IpPrefix::parse("203.0.113.10/32"), "hosts"}));
    EXPECT_EQ(shown.announce_error, "");
    EXPECT_FALSE(shown.maintenance);
    const std::string metrics_text = manager->metrics();
    for (const char* line : {"guideway_bgp_peer_up{peer=\"tor1\"} 1\n", "guideway_bgp_peer_routes{peer=\"tor1\"} 1\n",
                             "guideway_bgp_routes 1\n", "guideway_bgp_daemon_answers 1\n", "guideway_maintenance 0\n",
                             "guideway_announce_errors_total 0\n"}) {
        EXPECT_NE(metrics_text.find(line), std::string::npos) << line << metrics_text;
    }
}

TEST_F(ManagerAnnounceTest, MaintenanceWithdrawsBeforeItIsAnswered) {
    ASSERT_TRUE(is_told());
    const auto begun = manager->set_maintenance(wish(true, "new NIC"), by_root());
    ASSERT_TRUE(begun.ok()) << begun.problem().detail;
    EXPECT_TRUE(begun.value().on);
    EXPECT_TRUE(begun.value().withdrawn);
    EXPECT_EQ(begun.value().reason, "new NIC");
    EXPECT_EQ(begun.value().connections, 3U);
    EXPECT_EQ(begun.value().since.size(), std::string("2026-01-02T03:04:05Z").size());
    {
        const std::lock_guard lock(network.mutex);
        EXPECT_TRUE(network.told.empty());
    }
    EXPECT_EQ(file().note()->reason, "new NIC");
    EXPECT_TRUE(manager->bgp().maintenance);
    EXPECT_NE(manager->metrics().find("guideway_maintenance 1\n"), std::string::npos);

    restart();
    EXPECT_TRUE(manager->maintenance().on) << "it outlives restarts";
    EXPECT_EQ(manager->maintenance().since, begun.value().since);

    const auto ended = manager->set_maintenance(wish(false), by_root());
    ASSERT_TRUE(ended.ok()) << ended.problem().detail;
    EXPECT_FALSE(ended.value().on);
    EXPECT_EQ(ended.value().since, "");
    EXPECT_FALSE(file().on());
    EXPECT_TRUE(is_told());

    std::vector<std::string> reasons;
    const auto happened = manager->events({});
    for (const resources::Event& event : happened.value().items) reasons.push_back(event.reason);
    EXPECT_NE(std::find(reasons.begin(), reasons.end(), "MaintenanceEnded"), reasons.end());
}

TEST_F(ManagerAnnounceTest, WhoBeganAndEndedItStandsInTheAuditLog) {
    ASSERT_TRUE(manager->set_maintenance(wish(true, "new \"NIC\""), by_root()).ok());
    ASSERT_TRUE(manager->set_maintenance(wish(true, "new \"NIC\""), by_root()).ok());
    ASSERT_TRUE(manager->set_maintenance(wish(false), by_root()).ok());
    audit->flush();
    std::vector<nlohmann::json> lines;
    std::ifstream log(folder.file("audit.log"));
    for (std::string text; std::getline(log, text);) {
        nlohmann::json one = nlohmann::json::parse(text);
        if (one.at("kind") == "maintenance") lines.push_back(std::move(one));
    }
    ASSERT_EQ(lines.size(), 2U) << "the same again is no change";
    EXPECT_EQ(lines[0].at("caller"), "root");
    EXPECT_EQ(lines[0].at("verb"), "update");
    EXPECT_EQ(lines[0].at("result"), "ok");
    EXPECT_EQ(lines[0].at("new"), (nlohmann::json{{"on", true}, {"reason", "new \"NIC\""}}));
    EXPECT_EQ(lines[1].at("new").at("on"), false);
}

TEST_F(ManagerAnnounceTest, WhatOthersDoToTheFileIsSeen) {
    ASSERT_TRUE(is_told());
    EXPECT_EQ(file().begin("by hand"), "");
    EXPECT_TRUE(eventually([&] { return manager->maintenance().withdrawn; }));
    EXPECT_EQ(manager->maintenance().reason, "by hand");
    EXPECT_EQ(file().end(), "");
    EXPECT_TRUE(is_told());
}

TEST_F(ManagerAnnounceTest, AFailureOfAnnouncingIsShownAndCounted) {
    ASSERT_TRUE(is_told());
    {
        const std::lock_guard lock(network.mutex);
        network.fails = "the kernel says no";
    }
    const auto begun = manager->set_maintenance(wish(true), by_root());
    ASSERT_TRUE(begun.ok());
    EXPECT_TRUE(begun.value().on);
    EXPECT_FALSE(begun.value().withdrawn) << "it is on, and not done";
    EXPECT_EQ(manager->bgp().announce_error, "the kernel says no");
    EXPECT_EQ(manager->metrics().find("guideway_announce_errors_total 0\n"), std::string::npos);
    {
        const std::lock_guard lock(network.mutex);
        network.fails.clear();
    }
    EXPECT_TRUE(eventually([&] { return manager->maintenance().withdrawn; }));
}

TEST_F(ManagerAnnounceTest, WhatCannotBeMadeDurableIsRefusedAndNothingIsWithdrawn) {
    ASSERT_TRUE(is_told());
    adjust = [before = adjust](ManagerOptions& options) {
        before(options);
        options.maintenance = announce::MaintenanceFile("/nowhere/at/all/maintenance");
    };
    restart();
    const auto refused = manager->set_maintenance(wish(true), by_root());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 503);
    EXPECT_NE(refused.problem().detail.find("maintenance is off"), std::string::npos) << refused.problem().detail;
    EXPECT_TRUE(is_told());
}

TEST_F(ManagerAnnounceTest, WithoutADaemonItsSeriesAreAbsentInsteadOfZero) {
    adjust = [before = adjust](ManagerOptions& options) {
        before(options);
        options.bgp->socket = "/nowhere/bird.ctl";
    };
    restart();
    ASSERT_TRUE(eventually([&] { return manager->bgp().daemon_error.find("No such file") != std::string::npos; }));
    EXPECT_FALSE(manager->bgp().daemon_answers);
    EXPECT_EQ(manager->bgp().peers[0].state, "unknown");
    const std::string metrics_text = manager->metrics();
    EXPECT_NE(metrics_text.find("guideway_bgp_daemon_answers 0\n"), std::string::npos);
    EXPECT_EQ(metrics_text.find("guideway_bgp_peer_up"), std::string::npos);
}

TEST_F(ManagerAnnounceTest, WhereBgpIsNotConfiguredThatIsSaid) {
    adjust = {};
    restart();
    EXPECT_EQ(manager->bgp(), resources::BgpStatus());
    EXPECT_FALSE(manager->maintenance().on);
    EXPECT_TRUE(manager->maintenance().withdrawn);
    const auto refused = manager->set_maintenance(wish(true), by_root());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.problem().status, 409);
    EXPECT_EQ(refused.problem().reason, "BgpNotConfigured");
    EXPECT_TRUE(manager->set_maintenance(wish(false), by_root()).ok()) << "so it is";
    EXPECT_EQ(manager->metrics().find("guideway_bgp"), std::string::npos);
}

}  // namespace
}  // namespace guideway::controlplane
