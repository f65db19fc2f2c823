#include "dataplane/worker/transmitter.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace guideway::worker {

Transmitter::Transmitter(const std::vector<WorkerPort>& ports, observe::CounterBlock& counters) : counters_(counters) {
    for (const WorkerPort& port : ports) {
        Queue queue{};
        queue.ethdev = port.ethdev;
        queue.tx_queue = port.tx_queue;
        queues_.push_back(queue);
    }
}

void Transmitter::flush(Queue& queue) noexcept {
    std::uint16_t sent = 0;
    if (queue.tx_queue != kNoQueue) {
        sent = rte_eth_tx_burst(queue.ethdev, queue.tx_queue, queue.mbufs.data(), queue.count);
    }
    counters_.totals().tx_packets.add(sent);
    for (std::uint16_t i = sent; i < queue.count; ++i) {
        counters_.drop(observe::DropReason::tx_full);
        rte_pktmbuf_free(queue.mbufs[i]);
    }
    queue.count = 0;
}

}  // namespace guideway::worker
