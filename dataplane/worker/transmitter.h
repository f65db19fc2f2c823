// Transmitter: collects what leaves through each port and gives it to the driver in bursts.
//
// What the driver does not take is freed and counted (tx_full): waiting would hold up every other port. A VLAN's tags are put in
// front here, at the last moment: everything before sees untagged frames.
// Thread contract: one worker's.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "dataplane/observe/counters.h"
#include "dataplane/worker/burst.h"
#include "dataplane/worker/plumbing.h"

struct rte_mbuf;

namespace guideway::worker {

class Transmitter {
  public:
    Transmitter(const std::vector<WorkerPort>& ports, observe::CounterBlock& counters);

    /// Takes the packet over. `port` is a port index below the number of ports.
    void send(std::uint16_t port, rte_mbuf* mbuf) noexcept {
        Queue& queue = queues_[port];
        if (queue.count >= kRoom) [[unlikely]]
            flush(queue);
        queue.mbufs[queue.count++] = mbuf;
    }
    /// Makes room for a burst of send_at_once().
    void prepare(std::uint32_t packets) noexcept {
        for (std::size_t port = 0; port < count_; ++port) {
            if (queues_[port].count + packets > kRoom) flush(queues_[port]);
        }
    }
    /// As send(), for as many packets as were prepared for.
    void send_at_once(std::uint16_t port, rte_mbuf* mbuf) noexcept {
        Queue& queue = queues_[port];
        queue.mbufs[queue.count] = mbuf;
        ++queue.count;
    }
    /// Once a poll.
    void flush_all() noexcept {
        for (std::size_t port = 0; port < count_; ++port) {
            if (queues_[port].count != 0) flush(queues_[port]);
        }
    }
    /// Once a millisecond: what drivers of bonds have to send themselves leaves with a burst, if with an empty one.
    void drive_bonds() noexcept {
        if (bond_count_ != 0) [[unlikely]]
            give_empty_bursts();
    }
    std::size_t ports() const noexcept { return count_; }
    /// What has not been given to the driver yet, in order.
    std::span<rte_mbuf* const> waiting(std::size_t port) const noexcept {
        return {queues_[port].mbufs.data(), queues_[port].count};
    }

  private:
    static constexpr std::uint32_t kRoom = 126;
    struct alignas(64) Queue {
        std::uint32_t count = 0;
        std::uint16_t ethdev = 0;
        std::uint16_t tx_queue = kNoQueue;
        std::array<rte_mbuf*, kRoom> mbufs;
    };
    static_assert(sizeof(Queue) == 1024 && kRoom >= kMostBurst);
    void flush(Queue& queue) noexcept;
    void give_empty_bursts() noexcept;
    std::uint64_t put_tags(Queue& queue, const VlanTags& tags) noexcept;
    void make_single(Queue& queue) noexcept;

    std::size_t count_;
    std::array<Queue, kMaxPorts> queues_;
    std::array<VlanTags, kMaxPorts> tags_{};
    std::array<std::uint8_t, kMaxPorts> bonds_{};  ///< port indices
    std::size_t bond_count_ = 0;
    std::array<bool, kMaxPorts> one_buffer_only_{};
    observe::CounterBlock& counters_;
};

}  // namespace guideway::worker
