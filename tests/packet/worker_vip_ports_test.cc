// VIPs that are served on some ports alone: there they are answered for and take new connections, elsewhere they do not.
#include <algorithm>
#include <array>

#include <gtest/gtest.h>

#include "dataplane/packet/announcement.h"
#include "dataplane/worker/explain.h"
#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerVipPorts : public ::testing::Test {
  protected:
    explicit WorkerVipPorts(LabSettings settings = {}) : lab_(settings) {}
    /// Both VIPs by these ports: "client", "node".
    void bind(const std::vector<std::string>& ports) {
        auto state = lab_.web();
        state.vip_ports = {{ip(kVip), ports}, {ip(kVipV6), ports}};
        lab_.apply(state);
    }
    static Frame syn(const char* client, const char* vip, std::uint16_t port = 80) {
        return PacketBuilder().ip(client, vip).tcp(20000, port, tcp::kSyn).build();
    }
    void receive(std::uint16_t port, Frame frame) {
        const MacAddress& mac = port == kClientPort ? kPortMac0 : kPortMac1;
        if (frame[0] != 0xff && frame[0] != 0x33) std::copy(mac.begin(), mac.end(), frame.begin());
        lab_.inject(port, frame);
        lab_.poll();
    }
    Lab lab_;
};

TEST_F(WorkerVipPorts, ConnectionsOpenByItsPortsAlone) {
    bind({"client"});
    receive(kNodePort, syn("10.0.2.12", kVip));
    EXPECT_EQ(lab_.dropped(DropReason::vip_not_on_port), 1U);
    EXPECT_EQ(lab_.connections(), 0U);
    receive(kNodePort, syn("10.0.2.12", kVip, 81));
    EXPECT_EQ(lab_.dropped(DropReason::vip_not_on_port), 2U) << "nor is anybody told that a port is closed";
    receive(kClientPort, syn("192.0.2.10", kVip));
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_EQ(lab_.dropped(), 2U);
}

TEST_F(WorkerVipPorts, ArpNeighbourDiscoveryAndPingsAreAnsweredThereAlone) {
    bind({"client"});
    const std::array questions{
        PacketBuilder().arp_request("10.0.2.254", kVip).build(),
        PacketBuilder().ip("::", "ff02::1:ff00:10").neighbour_solicitation(kVipV6, {}).build(),
    };
    for (const Frame& question : questions) {
        receive(kNodePort, question);
        EXPECT_TRUE(lab_.sent(kNodePort).empty());
        EXPECT_EQ(lab_.to_kernel().size(), 1U) << "as for any address that is not ours";
        receive(kClientPort, question);
        EXPECT_EQ(lab_.sent(kClientPort).size(), 1U);
    }
    EXPECT_EQ(lab_.dropped(), 0U);
    const Frame ping = PacketBuilder().ip("10.0.2.12", kVip).echo_request(7, 1).build();
    receive(kNodePort, ping);
    EXPECT_TRUE(lab_.sent(kNodePort).empty());
    EXPECT_EQ(lab_.dropped(DropReason::vip_not_on_port), 1U);
}

TEST_F(WorkerVipPorts, SnatAddressesAndOtherVipsAreEverywhere) {
    auto state = lab_.web();
    state.vip_ports = {{ip(kVipV6), {"client"}}};
    lab_.apply(state);
    EXPECT_FALSE(lab_.pass(kNodePort, PacketBuilder().arp_request("10.0.2.254", kVip).build()).empty());
    EXPECT_FALSE(lab_.pass(kNodePort, PacketBuilder().arp_request("10.0.2.254", kSnat).build()).empty());
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_F(WorkerVipPorts, AConnectionThatIsThereGoesOnByWhicheverPortAndWhateverChanges) {
    bind({"client"});
    receive(kClientPort, syn("192.0.2.10", kVip));
    lab_.sent(kNodePort);
    bind({"node"});
    const Frame more = PacketBuilder().ip("192.0.2.10", kVip).tcp(20000, 80, tcp::kAck).build();
    receive(kClientPort, more);
    EXPECT_EQ(lab_.sent(kNodePort).size(), 1U) << "found by its tuple";
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_F(WorkerVipPorts, APortThatIsNotThereServesNobody) {
    bind({"elsewhere"});
    for (const std::uint16_t port : {kClientPort, kNodePort}) {
        receive(port, syn("192.0.2.10", kVip));
    }
    EXPECT_EQ(lab_.dropped(DropReason::vip_not_on_port), 2U);
    EXPECT_EQ(lab_.state().unknown_ports, std::vector<std::string>{"elsewhere"});
    const auto told =
        explain(lab_.state(), flow::Ownership(1), {contract::Protocol::tcp, ip("192.0.2.10"), 20000, ip(kVip), 80});
    EXPECT_EQ(told.verdict, "refuse");
    EXPECT_NE(told.steps.back().find("vip_not_on_port"), std::string::npos) << told.steps.back();
    bind({"client"});
    EXPECT_EQ(
        explain(lab_.state(), flow::Ownership(1), {contract::Protocol::tcp, ip("192.0.2.10"), 20000, ip(kVip), 80})
            .verdict,
        "forward");
}

TEST_F(WorkerVipPorts, WhoeverHasTheAddressOnAnotherLinkClaimsNothingOfOurs) {
    bind({"client"});
    std::array<std::uint8_t, kAnnouncementCapacity> out;
    const std::uint32_t length = build_announcement(out, ip(kVip), {2, 0, 0, 0, 0, 0x66}, ArpForm::reply);
    const Frame announced(out.begin(), out.begin() + length);
    receive(kNodePort, announced);
    EXPECT_FALSE(lab_.claims().pop());
    receive(kClientPort, announced);
    EXPECT_TRUE(lab_.claims().pop());
}

}  // namespace
}  // namespace guideway::worker::testing
