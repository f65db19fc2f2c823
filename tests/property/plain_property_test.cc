// The shortcut of packet/plain.h against parse() and rewrite_v4()/rewrite_v6(): both take the same frames for plain, read the same
// from them and rewrite them to the same bytes. Frames stand in memory of exactly their size. Seeds are fixed: a failure repeats.
#include <algorithm>
#include <array>
#include <memory>
#include <random>
#include <utility>

#include <gtest/gtest.h>

#include "dataplane/packet/parse.h"
#include "dataplane/packet/plain.h"
#include "dataplane/packet/rewrite.h"
#include "tests/packet/packet_builder.h"

namespace guideway::packet::testing {
namespace {

using Random = std::mt19937_64;

std::size_t below(Random& random, std::size_t bound) { return static_cast<std::size_t>(random() % bound); }

/// Right next behind the frame begins what a sanitizer guards.
class Exact {
  public:
    explicit Exact(const Frame& frame)
        : size_(static_cast<std::uint32_t>(frame.size())), bytes_(new std::uint8_t[frame.size()]) {
        std::copy(frame.begin(), frame.end(), bytes_.get());
    }
    std::uint8_t* data() const { return bytes_.get(); }
    std::uint32_t size() const { return size_; }
    Frame frame() const { return {bytes_.get(), bytes_.get() + size_}; }

