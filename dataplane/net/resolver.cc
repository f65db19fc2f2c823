#include "dataplane/net/resolver.h"

namespace guideway::net {

std::optional<Resolve> Resolver::wish(const snapshot::NeighbourKey& key, Clock::time_point now) {
    const auto found = entries_.find(key);
    if (found != entries_.end()) {
        Entry& entry = found->second;
        entry.wished = now;
        if (now - entry.asked < kPatience) return std::nullopt;
        entry.asked = now;
        return entry.managed ? Resolve::managed : Resolve::once;
    }
    if (entries_.size() >= kMostKeys) return std::nullopt;
    const bool managed = managed_known_ && managed_ < kMostManaged;
    if (managed) ++managed_;
    entries_.emplace(key, Entry{now, now, managed});
    return managed ? Resolve::managed : Resolve::once;
}

std::vector<snapshot::NeighbourKey> Resolver::refresh(
    Clock::time_point now, const std::function<bool(const snapshot::NeighbourKey&)>& is_stale) {
    std::vector<snapshot::NeighbourKey> again;
    // When the table is full, strangers must not keep those out that are wanted now.
    const auto patience = entries_.size() >= kMostKeys ? Clock::duration(kRefreshEvery) : Clock::duration(kForgetAfter);
    for (auto item = entries_.begin(); item != entries_.end();) {
        auto& [key, entry] = *item;
        if (!entry.managed && now - entry.wished > patience) {
            item = entries_.erase(item);
            continue;
        }
        if (!entry.managed && now - entry.asked >= kPatience && is_stale(key)) {
            entry.asked = now;
            again.push_back(key);
        }
        ++item;
    }
    return again;
}

void Resolver::no_managed() {
    managed_known_ = false;
    managed_ = 0;
    for (auto& [key, entry] : entries_) entry.managed = false;
}

}  // namespace guideway::net
