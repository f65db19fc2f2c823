// DataplaneConfig: the `dataplane` section of guideway.cfg as typed values.
//
// One file configures all programs of an appliance; the `controlplane` section is the other program's and passed over here.
// Every mistake is reported with file, line, field, what was found and what is allowed, all of them at once; unknown keys are
// refused. configs/guideway.cfg is the commented sample.
//
// Terms:
//   port       a NIC the dataplane drives: a Linux interface, a PCI device, a DPDK virtual device, or a bond of several.
//   bond       two to eight interfaces or PCI devices, its members, that are one port.
//   VLAN       tagged frames of a port: a port of its own for everything but the device, behind all real ports in `ports`.
//   side       of the appliance's two networks, where they are kept apart: the clients' or the nodes'.
//   TAP twin   the kernel's end of a port, named "gw-" + the port's name; carries the appliance's own addresses.
// Thread contract: plain values, written once at start.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::config {

enum class PortKind : std::uint8_t { interface, pci, vdev, vlan, bond };
enum class InterfaceDriver : std::uint8_t { automatic, af_xdp, af_packet };
enum class BondMode : std::uint8_t { active_backup, lacp };
enum class HugePages : std::uint8_t { automatic, require, never };
enum class Idle : std::uint8_t { busy, adaptive };
enum class SourceCheck : std::uint8_t { off, loose, strict };
enum class Replies : std::uint8_t { routes, last_hop };
enum class EchoReplies : std::uint8_t { always, never, while_serving };
enum class Side : std::uint8_t { none, clients, nodes };

struct RouteConfig {
    IpPrefix to;    ///< host bits clear
    IpAddress via;  ///< of the same family
    friend bool operator==(const RouteConfig&, const RouteConfig&) = default;
};

struct BondConfig {
    static constexpr std::size_t kMostMembers = 8;

    BondMode mode = BondMode::active_backup;
    PortKind kind = PortKind::interface;  ///< of all members: interface or pci
    std::vector<std::string> members;     ///< interfaces or PCI addresses, in the order of preference
    std::optional<std::size_t> primary;   ///< of active-backup: the member that carries whenever it can
    std::uint32_t up_delay_ms = 1000;     ///< for so long a link must be up before the primary takes over again
    bool fast = true;                     ///< of LACP: the partner is to send each second, silence of three is the end
    friend bool operator==(const BondConfig&, const BondConfig&) = default;
};

struct PortConfig {
    static constexpr std::size_t kLongestName = 12;  ///< so that "gw-" + name fits an interface's name

    std::string name;
    PortKind kind = PortKind::interface;
    std::string
        device;       ///< the interface, the PCI address or the DPDK vdev string; of a bond its members, "eth0 + eth1"
    BondConfig bond;  ///< of a bond
    InterfaceDriver driver = InterfaceDriver::automatic;  ///< of an interface
    std::vector<IpPrefix> addresses;                      ///< of the TAP twin
    std::vector<RouteConfig> routes;                      ///< through the TAP twin
    std::uint16_t mtu = 1500;                             ///< 1280..9000: largest IP packet
    SourceCheck source_check = SourceCheck::off;          ///< of who opens connections (RFC 3704)
    Replies replies = Replies::routes;  ///< by which router packets go to clients that came by the port
    std::uint16_t wire_mtu = 1500;  ///< of the device: the largest IP packet of the port and its VLANs, with their tags
    Side side = Side::none;         ///< all ports and VLANs have one, or none has
    std::uint32_t table = 254;      ///< of the kernel, for routes: the side's, else the main one
    // Of a VLAN:
    std::uint16_t vlan_id = 0;     ///< 1..4094
    std::uint16_t vlan_outer = 0;  ///< the service provider's tag, 1..4094; 0: none
    std::size_t lies_on = 0;       ///< position of its port in DataplaneConfig::ports

    /// Whether AF_PACKET or AF_XDP drives it: an interface, or a bond of some.
    bool is_of_interfaces() const {
        return kind == PortKind::interface || (kind == PortKind::bond && bond.kind == PortKind::interface);
    }
    std::string twin_name() const { return "gw-" + name; }
};

struct WorkersConfig {
    std::uint32_t count = 1;           ///< 1..16
    std::vector<std::uint32_t> cores;  ///< one for each worker; empty: worker i on core i modulo the cores there are
    Idle idle = Idle::adaptive;
};

struct MemoryConfig {
    HugePages huge_pages = HugePages::automatic;
    std::uint32_t megabytes = 256;  ///< 64..1048576: packet buffers and rings
};

