// ControllerMetrics: what /metrics of the cloud controller shows. Thread contract: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/kubernetes/client/client_metrics.h"
#include "controlplane/kubernetes/client/work_queue.h"

namespace guideway::kubernetes {

/// Read at each scrape.
struct ControllerState {
    bool leader = false;
    bool ready = false;  ///< as /readyz says
    std::size_t services = 0, load_balancers = 0, nodes = 0;
    std::vector<std::pair<std::string, WorkQueueNumbers>> queues;
    std::vector<std::pair<std::string, const ReflectorMetrics*>> watches;
    const ClientMetrics* requests = nullptr;
    std::uint64_t events_written = 0, events_lost = 0;
};

class ControllerMetrics {
  public:
    ControllerMetrics();
    ~ControllerMetrics();
    /// `reason` empty: no failure.
    void synced(const std::string& kind, const std::string& reason, double seconds);
    /// Text exposition format 0.0.4.
    std::string text(const ControllerState& state) const;

  private:
    struct Content;
    std::unique_ptr<Content> content_;
};

}  // namespace guideway::kubernetes
