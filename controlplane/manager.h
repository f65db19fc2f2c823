// Manager: the control plane's rules behind the REST API: keeps the objects, lets the address management decide, makes each
// change durable, and hands what is to be forwarded to the reconcile loop.
//
// A change goes: CommitQueue (its turn, with others that came at the same time) -> checked against the objects -> allocator
// transaction -> staged -> one store batch, durable -> published: objects, change log, events, reconcile loop -> answered.
// Only after the commit anything is answered or forwarded (ipam-rules 20); where the store refuses, nothing has happened.
//
// Terms. Writer: whoever leads the commit queue at the moment: one thread; only it touches the allocator, and what is staged.
// Published: what readers see; it changes at once for all that one batch holds.
//
// Worked example: PUT load balancer default/web, pool "a" with 203.0.113.10 free, store at revision 7, generation 3.
//   allocator: 203.0.113.10. Record with resourceVersion 8 and generation 4 committed in one batch. The loop builds and the
//   link sends generation 4. GET shows Programmed=False until the dataplane answers with 4, then Programmed=True and Ready=True.
//   The same PUT again: changed=false, the store is not touched.
//
// Thread contract: every public method from any thread. `mutex_` guards what is published, and is held for memory work alone:
// never during a commit or while waiting for the dataplane. The writer may read what is published without it, for only the
// writer changes it (but for the conditions that were told, which are read under it).
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

#include "api/rest/appliance.h"
#include "controlplane/announce/announce_loop.h"
#include "controlplane/announce/bgp_settings.h"
#include "controlplane/announce/conflict_watch.h"
#include "controlplane/announce/maintenance_watch.h"
#include "controlplane/announce/peer_watch.h"
#include "controlplane/audit.h"
#include "controlplane/auth/token_book.h"
#include "controlplane/commit/commit_queue.h"
#include "controlplane/health/health_board.h"
#include "controlplane/health/prober.h"
#include "controlplane/ipam/allocator.h"
#include "controlplane/metrics.h"
#include "controlplane/pod_routes.h"
#include "controlplane/pool_forecast.h"
#include "controlplane/pool_ways.h"
#include "controlplane/reconcile/dataplane_link.h"
#include "controlplane/reconcile/state_loop.h"
#include "controlplane/records.h"
#include "controlplane/store/store.h"
#include "controlplane/watch/change_log.h"
#include "controlplane/watch/event_book.h"

namespace guideway::controlplane {

struct ManagerOptions {
    reconcile::LinkOptions link;
    std::chrono::milliseconds explain_timeout{2000};
    /// A scrape does not wait longer for the dataplane's counters.
    std::chrono::milliseconds counters_timeout{1000};
    /// How often the dataplane is asked who else claims our addresses.
    std::chrono::milliseconds conflicts_every{2000};
    /// Scrapes closer together than this get the same counters.
    std::chrono::milliseconds counters_age{200};
    ChangeLog::Bounds watch;
    health::ProberOptions probing;
    reconcile::AllFailing all_failing = reconcile::AllFailing::all;
    /// What tells the network of our addresses; null: nobody does.
    std::function<std::unique_ptr<announce::Announcer>()> announcer = {};
    announce::LoopOptions announcing = {};
    /// What operators are shown of it; none: BGP is not configured.
    std::optional<announce::BgpSettings> bgp = {};
    std::optional<announce::MaintenanceFile> maintenance = {};
    /// Who begins maintenance is answered when everything is withdrawn, or after so long.
    std::chrono::milliseconds withdrawal_patience{2000};
    /// Null: no audit log.
    AuditLog* audit = nullptr;
    std::function<std::chrono::system_clock::time_point()> now = std::chrono::system_clock::now;
};

class Manager final : public rest::Appliance {
  public:
    /// Reads the store, restores every recorded address before anybody else may have one (ipam-rules 22), and starts the link.
    /// A record that cannot be read is an error: going on without it would give its address away.
    static std::variant<std::unique_ptr<Manager>, std::string> open(std::unique_ptr<store::Store> store,
                                                                    ManagerOptions options, Metrics& metrics);
    ~Manager() override;
    /// Ends the link and the watches: waits end, nothing more is sent. The objects stay readable.
    void stop();

    rest::Result<rest::Ensured<resources::LoadBalancer>> ensure(resources::LoadBalancer wanted,
                                                                const rest::Intent& intent) override;
    rest::Result<resources::LoadBalancer> load_balancer(const std::string& cluster, const std::string& ns,
                                                        const std::string& name) override;
    rest::Result<rest::Page<resources::LoadBalancer>> load_balancers(const rest::PageRequest& request) override;
    rest::Result<bool> delete_load_balancer(const std::string& cluster, const std::string& ns, const std::string& name,
                                            const std::string& uid, const rest::Intent& intent) override;
    resources::AllocationPreview preview(const resources::LoadBalancer& wanted) override;

