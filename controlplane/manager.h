// Manager: the control plane's rules behind the REST API: keeps the objects, lets the address management decide, makes each
// change durable, and hands the resulting ForwardingState to the dataplane's link.
//
// A change goes: check it -> allocator transaction -> new desired state, validated -> store commit -> in memory -> link.
// Only after the commit anything is answered or forwarded (ipam-rules 20); where the store refuses, nothing has happened.
//
// Worked example: PUT load balancer default/web, pool "a" with 203.0.113.10 free, store at revision 7, generation 3.
//   allocator: 203.0.113.10. Record with resourceVersion 8 and generation 4 committed in one batch. The link sends
//   generation 4. GET shows Programmed=False until the dataplane answers with 4, then Programmed=True and Ready=True.
//   The same PUT again: changed=false, the store is not touched.
//
// Thread contract: every method from any thread; one mutex around the objects. The mutex is held during a store commit, and
// never while waiting for the dataplane.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "api/rest/appliance.h"
#include "controlplane/ipam/allocator.h"
#include "controlplane/metrics.h"
#include "controlplane/reconcile/dataplane_link.h"
#include "controlplane/records.h"
#include "controlplane/store/store.h"

namespace guideway::controlplane {

struct ManagerOptions {
    reconcile::LinkOptions link;
    std::chrono::milliseconds explain_timeout{2000};
    /// A scrape does not wait longer for the dataplane's counters.
    std::chrono::milliseconds counters_timeout{1000};
    /// Scrapes closer together than this get the same counters.
    std::chrono::milliseconds counters_age{200};
    std::function<std::chrono::system_clock::time_point()> now = std::chrono::system_clock::now;
};

class Manager final : public rest::Appliance {
  public:
    /// Reads the store, restores every recorded address before anybody else may have one (ipam-rules 22), and starts the link.
    /// A record that cannot be read is an error: going on without it would give its address away.
    static std::variant<std::unique_ptr<Manager>, std::string> open(std::unique_ptr<store::Store> store,
                                                                    ManagerOptions options, Metrics& metrics);
    ~Manager() override;
    /// Ends the link: waits end, nothing more is sent. The objects stay readable.
    void stop();

    rest::Result<rest::Ensured<resources::LoadBalancer>> ensure_load_balancer(
        resources::LoadBalancer wanted, std::optional<std::uint64_t> if_match) override;
    rest::Result<resources::LoadBalancer> load_balancer(const std::string& ns, const std::string& name) override;
    std::vector<resources::LoadBalancer> load_balancers(const std::string& ns) override;
    rest::Result<bool> delete_load_balancer(const std::string& ns, const std::string& name,
                                            std::optional<std::uint64_t> if_match) override;

    rest::Result<rest::Ensured<resources::AddressPool>> ensure_address_pool(
        resources::AddressPool wanted, std::optional<std::uint64_t> if_match) override;
    rest::Result<resources::AddressPool> address_pool(const std::string& name) override;
    std::vector<resources::AddressPool> address_pools() override;
    rest::Result<bool> delete_address_pool(const std::string& name, std::optional<std::uint64_t> if_match) override;

    rest::Result<rest::Ensured<resources::Node>> ensure_node(resources::Node wanted,
                                                             std::optional<std::uint64_t> if_match) override;
    rest::Result<resources::Node> node(const std::string& name) override;
    std::vector<resources::Node> nodes() override;
    rest::Result<bool> delete_node(const std::string& name, std::optional<std::uint64_t> if_match) override;

    resources::SystemStatus status() override;
    bool wait_until_forwarding(std::chrono::milliseconds timeout) override;
    rest::Result<contract::ExplainAnswer> explain(const contract::ExplainRequest& request) override;
    rest::Result<contract::Counters> counters() override;
    std::string metrics() override;
    std::string not_ready_reason() override;

  private:
    /// A load balancer as the store has it, and what is known of it beside.
    struct Entry {
        LoadBalancerRecord record;
        std::uint64_t in_state_since = 0;  ///< first generation that holds it as it is now
        resources::Condition programmed;   ///< as last seen, for the time of its transition
        resources::Condition ready;
    };
    using Entries = std::map<ipam::ServiceKey, Entry>;
    using Pools = std::map<std::string, resources::AddressPool>;
    using Nodes = std::map<std::string, resources::Node>;

    /// Objects that a transaction puts (or takes away: no value), beside what the allocator changed.
    struct Staged {
        std::map<ipam::ServiceKey, std::optional<resources::LoadBalancer>> load_balancers;
        std::map<std::string, std::optional<resources::AddressPool>> pools;
        std::map<std::string, std::optional<resources::Node>> nodes;
    };

    Manager(std::unique_ptr<store::Store> store, ManagerOptions options, Metrics& metrics);

    // manager.cc: the store, transactions and the link. The mutex is held.
    std::string restore();
    std::optional<resources::Problem> commit(Staged staged);
    LoadBalancerRecord record_of(const ipam::ServiceKey& key, resources::LoadBalancer object, const Entry* before,
                                 const ipam::Allocation& allocation) const;
    contract::ForwardingState build_state() const;
    std::optional<store::Error> write(const store::Batch& batch);
    void renumber_beyond(std::uint64_t generation);
    void log_events() const;
    std::string timestamp() const;
    std::uint64_t now_seconds() const;

    // manager_objects.cc. The mutex is held.
    std::variant<ipam::PoolSet, resources::Problem> pools_with(const std::string& name,
                                                               const resources::AddressPoolSpec* spec) const;
    template <class T>
    std::optional<resources::Problem> check_version(const T* object, std::optional<std::uint64_t> if_match) const;
    /// What the server sets in the metadata of a written object; `before` is none for a new one.
    template <class T>
    void stamp(T& wanted, const T* before) const;

    // manager_view.cc. The mutex is held where a map is read.
    resources::LoadBalancer render(const ipam::ServiceKey& key, Entry& entry, const reconcile::LinkStatus& link);
    resources::Condition programmed_condition(const Entry& entry, const reconcile::LinkStatus& link) const;
    resources::Condition ready_condition(const Entry& entry, bool programmed) const;
    resources::AddressPool render(const resources::AddressPool& pool) const;
    resources::SystemStatus status_locked(const reconcile::LinkStatus& link) const;

    std::unique_ptr<store::Store> store_;
    ManagerOptions options_;
    Metrics& metrics_;
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();

    mutable std::mutex mutex_;
    Entries load_balancers_;
    Pools pools_;
    Nodes nodes_;
    ipam::Allocator allocator_;
    std::uint64_t revision_ = 0;
    reconcile::DataplaneLink::State desired_;
    std::string store_error_;  // of the last commit; empty: it worked

    std::mutex counters_mutex_;
    std::optional<contract::Counters> counters_;  ///< none: counters_error_ says why
    std::string counters_error_;
    std::chrono::steady_clock::time_point counters_at_{};  ///< when the dataplane was last asked, to the end

    reconcile::DataplaneLink link_;  // last: its thread uses the others
};

}  // namespace guideway::controlplane
