#include "dataplane/flow/tcp_state.h"

#include <vector>

#include <gtest/gtest.h>

namespace guideway::flow {
namespace {

using enum ConnectionState;
using namespace tcp_flag;

struct Seen {
    unsigned half;
    std::uint8_t flags;
    ConnectionState then;
};

Progress walk(Progress progress, const std::vector<Seen>& packets) {
    int number = 0;
    for (const Seen& seen : packets) {
        progress = tcp_advance(progress, seen.half, seen.flags);
        EXPECT_EQ(progress.state, seen.then) << "packet " << number;
        ++number;
    }
    return progress;
}

constexpr Progress kOpening{tcp_opening, 0};
constexpr Progress kEstablished{tcp_established, 0};

TEST(TcpState, ThreeWayHandshakeEstablishes) {
    walk(kOpening, {{kClientHalf, kSyn, tcp_opening},
                    {kBackendHalf, kSyn | kAck, tcp_answered},
                    {kClientHalf, kAck, tcp_established},
                    {kBackendHalf, kAck, tcp_established}});
}

TEST(TcpState, AClientAloneCannotEstablish) {
    walk(kOpening,
         {{kClientHalf, kAck, tcp_opening}, {kClientHalf, kSyn | kAck, tcp_opening}, {kClientHalf, kAck, tcp_opening}});
}

TEST(TcpState, RepeatedSynAckDoesNotEstablish) {
    walk(kOpening, {{kBackendHalf, kSyn | kAck, tcp_answered},
                    {kBackendHalf, kSyn | kAck, tcp_answered},
                    {kClientHalf, kSyn, tcp_answered}});
}

TEST(TcpState, FinOfEachSideEndsInTimeWait) {
    const Progress end = walk(kEstablished, {{kClientHalf, kFin | kAck, tcp_closing},
                                             {kBackendHalf, kAck, tcp_closing},
                                             {kBackendHalf, kFin | kAck, tcp_time_wait},
                                             {kClientHalf, kAck, tcp_time_wait}});
    EXPECT_EQ(end.flags, flow_flags::kClientFin | flow_flags::kBackendFin);
}

TEST(TcpState, RepeatedFinOfOneSideIsStillHalfClosed) {
    walk(kEstablished, {{kBackendHalf, kFin | kAck, tcp_closing}, {kBackendHalf, kFin | kAck, tcp_closing}});
}

TEST(TcpState, ResetEndsEveryStateThatIsNotOver) {
    for (const ConnectionState state : {tcp_opening, tcp_answered, tcp_established, tcp_closing}) {
        EXPECT_EQ(tcp_advance({state, 0}, kClientHalf, kRst).state, tcp_reset);
        EXPECT_EQ(tcp_advance({state, 0}, kBackendHalf, kRst | kAck).state, tcp_reset);
    }
}

TEST(TcpState, ALateResetDoesNotCutTimeWaitShort) {  // RFC 1337
    EXPECT_EQ(tcp_advance({tcp_time_wait, 0}, kClientHalf, kRst).state, tcp_time_wait);
    EXPECT_EQ(tcp_advance({tcp_time_wait, 0}, kBackendHalf, kRst | kAck).state, tcp_time_wait);
}

TEST(TcpState, AnEndIsBelievedOnlyNearTheSidesSequenceNumber) {
    for (const std::uint32_t tracked : {0U, 1000U, 0x7fffffffU, 0xffffff00U}) {
        EXPECT_TRUE(tcp_sequence_plausible(tracked, tracked));
        EXPECT_TRUE(tcp_sequence_plausible(tracked, tracked + kSequenceStep)) << "as far as the entry may be behind";
        EXPECT_TRUE(tcp_sequence_plausible(tracked, tracked - 65536)) << "a window back";
        EXPECT_TRUE(tcp_sequence_plausible(tracked, tracked + 256 * 1024)) << "after losses on the way here";
        EXPECT_FALSE(tcp_sequence_plausible(tracked, tracked - 65537));
        EXPECT_FALSE(tcp_sequence_plausible(tracked, tracked + 300 * 1024));
        EXPECT_FALSE(tcp_sequence_plausible(tracked, tracked + 0x80000000U));
    }
}

TEST(TcpState, OneInTwelveThousandSequenceNumbersIsPlausible) {
    std::uint32_t plausible = 0;
    constexpr std::uint32_t kStep = 4099;
    for (std::uint64_t sequence = 0; sequence < 1ULL << 32; sequence += kStep) {
        plausible += tcp_sequence_plausible(123456789, static_cast<std::uint32_t>(sequence)) ? 1 : 0;
    }
    EXPECT_LT(plausible, (1ULL << 32) / kStep / 12000);
}

TEST(TcpState, ForgedResetIsUndoneByTheSideItWasForgedFor) {
    walk(kEstablished,
         {{kClientHalf, kRst, tcp_reset}, {kBackendHalf, kAck, tcp_reset}, {kClientHalf, kAck, tcp_established}});
}

TEST(TcpState, ARealResetIsNotUndoneByThePeersPacketsOnTheWay) {
    walk(kEstablished,
         {{kBackendHalf, kRst, tcp_reset}, {kClientHalf, kAck, tcp_reset}, {kClientHalf, kAck, tcp_reset}});
}

TEST(TcpState, ResetOfBothSidesIsFinal) {
    walk(kEstablished, {{kBackendHalf, kRst, tcp_reset},
                        {kClientHalf, kRst, tcp_reset},
                        {kClientHalf, kAck, tcp_reset},
                        {kBackendHalf, kAck, tcp_reset}});
}

TEST(TcpState, ResetWhileClosingIsNotUndone) {
    walk(kEstablished,
         {{kClientHalf, kFin | kAck, tcp_closing}, {kClientHalf, kRst, tcp_reset}, {kClientHalf, kAck, tcp_reset}});
}

TEST(TcpState, OnlyAPureSynOpens) {
    EXPECT_TRUE(tcp_opens(kSyn));
    EXPECT_TRUE(tcp_opens(kSyn | 0xc0)) << "with ECN";
    for (const int flags : {0, kAck + 0, kSyn | kAck, kSyn | kFin, kSyn | kRst, kRst + 0, kFin | kAck}) {
        EXPECT_FALSE(tcp_opens(static_cast<std::uint8_t>(flags))) << flags;
    }
}

TEST(TcpState, ANewSynOpensAnewOnlyWhatIsOver) {
    EXPECT_TRUE(tcp_opens_anew(tcp_time_wait, kClientHalf, kSyn));
    EXPECT_TRUE(tcp_opens_anew(tcp_reset, kClientHalf, kSyn));
    EXPECT_FALSE(tcp_opens_anew(tcp_time_wait, kClientHalf, kAck));
    EXPECT_FALSE(tcp_opens_anew(tcp_time_wait, kBackendHalf, kSyn));
    for (const ConnectionState state : {tcp_opening, tcp_answered, tcp_established, tcp_closing}) {
        EXPECT_FALSE(tcp_opens_anew(state, kClientHalf, kSyn));
    }
}

TEST(UdpState, BothWaysOnceTheBackendAnswered) {
    EXPECT_EQ(udp_advance(udp_one_way, kClientHalf), udp_one_way);
    EXPECT_EQ(udp_advance(udp_one_way, kBackendHalf), udp_both_ways);
    EXPECT_EQ(udp_advance(udp_both_ways, kClientHalf), udp_both_ways);
}

TEST(SctpState, EstablishedByTheBackendsCookieAck) {
    EXPECT_TRUE(sctp_opens(sctp_chunk::kInit));
    EXPECT_FALSE(sctp_opens(sctp_chunk::kCookieEcho));
    EXPECT_EQ(sctp_advance(sctp_opening, kClientHalf, sctp_chunk::kCookieEcho), sctp_opening);
    EXPECT_EQ(sctp_advance(sctp_opening, kClientHalf, sctp_chunk::kCookieAck), sctp_opening);
    EXPECT_EQ(sctp_advance(sctp_opening, kBackendHalf, sctp_chunk::kCookieAck), sctp_established);
    EXPECT_EQ(sctp_advance(sctp_established, kClientHalf, 0), sctp_established) << "DATA";
}

TEST(SctpState, ShutdownAndAbortClose) {
    for (const std::uint8_t chunk :
         {sctp_chunk::kAbort, sctp_chunk::kShutdown, sctp_chunk::kShutdownAck, sctp_chunk::kShutdownComplete}) {
        EXPECT_EQ(sctp_advance(sctp_established, kClientHalf, chunk), sctp_closing);
    }
    EXPECT_TRUE(sctp_opens_anew(sctp_closing, kClientHalf, sctp_chunk::kInit));
    EXPECT_FALSE(sctp_opens_anew(sctp_established, kClientHalf, sctp_chunk::kInit));
    EXPECT_FALSE(sctp_opens_anew(sctp_closing, kBackendHalf, sctp_chunk::kInit));
}

TEST(IdleLimits, EachStateHasItsOwnTimeout) {
    Timeouts timeouts{1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    const IdleLimits limits(timeouts);
    EXPECT_EQ(limits.seconds(tcp_opening, 0), 1U);
    EXPECT_EQ(limits.seconds(tcp_answered, 0), 1U);
    EXPECT_EQ(limits.seconds(tcp_established, 0), 2U);
    EXPECT_EQ(limits.seconds(tcp_closing, 0), 3U);
    EXPECT_EQ(limits.seconds(tcp_time_wait, 0), 4U);
    EXPECT_EQ(limits.seconds(tcp_reset, 0), 5U);
    EXPECT_EQ(limits.seconds(udp_one_way, 0), 6U);
    EXPECT_EQ(limits.seconds(udp_both_ways, 0), 7U);
    EXPECT_EQ(limits.seconds(sctp_opening, 0), 8U);
    EXPECT_EQ(limits.seconds(sctp_established, 0), 9U);
    EXPECT_EQ(limits.seconds(sctp_closing, 0), 10U);
}

TEST(IdleLimits, AServicesTimeoutReplacesThatOfSteadyStatesOnly) {
    const IdleLimits limits{Timeouts{}};
    EXPECT_EQ(limits.seconds(tcp_established, 900), 900U);
    EXPECT_EQ(limits.seconds(udp_both_ways, 900), 900U);
    EXPECT_EQ(limits.seconds(sctp_established, 900), 900U);
    EXPECT_EQ(limits.seconds(tcp_opening, 900), 60U);
    EXPECT_EQ(limits.seconds(tcp_time_wait, 900), 60U);
    EXPECT_EQ(limits.seconds(udp_one_way, 900), 30U);
}

TEST(IdleLimits, EstablishedTcpIsKeptForTwoHoursAndFourMinutes) {
    EXPECT_GE(Timeouts{}.tcp_established, 2U * 3600 + 4 * 60) << "RFC 5382 REQ-5";
    EXPECT_GE(Timeouts{}.udp, 300U) << "RFC 4787 REQ-5";
}

TEST(IdleLimits, ExpiresAfterTheLimitAlsoAcrossTheClocksWrap) {
    EXPECT_FALSE(idle_longer_than(7590, 150, 7440));
    EXPECT_TRUE(idle_longer_than(7591, 150, 7440));
    EXPECT_FALSE(idle_longer_than(5, 0xfffffffaU, 11));
    EXPECT_TRUE(idle_longer_than(6, 0xfffffffaU, 11));
}

}  // namespace
}  // namespace guideway::flow
