#include "dataplane/net/ports.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>
#include <spdlog/spdlog.h>

#include "dataplane/net/linux_interface.h"

namespace guideway::net {
namespace {

constexpr std::uint16_t kDescriptors = 1024;
constexpr std::uint32_t kBuffersAPairMost = 4096 + 2048;  ///< AF_XDP: fill ring, completion ring
constexpr std::uint32_t kBuffersBase = 8192;              ///< rings, packets that wait, caches
constexpr std::uint32_t kCache = 256;

std::string text_of(int error) { return rte_strerror(error < 0 ? -error : error); }

}  // namespace

rte_mempool* create_pool(const config::DataplaneConfig& config, std::string& error) {
    std::uint32_t largest = 1500;
    for (const auto& port : config.ports) largest = std::max<std::uint32_t>(largest, port.mtu);
    const auto room = std::max<std::uint32_t>(RTE_MBUF_DEFAULT_BUF_SIZE,
                                              RTE_PKTMBUF_HEADROOM + frame_bytes(static_cast<std::uint16_t>(largest)));
    const auto pairs = static_cast<std::uint32_t>(config.ports.size()) * config.workers.count;
    std::uint32_t buffers = kBuffersBase + pairs * kBuffersAPairMost;
    // With little memory fewer buffers still forward; below one burst ring a pair nothing would.
    for (const std::uint32_t least = kBuffersBase / 2 + pairs * kDescriptors; buffers >= least;
         buffers = buffers / 4 * 3) {
        rte_mempool* pool =
            rte_pktmbuf_pool_create("packets", buffers, kCache, 0, static_cast<std::uint16_t>(room), SOCKET_ID_ANY);
        if (pool != nullptr) {
            spdlog::info("{} packet buffers of {} bytes", buffers, room);
            return pool;
        }
    }
    error = "memory is short: " + std::to_string(buffers) + " packet buffers of " + std::to_string(room) +
            " bytes do not fit (" + rte_strerror(rte_errno) + "): raise memory.megabytes";
    return nullptr;
}

std::string af_packet_arguments(const std::string& interface, unsigned workers, std::uint16_t mtu) {
    // The kernel puts its header (TPACKET2_HDRLEN and alignment, under 128 bytes) before each frame of the ring.
    const std::uint32_t frame = std::bit_ceil(frame_bytes(mtu) + 128);
    const std::uint32_t block = std::max<std::uint32_t>(frame, 65536);
    return "iface=" + interface + ",qpairs=" + std::to_string(workers) + ",framesz=" + std::to_string(frame) +
           ",blocksz=" + std::to_string(block) + ",framecnt=" + std::to_string(kDescriptors) + ",qdisc_bypass=1";
}

std::string af_xdp_arguments(const std::string& interface, unsigned queues) {
    // Busy polling of the socket would keep the kernel's softirq work waiting for a worker that sleeps.
    return "iface=" + interface + ",start_queue=0,queue_count=" + std::to_string(queues) + ",busy_budget=0";
}

Ports::Ports() = default;
Ports::~Ports() { close(); }

std::optional<std::string> Ports::open(const config::DataplaneConfig& config, rte_mempool* pool) {
    pool_ = pool;
    workers_ = config.workers.count;
    for (const auto& wanted : config.ports) {
        Port port;
        port.name = wanted.name;
        port.mtu = wanted.mtu;
        std::optional<std::string> error;
        if (wanted.kind == config::PortKind::interface) {
            error = open_interface(wanted, port);
        } else if (wanted.kind == config::PortKind::vdev) {
            const auto comma = wanted.device.find(',');
            error = open_vdev(wanted.device.substr(0, comma),
                              comma == std::string::npos ? "" : wanted.device.substr(comma + 1), port);
            port.software = true;
        } else {
            if (rte_eth_dev_get_port_by_name(wanted.device.c_str(), &port.ethdev) != 0) {
                error = "no DPDK device at " + wanted.device + " (bind it: dpdk-devbind.py -b vfio-pci " +
                        wanted.device + ")";
            } else {
                error = configure(port);
            }
        }
        if (error) {
            close();
            return "port '" + wanted.name + "': " + *error;
        }
        spdlog::info("port '{}': {} by {}, {} receive and {} transmit queues, MTU {}", port.name, wanted.device,
                     port.driver, port.rx_queues, port.tx_queues, port.mtu);
        ports_.push_back(port);
    }
    return std::nullopt;
}

std::optional<std::string> Ports::open_interface(const config::PortConfig& wanted, Port& port) {
    auto interface = std::make_unique<LinuxInterface>(wanted.device);
    const auto unusable = interface->take(wanted.mtu);
    for (const auto& warning : interface->warnings()) spdlog::warn("port '{}': {}", wanted.name, warning);
    const LinuxInterface& kernel = *interface;
    interfaces_.push_back(std::move(interface));  // given back by close(), whatever happens now
    if (unusable) return unusable;

    using config::InterfaceDriver;
    port.software = true;
    std::string refused;
    if (wanted.driver != InterfaceDriver::af_packet) {
        std::optional<std::string> error;
        if (const unsigned queues = kernel.queues(); queues < workers_) {
            error = std::to_string(queues) + " queue(s), " + std::to_string(workers_) +
                    " workers need one each (ethtool -L " + wanted.device + " combined " + std::to_string(workers_) +
                    "; a veth: ip link add ... numrxqueues " + std::to_string(workers_) + " numtxqueues " +
                    std::to_string(workers_) + ")";
        } else {
            // A socket for each queue there is: what comes in on a queue without one goes to the kernel.
            port.rx_queues = static_cast<std::uint16_t>(queues);
            error = open_vdev("net_af_xdp_" + wanted.name, af_xdp_arguments(wanted.device, queues), port);
        }
        if (!error) {
            port.driver = "af_xdp";
            return std::nullopt;
        }
        if (wanted.driver == InterfaceDriver::af_xdp) return "AF_XDP: " + *error;
        spdlog::warn("port '{}': AF_XDP does not do ({}); trying AF_PACKET", wanted.name, *error);
        refused = "AF_XDP: " + *error + "; ";
    }
    if (const auto error =
            open_vdev("net_af_packet_" + wanted.name, af_packet_arguments(wanted.device, workers_, wanted.mtu), port)) {
        return refused + "AF_PACKET: " + *error;
    }
    port.driver = "af_packet";
    return std::nullopt;
}

std::optional<std::string> Ports::open_vdev(const std::string& device, const std::string& arguments, Port& port) {
    if (const int error = rte_eal_hotplug_add("vdev", device.c_str(), arguments.c_str()); error != 0) {
        return "DPDK could not make " + device + " (" + arguments + "): " + text_of(error);
    }
    port.vdev = device;
    std::optional<std::string> failure;
    if (rte_eth_dev_get_port_by_name(device.c_str(), &port.ethdev) != 0) {
        failure = "DPDK made " + device + " but no Ethernet device of it";
    } else {
        failure = configure(port);
    }
    if (failure) remove(port);
    return failure;
}

std::optional<std::string> Ports::configure(Port& port) {
    rte_eth_dev_info info{};
    if (const int error = rte_eth_dev_info_get(port.ethdev, &info); error != 0)
        return "device information: " + text_of(error);
    port.driver = info.driver_name != nullptr ? info.driver_name : "";
    const std::uint32_t wanted = std::max<std::uint32_t>(port.rx_queues, workers_);
    port.rx_queues = static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted, info.max_rx_queues));
    port.tx_queues = static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted, info.max_tx_queues));
    if (port.tx_queues < workers_) {
        return std::to_string(info.max_tx_queues) + " transmit queue(s), " + std::to_string(workers_) +
               " workers need one each";
    }
    rte_eth_conf settings{};
    if (port.rx_queues > 1 && info.flow_type_rss_offloads != 0) {
        settings.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
        settings.rx_adv_conf.rss_conf.rss_hf =
            info.flow_type_rss_offloads & (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_SCTP);
    }
    if (const int error = rte_eth_dev_configure(port.ethdev, port.rx_queues, port.tx_queues, &settings); error != 0) {
        return "configuring " + std::to_string(port.rx_queues) + " receive and " + std::to_string(port.tx_queues) +
               " transmit queues: " + text_of(error);
    }
    if (const int error = rte_eth_dev_set_mtu(port.ethdev, port.mtu); error != 0 && error != -ENOTSUP) {
        return "MTU " + std::to_string(port.mtu) + ": " + text_of(error);
    }
    std::uint16_t rx = kDescriptors;
    std::uint16_t tx = kDescriptors;
    rte_eth_dev_adjust_nb_rx_tx_desc(port.ethdev, &rx, &tx);
    const int socket = rte_eth_dev_socket_id(port.ethdev);
    const auto node = static_cast<unsigned>(socket < 0 ? SOCKET_ID_ANY : socket);
    for (std::uint16_t queue = 0; queue < port.rx_queues; ++queue) {
        if (const int error = rte_eth_rx_queue_setup(port.ethdev, queue, rx, node, nullptr, pool_); error != 0) {
            return "receive queue " + std::to_string(queue) + ": " + text_of(error);
        }
    }
    for (std::uint16_t queue = 0; queue < port.tx_queues; ++queue) {
        if (const int error = rte_eth_tx_queue_setup(port.ethdev, queue, tx, node, nullptr); error != 0) {
            return "transmit queue " + std::to_string(queue) + ": " + text_of(error);
        }
    }
    if (const int error = rte_eth_dev_start(port.ethdev); error != 0) return "start: " + text_of(error);
    if (const int error = rte_eth_promiscuous_enable(port.ethdev); error != 0 && error != -ENOTSUP) {
        spdlog::warn("port '{}': not promiscuous ({}); frames to other MAC addresses are not seen", port.name,
                     text_of(error));
    }
    rte_ether_addr mac{};
    if (const int error = rte_eth_macaddr_get(port.ethdev, &mac); error != 0) return "MAC address: " + text_of(error);
    std::copy_n(mac.addr_bytes, port.mac.size(), port.mac.begin());
    return std::nullopt;
}

