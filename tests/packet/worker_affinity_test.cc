// Session affinity with a memory (Kubernetes rule 13: sessionAffinity ClientIP with its time-out): a client goes where it went before.
#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/worker/explain.h"
#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;

constexpr std::uint32_t kTimeout = 100;

LabSettings with_workers(std::uint32_t workers) {
    LabSettings settings;
    settings.workers = workers;
    return settings;
}

class WorkerAffinity : public ::testing::TestWithParam<bool> {
  protected:
    static bool v6() { return GetParam(); }
    static std::string client(int number) { return (v6() ? "2001:db8:c::" : "198.51.100.") + std::to_string(number); }
    static Frame syn(const std::string& from, std::uint16_t source_port) {
        return PacketBuilder().ip(from, v6() ? kVipV6 : kVip).tcp(source_port, 80, tcp::kSyn).build();
    }
    static IpAddress node(int number) { return ip((v6() ? "2001:db8:2::" : "10.0.2.") + std::to_string(number)); }

    /// The lab's state with affinity everywhere, changed.
    template <typename Change>
    static contract::ForwardingState state(Lab& lab, Change change, std::uint32_t timeout = kTimeout) {
        auto state = lab.web();
        for (auto& service : state.services) service.affinity_seconds = timeout;
        for (auto& set : state.backend_sets) change(set);
        return state;
    }
    static contract::ForwardingState plain(Lab& lab) {
        return state(lab, [](auto&) {});
    }
    static contract::ForwardingState without(Lab& lab, const IpAddress& gone) {
        return state(lab, [&](auto& set) {
            std::erase_if(set.backends, [&](const auto& backend) { return backend.address == gone; });
        });
    }
    static contract::ForwardingState draining(Lab& lab, const IpAddress& node) {
        return state(lab, [&](auto& set) {
            for (auto& backend : set.backends) {
                if (backend.address == node) backend.weight = 0;
            }
        });
    }
    /// Only that node takes new connections.
    static contract::ForwardingState only(Lab& lab, const IpAddress& node) {
        return state(lab, [&](auto& set) {
            for (auto& backend : set.backends) {
                if (backend.address != node && backend.address.family == node.family) backend.weight = 0;
            }
        });
    }
    /// The node that a new connection goes to; all zero: none.
    static IpAddress opened(Lab& lab, const std::string& from, std::uint16_t port, std::uint32_t worker = 0) {
        const Frame out = lab.pass(kClientPort, syn(from, port), worker);
        return out.empty() ? IpAddress{} : parsed(out).destination();
    }
    static contract::ExplainAnswer explained(Lab& lab, const std::string& from, std::uint16_t port,
                                             std::uint32_t workers = 1) {
        return explain(lab.state(), flow::Ownership(workers),
                       {contract::Protocol::tcp, ip(from), port, ip(v6() ? kVipV6 : kVip), 80}, {},
                       {lab.affinity(), static_cast<std::uint32_t>(lab.now_ms / 1000)});
    }
    /// Where a client would go of whom nothing is remembered.
    static IpAddress by_maglev(Lab& lab, const std::string& from) {
        const auto answer = explain(lab.state(), flow::Ownership(1),
                                    {contract::Protocol::tcp, ip(from), 1, ip(v6() ? kVipV6 : kVip), 80});
        return ip(answer.backend_address);
    }
    static bool says(const contract::ExplainAnswer& answer, const std::string& text) {
        for (const auto& step : answer.steps) {
            if (step.find(text) != std::string::npos) return true;
        }
        return false;
    }
};
INSTANTIATE_TEST_SUITE_P(BothFamilies, WorkerAffinity, ::testing::Bool(),
                         [](const auto& about) { return about.param ? "IPv6" : "IPv4"; });

