// Traffic: scripts of single packets, sinks that learn and check, and true handshakes.
//
// Thread contract: one thread, that of the worker of the queue.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/bench/flow/appliance.h"
#include "tests/bench/flow/large_array.h"
#include "tests/bench/flow/wire.h"

namespace guideway::bench {

/// Sends steps in the order they were added.
class ScriptSource final : public Source {
  public:
    ScriptSource(const Wire& wire, Port port, std::uint16_t queue) : wire_(wire), port_(port), queue_(queue) {}
    void add(const Step& step) { steps_.push_back(step); }
    bool empty() const { return next_ == steps_.size(); }
    std::size_t waiting() const { return steps_.size() - next_; }
    std::uint16_t receive(rte_mbuf** to, std::uint16_t most) override;

  private:
    const Wire& wire_;
    Port port_;
    std::uint16_t queue_;
    std::vector<Step> steps_;
    std::size_t next_ = 0;
};

/// Reads each packet, then frees it.
class ReadSink final : public Sink {
  public:
    using Take = std::function<void(Port, const Seen*, std::uint16_t)>;
    ReadSink(const Wire& wire, Take take) : wire_(wire), take_(std::move(take)) {}
    void send(Port port, rte_mbuf** mbufs, std::uint16_t count) override;

  private:
    const Wire& wire_;
    Take take_;
};

/// Checks marked packets of random sources byte for byte.
class CheckSink final : public Sink {
  public:
    CheckSink(const Wire& wire, const RandomTraffic& traffic) : wire_(wire), traffic_(traffic) {}
    void send(Port port, rte_mbuf** mbufs, std::uint16_t count) override;
    std::uint64_t checked = 0;
    std::string wrong;  ///< the first

  private:
    const Wire& wire_;
    RandomTraffic traffic_;
};

/// Milliseconds for poll_once(), from the time stamp counter as in the product.
std::uint64_t clock_ms();

/// Sources and sinks of one worker's queue on both ports; removed on destruction.
class Plugged {
  public:
    Plugged(std::uint16_t queue, Source* client_side, Source* node_side, Sink* sink);
    ~Plugged();
    Plugged(const Plugged&) = delete;
    Plugged& operator=(const Plugged&) = delete;

  private:
    std::uint16_t queue_;
};

/// Opens the connections of `indices` (or 0, 1, 2, ...) through worker 0 by handshakes (UDP: a packet each way) and writes down what
/// became of them. Returns how many it could open; those after the first refusals may be missing.
std::size_t establish(Appliance& appliance, const Wire& wire, int protocol, std::span<Connection> connections,
                      std::span<const std::uint32_t> indices = {});

/// All connections (of clients `indices`, or 0, 1, 2, ...) in random order, for random sources.
LargeArray<Record> shuffled(std::span<const Connection> connections, std::span<const std::uint32_t> indices = {});

/// For --spoil: check_packets() then damages one packet that came out, so it must fail.
inline bool spoil_a_packet = false;

/// Sends some thousand marked packets through the worker and compares what comes out. Fails the benchmark where anything is wrong.
std::uint64_t check_packets(Appliance& appliance, const Wire& wire, const RandomTraffic& traffic);

}  // namespace guideway::bench
