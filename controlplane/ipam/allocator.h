// Allocator: who holds which address, by the rules of ipam-rules.md (rule numbers in brackets).
//
// Pure: no store, clock, thread or HTTP. What it decides depends on the pools, the allocations and the order
// of the calls alone, so a test can hold it against a slow model.
//
// Every change is a transaction: begin(), calls, then commit() once the store has it, or rollback() where the
// store failed: so an allocation is durable before it is answered or forwarded (20). changed() names all
// services that the transaction touched, also those that were served because something became free (23).
//
// Worked example: pool "a" = 192.0.2.1-192.0.2.1.
//   begin(); ensure(x) -> holds 192.0.2.1; commit()
//   begin(); ensure(y) -> NoAvailableIPs, waits; commit()
//   begin(); release(x) -> changed() = {x, y}: y holds 192.0.2.1; commit()
//
// Thread contract: none of its own; the owner serialises.
#pragma once

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
#include "controlplane/ipam/wish.h"

namespace guideway::ipam {

/// Something that people should read in the log: why an address moved, was lost, or was served late.
struct Event {
    ServiceKey service;
    std::string message;
};

/// A pool's use, by family. A shared address counts once (18).
struct PoolUse {
    std::uint64_t ipv4_allocated = 0;
    std::uint64_t ipv6_allocated = 0;
};

class Allocator {
  public:
    void begin();
    void commit();
    void rollback();
    bool in_transaction() const { return in_transaction_; }

    /// Start: recorded holders first, the oldest before all others where claims conflict (21, 22); what lies
    /// in no pool any more is re-allocated; then the waiting are served. Replaces everything.
    void load(PoolSet pools, std::map<ServiceKey, Allocation> recorded);

    /// New pools: holders inside stay (19), those outside are re-allocated, then the waiting are served.
    void set_pools(PoolSet pools);

    /// Takes the wish and meets it as far as possible; what it has keeps working where the new wish cannot be
    /// met (7, 10, 11). `order` is used only where the service is new.
    const Allocation& ensure(const ServiceKey& service, Wish wish, std::uint64_t order);

    /// Takes the service away and serves the waiting (18, 23). False: there was none.
    bool release(const ServiceKey& service);

    const Allocation* find(const ServiceKey& service) const;
    const std::map<ServiceKey, Allocation>& allocations() const { return services_; }
    const PoolSet& pools() const { return pools_; }
    PoolUse use(const std::string& pool) const;
    /// Services without a single address.
    std::size_t without_address() const { return without_address_; }

    /// Since begin(): services whose allocation is other than before, sorted; gone ones too.
    std::vector<ServiceKey> changed() const;
    const std::vector<Event>& events() const { return events_; }

  private:
    struct PoolState {
        std::vector<IntervalSet> blocked;  // by entry: held, or left out by avoid_buggy_ips
        PoolUse use;
    };
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
    using Age = std::pair<std::uint64_t, ServiceKey>;

    // allocator.cc: transaction and who occupies what
    void touch(const ServiceKey& service);
    void reindex(const ServiceKey& service);
    void note(const ServiceKey& service, std::string message);
    void occupy(const ServiceKey& service, const Claim& claim, const IpAddress& address);
    void vacate(const ServiceKey& service, const Claim& claim, const IpAddress& address);
    void occupy_all(const ServiceKey& service);
    void vacate_all(const ServiceKey& service);
    void forget(const ServiceKey& service);
    void forget_occupation();
    void rebuild(PoolSet pools);
    void set_holdings(const ServiceKey& service, std::vector<Holding> holdings, const Claim& claim);

    // choosing.cc: which address a wish gets; changes nothing
    /// Why the claim does not fit beside the others on the address; none: it fits (15, 16, 18).
    std::optional<Refusal> misfit(const ServiceKey& service, const Claim& claim, const IpAddress& address) const;
    std::optional<Refusal> misfit(const ServiceKey& service, const Claim& claim,
                                  const std::vector<Holding>& holdings) const;
    std::optional<IpAddress> lowest_free(std::size_t pool, IpFamily family) const;
    std::optional<IpAddress> shareable(const ServiceKey& service, const Claim& claim, std::size_t pool,
                                       IpFamily family) const;
    std::optional<Pick> pick_from(const ServiceKey& service, const Claim& claim, std::size_t pool,
                                  const std::vector<IpFamily>& families) const;
    std::optional<Pick> pick_among(const ServiceKey& service, const Claim& claim, const std::vector<std::size_t>& pools,
                                   const std::vector<IpFamily>& families) const;
    Choice choose_requested(const ServiceKey& service, const Wish& wish) const;
    Choice choose_from_pools(const ServiceKey& service, const Wish& wish) const;
    std::vector<std::size_t> candidates(const Wish& wish) const;
    Choice choose(const ServiceKey& service, const Wish& wish) const;

    // meeting.cc: what becomes of a service
    bool is_placed(const Wish& wish, const std::vector<Holding>& holdings) const;
    void meet(const ServiceKey& service);
    std::optional<Refusal> move_to_wish(const ServiceKey& service);
    std::optional<Refusal> adjust_in_place(const ServiceKey& service);
    std::optional<Refusal> gain_family(const ServiceKey& service);
    void serve_waiting();
    /// Holders that prefer both families and have one (13): after the waiting, for they work already. True: some gained.
    bool gain_families();

    PoolSet pools_;
    std::vector<PoolState> states_;  // by pool index
    Services services_;
    std::unordered_map<IpAddress, std::vector<ServiceKey>, IpAddressHash> users_;
    std::map<std::string, std::set<IpAddress>> by_sharing_key_;
    std::set<Age> waiting_;     // with a refusal; oldest first
    std::set<Age> incomplete_;  // PreferDualStack holders of one address (13)
    std::size_t without_address_ = 0;

    bool in_transaction_ = false;
    std::map<ServiceKey, std::optional<Allocation>> before_;
    std::optional<PoolSet> pools_before_;
    std::vector<Event> events_;
};

}  // namespace guideway::ipam
