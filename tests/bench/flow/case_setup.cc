// setup and lifecycle: new connections a second.
//
// The clock is a virtual one: it runs so fast that connections leave by their time-outs as quickly as new ones come, and ageing does
// its work at the rate of the measurement. Tables: with `flows` connections alive at once, and one that holds a million
// established connections in 90 % of its room besides.
#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "tests/bench/flow/appliance.h"
#include "tests/bench/flow/cases.h"
#include "tests/bench/flow/large_array.h"
#include "tests/bench/flow/timing.h"
#include "tests/bench/flow/traffic.h"

namespace guideway::bench {
namespace {

constexpr std::uint32_t kLongTimeout = 604800;  ///< established ones stay, however fast the clock runs
constexpr double kOpeningMs = 60000;            ///< time-out of a half-open connection
constexpr double kTimeWaitMs = 60000;
constexpr std::uint32_t kOtherClients = 1U << 28;  ///< first number of connections that are not the established ones

constexpr std::uint32_t kFewest = 2048;  ///< alive at once: fewer would not fill the bursts under way

struct Table {
    std::uint32_t alive = 0;        ///< connections that come and go, at once
    std::uint32_t established = 0;  ///< others that stay
    std::uint32_t capacity() const {
        return established == 0 ? capacity_for(alive) : established + established / 9 + 1;
    }
};

Table table_of(std::uint32_t flows, bool full) {
    // Half of the tenth that is left: time-outs are noticed by a sweep, so some that are over still stand there.
    return full ? Table{std::max(flows / 18, kFewest), flows} : Table{flows, 0};
}

struct Outcome {
    std::uint64_t done = 0, refused = 0;
};

/// One case's connections in one appliance: what it sends between polls.
class Lives {
  public:
    Lives(Appliance& appliance, const Wire& wire, unsigned burst, double start_ms)
        : appliance_(appliance),
          burst_(burst),
          now_ms_(start_ms),
          clients_(wire, kClientPort, 0),
          nodes_(wire, kNodePort, 0),
          sink_(wire, [this](Port port, const Seen* seen, std::uint16_t count) { take(port, seen, count); }),
          plugged_(0, &clients_, &nodes_, &sink_) {}
    virtual ~Lives() = default;
    Lives(const Lives&) = delete;
    Lives& operator=(const Lives&) = delete;

    /// Sends a batch, returns how many connections were done.
    virtual std::uint64_t batch() = 0;
    std::uint64_t refused = 0;

  protected:
    virtual void take(Port port, const Seen* seen, std::uint16_t count) = 0;
    void deliver() {
        while (!clients_.empty() || !nodes_.empty()) {
            now_ms_ += ms_a_poll_;  // at each poll: the worker ages only when time has passed
            appliance_.worker().poll_once(static_cast<std::uint64_t>(now_ms_));
        }
    }

    Appliance& appliance_;
    unsigned burst_;
    double now_ms_;
    double ms_a_poll_ = 0;
    ScriptSource clients_, nodes_;
    ReadSink sink_;
    Plugged plugged_;
};

/// SYN in, SYN-ACK back; the client is never heard of again.
class Setups final : public Lives {
  public:
    Setups(Appliance& appliance, const Wire& wire, unsigned burst, double start_ms, std::uint32_t alive)
        : Lives(appliance, wire, burst, start_ms), known_(std::max<std::size_t>(std::size_t{alive} * 4, 65536)) {
        ms_a_poll_ = kOpeningMs * burst / (0.85 * alive);
    }

    std::uint64_t batch() override {
        done_ = 0;
        for (unsigned k = 0; k < burst_; ++k) {
            const std::uint64_t number = next_ + k;
            const auto at = static_cast<std::uint32_t>(number % known_.size());
            known_[at] = {};
            clients_.add(
                {client_low(kOtherClients + at), at, client_port_be(kOtherClients + at), {}, kRequest, flag::kSyn});
            if (number < kDelay) continue;
            const auto answered = static_cast<std::uint32_t>((number - kDelay) % known_.size());
            if (known_[answered] == Connection{}) {
                ++refused;
            } else {
                nodes_.add({0, answered, 0, known_[answered], kReply, flag::kSyn | flag::kAck});
            }
        }
        next_ += burst_;
        deliver();
        return done_;
    }

