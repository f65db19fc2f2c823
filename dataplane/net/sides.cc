#include "dataplane/net/sides.h"

#include <algorithm>
#include <array>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <set>
#include <unistd.h>
#include <utility>

#include "dataplane/net/rtnetlink.h"
#include "dataplane/net/side_rules.h"

namespace guideway::net {
namespace {

const char* field_of(config::Side side) {
    return side == config::Side::clients ? "dataplane.sides.clients_table" : "dataplane.sides.nodes_table";
}

KernelSide side_of(const config::DataplaneConfig& config, config::Side side) {
    KernelSide result;
    for (const config::PortConfig& port : config.ports) {
        if (port.side != side) continue;
        result.table = port.table;
        result.twins.push_back(port.twin_name());
        for (const IpPrefix& own : port.addresses) result.addresses.push_back(own.address);
    }
    return result;
}

/// The kernel's families that rules can be made for.
std::vector<IpFamily> families_here() {
    std::vector<IpFamily> list{IpFamily::ipv4};
    if (access("/proc/net/if_inet6", F_OK) == 0) list.push_back(IpFamily::ipv6);
    return list;
}

std::string interface_name(unsigned ifindex) {
    std::array<char, IF_NAMESIZE> name{};
    return if_indextoname(ifindex, name.data()) == nullptr ? std::to_string(ifindex) : name.data();
}

/// A table that others look up, or that has routes by other interfaces, is somebody else's.
std::optional<std::string> used_by_others(Rtnetlink& netlink, const config::DataplaneConfig& config,
                                          config::Side side) {
    const std::uint32_t table = side_of(config, side).table;
    std::string how;
    const bool read = netlink.dump(RTM_GETRULE, [&](const nlmsghdr& message) {
        const auto found = rule_in(message);
        if (found && !found->ours && found->rule.table == table) {
            how = "a rule of another program looks it up (`ip rule`, priority " + std::to_string(found->rule.priority) +
                  ")";
        }
    }) && netlink.dump(RTM_GETROUTE, [&](const nlmsghdr& message) {
        const auto use = table_use_in(message);
        if (!use || use->table != table) return;
        const std::string name = interface_name(use->ifindex);
        if (std::ranges::find(config.ports, name, &config::PortConfig::twin_name) == config.ports.end())
            how = "it has a route by '" + name + "'";
    });
    if (!read) return std::string("the kernel did not give its rules and routes");
    if (how.empty()) return std::nullopt;
    return std::string(field_of(side)) + ": found " + std::to_string(table) +
           ", allowed a table of routes that nobody else uses: " + how;
}

std::set<SideRule> wanted_rules(const config::DataplaneConfig& config) {
    std::set<SideRule> wanted;
    if (!config.sides_apart()) return wanted;
    for (const config::Side side : {config::Side::clients, config::Side::nodes}) {
        for (const IpFamily family : families_here()) {
            for (SideRule& rule : rules_of(side_of(config, side), family)) wanted.insert(std::move(rule));
        }
    }
    return wanted;
}

}  // namespace

std::optional<std::string> keep_sides_apart(const config::DataplaneConfig& config) {
    Rtnetlink netlink;
    if (auto error = netlink.open(0)) return error;
    if (config.sides_apart()) {
        for (const config::Side side : {config::Side::clients, config::Side::nodes}) {
            if (auto error = used_by_others(netlink, config, side)) return error;
        }
    }
    std::set<SideRule> there;
    // A kernel without rules of routing has none of ours.
    netlink.dump(RTM_GETRULE, [&](const nlmsghdr& message) {
        if (auto found = rule_in(message); found && found->ours) there.insert(std::move(found->rule));
    });
    const std::set<SideRule> wanted = wanted_rules(config);
    for (const SideRule& rule : wanted) {
        if (there.contains(rule)) continue;
        if (auto error = netlink.add_rule(rule)) {
            return "dataplane.ports: found ports with a side, allowed where the kernel has rules of routing "
                   "(CONFIG_IP_MULTIPLE_TABLES, CONFIG_IPV6_MULTIPLE_TABLES): " +
                   *error;
        }
    }
    // After the new ones are there: at no moment is a packet of a side looked up in the main table.
    for (const SideRule& rule : there) {
        if (wanted.contains(rule)) continue;
        if (auto error = netlink.remove_rule(rule))
            return "a routing rule of an earlier configuration stays (`ip rule`, priority " +
                   std::to_string(rule.priority) + "): " + *error;
    }
    return std::nullopt;
}

std::vector<OwnRoute> routes_of(const config::PortConfig& port) {
    std::vector<OwnRoute> list;
    const auto on_link = [&](const IpPrefix& network) {
        IpAddress none;
        none.family = network.address.family;
        const OwnRoute route{network, none, port.table};
        if (std::ranges::find(list, route) == list.end()) list.push_back(route);
    };
    if (port.side != config::Side::none) {
        for (const IpPrefix& own : port.addresses) on_link(own.network());
        on_link(*IpPrefix::parse("fe80::/64"));
    }
    for (const config::RouteConfig& route : port.routes) list.push_back({route.to, route.via, port.table});
    return list;
}

}  // namespace guideway::net
