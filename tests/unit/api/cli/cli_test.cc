#include "api/cli/cli.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/contract/counters_codec.h"
#include "api/contract/explain_codec.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/problem_codec.h"
#include "api/resources/status_codec.h"
#include "tests/unit/api/cli/cli_fixture.h"

namespace guideway::cli {
namespace {

TEST_F(Cli, GetShowsATable) {
    server.answer("GET /v1/load-balancers?limit=500", {{200, resources::encode(std::vector{web()})}});
    const Outcome done = guideway({"get", "lb"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(done.out,
              "NAMESPACE   NAME   ADDRESSES                    PORTS    STATE             AGE\n"
              "default     web    203.0.113.1, 2001:db8:f::1   80/TCP   DataplaneBehind   -\n");
    EXPECT_NE(guideway({"get", "lb", "-o", "wide"}).out.find("80:30080/TCP"), std::string::npos);
}

TEST_F(Cli, GetOfOneNamespaceAndOfOneObject) {
    server.answer("GET /v1/load-balancers?namespace=shop&limit=500",
                  {{200, resources::encode(std::vector<resources::LoadBalancer>{})}});
    server.answer("GET /v1/load-balancers/shop/web", {{200, resources::encode(web())}});
    EXPECT_EQ(guideway({"get", "lb", "-n", "shop"}).code, kOk);
    EXPECT_EQ(guideway({"get", "load-balancer", "web", "-n", "shop"}).code, kOk);
    EXPECT_EQ(guideway({"get", "load-balancers", "shop/web"}).code, kOk);
}

TEST_F(Cli, JsonIsTheServersObjectWholeAndYamlIsTheSame) {
    const std::string body = R"({"kind":"Node","future":[1,{"a":null}],"metadata":{"name":"node-1"}})";
    server.answer("GET /v1/nodes/node-1", {{200, body}});
    const Outcome json = guideway({"get", "node", "node-1", "-o", "json"});
    EXPECT_EQ(nlohmann::ordered_json::parse(json.out).dump(), body);
    EXPECT_EQ(guideway({"-o", "yaml", "get", "node", "node-1"}).out,
              "kind: Node\nfuture:\n  - 1\n  - a: null\nmetadata:\n  name: node-1\n");
}

TEST_F(Cli, DescribeTellsWhatStandsInTheWay) {
    server.answer("GET /v1/load-balancers/default/web", {{200, resources::encode(web())}});
    const Outcome done = guideway({"describe", "lb", "default/web"});
    EXPECT_EQ(done.code, kOk);
    for (const char* part :
         {"Address:          203.0.113.1 (pool demo)", "30080", "DataplaneBehind", "start the dataplane"}) {
        EXPECT_NE(done.out.find(part), std::string::npos) << part << done.out;
    }
}

TEST_F(Cli, ApplySaysCreatedConfiguredUnchanged) {
    server.answer("PUT /v1/load-balancers/default/web",
                  {{201, resources::encode(web())}, {200, resources::encode(web())}});
    EXPECT_EQ(guideway({"apply", "-f", "-"}, kWebYaml).out,
              "load-balancer default/web created (203.0.113.1, 2001:db8:f::1)\n");
    resources::LoadBalancer before = web();
    before.spec.ports[0].port = 81;
    server.answer("GET /v1/load-balancers/default/web",
                  {{200, resources::encode(before)}, {200, resources::encode(web())}});
    EXPECT_NE(guideway({"apply", "-f", "-"}, kWebYaml).out.find("configured"), std::string::npos);
    EXPECT_NE(guideway({"apply", "-f", "-"}, kWebYaml).out.find("unchanged"), std::string::npos);
}

TEST_F(Cli, ApplySaysWhyAWishIsNotMetAlsoWhereTheFormerAddressStays) {
    resources::LoadBalancer waiting = web();
    waiting.status.ingress.clear();
    waiting.status.conditions[0] = {"Allocated", false, "UnknownPool", "there is no address pool \"x\"", ""};
    resources::LoadBalancer keeps = waiting;
    keeps.status.ingress = {{IpAddress::parse("203.0.113.1").value(), "demo"}};
    server.answer("PUT /v1/load-balancers/default/web",
                  {{201, resources::encode(waiting)}, {200, resources::encode(keeps)}});
    EXPECT_EQ(
        guideway({"apply", "-f", "-"}, kWebYaml).out,
        "load-balancer default/web created (waiting for an address: UnknownPool, there is no address pool \"x\")\n");
    EXPECT_EQ(guideway({"apply", "-f", "-"}, kWebYaml).out,
              "load-balancer default/web configured (203.0.113.1: UnknownPool, there is no address pool \"x\")\n");
}

TEST_F(Cli, ApplySendsNothingWhereOneDocumentIsFaulty) {
    const Outcome done =
        guideway({"apply", "-f", "-"}, std::string(kWebYaml) + "---\nkind: Node\nmetadata: {name: n}\n");
    EXPECT_EQ(done.code, kFailed);
    EXPECT_NE(done.err.find("standard input: document 2 (Node n): /spec: missing"), std::string::npos) << done.err;
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Cli, ApplyShowsEveryFaultOfARefusal) {
    server.answer(
        "PUT /v1/load-balancers/default/web",
        {{409,
          resources::encode(resources::Problem{
              409, "AddressInUse", "the address is taken", {{"/spec/addresses/0", "203.0.113.7 is taken by a/b"}}})}});
    const Outcome done = guideway({"apply", "-f", "-"}, kWebYaml);
    EXPECT_EQ(done.code, kFailed);
    EXPECT_EQ(done.err,
              "load-balancer default/web refused\nguideway: the address is taken\n"
              "  /spec/addresses/0: 203.0.113.7 is taken by a/b\n");
}

TEST_F(Cli, ApplyWaitsUntilItIsInForce) {
    server.answer("PUT /v1/load-balancers/default/web", {{201, resources::encode(web())}});
    resources::SystemStatus status;
    status.dataplane_connected = true;
    status.desired_generation = 5;
    status.forwarding_generation = 4;
    const std::string behind = resources::encode(status);
    status.forwarding_generation = 5;
    server.answer("GET /v1/status?wait=forwarding&timeout=30", {{200, resources::encode(status)}});
    server.answer("GET /v1/status?wait=forwarding&timeout=7", {{200, behind}});
    const Outcome done = guideway({"apply", "-f", "-", "--wait"}, kWebYaml);
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_NE(done.out.find("in force (generation 5)"), std::string::npos);
    EXPECT_EQ(guideway({"apply", "--wait=7", "-f", "-"}, kWebYaml).code, kFailed);
    EXPECT_EQ(guideway({"apply", "--wait=never", "-f", "-"}, kWebYaml).code, kUsage);
}

TEST_F(Cli, AMissingFileSaysWhatToGive) {
    const Outcome done = guideway({"apply", "-f", "/nonexistent/web.yaml"});
    EXPECT_EQ(done.code, kFailed);
    EXPECT_NE(done.err.find("cannot read /nonexistent/web.yaml"), std::string::npos);
}

TEST_F(Cli, AFolderIsNoFile) {
    const Outcome done = guideway({"apply", "-f", "/tmp"});
    EXPECT_EQ(done.code, kFailed);
    EXPECT_EQ(done.err, "guideway: cannot read /tmp; give -f a file, or - for standard input\n");
}

TEST_F(Cli, ANamespaceThatIsNoneIsWrongUsageAndNotSent) {
    for (const char* output : {"json", "table"}) {
        const Outcome done = guideway({"get", "lb", "-n", "a b&wait=1", "-o", output});
        EXPECT_EQ(done.code, kUsage);
        EXPECT_NE(done.err.find("-n: found \"a b&wait=1\", allowed a namespace"), std::string::npos) << done.err;
    }
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Cli, DeleteOfWhatIsNotThereIsNotFound) {
    EXPECT_EQ(guideway({"delete", "node", "node-2"}).code, kNotFound);
    server.answer("GET /v1/nodes/node-1", {{200, resources::encode(node())}});
    server.answer("DELETE /v1/nodes/node-1", {{204, ""}});
    const Outcome done = guideway({"delete", "node", "node-1"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(done.out, "node node-1 deleted\n");
    EXPECT_EQ(
        guideway({"delete", "-f", "-"}, "kind: Node\nmetadata: {name: node-2}\nspec: {addresses: [10.0.0.1]}").code,
        kOk);
}

TEST_F(Cli, DeletingAPoolThatWasInUseSaysSo) {
    resources::AddressPool pool;
    pool.metadata.name = "demo";
    pool.spec.addresses = {"203.0.113.0/24"};
    pool.status.ipv4.total = 256;
    const std::string unused = resources::encode(pool);
    pool.status.ipv4.allocated = 2;
    server.answer("GET /v1/address-pools/demo", {{200, resources::encode(pool)}, {200, unused}});
    server.answer("DELETE /v1/address-pools/demo", {{204, ""}});
    EXPECT_EQ(guideway({"delete", "pool", "demo"}).out,
              "address-pool demo deleted; 2 addresses of it were in use, see `guideway get lb`\n");
    EXPECT_EQ(guideway({"delete", "pool", "demo"}).out, "address-pool demo deleted\n");
}

TEST_F(Cli, DrainKeepsWhatSomebodyElseChangedMeanwhile) {
    server.answer("GET /v1/nodes/node-1", {{200, resources::encode(node(1))}, {200, resources::encode(node(2))}});
    server.answer("PUT /v1/nodes/node-1", {{412, R"({"status": 412, "reason": "PreconditionFailed"})"},
                                           {200, resources::encode(node(3, true))}});
    const Outcome done = guideway({"drain", "node-1"});
    EXPECT_EQ(done.code, kOk) << done.err;
    const auto seen = server.seen();
    ASSERT_EQ(seen.size(), 4U);
    EXPECT_EQ(seen[1].if_match, "\"1\"");
    EXPECT_EQ(seen[3].if_match, "\"2\"");
    EXPECT_NE(seen[3].body.find(R"("drain":true)"), std::string::npos);
}

TEST_F(Cli, DrainTellsHowLongOldConnectionsMayGoOn) {
    server.answer("GET /v1/nodes/node-1", {{200, resources::encode(node(1))}});
    auto drained = node(2, true);
    drained.spec.drain_timeout_seconds = 900;
    server.answer("PUT /v1/nodes/node-1", {{200, resources::encode(drained)}});
    const Outcome done = guideway({"drain", "node-1", "--timeout", "15m"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_NE(done.out.find("for 15m at most"), std::string::npos) << done.out;
    EXPECT_NE(server.seen().at(1).body.find(R"("drainTimeoutSeconds":900)"), std::string::npos);
    for (const char* wrong : {"8d", "soon", "-1s"}) {
        EXPECT_NE(guideway({"drain", "node-1", "--timeout", wrong}).code, kOk) << wrong;
    }
    EXPECT_EQ(server.seen().size(), 2U) << "nothing was asked for what is wrong";
}

TEST_F(Cli, UndrainOfANodeThatIsNotDrainingChangesNothing) {
    server.answer("GET /v1/nodes/node-1", {{200, resources::encode(node())}});
    EXPECT_EQ(guideway({"undrain", "node-1"}).code, kOk);
    EXPECT_EQ(server.seen().size(), 1U);
}

TEST_F(Cli, ExplainPrintsTheStepsInOrder) {
    const contract::ExplainAnswer answer{
        7, "forward", "default/web", "nodes-ipv6", "node-2", "fd00::2", 30080, 9, 65537, 0, {"first", "second"}};
    server.answer(
        "GET /v1/explain?protocol=TCP&source=2001%3Adb8%3A%3A1&source_port=40000&destination="
        "2001%3Adb8%3Af%3A%3A1&destination_port=80",
        {{200, contract::encode(answer)}});
    const Outcome done = guideway(
        {"explain", "--protocol", "tcp", "--source", "[2001:db8::1]:40000", "--destination", "[2001:db8:f::1]:80"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_EQ(done.out,
              "TCP [2001:db8::1]:40000 -> [2001:db8:f::1]:80   (generation 7)\n  1. first\n  2. second\n"
              "Verdict: forward to node-2 (fd00::2 port 30080) for default/web\n");
}

TEST_F(Cli, ExplainRefusesEndpointsThatAreAmbiguous) {
    for (const char* source : {"2001:db8::1:40000", "192.0.2.1", "192.0.2.1:0", "192.0.2.1:65536", "[192.0.2.1]:80",
                               "[2001:db8::1]", "host:80", "192.0.2.1:80x"}) {
        EXPECT_EQ(guideway({"explain", "--source", source, "--destination", "192.0.2.9:80"}).code, kUsage) << source;
    }
    EXPECT_EQ(guideway({"explain", "--source", "[2001:db8::1]:1", "--destination", "192.0.2.9:80"}).code, kUsage);
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Cli, StatusFailsWhileTheDataplaneIsAwayOrBehind) {
    resources::SystemStatus status;
    status.version = "0.1.0";
    status.desired_generation = 5;
    status.forwarding_generation = 5;
    status.dataplane_connected = true;
    const std::string good = resources::encode(status);
    status.forwarding_generation = 4;
    const std::string behind = resources::encode(status);
    status.dataplane_connected = false;
    status.forwarding_generation = 0;
    status.dataplane_error = "connection refused";
    server.answer("GET /v1/status", {{200, good}, {200, behind}, {200, resources::encode(status)}});
    EXPECT_EQ(guideway({"status"}).code, kOk);
    EXPECT_EQ(guideway({"status"}).code, kFailed);
    const Outcome away = guideway({"status"});
    EXPECT_EQ(away.code, kFailed);
    EXPECT_NE(away.out.find("NOT CONNECTED"), std::string::npos);
    EXPECT_NE(away.out.find("connection refused"), std::string::npos);
    // It may well go on forwarding: nobody can say by which generation.
    EXPECT_NE(away.out.find("NOT AS WANTED (what is in force is not known, generation 5 wanted)"), std::string::npos)
        << away.out;
}

TEST_F(Cli, StatusTellsOfBondsWhoCarriesAndWhoIsOut) {
    resources::SystemStatus status;
    status.dataplane_connected = true;
    status.desired_generation = status.forwarding_generation = 5;
    contract::Counters counters;
    contract::PortCounters port;
    port.name = "plain";
    counters.ports.push_back(port);
    port.name = "up";
    port.bond = contract::Bond{
        "active-backup", 2, {{"eth0", false, false, ""}, {"eth1", true, true, ""}, {"eth2", true, false, ""}}};
    counters.ports.push_back(port);
    port.name = "lag";
    port.bond = contract::Bond{"lacp",
                               2,
                               {{"eth3", true, true, "02:00:00:00:00:01"},
                                {"eth4", true, false, ""},
                                {"eth5", true, false, "02:00:00:00:00:02"}}};
    counters.ports.push_back(port);
    server.answer("GET /v1/status", {{200, resources::encode(status)}});
    server.answer("GET /v1/counters", {{200, contract::encode(counters)}});
    const Outcome done = guideway({"status"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_NE(done.out.find("Bond up:          active-backup: eth0 HAS NO LINK, eth1 carries, eth2 waits\n"),
              std::string::npos)
        << done.out;
    EXPECT_NE(done.out.find(
                  "Bond lag:         lacp: eth3 carries, eth4 HEARS NOBODY, eth5 IS NOT TAKEN by 02:00:00:00:00:02\n"),
              std::string::npos)
        << done.out;
    EXPECT_EQ(done.out.find("plain"), std::string::npos);
}

TEST_F(Cli, StatusNamesAddressesThatAnotherMachineClaims) {
    resources::SystemStatus status;
    status.dataplane_connected = true;
    const std::string none = resources::encode(status);
    status.address_conflicts = 2;
    status.addresses_yielded = 1;
    server.answer("GET /v1/status", {{200, none}, {200, resources::encode(status)}});
    EXPECT_EQ(guideway({"status"}).out.find("conflict"), std::string::npos);
    const Outcome claimed = guideway({"status"});
    EXPECT_EQ(claimed.code, kOk) << "all that is wanted is in force";
    EXPECT_NE(claimed.out.find("2 claimed by another machine, 1 of them LEFT TO IT"), std::string::npos) << claimed.out;
}

TEST_F(Cli, TopShowsServicesAndBackendsAndStartsAnewWithTheDataplane) {
    contract::Counters counters;
    counters.started_at_unix_seconds = 1;
    counters.services = {
        {"default/web", IpAddress::parse("203.0.113.1").value(), contract::Protocol::tcp, 80, {}, 9, 0}};
    counters.backends = {{"nodes", "node-1", IpAddress::parse("10.0.2.11").value(), 0, {}, 9}};
    contract::Counters again = counters;
    again.started_at_unix_seconds = 2;
    server.answer("GET /v1/counters", {{200, contract::encode(counters)}, {200, contract::encode(again)}});
    const Outcome done = guideway({"top", "--once", "--interval", "0.05"});
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_NE(done.out.find("default/web   203.0.113.1:80/TCP"), std::string::npos) << done.out;
    EXPECT_NE(done.out.find("node-1"), std::string::npos);
    EXPECT_EQ(done.out.find('\x1b'), std::string::npos);
}

TEST(CliExitCodes, ServerThatCannotBeReachedIsFour) {
    const Outcome done = run_with({"--server", testing::unreachable_url(), "get", "nodes"});
    EXPECT_EQ(done.code, kUnreachable);
    EXPECT_NE(done.err.find("is guideway-controlplane running"), std::string::npos);
}

TEST(CliExitCodes, WrongUsageIsTwo) {
    EXPECT_EQ(run_with({}).code, kUsage);
    EXPECT_EQ(run_with({"get"}).code, kUsage);
    EXPECT_EQ(run_with({"get", "pods"}).code, kUsage);
    EXPECT_EQ(run_with({"describe", "node"}).code, kUsage);
    EXPECT_EQ(run_with({"get", "node", "../x"}).code, kUsage);
    // Nodes are of a cluster now ("prod/node-1"); what belongs to none still has no '/'.
    EXPECT_EQ(run_with({"get", "pool", "a/b"}).code, kUsage);
    EXPECT_EQ(run_with({"get", "node", "a/b/c"}).code, kUsage);
    EXPECT_EQ(run_with({"get", "node", "a/b", "--cluster", "c"}).code, kUsage);
    EXPECT_EQ(run_with({"get", "lb", "a/b", "-n", "c"}).code, kUsage);
    EXPECT_EQ(run_with({"-o", "xml", "status"}).code, kUsage);
    EXPECT_EQ(run_with({"frobnicate"}).code, kUsage);
}

TEST(CliExitCodes, HelpAndVersionAreFine) {
    const Outcome help = run_with({"--help"});
    EXPECT_EQ(help.code, kOk);
    EXPECT_NE(help.out.find("Exit codes:"), std::string::npos);
    EXPECT_EQ(run_with({"--version"}).out, "guideway " GUIDEWAY_VERSION "\n");
}

TEST(CliCompletion, ScriptsAreGivenForBashAndZsh) {
    EXPECT_NE(run_with({"completion", "bash"}).out.find("complete -F _guideway guideway"), std::string::npos);
    EXPECT_NE(run_with({"completion", "zsh"}).out.find("bashcompinit"), std::string::npos);
    EXPECT_EQ(run_with({"completion", "fish"}).code, kUsage);
}

TEST(CliCompletion, BashReadsTheScriptAndCompletes) {
    const std::string script = run_with({"completion", "bash"}).out +
                               "COMP_WORDS=(guideway get lo); COMP_CWORD=2; _guideway\n"
                               "[ \"${COMPREPLY[*]}\" = load-balancers ] || exit 1\n"
                               "COMP_WORDS=(guideway maint); COMP_CWORD=1; _guideway\n"
                               "[ \"${COMPREPLY[*]}\" = maintenance ] || exit 1\n"
                               "COMP_WORDS=(guideway maintenance st); COMP_CWORD=2; _guideway\n"
                               "[ \"${COMPREPLY[*]}\" = status ] || exit 1\n"
                               "COMP_WORDS=(guideway maintenance on --w); COMP_CWORD=3; _guideway\n"
                               "[ \"${COMPREPLY[*]}\" = --wait ]\n";
    FILE* bash = ::popen("bash", "w");
    ASSERT_NE(bash, nullptr);
    std::fwrite(script.data(), 1, script.size(), bash);
    EXPECT_EQ(::pclose(bash), 0);
}

TEST(CliEnvironment, ServerComesFromTheEnvironment) {
    testing::FakeServer server;
    server.answer("GET /v1/nodes?limit=500", {{200, resources::encode(std::vector{node()})}});
    ::setenv("GUIDEWAY_SERVER", server.url().c_str(), 1);
    const Outcome done = run_with({"get", "nodes"});
    ::unsetenv("GUIDEWAY_SERVER");
    EXPECT_EQ(done.code, kOk) << done.err;
    EXPECT_NE(done.out.find("10.0.2.11"), std::string::npos);
}

}  // namespace
}  // namespace guideway::cli
