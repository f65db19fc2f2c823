// Messages: what goes over the dataplane's Unix socket. One JSON document a line, a response for each request, in order.
//
// Request:  {"type": "apply", "state": {...}} | {"type": "state"} | {"type": "counters"} | {"type": "status"}
//           | {"type": "explain", "explain": {"protocol": "TCP", "source": "192.0.2.1", "source_port": 40000, ...}}
//           | {"type": "tap", "tap": {"filter": {...}, "count": 100, ...}} | {"type": "tap_read"}
// Response: {"ok": true, "generation": 7} and, as asked for, "state", "counters", "answer", "status" or "tap";
//           {"ok": false, "generation": 6, "faults": [{"field": "/services/3/port", "message": "..."}]}
// `generation` is always that of the state in force after the request.
//
// Worked example: apply of generation 7 with a fault -> ok false, generation 6, every fault; nothing has changed.
// Thread contract: plain values, pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/contract/counters.h"
#include "api/contract/decoded.h"
#include "api/contract/explain.h"
#include "api/contract/forwarding_state.h"
#include "api/contract/tap.h"

namespace guideway::contract {

struct ApplyRequest {
    ForwardingState state;
};
struct StateRequest {};
struct CountersRequest {};
struct StatusRequest {};

/// An ExplainRequest stands for itself, so does a TapRequest.
using Request = std::variant<ApplyRequest, StateRequest, CountersRequest, ExplainRequest, StatusRequest, TapRequest,
                             TapReadRequest>;

struct PortStatus {
    std::string name;
    std::string driver;
    bool link_up = false;
    friend bool operator==(const PortStatus&, const PortStatus&) = default;
};

struct DataplaneStatus {
    std::string version;
    std::uint64_t uptime_seconds = 0;
    std::uint32_t workers = 0;
    std::string idle;  ///< "busy" or "adaptive"
    std::vector<PortStatus> ports;
    FlowFileStatus flow_file;
    std::vector<IpAddress> snat_addresses;                ///< from which connections to the backends are opened
    std::vector<AddressConflict> address_conflicts = {};  ///< as in AnnouncementStatus
    friend bool operator==(const DataplaneStatus&, const DataplaneStatus&) = default;
};

struct Response {
    bool ok = false;
    std::uint64_t generation = 0;  ///< of the state in force; 0: none yet
    std::vector<Fault> faults;     ///< why not ok
    std::optional<ForwardingState> state;
    std::optional<Counters> counters;
    std::optional<ExplainAnswer> answer;
    std::optional<DataplaneStatus> status;
    std::optional<TapAnswer> tap;
    friend bool operator==(const Response&, const Response&) = default;
};

/// One line, without the newline.
std::string encode(const Request& request);
std::string encode(const Response& response);
/// An apply's state comes out valid (forwarding_state_codec.h); its faults point into the line: "/state/services/3/port".
Decoded<Request> decode_request(std::string_view line);
Decoded<Response> decode_response(std::string_view line);

}  // namespace guideway::contract
