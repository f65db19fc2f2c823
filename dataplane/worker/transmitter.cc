#include "dataplane/worker/transmitter.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace guideway::worker {

Transmitter::Transmitter(const std::vector<WorkerPort>& ports, observe::CounterBlock& counters)
    : count_(ports.size()), counters_(counters) {
    for (std::size_t port = 0; port < count_; ++port) {
        queues_.at(port).ethdev = ports[port].ethdev;
        queues_.at(port).tx_queue = ports[port].tx_queue;
    }
}

void Transmitter::flush(Queue& queue) noexcept {
    std::uint16_t sent = 0;
    const auto count = static_cast<std::uint16_t>(queue.count);
    if (queue.tx_queue != kNoQueue) {
        // In bursts: drivers have rings of a size, and some take but so much at a time.
        while (sent < count) {
            const auto part = static_cast<std::uint16_t>(count - sent < kMostBurst ? count - sent : kMostBurst);
            const std::uint16_t taken = rte_eth_tx_burst(queue.ethdev, queue.tx_queue, queue.mbufs.data() + sent, part);
            sent = static_cast<std::uint16_t>(sent + taken);
            if (taken < part) break;
        }
    }
    counters_.totals().tx_packets.add(sent);
    for (std::uint16_t i = sent; i < count; ++i) {
        counters_.drop(observe::DropReason::tx_full);
        rte_pktmbuf_free(queue.mbufs[i]);
    }
    queue.count = 0;
}

}  // namespace guideway::worker
