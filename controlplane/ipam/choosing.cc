// Which address a wish gets (rules 6, 8, 9, 12, 13, 15, 16). Nothing here changes the allocator.
#include <algorithm>
#include <numeric>

#include "controlplane/ipam/allocator.h"

namespace guideway::ipam {
namespace {

std::string text_of(IpFamily family) { return std::string(to_string(family)); }

std::string text_of(const PortClaim& port) {
    return std::string(contract::to_string(port.protocol)) + " " + std::to_string(port.port);
}

}  // namespace

std::optional<Refusal> Allocator::misfit(const ServiceKey& service, const Claim& claim,
                                         const IpAddress& address) const {
    const auto at = users_.find(address);
    if (at == users_.end()) return std::nullopt;
    const auto place = pools_.place_of(address);
    const bool any_namespace = place && pools_.pools()[place->pool].share_across_namespaces;
    for (const ServiceKey& user : at->second) {
        if (user == service) continue;
        const std::string holder = address.to_string() + " is held by " + user.to_string();
        const Claim& other = services_.at(user).claim;
        if (claim.sharing_key.empty() || other.sharing_key.empty()) {
            return Refusal{Reason::in_use, holder + "; ask for another address, or give both the same sharing key"};
        }
        if (claim.sharing_key != other.sharing_key) {
            return Refusal{Reason::sharing_key_mismatch, holder + " with the sharing key \"" + other.sharing_key +
                                                             "\"; give both the same sharing key"};
        }
        if (user.name_space != service.name_space && !any_namespace) {
            return Refusal{Reason::sharing_key_mismatch,
                           holder + ", and a sharing key counts within one namespace only; ask for another address"};
        }
        for (const PortClaim& port : claim.ports) {
            if (std::binary_search(other.ports.begin(), other.ports.end(), port)) {
                return Refusal{Reason::port_conflict, holder + ", which already uses " + text_of(port) +
                                                          " there; use another port or another address"};
            }
        }
    }
    return std::nullopt;
}

std::optional<Refusal> Allocator::misfit(const ServiceKey& service, const Claim& claim,
                                         const std::vector<Holding>& holdings) const {
    for (const Holding& holding : holdings) {
        if (auto refusal = misfit(service, claim, holding.address)) return refusal;
    }
    return std::nullopt;
}

std::optional<IpAddress> Allocator::lowest_free(std::size_t index, IpFamily family) const {
    const Pool& pool = pools_.pools()[index];
    for (std::size_t i = 0; i < pool.entries.size(); ++i) {
        const AddressRange& entry = pool.entries[i];
        if (entry.family != family) continue;
        const IntervalSet& blocked = states_[index].blocked[i];
        Number candidate = blocked.first_outside(entry.first);
        while (pool.avoid_buggy_ips && candidate <= entry.last && is_buggy(family, candidate)) {
            candidate = blocked.first_outside(candidate + 1);
        }
        if (candidate <= entry.last) return to_address(family, candidate);
    }
    return std::nullopt;
}

std::optional<IpAddress> Allocator::shareable(const ServiceKey& service, const Claim& claim, std::size_t pool,
                                              IpFamily family) const {
    const auto keyed = by_sharing_key_.find(claim.sharing_key);
    if (claim.sharing_key.empty() || keyed == by_sharing_key_.end()) return std::nullopt;
    std::optional<IpAddress> best;
    std::size_t best_entry = 0;
    for (const IpAddress& address : keyed->second) {  // ascending, so only another entry can beat an earlier find
        if (address.family != family) continue;
        const auto place = pools_.place_of(address);
        if (!place || place->pool != pool || (best && place->entry >= best_entry)) continue;
        if (misfit(service, claim, address)) continue;
        best = address;
        best_entry = place->entry;
    }
    return best;
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
                    !misfit(service, claim, holding.address)) {
                    address = holding.address;
                }
            }
        }
        if (!address) {
            address = shareable(service, claim, pool, family);
            if (address) ++pick.shared;
        }
        if (!address) address = lowest_free(pool, family);
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
    if (wish.addresses.size() > 2 ||
        (wish.addresses.size() == 2 && wish.addresses[0].family == wish.addresses[1].family)) {
        return refuse(Reason::invalid_request, "more than one address of a family is requested; ask for one a family");
    }
    for (const IpAddress& address : wish.addresses) {
        if (!wish.wants(address.family)) {
            return refuse(Reason::family_mismatch,
                          "the requested address " + address.to_string() + " is not " + text_of(wish.primary) +
                              ", the family of the service; request an address of that family or change the family");
        }
    }
    if (!wish.pool.empty() && pools_.find(wish.pool) == nullptr) {
        return refuse(Reason::unknown_pool,
                      "there is no address pool \"" + wish.pool + "\"; create it, or ask for a pool that exists");
    }
    std::optional<std::size_t> pool;
    for (const IpAddress& address : wish.addresses) {
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
            return refuse(Reason::not_in_any_pool, "no one pool has both " + wish.addresses[0].to_string() + " and " +
                                                       address.to_string() + "; ask for two addresses of one pool");
        }
        pool = place->pool;
    }
    Pick pick;
    for (const IpAddress& address : wish.addresses) {
        if (auto clash = misfit(service, wish.claim, address)) return {std::nullopt, std::move(clash)};
        pick.holdings.push_back({address, pools_.pools()[*pool].name});
    }
    for (const IpFamily family : wish.families()) {
        if (std::any_of(wish.addresses.begin(), wish.addresses.end(),
                        [&](const IpAddress& address) { return address.family == family; })) {
            continue;
        }
        if (auto other = pick_from(service, wish.claim, *pool, {family})) {
            pick.holdings.push_back(other->holdings.front());
        } else if (wish.policy == FamilyPolicy::require_dual) {
            const Pool& in = pools_.pools()[*pool];
            return refuse(in.has_family(family) ? Reason::no_available_ips : Reason::family_mismatch,
                          "pool \"" + in.name + "\" of the requested address has no free " + text_of(family) +
                              " address, and both families must come from one pool; add addresses to it");
        }
    }
    std::sort(pick.holdings.begin(), pick.holdings.end(),
              [](const Holding& a, const Holding& b) { return a.address < b.address; });
    return {std::move(pick), std::nullopt};
}

