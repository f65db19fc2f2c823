// LinuxInterface: the kernel's side of a Linux interface that a port takes over.
//
// The kernel must not act on frames of which it sees a copy (AF_PACKET), or answer beside the dataplane: IPv6, ARP answers and
// forwarding of the interface are turned off, its reverse path filter on. Offloads of our end are turned off, so that what
// is received is what was on the wire. Everything changed is remembered and put back by restore() (a clean stop).
//
// What cannot be changed (a read-only /proc/sys, a driver without that offload) is a warning, not an error.
// Thread contract: one thread; has_carrier() from any.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace guideway::net {

class LinuxInterface {
  public:
    explicit LinuxInterface(std::string name) : name_(std::move(name)) {}

    /// Up, quiet, with this MTU and without offloads. Returns why it cannot be used.
    std::optional<std::string> take(std::uint16_t mtu);
    void restore();
    /// Once more, after a driver set another one. Returns why not.
    std::optional<std::string> set_mtu(std::uint16_t mtu) const;
    /// Whether it is up and its cable leads somewhere, as the driver knows it at this moment.
    bool has_carrier() const;

    const std::string& name() const { return name_; }
    std::array<std::uint8_t, 6> mac() const { return mac_; }
    /// Queues the interface offers to a socket each ("combined", or the lesser of receive and transmit ones).
    unsigned queues() const;
    /// "veth", "virtio_net", ...: empty where the kernel does not say.
    std::string driver() const;
    const std::vector<std::string>& warnings() const { return warnings_; }

  private:
    void quiet();
    void set_sysctl(const std::string& path, const std::string& value);
    void offloads_off();

    std::string name_;
    std::array<std::uint8_t, 6> mac_{};
    std::vector<std::pair<std::string, std::string>> old_sysctls_;       ///< path, value
    std::vector<std::pair<std::uint32_t, std::uint32_t>> old_offloads_;  ///< ETHTOOL_S..., value
    std::optional<int> old_mtu_;
    std::vector<std::string> warnings_;
};

}  // namespace guideway::net
