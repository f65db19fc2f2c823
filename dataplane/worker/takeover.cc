#include "dataplane/worker/takeover.h"

#include <algorithm>
#include <cstring>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/worker/family.h"

namespace guideway::worker {
namespace {

using flow::kBackendHalf;
using flow::kClientHalf;

/// Decides on one worker's entries of one family, and notes down what there is to say.
template <typename Family>
class Judge {
  public:
    using Entry = typename Family::Entry;
    using Tuple = typename Family::Tuple;

    Judge(std::uint32_t worker, const Conditions& conditions, Outcome& outcome)
        : worker_(worker), conditions_(conditions), outcome_(outcome) {}

    /// Of a whole entry: whether it is kept; then it is fit for the state in force.
    bool keep(Entry& entry) {
        const Verdict verdict = judge(entry);
        if (verdict == Verdict::kept) return true;
        ++outcome_[verdict];
        if (verdict == Verdict::snat_gone) note_snat(packet::to_contract(entry.halves[kBackendHalf].destination));
        return false;
    }

    /// Of an entry that lives at this worker from now on.
    void tell_client_side(const Tuple& client) {
        const std::uint64_t selection = flow::selection_hash(client);
        if (conditions_.homes.of_client(client, selection) == worker_) return;
        outcome_.relocations.push_back({selection, worker_});
    }

  private:
    Verdict judge(Entry& entry) {
        const Tuple& client = entry.halves[kClientHalf];
        const Tuple& backend = entry.halves[kBackendHalf];
        const packet::ChecksumDelta delta = packet::delta_between(client, packet::swapped(backend));
        if (delta.addresses != entry.checksum_delta_addresses || delta.all != entry.checksum_delta_all)
            return Verdict::damaged;
        if (!conditions_.state_known) return Verdict::no_state;
        const balancing::ServiceEntry* service = Family::find(conditions_.state.services, client);
        if (service == nullptr) return Verdict::service_gone;
        if (!Family::contains(conditions_.state.snat, backend.destination)) return Verdict::snat_gone;
        // The clocks of two workers, and of two processes, may be a moment apart.
        if (static_cast<std::int32_t>(conditions_.now_s - entry.last_seen) < 0) entry.last_seen = conditions_.now_s;
        if (entry.idle(conditions_.now_s, conditions_.limits, service->idle_timeout_seconds)) return Verdict::idle;

        entry.service_slot = service->slot;
        entry.service_incarnation = service->incarnation;
        if (const balancing::ServiceEntry* found = find_backend(backend, service->backend_port_be)) {
            entry.backend_slot = found->slot;
            entry.backend_incarnation = found->incarnation;
        } else {
            ++outcome_.strays;
            // 255 further users of the slot away from meaning one of them.
            entry.backend_slot = 0;
            entry.backend_incarnation = static_cast<std::uint8_t>(conditions_.state.backend_incarnation[0] - 1);
        }
        entry.next_hop = {Entry::kNoNextHop, Entry::kNoNextHop};
        entry.flags = static_cast<std::uint8_t>(entry.flags & ~flow::flow_flags::kLastHop);
        entry.routing_epoch = 0;
        entry.looked_over = 0;
        return Verdict::kept;
    }

    /// A backend with its own port, or one that takes its services' node ports. Where both are there, the one that the service's
    /// set would name.
    const balancing::ServiceEntry* find_backend(const Tuple& reply, std::uint16_t service_port_be) const {
        const auto with_port = [&](std::uint16_t port_be) {
            Tuple wanted{};
            wanted.destination = reply.source;
            wanted.destination_port = port_be;
            return Family::find(conditions_.backends, wanted);
        };
        const std::uint16_t first = reply.source_port == service_port_be ? 0 : reply.source_port;
        const std::uint16_t second = first == 0 ? reply.source_port : 0;
        const balancing::ServiceEntry* found = with_port(first);
        return found != nullptr ? found : with_port(second);
    }

    void note_snat(const IpAddress& address) {
        for (auto& [known, count] : outcome_.snat_gone) {
            if (known != address) continue;
            ++count;
            return;
        }
        outcome_.snat_gone.emplace_back(address, 1);
    }

