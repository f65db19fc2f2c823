// Connections and packets that wait for somebody who does not answer.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

class WorkerWaiting : public ::testing::Test {
  protected:
    WorkerWaiting() { lab_.apply(lab_.web()); }

    static Frame syn(std::uint16_t port) { return PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kSyn).build(); }
    static IpAddress node_of(const Frame& out) { return parsed(out).destination(); }
    contract::ForwardingState without(const IpAddress& gone) const {
        auto state = lab_.web();
        std::erase_if(state.backend_sets[0].backends, [&](const auto& backend) { return backend.address == gone; });
        return state;
    }

    Lab lab_;
};

TEST_F(WorkerWaiting, ASynRepeatedAfterItsNodeLeftGoesToAnother) {
    // Why: nothing is established yet; the dead node would eat every repetition until the client gives up.
    const Frame first = lab_.pass(kClientPort, syn(40000));
    ASSERT_FALSE(first.empty());
    lab_.apply(without(node_of(first)));
    const Frame second = lab_.pass(kClientPort, syn(40000));
    ASSERT_FALSE(second.empty());
    EXPECT_NE(node_of(second), node_of(first));
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_F(WorkerWaiting, ASynRepeatedWhileItsNodeStaysGoesThereAgain) {
    const Frame first = lab_.pass(kClientPort, syn(40000));
    auto state = lab_.web();
    ++state.generation;
    lab_.apply(state);
    const Frame second = lab_.pass(kClientPort, syn(40000));
    EXPECT_EQ(node_of(second), node_of(first));
    EXPECT_EQ(parsed(second).v4.source_port, parsed(first).v4.source_port);
}

TEST_F(WorkerWaiting, ASynOnAConnectionThatItsNodeAnsweredStays) {
    // Why: the node knows the connection; it answers the SYN as RFC 9293 wants.
    const Frame first = lab_.pass(kClientPort, syn(40000));
    ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(first)).empty());
    lab_.apply(without(node_of(first)));
    EXPECT_EQ(node_of(lab_.pass(kClientPort, syn(40000))), node_of(first));
}

TEST_F(WorkerWaiting, ASilentNodesPacketsLeaveRoomForAnothersFirst) {
    // Why: a node that is off must not keep a new one from its first packets.
    const IpAddress silent = node_of(lab_.pass(kClientPort, syn(1)));
    const IpAddress fresh = silent == ip("10.0.2.11") ? ip("10.0.2.12") : ip("10.0.2.11");
    lab_.forget_neighbour(kNodePort, silent.to_string());
    lab_.publish_routing();
    for (std::uint16_t port = 2; port < 1500; ++port) lab_.pass(kClientPort, syn(port));
    const auto refused = lab_.dropped(DropReason::neighbour_queue_full);
    EXPECT_GT(refused, 0U);

    lab_.forget_neighbour(kNodePort, fresh.to_string());
    lab_.publish_routing();
    const auto waiting = lab_.totals().pending.read();
    for (std::uint16_t port = 1500; port < 1530; ++port) lab_.pass(kClientPort, syn(port));
    EXPECT_GT(lab_.totals().pending.read(), waiting);
    lab_.learn_neighbour(kNodePort, fresh.to_string(), {0x02, 0, 0, 0, 0, 0x77});
    lab_.publish_routing();
    lab_.poll_all();
    const auto frames = lab_.sent(kNodePort);
    EXPECT_TRUE(std::ranges::any_of(frames, [&](const Frame& frame) { return node_of(frame) == fresh; }));
}

}  // namespace
}  // namespace guideway::worker::testing
