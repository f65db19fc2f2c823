// CloudController: the whole program without its command line: watches of the cluster and the appliance, queues, workers, leadership.
//
// Order of a start: everything is listed; then, as the leader, all nodes once, claims (oldest first), and the workers begin. A Service is
// never looked at before its namespace, its endpoints and the appliance's objects are known. After losing leadership nothing is written.
//
// Thread contract: start() and stop() once each, by one thread; the rest: any thread.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "controlplane/kubernetes/client/access.h"
#include "controlplane/kubernetes/settings.h"

namespace guideway::kubernetes {

class CloudController {
  public:
    CloudController(Settings settings, Access access);
    ~CloudController();
    void start();
    void stop();

    /// Empty: everything is listed, and work is done (or another one leads).
    std::string not_ready_reason() const;
    /// Text exposition format 0.0.4.
    std::string metrics() const;

  private:
    struct Parts;
    std::unique_ptr<Parts> parts_;
};

}  // namespace guideway::kubernetes
