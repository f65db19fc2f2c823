// What `guideway trace` and `guideway capture` are shown of packets.
#include <gtest/gtest.h>

#include "dataplane/worker/tap_desk.h"
#include "tests/packet/fragment_tools.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;
using contract::TapRecord;
using contract::TapRequest;

constexpr std::uint64_t kTapClient = 7;

/// What a request that says nothing but the filter has.
TapRequest tap_of(contract::TapFilter filter) {
    TapRequest request;
    request.filter = std::move(filter);
    request.steps = true;
    return request;
}

contract::TapFilter to_vip(const char* protocol = "TCP", std::uint16_t port = 80) {
    contract::TapFilter filter;
    filter.protocol = protocol;
    filter.destination = IpPrefix{ip(kVip), 32};
    filter.destination_port = port;
    return filter;
}

class WorkerTap : public ::testing::Test {
  protected:
    explicit WorkerTap(LabSettings settings = {})
        : lab_(settings),
          desk_({lab_.publisher(),
                 settings.workers,
                 {"client-side", "node-side"},
                 flow::IdleLimits(table_timeouts(settings.worker.timeouts)),
                 [this] { return lab_.now_ms; }}) {
        lab_.apply(lab_.web());
    }
    /// The lab's sleight of hand: workers are never online, so showing a tap does not wait for them.
    void look(const TapRequest& request) {
        const auto faults = desk_.begin(request, kTapClient);
        ASSERT_TRUE(faults.empty()) << faults[0].field << ": " << faults[0].message;
    }
    std::vector<TapRecord> seen() {
        answer_ = desk_.read(kTapClient).value_or(contract::TapAnswer{});
        return answer_.records;
    }
    TapRecord only() {
        const auto records = seen();
        EXPECT_EQ(records.size(), 1U);
        return records.empty() ? TapRecord{} : records[0];
    }
    static Frame syn(std::uint16_t source_port = 40000, std::uint16_t port = 80) {
        return PacketBuilder().ip(kClient, kVip).tcp(source_port, port, tcp::kSyn).build();
    }
    static std::string bytes(const Frame& frame) { return {frame.begin(), frame.end()}; }
    static bool says(const TapRecord& record, const std::string& words) {
        for (const std::string& step : record.steps) {
            if (step.find(words) != std::string::npos) return true;
        }
        return false;
    }
    static std::string text_of(const TapRecord& record) {
        std::string text = record.verdict + " " + record.reason + "\n" + record.in.packet + "\n";
        for (const std::string& step : record.steps) text += step + "\n";
        return text;
    }

    Lab lab_;
    TapDesk desk_;
    contract::TapAnswer answer_;
};

TEST_F(WorkerTap, ANewConnectionIsShownBeforeAndAfterTranslation) {
    look(tap_of(to_vip()));
    const Frame in = syn();
    const Frame out = lab_.pass(kClientPort, in);
    ASSERT_FALSE(out.empty());
    const TapRecord record = only();
    EXPECT_EQ(record.verdict, "forwarded") << text_of(record);
    EXPECT_EQ(record.reason, "");
    EXPECT_EQ(record.service, "default/web");
    EXPECT_FALSE(record.backend.empty());
    EXPECT_EQ(record.in.port, "client-side");
    EXPECT_EQ(record.in.bytes, bytes(in));
    EXPECT_EQ(record.in.packet, "TCP 198.51.100.7:40000 > 203.0.113.10:80 SYN");
    ASSERT_EQ(record.out.size(), 1U);
    EXPECT_EQ(record.out[0].port, "node-side");
    EXPECT_EQ(record.out[0].bytes, bytes(out)) << "as it left, next hop's MAC address and all";
    EXPECT_TRUE(record.out[0].packet.starts_with("TCP 10.0.2.1:")) << record.out[0].packet;
    EXPECT_TRUE(says(record, "Not in this worker's flow table."));
    EXPECT_TRUE(says(record, "Service default/web"));
    EXPECT_TRUE(says(record, "Opens a connection to the backend that the Maglev table has")) << text_of(record);
    EXPECT_TRUE(says(record, "Leaves by port node-side to 02:00:00:00:01:")) << text_of(record);
}

