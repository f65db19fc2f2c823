// Backends that go: UDP is decided anew (Kubernetes rule 16), TCP and SCTP go on to their end, or to the drain's deadline.
#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerDrain : public ::testing::TestWithParam<bool> {
  protected:
    WorkerDrain() { lab_.apply(lab_.web()); }

    static bool v6() { return GetParam(); }
    static Frame tcp_packet(std::uint8_t flags) {
        return PacketBuilder().ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip).tcp(40000, 80, flags).build();
    }
    static Frame datagram() {
        return PacketBuilder().ip(v6() ? kClientV6 : kClient, v6() ? kVipV6 : kVip).udp(40000, 53).payload(9).build();
    }
    static IpAddress node_of(const Frame& out) { return out.empty() ? IpAddress{} : parsed(out).destination(); }
    Frame open_tcp() {
        const Frame syn = lab_.pass(kClientPort, tcp_packet(tcp::kSyn));
        EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(syn)).empty());
        for (int i = 0; i < 2; ++i) EXPECT_FALSE(lab_.pass(kClientPort, tcp_packet(tcp::kAck)).empty());
        return syn;
    }
    /// Asked and answered, until it goes the plain way.
    Frame converse() {
        const Frame query = lab_.pass(kClientPort, datagram());
        for (int i = 0; i < 2; ++i) {
            EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(query)).empty());
            EXPECT_FALSE(lab_.pass(kClientPort, datagram()).empty());
        }
        return query;
    }
    template <typename Change>
    contract::ForwardingState with(const IpAddress& node, Change change) const {
        auto state = lab_.web();
        for (auto& set : state.backend_sets) {
            for (auto& backend : set.backends) {
                if (backend.address == node) change(backend);
            }
        }
        return state;
    }
    contract::ForwardingState draining(const IpAddress& node) const {
        return with(node, [](auto& backend) { backend.weight = 0; });
    }
    contract::ForwardingState closing(const IpAddress& node) const {
        return with(node, [](auto& backend) {
            backend.weight = 0;
            backend.closed = true;
        });
    }
    /// The node stays in the state, but in a set that no service of the client's uses.
    contract::ForwardingState in_another_set(const IpAddress& node) const {
        auto state = lab_.web();
        contract::BackendSet other{"others", node.family, {}};
        for (auto& set : state.backend_sets) {
            std::erase_if(set.backends, [&](const auto& backend) {
                if (backend.address != node) return false;
                other.backends.push_back(backend);
                return true;
            });
        }
        state.backend_sets.push_back(other);
        return state;
    }
    void seconds_go_by(std::uint64_t seconds) { lab_.now_ms += seconds * 1000; }

    Lab lab_;
};
INSTANTIATE_TEST_SUITE_P(BothFamilies, WorkerDrain, ::testing::Bool(),
                         [](const auto& about) { return about.param ? "IPv6" : "IPv4"; });

TEST_P(WorkerDrain, UdpWhoseBackendLeftItsServicesSetIsDecidedAnew) {
    // Why: rule 16; with policy Local the pod moved, and its old node is still a backend of other services.
    const Frame query = converse();
    lab_.apply(in_another_set(node_of(query)));
    EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(query)).empty()) << "what was under way still arrives";
    const Frame next = lab_.pass(kClientPort, datagram());
    ASSERT_FALSE(next.empty());
    EXPECT_NE(node_of(next), node_of(query));
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_EQ(lab_.totals().udp_redecided.read(), 1U);
}

TEST_P(WorkerDrain, TcpWhoseBackendLeftItsServicesSetGoesOn) {
    const Frame syn = open_tcp();
    lab_.apply(in_another_set(node_of(syn)));
    EXPECT_EQ(node_of(lab_.pass(kClientPort, tcp_packet(tcp::kAck))), node_of(syn));
    EXPECT_FALSE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty());
    EXPECT_EQ(lab_.dropped(), 0U);
}

TEST_P(WorkerDrain, UdpStaysWithADrainingBackendThatAnswers) {
    // Why: draining ends nothing that works. Also where the client asks less often than the silence that is allowed.
    const Frame query = converse();
    lab_.apply(draining(node_of(query)));
    for (int i = 0; i < 10; ++i) {
        seconds_go_by(7);
        ASSERT_EQ(node_of(lab_.pass(kClientPort, datagram())), node_of(query)) << i;
        ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(query)).empty());
    }
    EXPECT_EQ(lab_.totals().udp_redecided.read(), 0U);
}

TEST_P(WorkerDrain, UdpOfADrainingBackendThatIsSilentIsDecidedAnewInSeconds) {
    // Why: rule 16, "its own packets never keep a dead decision alive": the client sends each second, from one port.
    const Frame query = converse();
    lab_.apply(draining(node_of(query)));
    int second = 0;
    for (; second < 20; ++second) {
        if (node_of(lab_.pass(kClientPort, datagram())) != node_of(query)) break;
        seconds_go_by(1);
    }
    EXPECT_GE(second, 4);
    EXPECT_LE(second, 6);
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_EQ(lab_.totals().udp_redecided.read(), 1U);
}

