// explain(): what the workers would do with the first packet of a connection, and why, in plain sentences.
//
// The same tables and hashes as the worker's, so the answer is the worker's (a test holds them together). Whether the
// five-tuple is a known connection already is not looked at here: Runtime::explain() asks the workers for that (flow_question.h).
// Thread contract: pure; any control thread, allocates.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "api/contract/explain.h"
#include "dataplane/flow/affinity_table.h"
#include "dataplane/flow/ownership.h"
#include "dataplane/snapshot/forwarding_snapshot.h"
#include "dataplane/worker/plumbing.h"
#include "dataplane/worker/relocations.h"

namespace guideway::worker {

/// What the workers remember of clients; the time is of their clock. Empty: nothing.
struct AffinityMemory {
    std::span<const flow::AffinityTable> tables;
    std::uint32_t now_s = 0;
};

/// What the ports ask of a client's address. Empty: nothing.
struct SourceChecks {
    const snapshot::RoutingSnapshot* routing = nullptr;
    std::span<const WorkerPort> ports;        ///< by index
    std::span<const std::string> port_names;  ///< likewise; empty: the index
};

contract::ExplainAnswer explain(const snapshot::ForwardingSnapshot& state, const flow::Ownership& ownership,
                                const contract::ExplainRequest& request, const Relocations& relocations = {},
                                const AffinityMemory& memory = {}, const SourceChecks& checks = {},
                                bool sides_apart = false);

}  // namespace guideway::worker
