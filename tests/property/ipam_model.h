// IpamModel: the rules of address management written as plainly as possible: it enumerates every address of every pool and looks
// through every service at each step. Slow on purpose; ipam_property_test.cc holds the allocator against it.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ipam/service_allocation.h"
#include "controlplane/ipam/wish.h"

namespace guideway::ipam {

struct ModelPool {
    std::string name;
    std::vector<IpAddress> addresses;  ///< all that may be given, entries as written, each ascending
    bool auto_assign = true;
    bool share_across_namespaces = false;
    std::uint64_t quarantine = 0;
    std::optional<ServiceAllocation> scope;
    bool has(const IpAddress& address) const {
        return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    }
    bool admits(const ServiceKey& key, const Wish& wish) const {
        if (!scope) return true;
        const auto any = [](const auto& list, auto holds) { return std::any_of(list.begin(), list.end(), holds); };
        const bool cluster =
            scope->clusters.empty() || any(scope->clusters, [&](const std::string& one) { return one == key.cluster; });
        const bool by_name = any(scope->namespaces, [&](const std::string& one) { return one == key.name_space; });
        const bool by_labels = any(scope->namespace_selectors,
                                   [&](const auto& selector) { return selector.matches(wish.namespace_labels); });
        const bool any_namespace = scope->namespaces.empty() && scope->namespace_selectors.empty();
        const bool service =
            scope->service_selectors.empty() ||
            any(scope->service_selectors, [&](const auto& selector) { return selector.matches(wish.service_labels); });
        return cluster && (any_namespace || by_name || by_labels) && service;
    }
};

struct ModelService {
    Wish wish;
    std::uint64_t order = 0;
    std::vector<IpAddress> held;
    Claim claim;
    bool placed = false;
    bool waits = false;
};

struct ModelQuarantine {
    std::uint64_t freed_at = 0;
    ServiceKey former;
};

class IpamModel {
  public:
    std::map<ServiceKey, ModelService> services;
    std::vector<ModelPool> pools;  ///< in the order in which they are asked
    std::map<IpAddress, ModelQuarantine> quarantine;
    std::uint64_t now = 0;

    void set_now(std::uint64_t seconds) {
        now = seconds;
        std::erase_if(quarantine,
                      [&](const auto& item) { return item.second.freed_at + pool_of(item.first)->quarantine <= now; });
    }
    void ensure(const ServiceKey& key, const Wish& wish, std::uint64_t order) {
        if (!services.contains(key)) services[key].order = order;
        ModelService& service = services[key];
        const bool same_place = service.wish.asks_same_place(wish);
        service.wish = wish;
        if (!same_place) service.placed = is_where_it_asks(service);
        meet(key);
        serve();
    }
    void release(const ServiceKey& key) {
        if (services.contains(key)) hold(key, {}, {});
        services.erase(key);
        serve();
    }
    void set_pools(std::vector<ModelPool> all) {
        std::sort(all.begin(), all.end(), [](const ModelPool& a, const ModelPool& b) { return a.name < b.name; });
        pools.clear();
        for (std::uint64_t priority = 1; priority < 10; ++priority) {
            for (const ModelPool& pool : all) {
                if (pool.scope && pool.scope->priority == priority) pools.push_back(pool);
            }
        }
        for (const ModelPool& pool : all) {
            if (pool.scope && pool.scope->priority == 0) pools.push_back(pool);
        }
        for (const ModelPool& pool : all) {
            if (!pool.scope) pools.push_back(pool);
        }
        places_.clear();
        for (const ModelPool& pool : pools) {
            for (const IpAddress& address : pool.addresses) places_[address] = &pool;
        }
        std::vector<ServiceKey> displaced;
        for (const ServiceKey& key : by_age()) {
            ModelService& service = services[key];
            const auto before = service.held;
            std::erase_if(service.held, [&](const IpAddress& address) { return pool_of(address) == nullptr; });
            for (const IpAddress& lost : before) {
                const auto& asked = service.wish.requested();
                const bool is_lost = std::find(service.held.begin(), service.held.end(), lost) == service.held.end();
                if (is_lost && std::find(asked.begin(), asked.end(), lost) != asked.end()) service.placed = false;
            }
            if (service.held.empty()) {
                service.placed = false;
                service.claim = {};
            }
            if (service.held != before) displaced.push_back(key);
        }
        std::erase_if(quarantine, [&](const auto& item) {
            const ModelPool* pool = pool_of(item.first);
            return pool == nullptr || item.second.freed_at + pool->quarantine <= now;
        });
        for (const ServiceKey& key : displaced) meet(key);
        serve();
    }

