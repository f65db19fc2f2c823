// Explain: "where does this connection go, where would a new one of its five-tuple, and why".
// Asked by an operator over REST, answered by the dataplane from the snapshot in force. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
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

/// A connection in a worker's flow table. Addresses with their ports: "192.0.2.1:80", "[2001:db8::1]:80".
struct FlowView {
    std::uint32_t worker = 0;
    std::string half;   ///< whose packets have the five-tuple: "client" or "backend"
    std::string state;  ///< snake_case name of the dataplane's ConnectionState: "tcp_established"
    std::string client, vip, backend_address, snat;
    std::string service;                   ///< empty: it is there no more
    std::string backend;                   ///< empty: not among the service's any more
    std::uint32_t idle_seconds = 0;        ///< since its last packet, which is stamped every four seconds
    std::uint32_t idle_limit_seconds = 0;  ///< after so many it is forgotten
    std::string to_backend, to_client;     ///< next hops: "port eth1 to 02:00:00:00:00:0b", or why there is none
    friend bool operator==(const FlowView&, const FlowView&) = default;
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
    std::uint32_t worker = 0;           ///< that owns the connection
    std::vector<std::string> steps;     ///< one plain sentence for each decision, in order
    std::optional<FlowView> flow = {};  ///< none: no worker knows such a connection
    friend bool operator==(const ExplainAnswer&, const ExplainAnswer&) = default;
};

}  // namespace guideway::contract
