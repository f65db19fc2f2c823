#include "api/contract/forwarding_state_codec.h"

#include <chrono>
#include <functional>

#include <gtest/gtest.h>

namespace guideway::contract {
namespace {

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

ForwardingState good_state() {
    ForwardingState state;
    state.generation = 7;
    state.backend_sets = {
        {"nodes-ipv4", IpFamily::ipv4, {{"node-1", ip("10.0.2.11"), 0, 1}, {"node-2", ip("10.0.2.12"), 0, 0}}},
        {"pods-ipv6", IpFamily::ipv6, {{"pod-1", ip("fd00::1"), 8080, 1000}}},
        {"empty", IpFamily::ipv4, {}}};
    state.services = {{"default/web", ip("203.0.113.10"), Protocol::tcp, 80, "nodes-ipv4", 30080, 0},
                      {"default/web", ip("203.0.113.10"), Protocol::udp, 80, "nodes-ipv4", 30081, 120},
                      {"default/pods", ip("2001:db8::10"), Protocol::sctp, 80, "pods-ipv6", 0, 0}};
    return state;
}

/// With all that Kubernetes asks for beyond a plain service (rules 11-13, 16).
ForwardingState kubernetes_state() {
    ForwardingState state = good_state();
    state.backend_sets[0].backends[1].closed = true;
    state.source_range_sets = {{"office", {*IpPrefix::parse("198.51.100.0/24"), *IpPrefix::parse("2001:db8:7::1/48")}},
                               {"nobody", {}}};
    state.routes = {{*IpPrefix::parse("10.244.1.0/24"), ip("10.0.2.11")},
                    {*IpPrefix::parse("fd00:10:244::/64"), ip("fd00::1")}};
    state.vip_ports = {{ip("203.0.113.10"), {"clients", "client0"}}};
    state.services[0].affinity_seconds = 10800;
    state.services[0].source_ranges = "office";
    state.services[0].ranges_end_established = true;
    state.services[2].source_ranges = "nobody";
    state.services[1].silent = true;
    state.services[1].new_connections_per_second = 1;
    state.services[1].packets_per_second = 100'000'000;
    state.services[1].new_connections_per_second_per_source = 3;
    return state;
}

TEST(ForwardingStateCodec, WhatKubernetesAsksForSurvivesARoundTrip) {
    const ForwardingState state = kubernetes_state();
    for (const bool pretty : {false, true}) {
        const auto decoded = decode_forwarding_state(encode(state, pretty));
        ASSERT_TRUE(decoded.ok()) << decoded.faults[0].field << decoded.faults[0].message;
        EXPECT_EQ(*decoded.value, state);
    }
}

TEST(ForwardingStateCodec, AStateWithoutTheNewFieldsIsWrittenAsBefore) {
    const std::string text = encode(good_state());
    for (const char* field :
         {"closed", "source_range", "routes", "affinity", "ranges_end", "silent", "per_second", "vip_ports"}) {
        EXPECT_EQ(text.find(field), std::string::npos) << field;
    }
}

TEST(ForwardingStateCodec, FaultsOfShapeInTheNewFieldsAreNamed) {
    const auto decoded = decode_forwarding_state(R"({"format": 1, "generation": 1,
        "backend_sets": [{"name": "s", "family": "IPv4", "backends": [{"name": "n", "address": "10.0.2.1", "closed": 1}]}],
        "source_range_sets": [{"name": "r", "prefixes": ["10.0.0.0/33", "10.0.0.0", 7]}, {"prefixes": []}],
        "routes": [{"destination": "10.244.0.0", "via": "10.0.2.1/24"}],
        "vip_ports": [{"vip": "203.0.113.10/32", "ports": []}, {"vip": "203.0.113.10", "ports": [7]}],
        "services": [{"name": "x", "vip": "203.0.113.10", "protocol": "TCP", "port": 1, "backend_set": "s",
                      "affinity_seconds": 86401, "source_ranges": 5, "ranges_end_established": "yes",
                      "silent": 1, "new_connections_per_second": -1, "packets_per_second": 100000001,
                      "new_connections_per_second_per_source": "5"}]})");
    std::vector<std::string> fields;
    for (const Fault& fault : decoded.faults) fields.push_back(fault.field);
    EXPECT_EQ(fields,
              (std::vector<std::string>{
                  "/backend_sets/0/backends/0/closed", "/source_range_sets/0/prefixes/0",
                  "/source_range_sets/0/prefixes/1", "/source_range_sets/0/prefixes/2", "/source_range_sets/1/name",
                  "/routes/0/destination", "/routes/0/via", "/vip_ports/0/vip", "/vip_ports/0/ports",
                  "/vip_ports/1/ports/0", "/services/0/affinity_seconds", "/services/0/source_ranges",
                  "/services/0/ranges_end_established", "/services/0/silent", "/services/0/new_connections_per_second",
                  "/services/0/packets_per_second", "/services/0/new_connections_per_second_per_source"}));
}

TEST(ForwardingStateCodec, RoundTripKeepsEverything) {
    const ForwardingState state = good_state();
    for (const bool pretty : {false, true}) {
        const auto decoded = decode_forwarding_state(encode(state, pretty));
        ASSERT_TRUE(decoded.ok()) << decoded.faults[0].field << decoded.faults[0].message;
        EXPECT_EQ(*decoded.value, state);
    }
    EXPECT_EQ(encode(state).find('\n'), std::string::npos);
    EXPECT_TRUE(decode_forwarding_state(encode(ForwardingState{})).ok());
}

TEST(ForwardingStateCodec, TheFormIsWhatTheHeaderSays) {
    const auto decoded = decode_forwarding_state(R"({"format": 1, "generation": 7,
        "backend_sets": [{"name": "s", "family": "IPv4", "backends": [{"name": "n", "address": "10.0.2.11"}]}],
        "services": [{"name": "default/web", "vip": "203.0.113.10", "protocol": "TCP", "port": 80,
                      "backend_set": "s", "backend_port": 30080}]})");
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(decoded.value->backend_sets[0].backends[0].weight, 1U);
    EXPECT_EQ(decoded.value->services[0].idle_timeout_seconds, 0U);
}

