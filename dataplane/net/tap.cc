#include "dataplane/net/tap.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include "dataplane/net/leftovers.h"
#include "dataplane/net/rtnetlink.h"
#include "dataplane/net/sides.h"

namespace guideway::net {
namespace {

/// Closes on every way out.
struct Socket {
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    ~Socket() {
        if (fd >= 0) close(fd);
    }
};

std::string system_error(const std::string& what) { return what + ": " + std::strerror(errno); }

void write_sysctl(const std::string& path, const char* value) { std::ofstream(path) << value << std::flush; }

/// Takes those away that are there.
bool leave_missing(Rtnetlink& netlink, unsigned ifindex, std::vector<OwnRoute>& wanted) {
    for (int attempt = 0; attempt < 3; ++attempt) {  // others may change the tables meanwhile
        if (netlink.dump(RTM_GETROUTE, [&](const nlmsghdr& message) {
                if (const auto route = own_route_in(message, ifindex)) std::erase(wanted, *route);
            }))
            return true;
    }
    return false;
}

/// Addresses and routes of an earlier configuration.
std::optional<std::string> take_leftovers_away(Rtnetlink& netlink, unsigned ifindex, const config::PortConfig& port,
                                               const std::vector<OwnRoute>& wanted) {
    std::vector<IpPrefix> addresses;
    std::vector<OwnRoute> routes;
    const bool with_routes = port.side == config::Side::none;
    const bool known = netlink.dump(RTM_GETADDR, [&](const nlmsghdr& message) {
        const auto address = own_address_in(message, ifindex);
        if (address && (std::ranges::find(port.addresses, *address) == port.addresses.end() ||
                        brings_route(message) != with_routes))
            addresses.push_back(*address);
    }) && netlink.dump(RTM_GETROUTE, [&](const nlmsghdr& message) {
        const auto route = own_route_in(message, ifindex);
        if (route && std::ranges::find(wanted, *route) == wanted.end()) routes.push_back(*route);
    });
    if (!known) return "its addresses and routes could not be read";
    for (const OwnRoute& route : routes) {
        if (auto error = netlink.remove_route(ifindex, route)) {
            return "route to " + route.to.to_string() + " of an earlier configuration: " + *error;
        }
    }
    for (const IpPrefix& address : addresses) {
        if (auto error = netlink.remove_address(ifindex, address)) {
            return "address " + address.to_string() + " of an earlier configuration: " + *error;
        }
    }
    return std::nullopt;
}

}  // namespace

Tap::~Tap() {
    if (fd_ >= 0) close(fd_);
}

Tap::Tap(Tap&& other) noexcept : fd_(std::exchange(other.fd_, -1)), ifindex_(other.ifindex_) {}

Tap& Tap::operator=(Tap&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(ifindex_, other.ifindex_);
    return *this;
}

std::optional<std::string> Tap::open(const config::PortConfig& port) {
    const std::string name = port.twin_name();
    fd_ = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    if (fd_ < 0) {
        return errno == ENOENT ? std::string("/dev/net/tun is missing: load the kernel's tun module (modprobe tun)")
                               : system_error("/dev/net/tun cannot be opened");
    }
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_flags = IFF_TAP | IFF_NO_PI;
    if (ioctl(fd_, TUNSETIFF, &request) != 0) {
        const int error = errno;
        std::string text = system_error("TAP device '" + name + "' cannot be made");
        if (error == EPERM) text += " (CAP_NET_ADMIN is missing: run as root)";
        if (error == EBUSY) text += " (another process has it: is a guideway-dataplane running already?)";
        return text;
    }
    if (ioctl(fd_, TUNSETPERSIST, 1) != 0) return system_error("TAP device '" + name + "' cannot be made persistent");
    ifindex_ = if_nametoindex(name.c_str());
    return std::nullopt;
}

std::optional<std::string> Tap::configure(const config::PortConfig& port, const std::array<std::uint8_t, 6>& mac) {
    const std::string name = port.twin_name();
    const auto failed = [&](const std::string& what) { return system_error("TAP device '" + name + "': " + what); };
    const Socket control;
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
    std::memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
    if (ioctl(control.fd, SIOCSIFHWADDR, &request) != 0) return failed("MAC address refused");
    request.ifr_mtu = port.mtu;
    if (ioctl(control.fd, SIOCSIFMTU, &request) != 0) return failed("MTU refused");

    // The twin is a host's interface on this wire: it answers for its own addresses only, from the right ones.
    write_sysctl("/proc/sys/net/ipv4/conf/" + name + "/arp_ignore", "1");
    write_sysctl("/proc/sys/net/ipv4/conf/" + name + "/arp_announce", "2");
    write_sysctl("/proc/sys/net/ipv6/conf/" + name + "/accept_dad", "0");
    // Down and up again (an operator's, a network manager's) must not cost its IPv6 addresses; IPv4's stay anyway.
    write_sysctl("/proc/sys/net/ipv6/conf/" + name + "/keep_addr_on_down", "1");
    // A router's advertisement would bring its routes into the main table, where no side's are.
    if (port.side != config::Side::none) write_sysctl("/proc/sys/net/ipv6/conf/" + name + "/accept_ra", "0");
    // An address that goes leaves the others of its subnet alone.
    write_sysctl("/proc/sys/net/ipv4/conf/" + name + "/promote_secondaries", "1");
    // The kernel does not see the packets that confirm a neighbour: it asks each again after 3 to 8 seconds, and one that no longer
    // answers under its MAC is asked for by all before it is given up. So a neighbour that changed its MAC without a word is followed.
    for (const char* family : {"ipv4", "ipv6"}) {
        const std::string timing = std::string("/proc/sys/net/") + family + "/neigh/" + name + "/";
        write_sysctl(timing + "base_reachable_time_ms", "5000");
        write_sysctl(timing + "delay_first_probe_time", "1");
        write_sysctl(timing + "mcast_resolicit", "3");
    }

    if (ioctl(control.fd, SIOCGIFFLAGS, &request) != 0) return failed("flags cannot be read");
    request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
    if (ioctl(control.fd, SIOCSIFFLAGS, &request) != 0) return failed("cannot be set up");

    const std::string own = "TAP device '" + name + "': ";
    Rtnetlink netlink;
    if (auto error = netlink.open(0)) return own + *error;
    if (auto error = netlink.set_alias(ifindex_, kTwinAlias)) return own + "alias: " + *error;
    std::vector<OwnRoute> routes = routes_of(port);
    if (auto error = take_leftovers_away(netlink, ifindex_, port, routes)) return own + *error;
    for (const IpPrefix& address : port.addresses) {
        if (auto error = netlink.add_address(ifindex_, address, port.side == config::Side::none))
            return own + "address " + address.to_string() + ": " + *error;
    }
    // Not before: with a twin's last address the kernel took its routes away.
    if (!leave_missing(netlink, ifindex_, routes)) return own + "its routes could not be read";
    for (const OwnRoute& route : routes) {
        if (auto error = netlink.add_route(ifindex_, route)) {
            if (route.to.address.is_link_local()) continue;  // a twin without IPv6
            return own + "route to " + route.to.to_string() +
                   (route.via.is_unspecified() ? "" : " via " + route.via.to_string()) + ": " + *error;
        }
    }
    return std::nullopt;
}

std::vector<std::string> remove_stray_twins(const std::vector<config::PortConfig>& ports) {
    std::vector<std::string> names;
    Rtnetlink netlink;
    if (netlink.open(0)) return names;
    netlink.dump(RTM_GETLINK, [&](const nlmsghdr& message) {
        const auto name = twin_in(message);
        if (name && std::ranges::find(ports, *name, &config::PortConfig::twin_name) == ports.end())
            names.push_back(*name);
    });
    std::erase_if(names, [](const std::string& name) {
        const int fd = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
        ifreq request{};
        name.copy(request.ifr_name, IFNAMSIZ - 1);
        request.ifr_flags = IFF_TAP | IFF_NO_PI;
        // Refused where a process has it: it is in use.
        const bool removed = fd >= 0 && ioctl(fd, TUNSETIFF, &request) == 0 && ioctl(fd, TUNSETPERSIST, 0) == 0;
        if (fd >= 0) close(fd);
        return !removed;
    });
    return names;
}

Tap::Read Tap::read(void* data, std::size_t size, std::size_t& length) const {
    const ssize_t got = ::read(fd_, data, size);
    if (got > 0) {
        length = static_cast<std::size_t>(got);
        return Read::frame;
    }
    if (got == 0 || errno == EAGAIN || errno == EINTR) return Read::nothing;
    return errno == EBADFD ? Read::gone : Read::failed;
}

bool Tap::write(const iovec* parts, int count) const { return writev(fd_, parts, count) > 0; }

}  // namespace guideway::net