TEST_P(WorkerAffinity, AClientStaysWhateverElseBecomesOfTheSet) {
    // Why: rule 13; with Maglev alone those would move whose slot changes hands.
    Lab lab;
    std::uint16_t port = 1000;
    unsigned would_have_moved = 0;
    for (int i = 20; i < 40; ++i) {
        lab.apply(plain(lab));
        const IpAddress first = opened(lab, client(i), ++port);
        // First only one other node is left beside the client's, then it has a new one with a hundred times the weight.
        const IpAddress other = first == node(11) ? node(12) : node(11);
        lab.apply(without(lab, other));
        EXPECT_EQ(opened(lab, client(i), ++port), first) << i;
        lab.apply(state(lab, [&](auto& set) {
            for (auto& backend : set.backends) backend.weight = backend.address == first ? 1 : 100;
        }));
        would_have_moved += by_maglev(lab, client(i)) != first;
        EXPECT_EQ(opened(lab, client(i), ++port), first) << i;
    }
    EXPECT_EQ(lab.totals().affinity_remembered.read(), 40U);
    EXPECT_EQ(lab.totals().affinity_moved.read(), 0U);
    EXPECT_GT(would_have_moved, 10U) << "the change was none";
    EXPECT_EQ(lab.dropped(), 0U);
}

TEST_P(WorkerAffinity, WhoseBackendDrainsMovesAndStaysMovedWhenItIsBack) {
    // Why: rule 13 with rule 9: a node whose check fails has weight 0; whoever had to move is not moved twice.
    Lab lab;
    lab.apply(plain(lab));
    const IpAddress first = opened(lab, client(20), 1000);
    lab.apply(draining(lab, first));
    const IpAddress second = opened(lab, client(20), 1001);
    EXPECT_NE(second, first);
    EXPECT_EQ(lab.totals().affinity_moved.read(), 1U);
    lab.apply(plain(lab));
    for (std::uint16_t port = 1002; port < 1010; ++port) EXPECT_EQ(opened(lab, client(20), port), second);
    EXPECT_EQ(lab.totals().affinity_moved.read(), 1U);
}

TEST_P(WorkerAffinity, WhoseBackendLeftTheSetMovesAndStaysMovedWhenItIsBack) {
    Lab lab;
    lab.apply(plain(lab));
    const IpAddress first = opened(lab, client(20), 1000);
    lab.apply(without(lab, first));
    const IpAddress second = opened(lab, client(20), 1001);
    EXPECT_NE(second, first);
    lab.apply(plain(lab));
    EXPECT_EQ(opened(lab, client(20), 1002), second);
}

TEST_P(WorkerAffinity, ABackendWhoseTimeToDrainIsOverIsNotRememberedEither) {
    Lab lab;
    lab.apply(plain(lab));
    const IpAddress first = opened(lab, client(20), 1000);
    lab.apply(state(lab, [&](auto& set) {
        for (auto& backend : set.backends) {
            if (backend.address == first) {
                backend.weight = 0;
                backend.closed = true;
            }
        }
    }));
    EXPECT_NE(opened(lab, client(20), 1001), first);
}

TEST_P(WorkerAffinity, TheTimeCountsFromTheLastConnectionOpenedAndThenMaglevDecides) {
    // Why: as kube-proxy counts it; each connection begins the time anew.
    Lab lab;
    lab.apply(plain(lab));
    const IpAddress maglev = opened(lab, client(20), 1000);
    const IpAddress other = maglev == node(11) ? node(12) : node(11);
    lab.apply(only(lab, other));
    ASSERT_EQ(opened(lab, client(20), 1001), other);
    lab.apply(plain(lab));
    for (std::uint16_t port = 1002; port < 1006; ++port) {
        lab.now_ms += std::uint64_t{kTimeout} * 1000;
        EXPECT_EQ(opened(lab, client(20), port), other);
    }
    lab.now_ms += (kTimeout + 1) * std::uint64_t{1000};
    EXPECT_TRUE(says(explained(lab, client(20), 1006), "its time is over"));
    EXPECT_EQ(opened(lab, client(20), 1006), maglev);
}

