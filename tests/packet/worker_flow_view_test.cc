// What `guideway explain` shows of a connection that a worker knows.
#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;
using contract::ExplainRequest;
using contract::Protocol;

ExplainRequest request(const char* source, std::uint16_t source_port, const char* destination,
                       std::uint16_t destination_port, Protocol protocol = Protocol::tcp) {
    return {protocol, ip(source), source_port, ip(destination), destination_port};
}

/// The packet's own tuple, as an operator would read it from a capture of the node's side.
ExplainRequest of_reply(const Frame& request_out) {
    const ParsedPacket p = parsed(request_out);
    const auto ports = [](const auto& tuple) {
        return std::pair(swap_if_little(tuple.source_port), swap_if_little(tuple.destination_port));
    };
    const auto [snat_port, node_port] = p.has_v4 ? ports(p.v4) : ports(p.v6);
    return {static_cast<Protocol>(p.protocol), p.destination(), node_port, p.source(), snat_port};
}

TEST(WorkerFlowView, AConnectionIsShownFromTheClientsTuple) {
    Lab lab;
    lab.apply(lab.web());
    const Frame out = lab.establish(40000);
    ASSERT_FALSE(out.empty());
    const auto view = lab.look_up(request(kClient, 40000, kVip, 80));
    ASSERT_TRUE(view);
    EXPECT_EQ(view->half, "client");
    EXPECT_EQ(view->state, "tcp_established");
    EXPECT_EQ(view->client, "198.51.100.7:40000");
    EXPECT_EQ(view->vip, "203.0.113.10:80");
    EXPECT_EQ(view->backend_address, parsed(out).destination().to_string() + ":30080");
    EXPECT_EQ(view->snat, "10.0.2.1:" + std::to_string(of_reply(out).destination_port));
    EXPECT_EQ(view->service, "default/web");
    EXPECT_FALSE(view->backend.empty());
    EXPECT_EQ(view->idle_limit_seconds, 7440U);
    EXPECT_TRUE(view->to_client.starts_with("port client-side to 02:00:00:00:00:fe")) << view->to_client;
    EXPECT_TRUE(view->to_backend.starts_with("port node-side to 02:")) << view->to_backend;
}

TEST(WorkerFlowView, AndFromTheBackendsTupleWhichACaptureAtTheNodeShows) {
    Lab lab;
    lab.apply(lab.web());
    const Frame out = lab.establish(40000);
    auto from_backend = lab.look_up(of_reply(out));
    auto from_client = lab.look_up(request(kClient, 40000, kVip, 80));
    ASSERT_TRUE(from_backend && from_client);
    EXPECT_EQ(from_backend->half, "backend");
    from_backend->half = from_client->half;
    EXPECT_EQ(from_backend, from_client) << "one connection, whichever side is named";
}

TEST(WorkerFlowView, IPv6AndUdp) {
    Lab lab;
    lab.apply(lab.web());
    const Frame out = lab.pass(kClientPort, PacketBuilder().ip(kClientV6, kVipV6).udp(5353, 53).build());
    ASSERT_FALSE(out.empty());
    const auto question = request(kClientV6, 5353, kVipV6, 53, Protocol::udp);
    auto view = lab.look_up(question);
    ASSERT_TRUE(view);
    EXPECT_EQ(view->state, "udp_one_way");
    EXPECT_EQ(view->client, "[2001:db8:c::7]:5353");
    EXPECT_EQ(view->idle_limit_seconds, 30U);
    ASSERT_FALSE(lab.pass(kNodePort, lab.reply_to(out)).empty());
    EXPECT_EQ(lab.look_up(question)->state, "udp_both_ways");
}

