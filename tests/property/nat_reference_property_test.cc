// Generated traffic through real workers, packet for packet against a slow reference (nat_reference.h): every frame that leaves, to
// the byte, and every drop by its name. Time is the lab's. Seeds are fixed: a failure repeats.
//
// What the generator keeps to, because the worker's order is that of burst.h (plain packets, then the others, then what needs a
// decision): packets of one connection in one burst are all plain or all not, and one that ends a connection for a new one is its
// last in the burst.
#include <algorithm>
#include <random>
#include <sstream>
#include <string>

#include <gtest/gtest.h>

#include "tests/packet/worker_lab.h"
#include "tests/property/nat_reference.h"

namespace guideway::worker::testing {
namespace {

using namespace packet;
using observe::DropReason;
using State = NatConnection::State;

struct StormSettings {
    std::uint64_t seed = 1;
    std::uint32_t workers = 1;
    std::uint16_t burst = 32;
    bool answers = true;  ///< refused packets are answered
    int rounds = 300;
};

/// One packet of the generator: what it says and how it is dressed.
struct Sent {
    Ends ends;
    Segment segment;
    bool vlan = false;
    bool options = false;
    bool no_checksum = false;
    std::size_t pad = 0;
    std::uint32_t number = 0;  ///< in the payload's first bytes, if there is one
};

struct Expected {
    Sent sent;
    Verdict verdict;
};

constexpr MacAddress kSomeMac{0x02, 0, 0, 0, 0, 0xc1};

std::uint8_t flags_of(const Segment& s) {
    return static_cast<std::uint8_t>((s.syn ? tcp::kSyn : 0) | (s.ack ? tcp::kAck : 0) | (s.fin ? tcp::kFin : 0) |
                                     (s.rst ? tcp::kRst : 0));
}

Frame payload_of(const Sent& sent) {
    Frame payload(sent.segment.payload);
    for (std::size_t i = 0; i < payload.size(); ++i) {
        payload[i] = static_cast<std::uint8_t>(i < 4 ? sent.number >> (8 * i) : i + sent.number);
    }
    return payload;
}

/// The frame that carries `sent` between `ends`; `arriving`: as the generator dresses it, else as it must leave.
Frame frame_of(const Sent& sent, const Ends& ends, const MacAddress& to, const MacAddress& from, bool arriving) {
    PacketBuilder builder;
    builder.ethernet(to, from);
    if (arriving && sent.vlan) builder.vlan(7);
    builder.ip(ends.source.to_string(), ends.destination.to_string());
    builder.ttl(static_cast<std::uint8_t>(sent.segment.ttl - (arriving ? 0 : 1)));
    if (sent.options && ends.source.is_v4()) builder.ipv4_options(std::array<std::uint8_t, 4>{1, 1, 1, 0});
    if (sent.options && !ends.source.is_v4()) builder.padding_extension(ipv6::kDestinationOptions);
    if (ends.protocol == 6) {
        builder.tcp(ends.source_port, ends.destination_port, flags_of(sent.segment))
            .sequence(sent.segment.sequence, sent.segment.acknowledgement);
    } else {
        builder.udp(ends.source_port, ends.destination_port);
        if (sent.no_checksum) builder.no_checksum();
    }
    builder.payload(payload_of(sent));
    if (sent.pad != 0) builder.pad_to(sent.pad + (arriving && sent.vlan ? 4 : 0));
    Frame frame = builder.build();
    if (sent.segment.damaged) {
        const ParsedPacket p = parsed(frame);
        frame[p.end() - 1] ^= 0x10;
    }
    return frame;
}

MacAddress node_mac(const IpAddress& node) {
    const std::string text = node.to_string();
    return {0x02, 0, 0, 0, 1, static_cast<std::uint8_t>(std::stoi(text.substr(text.size() - 2)))};
}

Ends back(const Ends& ends) {
    return {ends.destination, ends.source, ends.destination_port, ends.source_port, ends.protocol};
}

Ends ends_of(const ParsedPacket& p) {
    const auto host = [](std::uint16_t port) { return swap_if_little(port); };
    return {p.source(), p.destination(), host(p.has_v4 ? p.v4.source_port : p.v6.source_port),
            host(p.has_v4 ? p.v4.destination_port : p.v6.destination_port), p.protocol};
}

/// What a refused packet is answered with: RFC 9293 section 3.10.7.1, RFC 792, RFC 4443 section 3.1.
std::string refusal_of(const Sent& sent) {
    std::ostringstream text;
    text << (sent.ends.protocol == 6 ? "reset " : "unreachable ") << sent.ends.destination.to_string() << " > "
         << sent.ends.source.to_string();
    if (sent.ends.protocol != 6) return text.str();
    text << " " << sent.ends.destination_port << " " << sent.ends.source_port << " ";
    const Segment& s = sent.segment;
    if (s.ack) {
        text << "R " << s.acknowledgement;
    } else {
        text << "RA 0 " << s.end();
    }
    return text.str();
}

/// What a packet is answered with whose TTL ends here.
std::string end_of(const Sent& sent) {
    return "ended " + sent.ends.destination.to_string() + " > " + sent.ends.source.to_string();
}

/// The same of a frame that left; empty if it is no refusal.
std::string refusal_in(const Frame& frame) {
    const ParsedPacket p = parsed(frame);
    std::ostringstream text;
    if (p.kind == PacketKind::icmp_other) {
        const std::uint8_t* message = frame.data() + p.l4_offset;
        const bool ended = message[icmp::kType] == (p.has_v4 ? icmp::kTimeExceeded : icmpv6::kTimeExceeded) &&
                           message[icmp::kCode] == 0;
        const bool refused =
            p.has_v4
                ? message[icmp::kType] == icmp::kUnreachable && message[icmp::kCode] == icmp::kPortUnreachableCode
                : message[icmp::kType] == icmpv6::kUnreachable && message[icmp::kCode] == icmpv6::kPortUnreachableCode;
        text << (ended     ? "ended "
                 : refused ? "unreachable "
                           : "another ")
             << p.source().to_string() << " > " << p.destination().to_string();
        return text.str();
    }
    if (!p.is_flow() || p.protocol != 6 || (p.tcp_flags & tcp::kRst) == 0 || p.l4_length() != 20) return {};
    const std::uint8_t* segment = frame.data() + p.l4_offset;
    const Ends ends = ends_of(p);
    text << "reset " << ends.source.to_string() << " > " << ends.destination.to_string() << " " << ends.source_port
         << " " << ends.destination_port << " ";
    if (p.tcp_flags == tcp::kRst) {
        text << "R " << load_be32(segment + tcp::kSequence);
    } else {
        text << "RA " << load_be32(segment + tcp::kSequence) << " " << load_be32(segment + tcp::kAcknowledgement);
    }
    return text.str();
}

class Storm {
  public:
    explicit Storm(const StormSettings& settings) : settings_(settings), random_(settings.seed), lab_(lab(settings)) {
        state_ = whole();
        apply();
    }

