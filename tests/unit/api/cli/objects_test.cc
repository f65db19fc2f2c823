// Objects as a person asks for them: clusters, labels, names for the next command, changes as they happen, previews, events.
#include <thread>

#include "api/resources/address_pool_codec.h"
#include "api/resources/event_codec.h"
#include "api/resources/problem_codec.h"
#include "api/resources/snat_address_codec.h"
#include "tests/unit/api/cli/cli_fixture.h"

namespace guideway::cli {
namespace {

using testing::sse;
using testing::stream_of;

template <class T>
std::string list_of(std::vector<T> items, std::uint64_t revision = 5) {
    resources::List<T> list;
    list.metadata.resource_version = revision;
    list.items = std::move(items);
    return resources::encode(list);
}

resources::AddressPool pool() {
    resources::AddressPool object;
    object.metadata.name = "public";
    object.spec.addresses = {"203.0.113.0/28", "2001:db8:f::/64"};
    object.spec.quarantine_seconds = 300;
    object.spec.service_allocation.emplace();
    object.spec.service_allocation->priority = 10;
    object.spec.service_allocation->namespaces = {"shop"};
    object.status.ipv4 = {16, 4, 1, 2, 12};
    object.status.ipv6 = {(std::uint64_t{1} << 53) - 1, 0, 0, 0, (std::uint64_t{1} << 53) - 1};
    object.status.load_balancers = 1003;
    object.status.users = {{"default", "shop", "web", {IpAddress::parse("203.0.113.1").value()}},
                           {"prod", "shop", "api", {IpAddress::parse("203.0.113.2").value()}}};
    return object;
}

resources::Event event(bool warning, const std::string& reason, std::uint64_t count = 1) {
    resources::Event object;
    object.resource_version = 7;
    object.warning = warning;
    object.reason = reason;
    object.message = "a sentence";
    object.regarding = {"LoadBalancer", "default", "shop", "web"};
    object.count = count;
    return object;
}

TEST_F(Cli, TheClusterIsAColumnOnlyWhereThereIsMoreThanTheDefaultOne) {
    resources::Node other = node();
    other.metadata.cluster = "prod";
    server.answer("GET /v1/nodes?limit=500",
                  {{200, list_of<resources::Node>({node()})}, {200, list_of<resources::Node>({node(), other})}});
    EXPECT_EQ(guideway({"get", "nodes"}).out,
              "NAME     ADDRESSES   WEIGHT   STATE   AGE\n"
              "node-1   10.0.2.11   1        Ready   -\n");
    EXPECT_EQ(guideway({"get", "nodes"}).out,
              "CLUSTER   NAME     ADDRESSES   WEIGHT   STATE   AGE\n"
              "default   node-1   10.0.2.11   1        Ready   -\n"
              "prod      node-1   10.0.2.11   1        Ready   -\n");
}

TEST_F(Cli, OneClusterIsAskedByItsPath) {
    guideway({"get", "lb", "--cluster", "prod", "-n", "shop"});
    guideway({"get", "lb", "prod/shop/web"});
    guideway({"get", "node", "n", "--cluster", "prod"});
    guideway({"drain", "prod/n"});
    std::vector<std::string> whats;
    for (const auto& request : server.seen()) whats.push_back(request.what);
    EXPECT_EQ(whats, (std::vector<std::string>{"GET /v1/clusters/prod/load-balancers?namespace=shop&limit=500",
                                               "GET /v1/clusters/prod/load-balancers/shop/web",
                                               "GET /v1/clusters/prod/nodes/n", "GET /v1/clusters/prod/nodes/n"}));
}

TEST_F(Cli, LabelsSelectAndNamesAreForTheNextCommand) {
    server.answer("GET /v1/load-balancers?labelSelector=team%3Dshop&limit=500",
                  {{200, list_of<resources::LoadBalancer>({web()})}});
    const Outcome names = guideway({"get", "lb", "-l", "team=shop", "-o", "name"});
    EXPECT_EQ(names.out, "load-balancer/default/web\n") << names.err;
    server.answer("GET /v1/load-balancers/default/web", {{200, resources::encode(web())}});
    server.answer("DELETE /v1/load-balancers/default/web", {{204, ""}});
    const Outcome deleted = guideway({"delete", "load-balancer/default/web", "-o", "name"});
    EXPECT_EQ(deleted.out, "load-balancer/default/web\n") << deleted.err;
}

TEST_F(Cli, AllAndANamespaceContradictEachOther) {
    EXPECT_EQ(guideway({"get", "lb", "-A", "-n", "shop"}).code, kUsage);
    EXPECT_TRUE(server.seen().empty());
}

TEST_F(Cli, ApplyAndDeletePrintWhatProgramsRead) {
    server.answer("PUT /v1/load-balancers/default/web", {{201, resources::encode(web())}});
    server.answer("GET /v1/status?wait=forwarding&timeout=30", {{200, R"({"kind":"SystemStatus"})"}});
    const Outcome one = guideway({"apply", "-f", "-", "-o", "json"}, kWebYaml);
    EXPECT_EQ(one.code, kOk) << one.err;
    EXPECT_EQ(resources::read_load_balancer(one.out).value, web()) << one.out;
    server.answer("PUT /v1/nodes/node-1", {{201, resources::encode(node())}});
    const std::string both =
        std::string(kWebYaml) + "---\nkind: Node\nmetadata: {name: node-1}\nspec: {addresses: [10.0.2.11]}\n";
    const Outcome list = guideway({"apply", "-f", "-", "-o", "yaml"}, both);
    EXPECT_TRUE(list.out.starts_with("kind: List\nitems:\n  - kind: LoadBalancer\n")) << list.out;
    EXPECT_EQ(guideway({"apply", "-f", "-", "-o", "name"}, both).out, "load-balancer/default/web\nnode/node-1\n");
}

TEST_F(Cli, AManifestBelongsWhereItOrTheOptionsSay) {
    resources::LoadBalancer other = web();
    other.metadata.cluster = "prod";
    other.metadata.namespace_ = "shop";
    server.answer("PUT /v1/clusters/prod/load-balancers/shop/web", {{201, resources::encode(other)}});
    const char* bare = "kind: LoadBalancer\nmetadata: {name: web}\nspec: {ports: [{port: 80, nodePort: 30080}]}\n";
    const char* full =
        "kind: LoadBalancer\nmetadata: {name: web, namespace: shop, cluster: prod}\n"
        "spec: {ports: [{port: 80, nodePort: 30080}]}\n";
    const char* expected = "load-balancer prod/shop/web created (203.0.113.1, 2001:db8:f::1)\n";
    EXPECT_EQ(guideway({"apply", "-f", "-", "-n", "shop", "--cluster", "prod"}, bare).out, expected);
    EXPECT_EQ(guideway({"apply", "-f", "-"}, full).out, expected);
}

resources::AllocationPreview preview() {
    return {{{IpAddress::parse("203.0.113.5").value(), "public"}},
            "Allocated",
            "",
            {{"internal", false, "PoolNotAllowed", "it is for the namespaces admin alone"},
             {"public", true, "Used", "lowest free address"}}};
}

TEST_F(Cli, APreviewShowsThePoolsPassedOverAndChangesNothing) {
    server.answer("POST /v1/load-balancers/default/web/preview", {{200, resources::encode(preview())}});
    const std::string table =
        "    POOL       VERDICT          WHY\n"
        "  internal   PoolNotAllowed   it is for the namespaces admin alone\n"
        "* public     Used             lowest free address\n";
    const Outcome explained = guideway({"explain", "allocation", "-f", "-"}, kWebYaml);
    EXPECT_EQ(explained.code, kOk) << explained.err;
    EXPECT_EQ(explained.out,
              "load-balancer default/web would get 203.0.113.5 (pool public)\n"
              "  POOL       VERDICT          WHY\n"
              "  internal   PoolNotAllowed   it is for the namespaces admin alone\n"
              "* public     Used             lowest free address\n");
    const Outcome dry = guideway({"apply", "-f", "-", "--dry-run"}, kWebYaml);
    EXPECT_EQ(dry.code, kOk) << dry.err;
    EXPECT_TRUE(dry.out.starts_with("load-balancer default/web would be created (dry run)\n")) << dry.out;
    EXPECT_NE(dry.out.find("would get 203.0.113.5 (pool public)"), std::string::npos) << dry.out;
    for (const auto& request : server.seen()) EXPECT_FALSE(request.what.starts_with("PUT")) << request.what;
}

TEST_F(Cli, APreviewOfAWishThatStaysUnmetSaysWhyAndFails) {
    resources::AllocationPreview unmet = preview();
    unmet.ingress.clear();
    unmet.reason = "NoAvailableIPs";
    unmet.message = "every pool that admits it is full; add addresses";
    unmet.pools.pop_back();
    server.answer("POST /v1/load-balancers/default/web/preview", {{200, resources::encode(unmet)}});
    server.answer("GET /v1/load-balancers/default/web", {{200, resources::encode(web())}});
    const Outcome done = guideway({"explain", "allocation", "default/web"});
    EXPECT_EQ(done.code, kFailed);
    EXPECT_TRUE(
        done.out.starts_with("load-balancer default/web would wait for an address\n"
                             "  NoAvailableIPs: every pool that admits it is full; add addresses\n"))
        << done.out;
}

TEST_F(Cli, ExplainAllocationWantsAFileOrAName) {
    EXPECT_EQ(guideway({"explain", "allocation"}).code, kUsage);
    EXPECT_EQ(guideway({"explain", "allocation", "a/b", "-f", "-"}).code, kUsage);
    EXPECT_EQ(guideway({"explain", "allocation", "-f", "-"},
                       "kind: Node\nmetadata: {name: n}\nspec: {addresses: [10.0.0.1]}\n")
                  .code,
              kFailed);
}

TEST_F(Cli, APoolShowsWhoHasItsAddressesAndHowFullItIs) {
    server.answer("GET /v1/address-pools/public", {{200, resources::encode(pool())}});
    const Outcome done = guideway({"describe", "pool", "public"});
    EXPECT_EQ(done.code, kOk) << done.err;
    for (const char* part :
         {"Quarantine:       5m after an address is given back\n", "Priority:         10\n", "For namespaces:   shop\n",
          "IPv4:             [########......................] 4 of 16 in use (1 shared), 12 free (2 in quarantine)\n",
          "IPv6:             [..............................] 0 of huge in use, huge free\n",
          "  CLUSTER   NAMESPACE   NAME   ADDRESSES\n"
          "  default   shop        web    203.0.113.1\n"
          "  prod      shop        api    203.0.113.2\n"
          "  and 1,001 more, see `guideway get lb -A`\n"}) {
        EXPECT_NE(done.out.find(part), std::string::npos) << part << done.out;
    }
}

TEST_F(Cli, DescribeEndsWithTheObjectsEvents) {
    server.answer("GET /v1/load-balancers/shop/web", {{200, resources::encode(web())}});
    server.answer("GET /v1/events?cluster=default&namespace=shop&kind=LoadBalancer&name=web&limit=500",
                  {{200, list_of<resources::Event>({event(false, "IPAllocated"), event(true, "AddressMoved", 3)})}});
    const Outcome done = guideway({"describe", "lb", "shop/web"});
    EXPECT_TRUE(
        done.out.ends_with("Events:\n"
                           "  LAST SEEN   TYPE      REASON         MESSAGE\n"
                           "  -           Normal    IPAllocated    a sentence\n"
                           "  -           Warning   AddressMoved   a sentence (x3)\n"))
        << done.out;
}

TEST_F(Cli, EventsOfOneObjectOrOnlyWarnings) {
    const std::string all = list_of<resources::Event>({event(false, "IPAllocated"), event(true, "AllocationFailed")});
    server.answer("GET /v1/events?limit=500", {{200, all}});
    server.answer("GET /v1/events?cluster=default&namespace=shop&kind=LoadBalancer&name=web&limit=500", {{200, all}});
    EXPECT_EQ(guideway({"events"}).out,
              "LAST SEEN   TYPE      REASON             OBJECT                   MESSAGE\n"
              "-           Normal    IPAllocated        load-balancer/shop/web   a sentence\n"
              "-           Warning   AllocationFailed   load-balancer/shop/web   a sentence\n");
    EXPECT_EQ(guideway({"events", "--warnings"}).out.find("IPAllocated"), std::string::npos);
    EXPECT_EQ(guideway({"events", "--for", "lb/shop/web"}).code, kOk);
    EXPECT_EQ(guideway({"events", "--for", "web"}).code, kUsage);
    EXPECT_NE(guideway({"events", "-o", "json"}).out.find("\"EventList\""), std::string::npos);
}

TEST_F(Cli, SnatAddressesAreListed) {
    server.answer(
        "GET /v1/snat-addresses",
        {{200, resources::encode(std::vector<resources::SnatAddress>{{IpAddress::parse("10.0.2.100").value()}})}});
    EXPECT_EQ(guideway({"get", "snat"}).out, "ADDRESS      FAMILY\n10.0.2.100   IPv4\n");
    EXPECT_EQ(guideway({"get", "snat", "-o", "name"}).out, "snat-address/10.0.2.100\n");
}

TEST_F(Cli, WatchPrintsTheListAndThenEachChange) {
    server.answer("GET /v1/nodes?limit=500", {{200, list_of<resources::Node>({node()})}});
    server.answer(
        "GET /v1/nodes?watch=true&allowBookmarks=true&resourceVersion=5",
        {{200,
          sse("MODIFIED", "6", resources::encode(node(6, true))) + sse("BOOKMARK", "8", "{}") +
              sse("DELETED", "9", resources::encode(node(6, true))) +
              sse("ERROR", "", R"({"status": 403, "reason": "Forbidden", "detail": "the token was deleted"})"),
          {{"Content-Type", "text/event-stream"}}}});
    const Outcome table = guideway({"get", "nodes", "-w"});
    EXPECT_EQ(table.out,
              "NAME     ADDRESSES   WEIGHT   STATE   AGE\n"
              "node-1   10.0.2.11   1        Ready   -\n"
              "node-1   10.0.2.11   1        Draining   -\n"
              "node-1   10.0.2.11   1        Deleted   -\n");
    EXPECT_EQ(table.code, kFailed);
    EXPECT_NE(table.err.find("the token was deleted"), std::string::npos) << table.err;
    const Outcome lines = guideway({"get", "nodes", "-w", "-o", "json"});
    EXPECT_TRUE(lines.out.starts_with(R"({"type":"ADDED","object":{"kind":"Node")")) << lines.out;
    EXPECT_EQ(std::count(lines.out.begin(), lines.out.end(), '\n'), 3);
    EXPECT_EQ(guideway({"get", "nodes", "-w", "-o", "name"}).out, "node/node-1\nnode/node-1\nnode/node-1\n");
}

TEST_F(Cli, AWatchThatMissedSomethingListsAgain) {
    const std::string too_old = R"({"status": 410, "reason": "Expired", "detail": "list again"})";
    server.answer("GET /v1/nodes?limit=500",
                  {{200, list_of<resources::Node>({node()})}, {403, R"({"status": 403, "reason": "Forbidden"})"}});
    server.answer("GET /v1/nodes?watch=true&allowBookmarks=true&resourceVersion=5", {{410, too_old}});
    EXPECT_NE(guideway({"get", "nodes", "-w"}).err.find("some changes were missed"), std::string::npos);
}

TEST_F(Cli, AWatchOfOneObjectShowsThatOneAlone) {
    resources::Node other = node();
    other.metadata.name = "node-2";
    server.answer("GET /v1/clusters/default/nodes?limit=500", {{200, list_of<resources::Node>({node(), other})}});
    const Outcome done = guideway({"get", "node", "node-2", "-w", "-o", "name"});
    EXPECT_EQ(done.out, "node/node-2\n") << done.err;
}

TEST_F(Cli, WhatOthersWroteDoesNotSpeakToTheTerminal) {
    resources::LoadBalancer evil = web();
    evil.status.conditions[1].message =
        "red \x1b[31m, \xc2\x9b"
        "31m, bell \a, \xc3\xa9 stays";
    server.answer("GET /v1/load-balancers/default/web", {{200, resources::encode(evil)}});
    const Outcome done = guideway({"describe", "lb", "web"});
    EXPECT_NE(done.out.find("red ?[31m, ?31m, bell ?, \xc3\xa9 stays"), std::string::npos) << done.out;
    EXPECT_EQ(done.out.find('\x1b'), std::string::npos);
    // The same in a refusal.
    server.answer("GET /v1/load-balancers/default/web", {{409, "{\"status\": 409, \"detail\": \"\\u001b[31m\"}"}});
    EXPECT_EQ(guideway({"get", "lb", "web"}).err, "guideway: ?[31m\n");
}

TEST_F(Cli, WhatCannotBeWatchedSaysSo) {
    EXPECT_EQ(guideway({"get", "tokens", "-w"}).code, kUsage);
    EXPECT_EQ(guideway({"get", "snat", "-w"}).code, kUsage);
    EXPECT_EQ(guideway({"get", "events", "x"}).code, kUsage);
}

}  // namespace
}  // namespace guideway::cli
