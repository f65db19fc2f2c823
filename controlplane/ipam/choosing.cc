// Which address a wish gets (rules 4, 6, 8, 9, 12, 13, 15, 16). Nothing here changes the allocator.
#include <algorithm>

#include "controlplane/ipam/allocator.h"

namespace guideway::ipam {
namespace {

std::string text_of(IpFamily family) { return std::string(to_string(family)); }

std::string text_of(const PortClaim& port) {
    return std::string(contract::to_string(port.protocol)) + " " + std::to_string(port.port);
}

std::string not_admitted(const Pool& pool, const ServiceKey& service, const Wish& wish) {
    return "pool \"" + pool.name + "\" does not admit it: " + pool.service_allocation->why_not(service, wish);
}

}  // namespace

bool Allocator::is_user(const ServiceKey& service, const IpAddress& address) const {
    const auto at = users_.find(address);
    return at != users_.end() && std::binary_search(at->second.users.begin(), at->second.users.end(), service);
}

std::optional<Refusal> Allocator::misfit(const ServiceKey& service, const Claim& claim, const IpAddress& address,
                                         bool is_there_already) const {
    const auto at = users_.find(address);
    if (at == users_.end()) return std::nullopt;
    const AddressUse& use = at->second;
    const auto held_by = [&](const ServiceKey& user) {
        return address.to_string() + " is held by " + user.to_string();
    };
    const auto place = pools_.place_of(address);
    const bool any_namespace = place && pools_.pools()[place->pool].share_across_namespaces;
    // Sorted by cluster and namespace, so the first and the last of the others speak for all.
    const auto other =
        std::find_if(use.users.begin(), use.users.end(), [&](const auto& user) { return user != service; });
    if (other == use.users.end()) return std::nullopt;
    if (claim.sharing_key.empty() || use.sharing_key.empty()) {
        return Refusal{Reason::in_use,
                       held_by(*other) + "; ask for another address, or give both the same sharing key"};
    }
    if (claim.sharing_key != use.sharing_key) {
        return Refusal{Reason::sharing_key_mismatch, held_by(*other) + " with the sharing key \"" + use.sharing_key +
                                                         "\"; give both the same sharing key"};
    }
    for (const ServiceKey* user : {&*other, &use.users.back()}) {
        if (user->cluster != service.cluster) {
            return Refusal{
                Reason::sharing_key_mismatch,
                held_by(*user) + ", and a sharing key counts within one cluster only; ask for another address"};
        }
        if (user->name_space != service.name_space && !any_namespace && !is_there_already) {
            return Refusal{Reason::sharing_key_mismatch,
                           held_by(*user) +
                               ", and a sharing key counts within one namespace only; ask for another address, or "
                               "let the pool share across namespaces"};
        }
    }
    for (const PortClaim& port : claim.ports) {
        const auto taken = use.ports.find(port);
        if (taken != use.ports.end() && taken->second != service) {
            return Refusal{Reason::port_conflict, held_by(taken->second) + ", which already uses " + text_of(port) +
                                                      " there; use another port or another address"};
        }
    }
    return std::nullopt;
}

std::optional<Refusal> Allocator::misfit_where_it_is(const ServiceKey& service, const Claim& claim,
                                                     const std::vector<Holding>& holdings) const {
    for (const Holding& holding : holdings) {
        if (auto refusal = misfit(service, claim, holding.address, true)) return refusal;
    }
    return std::nullopt;
}

std::optional<IpAddress> Allocator::lowest_outside(std::size_t index, IpFamily family,
                                                   const std::vector<IntervalSet>& blocked) const {
    const Pool& pool = pools_.pools()[index];
    for (std::size_t i = 0; i < pool.entries.size(); ++i) {
        const AddressRange& entry = pool.entries[i];
        if (entry.family != family) continue;
        Number candidate = blocked[i].first_outside(entry.first);
        while (pool.avoid_buggy_ips && candidate <= entry.last && is_buggy(family, candidate)) {
            candidate = blocked[i].first_outside(candidate + 1);
        }
        if (candidate <= entry.last) return to_address(family, candidate);
    }
    return std::nullopt;
}

std::optional<IpAddress> Allocator::free_address(const ServiceKey& service, std::size_t pool, IpFamily family) const {
    const PoolState& state = states_[pool];
    if (state.allocated[family == IpFamily::ipv4 ? 0 : 1] == state.total[family == IpFamily::ipv4 ? 0 : 1]) {
        return std::nullopt;
    }
    if (pools_.pools()[pool].quarantine_seconds == 0) return lowest_outside(pool, family, state.blocked);
    if (const auto left = former_.find(service); left != former_.end()) {
        for (const IpAddress& address : left->second) {
            if (address.family == family && pools_.place_of(address)->pool == pool) return address;
        }
    }
    if (const auto address = lowest_outside(pool, family, state.skipped)) return address;
    // All that are not held are in quarantine.
    return state.quarantine[family == IpFamily::ipv4 ? 0 : 1].begin()->second;
}

std::optional<IpAddress> Allocator::shareable(const ServiceKey& service, const Claim& claim, std::size_t pool,
                                              IpFamily family) const {
    if (claim.sharing_key.empty()) return std::nullopt;
    const bool any_namespace = pools_.pools()[pool].share_across_namespaces;
    const auto at =
        shared_.find({{pool, family}, {service.cluster, any_namespace ? "" : service.name_space, claim.sharing_key}});
    if (at == shared_.end()) return std::nullopt;
    const SharedAddresses& shared = at->second;
    for (const PortClaim& port : claim.ports) {
        const auto taken = shared.ports.find(port);
        // Taken on all of them, as where a key's services all use port 80: not one needs to be tried. (Its own address was tried
        // before: pick_from.)
        if (taken != shared.ports.end() && taken->second == shared.addresses.size()) return std::nullopt;
    }
    for (const auto& [entry, address] : shared.addresses) {
        if (!misfit(service, claim, address, is_user(service, address))) return address;
    }
    return std::nullopt;
}

std::optional<Allocator::Pick> Allocator::pick_from(const ServiceKey& service, const Claim& claim, std::size_t pool,
                                                    const std::vector<IpFamily>& families) const {
    Pick pick;
    const Allocation* now = find(service);
    for (const IpFamily family : families) {
        std::optional<IpAddress> address;
        if (now != nullptr) {
            // What it has in this pool already, it keeps (7).
            for (const Holding& holding : now->holdings) {
                const auto place = pools_.place_of(holding.address);
                if (holding.address.family == family && place && place->pool == pool &&
                    !misfit(service, claim, holding.address, true)) {
                    address = holding.address;
                }
            }
        }
        if (!address) {
            address = shareable(service, claim, pool, family);
            if (address) ++pick.shared;
        }
        if (!address) address = free_address(service, pool, family);
        if (!address) return std::nullopt;
        pick.holdings.push_back({*address, pools_.pools()[pool].name});
    }
    return pick;
}

std::optional<Allocator::Pick> Allocator::pick_among(const ServiceKey& service, const Claim& claim,
                                                     const std::vector<std::size_t>& pools,
                                                     const std::vector<IpFamily>& families) const {
    std::optional<Pick> best;
    for (const std::size_t pool : pools) {
        auto pick = pick_from(service, claim, pool, families);
        if (pick && (!best || pick->shared > best->shared)) best = std::move(pick);
        // Without a key the first that can serve wins (6); with one, an address held with that key is
        // preferred (16).
        if (best && (claim.sharing_key.empty() || best->shared == families.size())) break;
    }
    return best;
}

Allocator::Choice Allocator::choose_requested(const ServiceKey& service, const Wish& wish) const {
    const auto refuse = [](Reason reason, std::string message) {
        return Choice{std::nullopt, Refusal{reason, std::move(message)}};
    };
    const std::vector<IpAddress>& requested = wish.requested();
    for (const IpAddress& address : requested) {
        if (!wish.wants(address.family)) {
            return refuse(Reason::family_mismatch,
                          "the requested address " + address.to_string() + " is not " + text_of(wish.first_family()) +
                              ", the family of the service; request an address of that family or change the family");
        }
    }
    if (!wish.pool.empty() && pools_.find(wish.pool) == nullptr) {
        return refuse(Reason::unknown_pool,
                      "there is no address pool \"" + wish.pool + "\"; create it, or ask for a pool that exists");
    }
    std::optional<std::size_t> pool;
    for (const IpAddress& address : requested) {
        const auto place = pools_.place_of(address);
        if (!place) {
            const auto range = pools_.range_of(address);
            return refuse(Reason::not_in_any_pool,
                          range
                              ? "pool \"" + pools_.pools()[range->pool].name + "\" leaves out " + address.to_string() +
                                    " (avoid_buggy_ips); ask for an address that does not end in .0 or .255"
                              : "no address pool has " + address.to_string() +
                                    "; add it to a pool, or ask for an address of a pool");
        }
        const std::string& name = pools_.pools()[place->pool].name;
        if (!wish.pool.empty() && name != wish.pool) {
            return refuse(Reason::conflicting_request,
                          "the requested address " + address.to_string() + " lies in pool \"" + name +
                              "\", not in the requested pool \"" + wish.pool + "\"; ask for one or the other");
        }
        if (pool && *pool != place->pool) {
            return refuse(Reason::not_in_any_pool, "no one pool has both " + requested[0].to_string() + " and " +
                                                       address.to_string() + "; ask for two addresses of one pool");
        }
        pool = place->pool;
    }
    const Pool& in = pools_.pools()[*pool];
    if (!in.admits(service, wish)) return refuse(Reason::pool_not_allowed, not_admitted(in, service, wish));
    Pick pick;
    for (const IpAddress& address : requested) {
        if (auto clash = misfit(service, wish.claim, address, is_user(service, address))) {
            return {std::nullopt, std::move(clash)};
        }
        pick.holdings.push_back({address, in.name});
    }
    for (const IpFamily family : wish.families()) {
        if (std::any_of(requested.begin(), requested.end(),
                        [&](const IpAddress& address) { return address.family == family; })) {
            continue;
        }
        if (auto other = pick_from(service, wish.claim, *pool, {family})) {
            pick.holdings.push_back(other->holdings.front());
        } else if (wish.effective_policy() == FamilyPolicy::require_dual) {
            return refuse(in.has_family(family) ? Reason::no_available_ips : Reason::family_mismatch,
                          "pool \"" + in.name + "\" of the requested address has no free " + text_of(family) +
                              " address, and both families must come from one pool; add addresses to it");
        }
    }
    std::sort(pick.holdings.begin(), pick.holdings.end(),
              [](const Holding& a, const Holding& b) { return a.address < b.address; });
    return {std::move(pick), std::nullopt};
}

std::vector<std::size_t> Allocator::candidates(const ServiceKey& service, const Wish& wish) const {
    const std::vector<Pool>& pools = pools_.pools();
    std::vector<std::size_t> indices;
    for (const std::size_t i : pools_.by_preference()) {
        if ((wish.pool.empty() ? pools[i].auto_assign : pools[i].name == wish.pool) && pools[i].admits(service, wish)) {
            indices.push_back(i);
        }
    }
    return indices;
}

Allocator::Choice Allocator::choose_from_pools(const ServiceKey& service, const Wish& wish) const {
    const std::vector<std::size_t> pools = candidates(service, wish);
    auto pick = pick_among(service, wish.claim, pools, wish.families());
    if (!pick && wish.effective_policy() == FamilyPolicy::prefer_dual) {
        pick = pick_among(service, wish.claim, pools, {wish.first_family()});
        const IpFamily other = wish.first_family() == IpFamily::ipv4 ? IpFamily::ipv6 : IpFamily::ipv4;
        if (!pick) pick = pick_among(service, wish.claim, pools, {other});
    }
    if (pick) return {std::move(pick), std::nullopt};
    return {std::nullopt, nothing_in(service, wish, pools)};
}

Refusal Allocator::nothing_in(const ServiceKey& service, const Wish& wish,
                              const std::vector<std::size_t>& pools) const {
    const FamilyPolicy policy = wish.effective_policy();
    const auto has_families = [&](std::size_t index) {
        const Pool& pool = pools_.pools()[index];
        if (policy == FamilyPolicy::prefer_dual) return true;
        const std::vector<IpFamily> families = wish.families();
        return std::all_of(families.begin(), families.end(), [&](IpFamily family) { return pool.has_family(family); });
    };
    const std::string wanted = policy == FamilyPolicy::single ? "an " + text_of(wish.first_family()) + " address"
                               : policy == FamilyPolicy::require_dual ? "an IPv4 and an IPv6 address"
                                                                      : "an address";
    const bool possible = std::any_of(pools.begin(), pools.end(), has_families);
    if (!wish.pool.empty()) {
        const Pool* requested = pools_.find(wish.pool);
        const std::string pool = "pool \"" + wish.pool + "\"";
        if (requested == nullptr) {
            return {Reason::unknown_pool,
                    "there is no address pool \"" + wish.pool + "\"; create it, or ask for a pool that exists"};
        }
        if (pools.empty()) return {Reason::pool_not_allowed, not_admitted(*requested, service, wish)};
        if (!possible) {
            return {Reason::family_mismatch, pool + " cannot give " + wanted +
                                                 ": it has no addresses of that family; add some, "
                                                 "or ask for another pool"};
        }
        return {Reason::no_available_ips,
                pool + " cannot give " + wanted + ": it is full; add addresses to it, or ask for another pool"};
    }
    if (pools.empty()) {
        const std::vector<Pool>& all = pools_.pools();
        const auto refusing = std::find_if(all.begin(), all.end(), [](const Pool& pool) { return pool.auto_assign; });
        if (refusing == all.end()) {
            return {Reason::no_available_ips,
                    "no address pool assigns automatically; add a pool with auto_assign, "
                    "or request a pool by name"};
        }
        return {Reason::no_available_ips,
                "no auto-assigning pool admits the service: " + not_admitted(*refusing, service, wish)};
    }
    if (possible) {
        return {Reason::no_available_ips,
                "no auto-assigning pool can give " + wanted + ": all are full; add addresses to a pool"};
    }
    return {Reason::no_available_ips,
            "no auto-assigning pool can give " + wanted +
                (policy == FamilyPolicy::require_dual ? ": none has both families; add both to one pool"
                                                      : ": none has this family; add addresses of it to a pool")};
}

Allocator::Choice Allocator::choose(const ServiceKey& service, const Wish& wish) const {
    if (auto fault = fault_of(wish)) return {std::nullopt, std::move(fault)};
    return wish.requested().empty() ? choose_from_pools(service, wish) : choose_requested(service, wish);
}

}  // namespace guideway::ipam
