// ServiceController: makes one Service and its load balancer on the appliance agree (Kubernetes rules 1-7, 10-12, 14, 17).
//
// Terms. Ours: type LoadBalancer, of our class, not being deleted (selection.h). Mark: the annotation guideway.io/managed-as with our
// cluster's name, written in the same patch as the finalizer. Claim: the addresses that a Service's status names while the appliance does not
// know it (a cluster that moves over, an appliance that lost its state). Stale: on the appliance, of our cluster, with a UID, without a Service.
//
// One sync, in the order of its writes; a crash between any two is mended by the next sync:
//     ours:      finalizer + mark -> (an older UID of the name removed) -> (claim) -> PUT -> status -> annotation of the pool
//     not ours:  DELETE -> status emptied (where the Service lives on) -> finalizer, mark and pool taken away
// The PUT is left out where the appliance has it so, the patches where the Service says so; after full_every it is made all the same.
// The finalizer is removed only where it is ours: the Service is ours by class, or has our mark, or the appliance has it by its UID.
//
// Claims: asked for as addresses, and once given asked no more: who holds an address keeps it (ipam-rules 7, 11). Where it is refused the
// Service gets what it would get without, and an event says so. At a start all claims come before Services that have
// none, the oldest Service first (ipam-rules 21, 22): claimants().
//
// A new address is published when the dataplane forwards it, or publish_within later whatever it says.
//
// Worked example: Service prod/web is new. Patch: finalizer, mark. PUT prod/web -> 203.0.113.10, Programmed False (Pending): again. The
// watch tells Programmed True: patch of status, annotation guideway.io/allocated-from-pool, events IPAllocated and EnsuredLoadBalancer.
//
// Thread contract: sync() from several threads, never twice at once for one key; each with hands of its own. The rest: any thread.
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "api/client/client.h"
#include "controlplane/kubernetes/appliance_view.h"
#include "controlplane/kubernetes/client/api_client.h"
#include "controlplane/kubernetes/cluster_view.h"
#include "controlplane/kubernetes/service_status.h"
#include "controlplane/kubernetes/sync_result.h"

namespace guideway::kubernetes {

inline constexpr const char* kFinalizer = "service.kubernetes.io/load-balancer-cleanup";

struct ServiceControllerOptions {
    std::string load_balancer_class = {};  ///< empty: Services without a class
    bool also_without_class = false;
    TranslateRules rules;
    std::chrono::milliseconds full_every{600000};
    std::chrono::milliseconds publish_within{2000};
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
    /// RFC 3339, for conditions.
    std::function<std::string()> timestamp;
    /// Asked before each write: false: not the leader (any more), nothing is written.
    std::function<bool()> may_write;
    /// Events on the Service (rule 5).
    std::function<void(const Service&, bool warning, const std::string& reason, const std::string& message)> event;
};

/// What a sync writes with.
struct Hands {
    ApiClient& kubernetes;
    client::Client& appliance;
};

class ServiceController {
  public:
    ServiceController(ServiceControllerOptions options, const ClusterView& cluster,
                      ApplianceView<resources::LoadBalancer>& appliance);

    /// `key`: "namespace/name".
    SyncResult sync(const std::string& key, Hands hands);
    /// Whether anything of it may concern us: else its changes need no look.
    bool concerns(const Service& service) const;
    /// Services with claims, oldest first.
    std::vector<std::string> claimants() const;
    /// Services that are ours, now.
    std::size_t ours() const;

  private:
    /// What was last told of a Service, so that events tell changes.
    struct Told {
        std::string uid;
        std::string allocation_failure, notes;
        bool no_nodes = false, announced = false;
        bool ensuring = false;  ///< it was not there before
        std::chrono::steady_clock::time_point waiting_since{}, put_at{};
    };
    using Known = std::shared_ptr<const resources::LoadBalancer>;

    SyncResult ensure(const Service& service, Known known, Hands& hands);
    SyncResult clean_up(const Service& service, const Known& known, Hands& hands);
    SyncResult remove_stale(const std::string& key, const resources::LoadBalancer& known, Hands& hands);
    SyncResult set_finalizer(const Service& service, Hands& hands);
    SyncResult remove(const std::string& key, const std::string& uid, Hands& hands);
    SyncResult put(const resources::LoadBalancer& wanted, Hands& hands, resources::LoadBalancer& answered);
    SyncResult claim(const Service& service, const resources::LoadBalancer& wanted, Hands& hands);
    SyncResult publish(const Service& service, const resources::LoadBalancer& object, const Translated& translated,
                       Hands& hands);
    SyncResult write_back_pool(const Service& service, const resources::LoadBalancer& object, Hands& hands);
    void tell_allocation(const Service& service, const resources::LoadBalancer& object);
    SyncResult fail(const Service& service, SyncResult result);
    SyncResult of_error(const ApiError& error, const std::string& what) const;
    void event(const Service& service, bool warning, const std::string& reason, const std::string& message) const {
        if (options_.event) options_.event(service, warning, reason, message);
    }
    bool may_write() const { return !options_.may_write || options_.may_write(); }
    /// Of this Service; of another UID a new one.
    Told told(const Service& service) const;
    void remember(const std::string& key, Told told);
    void forget(const std::string& key);
    bool marked(const Service& service) const {
        return service.meta.annotation(kManagedMark) == options_.rules.cluster;
    }

    const ServiceControllerOptions options_;
    const ClusterView& cluster_;
    ApplianceView<resources::LoadBalancer>& appliance_;
    mutable std::mutex mutex_;  ///< of the one below
    std::map<std::string, Told> told_;
};

/// The addresses that status names, at most one a family; empty: none.
std::vector<IpAddress> claim_of(const Service& service);

}  // namespace guideway::kubernetes