    rest::Result<rest::Ensured<resources::AddressPool>> ensure(resources::AddressPool wanted,
                                                               const rest::Intent& intent) override;
    rest::Result<resources::AddressPool> address_pool(const std::string& name) override;
    rest::Result<rest::Page<resources::AddressPool>> address_pools(const rest::PageRequest& request) override;
    rest::Result<bool> delete_address_pool(const std::string& name, const rest::Intent& intent) override;

    rest::Result<rest::Ensured<resources::Node>> ensure(resources::Node wanted, const rest::Intent& intent) override;
    rest::Result<resources::Node> node(const std::string& cluster, const std::string& name) override;
    rest::Result<rest::Page<resources::Node>> nodes(const rest::PageRequest& request) override;
    rest::Result<bool> delete_node(const std::string& cluster, const std::string& name,
                                   const rest::Intent& intent) override;

    rest::Result<rest::Ensured<resources::Token>> ensure(resources::Token wanted, const rest::Intent& intent) override;
    rest::Result<resources::Token> token(const std::string& name) override;
    rest::Result<rest::Page<resources::Token>> tokens(const rest::PageRequest& request) override;
    rest::Result<bool> delete_token(const std::string& name, const rest::Intent& intent) override;
    rest::Result<resources::Token> rotate_token(const std::string& name, const rest::Intent& intent) override;

    rest::Result<std::vector<resources::SnatAddress>> snat_addresses() override;
    rest::Result<rest::Page<resources::Event>> events(const rest::PageRequest& request) override;
    rest::Result<std::unique_ptr<rest::Watch>> watch(rest::Kind kind, const rest::Selection& selection,
                                                     std::uint64_t revision) override;

    resources::SystemStatus status() override;
    bool wait_until_forwarding(std::chrono::milliseconds timeout) override;
    rest::Result<contract::ExplainAnswer> explain(const contract::ExplainRequest& request) override;
    rest::Result<contract::Counters> counters() override;

    resources::BgpStatus bgp() override;
    resources::Maintenance maintenance() override;
    rest::Result<resources::Maintenance> set_maintenance(const resources::Maintenance& wanted,
                                                         const rest::Intent& intent) override;

    rest::Result<std::string> backup() override;
    rest::Result<resources::SystemStatus> restore(std::string_view document, const rest::Intent& intent) override;

    std::string metrics() override;
    std::string not_ready_reason() override;

    /// The tokens in force; for the authenticator.
    auth::TokenBook& token_book() { return tokens_; }
    /// A record that was made beside the API (the first token). Empty: durable; else why not.
    std::string put_token_record(const auth::TokenRecord& record);
    /// Writes when tokens were last used. To be called now and then.
    void save_token_uses();

  private:
    /// A load balancer as the store has it, and what is known of it beside.
    struct Entry {
        LoadBalancerRecord record;
        std::uint64_t in_state_since = 0;  ///< first generation that holds it as it is now
        resources::Condition programmed;   ///< as last told
        resources::Condition ready;
    };
    struct NodeEntry {
        resources::Node object;
        std::uint64_t in_state_since = 0;
        resources::Condition programmed;
        resources::Condition ready;
        resources::Condition healthy;  ///< type "" as long as it is not probed
        resources::Condition routed;   ///< type "" where it has no podCIDR
    };
    using Entries = std::map<ipam::ServiceKey, Entry>;
    using Pools = std::map<std::string, resources::AddressPool>;
    using Nodes = std::map<NodeKey, NodeEntry>;

    struct Objects {
        Entries load_balancers;
        Pools pools;  ///< with the numbers of their status
        Nodes nodes;
    };
    /// What a store's contents stand for, with every address given as the pools allow now.
    struct Loaded {
        Objects objects;
        ipam::Allocator allocator;
        std::vector<auth::TokenRecord> tokens;
        std::vector<store::Change> settled;  ///< what is not as recorded any more
        std::vector<ipam::Event> events;
    };

