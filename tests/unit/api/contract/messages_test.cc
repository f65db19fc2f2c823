#include "api/contract/messages.h"

#include <gtest/gtest.h>

#include "api/contract/counters_codec.h"
#include "api/contract/explain_codec.h"

namespace guideway::contract {
namespace {

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

Counters some_counters() {
    Counters counters;
    counters.generation = 3;
    counters.started_at_unix_seconds = 1700000000;
    counters.services = {{"default/web", ip("203.0.113.1"), Protocol::udp, 53, {1, 2, 3, 4}, 5, 6}};
    counters.backends = {{"nodes", "node-1", ip("fd00::1"), 0, {1, 2, 3, ~0ULL}, 7}};
    counters.ports = {{"client", "af_xdp", true, 1, 2, 3, 4, 5, 6, 7, 8, 9},
                      {"up", "net_bonding", true, 1, 2, 3, 4, 5, 6, 7, 8, 9,
                       Bond{"lacp", 3, {{"eth0", true, false, "02:00:00:00:00:01"}, {"eth1", false, true, ""}}}}};
    counters.workers = {{1,  2,  3,  4,  5,  6,  7,  8,  9,  10,
                         14, 15, 16, 17, 18, 19, 20, 21, 22, {{"no_route", 11}, {"truncated", 0}},
                         12, 13}};
    counters.steering = {{IpFamily::ipv4, Protocol::tcp, "rss", ""},
                         {IpFamily::ipv6, Protocol::sctp, "rings", "port 'a' does not hash SCTP ports"}};
    counters.flow_file = {"/dev/shm/flows", 4096, 12, {{"idle", 3}, {"damaged", 0}}, {"another boot: of yesterday"}};
    counters.routes = {2, 1, {{*IpPrefix::parse("10.244.1.0/24"), ip("10.0.2.11"), "the kernel refused it"}}};
    counters.announcements = {3, 9, 2, {{ip("2001:db8::10"), "02:00:00:00:00:66", "client", 2, 1700000001, true}}, 3};
    return counters;
}

ForwardingState some_state() {
    ForwardingState state;
    state.generation = 9;
    state.backend_sets = {{"nodes", IpFamily::ipv4, {{"node-1", ip("10.0.0.1"), 0, 1}}}};
    state.services = {{"default/web", ip("203.0.113.1"), Protocol::tcp, 80, "nodes", 30080, 0}};
    return state;
}

TEST(CountersCodec, RoundTripKeepsEveryCounter) {
    const auto decoded = decode_counters(encode(some_counters(), true));
    ASSERT_TRUE(decoded.ok()) << decoded.faults[0].field << decoded.faults[0].message;
    EXPECT_EQ(*decoded.value, some_counters());
}

TEST(CountersCodec, WhatAnOlderReaderDoesNotKnowIsWrittenWhereThereIsSomethingToTell) {
    Counters counters = some_counters();
    EXPECT_NE(encode(counters).find("probes"), std::string::npos);
    counters.announcements.probes = 0;
    counters.announcements.conflicts[0].yielded = false;
    Response response{true, 1, {}, {}, {}, {}, {}, {}};
    response.counters = counters;
    response.status.emplace();
    const std::string line = encode(response);
    for (const char* unknown : {"probes", "yielded", "address_conflicts"})
        EXPECT_EQ(line.find(unknown), std::string::npos) << unknown;
    const auto decoded = decode_response(line);
    ASSERT_TRUE(decoded.ok());
    EXPECT_EQ(*decoded.value, response);
}

TEST(CountersCodec, ADataplaneThatDoesNotTellOfAFlowFileIsUnderstood) {
    Counters wanted = some_counters();
    wanted.flow_file = {};
    wanted.routes = {};
    wanted.announcements = {};
    std::string text = encode(wanted);
    const std::size_t at = text.find(",\"flow_file\"");
    ASSERT_NE(at, std::string::npos);
    text = text.substr(0, at) + "}";
    const auto decoded = decode_counters(text);
    ASSERT_TRUE(decoded.ok()) << text;
    EXPECT_EQ(*decoded.value, wanted);
}

TEST(ExplainCodec, RefusesFamiliesThatDiffer) {
    const auto decoded = decode_explain_request(R"({"protocol": "TCP", "source": "192.0.2.1", "source_port": 1,
        "destination": "2001:db8::1", "destination_port": 80})");
    ASSERT_EQ(decoded.faults.size(), 1U);
    EXPECT_EQ(decoded.faults[0].field, "/destination");
}

TEST(ExplainCodec, AConnectionThatIsToldInPartIsRefusedByField) {
    const auto decoded = decode_explain_answer(R"({"generation": 1, "verdict": "forward", "flow": {"worker": -1}})");
    ASSERT_FALSE(decoded.ok());
    EXPECT_EQ(decoded.faults.at(0).field, "/flow/worker");
}

TEST(ExplainCodec, RefusesAnUnknownVerdict) {
    EXPECT_EQ(decode_explain_answer(R"({"generation": 1, "verdict": "maybe"})").faults.at(0).field, "/verdict");
}

TEST(Messages, RequestsRoundTrip) {
    const auto apply = decode_request(encode(Request(ApplyRequest{some_state()})));
    ASSERT_TRUE(apply.ok());
    EXPECT_EQ(std::get<ApplyRequest>(*apply.value).state, some_state());
    EXPECT_TRUE(std::holds_alternative<StateRequest>(*decode_request(R"({"type":"state"})").value));
    EXPECT_TRUE(std::holds_alternative<CountersRequest>(*decode_request(encode(Request(CountersRequest{}))).value));
    EXPECT_TRUE(std::holds_alternative<StatusRequest>(*decode_request(encode(Request(StatusRequest{}))).value));
    const ExplainRequest wanted{Protocol::udp, ip("192.0.2.1"), 40000, ip("203.0.113.1"), 53};
    const auto explain = decode_request(encode(Request(wanted)));
    ASSERT_TRUE(explain.ok());
    EXPECT_EQ(encode(std::get<ExplainRequest>(*explain.value)), encode(wanted));
    EXPECT_TRUE(std::holds_alternative<TapReadRequest>(*decode_request(encode(Request(TapReadRequest{}))).value));
}

TEST(Messages, TapsRoundTrip) {
    TapRequest wanted;
    const auto plain = decode_request(encode(Request(wanted)));
    ASSERT_TRUE(plain.ok());
    EXPECT_EQ(std::get<TapRequest>(*plain.value), wanted) << "a filter that says nothing";
    wanted.filter = {
        "UDP",     IpPrefix::parse("192.0.2.0/24"), 5353, IpPrefix::parse("203.0.113.1/32"), 53, "client0", true,
        "no_route"};
    wanted.bytes = kMostTapBytes;
    wanted.count = kMostTapPackets;
    wanted.seconds = kMostTapSeconds;
    wanted.rate = kMostTapRate;
    wanted.steps = true;
    wanted.who = "somebody";
    const auto full = decode_request(encode(Request(wanted)));
    ASSERT_TRUE(full.ok()) << full.faults[0].field << full.faults[0].message;
    EXPECT_EQ(std::get<TapRequest>(*full.value), wanted);

    Response response;
    response.ok = true;
    response.tap.emplace();
    response.tap->ended = "count";
    response.tap->ports = {"client0", "node0"};
    response.tap->matched = 12;
    response.tap->lost = 3;
    response.tap->over_rate = 2;
    response.tap->not_looked_at = 1;
    TapRecord& record = response.tap->records.emplace_back();
    record.time_ns = 1'700'000'000'123'456'789;
    record.worker = 1;
    record.taken_over = true;
    record.verdict = "dropped";
    record.reason = "no_route";
    record.service = "default/web";
    record.backend = "node-1";
    record.steps = {"one", "two"};
    record.in = {"client0", "TCP a > b", 1500, std::string("\0\x01\xfe\xff", 4)};
    record.out = {{"", "", 60, std::string(60, 'x')}, {"node0", "", 0, ""}};
    record.more_out = 5;
    const auto decoded = decode_response(encode(response));
    ASSERT_TRUE(decoded.ok()) << decoded.faults[0].field << decoded.faults[0].message;
    EXPECT_EQ(decoded.value->tap, response.tap);
}

TEST(Messages, BadTapsAreRefusedByFieldAndReason) {
    const auto fault_of = [](const std::string& filter, const std::string& rest = "") {
        const auto decoded = decode_request(R"({"type":"tap","tap":{"filter":{)" + filter +
                                            R"(},"bytes":64,"count":1,"seconds":1,"rate":1)" + rest + "}}");
        return decoded.faults.empty() ? Fault{} : decoded.faults[0];
    };
    EXPECT_EQ(fault_of(""), Fault{});
    EXPECT_EQ(fault_of(R"("protocol":"GRE")").field, "/tap/filter/protocol");
    EXPECT_EQ(fault_of(R"("source":"192.0.2.1")").field, "/tap/filter/source") << "a prefix has a length";
    EXPECT_EQ(fault_of(R"("source":"192.0.2.0/24","destination":"2001:db8::/32")").field, "/tap/filter/destination");
    EXPECT_EQ(fault_of(R"("destination_port":65536)").field, "/tap/filter/destination_port");
    EXPECT_EQ(fault_of(R"("protocol":"ICMP","source_port":1)").field, "/tap/filter/source_port");
    EXPECT_EQ(fault_of(R"("vlan":1)").field, "/tap/filter/vlan");
    EXPECT_EQ(fault_of("", R"(,"more":1)").field, "/tap/more");
    const auto bound = [](const char* bytes, const char* count, const char* seconds, const char* rate) {
        const auto decoded = decode_request(std::string(R"({"type":"tap","tap":{"bytes":)") + bytes + R"(,"count":)" +
                                            count + R"(,"seconds":)" + seconds + R"(,"rate":)" + rate + "}}");
        return decoded.faults.empty() ? std::string() : decoded.faults[0].field;
    };
    EXPECT_EQ(bound("64", "1", "1", "1"), "");
    EXPECT_EQ(bound("63", "1", "1", "1"), "/tap/bytes");
    EXPECT_EQ(bound("9217", "1", "1", "1"), "/tap/bytes");
    EXPECT_EQ(bound("64", "0", "1", "1"), "/tap/count");
    EXPECT_EQ(bound("64", "1000001", "1", "1"), "/tap/count");
    EXPECT_EQ(bound("64", "1", "3601", "1"), "/tap/seconds");
    EXPECT_EQ(bound("64", "1", "1", "50001"), "/tap/rate");
    EXPECT_EQ(decode_request(R"({"type":"tap"})").faults.at(0).field, "/tap");
    EXPECT_EQ(decode_response(R"({"ok":true,"generation":1,"tap":{"matched":0,"lost":0,"over_rate":0,"not_looked_at":0,
        "records":[{"time_ns":1,"worker":0,"verdict":"kernel","in":{"port":"a","length":1,"bytes":"0g"}}]}})")
                  .faults.at(0)
                  .field,
              "/tap/records/0/in/bytes");
}

