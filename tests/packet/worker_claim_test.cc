// Who else says that an address of ours is theirs: heard by the worker wherever it shows, and told to the announcer.
#include <array>
#include <memory>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/packet/announcement.h"
#include "dataplane/packet/arp_reply.h"
#include "dataplane/packet/neighbour_advertisement.h"
#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;

constexpr MacAddress kStranger{0x02, 0, 0, 0, 0, 0x66};

class WorkerClaims : public ::testing::Test {
  protected:
    WorkerClaims() { lab_.apply(lab_.web()); }
    void receive(std::uint16_t port, const Frame& frame) {
        lab_.inject(port, frame);
        lab_.poll();
    }
    static Frame announced(const char* address, const MacAddress& mac) {
        std::array<std::uint8_t, kAnnouncementCapacity> out;
        const std::uint32_t length = build_announcement(out, ip(address), mac, ArpForm::reply);
        return {out.begin(), out.begin() + length};
    }
    Lab lab_;
};

TEST_F(WorkerClaims, AStrangersAnnouncementOfAVipOrASnatAddressIsHeardWithPortAndMac) {
    for (const char* address : {kVip, kVipV6, kSnat, kSnatV6}) {
        receive(kNodePort, announced(address, kStranger));
        const auto heard = lab_.claims().pop();
        ASSERT_TRUE(heard) << address;
        EXPECT_EQ(heard->address, ip(address));
        EXPECT_EQ(heard->mac, kStranger);
        EXPECT_EQ(heard->port, kNodePort);
    }
    EXPECT_EQ(lab_.to_kernel().size(), 4U) << "the kernel sees announcements as before";
}

TEST_F(WorkerClaims, AQuestionWithAVipAsItsSenderIsAClaimToo) {
    receive(
        kClientPort,
        PacketBuilder().ethernet(packet::testing::kBroadcastMac, kStranger).arp_request(kVip, "192.0.2.254").build());
    ASSERT_TRUE(lab_.claims().pop());
}

TEST_F(WorkerClaims, OrdinaryQuestionsOurOwnFramesAndOtherAddressesAreNone) {
    receive(kClientPort, PacketBuilder().arp_request("192.0.2.254", kVip).build());
    receive(kClientPort, announced(kVip, kPortMac0));  // a loop, a hub
    receive(kClientPort, announced(kVip, kPortMac1));  // both ports on one link
    receive(kClientPort, announced("203.0.113.99", kStranger));
    EXPECT_FALSE(lab_.claims().pop());
}

Frame asked_for(const char* address) {
    if (ip(address).is_v4()) return PacketBuilder().arp_request("192.0.2.254", address).build();
    return PacketBuilder().ip("::", "ff02::1:ff00:10").neighbour_solicitation(address, {}).build();
}

TEST_F(WorkerClaims, AYieldedAddressIsNotAnsweredForOnThatPortAndOnlyThere) {
    for (const char* address : {kVip, kVipV6}) {
        const Frame question = asked_for(address);
        lab_.publisher().show_yielded(
            std::make_shared<const snapshot::YieldedSet>(std::vector<snapshot::Place>{{kClientPort, ip(address)}}));
        receive(kClientPort, question);
        EXPECT_TRUE(lab_.sent(kClientPort).empty()) << address;
        EXPECT_EQ(lab_.to_kernel().size(), 1U)
            << "as for any address that is not ours: the kernel's, which has it not either";
        receive(kNodePort, question);
        EXPECT_EQ(lab_.sent(kNodePort).size(), 1U) << address << ": of the other link nobody claims it";
        lab_.publisher().show_yielded(nullptr);
        receive(kClientPort, question);
        EXPECT_EQ(lab_.sent(kClientPort).size(), 1U) << address << ": taken up again";
    }
}

TEST_F(WorkerClaims, WhatStillComesToAYieldedAddressIsForwarded) {
    lab_.publisher().show_yielded(
        std::make_shared<const snapshot::YieldedSet>(std::vector<snapshot::Place>{{kClientPort, ip(kVip)}}));
    const Frame syn = PacketBuilder().ipv4("192.0.2.10", kVip).tcp(40000, 80, packet::tcp::kSyn).build();
    lab_.inject(kClientPort, syn);
    lab_.poll();
    EXPECT_EQ(lab_.sent(kNodePort).size(), 1U) << "whoever has us in the cache is served, new connections too";
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_F(WorkerClaims, TheAnswerToAProbeIsHeardThoughItIsToNobodysAddress) {
    lab_.publisher().show_yielded(std::make_shared<const snapshot::YieldedSet>(
        std::vector<snapshot::Place>{{kClientPort, ip(kVip)}, {kClientPort, ip(kVipV6)}}));
    for (const char* address : {kVip, kVipV6}) {
        std::array<std::uint8_t, kAnnouncementCapacity> out;
        const std::uint32_t length = build_probe(out, ip(address), kPortMac0);
        Frame frame(out.begin(), out.begin() + length);
        frame.resize(200);
        const ParsedPacket parsed = parse(frame.data(), length);
        const Answer answer = parsed.kind == PacketKind::arp
                                  ? build_arp_reply(frame.data(), length, parsed, kStranger)
                                  : build_neighbour_advertisement(frame.data(), length, 200, parsed, kStranger);
        frame.resize(answer.length);
        receive(kClientPort, frame);
        const auto heard = lab_.claims().pop();
        ASSERT_TRUE(heard) << address;
        EXPECT_EQ(heard->address, ip(address));
        EXPECT_EQ(heard->mac, kStranger);
    }
}

TEST_F(WorkerClaims, AFloodOfThemLosesSomeAndNothingElse) {
    for (int i = 0; i < 200; ++i) receive(kClientPort, announced(kVip, kStranger));
    int heard = 0;
    while (lab_.claims().pop()) ++heard;
    EXPECT_EQ(heard, 64);
    const Frame reply = lab_.pass(kClientPort, PacketBuilder().arp_request("192.0.2.254", kVip).build());
    EXPECT_FALSE(reply.empty());
}

}  // namespace
}  // namespace guideway::worker::testing
