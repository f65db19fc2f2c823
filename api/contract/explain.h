// Explain: "where would a new connection of this five-tuple go, and why".
// Asked by an operator over REST, answered by the dataplane from the snapshot in force. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"

namespace guideway::contract {

struct ExplainRequest {
    Protocol protocol = Protocol::tcp;
    IpAddress source;
    std::uint16_t source_port = 0;
    IpAddress destination;
    std::uint16_t destination_port = 0;
};

struct ExplainAnswer {
    std::uint64_t generation = 0;
    std::string
        verdict;  ///< "forward", "refuse" (RST / port unreachable), "kernel" (not ours), "reply" (a SNAT address)
    std::string service;  ///< empty where there is none
    std::string backend_set;
    std::string backend;
    std::string backend_address;
    std::uint16_t backend_port = 0;
    std::uint32_t maglev_slot = 0;
    std::uint32_t maglev_size = 0;
    std::uint32_t worker = 0;        ///< that owns the connection
    std::vector<std::string> steps;  ///< one plain sentence for each decision, in order
    friend bool operator==(const ExplainAnswer&, const ExplainAnswer&) = default;
};

}  // namespace guideway::contract
