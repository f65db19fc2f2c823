// Connections go on in the next process, with as many workers or others.
#include <array>
#include <cstddef>
#include <memory>
#include <new>
#include <vector>

#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;

constexpr std::uint32_t kCapacity = 256;

/// Entries of some workers that outlive a Lab, as a flow file does.
class Shared {
  public:
    explicit Shared(std::uint32_t workers) {
        for (std::uint32_t i = 0; i < workers; ++i) {
            lines_.emplace_back(kCapacity * (sizeof(flow::FlowEntryV4) + sizeof(flow::FlowEntryV6)) / sizeof(Line));
            const std::span<std::byte> bytes = std::as_writable_bytes(std::span(lines_.back()));
            entries.push_back({bytes.first(kCapacity * sizeof(flow::FlowEntryV4)),
                               bytes.subspan(kCapacity * sizeof(flow::FlowEntryV4))});
        }
    }
    std::vector<OldEntries> old() const {
        std::vector<OldEntries> list;
        for (const EntryMemory& one : entries) list.push_back(one.old());
        return list;
    }
    LabSettings settings() const {
        LabSettings result;
        result.workers = static_cast<std::uint32_t>(entries.size());
        result.worker.capacity.flows_ipv4 = result.worker.capacity.flows_ipv6 = kCapacity;
        result.entries = entries;
        return result;
    }
    std::vector<EntryMemory> entries;

  private:
    struct alignas(64) Line {
        std::array<std::byte, 64> bytes{};
    };
    std::vector<std::vector<Line>> lines_;
};

Frame request(std::uint16_t port, std::uint8_t flags, bool v6 = false) {
    return PacketBuilder().ip(v6 ? kClientV6 : kClient, v6 ? kVipV6 : kVip).tcp(port, 80, flags).payload(20).build();
}

struct Connection {
    std::uint16_t port;
    bool v6;
    Frame syn_out;
};

std::vector<Connection> establish(Lab& lab, std::uint16_t count) {
    std::vector<Connection> list;
    for (std::uint16_t i = 0; i < count; ++i) {
        const bool v6 = i % 2 == 1;
        const auto port = static_cast<std::uint16_t>(40000 + i);
        const Frame out = lab.pass(kClientPort, request(port, tcp::kSyn, v6));
        EXPECT_FALSE(lab.pass(kNodePort, lab.reply_to(out)).empty());
        EXPECT_FALSE(lab.pass(kClientPort, request(port, tcp::kAck, v6)).empty());
        list.push_back({port, v6, out});
    }
    return list;
}

std::string way_of(const Frame& frame) {
    const std::string text = summary(frame);
    return text.substr(0, text.rfind(" S ") == std::string::npos ? text.rfind(" A ") : text.rfind(" S "));
}

/// Both directions, arriving at every worker, go as they went before.
void expect_alive(Lab& lab, const std::vector<Connection>& connections, std::uint32_t workers) {
    for (const Connection& one : connections) {
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            const Frame out = lab.pass(kClientPort, request(one.port, tcp::kAck, one.v6), worker);
            EXPECT_EQ(way_of(out), way_of(one.syn_out));
            const Frame back = lab.pass(kNodePort, lab.reply_to(one.syn_out, tcp::kAck), worker);
            ASSERT_FALSE(back.empty());
            const packet::ParsedPacket p = parsed(back);
            EXPECT_EQ(p.destination().to_string(), one.v6 ? kClientV6 : kClient);
            EXPECT_EQ(p.has_v4 ? p.v4.destination_port : p.v6.destination_port, packet::swap_if_little(one.port));
        }
    }
    EXPECT_EQ(lab.dropped(), 0U);
}

std::uint64_t kept(const std::vector<Outcome>& outcomes) { return report_of(outcomes).kept_count(); }

TEST(WorkerTakeover, ConnectionsGoOnInTheNextProcess) {
    for (const std::uint32_t workers : {1U, 2U}) {
        const Shared shared(workers);
        std::vector<Connection> connections;
        {
            Lab lab(shared.settings());
            lab.apply(lab.web());
            connections = establish(lab, 40);
        }
        Lab lab(shared.settings());
        lab.apply(lab.web());
        EXPECT_EQ(kept(lab.adopt_connections()), 40U);
        expect_alive(lab, connections, workers);
    }
}

TEST(WorkerTakeover, ConnectionsOfOneWorkerGoOnAtTwoAndBack) {
    const Shared one(1);
    const Shared two(2);
    const Shared three(3);
    std::vector<Connection> connections;
    {
        Lab lab(one.settings());
        lab.apply(lab.web());
        connections = establish(lab, 60);
    }
    const auto next = [&](const Shared& from, const Shared& to) {
        Lab lab(to.settings());
        lab.apply(lab.web());
        EXPECT_EQ(kept(lab.import_connections(from.old())), 60U);
        expect_alive(lab, connections, static_cast<std::uint32_t>(to.entries.size()));
    };
    next(one, two);
    {
        // Once more with two: what lives elsewhere than its client says is found again by the entries alone.
        Lab lab(two.settings());
        lab.apply(lab.web());
        EXPECT_EQ(kept(lab.adopt_connections()), 60U);
        expect_alive(lab, connections, 2);
    }
    next(two, three);
    const Shared again(1);
    next(three, again);
}

