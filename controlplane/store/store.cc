#include "controlplane/store/store.h"

#include <algorithm>
#include <utility>

namespace guideway::store {
namespace {

std::string named(const std::string& kind, const std::string& key) { return kind + " " + key.substr(0, 200); }

std::optional<Error> check_text(const std::string& what, std::size_t length, std::size_t min, std::size_t max) {
    if (length >= min && length <= max) return std::nullopt;
    return Error{ErrorKind::invalid, what + " has " + std::to_string(length) + " bytes, allowed " +
                                         std::to_string(min) + ".." + std::to_string(max) + "; nothing was written"};
}

std::optional<Error> check_names(const std::string& kind, const std::string& key, const std::string& document) {
    if (auto error = check_text("a record's kind", kind.size(), 1, kLongestKind)) return error;
    if (auto error = check_text("the key of a " + kind, key.size(), 1, kLongestKey)) return error;
    return check_text("the document of " + named(kind, key), document.size(), 0, kLongestDocument);
}

std::optional<Error> check_counters(std::uint64_t after, std::uint64_t revision, std::uint64_t generation) {
    if (revision <= after) {
        return Error{ErrorKind::invalid, "the revision " + std::to_string(revision) +
                                             " of a batch must be greater than the one it follows, " +
                                             std::to_string(after) + "; nothing was written"};
    }
    if (revision > kLargestRevision || generation > kLargestRevision) {
        return Error{ErrorKind::invalid, "a revision or generation is greater than 2^63 - 1; nothing was written"};
    }
    return std::nullopt;
}

template <class Items>
std::optional<Error> check_once(const Items& items) {
    std::vector<std::pair<std::string_view, std::string_view>> names;
    names.reserve(items.size());
    for (const auto& item : items) names.emplace_back(item.kind, item.key);
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice == names.end()) return std::nullopt;
    return Error{ErrorKind::invalid, named(std::string(twice->first), std::string(twice->second)) +
                                         " stands twice in one batch; nothing was written"};
}

}  // namespace

std::string_view to_string(ErrorKind kind) {
    switch (kind) {
        case ErrorKind::unavailable:
            return "unavailable";
        case ErrorKind::full:
            return "full";
        case ErrorKind::read_only:
            return "read_only";
        case ErrorKind::busy:
            return "busy";
        case ErrorKind::in_use:
            return "in_use";
        case ErrorKind::conflict:
            return "conflict";
        case ErrorKind::compacted:
            return "compacted";
        case ErrorKind::unknown:
            return "unknown";
        case ErrorKind::no_lease:
            return "no_lease";
        case ErrorKind::invalid:
            return "invalid";
        case ErrorKind::corrupt:
            return "corrupt";
        case ErrorKind::newer:
            return "newer";
    }
    return "unavailable";
}

std::optional<Error> check(const Batch& batch) {
    if (auto error = check_counters(batch.after_revision, batch.revision, batch.generation)) return error;
    static const std::string kNone;
    for (const Change& change : batch.changes) {
        if (auto error = check_names(change.kind, change.key, change.document ? *change.document : kNone)) return error;
    }
    return check_once(batch.changes);
}

std::optional<Error> check(const Contents& contents, std::uint64_t after_revision) {
    if (auto error = check_counters(after_revision, contents.revision, contents.generation)) return error;
    for (const Record& record : contents.records) {
        if (auto error = check_names(record.kind, record.key, record.document)) return error;
        if (record.revision > contents.revision) {
            return Error{ErrorKind::invalid, named(record.kind, record.key) + " carries revision " +
                                                 std::to_string(record.revision) + ", beyond that of the whole, " +
                                                 std::to_string(contents.revision) + "; nothing was written"};
        }
        if (record.lease != kNoLease) {
            return Error{ErrorKind::invalid,
                         named(record.kind, record.key) + " is bound to a lease, which ends here; nothing was written"};
        }
    }
    return check_once(contents.records);
}

std::optional<Error> check_lease_time(std::chrono::milliseconds ttl) {
    if (ttl >= kShortestLease && ttl <= kLongestLease) return std::nullopt;
    return Error{ErrorKind::invalid, "found a lease of " + std::to_string(ttl.count()) + " ms, allowed " +
                                         std::to_string(kShortestLease.count()) + ".." +
                                         std::to_string(kLongestLease.count())};
}

}  // namespace guideway::store
