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

#include "dataplane/net/bond.h"
#include "dataplane/net/device_rss.h"
#include "dataplane/net/linux_interface.h"

namespace guideway::net {
namespace {

constexpr std::uint16_t kDescriptors = 1024;
constexpr std::uint32_t kBuffersAPairMost = 4096 + 2048;  ///< AF_XDP: fill ring, completion ring
constexpr std::uint32_t kBuffersBase = 8192;              ///< rings, packets that wait, caches
constexpr std::uint32_t kCache = 256;

/// Of AF_PACKET's ring. The kernel puts its header (TPACKET2_HDRLEN and alignment, under 128 bytes) before each frame.
std::uint32_t ring_frame(std::uint16_t mtu) { return std::bit_ceil(frame_bytes(mtu) + 128); }

std::optional<std::string> find_pci(const std::string& address, std::uint16_t& ethdev) {
    if (rte_eth_dev_get_port_by_name(address.c_str(), &ethdev) == 0) return std::nullopt;
    return "no DPDK device at " + address + " (bind it: dpdk-devbind.py -b vfio-pci " + address + ")";
}

std::string text_of(int error) { return rte_strerror(error < 0 ? -error : error); }

bool takes_segments(const rte_eth_dev_info& info) {
    return (info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_SCATTER) != 0 &&
           (info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
}

/// "net_tap0,iface=x": the name and what is behind it.
std::pair<std::string, std::string> vdev_of(const std::string& device) {
    const auto comma = device.find(',');
    return {device.substr(0, comma), comma == std::string::npos ? "" : device.substr(comma + 1)};
}

bool device_takes_segments(const std::string& name) {
    std::uint16_t ethdev = 0;
    rte_eth_dev_info info{};
    return rte_eth_dev_get_port_by_name(name.c_str(), &ethdev) == 0 && rte_eth_dev_info_get(ethdev, &info) == 0 &&
           takes_segments(info);
}

/// Before the port is opened. A virtual device must be made to be asked; it is opened later, with the buffers.
bool takes_segments(const config::PortConfig& port) {
    if (port.is_of_interfaces()) return false;
    if (port.kind == config::PortKind::bond) return std::ranges::all_of(port.bond.members, device_takes_segments);
    if (port.kind == config::PortKind::pci) return device_takes_segments(port.device);
    const auto [vdev, arguments] = vdev_of(port.device);
    if (rte_eal_hotplug_add("vdev", vdev.c_str(), arguments.c_str()) != 0) return false;
    const bool takes = device_takes_segments(vdev);
    rte_eal_hotplug_remove("vdev", vdev.c_str());
    return takes;
}

/// Bytes of a buffer that hold any frame of the port: of one with VLANs theirs too.
std::uint32_t room_for(const config::PortConfig& port) {
    // AF_PACKET's driver wants buffers as large as the ring's frames, whatever the MTU.
    const bool by_ring = port.is_of_interfaces() && port.driver != config::InterfaceDriver::af_xdp;
    return RTE_PKTMBUF_HEADROOM + (by_ring ? ring_frame(port.wire_mtu) : frame_bytes(port.wire_mtu));
}

}  // namespace

rte_mempool* create_pool(const config::DataplaneConfig& config, std::string& error) {
    std::uint32_t room = RTE_MBUF_DEFAULT_BUF_SIZE;
    std::uint32_t longest = 0;
    for (const auto& port : config.ports) {
        if (port.kind == config::PortKind::vlan) continue;
        longest = std::max(longest, room_for(port));
        if (room_for(port) > room && !takes_segments(port)) room = room_for(port);
    }
    const std::uint32_t per_frame = (longest - 1) / room + 1;  // buffers
    std::uint32_t pairs = 0;
    for (const auto& port : config.ports) {
        if (port.kind == config::PortKind::vlan) continue;
        const bool by_queue =
            port.kind == config::PortKind::interface && port.driver != config::InterfaceDriver::af_packet;
        const auto devices = static_cast<std::uint32_t>(std::max<std::size_t>(port.bond.members.size(), 1));
        pairs += std::max<std::uint32_t>(config.workers.count * devices,
                                         by_queue ? LinuxInterface(port.device).queues() : 1);
    }
    // What fragments may hold is beside what the rings need: else a flood of them would leave the ports nothing to receive into.
    const auto held =
        static_cast<std::uint32_t>(std::uint64_t{config.workers.count} * config.fragments.held_kilobytes * 1024 / room);
    std::uint32_t buffers = kBuffersBase * per_frame + pairs * kBuffersAPairMost + held;
    // With little memory fewer buffers still forward; below one burst ring a pair nothing would.
    for (const std::uint32_t least = kBuffersBase / 2 + pairs * kDescriptors + held; buffers >= least;
         buffers = buffers / 4 * 3) {
        // DPDK's devices want memory too, and panic without: large buffers must not take all of it.
        if (std::uint64_t{buffers} * (room + 256) > std::uint64_t{config.memory.megabytes} * (768 << 10)) continue;
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
    const std::uint32_t frame = ring_frame(mtu);
    const std::uint32_t block = std::max<std::uint32_t>(frame, 65536);
    return "iface=" + interface + ",qpairs=" + std::to_string(workers) + ",framesz=" + std::to_string(frame) +
           ",blocksz=" + std::to_string(block) + ",framecnt=" + std::to_string(kDescriptors) + ",qdisc_bypass=1";
}

std::string af_xdp_arguments(const std::string& interface, unsigned queue) {
    // Busy polling of the socket would keep the kernel's softirq work waiting for a worker that sleeps.
    return "iface=" + interface + ",start_queue=" + std::to_string(queue) + ",queue_count=1,busy_budget=0";
}

worker::WorkerPort share_of(const Port& port, std::uint32_t worker, std::uint32_t workers) {
    worker::WorkerPort share;
    share.unfinished_checksums_possible = port.software;
    share.mac = port.mac;
    share.drives_bond = port.bond != nullptr;
    std::vector<worker::RxQueue> rx;
    std::vector<worker::RxQueue> tx;
    for (const Device& device : port.devices) {
        for (std::uint16_t queue = 0; queue < device.rx_queues; ++queue) rx.push_back({device.ethdev, queue});
        for (std::uint16_t queue = 0; queue < device.tx_queues; ++queue) tx.push_back({device.ethdev, queue});
    }
    const std::size_t first = (worker * rx.size() + workers - 1) / workers;
    const std::size_t end = ((worker + 1) * rx.size() + workers - 1) / workers;
    // The transmit queue is on the device of the first receive queue, where there is one.
    if (const std::size_t own = first < end && port.devices.size() > 1 ? first : worker; own < tx.size()) {
        share.ethdev = tx[own].ethdev;
        share.tx_queue = tx[own].queue;
    }
    for (std::size_t i = first; i < end; ++i) {
        if (i == first && rx[i].ethdev == share.ethdev) {
            share.rx_queue = rx[i].queue;
        } else {
            share.further_rx.push_back(rx[i]);
        }
    }
    return share;
}

PortRss rss_of(const Port& port, std::uint32_t workers) {
    PortRss result{port.name, {}, {}};
    if (port.devices.size() != 1) {
        result.rss.why_not = port.driver + " has one device a queue and does not tell how they are chosen";
        return result;
    }
    const Device& device = port.devices.front();
    result.rss = device.rss;
    result.worker_of_queue.resize(device.rx_queues);
    for (std::uint32_t worker = 0; worker < workers; ++worker) {
        const worker::WorkerPort share = share_of(port, worker, workers);
        if (share.rx_queue != worker::kNoQueue)
            result.worker_of_queue[share.rx_queue] = static_cast<std::uint16_t>(worker);
        for (const worker::RxQueue& further : share.further_rx)
            result.worker_of_queue[further.queue] = static_cast<std::uint16_t>(worker);
    }
    return result;
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
        port.wire_mtu = wanted.wire_mtu;
        if (wanted.kind == config::PortKind::vlan) {
            const Port& below = ports_[wanted.lies_on];
            port.driver = "vlan";
            port.mac = below.mac;
            port.tags = {wanted.vlan_outer, wanted.vlan_id};
            port.lies_on = wanted.lies_on;
            spdlog::info("port '{}': VLAN {}{} of port '{}', MTU {}", port.name, wanted.vlan_id,
                         wanted.vlan_outer == 0 ? "" : " in outer " + std::to_string(wanted.vlan_outer), below.name,
                         port.mtu);
            ports_.push_back(std::move(port));
            continue;
        }
        if (const auto error = open_port(wanted, port)) {
            remove(port);
            close();
            return "port '" + wanted.name + "': " + *error;
        }
        std::size_t rx = 0;
        std::size_t tx = 0;
        for (const Device& device : port.devices) {
            rx += device.rx_queues;
            tx += device.tx_queues;
        }
        spdlog::info("port '{}': {} by {}, {} receive and {} transmit queues, MTU {}", port.name, wanted.device,
                     port.driver, rx, tx, port.mtu);
        ports_.push_back(std::move(port));
    }
    return std::nullopt;
}

std::optional<std::string> Ports::open_port(const config::PortConfig& wanted, Port& port) {
    if (wanted.kind == config::PortKind::interface) return open_interface(wanted, port);
    if (wanted.kind == config::PortKind::vdev) {
        port.software = true;
        const auto [name, arguments] = vdev_of(wanted.device);
        return open_vdev(name, arguments, workers_, port);
    }
    if (wanted.kind == config::PortKind::bond) return open_bond(wanted, port);
    Device device;
    if (const auto missing = find_pci(wanted.device, device.ethdev)) return missing;
    const auto error = start(device, workers_, port);
    port.devices.push_back(device);
    return error;
}

std::optional<std::string> Ports::take_interface(const std::string& name, const config::PortConfig& wanted,
                                                 const LinuxInterface*& taken) {
    auto interface = std::make_unique<LinuxInterface>(name);
    const auto unusable = interface->take(wanted.wire_mtu);
    for (const auto& warning : interface->warnings()) spdlog::warn("port '{}': {}", wanted.name, warning);
    taken = interface.get();
    interfaces_.push_back(std::move(interface));
    return unusable;
}

std::optional<std::string> Ports::open_bond(const config::PortConfig& wanted, Port& port) {
    const bool of_interfaces = wanted.is_of_interfaces();
    port.bond = std::make_shared<Bond>(wanted.name, wanted.bond);
    port.software = port.mtu_is_set = of_interfaces;
    std::vector<const LinuxInterface*> kernel;
    for (std::size_t i = 0; i < wanted.bond.members.size(); ++i) {
        const std::string& name = wanted.bond.members[i];
        Device member;
        if (of_interfaces) {
            if (const auto unusable = take_interface(name, wanted, kernel.emplace_back())) return unusable;
            if (const auto error = make_vdev("net_af_packet_" + wanted.name + "_" + std::to_string(i),
                                             af_packet_arguments(name, workers_, wanted.wire_mtu), member)) {
                return "member " + name + ": AF_PACKET: " + *error;
            }
        } else if (const auto missing = find_pci(name, member.ethdev)) {
            return missing;
        }
        port.bond->add(name, member.ethdev, member.vdev, of_interfaces ? kernel.back() : nullptr);
    }
    Device device;
    auto error = port.bond->create(device.vdev, device.ethdev);
    if (!error) error = start(device, workers_, port);
    if (!device.vdev.empty()) port.devices.push_back(std::move(device));
    // The bonding driver gave them DPDK's own.
    for (const LinuxInterface* interface : kernel) {
        if (!error) error = interface->set_mtu(wanted.wire_mtu);
    }
    return error ? error : port.bond->watch(port.mac, pool_);
}

std::optional<std::string> Ports::open_interface(const config::PortConfig& wanted, Port& port) {
    const LinuxInterface* kernel = nullptr;
    if (const auto unusable = take_interface(wanted.device, wanted, kernel)) return unusable;

    using config::InterfaceDriver;
    port.software = true;
    port.mtu_is_set = true;
    std::string refused;
    if (wanted.driver != InterfaceDriver::af_packet) {
        const auto error = open_af_xdp(wanted.device, kernel->queues(), port);
        if (!error) {
            port.driver = "af_xdp";
            return std::nullopt;
        }
        remove(port);
        if (wanted.driver == InterfaceDriver::af_xdp) return "AF_XDP: " + *error;
        spdlog::warn("port '{}': AF_XDP does not do ({}); trying AF_PACKET", wanted.name, *error);
        refused = "AF_XDP: " + *error + "; ";
    }
    if (const auto error = open_vdev("net_af_packet_" + wanted.name,
                                     af_packet_arguments(wanted.device, workers_, wanted.wire_mtu), workers_, port)) {
        return refused + "AF_PACKET: " + *error;
    }
    port.driver = "af_packet";
    return std::nullopt;
}

std::optional<std::string> Ports::open_af_xdp(const std::string& interface, unsigned queues, Port& port) {
    if (queues < workers_) {
        const std::string count = std::to_string(workers_);
        return std::to_string(queues) + " queue(s), " + count + " workers need one each (ethtool -L " + interface +
               " combined " + count + "; a veth: ip link add ... numrxqueues " + count + " numtxqueues " + count + ")";
    }
    // A socket for each queue there is: what comes in on a queue without one goes to the kernel. A device for each, since the
    // driver takes a veth, which has no "combined" queues, for one with a single queue.
    for (unsigned queue = 0; queue < queues; ++queue) {
        if (auto error = open_vdev("net_af_xdp_" + port.name + "_" + std::to_string(queue),
                                   af_xdp_arguments(interface, queue), 1, port)) {
            return "queue " + std::to_string(queue) + ": " + *error;
        }
    }
    return std::nullopt;
}

std::optional<std::string> Ports::make_vdev(const std::string& name, const std::string& arguments, Device& device) {
    if (const int error = rte_eal_hotplug_add("vdev", name.c_str(), arguments.c_str()); error != 0) {
        return "DPDK could not make " + name + " (" + arguments + "): " + text_of(error);
    }
    if (rte_eth_dev_get_port_by_name(name.c_str(), &device.ethdev) != 0) {
        rte_eal_hotplug_remove("vdev", name.c_str());
        return "DPDK made " + name + " but no Ethernet device of it";
    }
    device.vdev = name;
    return std::nullopt;
}

std::optional<std::string> Ports::open_vdev(const std::string& name, const std::string& arguments, unsigned queues,
                                            Port& port) {
    Device device;
    if (auto error = make_vdev(name, arguments, device)) return error;
    const auto error = start(device, queues, port);
    port.devices.push_back(std::move(device));
    return error;
}

std::optional<std::string> Ports::start(Device& device, unsigned queues, Port& port) {
    rte_eth_dev_info info{};
    if (const int error = rte_eth_dev_info_get(device.ethdev, &info); error != 0)
        return "device information: " + text_of(error);
    port.driver = info.driver_name != nullptr ? info.driver_name : "";
    if (info.max_tx_queues < queues) {
        return std::to_string(info.max_tx_queues) + " transmit queue(s), " + std::to_string(queues) + " are needed";
    }
    device.tx_queues = static_cast<std::uint16_t>(queues);
    device.rx_queues = static_cast<std::uint16_t>(std::min<unsigned>(queues, info.max_rx_queues));
    rte_eth_conf settings{};
    RssKeyBuffer key;
    ask_for_offloads(info, device.rx_queues, settings, key);
    // A bond gives its members at their start what it was configured with; before that they cannot be asked.
    const bool mtu_is_set = port.mtu_is_set || port.bond != nullptr;
    if (port.bond != nullptr && !port.mtu_is_set) settings.rxmode.mtu = port.wire_mtu;
    // Only where it is needed: drivers have faster ways for frames in one buffer each.
    const bool longer = RTE_PKTMBUF_HEADROOM + frame_bytes(port.wire_mtu) > rte_pktmbuf_data_room_size(pool_);
    if (longer && takes_segments(info)) {
        settings.rxmode.offloads |= RTE_ETH_RX_OFFLOAD_SCATTER;
        settings.txmode.offloads |= RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
        port.scatters = port.gathers = true;
    }
    int refused = rte_eth_dev_configure(device.ethdev, device.rx_queues, device.tx_queues, &settings);
    if (refused != 0 && settings.rx_adv_conf.rss_conf.rss_key != nullptr) {
        settings.rx_adv_conf.rss_conf.rss_key = nullptr;  // the driver's own key, then
        settings.rx_adv_conf.rss_conf.rss_key_len = 0;
        refused = rte_eth_dev_configure(device.ethdev, device.rx_queues, device.tx_queues, &settings);
    }
    if (refused != 0) {
        return "configuring " + std::to_string(device.rx_queues) + " receive and " + std::to_string(device.tx_queues) +
               " transmit queues: " + text_of(refused);
    }
    // DPDK takes AF_PACKET for a driver of frames of 1518 bytes at the most, which it is not: no larger MTU could be asked for.
    const int mtu_error = mtu_is_set ? 0 : rte_eth_dev_set_mtu(device.ethdev, port.wire_mtu);
    if (mtu_error != 0 && mtu_error != -ENOTSUP) {
        return "MTU " + std::to_string(port.wire_mtu) + ": " + text_of(mtu_error);
    }
    std::uint16_t rx = kDescriptors;
    // The bonding driver takes a buffer of its own for each; AF_PACKET, whose ring is set by its arguments, needs none.
    std::uint16_t tx = port.bond != nullptr && port.software ? kDescriptors / 16 : kDescriptors;
    rte_eth_dev_adjust_nb_rx_tx_desc(device.ethdev, &rx, &tx);
    const int socket = rte_eth_dev_socket_id(device.ethdev);
    const auto node = static_cast<unsigned>(socket < 0 ? SOCKET_ID_ANY : socket);
    for (std::uint16_t queue = 0; queue < device.rx_queues; ++queue) {
        if (const int error = rte_eth_rx_queue_setup(device.ethdev, queue, rx, node, nullptr, pool_); error != 0) {
            return "receive queue " + std::to_string(queue) + ": " + text_of(error);
        }
    }
    for (std::uint16_t queue = 0; queue < device.tx_queues; ++queue) {
        if (const int error = rte_eth_tx_queue_setup(device.ethdev, queue, tx, node, nullptr); error != 0) {
            return "transmit queue " + std::to_string(queue) + ": " + text_of(error);
        }
    }
    if (const int error = rte_eth_dev_start(device.ethdev); error != 0) return "start: " + text_of(error);
    if (const int error = rte_eth_promiscuous_enable(device.ethdev); error != 0 && error != -ENOTSUP) {
        spdlog::warn("port '{}': not promiscuous ({}); frames to other MAC addresses are not seen", port.name,
                     text_of(error));
    }
    device.rss = settle_rss(device.ethdev, info, device.rx_queues);
    rte_ether_addr mac{};
    if (const int error = rte_eth_macaddr_get(device.ethdev, &mac); error != 0) return "MAC address: " + text_of(error);
    std::copy_n(mac.addr_bytes, port.mac.size(), port.mac.begin());
    return std::nullopt;
}

void Ports::remove(Port& port) {
    if (port.bond) port.bond->unwatch();
    for (const Device& device : port.devices) {
        rte_eth_promiscuous_disable(device.ethdev);
        rte_eth_dev_stop(device.ethdev);
        rte_eth_dev_close(device.ethdev);
        if (!device.vdev.empty()) rte_eal_hotplug_remove("vdev", device.vdev.c_str());
    }
    port.devices.clear();
    port.bond.reset();  // the members, which the bonding device has let go
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
        const Port& below = port.tags.id == 0 ? port : ports_[port.lies_on];
        worker::WorkerPort share = share_of(below, worker, workers_);
        share.one_buffer_only = !below.gathers && std::ranges::any_of(ports_, &Port::scatters);
        if (port.tags.id != 0) {
            share.rx_queue = worker::kNoQueue;
            share.further_rx.clear();
            share.drives_bond = false;
            share.tags = port.tags;
            share.lies_on = static_cast<std::uint16_t>(port.lies_on);
        }
        list.push_back(std::move(share));
    }
    return list;
}

std::vector<PortRss> Ports::rss() const {
    std::vector<PortRss> list;
    for (const Port& port : ports_) {
        if (port.tags.id == 0) list.push_back(rss_of(port, workers_));
    }
    return list;
}

std::vector<contract::PortCounters> Ports::counters() const {
    std::vector<contract::PortCounters> list;
    for (const Port& port : ports_) {
        contract::PortCounters counters;
        counters.name = port.name;
        counters.driver = port.driver;
        if (port.tags.id != 0) counters.link_up = list[port.lies_on].link_up;
        for (const Device& device : port.devices) {
            rte_eth_link link{};
            if (!port.bond && rte_eth_link_get_nowait(device.ethdev, &link) == 0 && link.link_status == RTE_ETH_LINK_UP)
                counters.link_up = true;
            rte_eth_stats stats{};
            if (rte_eth_stats_get(device.ethdev, &stats) != 0) continue;
            counters.rx_packets += stats.ipackets;
            counters.rx_bytes += stats.ibytes;
            counters.rx_missed += stats.imissed;
            counters.rx_errors += stats.ierrors + stats.rx_nombuf;
            counters.tx_packets += stats.opackets;
            counters.tx_bytes += stats.obytes;
            counters.tx_errors += stats.oerrors;
        }
        if (port.bond) {
            counters.link_up = port.bond->carries();
            counters.bond = port.bond->status();
        }
        list.push_back(std::move(counters));
    }
    return list;
}

std::uint64_t Ports::moves(std::size_t port) const {
    const Port& below = ports_[port].tags.id == 0 ? ports_[port] : ports_[ports_[port].lies_on];
    return below.bond ? below.bond->moves() : 0;
}

bool Ports::carries(std::size_t port) const {
    const Port& below = ports_[port].tags.id == 0 ? ports_[port] : ports_[ports_[port].lies_on];
    return !below.bond || below.bond->carries();
}

}  // namespace guideway::net