TEST_F(WorkerTap, AReplyIsFoundByItsClientsAddresses) {
    // Why: who looks for a client's connection does not know which SNAT port it got.
    look(tap_of(to_vip()));
    const Frame out = lab_.pass(kClientPort, syn());
    only();
    const Frame reply = lab_.reply_to(out);
    ASSERT_FALSE(lab_.pass(kNodePort, reply).empty());
    const TapRecord record = only();
    EXPECT_EQ(record.verdict, "forwarded");
    EXPECT_EQ(record.in.port, "node-side");
    EXPECT_EQ(record.in.bytes, bytes(reply));
    ASSERT_EQ(record.out.size(), 1U);
    EXPECT_EQ(record.out[0].packet, "TCP 203.0.113.10:80 > 198.51.100.7:40000 SYN,ACK");
    EXPECT_TRUE(says(record, "Found in the flow table by its backend's half")) << text_of(record);
    EXPECT_TRUE(says(record, "state tcp_opening, now tcp_answered")) << text_of(record);
}

TEST_F(WorkerTap, AndBothByTheNodesAddressesOnceItIsKnown) {
    const Frame out = lab_.establish(40000);
    ASSERT_FALSE(out.empty());
    contract::TapFilter filter;
    filter.destination = IpPrefix{parsed(out).destination(), 32};
    filter.destination_port = 30080;
    look(tap_of(filter));
    ASSERT_FALSE(
        lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kAck).payload(9).build()).empty());
    ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(out, tcp::kAck)).empty());
    const auto records = seen();
    ASSERT_EQ(records.size(), 2U);
    EXPECT_TRUE(says(records[0], "state tcp_established")) << text_of(records[0]);
    EXPECT_EQ(records[0].in.port, "client-side");
    EXPECT_EQ(records[1].in.port, "node-side");
}

TEST_F(WorkerTap, IPv6) {
    contract::TapFilter filter;
    filter.source = IpPrefix::parse("2001:db8:c::/48");
    look(tap_of(filter));
    const Frame out = lab_.pass(kClientPort, PacketBuilder().ip(kClientV6, kVipV6).tcp(40000, 80, tcp::kSyn).build());
    ASSERT_FALSE(out.empty());
    ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(out)).empty());
    ASSERT_FALSE(lab_.pass(kClientPort, syn()).empty());  // not of the filter
    const auto records = seen();
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0].in.packet, "TCP [2001:db8:c::7]:40000 > [2001:db8:1::10]:80 SYN");
    EXPECT_EQ(records[1].out.at(0).packet, "TCP [2001:db8:1::10]:80 > [2001:db8:c::7]:40000 SYN,ACK");
    EXPECT_EQ(answer_.matched, 2U);
}

TEST_F(WorkerTap, ADropIsShownByName) {
    for (const bool v6 : {false, true}) {
        contract::TapFilter filter;
        filter.reason = "ttl_exceeded";
        look(tap_of(filter));
        lab_.pass(kClientPort, syn());
        const char* from = v6 ? kClientV6 : kClient;
        lab_.pass(kClientPort, PacketBuilder().ip(from, v6 ? kVipV6 : kVip).ttl(1).tcp(40001, 80, tcp::kSyn).build());
        const TapRecord record = only();
        EXPECT_EQ(record.verdict, "dropped");
        EXPECT_EQ(record.reason, "ttl_exceeded");
        EXPECT_TRUE(says(record, "Dropped as ttl_exceeded: TTL or hop limit used up")) << text_of(record);
        ASSERT_EQ(record.out.size(), 1U) << "the ICMP error that tells the client";
        EXPECT_EQ(record.out[0].port, "client-side");
        EXPECT_TRUE(says(record, v6 ? "The answer is ICMPv6 " : "The answer is ICMP ")) << text_of(record);
        desk_.end(kTapClient);
    }
}

TEST_F(WorkerTap, ARefusalIsShownWithItsReasonAndTheRst) {
    contract::TapFilter filter;
    filter.drops = true;
    look(tap_of(filter));
    const Frame answer = lab_.pass(kClientPort, syn(40000, 81));
    const TapRecord record = only();
    EXPECT_EQ(record.verdict, "refused");
    EXPECT_EQ(record.reason, "port_closed");
    EXPECT_TRUE(says(record, "203.0.113.10 is a VIP without a service on this port.")) << text_of(record);
    ASSERT_EQ(record.out.size(), 1U);
    EXPECT_EQ(record.out[0].bytes, bytes(answer));
    EXPECT_EQ(record.out[0].packet, "TCP 203.0.113.10:81 > 198.51.100.7:40000 RST,ACK");
}

