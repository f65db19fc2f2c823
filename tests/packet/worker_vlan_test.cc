// VLANs: each is a port of its own for everything but the wire. Tags come off on the way in and go on by the way out.
//
//   clients -- router 192.0.2.254, fe80::1 -- VLAN 100 --+
//                                                        +-- port 0, whose untagged traffic is a third network
//   nodes 10.0.2.11..13, 2001:db8:2::11..13 -- VLAN 200 -+
// In QinQ the nodes are in VLAN 200 of the provider's 10.
#include <algorithm>

#include <gtest/gtest.h>

#include "dataplane/worker/tap_desk.h"
#include "tests/packet/fragment_tools.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

constexpr std::uint16_t kClientVlan = 2;
constexpr std::uint16_t kNodeVlan = 3;
constexpr VlanTags kClients{0, 100};
constexpr VlanTags kNodes{0, 200};
constexpr VlanTags kProvidersNodes{10, 200};

WorkerPort vlan_of(VlanTags tags, std::uint16_t lies_on) {
    WorkerPort port;
    port.tags = tags;
    port.lies_on = lies_on;
    return port;
}

LabSettings one_arm(VlanTags nodes, std::uint32_t workers = 1) {
    LabSettings settings;
    settings.workers = workers;
    settings.vlans = {vlan_of(kClients, kClientPort), vlan_of(nodes, kClientPort)};
    return settings;
}

/// The lab's networks, on VLANs of port 0.
void move_networks(Lab& lab) {
    for (snapshot::Route& route : lab.routing().routes)
        route.port = route.port == kClientPort ? kClientVlan : kNodeVlan;
    lab.learn_neighbour(kClientVlan, "192.0.2.254", kRouterMac);
    lab.learn_neighbour(kClientVlan, "fe80::1", kRouterMac);
    for (const std::uint8_t node : {std::uint8_t{11}, std::uint8_t{12}, std::uint8_t{13}}) {
        lab.learn_neighbour(kNodeVlan, "10.0.2." + std::to_string(node), {0x02, 0, 0, 0, 1, node});
        lab.learn_neighbour(kNodeVlan, "2001:db8:2::" + std::to_string(node), {0x02, 0, 0, 0, 1, node});
    }
    ++lab.routing().epoch;
    lab.publish_routing();
}

/// A whole Ethernet frame with the tags put in.
Frame tagged(const Frame& frame, VlanTags tags) {
    Frame bytes;
    const auto add = [&bytes](std::uint16_t type, std::uint16_t id) {
        for (const std::uint16_t word : {type, id}) {
            bytes.push_back(static_cast<std::uint8_t>(word >> 8));
            bytes.push_back(static_cast<std::uint8_t>(word & 0xff));
        }
    };
    if (tags.outer != 0) add(0x88a8, tags.outer);
    if (tags.id != 0) add(0x8100, tags.id);
    Frame result = frame;
    result.insert(result.begin() + 12, bytes.begin(), bytes.end());
    return result;
}

VlanTags tags_of(const Frame& frame) {
    if (frame.size() < 22) return {};
    const std::uint16_t type = load_be16(&frame[12]);
    if (type == 0x8100) return {0, load_be16(&frame[14])};
    if (type == 0x88a8 && load_be16(&frame[16]) == 0x8100) return {load_be16(&frame[14]), load_be16(&frame[18])};
    return {};
}

Frame untagged(const Frame& frame) {
    Frame result = frame;
    const auto bytes = static_cast<std::ptrdiff_t>(tags_of(frame).bytes());
    result.erase(result.begin() + 12, result.begin() + 12 + bytes);
    return result;
}

Frame syn(bool v6, std::uint16_t port = 40000) {
    return PacketBuilder().ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip).tcp(port, 80, tcp::kSyn).build();
}

/// The reply to a request as it left for a node, at port 0.
Frame reply_at_port_0(const Lab& lab, const Frame& request, std::uint8_t flags = tcp::kSyn | tcp::kAck) {
    Frame reply = lab.reply_to(untagged(request), flags);
    std::copy(kPortMac0.begin(), kPortMac0.end(), reply.begin());
    return reply;
}

struct Case {
    VlanTags nodes;
    bool v6;
};

class WorkerVlan : public ::testing::TestWithParam<Case> {
  protected:
    WorkerVlan() : lab_(one_arm(GetParam().nodes)) {
        lab_.apply(lab_.web());
        move_networks(lab_);
    }
    bool v6() const { return GetParam().v6; }
    VlanTags nodes() const { return GetParam().nodes; }
    Lab lab_;
};