std::vector<std::size_t> Allocator::candidates(const Wish& wish) const {
    const std::vector<Pool>& pools = pools_.pools();
    std::vector<std::size_t> indices;
    for (std::size_t i = 0; i < pools.size(); ++i) {
        if (wish.pool.empty() ? pools[i].auto_assign : pools[i].name == wish.pool) indices.push_back(i);
    }
    return indices;
}

Allocator::Choice Allocator::choose_from_pools(const ServiceKey& service, const Wish& wish) const {
    const std::vector<std::size_t> pools = candidates(wish);
    if (pools.empty()) {
        if (!wish.pool.empty()) {
            return {std::nullopt, Refusal{Reason::unknown_pool, "there is no address pool \"" + wish.pool +
                                                                    "\"; create it, or ask for a pool that exists"}};
        }
        return {std::nullopt, Refusal{Reason::no_available_ips,
                                      "no address pool assigns automatically; add a pool with auto_assign, "
                                      "or request a pool by name"}};
    }
    auto pick = pick_among(service, wish.claim, pools, wish.families());
    if (!pick && wish.policy == FamilyPolicy::prefer_dual) {
        pick = pick_among(service, wish.claim, pools, {wish.primary});
        const IpFamily other = wish.primary == IpFamily::ipv4 ? IpFamily::ipv6 : IpFamily::ipv4;
        if (!pick) pick = pick_among(service, wish.claim, pools, {other});
    }
    if (pick) return {std::move(pick), std::nullopt};

    const auto has_families = [&](std::size_t index) {
        const Pool& pool = pools_.pools()[index];
        const bool v4 = pool.has_family(IpFamily::ipv4);
        const bool v6 = pool.has_family(IpFamily::ipv6);
        if (wish.policy == FamilyPolicy::require_dual) return v4 && v6;
        return wish.policy == FamilyPolicy::prefer_dual || (wish.primary == IpFamily::ipv4 ? v4 : v6);
    };
    const std::string wanted = wish.policy == FamilyPolicy::single         ? "an " + text_of(wish.primary) + " address"
                               : wish.policy == FamilyPolicy::require_dual ? "an IPv4 and an IPv6 address"
                                                                           : "an address";
    const bool possible = std::any_of(pools.begin(), pools.end(), has_families);
    if (!wish.pool.empty()) {
        const std::string pool = "pool \"" + wish.pool + "\"";
        if (!possible) {
            return {std::nullopt,
                    Refusal{Reason::family_mismatch, pool + " cannot give " + wanted +
                                                         ": it has no addresses of that family; add some, "
                                                         "or ask for another pool"}};
        }
        return {std::nullopt,
                Refusal{Reason::no_available_ips, pool + " cannot give " + wanted +
                                                      ": it is full; add addresses to it, or ask for another pool"}};
    }
    return {std::nullopt,
            Refusal{Reason::no_available_ips,
                    possible ? "no auto-assigning pool can give " + wanted + ": all are full; add addresses to a pool"
                             : "no auto-assigning pool can give " + wanted +
                                   (wish.policy == FamilyPolicy::require_dual
                                        ? ": none has both families; add both to one pool"
                                        : ": none has this family; add addresses of it to a pool")}};
}

Allocator::Choice Allocator::choose(const ServiceKey& service, const Wish& wish) const {
    return wish.addresses.empty() ? choose_from_pools(service, wish) : choose_requested(service, wish);
}

}  // namespace guideway::ipam