    std::uint32_t worker_;
    const Conditions& conditions_;
    Outcome& outcome_;
};

template <typename Family, typename Table>
void adopt_family(std::uint32_t worker, Table& table, const Conditions& conditions, std::vector<std::uint32_t>& away,
                  Outcome& outcome) {
    using Entry = typename Family::Entry;
    Judge<Family> judge(worker, conditions, outcome);
    const Entry* entries = table.entries();
    const flow::RestoreResult result = table.restore([&](Entry& entry) {
        if (!judge.keep(entry)) return false;
        if (conditions.homes.of_reply(entry.halves[kBackendHalf]) == worker) [[likely]] {
            judge.tell_client_side(entry.halves[kClientHalf]);
        } else {
            away.push_back(static_cast<std::uint32_t>(&entry - entries));
        }
        return true;
    });
    outcome[Verdict::kept] += result.kept;
    outcome[Verdict::damaged] += result.damaged;
    outcome[Verdict::doubled] += result.doubled;
    outcome[Verdict::no_room] += result.no_room;
}

/// False where the table keeps another: a newer one with one of its tuples, or none has to give way to it.
template <typename Table, typename Entry>
Verdict put_in(Table& table, const Entry& entry, std::uint64_t client_hash, std::uint64_t backend_hash,
               Outcome& outcome) {
    const std::array<std::uint64_t, 2> hashes{client_hash, backend_hash};
    for (const unsigned half : {kClientHalf, kBackendHalf}) {
        const flow::FlowRef other = table.find(entry.halves[half], hashes[half]);
        if (!other) continue;
        if (static_cast<std::int32_t>(entry.last_seen - table.entry(other.index()).last_seen) <= 0)
            return Verdict::doubled;
        table.erase(other.index());
        ++outcome[Verdict::doubled];
        --outcome[Verdict::kept];
    }
    const std::uint32_t before = table.size();
    if (table.insert(entry, client_hash, backend_hash) == Table::kNoEntry) return Verdict::no_room;
    // Half-open ones may have given way.
    const std::uint32_t gave_way = before + 1 - table.size();
    outcome[Verdict::no_room] += gave_way;
    outcome[Verdict::kept] -= gave_way;
    return Verdict::kept;
}

/// In batches, so that the memory has time to bring what insert() will want.
template <typename Family, typename Table>
void import_region(std::uint32_t worker, Table& table, std::span<const std::byte> bytes, const Conditions& conditions,
                   Outcome& outcome) {
    using Entry = typename Family::Entry;
    Judge<Family> judge(worker, conditions, outcome);
    constexpr std::size_t kBatch = 64;
    struct Waiting {
        Entry entry;
        std::array<std::uint64_t, 2> hash;
    };
    std::vector<Waiting> batch;
    batch.reserve(kBatch);
    const auto put_all = [&] {
        for (const Waiting& one : batch) {
            const Verdict verdict = put_in(table, one.entry, one.hash[kClientHalf], one.hash[kBackendHalf], outcome);
            ++outcome[verdict];
            if (verdict == Verdict::kept) judge.tell_client_side(one.entry.halves[kClientHalf]);
        }
        batch.clear();
    };
    const auto* entries = reinterpret_cast<const Entry*>(bytes.data());
    for (std::size_t i = 0; i < bytes.size() / sizeof(Entry); ++i) {
        const Entry& old = entries[i];
        if (!old.in_use()) continue;
        // Also what is not whole has a port by which one worker of all counts it.
        if (conditions.homes.of_reply(old.halves[kBackendHalf]) != worker) continue;
        if (!old.whole()) {
            ++outcome[Verdict::damaged];
            continue;
        }
        Waiting one{old, {}};
        if (!judge.keep(one.entry)) continue;
        for (const unsigned half : {kClientHalf, kBackendHalf}) {
            one.hash[half] = table.hash(one.entry.halves[half]);
            table.prefetch_bucket(one.hash[half]);
        }
        batch.push_back(one);
        if (batch.size() == kBatch) put_all();
    }
    put_all();
}

template <typename Family, typename TableOf>
void move_home_family(std::size_t from, const std::vector<std::uint32_t>& away, TableOf&& table_of,
                      const Conditions& conditions, std::span<Outcome> outcomes) {
    auto& table = table_of(from);
    for (const std::uint32_t index : away) {
        const typename Family::Entry entry = table.entry(index);
        const auto& reply = entry.halves[kBackendHalf];
        if (!entry.in_use()) continue;  // its double was newer
        const std::uint32_t home = conditions.homes.of_reply(reply);
        if (home == from) continue;
        auto& there = table_of(home);
        // There first: a process killed in between leaves it twice, not never.
        const Verdict verdict =
            put_in(there, entry, there.hash(entry.halves[kClientHalf]), there.hash(reply), outcomes[home]);
        table.erase(index);
        --outcomes[from][Verdict::kept];
        ++outcomes[home][verdict];
        if (verdict == Verdict::kept)
            Judge<Family>(home, conditions, outcomes[home]).tell_client_side(entry.halves[kClientHalf]);
    }
}

balancing::ServiceTable backends_of(const snapshot::ForwardingSnapshot& state) {
    std::vector<bool> seen(state.backend_incarnation.size());
    std::vector<balancing::ServiceEntry> list;
    for (const balancing::BackendSet& set : state.sets) {
        for (const balancing::BackendEntry& backend : set.backends) {
            if (seen[backend.slot]) continue;
            seen[backend.slot] = true;
            balancing::ServiceEntry entry;
            entry.vip = backend.address;
            entry.port_be = backend.port_be;
            entry.slot = backend.slot;
            entry.incarnation = backend.incarnation;
            list.push_back(entry);
        }
    }
    return balancing::ServiceTable(list);
}

std::string reason_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::no_state:
            return "no state was found on disk that says what their services are";
        case Verdict::service_gone:
            return "their service is no longer in the state";
        case Verdict::idle:
            return "they were idle for longer than their time-out";
        case Verdict::damaged:
            return "their entry is damaged";
        case Verdict::doubled:
            return "a newer connection has the same addresses and ports";
        default:
            return "the table is full";
    }
}

}  // namespace