void Ports::remove(Port& port) {
    if (rte_eth_dev_is_valid_port(port.ethdev) != 0) {
        rte_eth_promiscuous_disable(port.ethdev);
        rte_eth_dev_stop(port.ethdev);
        rte_eth_dev_close(port.ethdev);
    }
    if (!port.vdev.empty()) rte_eal_hotplug_remove("vdev", port.vdev.c_str());
    port.vdev.clear();
}

void Ports::close() {
    for (Port& port : ports_) remove(port);
    ports_.clear();
    for (auto& interface : interfaces_) interface->restore();
    interfaces_.clear();
}

std::vector<worker::WorkerPort> Ports::for_worker(std::uint32_t worker) const {
    std::vector<worker::WorkerPort> list;
    for (const Port& port : ports_) {
        worker::WorkerPort entry;
        entry.ethdev = port.ethdev;
        const std::uint32_t first = (worker * port.rx_queues + workers_ - 1) / workers_;
        const std::uint32_t end = ((worker + 1) * port.rx_queues + workers_ - 1) / workers_;
        entry.rx_queue = first < end ? static_cast<std::uint16_t>(first) : worker::kNoQueue;
        entry.rx_queue_count = static_cast<std::uint16_t>(end - first);
        entry.tx_queue = worker < port.tx_queues ? static_cast<std::uint16_t>(worker) : worker::kNoQueue;
        entry.unfinished_checksums_possible = port.software;
        entry.mac = port.mac;
        list.push_back(entry);
    }
    return list;
}

std::vector<contract::PortCounters> Ports::counters() const {
    std::vector<contract::PortCounters> list;
    for (const Port& port : ports_) {
        contract::PortCounters counters;
        counters.name = port.name;
        counters.driver = port.driver;
        rte_eth_link link{};
        counters.link_up = rte_eth_link_get_nowait(port.ethdev, &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
        rte_eth_stats stats{};
        if (rte_eth_stats_get(port.ethdev, &stats) == 0) {
            counters.rx_packets = stats.ipackets;
            counters.rx_bytes = stats.ibytes;
            counters.rx_missed = stats.imissed;
            counters.rx_errors = stats.ierrors + stats.rx_nombuf;
            counters.tx_packets = stats.opackets;
            counters.tx_bytes = stats.obytes;
            counters.tx_errors = stats.oerrors;
        }
        list.push_back(std::move(counters));
    }
    return list;
}

}  // namespace guideway::net