/// Seconds after which an idle connection is forgotten, by state.
struct TimeoutsConfig {
    std::uint32_t tcp_opening = 60;
    std::uint32_t tcp_established = 7440;  ///< RFC 5382 REQ-5: not less than 2 h 4 min
    std::uint32_t tcp_closing = 120;
    std::uint32_t tcp_time_wait = 60;
    std::uint32_t tcp_reset = 10;
    std::uint32_t udp_one_way = 30;  ///< the backend has not answered
    std::uint32_t udp = 300;
    std::uint32_t sctp_opening = 60;
    std::uint32_t sctp_established = 7440;
    std::uint32_t sctp_closing = 30;
};

/// Datagrams in fragments, a worker.
struct FragmentsConfig {
    std::uint32_t datagrams = 4096;       ///< known at a time
    std::uint32_t held_kilobytes = 1024;  ///< of fragments that came before their datagram's first
    std::uint32_t hold_milliseconds = 500;
    std::uint32_t remember_seconds = 5;  ///< a datagram after its first fragment
};

struct DataplaneConfig {
    static constexpr std::size_t kMostPorts = 16;
    static constexpr std::size_t kMostPortsAndVlans = 32;
    static constexpr std::size_t kMostSnatAddresses = 64;
    static constexpr std::uint32_t kMostWorkers = 16;

    std::vector<PortConfig> ports;  ///< first the real ones, then the VLANs
    std::vector<IpAddress> snat_addresses;
    WorkersConfig workers;
    MemoryConfig memory;
    std::uint32_t flows_ipv4 = 65536;  ///< connections a worker
    std::uint32_t flows_ipv6 = 65536;
    std::uint32_t flows_half_open =
        0;  ///< whose handshake is not finished, a worker and family; 0: a quarter of the capacity
    /// Clients with session affinity (address and service) that each worker remembers; 0: none, Maglev over the client alone.
    std::uint32_t affinity_clients = 65536;
    std::string flows_file = "auto";      ///< where connections outlive the process: "auto", "none" or a folder
    std::uint32_t limit_services = 4096;  ///< (VIP, protocol, port) triples
    std::uint32_t limit_backends = 4096;  ///< (address, port) of all backend sets together
    TimeoutsConfig timeouts;
    std::uint32_t refusals_per_second = 1000;  ///< RST and port unreachable, a worker; 0 = silence
    std::uint32_t refusals_per_source = 100;   ///< the same, to each source prefix
    std::uint8_t source_prefix_ipv4 = 24;      ///< 8..32: bits of a source address that count
    std::uint8_t source_prefix_ipv6 = 56;      ///< 32..64
    /// For the kernel, a worker, of what it needs least; 0: only routing protocols and TCP under way (kernel_budget.h).
    std::uint32_t kernel_packets_per_second = 20'000;
    std::uint32_t icmp_errors_per_second = 1000;  ///< forwarded ones, and as many made here, a worker; 0 = none
    bool mss_clamp_auto = false;                  ///< tcp_mss_clamp = "auto": by the ports' MTU
    std::uint16_t mss_clamp = 0;                  ///< or no more than this, 88..8960; 0: any
    EchoReplies echo = EchoReplies::always;       ///< pings of VIPs
    std::uint32_t announce_repeats = 3;           ///< of each address that comes into use on a link, in all; 0: none
    std::uint32_t announce_per_second = 1000;     ///< announcements at most
    bool conflict_yield = false;  ///< on_conflict = "yield": a VIP that another machine goes on claiming is left to it
    std::uint32_t conflict_quiet_seconds = 60;  ///< without a claim: then it is asked whether anybody has it
    FragmentsConfig fragments;
    std::uint32_t clients_table = 1001;  ///< of the kernel, for routes: where ports have sides
    std::uint32_t nodes_table = 1002;    ///< also the mark of sockets that are to reach nodes (SO_MARK)
    std::string control_socket = "/run/guideway/dataplane.sock";
    std::string state_file = "/var/lib/guideway/forwarding-state.json";
    std::string log_level = "info";

    /// Clients' and nodes' side are two networks.
    bool sides_apart() const { return !ports.empty() && ports.front().side != Side::none; }
    /// At most this many half-open connections where `capacity` fit: at least 1.
    std::uint32_t half_open_of(std::uint32_t capacity) const {
        return flows_half_open != 0 ? flows_half_open : capacity < 4 ? 1 : capacity / 4;
    }
};

struct LoadedConfig {
    std::optional<DataplaneConfig> config;  ///< none where there is a fault
    std::string report;                     ///< all faults, one a line: "file:line: field: found ..., allowed ..."
};

LoadedConfig load_dataplane_config(const std::string& path);
/// `name` stands for the file in the report.
LoadedConfig parse_dataplane_config(std::string_view text, const std::string& name);

}  // namespace guideway::config
