// guideway bgp, guideway maintenance.
#include "api/resources/bgp_status_codec.h"
#include "api/resources/maintenance_codec.h"
#include "tests/unit/api/cli/cli_fixture.h"

namespace guideway::cli {
namespace {

resources::BgpStatus two_sessions() {
    resources::BgpStatus status;
    status.configured = status.daemon_answers = true;
    status.daemon = "bird";
    status.asn = 64512;
    status.router_id = "192.0.2.1";
    status.age_seconds = 2;
    status.peers = {
        {"tor1", IpAddress::parse("192.0.2.254").value(), 64513, "Established", true, "20:10:47.155", 1, ""},
        {"tor2", IpAddress::parse("2001:db8::fe").value(), 64514, "Established", true, "20:10:48.155", 1, ""}};
    status.routes = {{IpPrefix::parse("203.0.113.10/32").value(), "hosts"},
                     {IpPrefix::parse("203.0.113.0/24").value(), ""}};
    return status;
}

std::string maintained(bool on, std::optional<std::uint64_t> connections = 0, bool withdrawn = true) {
    resources::Maintenance now;
    now.on = on;
    now.withdrawn = withdrawn;
    now.connections = connections;
    if (on) now.reason = "new NIC";
    if (on) now.since = "2026-01-02T03:04:05Z";
    return resources::encode(now);
}

constexpr const char* kPutMaintenance = "PUT /v1/maintenance";
constexpr const char* kGetMaintenance = "GET /v1/maintenance";

TEST_F(Cli, BgpShowsSessionsThenRoutes) {
    server.answer("GET /v1/bgp", {{200, resources::encode(two_sessions())}});
    const Outcome done = guideway({"bgp"});
    EXPECT_EQ(done.code, kOk) << done.err;
    for (const char* text :
         {"bird, AS 64512, router id 192.0.2.1\n", "2s ago", "PEER   ADDRESS        ASN     STATE         SINCE",
          "tor1   192.0.2.254    64513   Established   20:10:47.155   1        -\n", "203.0.113.10/32   hosts\n",
          "203.0.113.0/24    (of an earlier configuration)\n"}) {
        EXPECT_NE(done.out.find(text), std::string::npos) << text << '\n' << done.out;
    }
    EXPECT_LT(done.out.find("PEER"), done.out.find("ROUTE   "));
    const Outcome json = guideway({"bgp", "-o", "json"});
    EXPECT_EQ(json.code, kOk);
    EXPECT_EQ(*resources::read_bgp_status(json.out).value, two_sessions());
    EXPECT_NE(guideway({"bgp", "-o", "yaml"}).out.find("203.0.113.10/32"), std::string::npos);
}

TEST_F(Cli, BgpFailsWhereSomethingIsNotAsItShouldBe) {
    resources::BgpStatus down = two_sessions();
    down.peers[1].established = false;
    down.peers[1].state = "Active";
    down.peers[1].last_error = "Hold timer expired\x1b[2J";
    resources::BgpStatus silent = two_sessions();
    silent.daemon_answers = false;
    silent.daemon_error = "bird.ctl: No such file or directory";
    resources::BgpStatus failing = two_sessions();
    failing.announce_error = "Operation not permitted";
    server.answer("GET /v1/bgp", {{200, resources::encode(down)},
                                  {200, resources::encode(silent)},
                                  {200, resources::encode(failing)},
                                  {200, resources::encode(failing)}});
    const Outcome first = guideway({"bgp"});
    EXPECT_EQ(first.code, kFailed);
    EXPECT_NE(first.out.find("Hold timer expired"), std::string::npos) << first.out;
    EXPECT_EQ(first.out.find('\x1b'), std::string::npos) << "a daemon's words do not speak to the terminal";
    const Outcome second = guideway({"bgp"});
    EXPECT_EQ(second.code, kFailed);
    EXPECT_NE(second.out.find("DOES NOT ANSWER: bird.ctl: No such file or directory"), std::string::npos) << second.out;
    const Outcome third = guideway({"bgp"});
    EXPECT_EQ(third.code, kFailed);
    EXPECT_NE(third.out.find("FAILS: Operation not permitted"), std::string::npos) << third.out;
    EXPECT_EQ(guideway({"bgp", "-o", "json"}).code, kFailed) << "programs are told too";
}

TEST_F(Cli, BgpThatIsNotConfiguredIsNotFound) {
    server.answer("GET /v1/bgp", {{200, resources::encode(resources::BgpStatus())}});
    const Outcome done = guideway({"bgp"});
    EXPECT_EQ(done.code, kNotFound);
    EXPECT_EQ(done.out, "");
    EXPECT_NE(done.err.find("controlplane.bgp"), std::string::npos);
    EXPECT_NE(guideway({"bgp", "-o", "json"}).out.find("\"configured\": false"), std::string::npos);
}

TEST_F(Cli, BgpSaysThatEverythingIsWithdrawnOnPurpose) {
    resources::BgpStatus status = two_sessions();
    status.maintenance = true;
    status.routes.clear();
    server.answer("GET /v1/bgp", {{200, resources::encode(status)}});
    const Outcome done = guideway({"bgp"});
    EXPECT_EQ(done.code, kOk);
    EXPECT_NE(done.out.find("ON: everything is withdrawn"), std::string::npos) << done.out;
    EXPECT_NE(done.out.find("No route is told."), std::string::npos) << done.out;
}

TEST_F(Cli, MaintenanceIsBegunWithItsReason) {
    server.answer(kPutMaintenance, {{200, maintained(true, 3)}});
    const Outcome done = guideway({"maintenance", "on", "--reason", "new NIC"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(done.out, "maintenance is on; everything is withdrawn, connections go on\n");
    ASSERT_EQ(server.seen().size(), 1U) << "it does not wait unasked";
    EXPECT_NE(server.seen()[0].body.find(R"("on":true,"reason":"new NIC")"), std::string::npos)
        << server.seen()[0].body;
}

TEST_F(Cli, MaintenanceWaitsUntilConnectionsAreDoneAndTellsHowManyAreLeft) {
    server.answer(kPutMaintenance, {{200, maintained(true, 3, false)}});
    server.answer(kGetMaintenance,
                  {{200, maintained(true, 3)}, {200, maintained(true, 1)}, {200, maintained(true, 0)}});
    const Outcome done = guideway({"maintenance", "on", "--wait", "600"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(done.out,
              "maintenance is on; everything is withdrawn, connections go on\n3 connections are not done yet\n"
              "1 connection is not done yet\nall connections are done; the appliance can be taken away\n");
}

TEST_F(Cli, MaintenanceThatIsNotDoneInTimeFailsAndStaysOn) {
    server.answer(kPutMaintenance, {{200, maintained(true, 2)}});
    server.answer(kGetMaintenance, {{200, maintained(true, 2)}});
    const Outcome done = guideway({"maintenance", "on", "--wait", "1", "-o", "json"});
    EXPECT_EQ(done.code, kFailed);
    EXPECT_NE(done.err.find("2 connections are not done after 1 s; everything stays withdrawn"), std::string::npos)
        << done.err;
    EXPECT_EQ(resources::read_maintenance(done.out).value->connections, 2U) << "progress is not among the data";
}

TEST_F(Cli, MaintenanceThatSomebodyElseEndedIsNotWaitedFor) {
    server.answer(kPutMaintenance, {{200, maintained(true, 2)}});
    server.answer(kGetMaintenance, {{200, maintained(false, 5, false)}});
    const Outcome done = guideway({"maintenance", "on", "--wait", "600"});
    EXPECT_EQ(done.code, kFailed);
    EXPECT_NE(done.err.find("somebody else"), std::string::npos) << done.err;
}

TEST_F(Cli, MaintenanceIsShownAndEnded) {
    server.answer(
        kGetMaintenance,
        {{200, maintained(true, 1234)}, {200, maintained(false, std::nullopt, false)}, {200, maintained(true)}});
    server.answer(kPutMaintenance, {{200, maintained(false, 3, false)}});
    const Outcome on = guideway({"maintenance", "status"});
    EXPECT_EQ(on.code, kOk) << on.err;
    for (const char* text : {"new NIC", "2026-01-02T03:04:05Z", "nothing", "1,234"}) {
        EXPECT_NE(on.out.find(text), std::string::npos) << text << '\n' << on.out;
    }
    EXPECT_NE(guideway({"maintenance", "status"}).out.find("the dataplane does not answer"), std::string::npos);
    EXPECT_NE(guideway({"maintenance", "status", "-o", "json"}).out.find("\"on\": true"), std::string::npos);
    const Outcome off = guideway({"maintenance", "off"});
    EXPECT_EQ(off.code, kOk) << off.err;
    EXPECT_NE(off.out.find("maintenance is off"), std::string::npos);
    EXPECT_NE(server.seen().back().body.find(R"("on":false)"), std::string::npos);
}

TEST_F(Cli, MaintenanceIsMisusedWithoutAskingAnybody) {
    EXPECT_EQ(guideway({"maintenance"}).code, kUsage);
    EXPECT_EQ(guideway({"maintenance", "begin"}).code, kUsage);
    EXPECT_EQ(guideway({"maintenance", "on", "--wait", "0"}).code, kUsage);
    EXPECT_EQ(guideway({"maintenance", "on", "--wait", "soon"}).code, kUsage);
    EXPECT_EQ(guideway({"maintenance", "off", "--wait", "5"}).code, kUsage);
    EXPECT_EQ(guideway({"maintenance", "status", "--reason", "x"}).code, kUsage);
    EXPECT_TRUE(server.seen().empty());
}

TEST(CliHelp, BgpAndMaintenanceTeach) {
    const std::string bgp = run_with({"bgp", "--help"}).out;
    EXPECT_NE(bgp.find("Exit codes: 0 all sessions are established"), std::string::npos) << bgp;
    const std::string maintenance = run_with({"maintenance", "--help"}).out;
    EXPECT_NE(maintenance.find("guideway maintenance on --reason"), std::string::npos) << maintenance;
    const std::string all = run_with({"--help"}).out;
    EXPECT_NE(all.find("sessions with the routers"), std::string::npos) << all;
    EXPECT_NE(all.find("withdraw everything that is announced by BGP"), std::string::npos) << all;
}

}  // namespace
}  // namespace guideway::cli
