// The layout of flow entries as this build has it, for the header of a flow file.
//
// The compiler sees sizes and offsets; what it cannot see is a change of meaning (a state's number, a unit). For such a change
// bump kFlowLayoutVersion by hand: then a file of the older build is refused by name instead of being misread.
//
// Thread contract: constants.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "dataplane/flow/affinity_table.h"
#include "dataplane/flow/flow_entry.h"
#include "dataplane/persist/file_header.h"

namespace guideway::persist {

/// Bump for every change of what the bytes of an entry MEAN while they stay where they are.
inline constexpr std::uint32_t kFlowLayoutVersion = 2;

/// FNV-1a (64 bits) over the numbers; stable over builds and compilers.
constexpr std::uint64_t digest_of(std::initializer_list<std::uint64_t> numbers) {
    std::uint64_t hash = 0xcbf29ce484222325U;
    for (std::uint64_t number : numbers) {
        for (int byte = 0; byte < 8; ++byte, number >>= 8) hash = (hash ^ (number & 0xff)) * 0x100000001b3U;
    }
    return hash;
}

template <typename Entry>
constexpr std::uint64_t entry_digest() {
    using Tuple = typename Entry::Tuple;
    return digest_of({sizeof(Entry),
                      offsetof(Entry, halves),
                      offsetof(Entry, last_seen),
                      offsetof(Entry, sequence),
                      offsetof(Entry, looked_over),
                      offsetof(Entry, next_hop),
                      offsetof(Entry, routing_epoch),
                      offsetof(Entry, checksum_delta_addresses),
                      offsetof(Entry, checksum_delta_all),
                      offsetof(Entry, service_slot),
                      offsetof(Entry, backend_slot),
                      offsetof(Entry, service_incarnation),
                      offsetof(Entry, backend_incarnation),
                      offsetof(Entry, state),
                      offsetof(Entry, flags),
                      sizeof(Tuple),
                      offsetof(Tuple, source),
                      offsetof(Tuple, destination),
                      offsetof(Tuple, source_port),
                      offsetof(Tuple, destination_port),
                      offsetof(Tuple, protocol),
                      flow::kConnectionStateCount});
}

constexpr std::uint64_t line_digest() {
    using Rest = flow::detail::AffinityRest;
    return digest_of({sizeof(flow::AffinityLine), offsetof(flow::AffinityLine, version),
                      offsetof(flow::AffinityLine, opened_s), offsetof(flow::AffinityLine, word),
                      flow::AffinityTable::kBucketLines, Rest::pack({{}, {}, 1, 6}, 2, 3, 4)});
}

constexpr Layout flow_layout() {
    return {kFlowLayoutVersion,
            digest_of({entry_digest<flow::FlowEntryV4>(), entry_digest<flow::FlowEntryV6>(), line_digest()}),
            {sizeof(flow::FlowEntryV4), sizeof(flow::FlowEntryV6), sizeof(flow::AffinityLine)}};
}

}  // namespace guideway::persist
