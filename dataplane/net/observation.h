// What net/ adds to the counters, and what it makes of them.
//
// Thread contract: all_counters() from any control thread; an OffloadWatch belongs to one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "api/contract/counters.h"
#include "dataplane/net/kernel_path.h"
#include "dataplane/net/ports.h"

namespace guideway::net {

/// The workers' counters with the devices and the kernel path. The kernel path's thread has no line of its own: its drops are
/// in worker 0's, its partner on the way from the kernel.
/// `vlan_traffic`: of a port that is a VLAN, by its index.
contract::Counters all_counters(contract::Counters of_workers, const Ports& ports, const KernelPath& kernel_path,
                                const Steering& steering,
                                const std::function<contract::Traffic(std::size_t)>& vlan_traffic);

/// Super-packets of a peer's offload do not fit a frame and end as ip_truncated: said when they begin, with the remedy.
class OffloadWatch {
  public:
    explicit OffloadWatch(const Ports& ports);
    /// Call every few seconds.
    void look(const contract::Counters& counters);

  private:
    std::string names_;  ///< of the software ports
    std::uint64_t seen_ = 0;
    bool warned_ = false;
};

/// A device that computes another RSS hash than the one expected of it makes steering miss: said when it begins.
class SteeringWatch {
  public:
    /// Call every few seconds. `port` is the index of a port whose hash differed.
    void look(const contract::Counters& counters, const Ports& ports, std::optional<std::size_t> port);

  private:
    RssAgreement agreement_;
};

}  // namespace guideway::net