TEST_P(WorkerDrain, ABackendThatIsBackInTimeKeepsItsUdp) {
    // Why: a health check that failed for a moment is no reason to move anybody, nor is what was unanswered then.
    const Frame query = converse();
    lab_.apply(draining(node_of(query)));
    EXPECT_EQ(node_of(lab_.pass(kClientPort, datagram())), node_of(query));
    seconds_go_by(3);
    lab_.apply(lab_.web());
    EXPECT_EQ(node_of(lab_.pass(kClientPort, datagram())), node_of(query));
    seconds_go_by(60);
    lab_.apply(draining(node_of(query)));
    EXPECT_EQ(node_of(lab_.pass(kClientPort, datagram())), node_of(query));
    EXPECT_EQ(lab_.totals().udp_redecided.read(), 0U);
}

TEST_P(WorkerDrain, AUdpClientThatSendsBeforeThereIsABackendIsServedWhenThereIsOne) {
    // Why: rule 16; no entry may be made of a decision for nobody.
    auto state = lab_.web();
    for (auto& set : state.backend_sets) set.backends.clear();
    lab_.apply(state);
    for (int i = 0; i < 5; ++i) lab_.pass(kClientPort, datagram());
    EXPECT_EQ(lab_.connections(), 0U);
    lab_.apply(lab_.web());
    lab_.sent(kClientPort);
    EXPECT_FALSE(lab_.pass(kClientPort, datagram()).empty());
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_P(WorkerDrain, UdpWithoutAnyBackendLeftIsRefusedNotKept) {
    const Frame query = converse();
    auto state = lab_.web();
    for (auto& set : state.backend_sets) set.backends.clear();
    lab_.apply(state);
    lab_.pass(kClientPort, datagram());
    EXPECT_EQ(lab_.connections(), 0U);
    EXPECT_EQ(lab_.dropped(DropReason::refused), 1U);
}

TEST_P(WorkerDrain, TcpOfADrainingBackendIsNeverMoved) {
    const Frame syn = open_tcp();
    lab_.apply(draining(node_of(syn)));
    for (int i = 0; i < 20; ++i) {
        seconds_go_by(10);
        ASSERT_EQ(node_of(lab_.pass(kClientPort, tcp_packet(tcp::kAck))), node_of(syn));
    }
}

TEST_P(WorkerDrain, AfterTheDeadlineTheClientIsToldByReset) {
    // Why: the drain's deadline; a client that is told opens another connection at once.
    const Frame syn = open_tcp();
    lab_.apply(closing(node_of(syn)));
    const Frame answer = lab_.pass(kClientPort, tcp_packet(tcp::kAck));
    ASSERT_FALSE(answer.empty());
    EXPECT_EQ(parsed(answer).tcp_flags & tcp::kRst, tcp::kRst);
    EXPECT_EQ(lab_.connections(), 0U);
    EXPECT_EQ(lab_.totals().ended_closed.read(), 1U);
    EXPECT_TRUE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty());
    EXPECT_EQ(lab_.dropped(DropReason::reply_unknown), 1U);
    const Frame again = lab_.pass(kClientPort, tcp_packet(tcp::kSyn));
    ASSERT_FALSE(again.empty());
    EXPECT_NE(node_of(again), node_of(syn));
}

TEST_P(WorkerDrain, AfterTheDeadlineRepliesEndTheConnectionTooAndUdpGoesElsewhere) {
    const Frame syn = open_tcp();
    const Frame query = converse();
    lab_.apply(closing(node_of(syn)));
    EXPECT_TRUE(lab_.pass(kNodePort, lab_.reply_to(syn, tcp::kAck)).empty());
    EXPECT_EQ(parsed(lab_.pass(kClientPort, tcp_packet(tcp::kAck))).tcp_flags & tcp::kRst, tcp::kRst);
    lab_.apply(closing(node_of(query)));
    const Frame next = lab_.pass(kClientPort, datagram());
    ASSERT_FALSE(next.empty());
    EXPECT_NE(node_of(next), node_of(query));
}

TEST_P(WorkerDrain, AfterTheDeadlineSilentConnectionsAreForgottenToo) {
    const Frame syn = open_tcp();
    lab_.apply(closing(node_of(syn)));
    for (int i = 0; i < 500 && lab_.connections() != 0; ++i) lab_.wait_ms(100);
    EXPECT_EQ(lab_.connections(), 0U);
    EXPECT_EQ(lab_.totals().ended_closed.read(), 1U);
}

TEST_P(WorkerDrain, ClosedInOneSetIsNotClosedInAnother) {
    // Why: a set of policy Local may drain a node that others go on using.
    const Frame syn = open_tcp();
    auto state = closing(node_of(syn));
    for (auto& set : lab_.web().backend_sets) {
        auto copy = set;
        copy.name += "-own";
        state.backend_sets.push_back(copy);
    }
    for (auto& service : state.services) service.backend_set += "-own";
    lab_.apply(state);
    EXPECT_EQ(node_of(lab_.pass(kClientPort, tcp_packet(tcp::kAck))), node_of(syn));
}

}  // namespace
}  // namespace guideway::worker::testing