    /// What the works of one batch want. Each object once; what an allocator's decision changes beside is added at the commit.
    struct Staged {
        std::map<ipam::ServiceKey, std::optional<resources::LoadBalancer>> load_balancers;
        std::set<ipam::ServiceKey> replaced;  ///< another UID: a new object under the old name
        std::map<std::string, std::optional<resources::AddressPool>> pools;
        std::map<NodeKey, std::optional<NodeEntry>> nodes;
        std::map<std::string, std::optional<auth::TokenRecord>> tokens;
        std::size_t services = 0;  ///< entries of the forwarding state that load balancers of it may add
        std::size_t ranges = 0;    ///< source ranges, likewise
        bool alone = false;        ///< nothing else fits into this batch
        bool probe = false;        ///< nothing is changed: does the store take a batch?
        bool renumber = false;     ///< the generation grows though nothing changed
        std::uint64_t beyond = 0;  ///< ... beyond this one
        std::vector<AuditEntry> audit;
        bool empty() const;
    };
    /// What a batch makes of the objects, ready to be published.
    struct Outcome {
        std::vector<std::pair<ipam::ServiceKey, std::optional<Entry>>> load_balancers;
        std::vector<std::pair<NodeKey, std::optional<NodeEntry>>> nodes;
        WaysOfPools pool_ways;  ///< once it is published
        store::Batch batch;
        bool forwarding_changed = false;
    };

    Manager(std::unique_ptr<store::Store> store, ManagerOptions options, Metrics& metrics);

    // manager.cc: start and stop, what is in the store
    std::string open_store();
    /// Everything is as these contents say from now on; what has to be settled is written first. Empty: done.
    std::string take_over(const store::Contents& contents, std::uint64_t generation);
    /// The store has something else than this process knows of (a write that was believed lost is there): what the store says
    /// counts, so everything is read again, as at a start.
    bool catch_up();
    std::variant<Loaded, std::string> load_contents(const store::Contents& contents, std::uint64_t next_revision) const;
    void install(Loaded loaded, std::uint64_t revision, std::uint64_t generation);
    rest::Result<bool> replace_everything(store::Contents& contents);

    // manager_commit.cc: the writer's way from staged to published
    void begin();
    CommitQueue::Failure commit(std::size_t works);
    void abandon();
    Outcome outcome_of(Staged& staged);
    void stage_load_balancers(Staged& staged, Outcome& outcome);
    void stage_nodes(Staged& staged, Outcome& outcome);
    static std::vector<store::Change> quarantine_changes(const ipam::Allocator& allocator);
    void publish(Staged& staged, Outcome& outcome);
    void publish_load_balancers(Staged& staged, Outcome& outcome, const reconcile::LinkStatus& link,
                                std::vector<Change>& changes, reconcile::Delta& delta);
    void publish_nodes(Outcome& outcome, const reconcile::LinkStatus& link, std::vector<Change>& changes,
                       reconcile::Delta& delta);
    void publish_pools(Staged& staged, std::vector<Change>& changes);
    void publish_event(const ipam::Event& event, std::vector<Change>& changes);
    void count_serving(const resources::Node& node, int by);
    std::optional<store::Error> write(const store::Batch& batch);
    void renumber_beyond(std::uint64_t generation);

    // manager_health.cc: what the health checks find, and drains whose time is over
    void probe_results(const std::vector<health::Changed>& results);
    /// The board and the prober follow what was published. `mutex_` is held.
    void follow_health(const Outcome& outcome);
    void follow_all_health();
    std::optional<resources::Condition> healthy_condition(const NodeEntry& entry) const;
    std::optional<resources::Condition> routed_condition(const NodeEntry& entry) const;
    /// Says of each node whose podCIDR another one has the route of, or has not any more. `mutex_` is held.
    void tell_pod_routes(const reconcile::LinkStatus& link, std::vector<Change>& changes);
    void keep_house();
    bool first_state_may_go() const;
    void hand_on_verdicts();
    void end_drains();
    void start_house();
    void stop_house();

    // manager_announce.cc
    announce::LoopOptions announcing_options();
    void start_announcing();
    void stop_announcing();
    void maintenance_changed(const announce::MaintenanceWatch::State& state);
    void add_announcing(MetricsSnapshot& snapshot) const;

    // manager_conflicts.cc: other machines that claim our addresses
    std::optional<announce::ConflictWatch::Conflicts> ask_for_conflicts();
    /// Says of pools that are bound to ports which the dataplane has not (any more).
    void tell_ports(const std::vector<contract::PortStatus>& ports);
    void conflicts_changed(const announce::ConflictWatch::Conflicts& now);
    /// Why it is not ready, where it has an address that is left to another machine. `mutex_` is held.
    std::optional<resources::Condition> yielded_condition(const Entry& entry) const;

    LoadBalancerRecord record_of(const ipam::ServiceKey& key, resources::LoadBalancer object,
                                 const LoadBalancerRecord* before, const ipam::Allocation& allocation) const;

    /// Ports that the dataplane has not, where it can be asked: somebody's typing error is found at once.
    std::optional<resources::Problem> refuse_ports(const resources::AddressPoolSpec& spec) const;

