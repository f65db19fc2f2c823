// KernelPath: moves frames between the workers' rings and the TAP twins.
//
// The poll path makes no system call for the kernel's packets: it puts them on a ring, this thread writes them to the TAP;
// what the kernel sends is read here and put on worker 0's ring, mbuf->port being the port index in both directions.
// The thread sleeps in epoll on the TAPs; the rings are looked at when it wakes, each 100 us while there is traffic and
// each millisecond when there is none.
//
// Worked example (ARP for the appliance's own address): NIC -> worker: not ours -> to_kernel ring -> TAP gw-client0 -> the
// kernel answers -> TAP -> from_kernel ring -> worker 0 -> NIC.
//
// Thread contract: start() and stop() from the main thread, counts from any.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/net/tap.h"

struct rte_mbuf;
struct rte_mempool;
struct rte_ring;

namespace guideway::net {

struct KernelPathPort {
    Tap tap;
    std::uint16_t mtu = 1500;
};

struct KernelPathCounts {
    std::uint64_t to_kernel = 0;
    std::uint64_t from_kernel = 0;
    std::uint64_t refused = 0;  ///< by the kernel's TAP: kernel_path_refused
    std::uint64_t full = 0;     ///< no buffer, or worker 0's ring full: kernel_path_full
};

class KernelPath {
  public:
    /// `to_kernel`: one ring a worker.
    KernelPath(std::vector<KernelPathPort> ports, std::vector<rte_ring*> to_kernel, rte_ring* from_kernel,
               rte_mempool* pool);
    ~KernelPath();  ///< stops
    KernelPath(const KernelPath&) = delete;
    KernelPath& operator=(const KernelPath&) = delete;

    std::optional<std::string> start();
    void stop();

    std::vector<KernelPathCounts> counts() const;  ///< by port index

    /// A frame of our own for the wire of a port, by the way that the kernel's frames take; on it within a millisecond. From any
    /// thread. False: kMostWaiting wait already.
    bool send(std::size_t port, std::span<const std::uint8_t> frame);
    static constexpr std::size_t kMostWaiting = 256;

  private:
    struct Counters {
        std::atomic<std::uint64_t> to_kernel{0}, from_kernel{0}, refused{0}, full{0};
    };

    void run();
    bool drain_rings();
    bool drain_tap(std::size_t port);
    bool drain_own();
    bool put_on_wire(std::size_t port, std::span<const std::uint8_t> frame);
    bool read(std::size_t port, void* data, std::size_t size, std::size_t& length);
    void write_frame(rte_mbuf* frame);

    std::vector<KernelPathPort> ports_;
    std::vector<rte_ring*> to_kernel_;
    rte_ring* from_kernel_;
    rte_mempool* pool_;
    std::unique_ptr<Counters[]> counters_;
    std::vector<std::uint8_t> read_buffer_;  ///< the thread's
    int epoll_ = -1;
    int wake_ = -1;
    struct OwnFrame {
        std::size_t port;
        std::vector<std::uint8_t> bytes;
    };
    std::mutex own_mutex_;
    std::deque<OwnFrame> own_;
    std::thread thread_;
};

}  // namespace guideway::net
