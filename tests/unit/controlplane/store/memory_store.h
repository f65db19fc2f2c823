// MemoryStore: the plainest Store there can be, for tests: a reference that the others are compared with, and a store that costs no disk.
//
// Its place is a MemoryPlace, which outlives it as a file would. Several stores may be open on one place, as with etcd.
// Worked example: auto place = std::make_shared<MemoryPlace>(); MemoryStore one(place), two(place);
// Thread contract: as Store; stores on one place may be used from different threads.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "controlplane/store/store.h"

namespace guideway::store {

struct MemoryPlace {
    using Key = std::pair<std::string, std::string>;
    struct Lease {
        std::chrono::milliseconds ttl;
        std::chrono::steady_clock::time_point end;
    };
    std::mutex mutex;
    std::map<Key, Record> records;
    std::vector<Gone> gone;
    std::map<LeaseId, Lease> leases;
    LeaseId last_lease = 0;
    std::uint64_t revision = 0, generation = 0, compacted = 0;
    std::uint64_t max_tombstones = 10'000;
    std::function<std::chrono::steady_clock::time_point()> now = std::chrono::steady_clock::now;
    std::map<const void*, std::function<void(std::uint64_t)>> watchers;
};

class MemoryStore final : public Store {
  public:
    explicit MemoryStore(std::shared_ptr<MemoryPlace> place) : place_(std::move(place)) {}
    ~MemoryStore() override { on_change({}); }

    std::optional<Error> load(Contents& contents) override {
        const std::lock_guard lock(place_->mutex);
        expire();
        contents = {{}, place_->revision, place_->generation};
        for (const auto& [key, record] : place_->records) contents.records.push_back(record);
        return std::nullopt;
    }

    std::optional<Error> commit(const Batch& batch) override {
        if (auto error = check(batch)) return error;
        const std::lock_guard lock(place_->mutex);
        expire();
        for (const Change& change : batch.changes) {
            if (change.document && change.lease != kNoLease && !place_->leases.contains(change.lease)) {
                return Error{ErrorKind::no_lease, "the lease has ended"};
            }
        }
        if (batch.after_revision != place_->revision) return Error{ErrorKind::conflict, "the store is elsewhere"};
        for (const Expectation& one : batch.expectations) {
            const auto at = place_->records.find({one.kind, one.key});
            if ((at == place_->records.end() ? 0 : at->second.revision) != one.revision) {
                return Error{ErrorKind::conflict, one.kind + " " + one.key + " is not as expected"};
            }
        }
        for (const Change& change : batch.changes) {
            if (change.document) {
                place_->records.insert_or_assign(
                    MemoryPlace::Key{change.kind, change.key},
                    Record{change.kind, change.key, *change.document, batch.revision, change.lease});
            } else {
                take_away({change.kind, change.key}, batch.revision);
            }
        }
        place_->generation = batch.generation;
        changed(batch.revision);
        return std::nullopt;
    }

    std::optional<Error> replace(const Contents& contents, std::uint64_t after_revision) override {
        if (auto error = check(contents, after_revision)) return error;
        const std::lock_guard lock(place_->mutex);
        expire();
        if (after_revision != place_->revision) return Error{ErrorKind::conflict, "the store is elsewhere"};
        place_->records.clear();
        place_->gone.clear();
        place_->leases.clear();
        for (const Record& record : contents.records)
            place_->records.emplace(std::pair(record.kind, record.key), record);
        place_->generation = contents.generation;
        place_->compacted = contents.revision;
        changed(contents.revision);
        return std::nullopt;
    }

    std::optional<Error> changes_since(std::uint64_t revision, Changes& changes) override {
        const std::lock_guard lock(place_->mutex);
        expire();
        if (revision > place_->revision || revision < place_->compacted) {
            return Error{ErrorKind::compacted, "not known"};
        }
        changes = {{}, {}, place_->revision, place_->generation};
        for (const auto& [key, record] : place_->records) {
            if (record.revision > revision) changes.written.push_back(record);
        }
        std::map<MemoryPlace::Key, std::uint64_t> last;
        for (const Gone& one : place_->gone) {
            if (one.revision > revision && !place_->records.contains({one.kind, one.key})) {
                last[{one.kind, one.key}] = one.revision;
            }
        }
        for (const auto& [key, at] : last) changes.gone.push_back({key.first, key.second, at});
        return std::nullopt;
    }

    void on_change(std::function<void(std::uint64_t)> notify) override {
        const std::lock_guard lock(place_->mutex);
        if (notify) {
            place_->watchers[this] = std::move(notify);
        } else {
            place_->watchers.erase(this);
        }
    }

    std::variant<LeaseId, Error> grant_lease(std::chrono::milliseconds ttl) override {
        if (auto error = check_lease_time(ttl)) return std::move(*error);
        const std::lock_guard lock(place_->mutex);
        expire();
        place_->leases[++place_->last_lease] = {ttl, place_->now() + ttl};
        return place_->last_lease;
    }
    std::optional<Error> keep_alive(LeaseId lease) override {
        const std::lock_guard lock(place_->mutex);
        expire();
        const auto at = place_->leases.find(lease);
        if (at == place_->leases.end()) return Error{ErrorKind::no_lease, "the lease has ended"};
        at->second.end = place_->now() + at->second.ttl;
        return std::nullopt;
    }
    std::optional<Error> revoke_lease(LeaseId lease) override {
        const std::lock_guard lock(place_->mutex);
        expire();
        if (!place_->leases.contains(lease)) return Error{ErrorKind::no_lease, "the lease has ended"};
        end({lease});
        return std::nullopt;
    }

  private:
    void changed(std::uint64_t revision) {
        place_->revision = revision;
        std::vector<Gone>& gone = place_->gone;
        const std::uint64_t keep = place_->max_tombstones;
        if (gone.size() > keep + keep / 10) {
            place_->compacted = gone[gone.size() - keep - 1].revision;
            std::erase_if(gone, [&](const Gone& one) { return one.revision <= place_->compacted; });
        }
        for (const auto& [store, notify] : place_->watchers) notify(revision);
    }
    void take_away(const MemoryPlace::Key& key, std::uint64_t revision) {
        if (place_->records.erase(key) > 0) place_->gone.push_back({key.first, key.second, revision});
    }
    void expire() {
        std::vector<LeaseId> over;
        for (const auto& [id, lease] : place_->leases) {
            if (lease.end <= place_->now()) over.push_back(id);
        }
        end(over);
    }
    void end(const std::vector<LeaseId>& leases) {
        std::vector<MemoryPlace::Key> bound;
        for (const auto& [key, record] : place_->records) {
            if (std::find(leases.begin(), leases.end(), record.lease) != leases.end()) bound.push_back(key);
        }
        for (const LeaseId lease : leases) place_->leases.erase(lease);
        if (bound.empty()) return;
        for (const auto& key : bound) take_away(key, place_->revision + 1);
        changed(place_->revision + 1);
    }

    std::shared_ptr<MemoryPlace> place_;
};

}  // namespace guideway::store
