// Control: answers the requests of the Unix socket (api/contract/messages.h) and keeps the state on disk.
//
// apply: decode, validate, check against this appliance (addresses of ports, limits, SNAT addresses), build, write to disk,
// publish, answer the generation in force. All or nothing: every reason for a refusal is in the answer and nothing has
// changed. A state equal to the one in force is answered at once. An older generation is applied all the same, and logged:
// the control plane's store may have been restored from a backup, and it alone says what is desired.
//
// Order of a change: in force first, then on disk, then answered. A crash in between forwards on the older state after the
// restart and the control plane, which got no answer, sends the newer one again. A disk that refuses is an answer with the
// fault "state_file": the state is in force, but would not survive a restart.
//
// A tap (api/contract/tap.h) is its client's: it ends when that hangs up, which gone() is told.
//
// What applies a state is given from outside, so that all of this is tested without DPDK.
// Thread contract: load() from the main thread before the socket is served, then handle() from one thread (the socket's).
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/messages.h"
#include "dataplane/control/state_file.h"

namespace guideway::control {

/// The dataplane as this module needs it.
struct Engine {
    /// Publishes or explains why not; nothing has changed then.
    std::function<std::vector<contract::Fault>(const contract::ForwardingState&)> apply;
    std::function<contract::Counters()> counters;
    std::function<contract::ExplainAnswer(const contract::ExplainRequest&)> explain;
    std::function<std::vector<contract::PortStatus>()> ports;
    std::function<contract::FlowFileStatus()> flow_file = [] { return contract::FlowFileStatus{}; };
    std::function<std::vector<contract::AddressConflict>()> conflicts = [] {
        return std::vector<contract::AddressConflict>{};
    };
    /// Of packets' way; a client is its connection's number.
    std::function<std::vector<contract::Fault>(const contract::TapRequest&, std::uint64_t client)> begin_tap =
        [](const contract::TapRequest&, std::uint64_t) { return std::vector<contract::Fault>{}; };
    std::function<std::optional<contract::TapAnswer>(std::uint64_t client)> read_tap = [](std::uint64_t) {
        return std::optional<contract::TapAnswer>();
    };
    std::function<void(std::uint64_t client)> end_tap = [](std::uint64_t) {};
};

struct ControlSettings {
    std::string state_file;
    /// The appliance's own, with a name for people: VIPs must not be among them.
    std::vector<std::pair<IpAddress, std::string>> own_addresses;
    std::uint32_t workers = 1;
    std::string idle;
    std::vector<IpAddress> snat_addresses;
    std::string version;
    std::uint64_t started_at_unix_seconds = 0;
};

class Control {
  public:
    Control(ControlSettings settings, Engine engine);

    /// Puts the state from disk in force (I1). A damaged, foreign or refused file is set aside, loudly, and the start is empty.
    void load();
    /// One request line in, one response line out. Never throws. `client`: the connection's number.
    std::string handle(std::string_view line, std::uint64_t client = 0);
    /// The client hung up.
    void gone(std::uint64_t client);
    /// The answer to a request longer than the socket takes.
    static std::string too_long();

    std::uint64_t generation() const { return state_ ? state_->generation : 0; }

  private:
    contract::Response answer(contract::Request&& request, std::uint64_t client);
    contract::Response tap(const contract::Request& request, std::uint64_t client);
    contract::Response apply(contract::ForwardingState&& state);
    std::vector<contract::Fault> put_in_force(const contract::ForwardingState& state);
    std::vector<contract::Fault> collisions(const contract::ForwardingState& state) const;
    contract::Response accepted() const;
    contract::DataplaneStatus status() const;

    ControlSettings settings_;
    Engine engine_;
    StateFile file_;
    std::optional<contract::ForwardingState> state_;  ///< in force; none: nothing yet
    bool on_disk_ = false;                            ///< state_ is what the file holds
    std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
};

}  // namespace guideway::control
