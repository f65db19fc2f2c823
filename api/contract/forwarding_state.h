// ForwardingState: everything the control plane wants the dataplane to do, whole, with a generation number (invariant I2).
//
// The control plane sends it over the dataplane's Unix socket as JSON; the dataplane validates all of it, applies all of it
// or none, and keeps the last good one on disk (I1). The types here are the truth for both sides; forwarding_state_codec.h
// has the strict JSON form and the validation.
//
// Worked example: one Service with VIP 203.0.113.10, TCP 80, node port 30080, on two nodes:
//   backend_sets: [{name: "nodes-ipv4", backends: [{name: "node-1", address: 10.0.2.11}, {name: "node-2", ...}]}]
//   services:     [{name: "default/web", vip: 203.0.113.10, protocol: tcp, port: 80,
//                   backend_set: "nodes-ipv4", backend_port: 30080}]
// A second Service on the same nodes names the same set, so both share one Maglev table.
//
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::contract {

/// IANA protocol numbers, so that the dataplane compares them with the packet's byte.
enum class Protocol : std::uint8_t { tcp = 6, udp = 17, sctp = 132 };

/// "TCP", "UDP", "SCTP", as Kubernetes spells them.
std::string_view to_string(Protocol protocol);
std::optional<Protocol> parse_protocol(std::string_view text);

struct Backend {
    std::string name;          ///< the node's (or pod's) name; for people and metrics
    IpAddress address;         ///< of the set's family
    std::uint16_t port = 0;    ///< 0: the service's backend_port (NodePort); else this port (pod mode)
    std::uint32_t weight = 1;  ///< 0..1000; 0 = draining: no new connections, old ones go on
    /// Its time to drain is over: connections it still has are ended (the client's next packet is answered as by a closed port).
    /// Only with weight 0.
    bool closed = false;

    friend bool operator==(const Backend&, const Backend&) = default;
};

/// Backends of one family that share one Maglev table. Identity of a backend is (address, port), see maglev.h.
struct BackendSet {
    std::string name;
    IpFamily family = IpFamily::ipv4;
    std::vector<Backend> backends;  ///< may be empty: clients are refused, not left hanging

    friend bool operator==(const BackendSet&, const BackendSet&) = default;
};

/// Who may open connections. Services that name the same set share one table of it.
struct SourceRangeSet {
    std::string name;
    std::vector<IpPrefix> prefixes;  ///< of either family; a family of which there is none is closed

    friend bool operator==(const SourceRangeSet&, const SourceRangeSet&) = default;
};

/// A way to backends that are not next door: `destination` (pods of a node) by `via` (that node). The dataplane keeps such routes
/// in its kernel, marked as its own, and removes those that are no longer wanted.
struct Route {
    IpPrefix destination;
    IpAddress via;  ///< of the destination's family

    friend bool operator==(const Route&, const Route&) = default;
};

/// One (VIP, protocol, port) and where its new connections go.
struct Service {
    std::string name;  ///< the load balancer's "namespace/name"; several entries (ports, families) may share it
    IpAddress vip;
    Protocol protocol = Protocol::tcp;
    std::uint16_t port = 0;                  ///< 1..65535
    std::string backend_set;                 ///< name of a set of the VIP's family
    std::uint16_t backend_port = 0;          ///< NodePort; 0 only where every backend has a port of its own
    std::uint32_t idle_timeout_seconds = 0;  ///< of established connections; 0 = the dataplane's default
    /// Kubernetes' sessionAffinity: ClientIP, in seconds, 1..86400, 0 = none. With any other number a client's new connections go to
    /// the backend of its last one, while that takes new connections and until so long after the last one was opened.
    std::uint32_t affinity_seconds = 0;
    std::string source_ranges = {};       ///< name of a SourceRangeSet; empty: open to all
    bool ranges_end_established = false;  ///< ranges are asked of connections there are, too, when they change
    /// Its VIP refuses without a word: no RST, no port unreachable, whoever else has ports of it.
    bool silent = false;
    /// Limits, 0 = none: packets of clients beyond them are dropped. All workers together, each has its equal part.
    std::uint32_t new_connections_per_second = 0;
    std::uint32_t packets_per_second = 0;
    std::uint32_t new_connections_per_second_per_source = 0;  ///< of each source prefix (the dataplane's configuration)

    friend bool operator==(const Service&, const Service&) = default;
};

/// A VIP that is served on some of the dataplane's ports alone: there it is answered for and announced, and takes new connections.
struct VipPorts {
    IpAddress vip;
    std::vector<std::string>
        ports;  ///< names in the dataplane's configuration, VLANs' too; one that it has not serves nobody

    friend bool operator==(const VipPorts&, const VipPorts&) = default;
};

struct ForwardingState {
    static constexpr std::uint32_t kFormat = 1;

    std::uint64_t generation = 0;  ///< grows with each change; the dataplane answers with the one in force
    std::vector<BackendSet> backend_sets;
    std::vector<SourceRangeSet> source_range_sets = {};
    std::vector<Route> routes = {};
    std::vector<Service> services;
    std::vector<VipPorts> vip_ports = {};  ///< VIPs that are not here are served on every port

    friend bool operator==(const ForwardingState&, const ForwardingState&) = default;
};

/// Why a state (or any other document) was refused: one per fault.
struct Fault {
    std::string field;    ///< JSON pointer, "/services/3/port"
    std::string message;  ///< what was found and what is allowed

    friend bool operator==(const Fault&, const Fault&) = default;
};

}  // namespace guideway::contract
