// ChangeLog: the latest changes of the objects, in order, for those who watch them.
//
// Terms. A change carries the revision in which it happened; several may share one. Readers keep a position, nothing else: what
// one has not read yet is the log's business, not a buffer of its own, so that a slow reader costs nothing. The log is bounded;
// a reader that falls behind its beginning is told so (too old) and has to list again.
//
// Worked example: revisions 5 {web added}, 6 {web modified, api added}. A watch from 5 gets the two of 6, the second of them
// marked as the last of its revision. Were the log cut up to 6, a watch from 5 would be too old.
//
// Thread contract: append() by one thread at a time; watch(), stop() and the watches from any, each watch by one at a time.
// The log must outlive its watches.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/rest/appliance.h"

namespace guideway::controlplane {

/// What a watcher may filter by.
struct Scope {
    std::string cluster;
    std::string namespace_;
    std::map<std::string, std::string> labels;
    std::string regarding_kind{}, regarding_name{};  ///< of an event
};

struct Change {
    rest::Kind kind = rest::Kind::load_balancer;
    rest::ChangeType type = rest::ChangeType::added;
    Scope scope;
    /// Of a modified object: its labels before, so that entering and leaving a selection are told as added and deleted.
    std::map<std::string, std::string> labels_before;
    std::function<std::string()> encode;  ///< the object as JSON; called once, by whoever reads it first
    std::size_t bytes = 1024;             ///< about what it holds
};

class ChangeLog {
  public:
    struct Bounds {
        std::size_t changes = 20'000;
        std::size_t bytes = std::size_t{64} << 20;
        std::size_t changes_read_at_once = 500;  ///< a revision is not cut, so it may become more
    };

    explicit ChangeLog(Bounds bounds) : bounds_(bounds) {}
    ChangeLog() : ChangeLog(Bounds{}) {}

    /// Nothing before this revision is known: at the start, and where everything was replaced.
    void restart(std::uint64_t revision);
    /// What a commit changed; `revision` is greater than any before.
    void append(std::uint64_t revision, std::vector<Change> changes);
    /// What changed without a commit, as the dataplane's condition: it has the newest revision. Who resumes from that revision
    /// is told of it (perhaps again), so nobody misses it.
    void append_status(std::vector<Change> changes);
    /// Ends all watches.
    void stop();

    /// Changes after `revision`; 0: from now on. None: too old, or not of this log.
    std::unique_ptr<rest::Watch> watch(rest::Kind kind, rest::Selection selection, std::uint64_t revision);
    std::uint64_t revision() const;

  private:
    class Reader;
    /// One change; its JSON is made when somebody wants it.
    class Entry {
      public:
        Entry(std::uint64_t at, bool without_commit, Change what)
            : revision(at), status(without_commit), change(std::move(what)) {}
        const std::string& text() const;
        const std::uint64_t revision;
        const bool status;  ///< without a commit
        const Change change;

      private:
        mutable std::once_flag made_;
        mutable std::string text_;
    };
    using EntryPointer = std::shared_ptr<const Entry>;

    void add(std::vector<Change> changes, bool status);

    const Bounds bounds_;
    mutable std::mutex mutex_;
    std::condition_variable changed_;
    std::deque<EntryPointer> entries_;
    std::uint64_t first_ = 0;        // number of entries_.front(); numbers only grow
    std::uint64_t revision_ = 0;     // newest
    std::uint64_t forgotten_ = 0;    // changes up to this revision may be missing
    std::uint64_t incarnation_ = 0;  // grows with restart()
    std::size_t bytes_ = 0;
    bool stopped_ = false;
};

}  // namespace guideway::controlplane