TEST(Messages, AStatesFaultsPointIntoTheLine) {
    ForwardingState state = some_state();
    state.services[0].backend_set = "gone";
    const auto decoded = decode_request(encode(Request(ApplyRequest{state})));
    ASSERT_EQ(decoded.faults.size(), 1U);
    EXPECT_EQ(decoded.faults[0].field, "/state/services/0/backend_set");
    EXPECT_FALSE(decoded.ok());
}

TEST(Messages, UnknownRequestsAreRefusedByName) {
    EXPECT_EQ(decode_request(R"({"type": "reboot"})").faults.at(0).field, "/type");
    EXPECT_EQ(decode_request(R"({"type": "state", "state": {}})").faults.at(0).field, "/state");
    EXPECT_EQ(decode_request(R"({"type": "apply"})").faults.at(0).field, "/state");
    EXPECT_FALSE(decode_request("").ok());
}

TEST(Messages, ResponsesRoundTripOnOneLine) {
    Response response;
    response.ok = true;
    response.generation = 9;
    response.faults = {{"/services/3/port", "found 0,\nallowed 1..65535"}};
    response.state = some_state();
    response.counters = some_counters();
    response.answer =
        ExplainAnswer{9, "forward", "default/web", "nodes", "node-1", "10.0.0.1", 30080, 5, 65537, 1, {"a", "b"}};
    response.answer->flow = FlowView{.worker = 1,
                                     .half = "backend",
                                     .state = "tcp_established",
                                     .client = "192.0.2.1:40000",
                                     .vip = "203.0.113.1:80",
                                     .backend_address = "10.0.0.1:30080",
                                     .snat = "10.0.2.1:5000",
                                     .service = "default/web",
                                     .backend = "node-1",
                                     .idle_seconds = 3,
                                     .idle_limit_seconds = 7440,
                                     .to_backend = "port b to 02:00:00:00:00:0b",
                                     .to_client = "no route"};
    response.status = DataplaneStatus{"0.1.0",
                                      12,
                                      2,
                                      "adaptive",
                                      {{"client", "af_packet", true}},
                                      some_counters().flow_file,
                                      {*IpAddress::parse("10.0.2.1"), *IpAddress::parse("fd00::1")},
                                      some_counters().announcements.conflicts};
    const std::string line = encode(response);
    EXPECT_EQ(line.find('\n'), std::string::npos);
    const auto decoded = decode_response(line);
    ASSERT_TRUE(decoded.ok()) << decoded.faults[0].field << decoded.faults[0].message;
    EXPECT_EQ(*decoded.value, response);
    const auto refused = decode_response(encode(Response{false, 6, {{"/x", "y"}}, {}, {}, {}, {}, {}}));
    ASSERT_TRUE(refused.ok());
    EXPECT_FALSE(refused.value->state.has_value());
}

}  // namespace
}  // namespace guideway::contract
