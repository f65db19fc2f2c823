// The book of who is on which address, what may be shared, what is in quarantine, and the counts of it (rules 5, 6, 15, 18).
#include <algorithm>
#include <limits>

#include "controlplane/ipam/allocator.h"

namespace guideway::ipam {
namespace {

std::size_t index_of(IpFamily family) { return family == IpFamily::ipv4 ? 0 : 1; }

void block(IntervalSet& blocked, const Pool& pool, const IpAddress& address) {
    const Number number = to_number(address);
    blocked.insert(number);
    if (!pool.avoid_buggy_ips) return;
    // The left-out neighbours are blocked with it, so that the intervals merge across them and the search
    // stays one step.
    for (Number next = number + 1; is_buggy(address.family, next); ++next) blocked.insert(next);
    for (Number next = number; next > 0 && is_buggy(address.family, next - 1); --next) blocked.insert(next - 1);
}

}  // namespace

std::optional<Allocator::SharedIn> Allocator::shared_in(const AddressUse& use, const std::optional<Place>& place,
                                                        IpFamily family) const {
    if (use.sharing_key.empty() || use.users.empty() || !place) return std::nullopt;
    const ServiceKey& first = use.users.front();
    const FreeIn where{place->pool, family};
    if (pools_.pools()[place->pool].share_across_namespaces) {
        return SharedIn{where, {first.cluster, "", use.sharing_key}};
    }
    // Users of several namespaces, from the time when the pool allowed it: nobody fits beside all of them. They are sorted, so the
    // ends decide.
    if (first.name_space != use.users.back().name_space) return std::nullopt;
    return SharedIn{where, {first.cluster, first.name_space, use.sharing_key}};
}

void Allocator::occupy(const ServiceKey& service, const Claim& claim, const IpAddress& address) {
    set_quarantine(address, std::nullopt);
    const auto place = pools_.place_of(address);
    AddressUse& use = users_[address];
    const auto before = shared_in(use, place, address.family);
    use.users.insert(std::upper_bound(use.users.begin(), use.users.end(), service), service);
    use.sharing_key = claim.sharing_key;
    if (!claim.sharing_key.empty()) {
        for (const PortClaim& port : claim.ports) use.ports.try_emplace(port, service);
    }
    const auto after = shared_in(use, place, address.family);
    if (before && before != after) {
        SharedAddresses& shared = shared_.at(*before);
        shared.addresses.erase({place->entry, address});
        for (const auto& [port, user] : use.ports) {
            if (user != service && --shared.ports.at(port) == 0) shared.ports.erase(port);
        }
        waiting_.changed(before->second);
        incomplete_.changed(before->second);
        if (shared.addresses.empty()) shared_.erase(*before);
    }
    if (after) {
        SharedAddresses& shared = shared_[*after];
        shared.addresses.insert({place->entry, address});
        for (const auto& [port, user] : use.ports) {
            if (user == service || before != after) ++shared.ports[port];
        }
        waiting_.changed(after->second);
        incomplete_.changed(after->second);
    }
    waiting_.changed(address);
    if (!place) return;
    PoolState& state = states_[place->pool];
    const std::size_t family = index_of(address.family);
    if (use.users.size() == 2) ++state.shared[family];
    if (use.users.size() > 1) return;
    ++state.allocated[family];
    const Pool& pool = pools_.pools()[place->pool];
    block(state.blocked[place->entry], pool, address);
    if (pool.quarantine_seconds > 0) block(state.skipped[place->entry], pool, address);
}

void Allocator::vacate(const ServiceKey& service, const IpAddress& address) {
    const auto at = users_.find(address);
    if (at == users_.end()) return;
    AddressUse& use = at->second;
    const auto place = pools_.place_of(address);
    const auto before = shared_in(use, place, address.family);
    const std::map<PortClaim, ServiceKey> ports_before = use.ports;
    std::erase(use.users, service);
    std::erase_if(use.ports, [&](const auto& item) { return item.second == service; });
    const auto after = shared_in(use, place, address.family);
    if (before) {
        SharedAddresses& shared = shared_.at(*before);
        const bool goes = before != after;
        for (const auto& [port, user] : ports_before) {
            if ((goes || user == service) && --shared.ports.at(port) == 0) shared.ports.erase(port);
        }
        if (goes) shared.addresses.erase({place->entry, address});
        waiting_.changed(before->second);
        incomplete_.changed(before->second);
        if (shared.addresses.empty()) shared_.erase(*before);
    }
    if (after && before != after) {
        SharedAddresses& shared = shared_[*after];
        shared.addresses.insert({place->entry, address});
        for (const auto& [port, user] : use.ports) ++shared.ports[port];
        waiting_.changed(after->second);
        incomplete_.changed(after->second);
    }
    waiting_.changed(address);
    const std::size_t family = index_of(address.family);
    if (!use.users.empty()) {
        if (place && use.users.size() == 1) --states_[place->pool].shared[family];
        return;
    }
    users_.erase(at);
    if (!place) return;
    PoolState& state = states_[place->pool];
    --state.allocated[family];
    state.blocked[place->entry].erase(to_number(address));
    if (pools_.pools()[place->pool].quarantine_seconds > 0) {
        state.skipped[place->entry].erase(to_number(address));
        set_quarantine(address, Quarantined{address, now_, service});
    }
    const FreeIn where{place->pool, address.family};
    waiting_.freed(where);
    incomplete_.freed(where);
}

void Allocator::count_service(const Allocation& allocation, bool comes) {
    std::optional<std::size_t> counted;  // of two addresses of one pool (the rule) only one
    for (const Holding& holding : allocation.holdings) {
        const auto place = pools_.place_of(holding.address);
        if (!place || counted == place->pool) continue;
        counted = place->pool;
        std::uint64_t& services = states_[place->pool].services;
        services = comes ? services + 1 : services - 1;
    }
    if (allocation.holdings.empty()) without_address_ = comes ? without_address_ + 1 : without_address_ - 1;
}

void Allocator::occupy_all(const ServiceKey& service, const Allocation& allocation) {
    for (const Holding& holding : allocation.holdings) occupy(service, allocation.claim, holding.address);
    count_service(allocation, true);
}

void Allocator::vacate_all(const ServiceKey& service, const Allocation& allocation) {
    for (const Holding& holding : allocation.holdings) vacate(service, holding.address);
    count_service(allocation, false);
}

void Allocator::forget(const ServiceKey& service) {
    const auto at = services_.find(service);
    if (at == services_.end()) return;
    vacate_all(service, at->second);
    waiting_.remove({at->second.order, service});
    incomplete_.remove({at->second.order, service});
    services_.erase(at);
}

void Allocator::forget_occupation() {
    users_.clear();
    users_.reserve(services_.size());
    shared_.clear();
    quarantine_.clear();
    former_.clear();
    waiting_ = {};
    incomplete_ = {};
    without_address_ = 0;
    states_.clear();
    for (const Pool& pool : pools_.pools()) {
        PoolState& state = states_.emplace_back();
        state.blocked.resize(pool.entries.size());
        if (pool.quarantine_seconds > 0) state.skipped.resize(pool.entries.size());
        for (const IpFamily family : {IpFamily::ipv4, IpFamily::ipv6}) {
            state.total[index_of(family)] = pool.exact_capacity(family);
        }
    }
}

void Allocator::set_holdings(const ServiceKey& service, std::vector<Holding> holdings, const Claim& claim) {
    Allocation& allocation = services_.at(service);
    vacate_all(service, allocation);
    allocation.holdings = std::move(holdings);
    allocation.claim = claim;
    occupy_all(service, allocation);
}

void Allocator::set_quarantine(const IpAddress& address, std::optional<Quarantined> now) {
    const auto at = quarantine_.find(address);
    if (at == quarantine_.end() && !now) return;
    const auto place = pools_.place_of(address);
    std::optional<Quarantined> before;
    if (at != quarantine_.end()) {
        before = std::move(at->second);
        quarantine_.erase(at);
        const auto former = former_.find(before->former);
        former->second.erase(address);
        if (former->second.empty()) former_.erase(former);
        states_[place->pool].quarantine[index_of(address.family)].erase({before->freed_at, address});
        if (!users_.contains(address)) states_[place->pool].skipped[place->entry].erase(to_number(address));
    }
    journal_.quarantine_before.try_emplace(address, std::move(before));
    if (!now) return;
    former_[now->former].insert(address);
    states_[place->pool].quarantine[index_of(address.family)].insert({now->freed_at, address});
    block(states_[place->pool].skipped[place->entry], pools_.pools()[place->pool], address);
    quarantine_.emplace(address, std::move(*now));
}

void Allocator::end_quarantines() {
    for (std::size_t i = 0; i < states_.size(); ++i) {
        const std::uint64_t seconds = pools_.pools()[i].quarantine_seconds;
        for (auto& quarantine : states_[i].quarantine) {
            while (!quarantine.empty() && quarantine.begin()->first + seconds <= now_) {
                set_quarantine(IpAddress(quarantine.begin()->second), std::nullopt);
            }
        }
    }
}

void Allocator::restore_quarantines(const std::vector<Quarantined>& all) {
    for (const Quarantined& one : all) {
        const auto place = pools_.place_of(one.address);
        if (!place || users_.contains(one.address)) continue;
        const std::uint64_t seconds = pools_.pools()[place->pool].quarantine_seconds;
        if (one.freed_at + seconds > now_) set_quarantine(one.address, one);
    }
}

std::vector<Quarantined> Allocator::quarantined() const {
    std::vector<Quarantined> all;
    all.reserve(quarantine_.size());
    for (const auto& [address, one] : quarantine_) all.push_back(one);
    std::sort(all.begin(), all.end(), [](const Quarantined& a, const Quarantined& b) { return a.address < b.address; });
    return all;
}

PoolUse Allocator::use(const std::string& pool) const {
    PoolUse use;
    const Pool* found = pools_.find(pool);
    if (found == nullptr) return use;
    const PoolState& state = states_[static_cast<std::size_t>(found - pools_.pools().data())];
    const auto bounded = [](Number count) {
        return count > kCountLimit ? kCountLimit : static_cast<std::uint64_t>(count);
    };
    for (const IpFamily family : {IpFamily::ipv4, IpFamily::ipv6}) {
        const std::size_t i = index_of(family);
        const Number taken = Number{state.allocated[i]} + state.quarantine[i].size();
        use.of(family) = {bounded(state.total[i]), state.allocated[i], state.shared[i], state.quarantine[i].size(),
                          bounded(state.total[i] - taken)};
    }
    use.services = state.services;
    return use;
}

}  // namespace guideway::ipam
