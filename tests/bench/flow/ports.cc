#include "tests/bench/flow/ports.h"

#include <array>
#include <cstdio>
#include <cstdlib>

#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/worker/memory.h"

namespace guideway::bench {
namespace {

constexpr unsigned kBuffersAQueue = 4096;
constexpr unsigned kBufferCache = 256;
constexpr std::size_t kBufferBytes = std::size_t{12} << 20;  // 4096 buffers of some 2.4 KiB

struct Nic {
    std::array<std::array<NicQueue, kMostQueues>, kPorts> queues;
    std::array<std::array<void*, kMostQueues>, kPorts> queue_data;
    std::array<std::uint16_t, kPorts> ethdev{};
    std::array<rte_mempool*, kMostQueues> pools{};
    worker::Memory memory;
};
Nic the_nic;

std::uint16_t receive(void* queue, rte_mbuf** mbufs, std::uint16_t most) {
    Source* source = static_cast<NicQueue*>(queue)->source;
    return source == nullptr ? std::uint16_t{0} : source->receive(mbufs, most);
}

std::uint16_t transmit(void* queue, rte_mbuf** mbufs, std::uint16_t count) {
    auto* to = static_cast<NicQueue*>(queue);
    if (to->sink == nullptr) {
        free_burst(mbufs, count);
    } else {
        to->sink->send(to->port, mbufs, count);
    }
    return count;
}

/// In large pages, which EAL cannot have without hugetlbfs; packed, not one in each small page, which would give all headers the
/// same few sets of the cache.
rte_mempool* make_pool(std::uint16_t queue) {
    const std::string name = "buffers" + std::to_string(queue);
    rte_mempool* pool = rte_mempool_create_empty(
        name.c_str(), kBuffersAQueue, sizeof(rte_mbuf) + RTE_MBUF_DEFAULT_BUF_SIZE, kBufferCache,
        sizeof(rte_pktmbuf_pool_private), SOCKET_ID_ANY, RTE_MEMPOOL_F_NO_IOVA_CONTIG);
    if (pool == nullptr) fail("no memory for packet buffers");
    if (rte_mempool_set_ops_byname(pool, "ring_mp_mc", nullptr) != 0) fail("packet buffers: no ring");
    rte_pktmbuf_pool_init(pool, nullptr);
    char* start = reinterpret_cast<char*>(the_nic.memory.bytes().data()) + queue * kBufferBytes;
    const int populated = rte_mempool_populate_virt(pool, start, kBufferBytes, std::size_t{2} << 20, nullptr, nullptr);
    if (populated < static_cast<int>(kBuffersAQueue))
        fail("packet buffers: " + std::to_string(populated) + " of " + std::to_string(kBuffersAQueue) +
             " fit into their memory");
    rte_mempool_obj_iter(pool, rte_pktmbuf_init, nullptr);
    return pool;
}

void open_port(Port port) {
    std::array<rte_ring*, kMostQueues> rings{};
    for (std::uint16_t queue = 0; queue < kMostQueues; ++queue) {
        const std::string name = "nic" + std::to_string(port) + "_" + std::to_string(queue);
        rings[queue] = rte_ring_create(name.c_str(), 64, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
        if (rings[queue] == nullptr) fail("no memory for a ring");
    }
    const int id = rte_eth_from_rings(("nic" + std::to_string(port)).c_str(), rings.data(), kMostQueues, rings.data(),
                                      kMostQueues, 0);
    if (id < 0) fail("cannot make an ethdev port");
    const auto ethdev = static_cast<std::uint16_t>(id);
    the_nic.ethdev[port] = ethdev;
    const rte_eth_conf configuration{};
    if (rte_eth_dev_configure(ethdev, kMostQueues, kMostQueues, &configuration) != 0) fail("cannot configure a port");
    for (std::uint16_t queue = 0; queue < kMostQueues; ++queue) {
        if (rte_eth_rx_queue_setup(ethdev, queue, 64, 0, nullptr, the_nic.pools[0]) != 0 ||
            rte_eth_tx_queue_setup(ethdev, queue, 64, 0, nullptr) != 0) {
            fail("cannot set a queue up");
        }
    }
    if (rte_eth_dev_start(ethdev) != 0) fail("cannot start a port");

    for (std::uint16_t queue = 0; queue < kMostQueues; ++queue) {
        the_nic.queues[port][queue].port = port;
        the_nic.queue_data[port][queue] = &the_nic.queues[port][queue];
    }
    auto& calls = rte_eth_fp_ops[ethdev];
    calls.rx_pkt_burst = receive;
    calls.tx_pkt_burst = transmit;
    calls.rxq.data = calls.txq.data = the_nic.queue_data[port].data();
}

}  // namespace

void fail(const std::string& what) {
    std::fprintf(stderr, "flow_bench: %s\n", what.c_str());
    std::_Exit(1);
}

void open_nic(const std::vector<unsigned>& cores, bool verbose) {
    std::string list;
    for (const unsigned core : cores) list += (list.empty() ? "" : ",") + std::to_string(core);
    std::vector<std::string> words{"flow_bench",
                                   "--no-huge",
                                   "--no-shconf",
                                   "--no-telemetry",
                                   "--no-pci",
                                   "--iova-mode=va",
                                   "-m",
                                   "64",
                                   "-l",
                                   list,
                                   "--main-lcore",
                                   std::to_string(cores.front()),
                                   verbose ? "--log-level=info" : "--log-level=error"};
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) fail("DPDK does not start");
    the_nic.memory = worker::Memory(kBufferBytes * kMostQueues);
    if (!the_nic.memory.ok()) fail("no memory for packet buffers");
    for (std::uint16_t queue = 0; queue < kMostQueues; ++queue) the_nic.pools[queue] = make_pool(queue);
    for (const Port port : {kClientPort, kNodePort}) open_port(port);
}

NicQueue& nic(Port port, std::uint16_t queue) { return the_nic.queues[port][queue]; }
std::uint16_t ethdev_of(Port port) { return the_nic.ethdev[port]; }
rte_mempool* buffers(std::uint16_t queue) { return the_nic.pools[queue]; }
std::span<const std::byte> buffer_memory() { return the_nic.memory.bytes(); }

void free_burst(rte_mbuf** mbufs, std::uint16_t count) {
    rte_mempool_put_bulk(mbufs[0]->pool, reinterpret_cast<void**>(mbufs), count);
}

}  // namespace guideway::bench
