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
