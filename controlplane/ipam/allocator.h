// Allocator: who holds which address, by the rules of ipam-rules.md (rule numbers in brackets).
//
// Pure: no store, clock, thread or HTTP. What it decides depends on the pools, the allocations, the times handed to begin() and
// the order of the calls alone, so a test can hold it against a slow model.
//
// Every change is a transaction: begin(), calls, then commit() once the store has it, or rollback() where the
// store failed: so an allocation is durable before it is answered or forwarded (20). changed() names all
// services that the transaction touched, also those that were served because something became free (23). Many calls may share
// one transaction (and one sync of the store); take_changed() tells what each of them did.
//
// Worked example: pool "a" = 192.0.2.1-192.0.2.1.
//   begin(now); ensure(x) -> holds 192.0.2.1; commit()
//   begin(now); ensure(y) -> NoAvailableIPs, waits; commit()
//   begin(now); release(x) -> changed() = {x, y}: y holds 192.0.2.1; commit()
//
// Quarantine (6): an address that its last user left is skipped for its pool's quarantine_seconds while others of that pool and
// family are free; then the one that was freed first is given. Two may have it at once: who left it last, as long as nobody else
// has it (a Service that is made anew gets its address back), and whoever requests that very address (9). It never makes a pool
// count as full, and an earlier pool that has only such addresses left still comes before a later one.
//
// Cost: a call costs the logarithm of the number of services, times pools, and one attempt for each kind of waiting service that
// it may help (waiting_list.h); set_pools() and load() look at every service once.
//
// Thread contract: none of its own; the owner serialises.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/ipam/interval_set.h"
#include "controlplane/ipam/pool_set.h"
#include "controlplane/ipam/preview.h"
#include "controlplane/ipam/waiting_list.h"
#include "controlplane/ipam/wish.h"

namespace guideway::ipam {

enum class EventKind : std::uint8_t {
    allocated,      ///< a service without address got what it asked, at once
    served_late,    ///< the same after it had waited (23)
    moved,          ///< a holder has other addresses, because it asked for them (10)
    lost,           ///< an address, because no pool gives it any more (19)
    conflict,       ///< an address, because an older service claims it (21)
    gained_family,  ///< a holder of one address has both families now (13)
    refused,        ///< the wish is not met, or for another reason than before
};

/// "Allocated", "ServedLate", ...
std::string_view to_string(EventKind kind);

/// Something that people should read of: why an address moved, was lost, or was served late.
struct Event {
    ServiceKey service;
    EventKind kind = EventKind::moved;
    std::string message;
    friend bool operator==(const Event&, const Event&) = default;
};

/// A pool's addresses of one family. total = allocated + quarantined + free; each saturates at 2^53 - 1 (5).
struct FamilyUse {
    std::uint64_t total = 0;
    std::uint64_t allocated = 0;    ///< held; a shared address counts once (18)
    std::uint64_t shared = 0;       ///< of the allocated: held by more than one service
    std::uint64_t quarantined = 0;  ///< given only where none is free
    std::uint64_t free = 0;
    friend bool operator==(const FamilyUse&, const FamilyUse&) = default;
};

struct PoolUse {
    FamilyUse ipv4;
    FamilyUse ipv6;
    std::uint64_t services = 0;  ///< that hold an address of the pool
    FamilyUse& of(IpFamily family) { return family == IpFamily::ipv4 ? ipv4 : ipv6; }
    const FamilyUse& of(IpFamily family) const { return family == IpFamily::ipv4 ? ipv4 : ipv6; }
    friend bool operator==(const PoolUse&, const PoolUse&) = default;
};

/// An address that its last user left; what the store keeps of it.
struct Quarantined {
    IpAddress address;
    std::uint64_t freed_at = 0;  ///< seconds, of the clock that begin() is told
    ServiceKey former;           ///< who left it last
    friend bool operator==(const Quarantined&, const Quarantined&) = default;
};

struct QuarantineChange {
    IpAddress address;
    std::optional<Quarantined> now;  ///< none: it is in quarantine no longer
    friend bool operator==(const QuarantineChange&, const QuarantineChange&) = default;
};

class Allocator {
  public:
    /// `now_seconds`: of any clock that goes on over restarts (seconds since 1970). One that is set back stands still here until
    /// it has caught up: quarantine lasts the longer.
    void begin(std::uint64_t now_seconds);
    void commit();
    void rollback();
    bool in_transaction() const { return in_transaction_; }

