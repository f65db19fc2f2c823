// ClusterView: what is known of the Kubernetes cluster when a Service is looked at. Thread contract: any thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "controlplane/kubernetes/objects/service.h"
#include "controlplane/kubernetes/translate.h"

namespace guideway::kubernetes {

class ClusterView {
  public:
    virtual ~ClusterView() = default;
    /// Null: not known.
    virtual std::shared_ptr<const Service> service(const std::string& key) const = 0;
    /// True also for one that is there but cannot be read.
    virtual bool service_exists(const std::string& key) const = 0;
    /// Every Service was listed and has a name: who is not there does not exist.
    virtual bool services_complete() const = 0;
    virtual std::vector<std::shared_ptr<const Service>> services() const = 0;
    virtual Slices slices(const std::string& service_key) const = 0;
    virtual std::map<std::string, std::string> namespace_labels(const std::string& name_space) const = 0;
};

}  // namespace guideway::kubernetes