TEST(ForwardingStateCodec, EveryFaultOfShapeIsNamedAtOnce) {
    const auto decoded = decode_forwarding_state(R"({"format": 2, "generation": -1, "colour": "red",
        "backend_sets": [{"name": "s", "family": "IPv5", "backends": [{"name": "n", "address": "10.0.2.256", "weight": 1001}]}],
        "services": [{"name": "x", "vip": "203.0.113.10", "protocol": "tcp", "port": 0, "backend_set": "s", "backend_port": 65536}]})");
    std::vector<std::string> fields;
    for (const Fault& fault : decoded.faults) fields.push_back(fault.field);
    EXPECT_EQ(fields, (std::vector<std::string>{"/format", "/generation", "/backend_sets/0/family",
                                                "/backend_sets/0/backends/0/address",
                                                "/backend_sets/0/backends/0/weight", "/services/0/protocol",
                                                "/services/0/port", "/services/0/backend_port", "/colour"}));
    EXPECT_FALSE(decoded.ok());
}

struct Case {
    const char* rule;
    std::function<void(ForwardingState&)> spoil;
    const char* field;
};

TEST(ForwardingStateValidate, NamesEachFaultByPointer) {
    const std::vector<Case> cases{
        {"set names are unique", [](auto& s) { s.backend_sets[2].name = "nodes-ipv4"; }, "/backend_sets/2/name"},
        {"listeners are unique", [](auto& s) { s.services[1].protocol = Protocol::tcp; }, "/services/1"},
        {"the set exists", [](auto& s) { s.services[0].backend_set = "gone"; }, "/services/0/backend_set"},
        {"VIP and set have one family", [](auto& s) { s.services[2].vip = ip("203.0.113.11"); },
         "/services/2/backend_set"},
        {"backends have the set's family", [](auto& s) { s.backend_sets[0].backends[1].address = ip("fd00::2"); },
         "/backend_sets/0/backends/1/address"},
        {"a VIP is usable", [](auto& s) { s.services[0].vip = ip("224.0.0.1"); }, "/services/0/vip"},
        {"a VIP is not link-local", [](auto& s) { s.services[2].vip = ip("fe80::1"); }, "/services/2/vip"},
        {"a backend is usable", [](auto& s) { s.backend_sets[0].backends[0].address = ip("127.0.0.1"); },
         "/backend_sets/0/backends/0/address"},
        {"ports begin at 1", [](auto& s) { s.services[0].port = 0; }, "/services/0/port"},
        {"a backend port is needed", [](auto& s) { s.services[0].backend_port = 0; }, "/services/0/backend_port"},
        {"weights end at 1000", [](auto& s) { s.backend_sets[0].backends[0].weight = 1001; },
         "/backend_sets/0/backends/0/weight"},
        {"backends are unique", [](auto& s) { s.backend_sets[0].backends[1].address = ip("10.0.2.11"); },
         "/backend_sets/0/backends/1"},
        {"names are not empty", [](auto& s) { s.services[0].name = ""; }, "/services/0/name"},
        {"names have 253 bytes at most", [](auto& s) { s.services[0].name = std::string(254, 'a'); },
         "/services/0/name"},
        {"names are printable", [](auto& s) { s.backend_sets[0].backends[0].name = "a\nb"; },
         "/backend_sets/0/backends/0/name"},
        {"limits are bounded", [](auto& s) { s.services[0].packets_per_second = 100'000'001; },
         "/services/0/packets_per_second"},
        {"timeouts end at a week", [](auto& s) { s.services[0].idle_timeout_seconds = 604801; },
         "/services/0/idle_timeout_seconds"},
    };
    ASSERT_TRUE(validate(good_state()).empty());
    for (const Case& one : cases) {
        ForwardingState state = good_state();
        one.spoil(state);
        const auto faults = validate(state);
        ASSERT_EQ(faults.size(), 1U) << one.rule;
        EXPECT_EQ(faults[0].field, one.field) << one.rule;
        EXPECT_FALSE(faults[0].message.empty()) << one.rule;
    }
}