  private:
    std::vector<ServiceKey> by_age() const {
        std::map<std::uint64_t, const ServiceKey*> ages;
        for (const auto& [key, service] : services) ages[service.order] = &key;
        std::vector<ServiceKey> keys;
        for (const auto& [order, key] : ages) keys.push_back(*key);
        return keys;
    }
    const ModelPool* pool_of(const IpAddress& address) const {
        const auto at = places_.find(address);
        return at == places_.end() ? nullptr : at->second;
    }
    static bool holds(const ModelService& service, const IpAddress& address) {
        return std::find(service.held.begin(), service.held.end(), address) != service.held.end();
    }
    bool is_free(const IpAddress& address) const {
        return std::none_of(services.begin(), services.end(),
                            [&](const auto& item) { return holds(item.second, address); });
    }
    /// The only way in which a service's addresses change: what nobody has any more goes into quarantine.
    void hold(const ServiceKey& key, std::vector<IpAddress> addresses, const Claim& claim) {
        ModelService& service = services.at(key);
        const std::vector<IpAddress> before = service.held;
        service.held = std::move(addresses);
        service.claim = claim;
        for (const IpAddress& address : before) {
            if (is_free(address) && pool_of(address)->quarantine > 0) quarantine[address] = {now, key};
        }
        for (const IpAddress& address : service.held) quarantine.erase(address);
    }
    bool fits(const ServiceKey& me, const Claim& claim, const IpAddress& address) const {
        const bool is_there = services.contains(me) && holds(services.at(me), address);
        for (const auto& [other, service] : services) {
            if (!holds(service, address) || other == me) continue;
            if (claim.sharing_key.empty() || claim.sharing_key != service.claim.sharing_key) return false;
            if (other.cluster != me.cluster) return false;
            // Who is there stays there when the pool no longer allows it (19).
            if (other.name_space != me.name_space && !is_there && !pool_of(address)->share_across_namespaces)
                return false;
            for (const PortClaim& port : claim.ports) {
                for (const PortClaim& theirs : service.claim.ports) {
                    if (port == theirs) return false;
                }
            }
        }
        return true;
    }
    bool fits_all(const ServiceKey& me, const Claim& claim, const std::vector<IpAddress>& addresses) const {
        return std::all_of(addresses.begin(), addresses.end(),
                           [&](const IpAddress& address) { return fits(me, claim, address); });
    }
    static std::vector<IpAddress> wanted_of(const Wish& wish, std::vector<IpAddress> held) {
        std::erase_if(held, [&](const IpAddress& address) { return !wish.wants(address.family); });
        return held;
    }
    bool is_where_it_asks(const ModelService& service) const {
        std::vector<IpAddress> held = wanted_of(service.wish, service.held);
        if (held.empty()) held = service.held;
        if (held.empty() || fault_of(service.wish)) return false;
        for (const IpAddress& asked : service.wish.requested()) {
            if (std::find(held.begin(), held.end(), asked) == held.end()) return false;
        }
        return service.wish.pool.empty() || std::all_of(held.begin(), held.end(), [&](const IpAddress& address) {
                   return pool_of(address)->name == service.wish.pool;
               });
    }