TEST_P(WorkerVlan, AConnectionComesByOneVlanAndGoesByTheOther) {
    const Frame out = lab_.pass(kClientPort, tagged(syn(v6()), kClients));
    ASSERT_EQ(tags_of(out), nodes());
    EXPECT_EQ(packet::testing::faults(untagged(out)), "");
    const Frame back = lab_.pass(kClientPort, tagged(reply_at_port_0(lab_, out), nodes()));
    ASSERT_EQ(tags_of(back), kClients);
    EXPECT_EQ(parsed(back).destination(), ip(v6() ? kClientV6 : kClient));
    // What is established goes the plain way: the same frames, but for the tags, as without VLANs.
    const char* client = v6() ? kClientV6 : kClient;
    const char* vip = v6() ? kVipV6 : kVip;
    Lab plain;
    plain.apply(plain.web());
    plain.pass(kClientPort, syn(v6()));
    for (int i = 0; i < 3; ++i) {
        const Frame data = PacketBuilder().ip(client, vip).tcp(40000, 80, tcp::kAck).payload(100).build();
        const Frame sent = lab_.pass(kClientPort, tagged(data, kClients));
        ASSERT_EQ(tags_of(sent), nodes());
        EXPECT_EQ(packet::testing::faults(untagged(sent)), "");
        Frame expected = plain.pass(kClientPort, data);
        std::copy(kPortMac0.begin(), kPortMac0.end(), expected.begin() + 6);
        EXPECT_EQ(untagged(sent), expected);
    }
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerVlan, AClosedPortIsRefusedInTheVlanOfWhoAsked) {
    const Frame closed =
        PacketBuilder().ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip).tcp(40000, 81, tcp::kSyn).build();
    const Frame reset = lab_.pass(kClientPort, tagged(closed, kClients));
    ASSERT_EQ(tags_of(reset), kClients);
    EXPECT_NE(parsed(reset).tcp_flags & tcp::kRst, 0);
}

TEST_P(WorkerVlan, APacketTooBigForTheOtherVlanIsToldInItsOwn) {
    lab_.routing().ports[kNodeVlan].mtu = 1300;
    ++lab_.routing().epoch;
    lab_.publish_routing();
    ASSERT_EQ(tags_of(lab_.pass(kClientPort, tagged(syn(v6()), kClients))), nodes());
    const Frame big = PacketBuilder()
                          .ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip)
                          .tcp(40000, 80, tcp::kAck)
                          .payload(1350)
                          .build();
    const Frame error = lab_.pass(kClientPort, tagged(big, kClients));
    ASSERT_EQ(tags_of(error), kClients);
    EXPECT_EQ(untagged(error)[v6() ? 14 + 40 : 14 + 20], v6() ? 2 : 3);
    EXPECT_EQ(lab_.dropped(DropReason::packet_too_big), 1U);
}

