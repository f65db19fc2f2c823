#include "dataplane/config/dataplane_config.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <iterator>
#include <map>
#include <set>
#include <utility>

#include "api/config/reader.h"

namespace guideway::config {
namespace {

constexpr std::int64_t kLongestTimeout = 7 * 24 * 3600;

bool is_port_name(std::string_view text) {
    const auto good = [](unsigned char c) { return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.'; };
    return !text.empty() && text.size() <= PortConfig::kLongestName && std::ranges::all_of(text, good) &&
           std::isalnum(static_cast<unsigned char>(text.front())) != 0;
}

bool is_interface_name(std::string_view text) {
    const auto good = [](unsigned char c) { return std::isgraph(c) != 0 && c != '/' && c != ':' && c != ','; };
    return !text.empty() && text.size() <= 15 && std::ranges::all_of(text, good) && text != "." && text != "..";
}

/// "0000:03:00.0" or "03:00.0".
bool is_pci_address(std::string_view text) {
    if (text.size() == 7) return is_pci_address("0000:" + std::string(text));
    if (text.size() != 12) return false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        const bool good = i == 4 || i == 7 ? c == ':'
                          : i == 10        ? c == '.'
                                           : std::isxdigit(static_cast<unsigned char>(c)) != 0;
        if (!good) return false;
    }
    return text[11] >= '0' && text[11] <= '7';
}

bool is_absolute_path(std::string_view text) { return text.size() > 1 && text.front() == '/' && text.back() != '/'; }

bool is_socket_path(std::string_view text) { return is_absolute_path(text) && text.size() <= 107; }

bool is_interface_address(std::string_view text) {
    const auto prefix = IpPrefix::parse(text);
    return prefix && prefix->length > 0 && !prefix->address.is_unspecified() && !prefix->address.is_multicast() &&
           !prefix->address.is_loopback() && !prefix->address.is_broadcast();
}

bool is_destination(std::string_view text) {
    const auto prefix = IpPrefix::parse(text);
    return prefix && prefix->network() == *prefix && !(prefix->length > 0 && prefix->address.is_multicast());
}

bool is_gateway(std::string_view text) {
    const auto address = IpAddress::parse(text);
    return address && !address->is_unspecified() && !address->is_multicast() && !address->is_loopback();
}

bool is_snat_address(std::string_view text) {
    const auto address = IpAddress::parse(text);
    return address && address->is_usable_unicast();
}

const Allowed kPortName = matching(is_port_name, "1..12 letters, digits, '-', '_' or '.', the first a letter or digit");
const Allowed kInterface = matching(is_interface_name, "the name of a Linux interface, 1..15 characters");
const Allowed kPci = matching(is_pci_address, "a PCI address such as \"0000:03:00.0\"");
const Allowed kVdev =
    matching([](std::string_view text) { return text.starts_with("net_") || text.starts_with("eth_"); },
             "a DPDK virtual device such as \"net_tap0,iface=tap0\"");
const Allowed kInterfaceAddress =
    matching(is_interface_address, "a unicast address with its prefix length, \"192.0.2.1/24\"");
const Allowed kDestination = matching(is_destination, "a prefix without host bits, \"0.0.0.0/0\"");
const Allowed kGateway = matching(is_gateway, "the unicast address of a router");
const Allowed kSnatAddress = matching(is_snat_address, "a unicast IPv4 or IPv6 address without prefix length");
const Allowed kPath = matching(is_absolute_path, "an absolute path");
const Allowed kSocketPath = matching(is_socket_path, "an absolute path of at most 107 characters");

const Allowed kFlowFile =
    matching([](std::string_view text) { return text == "auto" || text == "none" || is_absolute_path(text); },
             "\"auto\", \"none\" or the absolute path of a folder on hugetlbfs or tmpfs");

void read_bond(Section bond, PortConfig& port) {
    BondConfig& out = port.bond;
    if (!bond.has("mode")) bond.fault("mode", "missing, allowed \"active-backup\" or \"lacp\"");
    const std::string mode = bond.string_or("mode", "active-backup", one_of({"active-backup", "lacp"}));
    if (mode == "lacp") out.mode = BondMode::lacp;
    bool first = true;
    for (Section& member : bond.groups("members", 2, BondConfig::kMostMembers)) {
        const bool both = member.has("interface") && member.has("pci");
        const bool is_pci = member.has("pci");
        const auto interface = member.optional_string("interface", kInterface);
        const auto pci = member.optional_string("pci", kPci);
        if (both || (!member.has("interface") && !is_pci)) {
            member.fault(both ? "pci" : "interface", (both ? std::string("found beside \"interface\"") : "missing") +
                                                         ", allowed one of interface, pci");
            continue;
        }
        const PortKind kind = is_pci ? PortKind::pci : PortKind::interface;
        if (first) out.kind = kind;
        first = false;
        if (kind != out.kind) {
            member.fault(is_pci ? "pci" : "interface",
                         "found beside members of the other kind, allowed members of one kind");
            continue;
        }
        const std::string device = (is_pci ? pci : interface).value_or("");
        if (device.empty()) continue;
        if (std::ranges::find(out.members, device) != out.members.end()) {
            member.fault(is_pci ? "pci" : "interface", "found \"" + device + "\" twice, allowed once");
            continue;
        }
        port.device += (port.device.empty() ? "" : " + ") + device;
        out.members.push_back(device);
    }
    if (bond.has("primary")) {
        const std::string primary = bond.required_string("primary");
        const auto found = std::ranges::find(out.members, primary);
        if (mode == "lacp") {
            bond.fault("primary",
                       "found beside mode \"lacp\", in which all members carry: allowed with \"active-backup\"");
        } else if (!primary.empty() && found == out.members.end()) {
            bond.fault("primary", "found \"" + primary + "\", allowed one of the members");
        } else if (!primary.empty()) {
            out.primary = static_cast<std::size_t>(found - out.members.begin());
        }
    }
    out.up_delay_ms = static_cast<std::uint32_t>(bond.integer_or("up_delay_ms", out.up_delay_ms, 0, 600'000));
    if (bond.has("up_delay_ms") && mode == "lacp") {
        bond.fault("up_delay_ms", "found beside mode \"lacp\", allowed with \"active-backup\"");
    }
    out.fast = bond.string_or("lacp_rate", "fast", one_of({"fast", "slow"})) == "fast";
    if (bond.has("lacp_rate") && mode != "lacp") {
        bond.fault("lacp_rate", "found beside mode \"active-backup\", allowed with \"lacp\"");
    }
}

/// Exactly one of the four ways to name the device.
void read_device(Section& section, PortConfig& port) {
    const std::pair<const char*, PortKind> ways[] = {
        {"interface", PortKind::interface}, {"pci", PortKind::pci}, {"vdev", PortKind::vdev}};
    const Allowed* const allowed[] = {&kInterface, &kPci, &kVdev};
    std::string found;
    for (std::size_t i = 0; i < std::size(ways); ++i) {
        const auto device = section.optional_string(ways[i].first, *allowed[i]);
        if (!section.has(ways[i].first)) continue;
        if (!found.empty()) {
            section.fault(ways[i].first,
                          "found beside \"" + found + "\", allowed exactly one of interface, pci, vdev, bond");
            continue;
        }
        found = ways[i].first;
        port.kind = ways[i].second;
        port.device = device.value_or("");
    }
    if (section.has("bond")) {
        if (!found.empty()) {
            section.fault("bond", "found beside \"" + found + "\", allowed exactly one of interface, pci, vdev, bond");
        } else {
            port.kind = PortKind::bond;
        }
        found = "bond";
        read_bond(section.required_group("bond"), port);
    }
    if (found.empty()) section.fault("interface", "missing, allowed exactly one of interface, pci, vdev, bond");

    const std::string driver = section.string_or("driver", "auto", one_of({"auto", "af_xdp", "af_packet"}));
    if (driver == "af_xdp") port.driver = InterfaceDriver::af_xdp;
    if (driver == "af_packet") port.driver = InterfaceDriver::af_packet;
    if (section.has("driver") && !port.is_of_interfaces()) {
        section.fault("driver", "found \"" + driver + "\", allowed only beside interface");
    }
    if (port.kind != PortKind::bond) return;
    if (port.driver == InterfaceDriver::af_xdp) {
        section.fault("driver",
                      "found \"af_xdp\" beside bond, allowed \"auto\" or \"af_packet\": with AF_XDP each queue is a "
                      "device of its own, and a member is one device");
    }
    if (port.is_of_interfaces()) port.driver = InterfaceDriver::af_packet;  // with "auto" too
}

void read_addresses(Section& section, PortConfig& port) {
    const auto texts = section.strings("addresses", kInterfaceAddress, 0, 64);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const IpPrefix prefix = *IpPrefix::parse(texts[i]);
        const auto same = [&](const IpPrefix& other) { return other.address == prefix.address; };
        if (std::ranges::any_of(port.addresses, same)) {
            section.fault("addresses", i, "found \"" + texts[i] + "\" twice, allowed once");
        } else {
            port.addresses.push_back(prefix);
        }
    }
}

void read_routes(Section& section, PortConfig& port) {
    for (Section& route : section.groups("routes", 0, 256)) {
        const auto to = IpPrefix::parse(route.required_string("to", kDestination));
        const auto via = IpAddress::parse(route.required_string("via", kGateway));
        if (!to || !via) continue;
        if (to->address.family != via->family) {
            route.fault("via", "found \"" + via->to_string() + "\", allowed an address of the family of \"to\"");
            continue;
        }
        const bool reachable = via->is_link_local() || std::ranges::any_of(port.addresses, [&](const IpPrefix& own) {
                                   return own.address.family == via->family && own.network().contains(*via);
                               });
        if (!reachable) {
            route.fault("via", "found \"" + via->to_string() + "\", allowed an address within the port's own prefixes");
            continue;
        }
        port.routes.push_back({*to, *via});
    }
}

/// What must be there once among all ports and VLANs.
struct Taken {
    std::set<std::string> names;
    std::map<std::string, std::string> devices;
    std::map<IpAddress, std::string> addresses;
};

void take_name(Section& section, const PortConfig& port, Taken& taken) {
    if (!port.name.empty() && !taken.names.insert(port.name).second) {
        section.fault("name", "found \"" + port.name + "\" twice, allowed one port of a name");
    }
}

void take_devices(Section& section, const PortConfig& port, Taken& taken) {
    const char* key = port.kind == PortKind::interface ? "interface"
                      : port.kind == PortKind::pci     ? "pci"
                      : port.kind == PortKind::bond    ? "bond"
                                                       : "vdev";
    const std::vector<std::string> devices =
        port.kind == PortKind::bond ? port.bond.members : std::vector<std::string>{port.device};
    for (const std::string& device : devices) {
        if (device.empty()) continue;
        const auto [other, fresh] = taken.devices.emplace(device, port.name);
        if (!fresh) section.fault(key, "found \"" + device + "\", which port \"" + other->second + "\" has already");
        if (port.is_of_interfaces() && device == port.twin_name()) {
            section.fault(key, "found \"" + device + "\", which is the name of the port's own TAP twin");
        }
    }
}

/// What ports and VLANs have alike.
void read_interface(Section& section, PortConfig& port, Taken& taken) {
    const std::string check = section.string_or("source_check", "off", one_of({"off", "loose", "strict"}));
    if (check == "loose") port.source_check = SourceCheck::loose;
    if (check == "strict") port.source_check = SourceCheck::strict;
    if (section.string_or("replies", "routes", one_of({"routes", "last_hop"})) == "last_hop")
        port.replies = Replies::last_hop;
    const std::string side = section.string_or("side", "", one_of({"clients", "nodes"}));
    if (side == "clients") port.side = Side::clients;
    if (side == "nodes") port.side = Side::nodes;
    read_addresses(section, port);
    read_routes(section, port);
    for (const IpPrefix& own : port.addresses) {
        const auto [other, fresh] = taken.addresses.emplace(own.address, port.name);
        if (!fresh) {
            section.fault("addresses",
                          "found " + own.address.to_string() + ", which port \"" + other->second + "\" has already");
        }
    }
}

std::string tags_text(const PortConfig& vlan) {
    const std::string id = std::to_string(vlan.vlan_id);
    return vlan.vlan_outer == 0 ? id : id + " in outer " + std::to_string(vlan.vlan_outer);
}

void read_vlans(Section& section, PortConfig& port, std::size_t position, std::vector<PortConfig>& vlans,
                Taken& taken) {
    std::vector<PortConfig> own;
    for (Section& group : section.groups("vlans", 0, DataplaneConfig::kMostPortsAndVlans)) {
        PortConfig vlan;
        vlan.kind = PortKind::vlan;
        vlan.lies_on = position;
        if (!group.has("id")) {
            group.fault("id", "missing, allowed 1..4094");
        }
        vlan.vlan_id = static_cast<std::uint16_t>(group.integer_or("id", 1, 1, 4094));
        if (group.has("outer")) vlan.vlan_outer = static_cast<std::uint16_t>(group.integer_or("outer", 1, 1, 4094));
        const std::string outer = vlan.vlan_outer == 0 ? "" : std::to_string(vlan.vlan_outer) + ".";
        const std::string usual = port.name + "." + outer + std::to_string(vlan.vlan_id);
        if (group.has("name")) {
            vlan.name = group.required_string("name", kPortName);
        } else if (is_port_name(usual)) {
            vlan.name = usual;
        } else {
            group.fault("name", "missing, and \"" + usual + "\" is too long, allowed " +
                                    std::to_string(PortConfig::kLongestName) + " characters");
        }
        take_name(group, vlan, taken);
        const auto same = [&](const PortConfig& other) {
            return other.vlan_id == vlan.vlan_id && other.vlan_outer == vlan.vlan_outer;
        };
        if (group.has("id") && std::ranges::any_of(own, same)) {
            group.fault("id", "found " + tags_text(vlan) + " twice, allowed one VLAN of these tags on a port");
        }
        vlan.mtu = vlan.wire_mtu = static_cast<std::uint16_t>(group.integer_or("mtu", port.mtu, 1280, 9000));
        const int tags = vlan.vlan_outer == 0 ? 4 : 8;
        port.wire_mtu = std::max(port.wire_mtu, static_cast<std::uint16_t>(vlan.mtu + tags));
        read_interface(group, vlan, taken);
        own.push_back(vlan);
    }
    if (!own.empty() && port.driver == InterfaceDriver::af_xdp) {
        section.fault("driver",
                      "found \"af_xdp\" beside vlans, allowed \"auto\" or \"af_packet\": AF_XDP does not show "
                      "tags that the interface took off");
    }
    // With "auto" too.
    if (!own.empty() && port.kind == PortKind::interface) port.driver = InterfaceDriver::af_packet;
    std::ranges::move(own, std::back_inserter(vlans));
}

void read_ports(Section& dataplane, DataplaneConfig& config) {
    Taken taken;
    std::vector<PortConfig> vlans;
    for (Section& section : dataplane.groups("ports", 1, DataplaneConfig::kMostPorts)) {
        PortConfig port;
        port.name = section.required_string("name", kPortName);
        take_name(section, port, taken);
        port.mtu = port.wire_mtu = static_cast<std::uint16_t>(section.integer_or("mtu", 1500, 1280, 9000));
        read_device(section, port);
        take_devices(section, port, taken);
        read_interface(section, port, taken);
        read_vlans(section, port, config.ports.size(), vlans, taken);
        config.ports.push_back(std::move(port));
    }
    if (const std::size_t all = config.ports.size() + vlans.size(); all > DataplaneConfig::kMostPortsAndVlans) {
        dataplane.fault("ports", "found " + std::to_string(all) + " ports and VLANs, allowed at most " +
                                     std::to_string(DataplaneConfig::kMostPortsAndVlans) + " together");
    }
    // Behind the real ports, whose positions so are those of the devices.
    std::ranges::move(vlans, std::back_inserter(config.ports));
}

void read_snat_addresses(Section& dataplane, DataplaneConfig& config) {
    const auto texts = dataplane.strings("snat_addresses", kSnatAddress, 0, DataplaneConfig::kMostSnatAddresses);
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const IpAddress address = *IpAddress::parse(texts[i]);
        if (std::ranges::find(config.snat_addresses, address) != config.snat_addresses.end()) {
            dataplane.fault("snat_addresses", i, "found \"" + texts[i] + "\" twice, allowed once");
            continue;
        }
        for (const PortConfig& port : config.ports) {
            if (std::ranges::any_of(port.addresses, [&](const IpPrefix& own) { return own.address == address; })) {
                dataplane.fault("snat_addresses", i,
                                "found \"" + texts[i] + "\", which is an address of port \"" + port.name +
                                    "\", allowed addresses of their own");
            }
        }
        config.snat_addresses.push_back(address);
    }
}

std::uint32_t count_or(Section& section, const char* key, std::uint32_t fallback, std::int64_t min, std::int64_t max) {
    return static_cast<std::uint32_t>(section.integer_or(key, fallback, min, max));
}

/// After the ports. One side without the other, or a port of none, would be a mistake that nobody notices.
void read_sides(Section& dataplane, DataplaneConfig& config) {
    Section sides = dataplane.optional_group("sides");
    constexpr std::int64_t kFirst = 256;  // below are the kernel's own, and those that routing daemons like
    config.clients_table = count_or(sides, "clients_table", config.clients_table, kFirst, INT32_MAX);
    config.nodes_table = count_or(sides, "nodes_table", config.nodes_table, kFirst, INT32_MAX);
    if (config.clients_table == config.nodes_table) {
        sides.fault("nodes_table", "found " + std::to_string(config.nodes_table) +
                                       ", which clients_table is already, allowed a table of its own");
    }
    std::array<std::size_t, 3> count{};
    std::string without;
    for (PortConfig& port : config.ports) {
        ++count[static_cast<std::size_t>(port.side)];
        if (port.side == Side::none) without = port.name;
        if (port.side != Side::none)
            port.table = port.side == Side::clients ? config.clients_table : config.nodes_table;
    }
    const auto [none, clients, nodes] = count;
    if (clients + nodes == 0) {
        if (sides.present())
            dataplane.fault("sides", "found beside ports without side, allowed where each port and VLAN has one");
    } else if (none != 0) {
        dataplane.fault("ports", "found no side at \"" + without + "\", allowed one at each port and VLAN, or at none");
    } else if (clients == 0 || nodes == 0) {
        dataplane.fault("ports", std::string("found ports of the side \"") + (clients == 0 ? "nodes" : "clients") +
                                     "\" alone, allowed some of each side");
    }
}

void read_workers(Section& dataplane, WorkersConfig& workers) {
    workers.count = static_cast<std::uint32_t>(dataplane.integer_or("workers", 1, 1, DataplaneConfig::kMostWorkers));
    for (const std::int64_t core : dataplane.integers("cores", 0, 1023, 0, DataplaneConfig::kMostWorkers)) {
        workers.cores.push_back(static_cast<std::uint32_t>(core));
    }
    if (!workers.cores.empty() && workers.cores.size() != workers.count) {
        dataplane.fault("cores", "found " + std::to_string(workers.cores.size()) +
                                     " cores, allowed one for each of the " + std::to_string(workers.count) +
                                     " workers, or none at all");
    }
    if (dataplane.string_or("idle", "adaptive", one_of({"busy", "adaptive"})) == "busy") workers.idle = Idle::busy;
}

void read_memory(Section section, MemoryConfig& memory) {
    const std::string huge = section.string_or("huge_pages", "auto", one_of({"auto", "require", "never"}));
    if (huge == "require") memory.huge_pages = HugePages::require;
    if (huge == "never") memory.huge_pages = HugePages::never;
    memory.megabytes = static_cast<std::uint32_t>(section.integer_or("megabytes", memory.megabytes, 64, 1 << 20));
}

void read_timeouts(Section section, TimeoutsConfig& timeouts) {
    const auto read = [&](const char* key, std::uint32_t& seconds) {
        seconds = static_cast<std::uint32_t>(section.integer_or(key, seconds, 1, kLongestTimeout));
    };
    read("tcp_opening", timeouts.tcp_opening);
    read("tcp_established", timeouts.tcp_established);
    read("tcp_closing", timeouts.tcp_closing);
    read("tcp_time_wait", timeouts.tcp_time_wait);
    read("tcp_reset", timeouts.tcp_reset);
    read("udp_one_way", timeouts.udp_one_way);
    read("udp", timeouts.udp);
    read("sctp_opening", timeouts.sctp_opening);
    read("sctp_established", timeouts.sctp_established);
    read("sctp_closing", timeouts.sctp_closing);
}

void read_flows(Section flows, DataplaneConfig& config) {
    config.flows_ipv4 = count_or(flows, "ipv4", config.flows_ipv4, 1024, 1 << 27);
    config.flows_ipv6 = count_or(flows, "ipv6", config.flows_ipv6, 1024, 1 << 27);
    // One number for both families: no more than the smaller table holds.
    const std::uint32_t most = std::min(config.flows_ipv4, config.flows_ipv6);
    config.flows_half_open = count_or(flows, "half_open", config.flows_half_open, 0, most);
    config.affinity_clients = count_or(flows, "affinity_clients", config.affinity_clients, 0, 1 << 24);
    config.flows_file = flows.string_or("file", config.flows_file, kFlowFile);
}

constexpr std::int64_t kSmallestMss = 88;   // RFC 9293 3.7.1: what Linux takes at the least, too
constexpr std::int64_t kLargestMss = 8960;  // of the largest MTU, 9000

/// The number in `text`, nothing where it is none or out of bounds.
std::optional<std::uint16_t> mss_of(std::string_view text) {
    std::uint32_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
    if (value < kSmallestMss || value > kLargestMss) return std::nullopt;
    return static_cast<std::uint16_t>(value);
}

const Allowed kMssClamp =
    matching([](std::string_view text) { return text == "off" || text == "auto" || mss_of(text).has_value(); },
             "\"off\", \"auto\" or a number of bytes from 88 to 8960 as a string, \"1360\"");

void read_icmp_and_mss(Section& dataplane, DataplaneConfig& config) {
    config.icmp_errors_per_second =
        count_or(dataplane, "icmp_errors_per_second", config.icmp_errors_per_second, 0, 1'000'000);
    const std::string echo = dataplane.string_or("echo", "always", one_of({"always", "never", "while_serving"}));
    if (echo == "never") config.echo = EchoReplies::never;
    if (echo == "while_serving") config.echo = EchoReplies::while_serving;
    const std::string clamp = dataplane.string_or("tcp_mss_clamp", "off", kMssClamp);
    config.mss_clamp_auto = clamp == "auto";
    config.mss_clamp = mss_of(clamp).value_or(0);
}

void read_announcements(Section announce, DataplaneConfig& config) {
    config.announce_repeats = count_or(announce, "repeats", config.announce_repeats, 0, 10);
    config.announce_per_second = count_or(announce, "per_second", config.announce_per_second, 1, 100'000);
    config.conflict_yield = announce.string_or("on_conflict", "defend", one_of({"defend", "yield"})) == "yield";
    config.conflict_quiet_seconds =
        count_or(announce, "conflict_quiet_seconds", config.conflict_quiet_seconds, 1, 86'400);
}

void read_fragments(Section section, FragmentsConfig& fragments) {
    fragments.datagrams = count_or(section, "datagrams", fragments.datagrams, 16, 1 << 20);
    // A datagram of 65,535 bytes at the least, with its buffers.
    fragments.held_kilobytes = count_or(section, "held_kilobytes", fragments.held_kilobytes, 128, 1 << 18);
    fragments.hold_milliseconds = count_or(section, "hold_milliseconds", fragments.hold_milliseconds, 1, 30'000);
    fragments.remember_seconds = count_or(section, "remember_seconds", fragments.remember_seconds, 1, 60);
}

LoadedConfig read(Document document) {
    DataplaneConfig config;
    Section root = document.root();
    root.ignore("controlplane");
    root.ignore("cloud_controller");
    Section dataplane = root.required_group("dataplane");
    read_ports(dataplane, config);
    read_snat_addresses(dataplane, config);
    read_sides(dataplane, config);
    read_workers(dataplane, config.workers);
    read_memory(dataplane.optional_group("memory"), config.memory);
    read_flows(dataplane.optional_group("flows"), config);
    Section limits = dataplane.optional_group("limits");
    config.limit_services = count_or(limits, "services", config.limit_services, 1, 65535);
    config.limit_backends = count_or(limits, "backends", config.limit_backends, 1, 65535);
    read_timeouts(dataplane.optional_group("timeouts"), config.timeouts);
    config.refusals_per_second = count_or(dataplane, "refusals_per_second", config.refusals_per_second, 0, 1'000'000);
    config.refusals_per_source = count_or(dataplane, "refusals_per_source", config.refusals_per_source, 0, 1'000'000);
    config.source_prefix_ipv4 =
        static_cast<std::uint8_t>(count_or(dataplane, "source_prefix_ipv4", config.source_prefix_ipv4, 8, 32));
    config.source_prefix_ipv6 =
        static_cast<std::uint8_t>(count_or(dataplane, "source_prefix_ipv6", config.source_prefix_ipv6, 32, 64));
    config.kernel_packets_per_second =
        count_or(dataplane, "kernel_packets_per_second", config.kernel_packets_per_second, 0, 10'000'000);
    read_icmp_and_mss(dataplane, config);
    read_announcements(dataplane.optional_group("announce"), config);
    read_fragments(dataplane.optional_group("fragments"), config.fragments);
    config.control_socket = dataplane.string_or("control_socket", config.control_socket, kSocketPath);
    config.state_file = dataplane.string_or("state_file", config.state_file, kPath);
    Section log = dataplane.optional_group("log");
    config.log_level = log.string_or("level", config.log_level, one_of({"debug", "info", "warning", "error"}));
    document.finish();
    if (!document.ok()) return {std::nullopt, document.report()};
    return {std::move(config), ""};
}

}  // namespace

LoadedConfig load_dataplane_config(const std::string& path) { return read(Document::from_file(path)); }

LoadedConfig parse_dataplane_config(std::string_view text, const std::string& name) {
    return read(Document::from_text(text, name));
}

}  // namespace guideway::config