  private:
    std::uint32_t size_;
    std::unique_ptr<std::uint8_t[]> bytes_;
};

const FiveTupleV4& tuple_of(const ParsedPacket& parsed, const PlainV4& /*kind*/) { return parsed.v4; }
const FiveTupleV6& tuple_of(const ParsedPacket& parsed, const PlainV6& /*kind*/) { return parsed.v6; }
void rewrite(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV4& out, ChecksumDelta delta) {
    rewrite_v4(frame, parsed, out, delta);
}
void rewrite(std::uint8_t* frame, const ParsedPacket& parsed, const FiveTupleV6& out, ChecksumDelta delta) {
    rewrite_v6(frame, parsed, out, delta);
}

/// plain.h's definition of "plain", by what the parser found.
template <typename Tuple>
bool has_plain_shape(const Exact& frame, const ParsedPacket& parsed) {
    constexpr bool kV4 = sizeof(Tuple) == sizeof(FiveTupleV4);
    return parsed.kind == (kV4 ? PacketKind::ipv4_flow : PacketKind::ipv6_flow) &&
           (parsed.protocol == protocol::kTcp || parsed.protocol == protocol::kUdp) && parsed.l2_length == 14 &&
           parsed.l4_offset == kPlainL4<Tuple> && parsed.ttl > 1 && parsed.l3_length <= 0xffff &&
           std::equal(kOurMac.begin(), kOurMac.end(), frame.data());
}

/// Random, but often 0x0000 or 0xffff: where ones' complement has its corners.
std::uint16_t corner_word(Random& random) {
    switch (below(random, 6)) {
        case 0:
            return 0x0000;
        case 1:
            return 0xffff;
        default:
            return static_cast<std::uint16_t>(random());
    }
}

template <typename Tuple>
Tuple random_tuple(Random& random, std::uint8_t protocol) {
    Tuple tuple{};
    auto* bytes = reinterpret_cast<std::uint8_t*>(&tuple);
    for (std::size_t i = 0; i < 2 * sizeof tuple.source + 4; i += 2) store_raw16(bytes + i, corner_word(random));
    tuple.protocol = protocol;
    return tuple;
}

/// Both ways of rewriting `frame`, which is plain.
template <typename Tuple>
void expect_same_rewriting(const Exact& frame, const ParsedPacket& parsed, const Tuple& other, ChecksumDelta delta) {
    const Exact shortcut(frame.frame());
    const Exact general(frame.frame());
    rewrite_plain(shortcut.data(), other, delta);
    rewrite(general.data(), parsed, swapped(other), delta);
    ASSERT_EQ(shortcut.frame(), general.frame()) << describe(frame.frame());
}

struct Seen {
    int plain = 0;
    int other = 0;
};

template <typename Tuple>
void compare(const Exact& frame, bool verified, Random& random, Seen& seen) {
    ParseOptions options;
    options.ipv4_checksum_verified = verified;
    const ParsedPacket parsed = parse(frame.data(), frame.size(), options);
    Plain<Tuple> plain;
    const bool accepted = read_plain(frame.data(), frame.size(), verified, station_of(kOurMac), plain);
    ASSERT_EQ(accepted, has_plain_shape<Tuple>(frame, parsed)) << describe(frame.frame());
    ++(accepted ? seen.plain : seen.other);
    if (!accepted) return;

    const Tuple& tuple = tuple_of(parsed, plain);
    ASSERT_EQ(plain.tuple(), tuple);
    ASSERT_TRUE(plain.is_tuple(tuple));
    Tuple near = tuple;
    reinterpret_cast<std::uint8_t*>(&near)[below(random, sizeof near)] ^=
        static_cast<std::uint8_t>(1U << (random() % 8));
    ASSERT_FALSE(plain.is_tuple(near));
    ASSERT_EQ(plain.protocol(), parsed.protocol);
    ASSERT_EQ(plain.l3_length, parsed.l3_length);
    ASSERT_EQ(plain.tcp_flags, parsed.tcp_flags);
    const std::uint8_t* l4 = frame.data() + parsed.l4_offset;
    if (parsed.protocol == protocol::kTcp) {
        const std::uint32_t header = (l4[tcp::kDataOffset] >> 4) * 4U;
        ASSERT_EQ(plain.payload, parsed.l4_length() - header);
        const std::uint32_t counted = ((parsed.tcp_flags & tcp::kSyn) != 0 ? 1U : 0U) + (parsed.tcp_flags & tcp::kFin);
        ASSERT_EQ(next_sequence(l4, parsed.l4_length()), load_be32(l4 + tcp::kSequence) + plain.payload + counted);
    } else {
        ASSERT_EQ(plain.payload, parsed.l4_length() - udp::kHeaderSize);
    }
    const auto other = random_tuple<Tuple>(random, parsed.protocol);
    expect_same_rewriting(frame, parsed, other, delta_between(tuple, swapped(other)));
    expect_same_rewriting(frame, parsed, other, {corner_word(random), corner_word(random)});
}

void compare_both(const Frame& bytes, Random& random, Seen& v4, Seen& v6) {
    const Exact frame(bytes);
    for (const bool verified : {false, true}) {
        compare<FiveTupleV4>(frame, verified, random, v4);
        if (::testing::Test::HasFatalFailure()) return;
        compare<FiveTupleV6>(frame, verified, random, v6);
        if (::testing::Test::HasFatalFailure()) return;
    }
}

Frame random_frame(Random& random, bool v4, bool often_plain) {
    const auto seldom = [&] { return below(random, often_plain ? 40 : 4) == 0; };
    PacketBuilder builder;
    if (seldom()) builder.ethernet({0x02, 0, 0, 0, 0, static_cast<std::uint8_t>(random() % 4)}, kClientMac);
    for (std::size_t tags = seldom() ? 1 + below(random, 3) : 0; tags > 0; --tags) builder.vlan(5);
    builder.ip(v4 ? "198.51.100.7" : "2001:db8::7", v4 ? "203.0.113.10" : "2001:db8::10");
    constexpr std::array<std::uint8_t, 6> kTtls{0, 1, 2, 64, 254, 255};
    builder.ttl(seldom() ? kTtls[below(random, kTtls.size())] : static_cast<std::uint8_t>(2 + below(random, 254)));
    if (v4 && seldom()) builder.ipv4_options(Frame(1 + below(random, 40), 1));
    if (v4) {
        constexpr std::array<std::uint16_t, 6> kFields{0x2000, 0x0001, 0x1fff, 0x2001, 0x6000, 0x8000};
        builder.ipv4_fragment(seldom() ? kFields[below(random, kFields.size())] : random() % 2 == 0 ? 0x4000 : 0);
    }
    if (!v4 && seldom()) builder.padding_extension(random() % 2 == 0 ? ipv6::kHopByHop : ipv6::kDestinationOptions);
    if (!v4 && seldom()) builder.ipv6_fragment(static_cast<std::uint16_t>(random() % 2), random() % 2 == 0);
    const auto port = [&] { return static_cast<std::uint16_t>(random()); };
    switch (seldom() ? below(random, 5) : below(random, 2)) {
        case 0:
            builder.tcp(port(), port(), static_cast<std::uint8_t>(random()))
                .sequence(static_cast<std::uint32_t>(random()), static_cast<std::uint32_t>(random()));
            if (random() % 4 == 0) builder.tcp_options(Frame(4 * (1 + below(random, 10)), 1));
            break;
        case 1:
            builder.udp(port(), port());
            if (v4 && random() % 4 == 0) builder.no_checksum();
            break;
        case 2:
            builder.sctp(port(), port(), 7).chunk(1);
            break;
        case 3:
            builder.echo_request(1, 1);
            break;
        default:
            builder.protocol(47);
            break;
    }
    builder.payload(below(random, 80));
    return builder.build();
}

void mend_ipv4_checksum(Frame& frame) {
    if (frame.size() < 34) return;
    const std::size_t length = std::min<std::size_t>(std::max((frame[14] & 15U) * 4U, 20U), frame.size() - 14);
    store_raw16(frame.data() + 14 + ipv4::kChecksum, ipv4_header_checksum(frame.data() + 14, length));
}

/// A few spots where the shape hangs on one number.
void mutate(Frame& frame, Random& random) {
    if (frame.size() < 60) frame.resize(60, static_cast<std::uint8_t>(random()));
    const bool v4 = frame[12] == 0x08;
    std::uint8_t* l3 = frame.data() + 14;
    std::uint8_t* l4 = l3 + (v4 ? 20 : 40);
    const auto near = [&](std::size_t value) {
        return static_cast<std::uint16_t>(value + static_cast<std::size_t>(below(random, 25)) - 12);
    };
    switch (below(random, 10)) {
        case 0:  // the length that the IP header states
            store_be16(l3 + (v4 ? ipv4::kTotalLength : ipv6::kPayloadLength),
                       random() % 2 == 0 ? near(frame.size() - (v4 ? 14U : 54U))
                                         : static_cast<std::uint16_t>(below(random, 70)));
            break;
        case 1:
            l3[v4 ? ipv4::kTtl : ipv6::kHopLimit] = static_cast<std::uint8_t>(below(random, 4) - 1);
            break;
        case 2:
            store_be16(l3 + ipv4::kFragment, static_cast<std::uint16_t>(1U << below(random, 16)));
            break;
        case 3:
            l3[0] = static_cast<std::uint8_t>(random());
            break;
        case 4:
            l3[v4 ? ipv4::kProtocol : ipv6::kNextHeader] =
                static_cast<std::uint8_t>(random() % 2 == 0 ? random() : 6 + 11 * (random() % 2));
            break;
        case 5:  // the length that the layer above states
            if (frame.size() >= 74) l4[tcp::kDataOffset] = static_cast<std::uint8_t>(random());
            break;
        case 6:
            if (frame.size() >= 74) store_be16(l4 + udp::kLength, near(frame.size() - (v4 ? 34U : 54U)));
            break;
        case 7:
            store_raw16(l3 + ipv4::kChecksum, corner_word(random));
            return;  // stays wrong
        case 8:
            frame[below(random, 14)] ^= static_cast<std::uint8_t>(1U << below(random, 8));
            return;
        default:
            frame[below(random, frame.size())] = static_cast<std::uint8_t>(random());
            if (random() % 2 == 0) return;
            break;
    }
    if (v4) mend_ipv4_checksum(frame);
}

class PlainShape : public ::testing::TestWithParam<bool> {};

TEST_P(PlainShape, TheShortcutTakesExactlyWhatTheParserFindsPlain) {
    const bool v4 = GetParam();
    Random random(v4 ? 40 : 60);
    Seen seen_v4;
    Seen seen_v6;
    for (int round = 0; round < 60'000; ++round) {
        Frame frame = random_frame(random, v4, round % 4 != 0);
        for (std::size_t changes = below(random, 3); changes > 0; --changes) mutate(frame, random);
        if (random() % 4 == 0) frame.resize(frame.size() + below(random, 32), static_cast<std::uint8_t>(random()));
        if (random() % 8 == 0) frame.resize(below(random, frame.size() + 1));
        compare_both(frame, random, seen_v4, seen_v6);
        ASSERT_FALSE(HasFatalFailure()) << "round " << round;
    }
    const Seen& seen = v4 ? seen_v4 : seen_v6;
    EXPECT_GT(seen.plain, 20'000);
    EXPECT_GT(seen.other, 20'000);
    EXPECT_EQ((v4 ? seen_v6 : seen_v4).plain, 0);
}

TEST_P(PlainShape, EveryTruncationOfAFrameIsJudgedWithoutReadingPastItsEnd) {
    const bool v4 = GetParam();
    Random random(v4 ? 41 : 61);
    Seen seen_v4;
    Seen seen_v6;
    for (int round = 0; round < 200; ++round) {
        const Frame whole = random_frame(random, v4, round % 2 == 0);
        for (std::size_t length = 0; length <= whole.size(); ++length) {
            compare_both(Frame(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(length)), random, seen_v4,
                         seen_v6);
            ASSERT_FALSE(HasFatalFailure()) << "round " << round << " length " << length;
        }
    }
    EXPECT_GT(seen_v4.plain + seen_v6.plain, 100);
}

TEST_P(PlainShape, EveryStatedLengthOfShortFramesIsJudgedAlike) {
    const bool v4 = GetParam();
    Random random(v4 ? 42 : 62);
    Seen seen_v4;
    Seen seen_v6;
    for (const bool tcp : {true, false}) {
        PacketBuilder builder;
        builder.ip(v4 ? "198.51.100.7" : "2001:db8::7", v4 ? "203.0.113.10" : "2001:db8::10");
        tcp ? builder.tcp(1, 2, tcp::kAck) : builder.udp(1, 2);
        const Frame right = builder.payload(9).build();
        for (std::uint32_t stated = 0; stated <= 0xffff; stated += stated < 120 || stated > 0xff00 ? 1 : 97) {
            Frame frame = right;
            store_be16(frame.data() + 14 + (v4 ? ipv4::kTotalLength : ipv6::kPayloadLength),
                       static_cast<std::uint16_t>(stated));
            if (v4) mend_ipv4_checksum(frame);
            compare_both(frame, random, seen_v4, seen_v6);
            ASSERT_FALSE(HasFatalFailure()) << stated;
        }
    }
}

TEST_P(PlainShape, TheLongestPacketsAreJudgedAlike) {
    // Why: lengths of 16 bits wrap where IPv6's payload and header together are longer.
    const bool v4 = GetParam();
    Random random(v4 ? 43 : 63);
    Seen seen_v4;
    Seen seen_v6;
    for (const bool tcp : {true, false}) {
        const std::size_t headers = (v4 ? 20U : 40U) + (tcp ? 20U : 8U);
        for (const std::size_t l3 : {65534U, 65535U, 65536U, 65574U, 65575U}) {
            if (l3 > (v4 ? 65535U : 65575U)) continue;
            PacketBuilder builder;
            builder.ip(v4 ? "198.51.100.7" : "2001:db8::7", v4 ? "203.0.113.10" : "2001:db8::10");
            tcp ? builder.tcp(1, 2, tcp::kAck) : builder.udp(1, 2);
            Frame frame = builder.payload(l3 - headers).build();
            compare_both(frame, random, seen_v4, seen_v6);
            frame.push_back(0);
            compare_both(frame, random, seen_v4, seen_v6);
            frame.resize(frame.size() - 2);
            compare_both(frame, random, seen_v4, seen_v6);
            ASSERT_FALSE(HasFatalFailure()) << l3;
        }
    }
    EXPECT_EQ(v4 ? seen_v4.plain : seen_v6.plain, 2 * 2 * 2 * 2)
        << "65534 and 65535 bytes, two protocols, padded, verified";
}

TEST_P(PlainShape, EveryChecksumFieldIsRewrittenAlike) {
    const bool v4 = GetParam();
    Random random(v4 ? 44 : 64);
    const auto check = [&]<typename Tuple>(Plain<Tuple> /*kind*/) {
        for (const bool tcp : {true, false}) {
            PacketBuilder builder;
            builder.ip(v4 ? "198.51.100.7" : "2001:db8::7", v4 ? "203.0.113.10" : "2001:db8::10");
            tcp ? builder.tcp(1, 2, tcp::kAck) : builder.udp(1, 2);
            const Exact frame(builder.payload(6).build());
            const ParsedPacket parsed = parse(frame.data(), frame.size());
            const std::size_t at = kPlainL4<Tuple> + (tcp ? tcp::kChecksum : udp::kChecksum);
            for (const std::uint16_t delta :
                 {std::uint16_t{0}, std::uint16_t{1}, std::uint16_t{0x8000}, std::uint16_t{0xfffe},
                  std::uint16_t{0xffff}, static_cast<std::uint16_t>(random())}) {
                const auto other = random_tuple<Tuple>(random, parsed.protocol);
                const Exact shortcut(frame.frame());
                const Exact general(frame.frame());
                for (std::uint32_t field = 0; field <= 0xffff; ++field) {
                    for (const Exact* copy : {&shortcut, &general}) {
                        std::memcpy(copy->data(), frame.data(), frame.size());
                        store_raw16(copy->data() + at, static_cast<std::uint16_t>(field));
                        if (v4) store_raw16(copy->data() + 14 + ipv4::kChecksum, static_cast<std::uint16_t>(field));
                    }
                    rewrite_plain(shortcut.data(), other, {delta, delta});
                    rewrite(general.data(), parsed, swapped(other), {delta, delta});
                    if (std::memcmp(shortcut.data(), general.data(), frame.size()) != 0) {
                        FAIL() << "field " << field << " delta " << delta << describe(shortcut.frame());
                    }
                    const std::uint16_t after = load_raw16(shortcut.data() + at);
                    if (!tcp) {
                        ASSERT_EQ(after == 0, field == 0)
                            << "UDP: 0 says that there is none, and only that; " << field << " " << delta;
                    }
                }
            }
        }
    };
    if (v4) {
        check(PlainV4{});
    } else {
        check(PlainV6{});
    }
}

INSTANTIATE_TEST_SUITE_P(Families, PlainShape, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "ipv4" : "ipv6"; });

/// RFC 1071's sum in school arithmetic: modulo 65535, and 0 only of two zeros.
constexpr std::uint16_t plain_sum(std::uint32_t a, std::uint32_t b) {
    return static_cast<std::uint16_t>(a + b == 0 ? 0 : (a + b - 1) % 0xffffU + 1);
}
/// RFC 1624 equation 3.
constexpr std::uint16_t plain_apply(std::uint32_t field, std::uint32_t delta) {
    return static_cast<std::uint16_t>(0xffffU - plain_sum(0xffffU - field, delta));
}

template <std::uint32_t First>
constexpr bool right_when_constant() {
    for (std::uint32_t a = First; a < First + 1024; ++a) {
        for (const std::uint32_t b : {0U, 1U, 0x1234U, 0xfffeU, 0xffffU, 0xffffU - a}) {
            const auto x = static_cast<std::uint16_t>(a);
            const auto y = static_cast<std::uint16_t>(b);
            if (add_sums(x, y) != plain_sum(a, b) || apply(x, y) != plain_apply(a, b)) return false;
        }
    }
    return true;
}

template <std::size_t... Chunk>
constexpr bool all_right_when_constant(std::index_sequence<Chunk...> /*chunks*/) {
    return (std::bool_constant<right_when_constant<Chunk * 1024>()>::value && ...);
}
static_assert(all_right_when_constant(std::make_index_sequence<64>()),
              "all 65536 values, as the compiler computes them");

TEST(PlainSums, AreSchoolArithmeticForEveryValue) {
    Random random(7);
    std::vector<std::uint16_t> others{0, 1, 2, 0xff, 0x100, 0x7fff, 0x8000, 0xff00, 0xfffe, 0xffff};
    while (others.size() < 200) others.push_back(static_cast<std::uint16_t>(random()));
    for (const std::uint16_t b : others) {
        for (std::uint32_t a = 0; a <= 0xffff; ++a) {
            const auto x = static_cast<std::uint16_t>(a);
            ASSERT_EQ(add_sums(x, b), plain_sum(a, b)) << a << " + " << b;
            ASSERT_EQ(add_sums(b, x), plain_sum(a, b)) << b << " + " << a;
            ASSERT_EQ(apply(x, b), plain_apply(a, b)) << a << " by " << b;
            const std::uint16_t udp = plain_apply(a, b);
            ASSERT_EQ(apply_udp(x, b), a == 0 ? 0 : udp == 0 ? 0xffff : udp) << a << " by " << b;
        }
    }
}

}  // namespace
}  // namespace guideway::packet::testing
