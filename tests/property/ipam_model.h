// IpamModel: the rules of address management written as plainly as possible: it enumerates every address of every pool and looks
// through every service at each step. Slow on purpose; ipam_property_test.cc holds the allocator against it.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/ipam/wish.h"

namespace guideway::ipam {

struct ModelPool {
    std::string name;
    std::vector<IpAddress> addresses;  ///< all that may be given, entries as written, each ascending
    bool auto_assign = true;
    bool has(const IpAddress& address) const {
        return std::find(addresses.begin(), addresses.end(), address) != addresses.end();
    }
};

struct ModelService {
    Wish wish;
    std::uint64_t order = 0;
    std::vector<IpAddress> held;
    Claim claim;
    bool placed = false;
    bool waits = false;
    friend bool operator==(const ModelService&, const ModelService&) = default;
};

class IpamModel {
  public:
    std::map<ServiceKey, ModelService> services;
    std::vector<ModelPool> pools;  ///< sorted by name

    void ensure(const ServiceKey& key, const Wish& wish, std::uint64_t order) {
        if (!services.contains(key)) services[key].order = order;
        ModelService& service = services[key];
        const bool same_place = service.wish.pool == wish.pool && service.wish.addresses == wish.addresses;
        service.wish = wish;
        if (!same_place) service.placed = is_where_it_asks(service);
        meet(key);
        serve();
    }
    void release(const ServiceKey& key) {
        services.erase(key);
        serve();
    }
    void set_pools(std::vector<ModelPool> now) {
        pools = std::move(now);
        std::vector<ServiceKey> displaced;
        for (const ServiceKey& key : by_age()) {
            ModelService& service = services[key];
            const auto before = service.held;
            std::erase_if(service.held, [&](const IpAddress& address) { return pool_of(address) == nullptr; });
            for (const IpAddress& lost : before) {
                const auto& asked = service.wish.addresses;
                const bool is_lost = std::find(service.held.begin(), service.held.end(), lost) == service.held.end();
                if (is_lost && std::find(asked.begin(), asked.end(), lost) != asked.end()) service.placed = false;
            }
            if (service.held.empty()) {
                service.placed = false;
                service.claim = {};
            }
            if (service.held != before) displaced.push_back(key);
        }
        for (const ServiceKey& key : displaced) meet(key);
        serve();
    }

  private:
    std::vector<ServiceKey> by_age() const {
        std::vector<ServiceKey> keys;
        for (const auto& [key, service] : services) keys.push_back(key);
        std::sort(keys.begin(), keys.end(),
                  [&](const auto& a, const auto& b) { return services.at(a).order < services.at(b).order; });
        return keys;
    }
    const ModelPool* pool_of(const IpAddress& address) const {
        for (const ModelPool& pool : pools) {
            if (pool.has(address)) return &pool;
        }
        return nullptr;
    }
    static bool holds(const ModelService& service, const IpAddress& address) {
        return std::find(service.held.begin(), service.held.end(), address) != service.held.end();
    }
    bool is_free(const IpAddress& address) const {
        return std::none_of(services.begin(), services.end(),
                            [&](const auto& item) { return holds(item.second, address); });
    }
    bool fits(const ServiceKey& me, const Claim& claim, const IpAddress& address) const {
        for (const auto& [other, service] : services) {
            if (other == me || !holds(service, address)) continue;
            if (claim.sharing_key.empty() || claim.sharing_key != service.claim.sharing_key) return false;
            if (other.name_space != me.name_space) return false;
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
        if (held.empty()) return false;
        for (const IpAddress& asked : service.wish.addresses) {
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
        for (const IpAddress& address : pool.addresses) {
            if (address.family == family && holds(services.at(me), address) && fits(me, claim, address)) {
                return One{address, false};
            }
        }
        for (const IpAddress& address : pool.addresses) {
            if (address.family == family && !is_free(address) && fits(me, claim, address)) return One{address, true};
        }
        for (const IpAddress& address : pool.addresses) {
            if (address.family == family && is_free(address)) return One{address, false};
        }
        return std::nullopt;
    }
    std::optional<std::vector<IpAddress>> from(const ServiceKey& me, const Wish& wish,
                                               const std::vector<IpFamily>& families) const {
        std::optional<std::vector<IpAddress>> best;
        std::size_t best_shared = 0;
        for (const ModelPool& pool : pools) {
            if (wish.pool.empty() ? !pool.auto_assign : pool.name != wish.pool) continue;
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
        if (wish.addresses.empty()) {
            auto found = from(me, wish, wish.families());
            if (found || wish.policy != FamilyPolicy::prefer_dual) return found;
            found = from(me, wish, {wish.primary});
            if (found) return found;
            return from(me, wish, {wish.primary == IpFamily::ipv4 ? IpFamily::ipv6 : IpFamily::ipv4});
        }
        std::vector<IpAddress> found;
        const ModelPool* pool = pool_of(wish.addresses.front());
        for (const IpAddress& address : wish.addresses) {
            const bool twice = std::any_of(found.begin(), found.end(),
                                           [&](const IpAddress& other) { return other.family == address.family; });
            const bool misplaced = pool == nullptr || pool_of(address) != pool;
            const bool elsewhere = !wish.pool.empty() && (pool == nullptr || pool->name != wish.pool);
            if (twice || misplaced || elsewhere || !wish.wants(address.family) || !fits(me, wish.claim, address)) {
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
            } else if (wish.policy == FamilyPolicy::require_dual) {
                return std::nullopt;
            }
        }
        std::sort(found.begin(), found.end());
        return found;
    }
    bool gain(const ServiceKey& me) {
        ModelService& service = services.at(me);
        const IpFamily missing = service.held.front().is_v4() ? IpFamily::ipv6 : IpFamily::ipv4;
        const auto one = one_of(me, service.claim, *pool_of(service.held.front()), missing);
        if (!one) return false;
        service.held.push_back(one->address);
        std::sort(service.held.begin(), service.held.end());
        return true;
    }
    void meet(const ServiceKey& me) {
        ModelService& service = services.at(me);
        const std::vector<IpAddress> keep = wanted_of(service.wish, service.held);
        if (!service.placed || keep.empty()) {
            if (const auto found = choose(me, service.wish)) {
                service.held = *found;
                service.claim = service.wish.claim;
                service.placed = true;
                service.waits = false;
            } else {
                service.waits = true;
                if (!service.held.empty() && fits_all(me, service.wish.claim, service.held)) {
                    service.claim = service.wish.claim;
                }
            }
            return;
        }
        service.waits = !fits_all(me, service.wish.claim, keep);
        if (!service.waits) service.claim = service.wish.claim;
        service.held = keep;
        if (service.wish.policy != FamilyPolicy::single && service.held.size() == 1 && !gain(me) &&
            service.wish.policy == FamilyPolicy::require_dual) {
            service.waits = true;
        }
    }
    void serve() {
        bool gained = true;
        while (gained) {
            for (auto before = services;; before = services) {
                for (const ServiceKey& key : by_age()) {
                    if (services.at(key).waits) meet(key);
                }
                if (services == before) break;
            }
            gained = false;
            for (const ServiceKey& key : by_age()) {
                const ModelService& service = services.at(key);
                const bool lacks = service.wish.policy == FamilyPolicy::prefer_dual && service.held.size() == 1;
                if (lacks && service.placed && gain(key)) gained = true;
            }
        }
    }
};

}  // namespace guideway::ipam
