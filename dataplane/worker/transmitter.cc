#include "dataplane/worker/transmitter.h"

#include <rte_ethdev.h>
#include <rte_mbuf.h>

#include "dataplane/worker/vlan.h"

namespace guideway::worker {

static_assert(observe::kMostVlanPorts == kMaxPorts);

Transmitter::Transmitter(const std::vector<WorkerPort>& ports, observe::CounterBlock& counters)
    : count_(ports.size()), counters_(counters) {
    for (std::size_t port = 0; port < count_; ++port) {
        queues_.at(port).ethdev = ports[port].ethdev;
        queues_.at(port).tx_queue = ports[port].tx_queue;
        tags_.at(port) = ports[port].tags;
        if (ports[port].drives_bond && ports[port].tx_queue != kNoQueue)
            bonds_.at(bond_count_++) = static_cast<std::uint8_t>(port);
        one_buffer_only_.at(port) = ports[port].one_buffer_only;
    }
}

/// In front of every frame of the queue; one without room for them goes. Returns the bytes of the others, without tags.
std::uint64_t Transmitter::put_tags(Queue& queue, const VlanTags& tags) noexcept {
    std::uint32_t kept = 0;
    std::uint64_t bytes = 0;
    for (std::uint32_t i = 0; i < queue.count; ++i) {
        rte_mbuf* mbuf = queue.mbufs[i];
        if (vlan::put_in_front(mbuf, tags)) [[likely]] {
            queue.mbufs[kept++] = mbuf;
            bytes += rte_pktmbuf_pkt_len(mbuf) - tags.bytes();
        } else {
            counters_.drop(observe::DropReason::tag_room_missing);
            rte_pktmbuf_free(mbuf);
        }
    }
    queue.count = kept;
    return bytes;
}

/// Frames of several buffers into their first; one that does not fit goes.
void Transmitter::make_single(Queue& queue) noexcept {
    std::uint32_t kept = 0;
    for (std::uint32_t i = 0; i < queue.count; ++i) {
        rte_mbuf* mbuf = queue.mbufs[i];
        if (rte_pktmbuf_linearize(mbuf) == 0) [[likely]] {
            queue.mbufs[kept++] = mbuf;
        } else {
            counters_.drop(observe::DropReason::frame_too_long);
            rte_pktmbuf_free(mbuf);
        }
    }
    queue.count = kept;
}

void Transmitter::give_empty_bursts() noexcept {
    for (std::size_t i = 0; i < bond_count_; ++i) {
        const Queue& queue = queues_[bonds_[i]];
        rte_eth_tx_burst(queue.ethdev, queue.tx_queue, nullptr, 0);
    }
}

void Transmitter::flush(Queue& queue) noexcept {
    const auto port = static_cast<std::size_t>(&queue - queues_.data());
    const VlanTags& tags = tags_[port];
    if (one_buffer_only_[port]) [[unlikely]]
        make_single(queue);
    std::uint64_t vlan_bytes = 0;
    if (tags.id != 0) [[unlikely]]
        vlan_bytes = put_tags(queue, tags);
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
        vlan_bytes -= rte_pktmbuf_pkt_len(queue.mbufs[i]) - tags.bytes();  // of no meaning on other ports
        rte_pktmbuf_free(queue.mbufs[i]);
    }
    if (tags.id != 0) [[unlikely]] {
        counters_.vlan(port).sent.packets.add(sent);
        counters_.vlan(port).sent.bytes.add(vlan_bytes);
    }
    queue.count = 0;
}

}  // namespace guideway::worker