    /// Start: recorded holders first, the oldest before all others where claims conflict (21, 22); what lies
    /// in no pool any more is re-allocated; then the waiting are served. Replaces everything; changed() then names those that are
    /// other than recorded, and a rollback() leaves an empty allocator. Of `quarantined` that is kept which is still in
    /// quarantine; times to come count as now.
    void load(PoolSet pools, std::map<ServiceKey, Allocation> recorded,
              const std::vector<Quarantined>& quarantined = {});

    /// New pools: holders inside stay, admitted or not (7, 19), those outside are re-allocated, then the waiting are served.
    void set_pools(PoolSet pools);

    /// Takes the wish and meets it as far as possible; what it has keeps working where the new wish cannot be
    /// met (7, 10, 11). `order` is used only where the service is new.
    const Allocation& ensure(const ServiceKey& service, Wish wish, std::uint64_t order);

    /// Takes the service away and serves the waiting (18, 23). False: there was none.
    bool release(const ServiceKey& service);

    /// What ensure() would do now, and why: a dry run, within a transaction or without. Leaves no trace.
    Preview preview(const ServiceKey& service, const Wish& wish, std::uint64_t now_seconds);

    const Allocation* find(const ServiceKey& service) const;
    const std::map<ServiceKey, Allocation>& allocations() const { return services_; }
    const PoolSet& pools() const { return pools_; }
    /// Costs the same however large and full the pool is. All zero where there is no such pool.
    PoolUse use(const std::string& pool) const;
    /// Services without a single address.
    std::size_t without_address() const { return without_address_; }
    /// By address.
    std::vector<Quarantined> quarantined() const;

    /// Since begin(): services whose allocation is other than before, sorted; gone ones too.
    std::vector<ServiceKey> changed() const;
    /// The same since the last call within the transaction, or since begin().
    std::vector<ServiceKey> take_changed();
    /// Since begin(), by address. Those whose time was over may be written with the next change that is written anyway: load()
    /// drops them too.
    std::vector<QuarantineChange> quarantine_changes() const;
    /// Since begin(), in order; until commit() or rollback().
    const std::vector<Event>& events() const { return journal_.events; }

  private:
    struct PoolState {
        std::vector<IntervalSet> blocked;  // by entry: held, or left out by avoid_buggy_ips
        std::vector<IntervalSet> skipped;  // the same and the quarantined; only where the pool has a quarantine
        std::array<std::set<std::pair<std::uint64_t, IpAddress>>, 2> quarantine;  // by family: (freed_at, address)
        std::array<Number, 2> total{};
        std::array<std::uint64_t, 2> allocated{};
        std::array<std::uint64_t, 2> shared{};
        std::uint64_t services = 0;
    };
    /// Who is on one address. Where there are several, all have the same key and no port twice (15).
    struct AddressUse {
        std::vector<ServiceKey> users;          // sorted, so that who is named does not depend on who came first
        std::string sharing_key;                // empty: one user, who shares with nobody
        std::map<PortClaim, ServiceKey> ports;  // only with a key
    };
    /// Addresses of a pool's family that somebody with the same key may join.
    struct SharedAddresses {
        std::set<std::pair<std::size_t, IpAddress>>
            addresses;                           // (entry, address): in the order in which they are tried
        std::map<PortClaim, std::size_t> ports;  // on how many of them each is taken
    };
    using SharedIn = std::pair<FreeIn, KeyScope>;
    /// Addresses that would meet a wish.
    struct Pick {
        std::vector<Holding> holdings;
        std::size_t shared = 0;  // of them held already with the same key
    };
    /// A pick, or why there is none.
    struct Choice {
        std::optional<Pick> pick;
        std::optional<Refusal> refusal;
    };
    using Services = std::map<ServiceKey, Allocation>;
    /// What a transaction changed, and how it was before.
    struct Journal {
        std::map<ServiceKey, std::optional<Allocation>> before;
        std::set<ServiceKey> touched;                             // since take_changed()
        std::map<ServiceKey, std::optional<Allocation>> at_take;  // of those that had been touched before it
        std::optional<PoolSet> pools_before;
        bool is_load = false;  // before it there was nothing; `before` is what was recorded
        std::map<IpAddress, std::optional<Quarantined>> quarantine_before;
        std::vector<Event> events;
    };

    // allocator.cc: transactions
    void touch(const ServiceKey& service);
    void note(const ServiceKey& service, EventKind kind, std::string message);
    void undo();
    void rebuild(PoolSet pools);
    bool is_changed(const ServiceKey& service, const std::optional<Allocation>& before) const;