TEST_F(WorkerTap, WhatIsAnsweredAndWhatGoesToTheKernel) {
    look(tap_of({}));
    lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).echo_request(1, 1).build());
    lab_.inject(kClientPort, PacketBuilder().ip(kClient, "192.0.2.1").tcp(40000, 22, tcp::kSyn).build());
    lab_.poll();
    lab_.pass(kClientPort, PacketBuilder().arp_request("192.0.2.9", kVip).build());
    const auto records = seen();
    ASSERT_EQ(records.size(), 3U);
    EXPECT_EQ(records[0].verdict, "answered");
    EXPECT_EQ(records[0].in.packet, "ICMP 198.51.100.7 > 203.0.113.10 echo request");
    EXPECT_EQ(records[0].out.size(), 1U);
    EXPECT_EQ(records[1].verdict, "kernel");
    EXPECT_TRUE(says(records[1], "192.0.2.1 is neither a VIP nor a SNAT address.")) << text_of(records[1]);
    EXPECT_EQ(records[2].verdict, "answered");
    EXPECT_TRUE(records[2].in.packet.starts_with("ARP ")) << records[2].in.packet;
}

TEST_F(WorkerTap, AFragmentThatWaitsForTheFirstOfItsDatagram) {
    const Frame whole = PacketBuilder().ip(kClient, kVip).ipv4_fragment(0).udp(5353, 53).payload(2000).build();
    const auto parts = cut(whole, 1480, 9);
    ASSERT_EQ(parts.size(), 2U);
    contract::TapFilter filter;
    filter.protocol = "UDP";
    filter.source = IpPrefix{ip(kClient), 32};
    look(tap_of(filter));
    lab_.inject(kClientPort, parts[1]);
    lab_.poll();
    lab_.inject(kClientPort, parts[0]);
    lab_.poll();
    EXPECT_EQ(lab_.sent(kNodePort).size(), 2U);
    const auto records = seen();
    ASSERT_EQ(records.size(), 2U);
    EXPECT_EQ(records[0].verdict, "held");
    EXPECT_TRUE(says(records[0], "Waits for the first fragment of its datagram.")) << text_of(records[0]);
    EXPECT_EQ(records[1].verdict, "forwarded");
    EXPECT_EQ(records[1].out.size(), 2U) << "the one that waited leaves with it";
}

TEST_F(WorkerTap, APacketThatWaitsForItsNextHopIsShownTranslated) {
    for (const char* node : {"10.0.2.11", "10.0.2.12", "10.0.2.13"}) lab_.forget_neighbour(kNodePort, node);
    lab_.publish_routing();
    look(tap_of(to_vip()));
    lab_.inject(kClientPort, syn());
    lab_.poll();
    const TapRecord record = only();
    EXPECT_EQ(record.verdict, "held");
    EXPECT_TRUE(says(record, "Waits for the MAC address of its next hop.")) << text_of(record);
    ASSERT_EQ(record.out.size(), 1U);
    EXPECT_EQ(record.out[0].port, "");
    EXPECT_TRUE(record.out[0].packet.starts_with("TCP 10.0.2.1:")) << record.out[0].packet;
}

TEST_F(WorkerTap, AnIcmpErrorBelongsToTheConnectionItQuotes) {
    const Frame out = lab_.establish(40000);
    look(tap_of(to_vip()));
    Frame quote(out.begin() + 14, out.end());
    lab_.pass(kNodePort, PacketBuilder()
                             .ethernet(kPortMac1, {0x02, 0, 0, 0, 1, 11})
                             .ip("10.0.2.11", kSnat)
                             .icmp(icmp::kUnreachable, 1)
                             .payload(quote)
                             .build());
    const TapRecord record = only();
    EXPECT_TRUE(record.in.packet.starts_with("ICMP 10.0.2.11 > 10.0.2.1 type 3 code 1")) << record.in.packet;
    EXPECT_TRUE(says(record, "Found in the flow table")) << text_of(record);
}

TEST_F(WorkerTap, PacketsOfABurstKeepTheirOrderAndTheirOwnOutcomes) {
    look(tap_of(to_vip("TCP", 81)));
    for (std::uint16_t i = 0; i < 4; ++i) {
        lab_.inject(kClientPort, syn(static_cast<std::uint16_t>(40000 + i)));
        lab_.inject(kClientPort, syn(static_cast<std::uint16_t>(40000 + i), 81));
    }
    lab_.poll();
    const auto left = lab_.sent(kNodePort);
    ASSERT_EQ(left.size(), 4U);
    EXPECT_EQ(lab_.sent(kClientPort).size(), 4U);
    const auto records = seen();
    ASSERT_EQ(records.size(), 4U);
    for (std::uint16_t i = 0; i < 4; ++i) {
        EXPECT_EQ(records[i].verdict, "refused");
        EXPECT_EQ(records[i].in.packet, "TCP 198.51.100.7:" + std::to_string(40000 + i) + " > 203.0.113.10:81 SYN");
    }
}

