// flood: SYNs from random sources at stated rates, beside honest clients that open connections and established ones that send.
//
// All by a virtual clock, so the rates are exact whatever the machine does: what share of the honest succeed at the first attempt (no
// retransmission is tried), and how many established ones lose a packet or their entry. Nodes answer every SYN, also the flood's; the
// honest client's ACK comes a round-trip time after its SYN, its request right behind.
#include <algorithm>
#include <array>
#include <deque>
#include <string>
#include <vector>

#include "tests/bench/flow/appliance.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/large_array.h"
#include "tests/bench/flow/timing.h"
#include "tests/bench/flow/traffic.h"

namespace guideway::bench {
namespace {

constexpr std::array<double, 3> kRoundTripMs{1, 50, 200};
constexpr double kHonestASecond = 2000;  ///< of each round-trip time
constexpr std::uint32_t kHonestClients = 1U << 28;
constexpr std::uint32_t kHonestMark = 1U << 30, kFloodMark = 2U << 30, kMarkKind = 3U << 30;
constexpr unsigned kEstablishedAPoll = 4;  ///< packets of established connections, half of them replies

class Flood {
  public:
    Flood(Appliance& appliance, const Wire& wire, std::span<Connection> established, double rate, unsigned burst)
        : appliance_(appliance),
          established_(established),
          step_us_(burst / rate * 1e6),
          flood_a_poll_(burst),
          clients_(wire, kClientPort, 0),
          nodes_(wire, kNodePort, 0),
          sink_(wire, [this](Port port, const Seen* seen, std::uint16_t count) { take(port, seen, count); }),
          plugged_(0, &clients_, &nodes_, &sink_),
          now_us_(static_cast<double>(clock_ms()) * 1000) {}

    /// Virtual time. Only honest clients that begin while `counting` are counted.
    void run(double seconds, double flood_share, bool counting) {
        counting_ = counting;
        for (const double until = now_us_ + seconds * 1e6; now_us_ < until; now_us_ += step_us_) {
            const auto flood = static_cast<unsigned>(flood_a_poll_ * flood_share);
            for (unsigned k = 0; k < flood; ++k) {
                random_ = random_ * 6364136223846793005ULL + 1442695040888963407ULL;
                const auto source = low(0x64400000U | static_cast<std::uint32_t>(random_ >> 42));
                const auto port = static_cast<std::uint16_t>(random_ >> 24 | 0x0400);
                clients_.add({source, kFloodMark, port, {}, kRequest, flag::kSyn});
            }
            flood_sent += flood;
            honest_arrive();
            honest_go_on();
            established_send();
            do {
                appliance_.worker().poll_once(static_cast<std::uint64_t>(now_us_ / 1000));
            } while (clients_.waiting() > 0);
        }
    }

    /// All answers still on the way; then a packet each way of every established connection. Returns how many of them suffered.
    std::uint64_t finish() {
        run(0.5, 0, false);
        while (!clients_.empty() || !nodes_.empty())
            appliance_.worker().poll_once(static_cast<std::uint64_t>(now_us_ / 1000));
        std::uint64_t suffered = established_sent_ - established_right_;
        for (std::size_t at = 0; at < established_.size(); ++at) {
            const std::uint64_t right = established_right_;
            send_established(static_cast<std::uint32_t>(at), kRequest);
            send_established(static_cast<std::uint32_t>(at), kReply);
            while (!clients_.empty() || !nodes_.empty()) {
                appliance_.worker().poll_once(static_cast<std::uint64_t>(now_us_ / 1000));
            }
            if (established_right_ != right + 2) ++suffered;
        }
        return suffered;
    }

    std::uint64_t flood_sent = 0;
    std::uint64_t flood_answered = 0;  ///< SYN-ACKs that went out to the flood's sources
    std::array<std::uint64_t, kRoundTripMs.size()> honest_begun{}, honest_done{};

  private:
    struct Honest {
        Connection connection;
        std::uint8_t kind = 0;  ///< of round-trip time
        bool counted = false;
        bool done = false;
    };

    Step honest_step(std::uint32_t number, std::uint8_t flags) const {
        const std::uint32_t index = kHonestClients + number;
        return {client_low(index), kHonestMark | number, client_port_be(index), {}, kRequest, flags};
    }

    void honest_arrive() {
        honest_due_ += kHonestASecond * kRoundTripMs.size() * step_us_ / 1e6;
        for (; honest_due_ >= 1; honest_due_ -= 1) {
            const auto number = static_cast<std::uint32_t>(honest_.size());
            const auto kind = static_cast<std::uint8_t>(number % kRoundTripMs.size());
            honest_.push_back({{}, kind, counting_, false});
            if (counting_) ++honest_begun[kind];
            clients_.add(honest_step(number, flag::kSyn));
        }
    }

    void honest_go_on() {
        for (auto& queue : answered_) {
            for (; !queue.empty() && queue.front().first <= now_us_; queue.pop_front()) {
                clients_.add(honest_step(queue.front().second, flag::kAck));
                clients_.add(honest_step(queue.front().second, flag::kAck | flag::kPsh));
            }
        }
    }