    struct One {
        IpAddress address;
        bool shared = false;
    };
    std::optional<One> one_of(const ServiceKey& me, const Claim& claim, const ModelPool& pool, IpFamily family) const {
        std::vector<IpAddress> of_family;
        for (const IpAddress& address : pool.addresses) {
            if (address.family == family) of_family.push_back(address);
        }
        for (const IpAddress& address : of_family) {
            if (holds(services.at(me), address) && fits(me, claim, address)) return One{address, false};
        }
        for (const IpAddress& address : of_family) {
            if (!is_free(address) && fits(me, claim, address)) return One{address, true};
        }
        // The one it left itself (in the order of the addresses, not of the entries).
        for (const auto& [address, left] : quarantine) {
            if (left.former == me && std::find(of_family.begin(), of_family.end(), address) != of_family.end()) {
                return One{address, false};
            }
        }
        for (const IpAddress& address : of_family) {
            if (is_free(address) && !quarantine.contains(address)) return One{address, false};
        }
        std::optional<IpAddress> oldest;
        for (const auto& [address, left] : quarantine) {
            if (std::find(of_family.begin(), of_family.end(), address) == of_family.end()) continue;
            if (!oldest || left.freed_at < quarantine.at(*oldest).freed_at) oldest = address;
        }
        if (oldest) return One{*oldest, false};
        return std::nullopt;
    }
    std::optional<std::vector<IpAddress>> from(const ServiceKey& me, const Wish& wish,
                                               const std::vector<IpFamily>& families) const {
        std::optional<std::vector<IpAddress>> best;
        std::size_t best_shared = 0;
        for (const ModelPool& pool : pools) {
            if (wish.pool.empty() ? !pool.auto_assign : pool.name != wish.pool) continue;
            if (!pool.admits(me, wish)) continue;
            std::vector<IpAddress> found;
            std::size_t shared = 0;
            for (const IpFamily family : families) {
                const auto one = one_of(me, wish.claim, pool, family);
                if (!one) continue;
                found.push_back(one->address);
                shared += one->shared ? 1 : 0;
            }
            if (found.size() == families.size() && (!best || shared > best_shared)) {
                best = found;
                best_shared = shared;
            }
        }
        return best;
    }
    std::optional<std::vector<IpAddress>> choose(const ServiceKey& me, const Wish& wish) const {
        if (fault_of(wish)) return std::nullopt;
        const std::vector<IpAddress>& requested = wish.requested();
        if (requested.empty()) {
            auto found = from(me, wish, wish.families());
            if (found || wish.effective_policy() != FamilyPolicy::prefer_dual) return found;
            found = from(me, wish, {wish.first_family()});
            if (found) return found;
            return from(me, wish, {wish.first_family() == IpFamily::ipv4 ? IpFamily::ipv6 : IpFamily::ipv4});
        }
        std::vector<IpAddress> found;
        const ModelPool* pool = pool_of(requested.front());
        for (const IpAddress& address : requested) {
            const bool misplaced = pool == nullptr || pool_of(address) != pool || !pool->admits(me, wish);
            const bool elsewhere = !wish.pool.empty() && (pool == nullptr || pool->name != wish.pool);
            if (misplaced || elsewhere || !wish.wants(address.family) || !fits(me, wish.claim, address)) {
                return std::nullopt;
            }
            found.push_back(address);
        }
        for (const IpFamily family : wish.families()) {
            if (std::any_of(found.begin(), found.end(), [&](const IpAddress& has) { return has.family == family; })) {
                continue;
            }
            if (const auto one = one_of(me, wish.claim, *pool, family)) {
                found.push_back(one->address);
            } else if (wish.effective_policy() == FamilyPolicy::require_dual) {
                return std::nullopt;
            }
        }
        std::sort(found.begin(), found.end());
        return found;
    }
    bool gain(const ServiceKey& me) {
        const ModelService& service = services.at(me);
        const IpAddress has = service.held.front();
        const ModelPool& pool = *pool_of(has);
        if (!pool.admits(me, service.wish)) return false;
        const auto one = one_of(me, service.claim, pool, has.is_v4() ? IpFamily::ipv6 : IpFamily::ipv4);
        if (!one) return false;
        std::vector<IpAddress> both{has, one->address};
        std::sort(both.begin(), both.end());
        hold(me, both, Claim(service.claim));
        return true;
    }
    /// True: something is other than before.
    bool meet(const ServiceKey& me) {
        const ModelService& service = services.at(me);
        const std::vector<IpAddress> held = service.held;
        const Claim claim = service.claim;
        const bool waited = service.waits;
        meet_it(me);
        return service.held != held || !(service.claim == claim) || service.waits != waited;
    }
    void meet_it(const ServiceKey& me) {
        ModelService& service = services.at(me);
        const Wish& wish = service.wish;
        const std::vector<IpAddress> keep = wanted_of(wish, service.held);
        if (!service.placed || keep.empty() || fault_of(wish)) {
            if (const auto found = choose(me, wish)) {
                hold(me, *found, wish.claim);
                service.placed = true;
                service.waits = false;
            } else {
                service.waits = true;
                if (!service.held.empty() && fits_all(me, wish.claim, service.held)) hold(me, service.held, wish.claim);
            }
            return;
        }
        service.waits = !fits_all(me, wish.claim, keep);
        hold(me, keep, Claim(service.waits ? service.claim : wish.claim));
        if (wish.effective_policy() != FamilyPolicy::single && service.held.size() == 1 && !gain(me) &&
            wish.effective_policy() == FamilyPolicy::require_dual) {
            service.waits = true;
        }
    }
    void serve() {
        bool gained = true;
        while (gained) {
            for (bool changed = true; changed;) {
                changed = false;
                for (const ServiceKey& key : by_age()) {
                    if (services.at(key).waits && meet(key)) changed = true;
                }
            }
            gained = false;
            for (const ServiceKey& key : by_age()) {
                const ModelService& service = services.at(key);
                const bool lacks =
                    service.wish.effective_policy() == FamilyPolicy::prefer_dual && service.held.size() == 1;
                if (lacks && service.placed && gain(key)) gained = true;
            }
        }
    }

    std::map<IpAddress, const ModelPool*> places_;
};

}  // namespace guideway::ipam
