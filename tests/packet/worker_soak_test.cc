// A long run: changed packets of every kind through two workers, with new connections, floods, time that goes by and states that
// change. Nothing crashes, each packet ends in exactly one place, no buffer is lost (the Lab's destructor is the judge).
//
// GUIDEWAY_SOAK_PACKETS=N: how many (default 300,000); GUIDEWAY_SOAK_SEED=N: another run (default 1). The fuzzer looks for what nobody thought of,
// packet by packet; this one for what many packets do to each other.
#include <cstdio>
#include <cstdlib>
#include <random>

#include <gtest/gtest.h>

#include "tests/packet/populated_lab.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;

std::uint64_t number_from(const char* name, std::uint64_t otherwise) {
    const char* text = std::getenv(name);
    return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

/// Packets of clients that were not there before.
Frame newcomer(std::mt19937_64& random) {
    const auto below = [&](std::uint64_t bound) { return random() % bound; };
    const bool v6 = below(2) != 0;
    const std::string client = (v6 ? "2001:db8:c::" : "198.51.100.") + std::to_string(1 + below(200));
    PacketBuilder frame;
    frame.ip(client, v6 ? kVipV6 : kVip);
    const auto port = static_cast<std::uint16_t>(1024 + below(5000));
    const std::size_t most = below(8) == 0 ? 8000 : 1200;  // in more than one packet buffer
    switch (below(6)) {
        case 0:
            return frame.udp(port, 53).payload(below(most)).build();
        case 1:
            return frame
                .tcp(port, static_cast<std::uint16_t>(below(4) == 0 ? 81 : 80), static_cast<std::uint8_t>(below(64)))
                .payload(below(most))
                .build();
        case 2:
            return frame.echo_request(static_cast<std::uint16_t>(below(9)), 1).payload(below(most)).build();
        case 3: {
            std::vector<Frame> parts = cut(frame.ipv4_fragment(0).udp(port, 53).payload(600 + below(2 * most)).build(),
                                           64 + 8 * below(most / 12), static_cast<std::uint32_t>(below(40)));
            return parts[below(parts.size())];
        }
        default:
            return frame.tcp(port, 80, tcp::kSyn).build();
    }
}

/// Most frames in full buffers, as NICs bring them; some in whatever a driver might make of them.
Split some_split(std::mt19937_64& random) {
    Split split;
    if (random() % 4 != 0) return split;
    for (std::uint64_t left = 1 + random() % 5; left > 0; --left)
        split.sizes.push_back(static_cast<std::uint16_t>(random() % (random() % 2 == 0 ? 64 : 2000)));
    split.exact = random() % 4 == 0;
    return split;
}

TEST(WorkerSoak, WhateverComesEachPacketEndsInOnePlace) {
    constexpr std::uint32_t kWorkers = 2;
    const std::uint64_t packets = number_from("GUIDEWAY_SOAK_PACKETS", 300'000);
    std::mt19937_64 random(number_from("GUIDEWAY_SOAK_SEED", 1));
    const auto below = [&](std::uint64_t bound) { return random() % bound; };
    LabSettings settings;
    settings.workers = kWorkers;
    settings.unfinished_checksums = true;
    settings.vlans = vlans_on_client_port();
    settings.worker.mss_clamp.by_mtu = true;
    settings.worker.fragments = {64, 64, 500, 5000};
    settings.worker.refusals_per_source = 100;
    settings.worker.kernel_packets_per_second = 1000;
    Lab lab(settings);
    lab.apply(lab.web());
    lab.routing().ports[kNodePort].mtu = 600;
    lab.publish_routing();
    const Templates templates = populate(lab);
    // Clients of IPv6 are in VLAN 5 from here on.
    for (snapshot::Route& route : lab.routing().routes) {
        if (route.prefix == IpPrefix::parse("2001:db8:c::/48")) route.port = 2;
    }
    lab.learn_neighbour(2, "fe80::1", kRouterMac);
    ++lab.routing().epoch;
    lab.publish_routing();
    // What left lately, turned round: answers of nodes and clients to it, so that connections live.
    std::vector<Frame> replies;
    std::uint64_t forwarded = 0;
    for (std::uint64_t done = 0; done < packets; ++done) {
        Frame frame;
        std::uint16_t port = static_cast<std::uint16_t>(below(2));
        if (const std::uint64_t kind = below(10); kind < 3) {
            port = kClientPort;
            frame = newcomer(random);
        } else if (kind < 5 && !replies.empty()) {
            port = kNodePort;
            frame = replies[below(replies.size())];
        } else {
            const auto& known = port == kClientPort ? templates.from_client : templates.from_backend;
            frame = known[below(known.size())];
        }
        if (below(3) == 0) {
            for (std::uint64_t change = 1 + below(4); change > 0; --change)
                frame[below(frame.size())] = static_cast<std::uint8_t>(random());
        }
        if (below(40) == 0) frame.resize(below(frame.size() + 1));
        if (below(3) == 0) mend_checksums(frame);
        if (below(8) == 0) put_tags(frame, below(2) != 0);
        lab.inject_split(port, frame, some_split(random), static_cast<std::uint32_t>(below(kWorkers)));
        if (done % 16 != 15) continue;
        lab.poll_all();
        if (done % 64 != 63) continue;
        lab.poll_all();
        if (replies.size() > 64) replies.clear();
        for (const Frame& out : lab.sent(kNodePort)) {
            ++forwarded;
            const ParsedPacket p = parsed(out);
            if (p.kind == PacketKind::ipv4_flow || p.kind == PacketKind::ipv6_flow)
                replies.push_back(lab.reply_to(out));
        }
        forwarded += lab.sent(kClientPort).size();
        lab.to_kernel();
        lab.now_ms += below(50);
        if (done % 65'536 == 65'535) {
            lab.now_ms += below(400'000);
            switch (below(3)) {
                case 0:
                    lab.apply(guarded(lab));
                    break;
                case 1:
                    lab.apply(lab.web());
                    break;
                default:
                    lab.routing().ports[kNodePort].mtu = std::array<std::uint16_t, 3>{600, 1500, 9000}.at(below(3));
                    lab.publish_routing();
            }
            for (int i = 0; i < 4; ++i) lab.poll_all();
            require_balance(lab, kWorkers);
        }
        if (done % 10'000'000 == 9'999'999) std::printf("%llu packets\n", static_cast<unsigned long long>(done + 1));
    }
    std::uint64_t kinds = 0;
    for (std::size_t i = 0; i < observe::kDropReasonCount; ++i)
        kinds += lab.dropped(static_cast<observe::DropReason>(i)) != 0 ? 1U : 0U;
    std::printf("%llu packets, %llu left, drops by %llu names\n", static_cast<unsigned long long>(packets),
                static_cast<unsigned long long>(forwarded), static_cast<unsigned long long>(kinds));
    EXPECT_GT(forwarded, packets / 10);
    EXPECT_GT(kinds, 20U);
    for (std::uint32_t worker = 0; worker < kWorkers; ++worker)
        EXPECT_GT(lab.totals(worker).fragments_forwarded.read(), 0U);
}

}  // namespace
}  // namespace guideway::worker::testing
