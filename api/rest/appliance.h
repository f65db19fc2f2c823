// Appliance: what the REST server asks of the control plane. The server knows HTTP and JSON; the implementation
// (controlplane/manager) knows the rules. Neither knows the other.
//
// Terms. Revision: grows with everything that changes; an object's resourceVersion is the revision in which it was written, a
// list's that of the moment. A watch tells what came after a revision: also changes of conditions, which do not
// change an object's resourceVersion. Selection: which objects of a kind are meant. Whether a caller may do what it asks is
// the routes' business, by its role; it is handed in for the audit log.
//
// Thread contract: every method may be called from any thread at once; the implementation serialises what it must.
// A change is durable (committed to the store) before its method returns (ipam-rules 20).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/contract/counters.h"
#include "api/contract/explain.h"
#include "api/resources/address_pool.h"
#include "api/resources/bgp_status.h"
#include "api/resources/event.h"
#include "api/resources/load_balancer.h"
#include "api/resources/maintenance.h"
#include "api/resources/node.h"
#include "api/resources/problem.h"
#include "api/resources/result.h"
#include "api/resources/selector.h"
#include "api/resources/snat_address.h"
#include "api/resources/status.h"
#include "api/resources/token.h"
#include "api/rest/caller.h"

namespace guideway::rest {

using resources::LabelQuery;
using resources::Result;

/// What an Ensure (PUT) did.
template <class T>
struct Ensured {
    T object;
    bool created = false;  ///< answered as 201, else 200
    bool changed = false;  ///< false: the same wish again; nothing was written
};

/// What must be so for a change to be made; else 412.
struct Precondition {
    std::optional<std::uint64_t> version;  ///< If-Match: "12"
    bool must_exist = false;               ///< If-Match: *
    bool must_be_new = false;              ///< If-None-Match: *
    friend bool operator==(const Precondition&, const Precondition&) = default;
};

/// Who changes something, and on what condition.
struct Intent {
    Caller caller;
    Precondition precondition;
};

struct Selection {
    std::optional<std::string> cluster;     ///< none: of every cluster
    std::optional<std::string> namespace_;  ///< none: of every namespace
    LabelQuery labels;
    std::optional<std::string> regarding_kind;  ///< of events: that tell of this kind ("LoadBalancer")
    std::optional<std::string> regarding_name;  ///< of events: that tell of an object of this name
};

struct PageRequest {
    Selection selection;
    std::size_t limit = 0;    ///< 0: all
    std::string after_token;  ///< `continue` of the page before; opaque
};

template <class T>
struct Page {
    std::vector<T> items;        ///< sorted by cluster, namespace, name
    std::uint64_t revision = 0;  ///< a watch from here misses nothing
    std::string next_token;      ///< empty: this is the end
    std::size_t remaining = 0;   ///< after this page
};

/// The kinds that can be watched.
enum class Kind : std::uint8_t { load_balancer, address_pool, node, event };

enum class ChangeType : std::uint8_t { added, modified, deleted };

struct WatchEvent {
    ChangeType type = ChangeType::added;
    std::uint64_t revision = 0;
    bool last_of_revision =
        true;            ///< only then a watch may be resumed from `revision` without missing its other changes
    std::string object;  ///< JSON, as a GET answers it; of a deleted one as it was last
};

/// What there is for a watcher now.
struct WatchBatch {
    std::vector<WatchEvent> events;
    std::uint64_t revision = 0;  ///< all up to here was told: what a bookmark says
    bool too_old = false;        ///< the reader fell behind what is kept (410); nothing follows
    bool ended = false;          ///< the control plane stops; nothing follows
};

/// One reader of the changes of a kind. Keeps a position only: what a slow reader has not read is not buffered for it.
/// Thread contract: one thread at a time.
class Watch {
  public:
    virtual ~Watch() = default;
    /// Waits until there is something, or the time is over (then no events).
    virtual WatchBatch next(std::chrono::milliseconds wait) = 0;
};

class Appliance {
  public:
    virtual ~Appliance() = default;

    // Objects arrive validated by the codec (shape and ranges); what needs other objects (pools, conflicts) is checked here.

