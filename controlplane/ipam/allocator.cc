// Transactions and changes of the pools. Who is on which address: occupying.cc; which address is chosen: choosing.cc; what becomes
// of a service: meeting.cc.
#include "controlplane/ipam/allocator.h"

#include <algorithm>
#include <string_view>

namespace guideway::ipam {
namespace {

constexpr std::array<std::string_view, 7> kEventKinds{
    "Allocated", "ServedLate", "Moved", "Lost", "Conflict", "GainedFamily", "Refused",
};

}  // namespace

std::string_view to_string(EventKind kind) { return kEventKinds[static_cast<std::size_t>(kind)]; }

void Allocator::begin(std::uint64_t now_seconds) {
    in_transaction_ = true;
    journal_ = {};
    now_ = std::max(now_, now_seconds);
    end_quarantines();
}

void Allocator::commit() {
    in_transaction_ = false;
    journal_ = {};
}

void Allocator::rollback() {
    undo();
    commit();
}

void Allocator::undo() {
    Journal journal = std::move(journal_);
    journal_ = {};
    if (journal.is_load) {
        services_.clear();
        pools_ = PoolSet();
        forget_occupation();
    } else if (journal.pools_before) {
        for (auto& [service, allocation] : journal.before) {
            if (allocation) {
                services_[service] = std::move(*allocation);
            } else {
                services_.erase(service);
            }
        }
        pools_ = std::move(*journal.pools_before);
        std::vector<Quarantined> quarantined;
        for (const auto& [address, now] : quarantine_) {
            if (!journal.quarantine_before.contains(address)) quarantined.push_back(now);
        }
        for (const auto& [address, before] : journal.quarantine_before) {
            if (before) quarantined.push_back(*before);
        }
        forget_occupation();
        for (const auto& [service, allocation] : services_) {
            occupy_all(service, allocation);
            reindex(service, allocation);
        }
        restore_quarantines(quarantined);
    } else {
        // All leave before one returns: the old and the new holder of an address may both be among them.
        for (const auto& [service, allocation] : journal.before) forget(service);
        for (auto& [service, before] : journal.before) {
            if (!before) continue;
            const Allocation& allocation = services_[service] = std::move(*before);
            occupy_all(service, allocation);
            reindex(service, allocation);
        }
        // Leaving put addresses in quarantine that are held again now, or were in it since longer.
        for (auto& [address, before] : journal_.quarantine_before) {
            journal.quarantine_before.try_emplace(address, std::move(before));
        }
        for (auto& [address, before] : journal.quarantine_before) set_quarantine(address, std::move(before));
    }
    waiting_.settle();
    incomplete_.settle();
    journal_ = {};
}

void Allocator::load(PoolSet pools, std::map<ServiceKey, Allocation> recorded,
                     const std::vector<Quarantined>& quarantined) {
    journal_ = {};
    journal_.is_load = true;
    services_ = std::move(recorded);
    quarantine_.clear();
    for (const Quarantined& one : quarantined) {
        journal_.quarantine_before.try_emplace(one.address, one);
        quarantine_[one.address] = {one.address, std::min(one.freed_at, now_), one.former};
    }
    rebuild(std::move(pools));
}

void Allocator::set_pools(PoolSet pools) {
    if (!journal_.pools_before) journal_.pools_before = pools_;
    rebuild(std::move(pools));
}

const Allocation& Allocator::ensure(const ServiceKey& service, Wish wish, std::uint64_t order) {
    touch(service);
    std::sort(wish.claim.ports.begin(), wish.claim.ports.end());
    std::sort(wish.addresses.begin(), wish.addresses.end());
    std::sort(wish.annotation_addresses.begin(), wish.annotation_addresses.end());
    const auto [at, is_new] = services_.try_emplace(service);
    Allocation& allocation = at->second;
    if (is_new) {
        allocation.order = order;
        allocation.wish = std::move(wish);
        occupy_all(service, allocation);
    } else {
        // A granted request stays granted while it is not changed, whatever the pool's name has become since
        // (19).
        const bool same_place = allocation.wish.asks_same_place(wish);
        allocation.wish = std::move(wish);
        if (!same_place) allocation.placed = is_placed(allocation.wish, allocation.holdings);
    }
    meet(service);
    serve_waiting();
    const Allocation& now = services_.at(service);
    if (is_new && !now.holdings.empty()) note(service, EventKind::allocated, "has " + list_of(now.holdings));
    return now;
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

bool Allocator::is_changed(const ServiceKey& service, const std::optional<Allocation>& before) const {
    const Allocation* now = find(service);
    return before.has_value() != (now != nullptr) || (now != nullptr && *now != *before);
}

std::vector<ServiceKey> Allocator::changed() const {
    std::vector<ServiceKey> keys;
    for (const auto& [service, before] : journal_.before) {
        if (is_changed(service, before)) keys.push_back(service);
    }
    return keys;
}

std::vector<ServiceKey> Allocator::take_changed() {
    std::vector<ServiceKey> keys;
    for (const ServiceKey& service : journal_.touched) {
        const auto taken = journal_.at_take.find(service);
        if (is_changed(service, taken == journal_.at_take.end() ? journal_.before.at(service) : taken->second)) {
            keys.push_back(service);
        }
    }
    journal_.touched.clear();
    journal_.at_take.clear();
    return keys;
}

std::vector<QuarantineChange> Allocator::quarantine_changes() const {
    std::vector<QuarantineChange> changes;
    for (const auto& [address, before] : journal_.quarantine_before) {
        const auto at = quarantine_.find(address);
        std::optional<Quarantined> now;
        if (at != quarantine_.end()) now = at->second;
        if (now != before) changes.push_back({address, std::move(now)});
    }
    return changes;
}

void Allocator::touch(const ServiceKey& service) {
    const bool is_first = !journal_.before.contains(service);
    if (!is_first && journal_.touched.contains(service)) return;
    const Allocation* now = find(service);
    (is_first ? journal_.before : journal_.at_take)
        .emplace(service, now == nullptr ? std::nullopt : std::optional(*now));
    journal_.touched.insert(service);
}

void Allocator::note(const ServiceKey& service, EventKind kind, std::string message) {
    journal_.events.push_back({service, kind, std::move(message)});
}

void Allocator::rebuild(PoolSet pools) {
    pools_ = std::move(pools);
    std::vector<Quarantined> quarantined;
    quarantined.reserve(quarantine_.size());
    for (const auto& [address, one] : quarantine_) {
        journal_.quarantine_before.try_emplace(address, one);
        quarantined.push_back(one);
    }
    forget_occupation();
    std::vector<Services::iterator> by_age;
    by_age.reserve(services_.size());
    for (auto at = services_.begin(); at != services_.end(); ++at) by_age.push_back(at);
    std::stable_sort(by_age.begin(), by_age.end(),
                     [](const auto& a, const auto& b) { return a->second.order < b->second.order; });

    std::vector<ServiceKey> displaced;
    for (const auto& at : by_age) {
        const ServiceKey& service = at->first;
        Allocation& allocation = at->second;
        std::vector<Holding> kept;
        for (const Holding& holding : allocation.holdings) {
            const auto place = pools_.place_of(holding.address);
            EventKind kind = EventKind::lost;
            std::string why;
            if (!place) {
                why = pools_.range_of(holding.address) ? "its pool now leaves out addresses that end in .0 and .255"
                                                       : "no pool has it any more";
            } else if (const auto clash = misfit(service, allocation.claim, holding.address, true)) {
                kind = EventKind::conflict;
                why = "an older claim stands: " + clash->message;
            } else {
                kept.push_back({holding.address, pools_.pools()[place->pool].name});
                continue;
            }
            note(service, kind, "lost " + holding.address.to_string() + ": " + why);
            const std::vector<IpAddress>& requested = allocation.wish.requested();
            if (std::find(requested.begin(), requested.end(), holding.address) != requested.end()) {
                touch(service);
                allocation.placed = false;
            }
        }
        const bool is_same = kept == allocation.holdings;
        if (!is_same) touch(service);
        const bool lost = kept.size() != allocation.holdings.size();
        if (lost || (kept.empty() && !allocation.refusal)) displaced.push_back(service);
        if (kept.empty() && (allocation.placed || !(allocation.claim == Claim{}))) {
            touch(service);
            allocation.placed = false;
            allocation.claim = {};
        }
        if (!is_same) allocation.holdings = std::move(kept);
        occupy_all(service, allocation);
        reindex(service, allocation);
    }
    restore_quarantines(quarantined);
    // Those that had an address come before those that wait (22).
    for (const ServiceKey& service : displaced) {
        const std::vector<Holding> kept = services_.at(service).holdings;
        meet(service);
        const std::vector<Holding>& now = services_.at(service).holdings;
        if (now != kept) note(service, EventKind::moved, "has " + list_of(now) + " now");
    }
    waiting_.everything_changed();
    incomplete_.everything_changed();
    serve_waiting();
}

}  // namespace guideway::ipam