TEST_P(WorkerVlan, FragmentsBehindTagsGoWhereTheirFirstGoes) {
    const Frame whole = PacketBuilder()
                            .ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip)
                            .ipv4_fragment(0)
                            .udp(4000, 53)
                            .payload(3000)
                            .build();
    std::vector<Frame> pieces = cut(whole, 1400, 7);
    std::reverse(pieces.begin(), pieces.end());
    for (const Frame& piece : pieces) lab_.inject(kClientPort, tagged(piece, kClients));
    for (int i = 0; i < 4; ++i) lab_.poll_all();
    const std::vector<Frame> left = lab_.sent(kClientPort);
    ASSERT_EQ(left.size(), pieces.size());
    for (const Frame& frame : left) EXPECT_EQ(tags_of(frame), nodes());
    EXPECT_EQ(lab_.dropped(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Tags, WorkerVlan,
                         ::testing::Values(Case{kNodes, false}, Case{kNodes, true}, Case{kProvidersNodes, false},
                                           Case{kProvidersNodes, true}),
                         [](const auto& each) {
                             return std::string(each.param.nodes.outer == 0 ? "Trunk" : "Qinq") +
                                    (each.param.v6 ? "V6" : "V4");
                         });

class WorkerVlanTrunk : public ::testing::Test {
  protected:
    WorkerVlanTrunk() {
        lab_.apply(lab_.web());
        move_networks(lab_);
    }
    Lab lab_{one_arm(kNodes)};
};

TEST_F(WorkerVlanTrunk, ATagThatNobodyConfiguredIsDroppedByName) {
    // The inner ID alone, the outer alone, the other order and a third tag are other VLANs too.
    for (const VlanTags tags : {VlanTags{0, 101}, VlanTags{10, 200}, VlanTags{100, 200}, VlanTags{200, 100}}) {
        EXPECT_TRUE(lab_.pass(kClientPort, tagged(syn(false), tags)).empty());
    }
    EXPECT_TRUE(lab_.pass(kClientPort, tagged(tagged(syn(false), kClients), VlanTags{100, 100})).empty());
    EXPECT_EQ(lab_.dropped(DropReason::vlan_unknown), 5U);
    EXPECT_TRUE(lab_.to_kernel().empty());
}

TEST_F(WorkerVlanTrunk, AnUnknownTagCostsItsNeighboursInTheBurstNothing) {
    for (std::uint16_t i = 0; i < 12; ++i)
        lab_.inject(kClientPort, tagged(syn(i % 2 == 0, static_cast<std::uint16_t>(4000 + i)),
                                        i % 3 == 0 ? VlanTags{0, 7} : kClients));
    lab_.poll();
    EXPECT_EQ(lab_.sent(kClientPort).size(), 8U);
    EXPECT_EQ(lab_.dropped(DropReason::vlan_unknown), 4U);
}

TEST_F(WorkerVlanTrunk, UntaggedAndPriorityTaggedFramesAreThePortsOwn) {
    const Frame arp = PacketBuilder().arp_request("192.0.2.254", kVip).build();
    EXPECT_EQ(tags_of(lab_.pass(kClientPort, arp)), VlanTags{});
    Frame priority = arp;
    const Frame tag{0x81, 0x00, 0xe0, 0x00};  // priority 7, ID 0
    priority.insert(priority.begin() + 12, tag.begin(), tag.end());
    const Frame answer = lab_.pass(kClientPort, priority);
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(load_be16(&answer[12]), 0x0806);
    EXPECT_EQ(lab_.dropped(DropReason::vlan_unknown), 0U);
}

TEST_F(WorkerVlanTrunk, ThePriorityOfATagIsNoPartOfItsId) {
    EXPECT_EQ(tags_of(lab_.pass(kClientPort, tagged(syn(false), VlanTags{0, 0x6000 | 100}))), kNodes);
}

TEST_F(WorkerVlanTrunk, ArpAndNeighbourDiscoveryAreAnsweredInTheirVlan) {
    const Frame arp = lab_.pass(kClientPort, tagged(PacketBuilder().arp_request("10.0.2.11", kSnat).build(), kNodes));
    EXPECT_EQ(tags_of(arp), kNodes);
    const Frame advertisement =
        lab_.pass(kClientPort, tagged(PacketBuilder()
                                          .ethernet({0x33, 0x33, 0xff, 0, 0, 0x10}, packet::testing::kClientMac)
                                          .ipv6("fe80::7", "ff02::1:ff00:10")
                                          .neighbour_solicitation(kVipV6, packet::testing::kClientMac)
                                          .build(),
                                      kClients));
    EXPECT_EQ(tags_of(advertisement), kClients);
    EXPECT_EQ(lab_.dropped(DropReason::answered), 2U);
}

TEST_F(WorkerVlanTrunk, TheKernelSeesUntaggedFramesAtTheVlansTwinAndItsAnswersLeaveTagged) {
    const Frame arp = PacketBuilder().arp_request("10.0.2.11", "10.0.2.254").build();
    lab_.inject(kClientPort, tagged(arp, kNodes));
    lab_.poll();
    std::uint16_t port = 0;
    const auto frames = lab_.to_kernel(&port);
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames.front(), arp);
    EXPECT_EQ(port, kNodeVlan);
    lab_.inject_from_kernel(kNodeVlan, arp);
    lab_.poll();
    const auto sent = lab_.sent(kClientPort);
    ASSERT_EQ(sent.size(), 1U);
    EXPECT_EQ(sent.front(), tagged(arp, kNodes));
}

