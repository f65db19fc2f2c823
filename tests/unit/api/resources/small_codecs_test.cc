// Tokens, events, SNAT addresses, BGP, maintenance and previews: the codecs beside those of load balancers, pools and nodes (codec_test.cc).
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/resources/bgp_status_codec.h"
#include "api/resources/event_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/maintenance_codec.h"
#include "api/resources/names.h"
#include "api/resources/snat_address_codec.h"
#include "api/resources/token_codec.h"

namespace guideway::resources {
namespace {

using Tree = nlohmann::json;

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

std::vector<std::string> fields_of(const std::vector<contract::Fault>& faults) {
    std::vector<std::string> out;
    for (const auto& fault : faults) out.push_back(fault.field);
    return out;
}

Token full_token() {
    Token object;
    object.metadata.name = "prod-controller";
    object.metadata.labels = {{"team", "shop"}};
    object.metadata.resource_version = 9;
    object.metadata.generation = 1;
    object.spec = {"controller", "prod", "2030-01-02T03:04:05Z"};
    object.status.secrets = {{"b2", "2026-01-02T03:04:05Z", ""},
                             {"a1", "2026-01-01T03:04:05Z", "2026-01-02T00:00:00Z"}};
    object.status.token = "gw_b2_secret";
    return object;
}

TEST(BgpStatusCodec, AnAnswerRoundTripsWithEverythingAndWithNothing) {
    BgpStatus status;
    EXPECT_EQ(*read_bgp_status(encode(status)).value, status) << "not configured";
    EXPECT_FALSE(Tree::parse(encode(status)).contains("daemon"));
    status.configured = true;
    status.daemon = "frr";
    status.asn = 4294967295;
    EXPECT_EQ(*read_bgp_status(encode(status, true)).value, status) << "not asked yet";
    status.router_id = "192.0.2.1";
    status.daemon_answers = true;
    status.age_seconds = 2;
    status.peers = {{"tor1", ip("192.0.2.254"), 64513, "Established", true, "00:01:02", 2, ""},
                    {"tor2", ip("2001:db8::2"), 64514, "Active", false, "", 0, "Hold timer \"expired\""}};
    status.routes = {{*IpPrefix::parse("203.0.113.10/32"), "hosts"}, {*IpPrefix::parse("2001:db8:f::/64"), ""}};
    status.announce_error = "the kernel says no";
    status.maintenance = true;
    const auto read = read_bgp_status(encode(status));
    ASSERT_TRUE(read.ok()) << read.faults[0].field << read.faults[0].message;
    EXPECT_EQ(*read.value, status);
    status.daemon_answers = false;
    status.daemon_error = "bird said \xff";  // a daemon's words may be anything
    EXPECT_TRUE(read_bgp_status(encode(status)).ok());
}

TEST(MaintenanceCodec, AnAnswerRoundTripsAndIsAWish) {
    Maintenance now;
    EXPECT_EQ(*read_maintenance(encode(now)).value, now);
    now = {true, "new \"NIC\"", "2026-01-02T03:04:05Z", true, 12};
    EXPECT_EQ(*read_maintenance(encode(now, true)).value, now);
    const auto wish = decode_maintenance(encode(now));
    ASSERT_TRUE(wish.ok()) << wish.faults[0].field << wish.faults[0].message;
    EXPECT_EQ(*wish.value, (Maintenance{true, "new \"NIC\"", "", false, {}})) << "what the server says is passed over";
}

TEST(MaintenanceCodec, FaultsAreNamed) {
    const auto wish = decode_maintenance(R"({"reason": "a\u0007b", "surprise": 1})");
    EXPECT_EQ(fields_of(wish.faults), (std::vector<std::string>{"/on", "/reason", "/surprise"}));
    EXPECT_NE(wish.faults[1].message.find("one line without control characters"), std::string::npos)
        << wish.faults[1].message;
}

TEST(TokenCodec, AnAnswerRoundTripsWithEverything) {
    const Token object = full_token();
    const auto read = read_token(encode(object, true));
    ASSERT_TRUE(read.ok()) << read.faults[0].field << read.faults[0].message;
    EXPECT_EQ(*read.value, object);
    List<Token> page;
    page.metadata.resource_version = 9;
    page.items = {object};
    EXPECT_EQ(*read_token_page(encode(page)).value, page);
    EXPECT_EQ(*read_token_list(encode(page.items)).value, page.items);
}

TEST(TokenCodec, AWishTakesNoSecretFromTheClient) {
    const auto wish = decode_token(encode(full_token()), "prod-controller");
    ASSERT_TRUE(wish.ok()) << wish.faults[0].field << wish.faults[0].message;
    EXPECT_EQ(wish.value->spec, full_token().spec);
    EXPECT_EQ(wish.value->status, TokenStatus{});
}

TEST(TokenCodec, FaultsAreNamed) {
    const struct {
        const char* spec;
        std::vector<std::string> fields;
    } cases[] = {
        {R"({})", {"/spec/role"}},
        {R"({"role": "root"})", {"/spec/role"}},
        {R"({"role": "root", "cluster": "prod"})", {"/spec/role"}},
        {R"({"role": "controller"})", {"/spec/cluster"}},
        {R"({"role": "controller", "cluster": ""})", {"/spec/cluster"}},
        {R"({"role": "controller", "cluster": "A"})", {"/spec/cluster"}},
        {R"({"role": "controller", "cluster": 5})", {"/spec/cluster"}},
        {R"({"role": "admin", "cluster": "prod"})", {"/spec/cluster"}},
        {R"({"role": "viewer", "cluster": "prod"})", {"/spec/cluster"}},
        {R"({"role": "viewer", "expiresAt": "tomorrow"})", {"/spec/expiresAt"}},
        {R"({"role": "viewer", "expiresAt": "2030-02-30T00:00:00Z"})", {"/spec/expiresAt"}},
        {R"({"role": "viewer", "token": "mine", "expiresAt": 1})", {"/spec/expiresAt", "/spec/token"}},
    };
    for (const auto& one : cases) {
        const auto wish = decode_token(R"({"spec": )" + std::string(one.spec) + "}", "t");
        EXPECT_EQ(fields_of(wish.faults), one.fields) << one.spec;
    }
    EXPECT_TRUE(decode_token(R"({"spec": {"role": "viewer", "cluster": "", "expiresAt": ""}})", "t").ok());
    EXPECT_EQ(fields_of(decode_token(R"({"metadata": {"cluster": "a"}, "spec": {"role": "admin"}})", "T").faults),
              (std::vector<std::string>{"/metadata/name", "/metadata/cluster"}));
}

TEST(EventCodec, RoundTrip) {
    const Event event{7,
                      true,
                      "AddressMoved",
                      "203.0.113.7 left its pool",
                      {"LoadBalancer", "prod", "shop", "web"},
                      2,
                      "2026-01-02T03:04:05Z",
                      "2026-01-02T03:05:05Z"};
    EXPECT_EQ(*read_event(encode(event)).value, event);
    const Tree tree = Tree::parse(encode(event));
    EXPECT_EQ(tree["metadata"]["resourceVersion"], "7");
    EXPECT_EQ(tree["type"], "Warning");
    List<Event> page;
    page.metadata.next_token = "more";
    page.metadata.remaining_item_count = 2;
    page.items = {event, {8, false, "Started", "", {"Appliance", "", "", ""}, 1, "", ""}};
    EXPECT_EQ(*read_event_page(encode(page)).value, page);
}

TEST(SnatAddressCodec, RoundTrip) {
    const std::vector<SnatAddress> addresses{{ip("10.0.1.1")}, {ip("2001:db8::1")}};
    EXPECT_EQ(*read_snat_address_list(encode(addresses)).value, addresses);
    EXPECT_EQ(Tree::parse(encode(addresses))["items"][1]["family"], "IPv6");
}

TEST(PreviewCodec, RoundTrip) {
    const AllocationPreview preview{{{ip("203.0.113.7"), "public"}},
                                    "Allocated",
                                    "would hold 203.0.113.7",
                                    {{"private", false, "PoolNotAllowed", "not for namespace shop"},
                                     {"public", true, "Used", "has 3 free addresses"}}};
    EXPECT_EQ(*read_preview(encode(preview)).value, preview);
    EXPECT_EQ(Tree::parse(encode(preview))["kind"], "AllocationPreview");
}

TEST(Names, OfLabelsFollowKubernetes) {
    for (const char* good : {"a", "A", "app.kubernetes.io/name", "a_b.c-d", "0"})
        EXPECT_TRUE(is_label_key(good)) << good;
    for (const char* bad : {"", "/", "a/", "/a", "a/b/c", "A/b", "-a", "a-", "a b", "\xc3\xa4"})
        EXPECT_FALSE(is_label_key(bad)) << bad;
    EXPECT_TRUE(is_label_value(""));
    EXPECT_TRUE(is_label_value(std::string(63, 'a')));
    EXPECT_FALSE(is_label_value(std::string(64, 'a')));
    EXPECT_FALSE(is_label_value("a/b"));
}

TEST(Names, OfMomentsAreThoseTheCalendarHas) {
    for (const char* good : {"2026-01-02T03:04:05Z", "2024-02-29T00:00:00Z", "1970-12-31T23:59:59Z"})
        EXPECT_TRUE(is_utc_time(good)) << good;
    for (const char* bad :
         {"", "2026-01-02", "2026-01-02T03:04:05", "2026-01-02T03:04:05+00:00", "2026-01-02 03:04:05Z",
          "2026-13-02T03:04:05Z", "2025-02-29T00:00:00Z", "2026-01-02T24:00:00Z", "2026-01-02T00:60:00Z",
          "2026-01-02T00:00:60Z", "2026-00-02T00:00:00Z", "2026-1-2T03:04:05Z00"})
        EXPECT_FALSE(is_utc_time(bad)) << bad;
}

}  // namespace
}  // namespace guideway::resources