    void run() {
        for (int round = 0; round < settings_.rounds && !::testing::Test::HasFatalFailure(); ++round) {
            SCOPED_TRACE("round " + std::to_string(round));
            pass_time();
            if (one_in(12)) change_state();
            burst(one_in(2));
        }
        if (::testing::Test::HasFatalFailure()) return;
        EXPECT_GT(opened_, static_cast<std::size_t>(settings_.rounds));
        EXPECT_GT(forwarded_, 5 * static_cast<std::size_t>(settings_.rounds));
        EXPECT_GT(reopened_, 0U);
        EXPECT_GT(nat_.doubtful, 0U);
        EXPECT_GT(dropped_[DropReason::reply_unknown], 0U);
        EXPECT_GT(refusals_, 0U);
        jump(20'000);
        EXPECT_EQ(lab_.connections(), 0U);
        ::testing::Test::RecordProperty("packets", static_cast<int>(packets_));
    }

    std::size_t packets() const { return packets_; }

  private:
    static LabSettings lab(const StormSettings& settings) {
        LabSettings result;
        result.workers = settings.workers;
        result.worker.burst = settings.burst;
        result.worker.capacity.flows_ipv4 = result.worker.capacity.flows_ipv6 = 2048;
        result.worker.refusals_per_second = settings.answers ? 1'000'000 : 0;
        result.worker.refusals_per_source = 1'000'000;
        result.worker.refusal_burst = 1'000'000;
        return result;
    }

    std::size_t below(std::size_t bound) { return static_cast<std::size_t>(random_() % bound); }
    bool one_in(std::size_t n) { return below(n) == 0; }

    // What is desired, and time.

    contract::ForwardingState whole() {
        auto state = lab_.web();
        for (const bool v6 : {false, true}) {
            const std::string set = v6 ? "nodes-ipv6" : "nodes-ipv4";
            state.services.push_back({"other", ip(v6 ? kVipV6 : kVip), contract::Protocol::tcp, 81, set, 30081, 900});
            state.services.push_back({"other", ip(v6 ? kVipV6 : kVip), contract::Protocol::udp, 54, set, 30054, 45});
        }
        return state;
    }

    void apply() {
        nat_.now = lab_.now_ms / 1000;
        nat_.expire();
        lab_.apply(state_);
        nat_.apply(state_);
    }

    /// Of each VIP a TCP service stays: one that has none is the kernel's business.
    void change_state() {
        ++state_.generation;
        const auto full = whole();
        switch (below(5)) {
            case 0:  // a backend drains, or comes back
                for (auto& set : state_.backend_sets) {
                    if (!set.backends.empty()) set.backends[below(set.backends.size())].weight = one_in(2) ? 0 : 1;
                }
                break;
            case 1:  // goes
            case 2: {
                auto& backends = state_.backend_sets[below(2)].backends;
                if (!backends.empty() && (backends.size() > 1 || one_in(3))) {
                    backends.erase(backends.begin() + static_cast<std::ptrdiff_t>(below(backends.size())));
                }
                break;
            }
            case 3: {  // a service goes, or another idle time
                const std::size_t at = below(state_.services.size());
                if (one_in(2)) {
                    state_.services[at].idle_timeout_seconds =
                        static_cast<std::uint32_t>(one_in(2) ? 0 : 20 + below(2000));
                } else if (state_.services[at].port != 80) {
                    state_.services.erase(state_.services.begin() + static_cast<std::ptrdiff_t>(at));
                }
                break;
            }
            default:
                state_ = full;
                break;
        }
        apply();
    }

    void jump(std::uint64_t seconds) {
        lab_.now_ms += seconds * 1000;
        lab_.wait_ms(4500);  // a round of the ageing sweep
        nat_.now = lab_.now_ms / 1000;
        seconds > 10'000 ? nat_.clear() : nat_.expire();
        judge_size();
    }

    void pass_time() {
        if (one_in(400)) {
            jump(20'000);
        } else if (one_in(25)) {
            constexpr std::array<std::uint64_t, 8> kJumps{5, 16, 25, 50, 80, 140, 400, 2500};
            jump(kJumps[below(kJumps.size())]);
        } else {
            lab_.now_ms += below(300);
            nat_.now = lab_.now_ms / 1000;
            nat_.expire();
        }
    }

    void judge_size() {
        const std::size_t known = nat_.connections().size();
        ASSERT_LE(lab_.connections(), known + nat_.unsaid);
        ASSERT_GE(lab_.connections(), known - nat_.count_in_doubt());
    }

    // Packets.

    Ends some_client() {
        const bool v6 = one_in(2);
        Ends ends;
        const std::string host = std::to_string(2 + below(6));
        ends.source = ip((v6 ? "2001:db8:c::" : "198.51.100.") + host);
        ends.destination = ip(v6 ? kVipV6 : kVip);
        ends.source_port = static_cast<std::uint16_t>(40000 + below(20));
        ends.protocol = one_in(3) ? 17 : 6;
        constexpr std::array<std::uint16_t, 6> kTcp{80, 80, 80, 81, 81, 82};
        constexpr std::array<std::uint16_t, 6> kUdp{53, 53, 53, 54, 54, 55};
        ends.destination_port = (ends.protocol == 6 ? kTcp : kUdp)[below(6)];
        return ends;
    }

    struct Numbers {
        std::array<std::uint32_t, 2> next;
    };
    /// Where the ends of a connection are, as they see it.
    Numbers& numbers_of(const Ends& client) {
        auto [found, fresh] = numbers_.try_emplace(client);
        if (fresh) found->second.next = {static_cast<std::uint32_t>(random_()), static_cast<std::uint32_t>(random_())};
        return found->second;
    }

    void set_flags(Segment& s, const NatConnection* connection, unsigned half) {
        if (one_in(12)) {
            const std::size_t bits = below(16);
            s.syn = (bits & 1) != 0, s.ack = (bits & 2) != 0, s.fin = (bits & 4) != 0, s.rst = (bits & 8) != 0;
            return;
        }
        if (connection == nullptr) {
            s.syn = !one_in(6);
            s.ack = !s.syn;
            return;
        }
        const bool begins = connection->state == State::opening;
        s.syn = half == 0 ? (begins                                    ? !one_in(4)
                             : connection->state == State::established ? one_in(20)
                                                                       : one_in(3))
                          : begins;
        s.ack = half == 1 || !s.syn;
        if (s.syn) return;
        s.fin = one_in(connection->state == State::closing ? 2 : 8);
        s.rst = !s.fin && one_in(12);
    }

    void set_numbers(Segment& s, const NatConnection* connection, const Ends& client, unsigned half) {
        Numbers& numbers = numbers_of(client);
        if (connection == nullptr && one_in(2)) numbers.next[half] = static_cast<std::uint32_t>(random_());
        s.sequence = numbers.next[half];
        s.acknowledgement = s.ack ? numbers.next[1 - half] : 0;
        switch (below(10)) {
            case 0:  // again
                s.sequence -= static_cast<std::uint32_t>(below(60'000));
                break;
            case 1:  // what came between went another way
                s.sequence += static_cast<std::uint32_t>(below(200'000));
                break;
            case 2:  // in the blind
                if (s.fin || s.rst || one_in(4)) s.sequence += static_cast<std::uint32_t>(2'000'000 + below(1U << 30));
                break;
            default:
                numbers.next[half] = s.end();
                break;
        }
        if (connection == nullptr || !connection->tracked()) return;
        if (NatReference::believed(*connection, half, s.sequence) == Belief::unsure)
            s.sequence = connection->edge[half];
    }

    void dress(Sent& sent, const Ends& client) {
        const auto [found, fresh] = plain_in_burst_.try_emplace(client, !one_in(6));
        const bool plain = found->second;
        if (!plain) {
            sent.vlan = one_in(2);
            sent.options = !sent.vlan || one_in(3);
        }
        if (one_in(4)) sent.pad = 60 + below(60);
        sent.no_checksum = sent.ends.protocol == 17 && sent.ends.source.is_v4() && one_in(4);
        sent.segment.payload = static_cast<std::uint32_t>(one_in(3) ? 0 : 4 + below(400));
        sent.number = ++numbered_;
    }

    void finish(Sent& sent, const NatConnection* connection, const Ends& client, unsigned half) {
        Segment& s = sent.segment;
        if (sent.ends.protocol == 6) {
            set_flags(s, connection, half);
            if (s.opens() && s.payload == 0) s.payload = 4;
            set_numbers(s, connection, client, half);
        } else if (s.payload == 0) {
            s.payload = 4;
        }
        // Only the general way judges a TTL that is used up.
        if (!plain_in_burst_.at(client) && one_in(10)) s.ttl = static_cast<std::uint8_t>(below(2));
        s.damaged = s.payload > 0 && !sent.no_checksum && one_in(30);
    }

    /// A client's packet, unless nothing can be said of it now.
    std::optional<Expected> client_packet() {
        Sent sent;
        sent.ends = some_client();
        if (one_in(2) && !nat_.connections().empty()) {
            const auto& all = nat_.connections();
            sent.ends = std::next(all.begin(), static_cast<std::ptrdiff_t>(below(all.size())))->first;
        }
        if (nat_.unclear(sent.ends) || frozen_.count(sent.ends) != 0) return std::nullopt;
        const ConnectionPtr before = nat_.find(sent.ends);
        dress(sent, sent.ends);
        finish(sent, before.get(), sent.ends, 0);
        Expected expected{sent, nat_.from_client(sent.ends, sent.segment)};
        if (expected.verdict.decided_anew) {
            frozen_.insert(sent.ends);
            ++reopened_;
        }
        return expected;
    }

    std::optional<Expected> backend_packet() {
        Sent sent;
        Ends client;
        const auto& all = nat_.connections();
        ConnectionPtr connection;
        if (one_in(20) || all.empty()) {  // of no connection, or one that is over
            const bool v6 = one_in(2);
            sent.ends = {ip(v6 ? "2001:db8:2::11" : "10.0.2.11"), ip(v6 ? kSnatV6 : kSnat), 30080,
                         static_cast<std::uint16_t>(1024 + below(64000)), 6};
            if (one_in(2) && !past_.empty()) sent.ends = past_[below(past_.size())];
            for (const auto& [key, other] : all) {
                if (other->backend == sent.ends) return std::nullopt;
            }
            if (nat_.unsaid != 0) return std::nullopt;
            client = back(sent.ends);
        } else {
            connection = std::next(all.begin(), static_cast<std::ptrdiff_t>(below(all.size())))->second;
            if (nat_.in_doubt(*connection) || !connection->backend) return std::nullopt;
            sent.ends = *connection->backend;
            client = connection->client;
        }
        dress(sent, client);
        finish(sent, connection.get(), client, 1);
        return Expected{sent, nat_.from_backend(sent.ends, sent.segment)};
    }

    void burst(bool of_clients) {
        plain_in_burst_.clear();
        frozen_.clear();
        const std::uint16_t port = of_clients ? kClientPort : kNodePort;
        const auto worker = static_cast<std::uint32_t>(below(settings_.workers));
        std::vector<Expected> expected;
        const std::size_t wanted = 1 + below(48);
        for (std::size_t i = 0; i < wanted; ++i) {
            if (auto one = of_clients ? client_packet() : backend_packet()) {
                const MacAddress& to = of_clients ? kPortMac0 : kPortMac1;
                lab_.inject(port, frame_of(one->sent, one->sent.ends, to, kSomeMac, true), worker);
                expected.push_back(std::move(*one));
            }
        }
        packets_ += expected.size();
        for (std::size_t polls = 0; polls < 2U * (48U / settings_.burst + 2U); ++polls) lab_.poll_all();
        judge(expected, of_clients);
    }

    // What came of it.

    void judge(const std::vector<Expected>& expected, bool of_clients) {
        std::vector<Frame> left = lab_.sent(of_clients ? kNodePort : kClientPort);
        std::vector<Frame> answers = lab_.sent(of_clients ? kClientPort : kNodePort);
        std::vector<std::string> due;
        std::vector<std::string> refusals_due;
        for (const Expected& one : expected) {
            const Verdict& verdict = one.verdict;
            DropReason reason = verdict.reason;
            switch (verdict.what) {
                case Verdict::open:
                    ASSERT_NO_FATAL_FAILURE(learn(one, left));
                    ++opened_;
                    [[fallthrough]];
                case Verdict::forward:
                    due.push_back(text_of(as_it_leaves(one, of_clients)));
                    ++forwarded_;
                    continue;
                case Verdict::refuse:
                    if (settings_.answers && !(one.sent.ends.protocol == 6 && one.sent.segment.rst)) {
                        refusals_due.push_back(refusal_of(one.sent));
                        reason = DropReason::refused;
                    }
                    ++refusals_;
                    break;
                default:
                    if (reason == DropReason::ttl_exceeded) refusals_due.push_back(end_of(one.sent));
                    break;
            }
            ++dropped_[reason];
        }
        std::vector<std::string> came;
        for (const Frame& frame : left) came.push_back(text_of(frame));
        std::sort(due.begin(), due.end());
        std::sort(came.begin(), came.end());
        if (due != came) FAIL() << difference(due, came);
        std::vector<std::string> refusals;
        for (const Frame& frame : answers) {
            ASSERT_EQ(packet::testing::faults(frame), "");
            refusals.push_back(refusal_in(frame));
        }
        std::sort(refusals.begin(), refusals.end());
        std::sort(refusals_due.begin(), refusals_due.end());
        ASSERT_EQ(refusals, refusals_due);
        for (std::size_t i = 0; i < observe::kDropReasonCount; ++i) {
            const auto reason = static_cast<DropReason>(i);
            ASSERT_EQ(lab_.dropped(reason), dropped_[reason]) << observe::to_string(reason);
        }
        std::uint64_t doubtful = 0;
        for (std::uint32_t i = 0; i < settings_.workers; ++i) doubtful += lab_.totals(i).doubtful_ends.read();
        ASSERT_EQ(doubtful, nat_.doubtful);
        judge_size();
    }

    /// Backend and SNAT port, from the frame that carries the packet's number.
    void learn(const Expected& one, const std::vector<Frame>& left) {
        for (const Frame& frame : left) {
            const ParsedPacket p = parsed(frame);
            if (!p.is_flow() || p.protocol != one.sent.ends.protocol) continue;
            const std::uint8_t* l4 = frame.data() + p.l4_offset;
            const std::size_t header = p.protocol == 6 ? (l4[tcp::kDataOffset] >> 4) * 4U : udp::kHeaderSize;
            if (p.l4_length() < header + 4) continue;
            std::uint32_t number = 0;
            for (unsigned i = 0; i < 4; ++i) number |= std::uint32_t{l4[header + i]} << (8 * i);
            if (number != one.sent.number) continue;
            const Ends backend = back(ends_of(p));
            const bool v4 = one.sent.ends.source.is_v4();
            ASSERT_EQ(backend.destination, ip(v4 ? kSnat : kSnatV6));
            ASSERT_EQ(backend.source_port, nat_.node_port(one.sent.ends));
            ASSERT_GE(backend.destination_port, 1024);
            ASSERT_EQ(nat_.learn(one.verdict.connection, backend), "") << one.sent.ends.source_port;
            past_.push_back(backend);
            return;
        }
        FAIL() << "a packet that opens a connection did not leave: " << what(one);
    }

    static Frame as_it_leaves(const Expected& one, bool of_clients) {
        const NatConnection& connection = *one.verdict.connection;
        const Ends out = back(of_clients ? connection.backend.value() : connection.client);
        if (of_clients) return frame_of(one.sent, out, node_mac(out.destination), kPortMac1, false);
        return frame_of(one.sent, out, kRouterMac, kPortMac0, false);
    }

    static std::string what(const Expected& one) {
        std::ostringstream text;
        const Ends& ends = one.sent.ends;
        text << ends.source.to_string() << "," << ends.source_port << " > " << ends.destination.to_string() << ","
             << ends.destination_port << " protocol " << int{ends.protocol} << " number " << one.sent.number;
        return text.str();
    }

    /// Frames as they sort.
    static std::string text_of(const Frame& frame) { return {frame.begin(), frame.end()}; }

    static std::string difference(const std::vector<std::string>& due, const std::vector<std::string>& left) {
        std::string text = std::to_string(due.size()) + " frames due, " + std::to_string(left.size()) + " left";
        const auto tell = [&](const char* kind, const std::vector<std::string>& all,
                              const std::vector<std::string>& but) {
            std::vector<std::string> only;
            std::set_difference(all.begin(), all.end(), but.begin(), but.end(), std::back_inserter(only));
            for (const std::string& frame : only) {
                text += kind + packet::testing::describe(Frame(frame.begin(), frame.end()));
            }
        };
        tell("\nmissing: ", due, left);
        tell("\nnot due: ", left, due);
        return text;
    }

    StormSettings settings_;
    std::mt19937_64 random_;
    Lab lab_;
    NatReference nat_;
    contract::ForwardingState state_;
    std::map<Ends, Numbers> numbers_;
    std::map<Ends, bool> plain_in_burst_;
    std::set<Ends> frozen_;
    std::vector<Ends> past_;  ///< what backends answered once
    std::map<DropReason, std::uint64_t> dropped_;
    std::uint32_t numbered_ = 0;
    std::size_t packets_ = 0;
    std::size_t opened_ = 0;
    std::size_t reopened_ = 0;
    std::size_t forwarded_ = 0;
    std::size_t refusals_ = 0;
};

void storm(const StormSettings& settings) {
    SCOPED_TRACE("seed " + std::to_string(settings.seed));
    Storm(settings).run();
}

TEST(NatReferenceProperty, OneWorkerForwardsWhatTheReferenceForwards) {
    constexpr std::array<std::uint16_t, 4> kBursts{32, 1, 8, 64};
    for (std::uint64_t seed = 1; seed <= 8 && !HasFatalFailure(); ++seed) {
        storm({seed, 1, kBursts[seed % kBursts.size()], seed % 3 != 0, 600});
    }
}

TEST(NatReferenceProperty, ThreeWorkersForwardWhatTheReferenceForwards) {
    constexpr std::array<std::uint16_t, 3> kBursts{32, 5, 64};
    for (std::uint64_t seed = 101; seed <= 108 && !HasFatalFailure(); ++seed) {
        storm({seed, 3, kBursts[seed % kBursts.size()], seed % 3 != 0, 600});
    }
}

}  // namespace
}  // namespace guideway::worker::testing