TEST_F(WorkerVlanTrunk, ATagThatTheDriverTookOffCounts) {
    // Why: AF_PACKET and NICs tell the tag beside the frame.
    const auto left = [this] {
        lab_.poll();
        std::vector<Frame> frames = lab_.sent(kClientPort);
        return frames.size() == 1 ? frames.front() : Frame{};
    };
    lab_.inject_stripped(kClientPort, syn(false, 4000), 0x6000 | 100);
    EXPECT_EQ(tags_of(left()), kNodes);
    lab_.inject_stripped(kClientPort, syn(true, 4000), 100);
    EXPECT_EQ(tags_of(left()), kNodes);
    lab_.inject_stripped(kClientPort, syn(false, 4001), 101);
    EXPECT_TRUE(left().empty());
    // The driver took the outer one, or both; 100 alone or within another is another VLAN.
    lab_.inject_stripped(kClientPort, tagged(syn(false, 4002), kClients), 10);
    lab_.inject_stripped(kClientPort, syn(false, 4003), 100, 10);
    EXPECT_TRUE(left().empty());
    EXPECT_EQ(lab_.dropped(DropReason::vlan_unknown), 3U);
    // A third one, in the frame still.
    lab_.inject_stripped(kClientPort, tagged(syn(false, 4004), kClients), 100, 100);
    EXPECT_TRUE(left().empty());
    EXPECT_EQ(lab_.dropped(DropReason::vlan_unknown), 4U);
}

TEST(WorkerVlanQinq, BothTagsThatTheDriverTookOffCount) {
    LabSettings settings;
    settings.vlans = {vlan_of(kProvidersNodes, kClientPort), vlan_of({20, 200}, kClientPort)};
    Lab lab(settings);
    lab.apply(lab.web());
    const Frame arp = PacketBuilder().arp_request("10.0.2.11", kSnat).build();
    const auto answered = [&] {
        lab.poll();
        const std::vector<Frame> frames = lab.sent(kClientPort);
        return frames.size() == 1 ? tags_of(frames.front()) : VlanTags{};
    };
    lab.inject_stripped(kClientPort, arp, 200, 10);
    EXPECT_EQ(answered(), kProvidersNodes);
    lab.inject_stripped(kClientPort, arp, 200, 20);
    EXPECT_EQ(answered(), (VlanTags{20, 200}));
    lab.inject_stripped(kClientPort, tagged(arp, {0, 200}), 20);
    EXPECT_EQ(answered(), (VlanTags{20, 200}));
    lab.inject_stripped(kClientPort, arp, 200);
    EXPECT_EQ(answered(), VlanTags{});
    EXPECT_EQ(lab.dropped(DropReason::vlan_unknown), 1U);
}

TEST(WorkerVlanRoom, AFrameWithoutRoomForTheTagsInFrontIsNamed) {
    Lab lab(one_arm(kProvidersNodes));
    lab.apply(lab.web());
    move_networks(lab);
    // One tag comes off, two are to go on: four bytes are missing.
    const auto pass = [&lab](std::uint16_t headroom, std::uint16_t port) {
        Split split;
        split.headroom = headroom;
        return lab.pass_split(kClientPort, tagged(syn(false, port), kClients), split);
    };
    EXPECT_EQ(tags_of(pass(4, 4000)), kProvidersNodes);
    EXPECT_TRUE(pass(3, 4001).empty());
    EXPECT_TRUE(pass(0, 4002).empty());
    EXPECT_EQ(lab.dropped(DropReason::tag_room_missing), 2U);
    EXPECT_EQ(lab.dropped(), 2U);
    EXPECT_EQ(tags_of(pass(128, 4003)), kProvidersNodes) << "its neighbours leave";
}

TEST(WorkerVlanTap, ACaptureShowsFramesOfAVlanAtItsPortWithoutTags) {
    // Why: as on an interface of a VLAN; the port's name says which it is.
    const LabSettings settings = one_arm(kNodes);
    Lab lab(settings);
    lab.apply(lab.web());
    move_networks(lab);
    TapDesk desk({lab.publisher(),
                  1,
                  {"trunk", "other", "clients", "nodes"},
                  flow::IdleLimits(table_timeouts(settings.worker.timeouts)),
                  [&lab] { return lab.now_ms; }});
    const auto shown = [&](const char* port) {
        contract::TapRequest request;
        request.filter.port = port;
        EXPECT_TRUE(desk.begin(request, 7).empty());
        static std::uint16_t source_port = 4000;
        const Frame in = syn(false, ++source_port);
        const Frame out = lab.pass(kClientPort, tagged(in, kClients));
        EXPECT_EQ(tags_of(out), kNodes);
        const auto records = desk.read(7).value_or(contract::TapAnswer{}).records;
        desk.end(7);
        if (records.size() != 1) return false;
        EXPECT_EQ(records[0].in.port, "clients");
        EXPECT_EQ(records[0].in.bytes, std::string(in.begin(), in.end()));
        EXPECT_EQ(records[0].out.at(0).port, "nodes");
        const Frame bare = untagged(out);
        EXPECT_EQ(records[0].out.at(0).bytes, std::string(bare.begin(), bare.end()));
        return true;
    };
    EXPECT_TRUE(shown(""));
    EXPECT_TRUE(shown("clients"));
    EXPECT_TRUE(shown("nodes"));
    EXPECT_FALSE(shown("trunk")) << "the port's own traffic is untagged";
}