TEST(WorkerTakeover, AClientThatComesAgainOnTheSamePortsIsServedWhereItsOldConnectionLived) {
    const Shared one(1);
    const Shared two(2);
    std::vector<Connection> connections;
    {
        Lab lab(one.settings());
        lab.apply(lab.web());
        connections = establish(lab, 20);
    }
    Lab lab(two.settings());
    lab.apply(lab.web());
    EXPECT_EQ(kept(lab.import_connections(one.old())), 20U);
    for (Connection& connection : connections) {
        const std::uint32_t at = connection.port % 2;
        for (const std::uint8_t flags : {tcp::kFin, tcp::kAck}) {
            EXPECT_FALSE(lab.pass(kClientPort, request(connection.port, flags | tcp::kAck, connection.v6), at).empty());
            EXPECT_FALSE(lab.pass(kNodePort, lab.reply_to(connection.syn_out, flags | tcp::kAck), at).empty());
        }
        connection.syn_out = lab.pass(kClientPort, request(connection.port, tcp::kSyn, connection.v6), at);
        ASSERT_FALSE(connection.syn_out.empty());
        EXPECT_FALSE(lab.pass(kNodePort, lab.reply_to(connection.syn_out), 1 - at).empty());
        EXPECT_FALSE(lab.pass(kClientPort, request(connection.port, tcp::kAck, connection.v6), 1 - at).empty());
    }
    expect_alive(lab, connections, 2);
    EXPECT_EQ(lab.connections(), 20U);
}

TEST(WorkerTakeover, AfterTheConnectionIsForgottenItsPortsOpenAnother) {
    const Shared one(1);
    const Shared two(2);
    {
        Lab lab(one.settings());
        lab.apply(lab.web());
        establish(lab, 20);
    }
    LabSettings settings = two.settings();
    settings.worker.timeouts.tcp_established = 5;
    Lab lab(settings);
    lab.apply(lab.web());
    EXPECT_EQ(kept(lab.import_connections(one.old())), 20U);
    lab.wait_ms(30'000);
    EXPECT_EQ(lab.connections(), 0U);
    expect_alive(lab, establish(lab, 20), 2);
}

TEST(WorkerTakeover, AStrayGoesOnToItsBackend) {
    const Shared shared(1);
    std::vector<Connection> connections;
    {
        Lab lab(shared.settings());
        lab.apply(lab.web());
        connections = establish(lab, 20);
    }
    Lab lab(shared.settings());
    contract::ForwardingState state = lab.web();
    for (auto& set : state.backend_sets) set.backends.erase(set.backends.begin(), set.backends.begin() + 2);
    lab.apply(state);
    const std::vector<Outcome> outcomes = lab.adopt_connections();
    EXPECT_EQ(kept(outcomes), 20U);
    EXPECT_GT(outcomes[0].strays, 0U);
    expect_alive(lab, connections, 1);
}

TEST(WorkerTakeover, UdpWhoseBackendLeftIsDecidedAnew) {
    const Shared shared(1);
    const auto ask = [] { return PacketBuilder().ip(kClient, kVip).udp(40000, 53).payload(20).build(); };
    std::string before;
    {
        Lab lab(shared.settings());
        lab.apply(lab.web());
        const Frame out = lab.pass(kClientPort, ask());
        EXPECT_FALSE(lab.pass(kNodePort, lab.reply_to(out)).empty());
        before = parsed(out).destination().to_string();
    }
    Lab lab(shared.settings());
    contract::ForwardingState state = lab.web();
    std::erase_if(state.backend_sets[0].backends,
                  [&](const auto& backend) { return backend.address.to_string() == before; });
    lab.apply(state);
    EXPECT_EQ(kept(lab.adopt_connections()), 1U);
    const Frame out = lab.pass(kClientPort, ask());
    ASSERT_FALSE(out.empty());
    EXPECT_NE(parsed(out).destination().to_string(), before);
}

TEST(WorkerTakeover, WhatIsNotKeptIsRefusedAsUnknown) {
    const Shared shared(1);
    {
        Lab lab(shared.settings());
        lab.apply(lab.web());
        establish(lab, 2);
    }
    Lab lab(shared.settings());
    contract::ForwardingState state = lab.web();
    state.services.erase(state.services.begin());  // TCP 80 over IPv4
    lab.apply(state);
    const std::vector<Outcome> outcomes = lab.adopt_connections();
    EXPECT_EQ(kept(outcomes), 1U);
    EXPECT_EQ(outcomes[0][Verdict::service_gone], 1U);
    const Frame answer = lab.pass(kClientPort, request(40000, tcp::kAck));
    ASSERT_FALSE(answer.empty());
    EXPECT_NE(parsed(answer).tcp_flags & tcp::kRst, 0) << summary(answer);
}

TEST(WorkerTakeover, ConnectionsGoOnWhereTheNicSharesPacketsOutDifferentlyThanBefore) {
    const Shared shared(2);
    const auto behind_nic = [&](std::uint8_t seed) {
        flow::RssLayout nic;
        for (std::size_t i = 0; i < nic.key.size(); ++i)
            nic.key[i] = static_cast<std::uint8_t>(i * 151 + seed + i * i * 7);
        for (std::uint16_t i = 0; i < 128; ++i) nic.reta.push_back(i % 2);
        nic.worker_of_queue = {0, 1};
        LabSettings settings = shared.settings();
        settings.rss = nic;
        return settings;
    };
    std::vector<Connection> connections;
    {
        Lab lab(shared.settings());  // by rings
        lab.apply(lab.web());
        connections = establish(lab, 60);
    }
    for (const std::uint8_t seed : {std::uint8_t{0x6d}, std::uint8_t{0x11}}) {
        Lab lab(behind_nic(seed));
        lab.apply(lab.web());
        const std::vector<Outcome> outcomes = lab.adopt_connections();
        EXPECT_EQ(kept(outcomes), 60U);
        EXPECT_GT(outcomes[0].away_v4.size() + outcomes[1].away_v4.size(), 0U) << "the NIC should differ";
        expect_alive(lab, connections, 2);
    }
}

}  // namespace
}  // namespace guideway::worker::testing
