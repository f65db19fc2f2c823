// Transmitter: collects what leaves through each port and gives it to the driver in bursts.
//
// What the driver does not take is freed and counted (tx_full): waiting would hold up every other port.
// Thread contract: one worker's.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "dataplane/observe/counters.h"
#include "dataplane/worker/plumbing.h"

struct rte_mbuf;

namespace guideway::worker {

class Transmitter {
  public:
    Transmitter(const std::vector<WorkerPort>& ports, observe::CounterBlock& counters);

    /// Takes the packet over. `port` is a port index below the number of ports.
    void send(std::uint16_t port, rte_mbuf* mbuf) noexcept {
        Queue& queue = queues_[port];
        queue.mbufs[queue.count++] = mbuf;
        if (queue.count == kBatch) flush(queue);
    }
    /// Once a poll.
    void flush_all() noexcept {
        for (Queue& queue : queues_) {
            if (queue.count != 0) flush(queue);
        }
    }
    std::size_t ports() const noexcept { return queues_.size(); }

  private:
    static constexpr std::uint16_t kBatch = 64;
    struct Queue {
        std::array<rte_mbuf*, kBatch> mbufs;
        std::uint16_t count = 0;
        std::uint16_t ethdev = 0;
        std::uint16_t tx_queue = kNoQueue;
    };
    void flush(Queue& queue) noexcept;

    std::vector<Queue> queues_;
    observe::CounterBlock& counters_;
};

}  // namespace guideway::worker