TEST(ForwardingStateValidate, NamesEachFaultOfRangesRoutesAndDrainingByPointer) {
    const auto prefix = [](const char* text) { return *IpPrefix::parse(text); };
    const std::vector<Case> cases{
        {"closed only without weight", [](auto& s) { s.backend_sets[0].backends[1].weight = 1; },
         "/backend_sets/0/backends/1/closed"},
        {"range set names are unique",
         [](auto& s) {
             s.source_range_sets.push_back({"office", {}});
         },
         "/source_range_sets/2/name"},
        {"range set names are not empty",
         [](auto& s) {
             s.source_range_sets.push_back({"", {}});
         },
         "/source_range_sets/2/name"},
        {"the range set exists", [](auto& s) { s.services[1].source_ranges = "gone"; }, "/services/1/source_ranges"},
        {"a range's length is of its family", [](auto& s) { s.source_range_sets[0].prefixes[0].length = 33; },
         "/source_range_sets/0/prefixes/0"},
        {"affinity ends at a day", [](auto& s) { s.services[0].affinity_seconds = 86401; },
         "/services/0/affinity_seconds"},
        {"no route to everything", [&](auto& s) { s.routes[0].destination = prefix("0.0.0.0/0"); },
         "/routes/0/destination"},
        {"no host bits in a route", [&](auto& s) { s.routes[0].destination = prefix("10.244.1.1/24"); },
         "/routes/0/destination"},
        {"no route to loopback", [&](auto& s) { s.routes[0].destination = prefix("127.0.0.0/8"); },
         "/routes/0/destination"},
        {"one family in a route", [](auto& s) { s.routes[0].via = ip("fd00::1"); }, "/routes/0/via"},
        {"a way is usable", [](auto& s) { s.routes[0].via = ip("0.0.0.0"); }, "/routes/0/via"},
        {"one route to a destination",
         [](auto& s) {
             s.routes.push_back({s.routes[0].destination, ip("10.0.2.12")});
         },
         "/routes/2/destination"},
        {"a VIP is bound once",
         [](auto& s) {
             s.vip_ports.push_back({ip("203.0.113.10"), {"clients"}});
         },
         "/vip_ports/1/vip"},
        {"and to a port", [](auto& s) { s.vip_ports[0].ports.clear(); }, "/vip_ports/0/ports"},
        {"which has a name", [](auto& s) { s.vip_ports[0].ports[1].clear(); }, "/vip_ports/0/ports/1"},
        {"a bound VIP is an address of hosts", [](auto& s) { s.vip_ports[0].vip = ip("127.0.0.1"); },
         "/vip_ports/0/vip"},
    };
    ASSERT_TRUE(validate(kubernetes_state()).empty());
    for (const Case& one : cases) {
        ForwardingState state = kubernetes_state();
        one.spoil(state);
        const auto faults = validate(state);
        ASSERT_EQ(faults.size(), 1U) << one.rule;
        EXPECT_EQ(faults[0].field, one.field) << one.rule;
        EXPECT_FALSE(faults[0].message.empty()) << one.rule;
    }
}

