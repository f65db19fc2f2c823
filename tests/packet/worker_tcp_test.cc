// TCP's ends as a worker sees them: what is believed of FIN and RST, what each state is worth, and when a SYN begins anew.
#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"

namespace guideway::worker::testing {
namespace {

using observe::DropReason;
using namespace packet;

constexpr auto kFinAck = static_cast<std::uint8_t>(tcp::kFin | tcp::kAck);
constexpr auto kRstAck = static_cast<std::uint8_t>(tcp::kRst | tcp::kAck);
constexpr auto kSynAck = static_cast<std::uint8_t>(tcp::kSyn | tcp::kAck);
constexpr std::uint32_t kFarOff = 100'000'000;

class WorkerTcp : public ::testing::Test {
  protected:
    WorkerTcp() { lab_.apply(lab_.web()); }

    /// The connection's ends, each with the number it will send next.
    std::uint32_t client_next_ = 1'000'000;
    std::uint32_t backend_next_ = 5'000'000;
    Frame first_;  ///< the SYN as it left to the node

    Frame from_client(std::uint8_t flags, std::uint32_t sequence, std::size_t payload = 0) {
        return lab_.pass(kClientPort, PacketBuilder()
                                          .ip(kClient, kVip)
                                          .tcp(40000, 80, flags)
                                          .sequence(sequence, backend_next_)
                                          .payload(payload)
                                          .build());
    }
    Frame from_backend(std::uint8_t flags, std::uint32_t sequence, std::size_t payload = 0) {
        const ParsedPacket p = parsed(first_);
        return lab_.pass(kNodePort, PacketBuilder()
                                        .ethernet(kPortMac1, {2, 0, 0, 0, 1, 11})
                                        .ip(p.destination().to_string(), p.source().to_string())
                                        .tcp(30080, swap_if_little(p.v4.source_port), flags)
                                        .sequence(sequence, client_next_)
                                        .payload(payload)
                                        .build());
    }
    void open() {
        first_ = from_client(tcp::kSyn, client_next_++);
        ASSERT_FALSE(first_.empty());
    }
    void establish() {
        open();
        ASSERT_FALSE(from_backend(kSynAck, backend_next_++).empty());
        ASSERT_FALSE(from_client(tcp::kAck, client_next_).empty());
    }
    /// Both sides close; the connection is in TIME_WAIT.
    void close() {
        ASSERT_FALSE(from_client(kFinAck, client_next_++).empty());
        ASSERT_FALSE(from_backend(kFinAck, backend_next_++).empty());
        ASSERT_FALSE(from_client(tcp::kAck, client_next_).empty());
    }
    void idle_for(std::uint64_t seconds) {
        lab_.now_ms += seconds * 1000;
        lab_.wait_ms(4500);  // more than a round of the ageing sweep
    }
    /// Not before `seconds` without packets, but soon after.
    void expect_to_end_after(std::uint64_t seconds) {
        idle_for(seconds - 6);
        EXPECT_EQ(lab_.connections(), 1U) << "ended early";
        idle_for(10);
        EXPECT_EQ(lab_.connections(), 0U) << "stays too long";
    }
    std::uint64_t doubtful() const { return lab_.totals().doubtful_ends.read(); }
    static IpAddress node_of(const Frame& out) { return parsed(out).destination(); }
    contract::ForwardingState without(const IpAddress& gone) const {
        auto state = lab_.web();
        std::erase_if(state.backend_sets[0].backends, [&](const auto& backend) { return backend.address == gone; });
        return state;
    }

