// The quick way of reading a state accepts nothing that the strict way refuses, and reads the same; writing without a tree gives
// the text the tree would.
#include <random>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "api/contract/forwarding_state_codec.h"
#include "api/contract/json_form.h"
#include "api/contract/messages.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"

namespace guideway::contract {
namespace {

ForwardingState some_state() {
    ForwardingState state;
    state.generation = 12345678901234567U;
    state.backend_sets = {{"nodes",
                           IpFamily::ipv4,
                           {{"n1", *IpAddress::parse("10.0.0.1"), 0, 1}, {"n2", *IpAddress::parse("10.0.0.2"), 80, 0}}},
                          {"six", IpFamily::ipv6, {{"n3", *IpAddress::parse("fd00::1"), 8080, 1000}}},
                          {"empty", IpFamily::ipv4, {}}};
    state.services = {{"default/web", *IpAddress::parse("203.0.113.1"), Protocol::tcp, 80, "nodes", 30080, 0},
                      {"default/dns", *IpAddress::parse("2001:db8::1"), Protocol::udp, 53, "six", 0, 604800}};
    state.backend_sets[0].backends[1].closed = true;
    state.source_range_sets = {{"office", {*IpPrefix::parse("10.0.0.0/8"), *IpPrefix::parse("2001:db8::/32")}},
                               {"nobody", {}}};
    state.routes = {{*IpPrefix::parse("10.244.1.0/24"), *IpAddress::parse("10.0.0.1")}};
    state.services[0].affinity_seconds = 10800;
    state.services[0].source_ranges = "office";
    state.services[0].ranges_end_established = true;
    state.services[0].silent = true;
    state.services[0].new_connections_per_second = 7;
    state.services[0].packets_per_second = 100'000'000;
    state.services[0].new_connections_per_second_per_source = 1;
    return state;
}

/// The long way, to the shape.
std::optional<ForwardingState> read_strictly(const std::string& text) {
    const auto tree = json::parse_strict(text, {kMaxStateBytes, 32});
    if (!tree.ok()) return std::nullopt;
    std::vector<Fault> faults;
    json::ObjectReader reader(*tree.value, "", faults);
    ForwardingState state = read_forwarding_state(reader);
    reader.finish();
    if (!faults.empty()) return std::nullopt;
    return state;
}

TEST(PlainState, WhatOurProgramsWriteIsReadTheQuickWay) {
    for (const bool pretty : {false, true}) {
        const auto plain = read_plain_state(encode(some_state(), pretty));
        ASSERT_TRUE(plain.has_value());
        EXPECT_EQ(*plain, some_state());
    }
    EXPECT_EQ(read_plain_apply(encode(Request(ApplyRequest{some_state()}))), some_state());
    EXPECT_EQ(read_plain_state(encode(ForwardingState{})), ForwardingState{});
}

TEST(PlainState, WhatIsNotPlainOrNotRightIsLeftToTheStrictWay) {
    const std::string good = encode(some_state());
    const auto with = [&](const std::string& old, const std::string& now) {
        std::string text = good;
        text.replace(text.find(old), old.size(), now);
        return text;
    };
    for (const std::string& text : {std::string(),
                                    std::string("{"),
                                    std::string("[]"),
                                    good + "x",
                                    good + good,
                                    with("\"format\":1", "\"format\":2"),
                                    with("\"format\":1,", ""),
                                    with("\"format\":1", "\"format\":1,\"format\":1"),
                                    with("\"format\":1", "\"format\":1,\"colour\":1"),
                                    with("\"port\":80", "\"port\":080"),
                                    with("\"port\":80", "\"port\":80.0"),
                                    with("\"port\":80", "\"port\":8e1"),
                                    with("\"port\":80", "\"port\":-80"),
                                    with("\"port\":80", "\"port\":65536"),
                                    with("\"port\":80", "\"port\":\"80\""),
                                    with("\"port\":80", "\"port\":null"),
                                    with("12345678901234567", "18446744073709551616"),
                                    with("\"n1\"", "\"n\\u0031\""),
                                    with("\"n1\"", "\"n\xc3\xa4\""),
                                    with("\"n1\"", "\"n\n\""),
                                    with("IPv6", "IPv5"),
                                    with("TCP", "tcp"),
                                    with("10.0.0.1", "10.0.0.01"),
                                    with("\"name\":\"n1\",", ""),
                                    with("\"weight\":1}", "\"weight\":1001}"),
                                    with("\"closed\":true", "\"closed\":1"),
                                    with("\"closed\":true", "\"closed\":tru"),
                                    with("\"closed\":true", "\"closed\":truetrue"),
                                    with("\"closed\":true", "\"closed\":true,\"closed\":true"),
                                    with("10.0.0.0/8", "10.0.0.0"),
                                    with("10.244.1.0/24", "10.244.1.0/33"),
                                    with("\"via\":\"10.0.0.1\"", "\"via\":\"10.0.0.1/32\""),
                                    with(",\"via\":\"10.0.0.1\"", ""),
                                    with("\"affinity_seconds\":10800", "\"affinity_seconds\":86401"),
                                    with("\"backends\":[]", "\"backends\":[],"),
                                    with("\"backends\":[]", "\"backends\":[1]"),
                                    with("\"backends\":[]", "\"backends\":{}")}) {
        EXPECT_FALSE(read_plain_state(text).has_value()) << text;
    }
    EXPECT_FALSE(read_plain_apply("{\"type\":\"state\"}").has_value());
    EXPECT_FALSE(read_plain_apply("{\"type\":\"apply\"}").has_value());
    // Which reads what it can: an escaped text is as good as a plain one.
    EXPECT_EQ(*decode_forwarding_state(with("\"n1\"", "\"n\\u0031\"")).value, some_state());
}

TEST(PlainState, WhateverItAcceptsTheStrictWayReadsAsTheSame) {
    std::mt19937 random(1);
    const std::string good = encode(some_state(), true);
    static constexpr std::string_view kBytes = "{}[]\",:0123456789.-+eE \n\t\\/nulltrufasIPv46TCPx\x80\x01";
    std::size_t accepted = 0;
    for (int i = 0; i < 30000; ++i) {
        std::string text = good;
        for (unsigned change = 0; change <= random() % 3; ++change) {
            const std::size_t at = random() % text.size();
            const char byte = kBytes[random() % kBytes.size()];
            switch (random() % 4) {
                case 0:
                    text[at] = byte;
                    break;
                case 1:
                    text.insert(at, 1, byte);
                    break;
                case 2:
                    text.erase(at, 1 + random() % 3);
                    break;
                default:
                    text.insert(at, text.substr(random() % text.size(), random() % 20));
                    break;
            }
        }
        const auto plain = read_plain_state(text);
        if (!plain) continue;
        ++accepted;
        const auto strict = read_strictly(text);
        ASSERT_TRUE(strict.has_value()) << text;
        ASSERT_EQ(*plain, *strict) << text;
    }
    EXPECT_GT(accepted, 1000U);
}

TEST(JsonWriter, WritesWhatATreeWould) {
    ForwardingState state = some_state();
    state.services[0].name = "quote\" back\\slash \n tab\t nul" + std::string(1, '\0') + " \x7f \xc3\xa4 bad \xff";
    const std::string line = encode(state);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto tree = nlohmann::ordered_json::parse(line);
    EXPECT_EQ(tree.dump(), line);
    EXPECT_EQ(tree["services"][0]["name"].get<std::string>().substr(0, 6), "quote\"");
    Counters counters;
    counters.services = {{"default/web", *IpAddress::parse("203.0.113.1"), Protocol::udp, 53, {1, 2, 3, ~0ULL}, 5, 6}};
    counters.ports = {{"client", "af_xdp", true, 1, 2, 3, 4, 5, 6, 7, 8, 9}};
    Response response;
    response.counters = counters;
    response.status = DataplaneStatus{"0.1.0", 12, 2, "adaptive", {{"client", "af_packet", true}}, {}, {}};
    EXPECT_EQ(nlohmann::ordered_json::parse(encode(response)).dump(), encode(response));
}

}  // namespace
}  // namespace guideway::contract
