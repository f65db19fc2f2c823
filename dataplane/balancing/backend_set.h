// BackendSet: backends of one family with the table that chooses among them, as the workers read it.
//
// Terms: slot and incarnation as in snapshot/builder.h: the slot names the backend's counters and stands in flow
// entries, the incarnation tells a slot's users apart.
//
// Worked example: a new connection with selection hash h to a service of this set:
//   const BackendEntry* backend = set.choose(flow::maglev_hash(h));    null: refuse the client
//   port = backend->port_be != 0 ? backend->port_be : service.backend_port_be
//
// Thread contract: built by the control thread, const afterwards, read by all workers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "api/contract/ip_address.h"
#include "dataplane/balancing/maglev.h"

namespace guideway::balancing {

struct BackendEntry {
    IpAddress address;          ///< bytes in network order, as the packet wants them
    std::uint16_t port_be = 0;  ///< network order; 0: the service's backend port
    std::uint16_t slot = 0;
    std::uint8_t incarnation = 0;
    std::uint32_t weight = 1;  ///< 0: draining
    bool closed = false;       ///< draining is over: what it still has of connections ends

    /// Network order, for FiveTupleV4; only for IPv4.
    std::uint32_t address_v4_be() const {
        std::uint32_t value;
        std::memcpy(&value, address.bytes.data(), sizeof value);
        return value;
    }
};

/// A backend of a set, found by its slot: what known connections ask.
struct Member {
    std::uint16_t slot = 0;
    std::uint8_t incarnation = 0;
    bool draining = false;  ///< weight 0
    bool closed = false;
};

struct BackendSet {
    IpFamily family = IpFamily::ipv4;
    std::vector<BackendEntry> backends;        ///< the table's indices are positions here
    std::vector<Member> members;               ///< the same by slot, ascending: members_of(backends)
    bool some_closed = false;                  ///< of `backends`
    std::vector<std::uint16_t> by_identity;    ///< positions by address and own port: see index_identities()
    std::shared_ptr<const MaglevTable> table;  ///< shared with the previous snapshot where nothing changed; never null

    /// Null where no backend takes new connections.
    const BackendEntry* choose(std::uint32_t maglev_hash) const noexcept {
        const std::uint16_t index = table->lookup(maglev_hash);
        return index == MaglevTable::kNoBackend ? nullptr : &backends[index];
    }
    /// For find(): sets of services with session affinity have it.
    void index_identities();
    /// The backend of that address and own port (network order; 0: the service's). `hint`: its position, if nothing has changed.
    /// Null: not of this set.
    const BackendEntry* find(const IpAddress& address, std::uint16_t port_be, std::size_t hint) const noexcept;
    /// Null where the slot's user of that incarnation is not of this set.
    const Member* member(std::uint16_t slot, std::uint8_t incarnation) const noexcept {
        const Member* at = members.data();
        std::size_t length = members.size();
        if (length == 0) return nullptr;
        while (length > 1) {  // the last one of this slot or a lower one
            const std::size_t half = length / 2;
            at += at[half].slot <= slot ? half : 0;
            length -= half;
        }
        return at->slot == slot && at->incarnation == incarnation ? at : nullptr;
    }
};

/// What BackendSet::members holds.
std::vector<Member> members_of(const std::vector<BackendEntry>& backends);

/// What MaglevTable::build takes, in the order of `backends`.
std::vector<MaglevBackend> maglev_backends(const std::vector<BackendEntry>& backends);

}  // namespace guideway::balancing