TEST_P(WorkerAffinity, WhoIsOverIsForgotten) {
    Lab lab;
    lab.apply(plain(lab));
    for (int i = 20; i < 30; ++i) opened(lab, client(i), 1000);
    lab.wait_ms(10);
    EXPECT_EQ(lab.totals().affinity_clients.read(), 10U);
    EXPECT_EQ(lab.totals().affinity_capacity.read(), 64U);
    lab.now_ms += (kTimeout + 1) * std::uint64_t{1000};
    for (int i = 0; i < 1000 && lab.totals().affinity_clients.read() != 0; ++i) lab.wait_ms(100);
    EXPECT_EQ(lab.totals().affinity_clients.read(), 0U);
    EXPECT_EQ(lab.totals().affinity_timed_out.read(), 10U);
}

TEST_P(WorkerAffinity, WorkersShareWhatTheyRemember) {
    // Why: a client's connections come to all workers; each writes what it opened, each reads what all wrote.
    Lab lab(with_workers(2));
    lab.apply(plain(lab));
    const IpAddress maglev = opened(lab, client(20), 1000);
    const IpAddress other = maglev == node(11) ? node(12) : node(11);
    lab.apply(only(lab, other));
    ASSERT_EQ(opened(lab, client(20), 1001), other);
    lab.apply(plain(lab));
    std::uint64_t by_worker[2] = {};
    for (std::uint16_t port = 1002; port < 1040; ++port) {
        const auto answer = explained(lab, client(20), port, 2);
        EXPECT_EQ(answer.backend_address, other.to_string());
        EXPECT_TRUE(says(answer, "remembered since 0 s"));
        EXPECT_EQ(opened(lab, client(20), port, port % 2), other) << port;
        ++by_worker[answer.worker];
    }
    EXPECT_GT(by_worker[0], 0U);
    EXPECT_GT(by_worker[1], 0U);
    EXPECT_GT(lab.totals(0).affinity_remembered.read(), 0U);
    EXPECT_GT(lab.totals(1).affinity_remembered.read(), 0U);
}

TEST_P(WorkerAffinity, ClientsSeenForTheFirstTimeGoTheSameWayAtBothWorkers) {
    // Why: nothing is remembered, and the two workers do not wait for each other.
    Lab lab(with_workers(2));
    lab.apply(plain(lab));
    for (int i = 20; i < 30; ++i) {
        for (std::uint16_t port = 1000; port < 1006; ++port) lab.inject(kClientPort, syn(client(i), port), port % 2);
        for (int round = 0; round < 3; ++round) lab.poll_all();
        const auto out = lab.sent(kNodePort);
        ASSERT_EQ(out.size(), 6U);
        for (const Frame& frame : out) EXPECT_EQ(parsed(frame).destination(), parsed(out[0]).destination());
    }
}

TEST_P(WorkerAffinity, ExplainGivesThePacketsAnswer) {
    Lab lab;
    lab.apply(plain(lab));
    auto before = explained(lab, client(20), 1000);
    EXPECT_TRUE(says(before, "nothing remembered: Maglev over the client"));
    const IpAddress maglev = opened(lab, client(20), 1000);
    EXPECT_EQ(before.backend_address, maglev.to_string());
    lab.now_ms += 30'000;
    EXPECT_TRUE(says(explained(lab, client(20), 1001), "remembered since 30 s"));
    lab.apply(draining(lab, maglev));
    const auto moved = explained(lab, client(20), 1002);
    EXPECT_TRUE(says(moved, "takes no new connections any more"));
    EXPECT_EQ(opened(lab, client(20), 1002).to_string(), moved.backend_address);
    lab.apply(plain(lab));
    const auto after = explained(lab, client(20), 1003);
    EXPECT_EQ(after.backend_address, moved.backend_address);
    EXPECT_EQ(opened(lab, client(20), 1003).to_string(), after.backend_address);
}