    // occupying.cc: who is on which address, and quarantine
    void occupy(const ServiceKey& service, const Claim& claim, const IpAddress& address);
    void vacate(const ServiceKey& service, const IpAddress& address);
    std::optional<SharedIn> shared_in(const AddressUse& use, const std::optional<Place>& place, IpFamily family) const;
    void occupy_all(const ServiceKey& service, const Allocation& allocation);
    void vacate_all(const ServiceKey& service, const Allocation& allocation);
    void count_service(const Allocation& allocation, bool comes);
    void forget(const ServiceKey& service);
    void forget_occupation();
    void set_holdings(const ServiceKey& service, std::vector<Holding> holdings, const Claim& claim);
    void set_quarantine(const IpAddress& address, std::optional<Quarantined> now);
    void end_quarantines();
    void restore_quarantines(const std::vector<Quarantined>& all);

    // choosing.cc: which address a wish gets; changes nothing
    /// Why the claim does not fit beside the others on the address; none: it fits (15, 16, 18). Who is there already stays
    /// whatever the pool says of namespaces now.
    std::optional<Refusal> misfit(const ServiceKey& service, const Claim& claim, const IpAddress& address,
                                  bool is_there_already) const;
    std::optional<Refusal> misfit_where_it_is(const ServiceKey& service, const Claim& claim,
                                              const std::vector<Holding>& holdings) const;
    bool is_user(const ServiceKey& service, const IpAddress& address) const;
    std::optional<IpAddress> lowest_outside(std::size_t pool, IpFamily family,
                                            const std::vector<IntervalSet>& blocked) const;
    std::optional<IpAddress> free_address(const ServiceKey& service, std::size_t pool, IpFamily family) const;
    std::optional<IpAddress> shareable(const ServiceKey& service, const Claim& claim, std::size_t pool,
                                       IpFamily family) const;
    std::optional<Pick> pick_from(const ServiceKey& service, const Claim& claim, std::size_t pool,
                                  const std::vector<IpFamily>& families) const;
    std::optional<Pick> pick_among(const ServiceKey& service, const Claim& claim, const std::vector<std::size_t>& pools,
                                   const std::vector<IpFamily>& families) const;
    Choice choose_requested(const ServiceKey& service, const Wish& wish) const;
    Choice choose_from_pools(const ServiceKey& service, const Wish& wish) const;
    Refusal nothing_in(const ServiceKey& service, const Wish& wish, const std::vector<std::size_t>& pools) const;
    std::vector<std::size_t> candidates(const ServiceKey& service, const Wish& wish) const;
    Choice choose(const ServiceKey& service, const Wish& wish) const;

    // meeting.cc: what becomes of a service
    bool is_placed(const Wish& wish, const std::vector<Holding>& holdings) const;
    /// It keeps its place, so no pool is asked (7).
    bool stays(const Allocation& allocation) const;
    void meet(const ServiceKey& service);
    std::optional<Refusal> move_to_wish(const ServiceKey& service);
    std::optional<Refusal> adjust_in_place(const ServiceKey& service);
    std::optional<Refusal> gain_family(const ServiceKey& service);
    void reindex(const ServiceKey& service, const Allocation& allocation);
    Interests interests_of_waiting(const ServiceKey& service, const Allocation& allocation) const;
    Interests interests_of_incomplete(const ServiceKey& service, const Allocation& allocation) const;
    void serve_waiting();
    /// Holders that prefer both families and have one (13): after the waiting, for they work already. True: some gained.
    bool gain_families();

    // previewing.cc
    struct Considered {
        const ServiceKey& service;
        const Wish& wish;
        const Preview& preview;
        bool stays = false;               // no pool was asked
        std::optional<std::size_t> used;  // rank of the pool that serves, where one does
    };
    PoolVerdict verdict_on(std::size_t rank, const Considered& considered) const;
    PoolVerdict verdict_by_families(std::size_t rank, const Considered& considered) const;

    PoolSet pools_;
    std::vector<PoolState> states_;  // by pool index
    Services services_;
    std::unordered_map<IpAddress, AddressUse, IpAddressHash> users_;
    std::map<SharedIn, SharedAddresses> shared_;
    std::unordered_map<IpAddress, Quarantined, IpAddressHash> quarantine_;
    std::map<ServiceKey, std::set<IpAddress>> former_;  // of the quarantined
    WaitingList waiting_;                               // with a refusal
    WaitingList incomplete_;                            // PreferDualStack holders of one address (13)
    std::size_t without_address_ = 0;
    std::uint64_t now_ = 0;

    bool in_transaction_ = false;
    Journal journal_;
};

}  // namespace guideway::ipam
