#include "dataplane/net/linux_interface.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace guideway::net {
namespace {

class ControlSocket {
  public:
    ControlSocket() : fd_(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {}
    ~ControlSocket() {
        if (fd_ >= 0) close(fd_);
    }
    ControlSocket(const ControlSocket&) = delete;
    ControlSocket& operator=(const ControlSocket&) = delete;
    bool ask(unsigned long request, ifreq& parameters) const { return ioctl(fd_, request, &parameters) == 0; }

  private:
    int fd_;
};

ifreq request_for(const std::string& name) {
    ifreq request{};
    name.copy(request.ifr_name, IFNAMSIZ - 1);
    return request;
}

template <class Command>
bool ethtool(const std::string& name, Command& command) {
    ifreq request = request_for(name);
    request.ifr_data = reinterpret_cast<char*>(&command);
    return ControlSocket().ask(SIOCETHTOOL, request);
}

struct Offload {
    std::uint32_t get;
    std::uint32_t set;
};

constexpr Offload kOffloads[] = {{ETHTOOL_GGRO, ETHTOOL_SGRO},       {ETHTOOL_GTSO, ETHTOOL_STSO},
                                 {ETHTOOL_GGSO, ETHTOOL_SGSO},       {ETHTOOL_GSG, ETHTOOL_SSG},
                                 {ETHTOOL_GTXCSUM, ETHTOOL_STXCSUM}, {ETHTOOL_GFLAGS, ETHTOOL_SFLAGS}};

}  // namespace

std::optional<std::string> LinuxInterface::take(std::uint16_t mtu) {
    const ControlSocket control;
    const auto failed = [this](const std::string& what) {
        return "interface '" + name_ + "': " + what + ": " + std::strerror(errno);
    };
    ifreq request = request_for(name_);
    if (!control.ask(SIOCGIFHWADDR, request)) {
        if (errno == ENODEV)
            return "interface '" + name_ + "': there is none of this name here (ip link shows those there are)";
        return failed("cannot be looked at");
    }
    if (request.ifr_hwaddr.sa_family != ARPHRD_ETHER) return "interface '" + name_ + "': is not an Ethernet interface";
    std::memcpy(mac_.data(), request.ifr_hwaddr.sa_data, mac_.size());

    quiet();  // before it is up, so that nothing is answered in between
    offloads_off();
    request = request_for(name_);
    if (control.ask(SIOCGIFMTU, request) && request.ifr_mtu != mtu) {
        const int old = request.ifr_mtu;
        request = request_for(name_);
        request.ifr_mtu = mtu;
        if (!control.ask(SIOCSIFMTU, request)) return failed("MTU " + std::to_string(mtu) + " refused");
        old_mtu_ = old;
    }
    request = request_for(name_);
    if (!control.ask(SIOCGIFFLAGS, request)) return failed("cannot be looked at");
    if ((request.ifr_flags & IFF_UP) == 0) {
        request.ifr_flags = static_cast<short>(request.ifr_flags | IFF_UP);
        if (!control.ask(SIOCSIFFLAGS, request)) return failed("cannot be set up");
    }
    return std::nullopt;
}

void LinuxInterface::quiet() {
    const std::string v4 = "/proc/sys/net/ipv4/conf/" + name_ + "/";
    set_sysctl("/proc/sys/net/ipv6/conf/" + name_ + "/disable_ipv6", "1");
    set_sysctl(v4 + "forwarding", "0");
    set_sysctl(v4 + "rp_filter", "1");
    set_sysctl(v4 + "arp_ignore", "8");
    std::ifstream all("/proc/sys/net/ipv4/conf/all/rp_filter");
    if (int value = 0; all >> value && value == 2) {
        warnings_.push_back(
            "interface '" + name_ +
            "': net.ipv4.conf.all.rp_filter is 2 (loose), so the kernel may act on its own copy of packets to "
            "the appliance's addresses: set it to 0 or 1");
    }
}

void LinuxInterface::set_sysctl(const std::string& path, const std::string& value) {
    std::string old;
    std::ifstream(path) >> old;
    if (old.empty() || old == value) return;  // not there (no IPv6 in this kernel), or right already
    std::ofstream file(path);
    file << value << std::flush;
    if (!file) {
        warnings_.push_back("interface '" + name_ + "': " + path + " stays " + old + ", wanted " + value +
                            " (not writable): the kernel may answer beside the dataplane");
        return;
    }
    old_sysctls_.emplace_back(path, old);
}

void LinuxInterface::offloads_off() {
    for (const Offload& offload : kOffloads) {
        ethtool_value value{};
        value.cmd = offload.get;
        if (!ethtool(name_, value) || value.data == 0) continue;
        ethtool_value wanted{};
        wanted.cmd = offload.set;
        if (offload.get == ETHTOOL_GFLAGS) wanted.data = value.data & ~std::uint32_t{ETH_FLAG_LRO};
        if (wanted.data == value.data) continue;
        if (ethtool(name_, wanted)) old_offloads_.emplace_back(offload.set, value.data);
    }
}

void LinuxInterface::restore() {
    for (auto entry = old_offloads_.rbegin(); entry != old_offloads_.rend(); ++entry) {
        ethtool_value value{};
        value.cmd = entry->first;
        value.data = entry->second;
        ethtool(name_, value);
    }
    old_offloads_.clear();
    for (const auto& [path, value] : old_sysctls_) std::ofstream(path) << value << std::flush;
    old_sysctls_.clear();
    if (old_mtu_) {
        ifreq request = request_for(name_);
        request.ifr_mtu = *old_mtu_;
        ControlSocket().ask(SIOCSIFMTU, request);
        old_mtu_.reset();
    }
}

std::optional<std::string> LinuxInterface::set_mtu(std::uint16_t mtu) const {
    ifreq request = request_for(name_);
    request.ifr_mtu = mtu;
    if (ControlSocket().ask(SIOCSIFMTU, request)) return std::nullopt;
    return "interface '" + name_ + "': MTU " + std::to_string(mtu) + " refused: " + std::strerror(errno);
}

bool LinuxInterface::has_carrier() const {
    // Not the flag IFF_RUNNING, which may come a second late: the kernel tells of links in turns.
    ethtool_value value{};
    value.cmd = ETHTOOL_GLINK;
    return ethtool(name_, value) && value.data != 0;
}

unsigned LinuxInterface::queues() const {
    ethtool_channels channels{};
    channels.cmd = ETHTOOL_GCHANNELS;
    if (!ethtool(name_, channels)) return 1;
    return std::max(
        1U, channels.combined_count > 0 ? channels.combined_count : std::min(channels.rx_count, channels.tx_count));
}

std::string LinuxInterface::driver() const {
    ethtool_drvinfo info{};
    info.cmd = ETHTOOL_GDRVINFO;
    if (!ethtool(name_, info)) return {};
    return std::string(info.driver, strnlen(info.driver, sizeof info.driver));
}

}  // namespace guideway::net
