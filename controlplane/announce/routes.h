// Routes: which addresses the network shall be told of, and as which routes. Pure: no clock, socket or thread.
//
// Terms
//   serves       an address serves while some service of it has a backend that takes new connections (by option: has a service at all).
//                A service of policy Local has the nodes with endpoints as backends, so it serves only where it can be served.
//   confirmed    what the dataplane says it forwards. wanted: the newest state made for it. Told is what serves in both: so an address is
//                told after the dataplane forwards for it; and it is withdrawn, in the kernel's table, before the dataplane is given the state without
//                it (manager.cc waits 50 ms for that at most).
//   advertisement  a rule of the operator's: addresses of these pools become routes of this length with these attributes. Of several
//                that make the same route the first one counts.
//
// Worked example: advertisements "hosts" (pool office, /32) and "edge" (pool office, /24), served 203.0.113.10 and .11, of pool office:
//   203.0.113.10/32 (hosts), 203.0.113.11/32 (hosts), 203.0.113.0/24 (edge). Nothing served: no route at all.
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/contract/ip_address.h"
#include "controlplane/ipam/address_range.h"

namespace guideway::announce {

/// What becomes of an address whose services have no backend for new connections.
enum class WithoutBackends : std::uint8_t { withdraw, announce };

struct Advertisement {
    std::string name;
    std::vector<std::string> pools = {};  ///< empty: all
    std::uint8_t ipv4_length = 32;        ///< 1..32
    std::uint8_t ipv6_length = 128;       ///< 1..128
    std::vector<std::string> communities = {};
    std::optional<std::uint32_t> local_preference = {};
    std::optional<std::uint32_t> med = {};
    std::vector<std::string> peers = {};  ///< empty: all
    friend bool operator==(const Advertisement&, const Advertisement&) = default;
};

struct Pool {
    std::string name;
    std::vector<ipam::AddressRange> ranges;
    friend bool operator==(const Pool&, const Pool&) = default;
};

struct Route {
    IpPrefix prefix;                ///< without host bits
    std::size_t advertisement = 0;  ///< index of the rule that made it
    friend auto operator<=>(const Route&, const Route&) = default;
};

/// The addresses that serve; sorted.
std::vector<IpAddress> served(const contract::ForwardingState& state, WithoutBackends without_backends);

/// What is in both; both are sorted.
std::vector<IpAddress> in_both(const std::vector<IpAddress>& a, const std::vector<IpAddress>& b);

/// Sorted, each prefix once.
std::vector<Route> routes_of(const std::vector<IpAddress>& served, const std::vector<Pool>& pools,
                             const std::vector<Advertisement>& advertisements);

/// What is known at a moment.
struct Situation {
    bool maintenance = false;
    bool dataplane_asked = false;  ///< it was tried to reach it since the start of this process
    bool dataplane_connected = false;
    std::optional<std::vector<IpAddress>> confirmed = {};  ///< what serves in the confirmed state; none: not known yet
    std::optional<std::vector<IpAddress>> wanted = {};     ///< in the newest one; none: not made yet
};

/// The routes to be told of from now on. None: nothing is known that would be a reason to change what is told (this process has just
/// started, the dataplane goes on): leave it as it is.
std::optional<std::vector<Route>> decide(const Situation& now, const std::vector<Pool>& pools,
                                         const std::vector<Advertisement>& advertisements);

}  // namespace guideway::announce