TEST_F(WorkerTap, APortIsAskedForByName) {
    contract::TapFilter filter;
    filter.port = "node-side";
    look(tap_of(filter));
    ASSERT_FALSE(lab_.pass(kClientPort, syn()).empty());
    ASSERT_FALSE(lab_.pass(kClientPort, syn(40000, 81)).empty());
    EXPECT_EQ(only().verdict, "forwarded") << "the refused one had nothing to do with that port";
    filter.port = "eth9";
    desk_.end(kTapClient);
    const auto faults = desk_.begin(tap_of(filter), kTapClient);
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_EQ(faults[0].field, "/tap/filter/port");
    EXPECT_NE(faults[0].message.find("client-side, node-side"), std::string::npos) << faults[0].message;
}

TEST_F(WorkerTap, AReasonThatIsNoneIsRefused) {
    contract::TapFilter filter;
    for (const char* reason : {"no_such_reason", "none"}) {
        filter.reason = reason;
        const auto faults = desk_.begin(tap_of(filter), kTapClient);
        ASSERT_EQ(faults.size(), 1U);
        EXPECT_EQ(faults[0].field, "/tap/filter/reason");
    }
}

TEST_F(WorkerTap, OneAtATimeAndTheSecondIsToldByWhom) {
    TapRequest request = tap_of(to_vip());
    request.who = "guideway trace (process 4711)";
    look(request);
    const auto faults = desk_.begin(request, kTapClient + 1);
    ASSERT_EQ(faults.size(), 1U);
    EXPECT_EQ(faults[0].field, "/tap");
    EXPECT_NE(faults[0].message.find("guideway trace (process 4711)"), std::string::npos) << faults[0].message;
    EXPECT_FALSE(desk_.read(kTapClient + 1));
    desk_.end(kTapClient + 1);  // not its own
    EXPECT_TRUE(desk_.read(kTapClient));
    desk_.end(kTapClient);
    EXPECT_TRUE(desk_.begin(request, kTapClient + 1).empty());
    EXPECT_FALSE(desk_.read(kTapClient));
}

TEST_F(WorkerTap, AClientThatHangsKeepsOthersOutForItsTimeOnly) {
    TapRequest request = tap_of(to_vip());
    request.seconds = 10;
    look(request);
    lab_.now_ms += 12'000;
    EXPECT_FALSE(desk_.begin(request, kTapClient + 1).empty()) << "it may still fetch what was seen";
    lab_.now_ms += 5'000;
    EXPECT_TRUE(desk_.begin(request, kTapClient + 1).empty());
}

TEST_F(WorkerTap, ItsBoundsHold) {
    TapRequest request = tap_of(to_vip());
    request.count = 3;
    look(request);
    for (std::uint16_t i = 0; i < 5; ++i) lab_.pass(kClientPort, syn(static_cast<std::uint16_t>(40000 + i)));
    EXPECT_EQ(seen().size(), 3U);
    EXPECT_EQ(answer_.ended, "count");
    EXPECT_EQ(lab_.publisher().view().tap, nullptr);
    desk_.end(kTapClient);

    request.count = 1000;
    request.rate = 2;
    look(request);
    for (std::uint16_t i = 0; i < 5; ++i) lab_.pass(kClientPort, syn(static_cast<std::uint16_t>(41000 + i)));
    EXPECT_EQ(seen().size(), 2U);
    EXPECT_EQ(answer_.over_rate, 3U);
    EXPECT_EQ(answer_.ended, "");
    desk_.end(kTapClient);

    request.seconds = 5;
    look(request);
    lab_.pass(kClientPort, syn(42000));
    lab_.now_ms += 5000;
    lab_.pass(kClientPort, syn(42001));
    EXPECT_EQ(seen().size(), 1U) << "past its time workers do not look";
    EXPECT_EQ(answer_.ended, "") << "this was something still";
    EXPECT_TRUE(seen().empty());
    EXPECT_EQ(answer_.ended, "seconds");
}