    Lab lab_;
};

TEST_F(WorkerTcp, ABlindRstIsPassedOnButDoesNotShortenAnIdleConnectionsLife) {
    // Why: RFC 5961; who sees nothing of the connection must not be able to end it here. The ends judge for themselves.
    establish();
    EXPECT_FALSE(from_client(tcp::kRst, client_next_ + kFarOff).empty());
    EXPECT_FALSE(from_client(kRstAck, client_next_ - kFarOff).empty());
    EXPECT_FALSE(from_backend(tcp::kRst, backend_next_ + kFarOff).empty());
    EXPECT_EQ(doubtful(), 3U);
    idle_for(1000);
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_FALSE(from_client(tcp::kAck, client_next_, 10).empty());
}

TEST_F(WorkerTcp, DataInTheBlindDoesNotMakeRoomForARst) {
    // Why: else two packets would do what one must not: data far off to say where the side is, a RST to end it there.
    establish();
    EXPECT_FALSE(from_client(tcp::kAck, client_next_ + kFarOff, 10).empty()) << "passed on";
    EXPECT_FALSE(from_client(tcp::kRst, client_next_ + kFarOff + 10).empty());
    EXPECT_EQ(doubtful(), 1U);
    // What the backend acknowledges counts, so the real client's end is believed afterwards.
    EXPECT_FALSE(from_backend(tcp::kAck, backend_next_, 10).empty());
    EXPECT_FALSE(from_client(tcp::kRst, client_next_).empty());
    EXPECT_EQ(doubtful(), 1U);
    expect_to_end_after(10);
}

TEST_F(WorkerTcp, AfterAGapTheOtherSidesAcknowledgementTellsWhereASideIs) {
    // Why: what came between went by while nobody looked; the side must not be disbelieved for ever.
    establish();
    client_next_ += 5U << 20;
    EXPECT_FALSE(from_client(tcp::kAck, client_next_, 100).empty());
    client_next_ += 100;
    EXPECT_FALSE(from_backend(tcp::kAck, backend_next_).empty()) << "acknowledges all of it";
    EXPECT_FALSE(from_client(tcp::kRst, client_next_).empty());
    EXPECT_EQ(doubtful(), 0U);
    expect_to_end_after(10);
}

TEST_F(WorkerTcp, ARstAtTheRightNumberEndsTheConnectionSoon) {
    establish();
    EXPECT_FALSE(from_client(tcp::kRst, client_next_).empty());
    EXPECT_EQ(doubtful(), 0U);
    expect_to_end_after(10);
}

TEST_F(WorkerTcp, TheBackendsRstAtTheRightNumberEndsItToo) {
    establish();
    EXPECT_FALSE(from_backend(tcp::kRst, backend_next_).empty());
    expect_to_end_after(10);
}

TEST_F(WorkerTcp, ABlindFinIsPassedOnButDoesNotShortenAnIdleConnectionsLife) {
    establish();
    EXPECT_FALSE(from_client(kFinAck, client_next_ + kFarOff).empty());
    EXPECT_FALSE(from_backend(kFinAck, backend_next_ - kFarOff).empty());
    EXPECT_EQ(doubtful(), 2U);
    idle_for(1000);
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_F(WorkerTcp, AFinAtTheRightNumberClosesOneSide) {
    establish();
    EXPECT_FALSE(from_client(kFinAck, client_next_).empty());
    EXPECT_EQ(doubtful(), 0U);
    expect_to_end_after(120);
}

TEST_F(WorkerTcp, ABlindRstDoesNotEndAConnectionThatIsHalfClosed) {
    // Why: a download may go on for long after the client has said all it has to say.
    establish();
    EXPECT_FALSE(from_client(kFinAck, client_next_++).empty());
    EXPECT_FALSE(from_backend(tcp::kRst, backend_next_ + kFarOff).empty());
    EXPECT_EQ(doubtful(), 1U);
    idle_for(60);
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_FALSE(from_backend(tcp::kAck, backend_next_, 500).empty());
}

TEST_F(WorkerTcp, ARstThatItsSenderDidNotSendIsForgottenWhenItTalksOn) {
    // Why: even one guessed right must not cost an established connection more than it costs at the ends.
    establish();
    EXPECT_FALSE(from_client(tcp::kRst, client_next_).empty());
    EXPECT_FALSE(from_client(tcp::kAck, client_next_, 10).empty());
    idle_for(1000);
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_F(WorkerTcp, ARstInTimeWaitDoesNotCutItShort) {
    // Why: RFC 1337: late packets of the old connection would meet a new one on the same ports.
    establish();
    close();
    EXPECT_FALSE(from_client(tcp::kRst, client_next_).empty());
    EXPECT_FALSE(from_backend(tcp::kRst, backend_next_).empty());
    expect_to_end_after(60);
}

TEST_F(WorkerTcp, ANewSynInTimeWaitIsANewDecisionAtOnce) {
    establish();
    close();
    lab_.apply(without(node_of(first_)));
    EXPECT_EQ(node_of(from_client(tcp::kAck, client_next_)), node_of(first_)) << "late packets still go to the old one";
    const Frame again = from_client(tcp::kSyn, client_next_ + 70'000);
    ASSERT_FALSE(again.empty());
    EXPECT_NE(node_of(again), node_of(first_));
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_EQ(lab_.counters().services[0].new_connections, 2U);
    EXPECT_TRUE(from_backend(tcp::kAck, backend_next_).empty()) << "the old node's packets belong to nothing";
    EXPECT_EQ(lab_.dropped(DropReason::reply_unknown), 1U);
}

TEST_F(WorkerTcp, ANewSynInTimeWaitMayGoToTheSameBackend) {
    establish();
    close();
    const Frame again = from_client(tcp::kSyn, client_next_ + 70'000);
    ASSERT_FALSE(again.empty());
    EXPECT_EQ(node_of(again), node_of(first_)) << "the set is the same, and so is the hash";
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_EQ(lab_.counters().services[0].new_connections, 2U);
    expect_to_end_after(60);
}

TEST_F(WorkerTcp, ANewSynAfterARstIsANewDecisionAtOnce) {
    establish();
    EXPECT_FALSE(from_backend(tcp::kRst, backend_next_).empty());
    lab_.apply(without(node_of(first_)));
    const Frame again = from_client(tcp::kSyn, client_next_ + 70'000);
    ASSERT_FALSE(again.empty());
    EXPECT_NE(node_of(again), node_of(first_));
}

TEST_F(WorkerTcp, ASynOnAnEstablishedConnectionChangesNothing) {
    // Why: RFC 5961 section 4: the node answers it with a challenge ACK; a forged one must not move the connection.
    establish();
    lab_.apply(without(node_of(first_)));
    EXPECT_EQ(node_of(from_client(tcp::kSyn, client_next_ + 70'000)), node_of(first_));
    EXPECT_EQ(lab_.counters().services[0].new_connections, 1U);
    idle_for(1000);
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_F(WorkerTcp, ARefusedConnectionEndsSoonAndTheClientHearsOfIt) {
    // RFC 9293 section 3.10.7.1: RST and ACK, sequence 0.
    open();
    const Frame told = from_backend(kRstAck, 0);
    EXPECT_EQ(parsed(told).tcp_flags, kRstAck);
    EXPECT_EQ(lab_.counters().services[0].new_connections, 1U);
    expect_to_end_after(10);
}

TEST_F(WorkerTcp, AfterARefusalTheNextSynMayGoElsewhere) {
    open();
    EXPECT_FALSE(from_backend(kRstAck, 0).empty());
    lab_.apply(without(node_of(first_)));
    EXPECT_NE(node_of(from_client(tcp::kSyn, client_next_ + 70'000)), node_of(first_));
}

TEST_F(WorkerTcp, AClientThatGivesUpWhileHalfOpenIsBelieved) {
    // Why: nothing of value is lost, and the half-open part is small.
    open();
    EXPECT_FALSE(from_backend(kSynAck, backend_next_).empty());
    EXPECT_FALSE(from_client(tcp::kRst, client_next_).empty());
    EXPECT_EQ(doubtful(), 0U);
    expect_to_end_after(10);
}

TEST_F(WorkerTcp, AHandshakeThatIsNotFinishedEndsAfterAMinute) {
    open();
    EXPECT_FALSE(from_backend(kSynAck, backend_next_).empty());
    expect_to_end_after(60);
}

TEST_F(WorkerTcp, ALongTransferIsFollowedAcrossTheWrapOfItsNumbers) {
    // 6 GB in segments of 1400 bytes would take long: in strides that the worker may have missed.
    establish();
    const std::uint32_t begin = backend_next_;
    std::uint64_t sent = 0;
    while (sent < 6'000'000'000U) {
        ASSERT_FALSE(from_backend(tcp::kAck, backend_next_, 1400).empty());
        backend_next_ += 150'000;
        sent += 150'000;
    }
    EXPECT_GT(sent, 1ULL << 32);
    EXPECT_FALSE(from_backend(tcp::kRst, begin + 1'000'000).empty());
    EXPECT_EQ(doubtful(), 1U) << "where it was right an hour ago it is not now";
    EXPECT_FALSE(from_backend(tcp::kRst, backend_next_).empty());
    EXPECT_EQ(doubtful(), 1U);
    expect_to_end_after(10);
}

TEST_F(WorkerTcp, EverySegmentAcrossTheWrapCounts) {
    client_next_ = 0xffffffffU - 100'000;
    establish();
    for (int i = 0; i < 300; ++i) {
        ASSERT_FALSE(from_client(tcp::kAck, client_next_, 1000).empty());
        client_next_ += 1000;
    }
    EXPECT_LT(client_next_, 0x80000000U) << "it has wrapped";
    EXPECT_FALSE(from_client(kFinAck, client_next_).empty());
    EXPECT_EQ(doubtful(), 0U);
    expect_to_end_after(120);
}

TEST_F(WorkerTcp, OldSegmentsDoNotMoveTheNumbersBack) {
    establish();
    for (int i = 0; i < 200; ++i) {
        ASSERT_FALSE(from_client(tcp::kAck, client_next_, 1400).empty());
        client_next_ += 1400;
    }
    EXPECT_FALSE(from_client(tcp::kAck, client_next_ - 250'000, 1400).empty());  // sent again
    EXPECT_FALSE(from_client(tcp::kRst, client_next_ - 250'000).empty());
    EXPECT_EQ(doubtful(), 1U);
    EXPECT_FALSE(from_client(kFinAck, client_next_).empty());
    EXPECT_EQ(doubtful(), 1U);
}

TEST_F(WorkerTcp, AnEstablishedConnectionMayBeIdleForTwoHoursAndFourMinutes) {
    // RFC 5382 REQ-5.
    establish();
    idle_for(7430);
    ASSERT_FALSE(from_client(tcp::kAck, client_next_, 1).empty());
    expect_to_end_after(7440);
}

TEST_F(WorkerTcp, AServicesIdleTimeTakesEffectOnConnectionsThatAreThere) {
    establish();
    idle_for(500);
    auto state = lab_.web();
    state.services[0].idle_timeout_seconds = 600;
    lab_.apply(state);
    idle_for(60);
    EXPECT_EQ(lab_.connections(), 1U);
    idle_for(60);
    EXPECT_EQ(lab_.connections(), 0U) << "idle for 600 s, of which 500 before the change";
}

TEST_F(WorkerTcp, ALongerIdleTimeSavesConnectionsThatAreThere) {
    auto state = lab_.web();
    state.services[0].idle_timeout_seconds = 100;
    lab_.apply(state);
    establish();
    idle_for(80);
    state.services[0].idle_timeout_seconds = 0;
    lab_.apply(state);
    idle_for(1000);
    EXPECT_EQ(lab_.connections(), 1U);
}

TEST_F(WorkerTcp, AServicesIdleTimeDoesNotKeepWhatIsNotEstablished) {
    auto state = lab_.web();
    state.services[0].idle_timeout_seconds = 5000;
    lab_.apply(state);
    open();
    expect_to_end_after(60);
}

TEST_F(WorkerTcp, UdpOfABackendThatLeftIsDecidedAnewBothBeforeAndAfterItsAnswer) {
    for (const bool answered : {false, true}) {
        lab_.apply(lab_.web());
        const std::uint16_t port = answered ? 7001 : 7000;
        const Frame datagram = PacketBuilder().ip(kClient, kVip).udp(port, 53).payload(10).build();
        const Frame first = lab_.pass(kClientPort, datagram);
        ASSERT_FALSE(first.empty());
        if (answered) {
            ASSERT_FALSE(lab_.pass(kNodePort, lab_.reply_to(first)).empty());
            ASSERT_FALSE(lab_.pass(kClientPort, datagram).empty());  // by the short way from here on
        }
        lab_.apply(without(node_of(first)));
        const Frame second = lab_.pass(kClientPort, datagram);
        ASSERT_FALSE(second.empty());
        EXPECT_NE(node_of(second), node_of(first)) << answered;
        EXPECT_EQ(node_of(lab_.pass(kClientPort, datagram)), node_of(second)) << "and stays there";
        EXPECT_TRUE(lab_.pass(kNodePort, lab_.reply_to(first)).empty());
    }
    EXPECT_EQ(lab_.connections(), 2U);
}

TEST_F(WorkerTcp, TheClocksJumpEndsWhatIsOverAndNothingElse) {
    // Why: a machine that was suspended wakes up with all its time-outs due at once.
    establish();
    for (std::uint16_t port = 1; port <= 50; ++port) {
        lab_.pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(port, 80, tcp::kSyn).build());
    }
    EXPECT_EQ(lab_.connections(), 51U);
    idle_for(7400);
    EXPECT_EQ(lab_.connections(), 1U);
    EXPECT_FALSE(from_client(tcp::kAck, client_next_, 10).empty());
}

}  // namespace
}  // namespace guideway::worker::testing