TEST(WorkerFlowView, TheStateTellsWhoIsSilent) {
    // Why: "a client says it cannot connect": a handshake without the backend's answer names the backend.
    Lab lab;
    lab.apply(lab.web());
    ASSERT_FALSE(lab.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40001, 80, tcp::kSyn).build()).empty());
    lab.wait_ms(9000);
    const auto view = lab.look_up(request(kClient, 40001, kVip, 80));
    ASSERT_TRUE(view);
    EXPECT_EQ(view->state, "tcp_opening");
    EXPECT_EQ(view->idle_seconds, 9U);
    EXPECT_EQ(view->idle_limit_seconds, 60U);
}

TEST(WorkerFlowView, ANextHopWithoutMacIsNamed) {
    Lab lab;
    lab.apply(lab.web());
    const Frame out = lab.establish(40000);
    const std::string node = parsed(out).destination().to_string();
    lab.forget_neighbour(kNodePort, node);
    const auto view = lab.look_up(request(kClient, 40000, kVip, 80));
    ASSERT_TRUE(view);
    EXPECT_NE(view->to_backend.find("MAC address of " + node + " not known"), std::string::npos) << view->to_backend;
}

TEST(WorkerFlowView, OfSeveralRoutersTheConnectionsOwnIsNamed) {
    Lab lab;
    lab.apply(lab.web());
    snapshot::Route second;
    second.prefix = *IpPrefix::parse("198.51.100.0/24");
    second.port = kClientPort;
    second.gateway = ip("192.0.2.253");
    lab.routing().routes.push_back(second);
    ++lab.routing().epoch;
    lab.publish_routing();
    const auto question = request(kClient, 40000, kVip, 80);
    ASSERT_FALSE(lab.establish(40000).empty());
    EXPECT_EQ(lab.look_up(question)->to_client.find("router"), std::string::npos) << "one serves: nothing to tell";

    // The flow keeps the router it has when a second one comes up, unless the table moves on.
    lab.learn_neighbour(kClientPort, "192.0.2.253", {2, 0, 0, 0, 0, 0xfd});
    lab.publish_routing();
    std::string kept;
    for (std::uint16_t port = 40000; port < 40100 && kept.find("as chosen before") == std::string::npos; ++port) {
        lab.forget_neighbour(kClientPort, "192.0.2.253");
        lab.publish_routing();
        ASSERT_FALSE(lab.establish(port).empty());
        lab.learn_neighbour(kClientPort, "192.0.2.253", {2, 0, 0, 0, 0, 0xfd});
        lab.publish_routing();
        kept = lab.look_up(request(kClient, port, kVip, 80))->to_client;
    }
    EXPECT_EQ(
        kept,
        "port client-side to 02:00:00:00:00:fe, router 192.0.2.254, as chosen before others of the 2 that serve came");
    ++lab.routing().epoch;
    lab.publish_routing();
    EXPECT_NE(lab.look_up(question)->to_client.find("one of 2 that serve, by the hash of the connection"),
              std::string::npos)
        << lab.look_up(question)->to_client;
}

TEST(WorkerFlowView, OnlyTheOwnerKnowsIt) {
    LabSettings settings;
    settings.workers = 2;
    Lab lab(settings);
    lab.apply(lab.web());
    ASSERT_FALSE(lab.establish(40000).empty());
    const auto question = request(kClient, 40000, kVip, 80);
    EXPECT_NE(lab.look_up(question, 0).has_value(), lab.look_up(question, 1).has_value());
    EXPECT_FALSE(lab.look_up(request(kClient, 40001, kVip, 80), 0));
}

TEST(WorkerFlowView, AServiceThatIsGoneIsSaid) {
    Lab lab;
    lab.apply(lab.web());
    ASSERT_FALSE(lab.establish(40000).empty());
    auto state = lab.web();
    state.generation = 2;
    std::erase_if(state.services, [](const auto& service) { return service.protocol == Protocol::tcp; });
    lab.apply(state);
    const auto view = lab.look_up(request(kClient, 40000, kVip, 80));
    ASSERT_TRUE(view);
    EXPECT_EQ(view->service, "");
    EXPECT_NE(steps_of(*view).at(1).find("not there any more"), std::string::npos);
}

}  // namespace
}  // namespace guideway::worker::testing