const char* name_of(Verdict verdict) {
    static constexpr std::array<const char*, kVerdictCount> kNames{"kept", "no_state", "service_gone", "snat_gone",
                                                                   "idle", "damaged",  "doubled",      "no_room"};
    return kNames[static_cast<std::size_t>(verdict)];
}

Conditions::Conditions(const snapshot::ForwardingSnapshot& state_in_force, bool is_known,
                       const flow::IdleLimits& idle_limits, std::uint32_t now, const flow::Ownership& owners)
    : state(state_in_force),
      state_known(is_known),
      limits(idle_limits),
      now_s(now),
      homes(owners),
      backends(backends_of(state_in_force)) {}

Outcome adopt(std::uint32_t worker, Tables tables, const Conditions& conditions) {
    Outcome outcome;
    adopt_family<V4>(worker, *tables.v4, conditions, outcome.away_v4, outcome);
    adopt_family<V6>(worker, *tables.v6, conditions, outcome.away_v6, outcome);
    return outcome;
}

Outcome import(std::uint32_t worker, Tables tables, std::span<const OldEntries> old, const Conditions& conditions) {
    Outcome outcome;
    for (const OldEntries& one : old) {
        import_region<V4>(worker, *tables.v4, one.v4, conditions, outcome);
        import_region<V6>(worker, *tables.v6, one.v6, conditions, outcome);
    }
    return outcome;
}

void move_home(std::span<const Tables> tables, const Conditions& conditions, std::span<Outcome> outcomes) {
    for (std::size_t from = 0; from < tables.size(); ++from) {
        move_home_family<V4>(
            from, outcomes[from].away_v4, [&](std::size_t w) -> auto& { return *tables[w].v4; }, conditions, outcomes);
        move_home_family<V6>(
            from, outcomes[from].away_v6, [&](std::size_t w) -> auto& { return *tables[w].v6; }, conditions, outcomes);
    }
}

persist::KeptReport report_of(std::span<const Outcome> outcomes) {
    persist::KeptReport report;
    for (const Outcome& outcome : outcomes) {
        report.kept(outcome[Verdict::kept]);
        for (std::size_t i = 1; i < kVerdictCount; ++i) {
            const auto verdict = static_cast<Verdict>(i);
            if (verdict != Verdict::snat_gone) report.lost(reason_of(verdict), outcome[verdict]);
        }
        for (const auto& [address, count] : outcome.snat_gone)
            report.lost("their SNAT address " + address.to_string() + " is no longer configured", count);
    }
    return report;
}

}  // namespace guideway::worker
