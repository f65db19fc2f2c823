// Announcements of addresses, byte by byte, and what others' frames claim.
#include <array>
#include <cstring>

#include <gtest/gtest.h>

#include "dataplane/packet/announcement.h"
#include "dataplane/packet/arp_reply.h"
#include "dataplane/packet/neighbour_advertisement.h"
#include "tests/packet/packet_builder.h"

namespace guideway::packet {
namespace {

using testing::Frame;
using testing::kClientMac;
using testing::kOurMac;
using testing::PacketBuilder;

IpAddress ip(const char* text) { return *IpAddress::parse(text); }

Frame announced(const char* address, ArpForm form = ArpForm::request) {
    std::array<std::uint8_t, kAnnouncementCapacity> out;
    out.fill(0xee);  // whatever was there before must not be sent
    const std::uint32_t length = build_announcement(out, ip(address), kOurMac, form);
    return {out.begin(), out.begin() + length};
}

std::optional<Claim> claimed(const Frame& frame) {
    const auto length = static_cast<std::uint32_t>(frame.size());
    return claim_of(frame.data(), length, parse(frame.data(), length));
}

TEST(Announcement, Ipv4IsAnArpRequestForItselfToEverybody) {
    const Frame frame = announced("203.0.113.10");
    ASSERT_EQ(frame.size(), 60U) << "Ethernet's least, without FCS";
    EXPECT_EQ(Frame(frame.begin(), frame.begin() + 14),
              (Frame{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06}));
    EXPECT_EQ(Frame(frame.begin() + 14, frame.begin() + 42),
              (Frame{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 203, 0, 113, 10, 0, 0, 0, 0, 0, 0, 203, 0, 113, 10}));
    EXPECT_EQ(Frame(frame.begin() + 42, frame.end()), Frame(18, 0)) << "padding holds nothing of what was there";
}

TEST(Announcement, Ipv4AsAReplyNamesItselfAsTheTargetToo) {
    const Frame frame = announced("203.0.113.10", ArpForm::reply);
    EXPECT_EQ(load_be16(frame.data() + 14 + arp::kOperation), arp::kReply);
    EXPECT_EQ(0, std::memcmp(frame.data() + 14 + arp::kTargetMac, kOurMac.data(), 6));
}

TEST(Announcement, Ipv6IsAnUnsolicitedAdvertisementThatOverrides) {
    const Frame frame = announced("2001:db8::10");
    EXPECT_EQ(testing::faults(frame), "");
    const ParsedPacket parsed = parse(frame.data(), static_cast<std::uint32_t>(frame.size()));
    EXPECT_EQ(Frame(frame.begin(), frame.begin() + 6), (Frame{0x33, 0x33, 0, 0, 0, 1}));
    EXPECT_EQ(parsed.source(), ip("2001:db8::10"));
    EXPECT_EQ(parsed.destination(), ip("ff02::1"));
    EXPECT_EQ(parsed.ttl, 255) << "RFC 4861 7.1.2: others are not believed";
    const std::uint8_t* message = frame.data() + parsed.l4_offset;
    EXPECT_EQ(message[icmp::kType], icmpv6::kNeighbourAdvertisement);
    EXPECT_EQ(message[icmpv6::kNeighbourFlags], icmpv6::kOverride) << "not solicited, no router";
    EXPECT_EQ(0, std::memcmp(message + icmpv6::kNeighbourSize + 2, kOurMac.data(), 6));
}

Frame probed(const char* address) {
    std::array<std::uint8_t, kAnnouncementCapacity> out;
    out.fill(0xee);
    const std::uint32_t length = build_probe(out, ip(address), kOurMac);
    return {out.begin(), out.begin() + length};
}

TEST(Probe, Ipv4AsksEverybodyFromNobodysAddress) {
    const Frame frame = probed("203.0.113.10");
    ASSERT_EQ(frame.size(), 60U);
    EXPECT_EQ(Frame(frame.begin(), frame.begin() + 14),
              (Frame{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x08, 0x06}));
    EXPECT_EQ(Frame(frame.begin() + 14, frame.begin() + 42),
              (Frame{0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 203, 0, 113, 10}))
        << "RFC 5227 2.1.1: the sender's IP and the target's hardware address are zero";
    EXPECT_EQ(Frame(frame.begin() + 42, frame.end()), Frame(18, 0));
}

TEST(Probe, Ipv6IsTheSolicitationOfDuplicateAddressDetection) {
    const Frame frame = probed("2001:db8::ab:cdef");
    ASSERT_EQ(frame.size(), 78U) << "RFC 4862 5.4.2: without a link-layer address";
    EXPECT_EQ(testing::faults(frame), "");
    EXPECT_EQ(Frame(frame.begin(), frame.begin() + 14),
              (Frame{0x33, 0x33, 0xff, 0xab, 0xcd, 0xef, 2, 0, 0, 0, 0, 1, 0x86, 0xdd}));
    const ParsedPacket parsed = parse(frame.data(), static_cast<std::uint32_t>(frame.size()));
    EXPECT_EQ(parsed.kind, PacketKind::neighbour_solicitation);
    EXPECT_EQ(parsed.source(), ip("::"));
    EXPECT_EQ(parsed.destination(), ip("2001:db8::ab:cdef")) << "of a solicitation: its target";
    EXPECT_EQ(IpAddress::v6([&] {
                  std::array<std::uint8_t, 16> group{};
                  std::memcpy(group.data(), frame.data() + 14 + ipv6::kDestination, group.size());
                  return group;
              }()),
              ip("ff02::1:ffab:cdef"));
    EXPECT_EQ(parsed.ttl, 255);
}

TEST(Probe, ItClaimsNothing) {
    EXPECT_FALSE(claimed(probed("203.0.113.10")));
    EXPECT_FALSE(claimed(probed("2001:db8::10")));
}

TEST(Probe, WhoHasTheAddressAnswersAndThatIsAClaim) {
    for (const char* address : {"203.0.113.10", "2001:db8::10"}) {
        Frame frame = probed(address);
        const auto length = static_cast<std::uint32_t>(frame.size());
        frame.resize(200);
        const ParsedPacket parsed = parse(frame.data(), length);
        const Answer answer = parsed.kind == PacketKind::arp
                                  ? build_arp_reply(frame.data(), length, parsed, kClientMac)
                                  : build_neighbour_advertisement(frame.data(), length, 200, parsed, kClientMac);
        ASSERT_TRUE(answer.built()) << address;
        frame.resize(answer.length);
        EXPECT_EQ(claimed(frame), (Claim{ip(address), kClientMac}));
    }
}

TEST(Announcement, OursAreClaimsToOthers) {
    EXPECT_EQ(claimed(announced("203.0.113.10")), (Claim{ip("203.0.113.10"), kOurMac}));
    EXPECT_EQ(claimed(announced("203.0.113.10", ArpForm::reply)), (Claim{ip("203.0.113.10"), kOurMac}));
    EXPECT_EQ(claimed(announced("2001:db8::10")), (Claim{ip("2001:db8::10"), kOurMac}));
}

TEST(Claim, AnArpRequestClaimsItsSenderWhomeverItAsksFor) {
    EXPECT_EQ(claimed(PacketBuilder().arp_request("203.0.113.10", "192.0.2.1").build()),
              (Claim{ip("203.0.113.10"), kClientMac}));
}

TEST(Claim, AProbeClaimsNothing) {
    EXPECT_FALSE(claimed(PacketBuilder().arp_request("0.0.0.0", "203.0.113.10").build()))
        << "RFC 5227: it asks whether it may";
    EXPECT_FALSE(
        claimed(PacketBuilder().ip("::", "ff02::1:ff00:10").neighbour_solicitation("2001:db8::10", {}).build()));
}

TEST(Claim, AnAdvertisementIsBelievedOnlyWhereItIsValid) {
    const Frame good = announced("2001:db8::10");
    const std::size_t header = 14, message = header + 40;
    for (const auto& [what, at, value] :
         {std::tuple{"a hop limit below 255: it came through a router", header + 7, 254},
          {"a code", message + 1, 1},
          {"a wrong checksum", message + 2, good[message + 2] ^ 1},
          {"an option of no length", message + 25, 0},
          {"an option that ends behind the packet", message + 25, 2}}) {
        Frame bad = good;
        bad[at] = static_cast<std::uint8_t>(value);
        EXPECT_FALSE(claimed(bad)) << what;
    }
    Frame cut = good;
    cut.resize(60);
    EXPECT_FALSE(claimed(cut));
}

TEST(Claim, OtherFramesClaimNothing) {
    EXPECT_FALSE(claimed(PacketBuilder().ipv4("198.51.100.7", "203.0.113.10").tcp(1, 80, tcp::kSyn).build()));
    EXPECT_FALSE(claimed(PacketBuilder().ip("2001:db8::7", "2001:db8::10").tcp(1, 80, tcp::kSyn).build()));
}

}  // namespace
}  // namespace guideway::packet
