// Invariant I4 over many frames: whatever comes in, each packet ends in exactly one place and no buffer is lost. The Lab's
// destructor is the judge.
#include <random>

#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;

/// Frames of every kind, right as they are.
std::vector<Frame> seeds(const Lab& lab) {
    const std::array<std::uint8_t, 16> init{0, 0, 0, 9};
    std::vector<Frame> frames;
    for (const bool v6 : {false, true}) {
        const char* client = v6 ? kClientV6 : kClient;
        for (const char* to : {v6 ? kVipV6 : kVip, v6 ? kSnatV6 : kSnat, v6 ? "2001:db8::1" : "192.0.2.1"}) {
            frames.push_back(PacketBuilder().ip(client, to).tcp(4000, 80, tcp::kSyn).build());
            frames.push_back(PacketBuilder().vlan(5).ip(client, to).tcp(4000, 80, tcp::kAck).payload(40).build());
            frames.push_back(PacketBuilder().ip(client, to).tcp(4000, 81, tcp::kFin | tcp::kAck).build());
            frames.push_back(PacketBuilder().ip(client, to).udp(4000, 53).payload(100).build());
            frames.push_back(PacketBuilder().ip(client, to).udp(4000, 54).payload(1000).build());
            frames.push_back(PacketBuilder().ip(client, to).sctp(4000, 9000, 0).chunk(sctp::kInit, init).build());
            frames.push_back(PacketBuilder().ip(client, to).echo_request(1, 1).payload(32).build());
            frames.push_back(PacketBuilder().ip(client, to).protocol(47).payload(32).build());
        }
    }
    frames.push_back(PacketBuilder().arp_request("192.0.2.254", kVip).build());
    frames.push_back(
        PacketBuilder().ip(kClientV6, "ff02::1:ff00:10").neighbour_solicitation(kVipV6, kRouterMac).build());
    frames.push_back(PacketBuilder().ip(kClientV6, "ff02::1:ff00:10").neighbour_solicitation(kVipV6, {}).build());
    frames.push_back(
        PacketBuilder().ip(kClientV6, kVipV6).routing(0).padding_extension(60).tcp(1, 80, tcp::kSyn).build());
    (void)lab;
    return frames;
}

void storm(std::uint32_t workers, std::uint64_t seed, int rounds) {
    std::mt19937_64 random(seed);
    const auto below = [&](std::size_t bound) { return static_cast<std::size_t>(random() % bound); };
    LabSettings settings;
    settings.workers = workers;
    settings.unfinished_checksums = below(2) == 0;
    settings.worker.capacity.flows_ipv4 = settings.worker.capacity.flows_ipv6 = 64;
    settings.worker.refusal_burst = 20;
    Lab lab(settings);
    lab.apply(lab.web());
    std::vector<Frame> pool = seeds(lab);
    for (int round = 0; round < rounds; ++round) {
        Frame frame = pool[below(pool.size())];
        for (std::size_t changes = below(4); changes > 0; --changes) {
            switch (below(4)) {
                case 0:
                    frame.resize(std::min<std::size_t>(frame.size(), below(frame.size() + 1)));
                    break;
                case 1:
                    frame.resize(frame.size() + below(32), 0xa5);
                    break;
                default:
                    if (!frame.empty()) frame[below(frame.size())] = static_cast<std::uint8_t>(random());
            }
        }
        if (below(3) == 0 && frame.size() > 36) frame[34 + below(2)] = static_cast<std::uint8_t>(random());
        lab.inject(static_cast<std::uint16_t>(below(2)), frame, static_cast<std::uint32_t>(below(workers)));
        if (below(3) != 0) lab.poll_all();
        if (below(50) == 0) {
            lab.forget_neighbour(kClientPort, "192.0.2.254");
            lab.publish_routing();
            lab.poll_all();
            lab.learn_neighbour(kClientPort, "192.0.2.254", kRouterMac);
            lab.publish_routing();
        }
        if (below(40) == 0) lab.now_ms += below(20'000);
        if (below(60) == 0) {
            auto state = lab.web();
            state.services.erase(state.services.begin() + static_cast<std::ptrdiff_t>(below(6)));
            state.backend_sets[below(2)].backends.resize(below(3));
            lab.apply(state);
        }
        if (below(60) == 0) lab.apply(lab.web());
        for (Frame& out : lab.sent(kNodePort)) {
            // Replies to what left, so that both directions are mutated too.
            if (out.size() > 60 && pool.size() < 400 && parsed(out).is_flow()) pool.push_back(lab.reply_to(out));
        }
        lab.sent(kClientPort);
        if (below(4) != 0) lab.to_kernel();
    }
    for (int i = 0; i < 100; ++i) lab.poll_all();
}

TEST(WorkerConservation, EveryPacketEndsInExactlyOnePlaceWithOneWorker) {
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        SCOPED_TRACE(seed);
        storm(1, seed, 1500);
    }
}

TEST(WorkerConservation, EveryPacketEndsInExactlyOnePlaceWithThreeWorkers) {
    for (std::uint64_t seed = 100; seed < 108; ++seed) {
        SCOPED_TRACE(seed);
        storm(3, seed, 1500);
    }
}

}  // namespace
}  // namespace guideway::worker::testing
