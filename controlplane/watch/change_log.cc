#include "controlplane/watch/change_log.h"

#include <algorithm>
#include <utility>

#include "api/resources/selector_query.h"

namespace guideway::controlplane {

const std::string& ChangeLog::Entry::text() const {
    std::call_once(made_, [this] { text_ = change.encode(); });
    return text_;
}

class ChangeLog::Reader final : public rest::Watch {
  public:
    Reader(ChangeLog& log, rest::Kind kind, rest::Selection selection, std::uint64_t next, std::uint64_t told)
        : log_(log),
          kind_(kind),
          selection_(std::move(selection)),
          next_(next),
          told_(told),
          incarnation_(log.incarnation_) {}

    rest::WatchBatch next(std::chrono::milliseconds wait) override {
        rest::WatchBatch batch;
        const auto end = std::chrono::steady_clock::now() + wait;
        do {
            const std::vector<EntryPointer> entries = take(end, batch);
            for (const EntryPointer& entry : entries) tell(*entry, batch.events);
        } while (batch.events.empty() && !batch.too_old && !batch.ended && std::chrono::steady_clock::now() < end);
        for (std::size_t i = 0; i < batch.events.size(); ++i) {
            const bool last = i + 1 == batch.events.size() || batch.events[i + 1].revision != batch.events[i].revision;
            batch.events[i].last_of_revision = last;
        }
        batch.revision = told_;
        return batch;
    }

  private:
    std::vector<EntryPointer> take(std::chrono::steady_clock::time_point end, rest::WatchBatch& batch) {
        std::unique_lock lock(log_.mutex_);
        log_.changed_.wait_until(lock, end, [this] {
            return log_.stopped_ || log_.incarnation_ != incarnation_ || next_ < log_.first_ + log_.entries_.size();
        });
        batch.ended = log_.stopped_;
        batch.too_old = log_.incarnation_ != incarnation_ || next_ < log_.first_;
        std::vector<EntryPointer> entries;
        if (batch.ended || batch.too_old) return entries;
        const auto from = static_cast<std::size_t>(next_ - log_.first_);
        for (std::size_t i = from; i < log_.entries_.size(); ++i) {
            const EntryPointer& entry = log_.entries_[i];
            if (entries.size() >= log_.bounds_.changes_read_at_once && entry->revision != entries.back()->revision) {
                break;
            }
            entries.push_back(entry);
        }
        next_ += entries.size();
        const bool all = next_ == log_.first_ + log_.entries_.size();
        told_ = all ? log_.revision_ : entries.back()->revision;
        return entries;
    }

    bool selects(const Scope& scope, const std::map<std::string, std::string>& labels) const {
        return (!selection_.cluster || *selection_.cluster == scope.cluster) &&
               (!selection_.namespace_ || *selection_.namespace_ == scope.namespace_) &&
               (!selection_.regarding_kind || *selection_.regarding_kind == scope.regarding_kind) &&
               (!selection_.regarding_name || *selection_.regarding_name == scope.regarding_name) &&
               matches(selection_.labels, labels);
    }

    void tell(const Entry& entry, std::vector<rest::WatchEvent>& events) const {
        const Change& change = entry.change;
        if (change.kind != kind_) return;
        rest::ChangeType type = change.type;
        const bool now = selects(change.scope, change.scope.labels);
        if (type == rest::ChangeType::modified) {
            const bool before = selects(change.scope, change.labels_before);
            if (!now && !before) return;
            if (!before) type = rest::ChangeType::added;
            if (!now) type = rest::ChangeType::deleted;
        } else if (!now) {
            return;
        }
        events.push_back({type, entry.revision, true, entry.text()});
    }

    ChangeLog& log_;
    const rest::Kind kind_;
    const rest::Selection selection_;
    std::uint64_t next_;
    std::uint64_t told_;
    const std::uint64_t incarnation_;
};

void ChangeLog::restart(std::uint64_t revision) {
    const std::lock_guard lock(mutex_);
    first_ += entries_.size();
    entries_.clear();
    bytes_ = 0;
    revision_ = forgotten_ = revision;
    ++incarnation_;
    changed_.notify_all();
}

void ChangeLog::append(std::uint64_t revision, std::vector<Change> changes) {
    const std::lock_guard lock(mutex_);
    revision_ = revision;
    add(std::move(changes), false);
}

void ChangeLog::append_status(std::vector<Change> changes) {
    const std::lock_guard lock(mutex_);
    add(std::move(changes), true);
}

void ChangeLog::add(std::vector<Change> changes, bool status) {
    for (Change& change : changes) {
        bytes_ += change.bytes;
        entries_.push_back(std::make_shared<const Entry>(revision_, status, std::move(change)));
    }
    while (!entries_.empty() && (entries_.size() > bounds_.changes || bytes_ > bounds_.bytes)) {
        bytes_ -= entries_.front()->change.bytes;
        // Who saw all of that revision before it was cut has missed nothing, unless it is a change without one.
        forgotten_ = entries_.front()->revision + (entries_.front()->status ? 1 : 0);
        entries_.pop_front();
        ++first_;
    }
    changed_.notify_all();
}

void ChangeLog::stop() {
    const std::lock_guard lock(mutex_);
    stopped_ = true;
    changed_.notify_all();
}

std::unique_ptr<rest::Watch> ChangeLog::watch(rest::Kind kind, rest::Selection selection, std::uint64_t revision) {
    const std::lock_guard lock(mutex_);
    std::uint64_t next = first_ + entries_.size();
    if (revision == 0) {
        revision = revision_;
    } else if (revision < forgotten_ || revision > revision_) {
        return nullptr;  // a revision to come is one of another store's, as after the restoring of a backup
    } else {
        const auto after = std::partition_point(entries_.begin(), entries_.end(), [&](const EntryPointer& entry) {
            return entry->revision < revision || (entry->revision == revision && !entry->status);
        });
        next = first_ + static_cast<std::uint64_t>(after - entries_.begin());
    }
    return std::make_unique<Reader>(*this, kind, std::move(selection), next, revision);
}

std::uint64_t ChangeLog::revision() const {
    const std::lock_guard lock(mutex_);
    return revision_;
}

}  // namespace guideway::controlplane
