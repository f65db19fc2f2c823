// Transactions, and the book of who occupies what. Which address is chosen: choosing.cc; what becomes of a
// service: meeting.cc.
#include "controlplane/ipam/allocator.h"

#include <algorithm>

namespace guideway::ipam {

void Allocator::begin() {
    in_transaction_ = true;
    before_.clear();
    pools_before_.reset();
    events_.clear();
}

void Allocator::commit() {
    in_transaction_ = false;
    before_.clear();
    pools_before_.reset();
    events_.clear();
}

void Allocator::rollback() {
    if (pools_before_) {
        for (auto& [service, allocation] : before_) {
            if (allocation) {
                services_[service] = std::move(*allocation);
            } else {
                services_.erase(service);
            }
        }
        pools_ = std::move(*pools_before_);
        forget_occupation();
        for (const auto& [service, allocation] : services_) {
            occupy_all(service);
            reindex(service);
        }
    } else {
        // All leave before one returns: the old and the new holder of an address may both be among them.
        for (const auto& [service, allocation] : before_) forget(service);
        for (auto& [service, allocation] : before_) {
            if (allocation) services_[service] = std::move(*allocation);
        }
        for (const auto& [service, allocation] : before_) {
            occupy_all(service);
            reindex(service);
        }
    }
    commit();
}

void Allocator::load(PoolSet pools, std::map<ServiceKey, Allocation> recorded) {
    for (const auto& [service, allocation] : services_) touch(service);
    for (const auto& [service, allocation] : recorded) before_.emplace(service, allocation);
    if (!pools_before_) pools_before_ = pools_;
    services_ = std::move(recorded);
    rebuild(std::move(pools));
}

void Allocator::set_pools(PoolSet pools) {
    if (!pools_before_) pools_before_ = pools_;
    rebuild(std::move(pools));
}

const Allocation& Allocator::ensure(const ServiceKey& service, Wish wish, std::uint64_t order) {
    touch(service);
    std::sort(wish.claim.ports.begin(), wish.claim.ports.end());
    std::sort(wish.addresses.begin(), wish.addresses.end());
    const auto [at, is_new] = services_.try_emplace(service);
    Allocation& allocation = at->second;
    if (is_new) {
        allocation.order = order;
        allocation.wish = std::move(wish);
        occupy_all(service);
    } else {
        // A granted request stays granted while it is not changed, whatever the pool's name has become since
        // (19).
        const bool same_place = allocation.wish.pool == wish.pool && allocation.wish.addresses == wish.addresses;
        allocation.wish = std::move(wish);
        if (!same_place) allocation.placed = is_placed(allocation.wish, allocation.holdings);
    }
    meet(service);
    serve_waiting();
    return services_.at(service);
}

bool Allocator::release(const ServiceKey& service) {
    const auto at = services_.find(service);
    if (at == services_.end()) return false;
    touch(service);
    forget(service);
    serve_waiting();
    return true;
}

const Allocation* Allocator::find(const ServiceKey& service) const {
    const auto at = services_.find(service);
    return at == services_.end() ? nullptr : &at->second;
}

PoolUse Allocator::use(const std::string& pool) const {
    const Pool* found = pools_.find(pool);
    return found == nullptr ? PoolUse{} : states_[static_cast<std::size_t>(found - pools_.pools().data())].use;
}

std::vector<ServiceKey> Allocator::changed() const {
    std::vector<ServiceKey> keys;
    for (const auto& [service, before] : before_) {
        const Allocation* now = find(service);
        if (before.has_value() != (now != nullptr) || (now != nullptr && *now != *before)) keys.push_back(service);
    }
    return keys;
}

void Allocator::touch(const ServiceKey& service) {
    if (before_.contains(service)) return;
    const Allocation* now = find(service);
    before_.emplace(service, now == nullptr ? std::nullopt : std::optional(*now));
}

void Allocator::reindex(const ServiceKey& service) {
    const auto at = services_.find(service);
    if (at == services_.end()) return;
    const Allocation& allocation = at->second;
    const Age age{allocation.order, service};
    if (allocation.refusal) {
        waiting_.insert(age);
    } else {
        waiting_.erase(age);
    }
    if (allocation.wish.policy == FamilyPolicy::prefer_dual && allocation.placed && allocation.holdings.size() == 1) {
        incomplete_.insert(age);
    } else {
        incomplete_.erase(age);
    }
}

void Allocator::note(const ServiceKey& service, std::string message) {
    events_.push_back({service, std::move(message)});
}

void Allocator::occupy(const ServiceKey& service, const Claim& claim, const IpAddress& address) {
    std::vector<ServiceKey>& users = users_[address];
    // Sorted, so that who is named in a refusal does not depend on who came first.
    users.insert(std::upper_bound(users.begin(), users.end(), service), service);
    if (!claim.sharing_key.empty()) by_sharing_key_[claim.sharing_key].insert(address);
    if (users.size() > 1) return;
    const auto place = pools_.place_of(address);
    if (!place) return;
    PoolState& state = states_[place->pool];
    ++(address.is_v4() ? state.use.ipv4_allocated : state.use.ipv6_allocated);
    IntervalSet& blocked = state.blocked[place->entry];
    const Number number = to_number(address);
    blocked.insert(number);
    const Pool& pool = pools_.pools()[place->pool];
    if (!pool.avoid_buggy_ips) return;
    // The left-out neighbours are blocked with it, so that the intervals merge across them and the search
    // stays one step.
    for (Number next = number + 1; is_buggy(address.family, next); ++next) blocked.insert(next);
    for (Number next = number; next > 0 && is_buggy(address.family, next - 1); --next) blocked.insert(next - 1);
}

void Allocator::vacate(const ServiceKey& service, const Claim& claim, const IpAddress& address) {
    const auto at = users_.find(address);
    if (at == users_.end()) return;
    std::erase(at->second, service);
    if (!at->second.empty()) return;
    users_.erase(at);
    if (const auto keyed = by_sharing_key_.find(claim.sharing_key); keyed != by_sharing_key_.end()) {
        keyed->second.erase(address);
        if (keyed->second.empty()) by_sharing_key_.erase(keyed);
    }
    const auto place = pools_.place_of(address);
    if (!place) return;
    PoolState& state = states_[place->pool];
    --(address.is_v4() ? state.use.ipv4_allocated : state.use.ipv6_allocated);
    state.blocked[place->entry].erase(to_number(address));
}

void Allocator::occupy_all(const ServiceKey& service) {
    const auto at = services_.find(service);
    if (at == services_.end()) return;
    for (const Holding& holding : at->second.holdings) occupy(service, at->second.claim, holding.address);
    if (at->second.holdings.empty()) ++without_address_;
}

void Allocator::vacate_all(const ServiceKey& service) {
    const auto at = services_.find(service);
    if (at == services_.end()) return;
    for (const Holding& holding : at->second.holdings) vacate(service, at->second.claim, holding.address);
    if (at->second.holdings.empty()) --without_address_;
}

void Allocator::forget(const ServiceKey& service) {
    const auto at = services_.find(service);
    if (at == services_.end()) return;
    vacate_all(service);
    waiting_.erase({at->second.order, service});
    incomplete_.erase({at->second.order, service});
    services_.erase(at);
}

void Allocator::forget_occupation() {
    users_.clear();
    by_sharing_key_.clear();
    waiting_.clear();
    incomplete_.clear();
    without_address_ = 0;
    states_.clear();
    for (const Pool& pool : pools_.pools()) states_.push_back({std::vector<IntervalSet>(pool.entries.size()), {}});
}

void Allocator::set_holdings(const ServiceKey& service, std::vector<Holding> holdings, const Claim& claim) {
    Allocation& allocation = services_.at(service);
    vacate_all(service);
    allocation.holdings = std::move(holdings);
    allocation.claim = claim;
    occupy_all(service);
}

void Allocator::rebuild(PoolSet pools) {
    pools_ = std::move(pools);
    forget_occupation();
    std::vector<Age> by_age;
    by_age.reserve(services_.size());
    for (const auto& [service, allocation] : services_) by_age.emplace_back(allocation.order, service);
    std::sort(by_age.begin(), by_age.end());

    std::vector<ServiceKey> displaced;
    for (const auto& [order, service] : by_age) {
        Allocation& allocation = services_.at(service);
        std::vector<Holding> kept;
        for (const Holding& holding : allocation.holdings) {
            const auto place = pools_.place_of(holding.address);
            std::string why;
            if (!place) {
                why = pools_.range_of(holding.address) ? "its pool now leaves out addresses that end in .0 and .255"
                                                       : "no pool has it any more";
            } else if (const auto clash = misfit(service, allocation.claim, holding.address)) {
                why = "an older claim stands: " + clash->message;
            } else {
                kept.push_back({holding.address, pools_.pools()[place->pool].name});
                continue;
            }
            note(service, "lost " + holding.address.to_string() + ": " + why);
            if (std::find(allocation.wish.addresses.begin(), allocation.wish.addresses.end(), holding.address) !=
                allocation.wish.addresses.end()) {
                touch(service);
                allocation.placed = false;
            }
        }
        if (kept != allocation.holdings) touch(service);
        const bool lost = kept.size() != allocation.holdings.size();
        if (lost || (kept.empty() && !allocation.refusal)) displaced.push_back(service);
        if (kept.empty() && (allocation.placed || !(allocation.claim == Claim{}))) {
            touch(service);
            allocation.placed = false;
            allocation.claim = {};
        }
        allocation.holdings = std::move(kept);
        occupy_all(service);
        reindex(service);
    }
    // Those that had an address come before those that wait (22).
    for (const ServiceKey& service : displaced) meet(service);
    serve_waiting();
}

}  // namespace guideway::ipam