TEST_F(WorkerVlanTrunk, FramesAndBytesAreCountedByVlanWithoutTheTags) {
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    for (std::uint16_t i = 0; i < 20; ++i) {
        const Frame frame = syn(i % 2 == 0, static_cast<std::uint16_t>(4000 + i));
        in += frame.size();
        out += untagged(lab_.pass(kClientPort, tagged(frame, kClients))).size();
    }
    lab_.pass(kClientPort, PacketBuilder().arp_request("192.0.2.254", kVip).build());  // the port's own
    lab_.pass(kClientPort, tagged(syn(false), VlanTags{0, 7}));                        // nobody's
    EXPECT_EQ(lab_.vlan_traffic(kClientVlan), (contract::Traffic{20, in, 0, 0}));
    EXPECT_EQ(lab_.vlan_traffic(kNodeVlan), (contract::Traffic{0, 0, 20, out}));
    // What the driver does not take has not left: the lab's wire holds 255.
    for (std::uint16_t i = 0; i < 272; ++i) {
        lab_.inject(kClientPort, tagged(syn(false, static_cast<std::uint16_t>(5000 + i)), kClients));
        if (i % 64 == 63) lab_.poll();
    }
    for (int i = 0; i < 12; ++i) lab_.poll();
    EXPECT_EQ(lab_.dropped(DropReason::tx_full), 17U);
    const std::uint64_t each = syn(false).size();
    EXPECT_EQ(lab_.vlan_traffic(kNodeVlan), (contract::Traffic{0, 0, 20 + 255, out + 255 * each}));
}

TEST(WorkerVlanSteering, PacketsBetweenWorkersKeepTheirVlan) {
    Lab lab(one_arm(kNodes, 3));
    lab.apply(lab.web());
    move_networks(lab);
    for (std::uint16_t port = 1000; port < 1030; ++port) {
        const Frame out = lab.pass(kClientPort, tagged(syn(port % 2 == 0, port), kClients), port % 3);
        ASSERT_EQ(tags_of(out), kNodes);
        const Frame back = lab.pass(kClientPort, tagged(reply_at_port_0(lab, out), kNodes), (port + 1) % 3);
        ASSERT_EQ(tags_of(back), kClients);
    }
    EXPECT_GT(lab.totals(0).handed_over.read() + lab.totals(1).handed_over.read(), 0U);
    EXPECT_EQ(lab.dropped(), 0U);
}

TEST(WorkerVlanLastHop, RepliesGoBackToTheVlansRouterWhereTheVlanSaysSo) {
    LabSettings settings = one_arm(kNodes);
    settings.vlans[0].replies_to_last_hop = true;
    Lab lab(settings);
    move_networks(lab);
    lab.apply(lab.web());
    const MacAddress second{0x02, 0, 0, 0, 0, 0xfd};
    lab.learn_neighbour(kClientVlan, "192.0.2.253", second);
    lab.publish_routing();
    const Frame request = tagged(
        PacketBuilder().ethernet(kPortMac0, second).ip(kClient, kVip).udp(40000, 53).payload(40).build(), kClients);
    for (int round = 0; round < 3; ++round) {
        const Frame out = lab.pass(kClientPort, request);
        ASSERT_FALSE(out.empty());
        Frame reply = lab.reply_to(untagged(out));
        std::copy(kPortMac0.begin(), kPortMac0.end(), reply.begin());
        const Frame back = lab.pass(kClientPort, tagged(reply, kNodes));
        ASSERT_FALSE(back.empty());
        EXPECT_TRUE(std::equal(second.begin(), second.end(), back.begin()));
        EXPECT_EQ(tags_of(back), kClients);
    }
}

}  // namespace
}  // namespace guideway::worker::testing