    virtual Result<Ensured<resources::LoadBalancer>> ensure(resources::LoadBalancer wanted, const Intent& intent) = 0;
    virtual Result<resources::LoadBalancer> load_balancer(const std::string& cluster, const std::string& ns,
                                                          const std::string& name) = 0;
    virtual Result<Page<resources::LoadBalancer>> load_balancers(const PageRequest& request) = 0;
    /// True: it was there; false: it was not (also a success). A problem only where the store fails or the precondition
    /// does not hold. `uid`: where not empty, only an object of this UID is deleted (another one: 409).
    virtual Result<bool> delete_load_balancer(const std::string& cluster, const std::string& ns,
                                              const std::string& name, const std::string& uid,
                                              const Intent& intent) = 0;
    /// What `wanted` would get now; changes nothing.
    virtual resources::AllocationPreview preview(const resources::LoadBalancer& wanted) = 0;

    virtual Result<Ensured<resources::AddressPool>> ensure(resources::AddressPool wanted, const Intent& intent) = 0;
    virtual Result<resources::AddressPool> address_pool(const std::string& name) = 0;
    virtual Result<Page<resources::AddressPool>> address_pools(const PageRequest& request) = 0;
    /// Also where it is in use: its holders move or wait then. (The routes ask for If-Match there, 428.)
    virtual Result<bool> delete_address_pool(const std::string& name, const Intent& intent) = 0;

    virtual Result<Ensured<resources::Node>> ensure(resources::Node wanted, const Intent& intent) = 0;
    virtual Result<resources::Node> node(const std::string& cluster, const std::string& name) = 0;
    virtual Result<Page<resources::Node>> nodes(const PageRequest& request) = 0;
    virtual Result<bool> delete_node(const std::string& cluster, const std::string& name, const Intent& intent) = 0;

    virtual Result<Ensured<resources::Token>> ensure(resources::Token wanted, const Intent& intent) = 0;
    virtual Result<resources::Token> token(const std::string& name) = 0;
    virtual Result<Page<resources::Token>> tokens(const PageRequest& request) = 0;
    virtual Result<bool> delete_token(const std::string& name, const Intent& intent) = 0;
    /// A further secret, shown in the answer; the one before stays valid, any older one ends.
    virtual Result<resources::Token> rotate_token(const std::string& name, const Intent& intent) = 0;

    virtual Result<std::vector<resources::SnatAddress>> snat_addresses() = 0;
    /// The newest ones, oldest first.
    virtual Result<Page<resources::Event>> events(const PageRequest& request) = 0;

    /// Changes of a kind after `revision` (0: from now on). A problem with status 410 where that is too long ago.
    virtual Result<std::unique_ptr<Watch>> watch(Kind kind, const Selection& selection, std::uint64_t revision) = 0;

    virtual resources::SystemStatus status() = 0;
    /// Waits until the dataplane has everything in force that was committed before the call, or the timeout is over.
    /// True: in force.
    virtual bool wait_until_forwarding(std::chrono::milliseconds timeout) = 0;
    virtual Result<contract::ExplainAnswer> explain(const contract::ExplainRequest& request) = 0;
    virtual Result<contract::Counters> counters() = 0;

    /// Of what was last seen: nobody is asked.
    virtual resources::BgpStatus bgp() = 0;
    virtual resources::Maintenance maintenance() = 0;
    /// Begins or ends it, as `wanted.on` and `wanted.reason` say; durable, and acted on.
    virtual Result<resources::Maintenance> set_maintenance(const resources::Maintenance& wanted,
                                                           const Intent& intent) = 0;

    /// Everything the store holds, as one document (JSON lines; controlplane/store/backup.h).
    virtual Result<std::string> backup() = 0;
    /// Replaces everything by a backup, in one step; connections go on where what they use is in it too. The precondition's
    /// version is the revision that lists tell (412 where it is another).
    virtual Result<resources::SystemStatus> restore(std::string_view document, const Intent& intent) = 0;

    /// Prometheus text exposition format 0.0.4.
    virtual std::string metrics() = 0;
    /// Able to serve changes: the store is open. (Forwarding does not depend on it.) Empty = ready, else the reason.
    virtual std::string not_ready_reason() = 0;
};

}  // namespace guideway::rest
