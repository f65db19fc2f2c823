// Leftovers: what earlier runs of the dataplane gave the kernel, so that a changed configuration takes it away again.
//
// TAP twins are persistent, hence so are their addresses and routes. What the dataplane makes carries its mark: addresses and
// routes a protocol number of their own, twins an alias. What operators or routing daemons add has another or none and stays.
//
// Worked example: a configuration with port 'front' at 192.0.2.1/24 runs, then one with port 'client0' at 192.0.2.7/24: the
// twin gw-front is marked, not wanted and held by no process: to be removed, or the kernel would send by it. Had only the address
// changed, 192.0.2.1/24 on gw-front would be marked and not wanted: removed, or the kernel would go on answering for it.
// Pure. Thread contract: any.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/contract/ip_address.h"

struct nlmsghdr;

namespace guideway::net {

/// rtm_protocol of routes and IFA_PROTO of addresses that come from the configuration ("proto 71" in `ip`).
inline constexpr std::uint8_t kOurProtocol = 71;
/// How a kind of our routes is marked, by which the kernel tells them from others to the same destination.
struct RouteMark {
    std::uint8_t protocol;
    std::uint32_t metric;  ///< 0: the kernel's default of the family
};
/// Of the configuration.
inline constexpr RouteMark kConfiguredRoutes{kOurProtocol, 0};
/// Of the ForwardingState ("proto 72 metric 4096"): behind the operator's own and those of routing daemons.
inline constexpr RouteMark kStateRoutes{72, 4096};
/// IFLA_IFALIAS of twins.
inline constexpr std::string_view kTwinAlias = "guideway-dataplane";
/// The kernel's table of routes where nobody asks for another.
inline constexpr std::uint32_t kMainTable = 254;

struct OwnRoute {
    IpPrefix to;
    IpAddress via;  ///< unspecified: on the link itself
    std::uint32_t table = kMainTable;
    friend bool operator==(const OwnRoute&, const OwnRoute&) = default;
};

/// The address of an RTM_NEWADDR message where it is ours and on this link.
std::optional<IpPrefix> own_address_in(const nlmsghdr& message, unsigned ifindex);
/// Does the kernel itself keep a route to the network of an RTM_NEWADDR message's address (in the main table)?
bool brings_route(const nlmsghdr& message);
/// The route of an RTM_NEWROUTE message where it is ours and through this link, in any table.
std::optional<OwnRoute> own_route_in(const nlmsghdr& message, unsigned ifindex, RouteMark mark = kConfiguredRoutes);
/// Which table has a route through which link; none where the message is no RTM_NEWROUTE, or of no single link.
struct TableUse {
    std::uint32_t table;
    unsigned ifindex;
};
std::optional<TableUse> table_use_in(const nlmsghdr& message);
/// The name of the link of an RTM_NEWLINK message where it is a twin.
std::optional<std::string> twin_in(const nlmsghdr& message);

}  // namespace guideway::net
