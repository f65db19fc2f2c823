// Builder: makes a ForwardingSnapshot of a ForwardingState, so that what did not change keeps its identity.
//
// Terms:
//   slot         a small number a service or backend keeps as long as it exists, over any number of states.
//   Counters and
//                flow entries refer to it.
//   incarnation  counts the users of a slot, so that an entry of the previous user is noticed (8 bits: a slot
//   is reused
//                last, so 256 reuses while one old connection lives are out of reach).
//   identity     of a service: (VIP, protocol, port). Of a backend: (set's family, address, port), see
//   maglev.h; the same
//                backend in several sets has one slot, hence one line of counters.
//
// Worked example: state 1 has services A and B (slots 0 and 1), state 2 has B and C, state 3 has B, C and A:
//   state 2: B keeps 1, C gets 2; slot 0 is free, its incarnation moved on: A's connections end.
//   state 3: A gets 3, not 0: free slots are used in the order they became free, and only after the untouched
//   ones.
// The names of states, sets and backends are for people and change no identity.
//
// Thread contract: one control thread. Snapshots are immutable and outlive the builder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "dataplane/snapshot/forwarding_snapshot.h"

namespace guideway::snapshot {

struct BuilderLimits {
    std::uint32_t services =
        4096;  ///< slots, at most 65535; a slot freed by a state can be used from the next state on
    std::uint32_t backends = 4096;  ///< slots, at most 65535
};

struct BuildResult {
    std::shared_ptr<const ForwardingSnapshot> snapshot;  ///< null exactly where `faults` is not empty
    std::vector<contract::Fault> faults;                 ///< field is a JSON pointer into the state
    explicit operator bool() const { return snapshot != nullptr; }
};

class Builder {
  public:
    /// SNAT addresses come from the configuration, in their order there; a family without one refuses its
    /// connections. So do the ports' names, by index.
    Builder(BuilderLimits limits, std::vector<IpAddress> snat_addresses, std::vector<std::string> port_names = {});
    ~Builder();
    Builder(const Builder&) = delete;
    Builder& operator=(const Builder&) = delete;

    /// `state` must have passed the contract's own validation. What is checked here is what only the
    /// dataplane knows: slots available, VIPs that are SNAT addresses, unknown set names. A refused state
    /// leaves no trace: the next build() starts from the last good one.
    BuildResult build(const contract::ForwardingState& state);

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace guideway::snapshot