    // What changes need. The writer.
    std::variant<ipam::PoolSet, resources::Problem> pools_with(const std::string& name,
                                                               const resources::AddressPoolSpec* spec) const;
    /// Whether the token may cease to be one of an admin: somebody must be able to let others in.
    std::optional<resources::Problem> refuse_lockout(const std::string& name, bool stays_admin) const;
    std::optional<resources::Problem> refuse_node(const resources::Node& wanted, const NodeKey& key) const;
    /// What the server sets in the metadata of a written object; `before` is none for a new one.
    template <class T>
    void stamp(T& wanted, const T* before) const;
    /// Staged with the change; null: there was none, or is none any more.
    template <class T>
    void audit(const rest::Intent& intent, const char* verb, const char* kind, std::string key, const T* before,
               const T* after);

    // manager_view.cc. `mutex_` is held.
    resources::LoadBalancer render(const Entry& entry, const reconcile::LinkStatus& link) const;
    resources::Node render(const NodeEntry& entry, const reconcile::LinkStatus& link) const;
    resources::Condition programmed_condition(std::uint64_t in_state_since, const reconcile::LinkStatus& link) const;
    resources::Condition programmed_condition(const Entry& entry, const reconcile::LinkStatus& link) const;
    resources::Condition ready_condition(const Entry& entry, bool programmed) const;
    resources::Condition ready_condition(const NodeEntry& entry, bool programmed) const;
    resources::SystemStatus status_locked(const reconcile::LinkStatus& link) const;
    void count_pool_use(resources::AddressPool& pool);
    /// Tells the announcements which pool has which addresses.
    void announce_pools();
    /// Tells watchers of conditions that are others now.
    void link_changed();
    /// Notes the conditions of now as told. True: they are others than those told last.
    bool tell(Entry& entry, const reconcile::LinkStatus& link);
    bool tell(NodeEntry& entry, const reconcile::LinkStatus& link);
    void tell_all(const reconcile::LinkStatus& link, bool nodes_changed, std::vector<Change>& changes);
    Change change_of(rest::ChangeType type, resources::LoadBalancer object,
                     std::map<std::string, std::string> labels_before) const;
    Change change_of(rest::ChangeType type, resources::Node object,
                     std::map<std::string, std::string> labels_before) const;
    Change change_of(rest::ChangeType type, resources::AddressPool object,
                     std::map<std::string, std::string> labels_before) const;
    void add_event(std::vector<Change>& changes, bool warning, std::string reason, std::string message,
                   resources::ObjectReference regarding);

    std::string timestamp() const;
    std::uint64_t unix_seconds() const;

    std::unique_ptr<store::Store> store_;
    const ManagerOptions options_;
    Metrics& metrics_;
    const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();

    // The writer's.
    ipam::Allocator allocator_;
    Staged staged_;
    WaysOfPools pool_ways_;  ///< the writer's
    bool stale_ = false;     ///< the store has to be read again before anything is changed

    mutable std::shared_mutex mutex_;
    Objects objects_;
    std::map<std::pair<std::string, IpFamily>, std::size_t>
        serving_;               ///< nodes that take connections, by cluster and family
    std::size_t services_ = 0;  ///< entries of the forwarding state
    std::size_t ranges_ = 0;    ///< source ranges of all load balancers
    std::uint64_t revision_ = 0;
    std::uint64_t generation_ = 0;
    std::string store_error_;  ///< of the last commit; empty: it worked
    EventBook event_book_;
    bool told_connected_ = false;
    std::uint64_t told_refused_ = 0;
    std::map<IpAddress, contract::AddressConflict> conflicts_;  ///< as last told
    std::map<std::string, std::string> unknown_ports_;          ///< by pool, as last told
    PoolForecast forecast_;
    health::HealthBoard board_;
    PodRoutes pod_routes_;
    /// When generations that are not in force yet were committed.
    std::deque<std::pair<std::uint64_t, std::chrono::steady_clock::time_point>> not_in_force_;

    ChangeLog changes_;
    auth::TokenBook tokens_;

    std::mutex counters_mutex_;
    std::optional<contract::Counters> counters_;  ///< none: counters_error_ says why
    std::string counters_error_;
    std::chrono::steady_clock::time_point counters_at_{};  ///< when the dataplane was last asked, to the end

    CommitQueue queue_;
    std::unique_ptr<announce::PeerWatch> peers_;               ///< null: BGP is not configured
    std::unique_ptr<announce::MaintenanceWatch> maintenance_;  ///< null: there is no such file
    announce::AnnounceLoop announce_;
    reconcile::DataplaneLink link_;
    reconcile::StateLoop loop_;
    health::Prober prober_;
    announce::ConflictWatch conflict_watch_;

    std::mutex house_mutex_;
    std::condition_variable house_called_;
    bool house_ended_ = false;
    bool verdicts_new_ = false;
    std::thread house_;  // last: threads use the others
};

}  // namespace guideway::controlplane
