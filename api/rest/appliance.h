// Appliance: what the REST server asks of the control plane. The server knows HTTP and JSON; the implementation
// (controlplane/manager) knows the rules. Neither knows the other.
//
// Thread contract: every method may be called from any thread at once; the implementation serialises what it must.
// A change is durable (committed to the store) before its method returns (ipam-rules 20).
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/contract/counters.h"
#include "api/contract/explain.h"
#include "api/resources/address_pool.h"
#include "api/resources/load_balancer.h"
#include "api/resources/node.h"
#include "api/resources/problem.h"
#include "api/resources/result.h"
#include "api/resources/status.h"

namespace guideway::rest {

using resources::Result;

/// What an Ensure (PUT) did.
template <class T>
struct Ensured {
    T object;
    bool created = false;  ///< answered as 201, else 200
    bool changed = false;  ///< false: the same wish again; nothing was written
};

class Appliance {
  public:
    virtual ~Appliance() = default;

    /// `if_match`: the resourceVersion the caller saw, from If-Match; another one in force is 412. Objects arrive validated
    /// by the codec (shape and ranges); what needs other objects (pools, conflicts) is checked here.
    virtual Result<Ensured<resources::LoadBalancer>> ensure_load_balancer(resources::LoadBalancer wanted,
                                                                          std::optional<std::uint64_t> if_match) = 0;
    virtual Result<resources::LoadBalancer> load_balancer(const std::string& ns, const std::string& name) = 0;
    /// Sorted by namespace, then name; `ns` empty = all.
    virtual std::vector<resources::LoadBalancer> load_balancers(const std::string& ns) = 0;
    /// True: it was there; false: it was not (also a success). A problem only where the store fails or if_match disagrees.
    virtual Result<bool> delete_load_balancer(const std::string& ns, const std::string& name,
                                              std::optional<std::uint64_t> if_match) = 0;

    virtual Result<Ensured<resources::AddressPool>> ensure_address_pool(resources::AddressPool wanted,
                                                                        std::optional<std::uint64_t> if_match) = 0;
    virtual Result<resources::AddressPool> address_pool(const std::string& name) = 0;
    virtual std::vector<resources::AddressPool> address_pools() = 0;
    virtual Result<bool> delete_address_pool(const std::string& name, std::optional<std::uint64_t> if_match) = 0;

    virtual Result<Ensured<resources::Node>> ensure_node(resources::Node wanted,
                                                         std::optional<std::uint64_t> if_match) = 0;
    virtual Result<resources::Node> node(const std::string& name) = 0;
    virtual std::vector<resources::Node> nodes() = 0;
    virtual Result<bool> delete_node(const std::string& name, std::optional<std::uint64_t> if_match) = 0;

    virtual resources::SystemStatus status() = 0;
    /// Waits until the dataplane has everything in force that was committed before the call, or the timeout is over.
    /// True: in force.
    virtual bool wait_until_forwarding(std::chrono::milliseconds timeout) = 0;
    virtual Result<contract::ExplainAnswer> explain(const contract::ExplainRequest& request) = 0;
    virtual Result<contract::Counters> counters() = 0;
    /// Prometheus text exposition format 0.0.4.
    virtual std::string metrics() = 0;
    /// Able to serve changes: the store is open. (Forwarding does not depend on it.) Empty = ready, else the reason.
    virtual std::string not_ready_reason() = 0;
};

}  // namespace guideway::rest
