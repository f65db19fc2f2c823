// Tap: the kernel's end of a port, a persistent TAP device that carries the appliance's own addresses.
//
// It has the port's MAC address and MTU, so that the appliance's addresses answer as if the NIC were the kernel's. Persistent:
// addresses, routes and sessions (BGP, ssh) survive a restart of the dataplane; what an earlier configuration gave it goes.
// Thread contract: open() and configure() from the main thread; then read() and write() from one thread (the kernel path's).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dataplane/config/dataplane_config.h"

struct iovec;

namespace guideway::net {

class Tap {
  public:
    Tap() = default;
    ~Tap();
    Tap(Tap&& other) noexcept;
    Tap& operator=(Tap&& other) noexcept;
    Tap(const Tap&) = delete;
    Tap& operator=(const Tap&) = delete;

    /// Makes (or takes over) the twin of a port. Only one process can have it, so this comes before the port is touched.
    /// Returns why it could not, naming the missing right or device.
    std::optional<std::string> open(const config::PortConfig& port);
    /// Brings it up with the port's MAC address, its own addresses and routes.
    std::optional<std::string> configure(const config::PortConfig& port, const std::array<std::uint8_t, 6>& mac);

    int fd() const { return fd_; }
    unsigned ifindex() const { return ifindex_; }

    enum class Read { frame, nothing, failed, gone };
    /// Non-blocking. `gone`: the device was deleted. A frame longer than `size` is cut by the kernel: give the largest frame's size.
    Read read(void* data, std::size_t size, std::size_t& length) const;
    /// Non-blocking; false: the kernel refused the frame.
    bool write(const iovec* parts, int count) const;

  private:
    int fd_ = -1;
    unsigned ifindex_ = 0;
};

/// Removes twins of earlier configurations that no process holds: with the addresses of a port that has another name now they
/// would take its traffic. Returns their names.
std::vector<std::string> remove_stray_twins(const std::vector<config::PortConfig>& ports);

}  // namespace guideway::net