TEST(ForwardingStateValidate, ServicesWithoutBackendsAreValid) {
    ForwardingState state = good_state();
    state.services[0].backend_set = "empty";
    EXPECT_TRUE(validate(state).empty());
}

TEST(ForwardingStateValidate, LimitsAreKept) {
    ForwardingState state = good_state();
    for (std::uint32_t i = 0; i <= kMaxBackendsPerSet; ++i) {
        state.backend_sets[2].backends.push_back({"b", IpAddress::v4(0x0a000000 + i), 0, 1});
    }
    ASSERT_EQ(validate(state).size(), 1U);
    EXPECT_EQ(validate(state)[0].field, "/backend_sets/2/backends");
    state = good_state();
    state.services.resize(kMaxServices + 1);
    ASSERT_EQ(validate(state).size(), 1U);
    EXPECT_EQ(validate(state)[0].field, "/services");
    state = good_state();
    state.source_range_sets = {{"a", std::vector<IpPrefix>(kMaxSourcePrefixes)}, {"b", {}}};
    EXPECT_TRUE(validate(state).empty());
    state.source_range_sets[1].prefixes.resize(1);
    ASSERT_EQ(validate(state).size(), 1U);
    EXPECT_EQ(validate(state)[0].field, "/source_range_sets");
    state = good_state();
    state.routes.resize(kMaxRoutes + 1);
    ASSERT_EQ(validate(state).size(), 1U);
    EXPECT_EQ(validate(state)[0].field, "/routes");
}

TEST(ForwardingStateCodec, TenThousandServicesSurviveARoundTrip) {
    ForwardingState state = good_state();
    state.services.clear();
    for (std::uint32_t i = 0; i < 10000; ++i) {
        state.services.push_back({"default/service-" + std::to_string(i), IpAddress::v4(0xcb007100 + i), Protocol::tcp,
                                  80, "nodes-ipv4", static_cast<std::uint16_t>(30000 + i), 0});
    }
    const auto start = std::chrono::steady_clock::now();
    const auto decoded = decode_forwarding_state(encode(state));
    const std::chrono::duration<double, std::milli> took = std::chrono::steady_clock::now() - start;
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(*decoded.value, state);
    RecordProperty("round_trip_ms", std::to_string(took.count()));
}

}  // namespace
}  // namespace guideway::contract