TEST_F(WorkerTap, TheLastOneMayStandWithinABurst) {
    TapRequest request = tap_of(to_vip());
    request.count = 2;
    look(request);
    for (std::uint16_t i = 0; i < 5; ++i) lab_.inject(kClientPort, syn(static_cast<std::uint16_t>(40000 + i)));
    lab_.poll();
    EXPECT_EQ(lab_.sent(kNodePort).size(), 5U);
    EXPECT_EQ(seen().size(), 2U);
    EXPECT_EQ(answer_.matched, 2U) << "from then on nobody looks";
    EXPECT_EQ(answer_.ended, "count");
}

TEST_F(WorkerTap, AFullRingIsCountedAndNeverWaitedFor) {
    TapRequest request = tap_of(to_vip("UDP", 53));
    request.bytes = contract::kMostTapBytes;
    request.count = contract::kMostTapPackets;
    request.rate = contract::kMostTapRate;
    look(request);
    constexpr unsigned kPackets = 1500;  // each 2 x 1.4 kB, the ring 2 MiB
    const Frame frame = PacketBuilder().ip(kClient, kVip).udp(5353, 53).payload(1400).build();
    for (unsigned i = 0; i < kPackets; ++i, ++lab_.now_ms) ASSERT_FALSE(lab_.pass(kClientPort, frame).empty());
    std::size_t records = 0;
    for (auto some = seen(); !some.empty(); some = seen()) records += some.size();
    EXPECT_GT(records, 500U);
    EXPECT_GT(answer_.lost, 100U);
    EXPECT_EQ(records + answer_.lost, kPackets);
}

TEST_F(WorkerTap, OnlyTheBeginningIsKept) {
    TapRequest request = tap_of(to_vip("UDP", 53));
    request.bytes = 64;
    look(request);
    const Frame frame = PacketBuilder().ip(kClient, kVip).udp(5353, 53).payload(1000).build();
    ASSERT_FALSE(lab_.pass(kClientPort, frame).empty());
    const TapRecord record = only();
    EXPECT_EQ(record.in.bytes, bytes(frame).substr(0, 64));
    EXPECT_EQ(record.in.length, frame.size());
    EXPECT_EQ(record.in.packet, "UDP 198.51.100.7:5353 > 203.0.113.10:53");
    EXPECT_EQ(record.out.at(0).bytes.size(), 64U);
}

TEST_F(WorkerTap, ComingAndGoingChangesNothingForConnections) {
    // Why: a new number of the snapshots would send every connection's next packet the long way.
    const std::uint64_t number = lab_.publisher().view().number;
    ASSERT_FALSE(lab_.establish(40000).empty());
    EXPECT_EQ(lab_.publisher().view().tap, nullptr);
    look(tap_of(to_vip("UDP", 53)));
    EXPECT_NE(lab_.publisher().view().tap, nullptr);
    EXPECT_EQ(lab_.publisher().view().number, number);
    ASSERT_FALSE(
        lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kAck).payload(9).build()).empty());
    EXPECT_TRUE(seen().empty());
    EXPECT_EQ(answer_.matched, 0U);
    desk_.end(kTapClient);
    EXPECT_EQ(lab_.publisher().view().tap, nullptr);
    EXPECT_EQ(lab_.publisher().view().number, number);
    ASSERT_FALSE(
        lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(40000, 80, tcp::kAck).payload(9).build()).empty());
}

class WorkerTapTwo : public WorkerTap {
  protected:
    static LabSettings two_workers() {
        LabSettings settings;
        settings.workers = 2;
        return settings;
    }
    WorkerTapTwo() : WorkerTap(two_workers()) {}
};

TEST_F(WorkerTapTwo, APacketIsFollowedFromTheWorkerThatReceivedItToTheOneThatOwnsIt) {
    look(tap_of(to_vip()));
    unsigned handed_over = 0;
    for (std::uint16_t port = 40000; port < 40008; ++port) {
        ASSERT_FALSE(lab_.pass(kClientPort, syn(port), 0).empty());
        const auto records = seen();
        ASSERT_GE(records.size(), 1U);
        if (records.size() == 1) continue;
        ++handed_over;
        EXPECT_EQ(records[0].verdict, "handed_over");
        EXPECT_EQ(records[0].worker, 0U);
        EXPECT_FALSE(records[0].taken_over);
        EXPECT_EQ(records[1].verdict, "forwarded");
        EXPECT_EQ(records[1].worker, 1U);
        EXPECT_TRUE(records[1].taken_over);
        EXPECT_EQ(records[1].in.bytes, records[0].in.bytes);
        EXPECT_EQ(records[1].in.port, "client-side");
    }
    EXPECT_GT(handed_over, 0U);
}

}  // namespace
}  // namespace guideway::worker::testing
