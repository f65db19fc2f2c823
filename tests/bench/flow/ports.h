// The in-process NIC: two ethdev ports whose receive and transmit functions are the benchmark's own.
//
// Two ports of the ring driver are configured and started as any, then the burst functions that the inline rte_eth_rx_burst() and
// rte_eth_tx_burst() read from rte_eth_fp_ops are replaced. So the worker runs through the very calls that it makes in the product.
//
// Terms: a Source makes the frames that a queue receives, as a NIC's DMA would; a Sink takes what is transmitted and gives the
// buffers back. Both are called once a burst.
//
// Example:  open_nic({0, 1}, 1);  nic(kClientPort, 0).source = &generator;  worker.poll_once(now);
// Thread contract: open_nic() from the main thread; afterwards each queue belongs to the thread that polls it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tests/bench/flow/plan.h"

struct rte_mbuf;
struct rte_mempool;

namespace guideway::bench {

class Source {
  public:
    virtual ~Source() = default;
    virtual std::uint16_t receive(rte_mbuf** to, std::uint16_t most) = 0;
};

class Sink {
  public:
    virtual ~Sink() = default;
    virtual void send(Port port, rte_mbuf** mbufs, std::uint16_t count) = 0;
};

inline constexpr std::uint16_t kMostQueues = 2;

/// One queue of one port; the index of a queue is that of its worker.
struct NicQueue {
    Source* source = nullptr;  ///< none: receives nothing
    Sink* sink = nullptr;      ///< none: frees
    Port port = kClientPort;
};

/// Starts DPDK on the cores (the first is the main thread's) and opens the ports. Exits with a message where that fails.
void open_nic(const std::vector<unsigned>& cores, bool verbose);
NicQueue& nic(Port port, std::uint16_t queue);
std::uint16_t ethdev_of(Port port);
/// Packet buffers of one worker: few, so that they stay in the cache.
rte_mempool* buffers(std::uint16_t queue);
std::span<const std::byte> buffer_memory();

/// Gives the buffers of a burst back at once, as a driver with RTE_ETH_TX_OFFLOAD_MBUF_FAST_FREE does.
void free_burst(rte_mbuf** mbufs, std::uint16_t count);

[[noreturn]] void fail(const std::string& what);

}  // namespace guideway::bench