    void established_send() {
        for (unsigned k = 0; k < kEstablishedAPoll; ++k) {
            send_established(next_established_, k % 2 == 0 ? kRequest : kReply);
            next_established_ = (next_established_ + 7919) % static_cast<std::uint32_t>(established_.size());
        }
    }

    void send_established(std::uint32_t at, Direction direction) {
        (direction == kRequest ? clients_ : nodes_)
            .add({client_low(at), at, client_port_be(at), established_[at], direction, flag::kAck});
        ++established_sent_;
    }

    void take(Port port, const Seen* seen, std::uint16_t count) {
        for (unsigned k = 0; k < count; ++k) {
            const Seen& packet = seen[k];
            const std::uint32_t number = packet.mark & ~kMarkKind;
            const std::uint32_t kind = packet.mark & kMarkKind;
            if (kind == 0) {
                if (number >= established_.size()) continue;
                const bool right = port == kNodePort ? packet.connection() == established_[number]
                                                     : packet.destination_low == client_low(number) &&
                                                           packet.destination_port_be == client_port_be(number);
                if (right) ++established_right_;
            } else if (port == kNodePort && packet.flags == flag::kSyn) {
                nodes_.add({0, packet.mark, 0, packet.connection(), kReply, flag::kSyn | flag::kAck});
                if (kind == kHonestMark) honest_[number].connection = packet.connection();
            } else if (kind == kFloodMark) {
                if (port == kClientPort && packet.flags == (flag::kSyn | flag::kAck)) ++flood_answered;
            } else if (port == kClientPort && packet.flags == (flag::kSyn | flag::kAck)) {
                const std::uint8_t round_trip = honest_[number].kind;
                answered_[round_trip].emplace_back(now_us_ + kRoundTripMs[round_trip] * 1000, number);
            } else if (port == kNodePort && (packet.flags & flag::kPsh) != 0) {
                Honest& client = honest_[number];
                if (client.done || !(packet.connection() == client.connection)) continue;
                client.done = true;
                if (client.counted) ++honest_done[client.kind];
            }
        }
    }

    Appliance& appliance_;
    std::span<Connection> established_;
    double step_us_;
    unsigned flood_a_poll_;
    ScriptSource clients_, nodes_;
    ReadSink sink_;
    Plugged plugged_;
    double now_us_;
    bool counting_ = false;
    std::uint64_t random_ = 88172645463325252ULL;
    double honest_due_ = 0;
    std::vector<Honest> honest_;
    std::array<std::deque<std::pair<double, std::uint32_t>>, kRoundTripMs.size()> answered_;
    std::uint32_t next_established_ = 0;
    std::uint64_t established_sent_ = 0, established_right_ = 0;
};

}  // namespace

void run_flood(const Options& options, Report& report) {
    const std::uint32_t flows = options.flows.empty() ? 100'000 : options.flows.front();
    const unsigned burst = 32;
    const int ip = options.ip.front();
    const Wire& wire = wire_of(ip, 6);
    for (const double rate : {0.1e6, 1e6, 4e6}) {
        // Twice the established: a table with room, which a flood of more SYNs than that fills all the same.
        const std::uint32_t capacity = std::max(flows * 2, kLeastCapacity);
        Appliance appliance({.capacity_v4 = ip == 4 ? capacity : kLeastCapacity,
                             .capacity_v6 = ip == 6 ? capacity : kLeastCapacity,
                             .burst = burst});
        appliance.go_online();
        LargeArray<Connection> established(flows);
        if (establish(appliance, wire, 6, established) != flows) fail("cannot open the established connections");
        const auto drops = appliance.drops();
        const auto ledger = appliance.ledger();
        // First as many SYNs as would fill the room twice, then the part that counts.
        const double full_seconds = std::max(0.5, 2.0 * (capacity - flows) / rate),
                     counted_seconds = options.quick ? 0.3 : 1;
        const double cpu_started = thread_ns();
        Flood flood(appliance, wire, established, rate, burst);
        flood.run(full_seconds, 1, false);
        flood.run(counted_seconds, 1, true);
        const double ns = thread_ns() - cpu_started;
        const double packets = static_cast<double>(appliance.ledger().received - ledger.received);
        const std::uint64_t suffered = flood.finish();
        const std::string dropped = appliance.drops_since(drops);
        appliance.go_offline();
        for (std::size_t kind = 0; kind < kRoundTripMs.size(); ++kind) {
            Row row("flood");
            row.set("ip", ip).set("proto", "tcp").set("flows", flows).set("capacity", capacity).set("burst", burst);
            row.set("workers", 1).set("syn_per_second", rate).set("rtt_ms", kRoundTripMs[kind]);
            row.set("honest", static_cast<double>(flood.honest_begun[kind]));
            row.set("honest_succeed", static_cast<double>(flood.honest_done[kind]) /
                                          static_cast<double>(std::max<std::uint64_t>(1, flood.honest_begun[kind])));
            row.set("established_suffered", static_cast<double>(suffered));
            row.set("flood_answered",
                    static_cast<double>(flood.flood_answered) / static_cast<double>(flood.flood_sent));
            row.set("ns_per_packet", ns / packets);
            if (!dropped.empty()) row.set("dropped", dropped);
            report.add(std::move(row));
        }
    }
}

}  // namespace guideway::bench
