// What a worker answers itself: ARP, neighbour discovery and echo for VIPs and SNAT addresses.
#include <map>
#include <string>

#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerLocal : public ::testing::Test {
  protected:
    WorkerLocal() { lab_.apply(lab_.web()); }
    void expect_answered(std::uint64_t times) { EXPECT_EQ(lab_.dropped(DropReason::answered), times); }
    Lab lab_;
};

TEST_F(WorkerLocal, ArpForAVipAndASnatAddressIsAnsweredOnThePortItCameInOn) {
    for (const char* target : {kVip, kSnat}) {
        lab_.inject(kNodePort, PacketBuilder().arp_request("10.0.2.11", target).build());
        lab_.poll();
        EXPECT_TRUE(lab_.sent(kClientPort).empty());
        const auto frames = lab_.sent(kNodePort);
        ASSERT_EQ(frames.size(), 1U);
        const Frame& reply = frames.front();
        EXPECT_EQ(load_be16(reply.data() + 14 + arp::kOperation), arp::kReply);
        EXPECT_EQ(0, std::memcmp(reply.data() + 14 + arp::kSenderMac, kPortMac1.data(), 6));
        EXPECT_EQ(to_contract(load_raw32(reply.data() + 14 + arp::kSenderIp)), ip(target));
    }
    expect_answered(2);
}

TEST_F(WorkerLocal, ArpForAnotherAddressIsTheKernels) {
    lab_.inject(kClientPort, PacketBuilder().arp_request("192.0.2.254", "203.0.113.11").build());
    lab_.poll();
    EXPECT_EQ(lab_.to_kernel().size(), 1U);
    expect_answered(0);
}

TEST_F(WorkerLocal, NeighbourSolicitationForAVipAndASnatAddressIsAnswered) {
    const std::map<std::string, std::string> groups{{kVipV6, "ff02::1:ff00:10"}, {kSnatV6, "ff02::1:ff00:1"}};
    for (const auto& [target, group] : groups) {
        const Frame reply =
            lab_.pass(kClientPort, PacketBuilder()
                                       .ethernet({0x33, 0x33, 0xff, 0, 0, 0x10}, packet::testing::kClientMac)
                                       .ip("2001:db8:c::7", group)
                                       .neighbour_solicitation(target, packet::testing::kClientMac)
                                       .build());
        ASSERT_FALSE(reply.empty());
        const ParsedPacket p = parsed(reply);
        EXPECT_EQ(reply[p.l4_offset], icmpv6::kNeighbourAdvertisement);
        EXPECT_EQ(p.source(), ip(target));
        EXPECT_EQ(packet::testing::faults(reply), "");
    }
    expect_answered(2);
}

TEST_F(WorkerLocal, PingOfAVipAndASnatAddressIsAnswered) {
    for (const char* target : {kVip, kSnat, kVipV6, kSnatV6}) {
        const bool v6 = std::string_view(target).find(':') != std::string_view::npos;
        const Frame reply = lab_.pass(
            kClientPort, PacketBuilder().ip(v6 ? kClientV6 : kClient, target).echo_request(7, 1).payload(56).build());
        ASSERT_FALSE(reply.empty()) << target;
        const ParsedPacket p = parsed(reply);
        EXPECT_EQ(p.source(), ip(target));
        EXPECT_EQ(reply[p.l4_offset], v6 ? icmpv6::kEchoReply : icmp::kEchoReply);
        EXPECT_EQ(packet::testing::faults(reply), "");
    }
    expect_answered(4);
}

/// Who answers a ping.
std::string answering(Lab& lab) {
    std::string result;
    for (const char* target : {kVip, kSnat, kVipV6, kSnatV6}) {
        const bool v6 = std::string_view(target).find(':') != std::string_view::npos;
        const Frame ping = PacketBuilder().ip(v6 ? kClientV6 : kClient, target).echo_request(7, 1).build();
        if (!lab.pass(kClientPort, ping).empty()) result += std::string(target) + " ";
    }
    return result;
}

TEST_F(WorkerLocal, ByOptionVipsDoNotAnswerPings) {
    LabSettings settings;
    settings.worker.echo = Echo::never;
    Lab lab(settings);
    lab.apply(lab.web());
    EXPECT_EQ(answering(lab), "10.0.2.1 2001:db8:2::1 ") << "SNAT addresses are the operator's own";
    EXPECT_EQ(lab.dropped(DropReason::echo_silent), 2U);
}

TEST_F(WorkerLocal, ByOptionVipsAnswerPingsOnlyWhileOneOfTheirServicesHasABackend) {
    // Why: monitors that ping a VIP should see what its clients see.
    LabSettings settings;
    settings.worker.echo = Echo::while_serving;
    Lab lab(settings);
    auto state = lab.web();
    lab.apply(state);
    EXPECT_EQ(answering(lab), "203.0.113.10 10.0.2.1 2001:db8:1::10 2001:db8:2::1 ");
    for (auto& backend : state.backend_sets[0].backends) backend.weight = 0;
    lab.apply(state);
    EXPECT_EQ(answering(lab), "10.0.2.1 2001:db8:1::10 2001:db8:2::1 ");
    state.backend_sets[1].backends.clear();
    lab.apply(state);
    EXPECT_EQ(answering(lab), "10.0.2.1 2001:db8:2::1 ");
    EXPECT_EQ(lab.dropped(DropReason::echo_silent), 3U);
    state.backend_sets[0].backends[2].weight = 1;
    lab.apply(state);
    EXPECT_EQ(answering(lab), "203.0.113.10 10.0.2.1 2001:db8:2::1 ");
}

TEST_F(WorkerLocal, APingWithADamagedChecksumIsDroppedByName) {
    Frame ping = PacketBuilder().ip(kClient, kVip).echo_request(7, 1).payload(56).build();
    ping.back() ^= 1;
    EXPECT_TRUE(lab_.pass(kClientPort, ping).empty());
    EXPECT_EQ(lab_.dropped(DropReason::icmp_checksum_bad), 1U);
}

TEST_F(WorkerLocal, MalformedArpAndNeighbourDiscoveryForOurAddressesAreNamed) {
    Frame request = PacketBuilder().arp_request("10.0.2.11", kVip).build();
    request[14 + arp::kHardwareType + 1] = 6;
    EXPECT_TRUE(lab_.pass(kClientPort, request).empty());
    EXPECT_EQ(lab_.dropped(DropReason::arp_bad), 1U);
    // Why: hop limit 255 proves that the sender is on the link (RFC 4861 7.1.1).
    const Frame routed = PacketBuilder()
                             .ip("2001:db8:c::7", "ff02::1:ff00:10")
                             .neighbour_solicitation(kVipV6, packet::testing::kClientMac)
                             .ttl(254)
                             .build();
    EXPECT_TRUE(lab_.pass(kClientPort, routed).empty());
    EXPECT_EQ(lab_.dropped(DropReason::ndp_bad), 1U);
}

TEST_F(WorkerLocal, AnAddressThatIsNoVipAnyLongerIsTheKernels) {
    lab_.apply({});
    lab_.inject(kClientPort, PacketBuilder().ip(kClient, kVip).echo_request(7, 1).build());
    lab_.inject(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(4000, 80, tcp::kSyn).build());
    lab_.poll();
    EXPECT_EQ(lab_.to_kernel().size(), 2U);
}

}  // namespace
}  // namespace guideway::worker::testing
