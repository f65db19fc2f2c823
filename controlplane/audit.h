// AuditLog: who changed what, from where, when, and how: one JSON line for each change and each refused one, in a file of its own
// that only grows, is rotated by size, and holds no secrets.
//
//   {"time":"2026-01-02T03:04:05.678Z","caller":"prod-controller","role":"controller","cluster":"prod","peer":"192.0.2.7",
//    "verb":"update","kind":"load-balancer","key":"prod/default/web","revision":812,"result":"ok",
//    "old":{"ports":[...]},"new":{"ports":[...]}}
//
// Terms. old, new: what the two specs disagree on, each as a JSON merge patch (RFC 7396) that leads from the other one to it: a
// member that one of them lacks is null in it, arrays are shown whole. A creation has no old, a deletion no new. Result: "ok", or
// the reason of the refusal ("NoAvailableIPs", "PreconditionFailed", "Unauthorized"...). Lost: a line that could not be written;
// counted, and said in the log.
//
// record() hands the entry to a thread of the log's own, which compares, writes and rotates: a slow or full disk does not hold up
// those who change something. Where the queue is full, record() waits up to AuditOptions::patience and then loses the entry. Whether
// changes go on while lines are lost is the owner's decision: AuditOptions::required, asked by refusal().
//
// Worked example: the disk is full. Entries are lost, lost() grows, one error line says so. required = false: changes go on.
// required = true: refusal() holds a sentence, the manager answers changes with 503 AuditUnavailable. The writer tries again every
// second; with space again, refusal() is empty.
//
// Thread contract: any method from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <variant>

#include "api/rest/caller.h"

namespace guideway::controlplane {

struct AuditOptions {
    std::string file;  ///< made with mode 0600 where it is not there
    std::uint64_t max_bytes = 64ULL << 20;
    unsigned keep = 8;                       ///< earlier files: file.1 (the newest) .. file.<keep>
    bool required = false;                   ///< refusal() speaks while lines are lost; each line is synced to the disk
    std::size_t max_queue = 8192;            ///< entries that wait to be written
    std::chrono::milliseconds patience{50};  ///< of record(), where the queue is full
    /// Refused logins that get a line, in a minute; of further ones only the number is written.
    unsigned login_lines_a_minute = 60;
};

struct AuditEntry {
    std::chrono::system_clock::time_point time = std::chrono::system_clock::now();
    rest::Caller caller;
    std::string verb;  ///< "create", "update", "delete", "rotate", "restore"; of a refused change "PUT", "DELETE", ...
    std::string kind;  ///< of the store's records: "load-balancer", "token", ...; of a refused change "request"
    std::string key;   ///< "default/web"; of a refused change the path it was sent to
    std::uint64_t revision = 0;  ///< of the store, in which it is durable; 0: it is not
    std::string result = "ok";   ///< or the reason of the refusal
    /// Of a refused change: the answer (RFC 9457), whose `reason` becomes the result and whose `detail` is written beside it.
    std::string problem = {};
    /// The specs before and after as JSON, without secrets; none: there was, or is, no object. Members whose name speaks of a
    /// secret are left out nevertheless.
    std::optional<std::string> before;
    std::optional<std::string> after;
};

/// {old, new} as above; both are null where nothing differs.
struct AuditDifference {
    std::string before;  ///< JSON
    std::string after;   ///< JSON
};
AuditDifference audit_difference(const std::optional<std::string>& before, const std::optional<std::string>& after);

class AuditLog {
  public:
    /// The log, or a sentence that says why its file cannot be written.
    static std::variant<std::unique_ptr<AuditLog>, std::string> open(AuditOptions options);
    /// Writes what was recorded.
    ~AuditLog();
    AuditLog(const AuditLog&) = delete;
    AuditLog& operator=(const AuditLog&) = delete;

    void record(AuditEntry entry);
    /// As record(), but never waits, and limited: guesses must neither fill the disk nor push changes out.
    void login_refused(const std::string& peer, std::string_view reason);
    /// Why nothing may be changed now; empty: it may.
    std::string refusal() const;
    /// Opens the file anew (SIGHUP, after an outside rotation). What was recorded before is written to the old one.
    void reopen();
    /// Returns when everything recorded so far is written or lost.
    void flush();
    /// Lines that could not be written, ever.
    std::uint64_t lost() const;
    /// Lines written, ever.
    std::uint64_t written() const;

  private:
    class Writer;
    explicit AuditLog(std::unique_ptr<Writer> writer);
    std::unique_ptr<Writer> writer_;
};

}  // namespace guideway::controlplane