  private:
    static constexpr std::uint64_t kDelay = 512;  ///< SYNs between a SYN and its answer

    void take(Port port, const Seen* seen, std::uint16_t count) override {
        if (port == kClientPort) {
            done_ += count;
            return;
        }
        for (unsigned k = 0; k < count; ++k) known_[seen[k].mark] = seen[k].connection();
    }

    std::vector<Connection> known_;
    std::uint64_t next_ = 0;
    std::uint64_t done_ = 0;
};

/// Whole lives, all in turn a step further: a connection's next packet comes when every other one had its own. Half of the clients come
/// back from the same port at once (TIME_WAIT is reused), half from another (the old entry must time out).
class Whole final : public Lives {
  public:
    Whole(Appliance& appliance, const Wire& wire, unsigned burst, double start_ms, std::uint32_t alive)
        : Lives(appliance, wire, burst, start_ms),
          lives_(alive),
          batch_(std::min<std::uint32_t>(burst * 16, std::max(alive / 2, 1U))) {
        // An eighteenth of the packets ends a connection whose entry must time out; of these an eighth of `alive` may wait at once.
        const double polls = std::ceil(batch_ * 5 / 9.0 / burst);
        ms_a_poll_ = kTimeWaitMs * (batch_ / 18.0) / (0.12 * alive) / polls;
        for (std::uint32_t i = 0; i < alive; ++i) lives_[i].delay = static_cast<std::uint8_t>(i / 2 % kSteps.size());
    }

    std::uint64_t batch() override {
        std::uint64_t done = 0;
        for (std::uint32_t k = 0; k < batch_; ++k) {
            const std::uint32_t i = next_;
            if (++next_ == lives_.size()) next_ = 0;
            Life& life = lives_[i];
            if (life.delay > 0) {
                --life.delay;
                continue;
            }
            if (life.step == 1 && life.connection == Connection{}) {
                ++refused;
                life.step = 0;
            }
            if (life.step == 0) life.connection = {};
            const StepKind kind = kSteps[life.step];
            const std::uint32_t index = kOtherClients + i + life.generation * static_cast<std::uint32_t>(lives_.size());
            (kind.direction == kRequest ? clients_ : nodes_)
                .add({client_low(index), i, client_port_be(index), life.connection, kind.direction, kind.flags});
            if (++life.step < kSteps.size()) continue;
            life.step = 0;
            ++done;
            if (i % 2 != 0) life.generation = static_cast<std::uint8_t>((life.generation + 1) % 64);
        }
        deliver();
        return done;
    }

  private:
    struct StepKind {
        Direction direction;
        std::uint8_t flags;
    };
    static constexpr std::array<StepKind, 9> kSteps{{{kRequest, flag::kSyn},
                                                     {kReply, flag::kSyn | flag::kAck},
                                                     {kRequest, flag::kAck},
                                                     {kRequest, flag::kAck | flag::kPsh},
                                                     {kReply, flag::kAck | flag::kPsh},
                                                     {kRequest, flag::kAck | flag::kFin},
                                                     {kReply, flag::kAck},
                                                     {kReply, flag::kAck | flag::kFin},
                                                     {kRequest, flag::kAck}}};
    struct Life {
        Connection connection;
        std::uint8_t step = 0, delay = 0, generation = 0;
    };

    void take(Port port, const Seen* seen, std::uint16_t count) override {
        if (port != kNodePort) return;
        for (unsigned k = 0; k < count; ++k) {
            if (seen[k].flags == flag::kSyn) lives_[seen[k].mark].connection = seen[k].connection();
        }
    }

