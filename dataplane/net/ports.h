// Ports: the configured NICs as started ethdevs, a transmit queue for each worker, receive queues shared out among them.
//
// Terms:
//   port index   position in the configuration; everything above this module uses it, never the ethdev id.
//   driver       "af_xdp", "af_packet" for a Linux interface; else the PMD's name.
//   bond         a port whose one device is DPDK's bonding driver, over members that are devices of no port (bond.h).
//   software port  frames come from a socket or another program of this machine: their L4 checksums may be unfinished.
//
// A Linux interface with driver = "auto" is tried with AF_XDP, then AF_PACKET; each attempt is verified up to a started device
// with the queues the workers need. attempts() tells what was tried and why it did not do.
//
// Worked example: two workers, a veth with one queue: AF_XDP offers one queue -> "1 queue, 2 workers need 2 (ip link add ...
// numrxqueues 2 numtxqueues 2, or ethtool -L ... combined 2)" -> AF_PACKET with two sockets in a fanout group -> used.
//
// Thread contract: open() and close() from the main thread; the rest is constant in between. counters(), moves() and carries() from any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/counters.h"
#include "dataplane/config/dataplane_config.h"
#include "dataplane/net/steering.h"
#include "dataplane/worker/plumbing.h"

struct rte_mempool;

namespace guideway::net {

class Bond;
class LinuxInterface;

/// One ethdev of a port.
struct Device {
    std::uint16_t ethdev = 0;
    std::uint16_t rx_queues = 0;
    std::uint16_t tx_queues = 0;
    std::string vdev;  ///< the device we made and must remove; empty for PCI
    DeviceRss rss{};
};

struct Port {
    std::string name;
    std::string driver;
    std::uint16_t mtu = 1500;
    std::uint16_t wire_mtu = 1500;  ///< of the device: more, where VLANs' tags need it
    bool mtu_is_set = false;        ///< a Linux interface, which the kernel gave it already
    bool software = false;
    bool scatters = false;  ///< longer frames than a packet buffer come in several
    bool gathers = false;   ///< the driver sends frames in several buffers
    snapshot::MacAddress mac{};
    std::vector<Device> devices;  ///< AF_XDP: one for each queue of the interface; of a VLAN none; else one
    worker::VlanTags tags{};      ///< of a VLAN
    std::size_t lies_on = 0;      ///< of a VLAN: the index of its port, whose devices it uses
    std::shared_ptr<Bond> bond;   ///< of a bonded port
};

/// Bytes of a frame that a buffer must hold for this MTU: Ethernet header and two VLAN tags.
constexpr std::uint32_t frame_bytes(std::uint16_t mtu) { return mtu + 14U + 8U; }

/// Packet buffers for these ports and workers, one kind for all. Where each port's driver takes frames in several buffers they are of
/// DPDK's usual size, whatever the MTU; else as large as the longest frame. Null with `error` where memory does not suffice.
rte_mempool* create_pool(const config::DataplaneConfig& config, std::string& error);

/// Arguments of net_af_packet / net_af_xdp for an interface; pure.
std::string af_packet_arguments(const std::string& interface, unsigned workers, std::uint16_t mtu);
std::string af_xdp_arguments(const std::string& interface, unsigned queue);

/// One port as `worker` of `workers` uses it: receive queues in contiguous shares, the first workers first; pure.
worker::WorkerPort share_of(const Port& port, std::uint32_t worker, std::uint32_t workers);

/// What decide_steering() wants to know of the port; pure.
PortRss rss_of(const Port& port, std::uint32_t workers);

class Ports {
  public:
    Ports();
    ~Ports();  ///< closes
    Ports(const Ports&) = delete;
    Ports& operator=(const Ports&) = delete;

    /// All ports or none. Returns why not, naming the port.
    std::optional<std::string> open(const config::DataplaneConfig& config, rte_mempool* pool);
    /// Stops the devices and gives the interfaces back as they were.
    void close();

    const std::vector<Port>& all() const { return ports_; }
    /// By port index, for one worker.
    std::vector<worker::WorkerPort> for_worker(std::uint32_t worker) const;
    /// By port index, of ports with devices: VLANs come behind them.
    std::vector<PortRss> rss() const;
    /// By port index; the kernel path's counts and those of VLANs, which the workers count, are filled elsewhere.
    std::vector<contract::PortCounters> counters() const;
    /// How often the traffic of a port, or of the one that the VLAN lies on, moved to other members of its bond.
    std::uint64_t moves(std::size_t port) const;
    /// Whether a member of its bond, or of the one below the VLAN, carries; true of ports that are no bonds.
    bool carries(std::size_t port) const;

  private:
    std::optional<std::string> open_port(const config::PortConfig& wanted, Port& port);
    std::optional<std::string> open_interface(const config::PortConfig& wanted, Port& port);
    std::optional<std::string> open_bond(const config::PortConfig& wanted, Port& port);
    /// Makes the interface ours; it is given back by close(), whatever happens then.
    std::optional<std::string> take_interface(const std::string& name, const config::PortConfig& wanted,
                                              const LinuxInterface*& taken);
    std::optional<std::string> open_af_xdp(const std::string& interface, unsigned queues, Port& port);
    /// Makes a virtual device and starts it with `queues` queue pairs.
    std::optional<std::string> open_vdev(const std::string& device, const std::string& arguments, unsigned queues,
                                         Port& port);
    static std::optional<std::string> make_vdev(const std::string& name, const std::string& arguments, Device& device);
    std::optional<std::string> start(Device& device, unsigned queues, Port& port);
    static void remove(Port& port);

    rte_mempool* pool_ = nullptr;
    std::uint32_t workers_ = 0;
    std::vector<Port> ports_;
    std::vector<std::unique_ptr<LinuxInterface>> interfaces_;
};

}  // namespace guideway::net
