// Takeover: connections of an earlier process, made fit for this one or refused by name, before packets flow.
//
// Terms:
//   adopt    the entries lie where this worker's table wants them: the table's index is made over them (FlowTable::restore).
//   import   there were other workers, capacities or SNAT addresses: each new worker goes through all old entries and copies
//            those whose home it is.
//   home     the worker that an entry's replies arrive at (Ownership::of_reply). What an adopted table holds that belongs to
//            another worker is moved there (move_home): when the NIC shares packets out differently than before.
//   stray    an entry whose backend left the state: kept, as if the backend had gone while the dataplane ran.
//
// What an entry says of slots, incarnations, next hops and snapshots is of the old process. It is found anew from the tuples:
// the service by (VIP, protocol, port), the backend by (address, port).
//
// Worked example, two workers that adopt:
//   const Conditions conditions(*publisher.current_forwarding(), true, limits, now_s, flow::Ownership(2));
//   on each worker's core:  outcomes[w] = adopt(w, tables[w], conditions);
//   then, on one:           move_home(tables, conditions, outcomes);
//   Relocations relocations(...outcomes' relocations);   KeptReport report = report_of(outcomes);
//
// Thread contract: adopt() and import() from one thread a worker, at once; the rest when they are done. Not for the poll path.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/balancing/service_table.h"
#include "dataplane/flow/flow_table.h"
#include "dataplane/flow/ownership.h"
#include "dataplane/persist/kept_report.h"
#include "dataplane/snapshot/forwarding_snapshot.h"
#include "dataplane/worker/relocations.h"

namespace guideway::worker {

/// What becomes of an entry.
enum class Verdict : std::uint8_t {
    kept,
    no_state,      ///< nothing says which services there are
    service_gone,  ///< no service has its VIP, protocol and port
    snat_gone,     ///< its replies come to an address that is not ours any longer
    idle,          ///< its time-out ended while nobody was there
    damaged,       ///< it contradicts itself
    doubled,       ///< another entry has one of its tuples and is newer
    no_room,
};
inline constexpr std::size_t kVerdictCount = 8;
/// For metrics: "service_gone", ...
const char* name_of(Verdict verdict);

/// What entries are judged by; the same for all workers.
class Conditions {
  public:
    /// `state` must outlive this. `state_known`: it was put in force, not merely assumed to be empty.
    Conditions(const snapshot::ForwardingSnapshot& state, bool state_known, const flow::IdleLimits& limits,
               std::uint32_t now_s, const flow::Ownership& homes);

    const snapshot::ForwardingSnapshot& state;
    bool state_known;
    flow::IdleLimits limits;
    std::uint32_t now_s;
    flow::Ownership homes;
    /// The state's backends, each once, as if they were services of protocol 0: the same kind of question.
    balancing::ServiceTable backends;
};

struct Tables {
    flow::FlowTableV4* v4;
    flow::FlowTableV6* v6;
};

/// Entries of one worker of the earlier process.
struct OldEntries {
    std::span<const std::byte> v4;
    std::span<const std::byte> v6;
};

/// What one worker did.
struct Outcome {
    std::array<std::uint64_t, kVerdictCount> count{};
    std::uint64_t strays = 0;                                    ///< among those kept
    std::vector<std::pair<IpAddress, std::uint64_t>> snat_gone;  ///< by address
    std::vector<Relocation> relocations;
    std::vector<std::uint32_t> away_v4, away_v6;  ///< entries whose home is another worker

    std::uint64_t& operator[](Verdict verdict) { return count[static_cast<std::size_t>(verdict)]; }
    std::uint64_t operator[](Verdict verdict) const { return count[static_cast<std::size_t>(verdict)]; }
};

/// The tables were just made over the entries found.
Outcome adopt(std::uint32_t worker, Tables tables, const Conditions& conditions);
/// The tables are empty.
Outcome import(std::uint32_t worker, Tables tables, std::span<const OldEntries> old, const Conditions& conditions);
/// By worker both; when all are done.
void move_home(std::span<const Tables> tables, const Conditions& conditions, std::span<Outcome> outcomes);

/// The whole, for the log.
persist::KeptReport report_of(std::span<const Outcome> outcomes);

}  // namespace guideway::worker