TEST_P(WorkerAffinity, ServicesOfOneClientAreRememberedApart) {
    Lab lab;
    lab.apply(plain(lab));
    const IpAddress maglev = opened(lab, client(20), 1000);
    const IpAddress other = maglev == node(11) ? node(12) : node(11);
    lab.apply(only(lab, other));
    const Frame datagram = PacketBuilder().ip(client(20), v6() ? kVipV6 : kVip).udp(1000, 53).payload(9).build();
    EXPECT_EQ(parsed(lab.pass(kClientPort, datagram)).destination(), other);
    lab.apply(plain(lab));
    EXPECT_EQ(opened(lab, client(20), 1001), maglev) << "TCP: what it went to before UDP moved";
}

TEST_P(WorkerAffinity, WithoutAffinityNothingIsRemembered) {
    Lab lab;
    lab.apply(lab.web());
    for (std::uint16_t port = 1000; port < 1010; ++port) opened(lab, client(20), port);
    lab.wait_ms(10);
    EXPECT_EQ(lab.totals().affinity_clients.read(), 0U);
    EXPECT_EQ(lab.totals().affinity_remembered.read(), 0U);
}

TEST_P(WorkerAffinity, SwitchedOnAtRunTimeItHoldsFromTheNextConnection) {
    // Why: rule 13, "switchable at run time".
    Lab lab;
    lab.apply(lab.web());
    opened(lab, client(20), 1000);
    lab.apply(plain(lab));
    const IpAddress first = opened(lab, client(20), 1001);
    for (std::uint16_t port = 1002; port < 1010; ++port) EXPECT_EQ(opened(lab, client(20), port), first);
}

TEST_P(WorkerAffinity, AfterARestartARememberedClientStaysAlsoWithAnotherNumberOfWorkers) {
    // Why: the memory outlives the process as connections do; slots of backends and services are others then.
    constexpr std::size_t kBytes = flow::AffinityTable::bytes_for(64);
    alignas(64) static std::array<std::array<std::byte, kBytes>, 2> memory;
    alignas(64) static std::array<std::byte, kBytes> of_one;
    memory = {};
    of_one = {};
    std::vector<flow::AffinityTable> tables(2);
    for (int i = 0; i < 2; ++i) tables[i].attach(memory[i], 5);
    IpAddress maglev;
    IpAddress other;
    {
        LabSettings settings = with_workers(2);
        settings.affinity = tables;
        Lab lab(settings);
        lab.apply(plain(lab));
        maglev = opened(lab, client(20), 1000);
        other = maglev == node(11) ? node(12) : node(11);
        lab.apply(only(lab, other));
        for (std::uint16_t port = 1001; port < 1009; ++port) ASSERT_EQ(opened(lab, client(20), port), other);
    }
    const auto expect_other = [&](LabSettings settings) {
        Lab lab(settings);
        auto next = plain(lab);
        for (auto& set : next.backend_sets) std::reverse(set.backends.begin(), set.backends.end());
        lab.apply(next);
        EXPECT_EQ(opened(lab, client(20), 2000), other);
        EXPECT_EQ(lab.totals().affinity_moved.read(), 0U);
    };
    std::vector<flow::AffinityTable> again(2);
    for (int i = 0; i < 2; ++i) {
        again[i].attach(memory[i], flow::AffinityTable::seed_in(memory[i]));
        EXPECT_EQ(again[i].restore(6).damaged, 0U);
    }
    LabSettings same = with_workers(2);
    same.affinity = again;
    expect_other(same);
    std::vector<flow::AffinityTable> fewer(1);
    fewer[0].attach(of_one, 6);
    for (int i = 0; i < 2; ++i) fewer[0].take_from(memory[i], 6);
    EXPECT_EQ(fewer[0].size(), 1U);
    LabSettings one = with_workers(1);
    one.affinity = fewer;
    expect_other(one);
}

}  // namespace
}  // namespace guideway::worker::testing