    std::vector<Life> lives_;
    std::uint32_t batch_;
    std::uint32_t next_ = 0;
};

void measure(const Options& options, Report& report, const std::string& name, int ip, std::uint32_t flows, bool full,
             unsigned burst) {
    const Table table = table_of(flows, full);
    const Wire& wire = wire_of(ip, 6);
    Appliance appliance({.capacity_v4 = ip == 4 ? table.capacity() : kLeastCapacity,
                         .capacity_v6 = ip == 6 ? table.capacity() : kLeastCapacity,
                         .burst = burst,
                         .tcp_established_seconds = kLongTimeout});
    appliance.go_online();
    LargeArray<Connection> established(table.established);
    if (full && establish(appliance, wire, 6, established) != established.size()) fail("cannot fill the table");
    const auto start_ms = static_cast<double>(clock_ms());
    std::unique_ptr<Lives> lives;
    if (name == "setup") {
        lives = std::make_unique<Setups>(appliance, wire, burst, start_ms, table.alive);
    } else {
        lives = std::make_unique<Whole>(appliance, wire, burst, start_ms, table.alive);
    }
    const auto ledger = appliance.ledger();
    const double warm = name == "setup" ? 1.2 * table.alive : 1.5 * table.alive;
    for (double done = 0; done < warm;) done += static_cast<double>(lives->batch() + 1);

    const auto drops = appliance.drops();
    const std::uint64_t refused = lives->refused;
    std::vector<double> rates;
    double share = 1, done = 0;
    for (unsigned turn = 0; turn < options.turns(); ++turn) {
        const Timing timing = timed(options.turn_seconds(), [&] { return lives->batch(); });
        rates.push_back(1e9 / timing.ns);
        share = std::min(share, timing.share);
        done += timing.items;
    }
    const auto after = appliance.ledger();
    const double missed = static_cast<double>(lives->refused - refused);
    const std::string dropped = appliance.drops_since(drops);
    const auto in_table = static_cast<double>(appliance.connections(ip));
    lives.reset();
    if (full) {
        const LargeArray<Record> records = shuffled(established.span());
        check_packets(appliance, wire, {records.span(), 0, true, false});
    }
    appliance.go_offline();

    Row row(name);
    row.set("ip", ip)
        .set("proto", "tcp")
        .set("flows", flows)
        .set("table", full ? "90 % full" : "own")
        .set("burst", burst);
    row.set("workers", 1).set("connections_per_second", spread_of(rates));
    row.set("ns_per_connection", 1e9 / spread_of(rates).median).set("refused", missed / std::max(1.0, done + missed));
    row.set("alive", table.alive).set("packets", static_cast<double>(after.received - ledger.received));
    row.set("in_table", in_table).set("capacity", static_cast<double>(appliance.capacity(ip)));
    if (share < kQuiet) row.set("core_share", share);
    if (!dropped.empty()) row.set("dropped", dropped);
    report.add(std::move(row));
}

}  // namespace

void run_connections(const Options& options, Report& report, const std::string& name) {
    std::vector<std::uint32_t> sizes = options.flows;
    if (sizes.empty())
        sizes = options.quick ? std::vector<std::uint32_t>{10'000} : std::vector<std::uint32_t>{10'000, 1'000'000};
    for (std::uint32_t& flows : sizes) {
        if (flows >= kFewest) continue;
        progress(name + ": " + std::to_string(kFewest) + " connections, the fewest, instead of " +
                 std::to_string(flows));
        flows = kFewest;
    }
    for (const int ip : options.ip) {
        for (const unsigned burst : options.bursts) {
            if (!burst_possible(burst)) continue;
            for (const std::uint32_t flows : sizes) measure(options, report, name, ip, flows, false, burst);
            if (!options.quick) measure(options, report, name, ip, sizes.back(), true, burst);
        }
    }
}

}  // namespace guideway::bench
