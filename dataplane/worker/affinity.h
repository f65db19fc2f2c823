// The choice for a client of a service with session affinity: the backend it went to last, if that still takes new connections and the
// time-out is not over; else Maglev over the client's address alone, so that two workers who see a client for the first time agree.
//
// Worked example: client 198.51.100.7, service with affinity for 10800 s, backends a, b, c.
//   first connection       nothing remembered: Maglev says b; remembered
//   backend d joins        Maglev would say d now: remembered, b
//   b drains (weight 0)    decided anew: Maglev says c; remembered. b comes back: c
//   nothing for 3 h        over: Maglev says b again
//
// Thread contract: any thread, any time; reads the tables of all workers. Part of the poll path.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>

#include "dataplane/balancing/backend_set.h"
#include "dataplane/balancing/service_table.h"
#include "dataplane/flow/affinity_table.h"
#include "dataplane/flow/hash.h"

namespace guideway::worker {

struct AffinityChoice {
    enum class Why : std::uint8_t {
        nothing,       ///< nothing was remembered
        remembered,    ///< as the time before
        over,          ///< the time-out is over
        backend_gone,  ///< the backend drains, is closed, or is not of the service's set any more
    };
    const balancing::BackendEntry* backend = nullptr;  ///< none takes new connections
    Why why = Why::nothing;
    std::uint32_t age_s = 0;     ///< of what was remembered
    std::uint32_t opened_s = 0;  ///< the time to remember: now, or what a worker whose clock is ahead wrote
};

template <typename Tuple>
flow::AffinityKey affinity_key(const Tuple& client) noexcept {
    return {flow::address_words(client.source), flow::address_words(client.destination), client.destination_port,
            client.protocol};
}

/// As an address of the contract's form.
inline IpAddress address_of(const flow::AddressWords& words, IpFamily family) noexcept {
    IpAddress address;
    address.family = family;
    const auto* bytes = reinterpret_cast<const char*>(words.data());
    const bool v4 = family == IpFamily::ipv4;
    std::memcpy(address.bytes.data(), v4 ? bytes + 12 : bytes, v4 ? 4 : 16);
    return address;
}

/// Null where the backend takes no new connection of this service.
inline const balancing::BackendEntry* usable_backend(const balancing::BackendSet& set,
                                                     const flow::Remembered& line) noexcept {
    const balancing::BackendEntry* backend =
        set.find(address_of(line.backend.address, set.family), line.backend.port_be, line.hint);
    return backend == nullptr || backend->weight == 0 || backend->closed ? nullptr : backend;
}

/// Of a service with affinity. `tables` may be empty: nothing is remembered.
template <typename Tuple>
AffinityChoice choose_by_affinity(std::span<const flow::AffinityTable> tables, const balancing::BackendSet& set,
                                  std::uint32_t timeout_s, const Tuple& client, std::uint32_t now_s) noexcept {
    AffinityChoice choice;
    choice.opened_s = now_s;
    if (!tables.empty()) {
        const flow::AffinityKey key = affinity_key(client);
        const auto line =
            flow::recall(tables, key, tables.front().hash(key),
                         [&](const flow::Remembered& one) noexcept { return usable_backend(set, one) != nullptr; });
        if (line) {
            choice.age_s = flow::age_of(now_s, line->opened_s);
            if (flow::is_later(line->opened_s, now_s)) choice.opened_s = line->opened_s;
            if (flow::is_over(*line, timeout_s, now_s)) {
                choice.why = AffinityChoice::Why::over;
            } else {
                choice.backend = usable_backend(set, *line);
                choice.why =
                    choice.backend == nullptr ? AffinityChoice::Why::backend_gone : AffinityChoice::Why::remembered;
            }
        }
    }
    if (choice.backend == nullptr) choice.backend = set.choose(flow::affinity_hash(client));
    return choice;
}

/// What to write down of it.
inline flow::AffinityBackend affinity_backend(const balancing::BackendEntry& backend) noexcept {
    return {flow::address_words(backend.address), backend.port_be};
}

}  // namespace guideway::worker
