#include "controlplane/announce/kernel_routes.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <iterator>
#include <linux/rtnetlink.h>
#include <optional>
#include <sys/socket.h>
#include <utility>

#include <netlink/netlink.h>
#include <netlink/route/route.h>

namespace guideway::announce {
namespace {

int family_of(IpFamily family) { return family == IpFamily::ipv4 ? AF_INET : AF_INET6; }

constexpr std::uint32_t kAnyTable = 0;

/// The route of an RTM_NEWROUTE message where it is one of ours of this family. A kernel without IPv6 answers a question for that with the
/// routes of all families.
std::optional<TableRoute> route_in(nlmsghdr* message, IpFamily family, std::uint32_t table) {
    rtnl_route* parsed = nullptr;
    if (message->nlmsg_type != RTM_NEWROUTE || rtnl_route_parse(message, &parsed) < 0) return std::nullopt;
    const std::unique_ptr<rtnl_route, decltype(&rtnl_route_put)> route(parsed, rtnl_route_put);
    const std::uint32_t metric = rtnl_route_get_priority(parsed);
    if (rtnl_route_get_family(parsed) != family_of(family) || rtnl_route_get_protocol(parsed) != kRouteProtocol ||
        (table != kAnyTable && rtnl_route_get_table(parsed) != table) || rtnl_route_get_type(parsed) != RTN_BLACKHOLE ||
        metric < kFirstMetric) {
        return std::nullopt;
    }
    nl_addr* destination = rtnl_route_get_dst(parsed);
    if (destination == nullptr) return std::nullopt;
    Route out;
    out.prefix.address.family = family;
    const std::size_t bytes = std::min<std::size_t>(nl_addr_get_len(destination), family == IpFamily::ipv4 ? 4 : 16);
    std::memcpy(out.prefix.address.bytes.data(), nl_addr_get_binary_addr(destination), bytes);
    out.prefix.length = static_cast<std::uint8_t>(nl_addr_get_prefixlen(destination));
    out.advertisement = metric - kFirstMetric;
    return TableRoute{out, rtnl_route_get_table(parsed)};
}

struct Dump {
    std::vector<TableRoute>* routes;
    IpFamily family;
    std::uint32_t table;
};

int take(nl_msg* message, void* argument) {
    auto* dump = static_cast<Dump*>(argument);
    if (const auto route = route_in(nlmsg_hdr(message), dump->family, dump->table)) dump->routes->push_back(*route);
    return NL_OK;
}

}  // namespace

struct KernelRoutes::Socket {
    std::unique_ptr<nl_sock, decltype(&nl_socket_free)> handle{nl_socket_alloc(), nl_socket_free};

    /// Asks for our routes of one family in one table, or in any. A table that was never used is none, and has nothing.
    int read(IpFamily family, std::uint32_t table, std::vector<TableRoute>& routes) {
        rtmsg asked{};
        // The kernel looks for them itself (NETLINK_GET_STRICT_CHK): the main table may have the internet's routes.
        asked.rtm_protocol = kRouteProtocol;
        asked.rtm_type = RTN_BLACKHOLE;
        asked.rtm_family = static_cast<unsigned char>(family_of(family));
        std::unique_ptr<nl_msg, decltype(&nlmsg_free)> message(nlmsg_alloc_simple(RTM_GETROUTE, NLM_F_DUMP),
                                                               nlmsg_free);
        if (message == nullptr) return -NLE_NOMEM;
        if (nlmsg_append(message.get(), &asked, sizeof asked, NLMSG_ALIGNTO) < 0 ||
            (table != kAnyTable && nla_put_u32(message.get(), RTA_TABLE, table) < 0)) {
            return -NLE_NOMEM;
        }
        if (const int sent = nl_send_auto(handle.get(), message.get()); sent < 0) return sent;
        Dump dump{&routes, family, table};
        std::unique_ptr<nl_cb, decltype(&nl_cb_put)> callbacks(nl_cb_alloc(NL_CB_DEFAULT), nl_cb_put);
        if (callbacks == nullptr) return -NLE_NOMEM;
        nl_cb_set(callbacks.get(), NL_CB_VALID, NL_CB_CUSTOM, take, &dump);
        const int got = nl_recvmsgs(handle.get(), callbacks.get());
        return got == -NLE_OBJ_NOTFOUND ? 0 : got;
    }
};

KernelRoutes::KernelRoutes(KernelTables tables) : tables_(tables) {}
KernelRoutes::~KernelRoutes() = default;

std::string KernelRoutes::open() {
    if (socket_ != nullptr) return {};
    auto fresh = std::make_unique<Socket>();
    if (fresh->handle == nullptr) return "no memory for a netlink socket";
    if (const int failed = nl_connect(fresh->handle.get(), NETLINK_ROUTE); failed < 0) {
        return std::string("a netlink socket cannot be opened: ") + nl_geterror(failed);
    }
    // So that the kernel hands out what is asked for, not all: the machine may carry the internet's routes.
    const int on = 1;
    ::setsockopt(nl_socket_get_fd(fresh->handle.get()), SOL_NETLINK, NETLINK_GET_STRICT_CHK, &on, sizeof on);
    socket_ = std::move(fresh);
    return {};
}

std::variant<std::vector<TableRoute>, std::string> KernelRoutes::read(KernelTables tables) {
    constexpr int kAttempts = 5;  // others may change the table while it is read
    std::string error;
    for (int attempt = 0; attempt < kAttempts; ++attempt) {
        if (error = open(); !error.empty()) return error;
        std::vector<TableRoute> routes;
        int failed = 0;
        for (const IpFamily family : {IpFamily::ipv4, IpFamily::ipv6}) {
            const std::uint32_t table = family == IpFamily::ipv4 ? tables.ipv4 : tables.ipv6;
            failed = socket_->read(family, table, routes);
            if (failed >= 0) continue;
            error = (table == kAnyTable ? "the tables" : "table " + std::to_string(table)) +
                    " of the kernel cannot be read: " + nl_geterror(failed);
            socket_.reset();
            break;
        }
        if (failed >= 0) return routes;
    }
    return error;
}

std::variant<std::vector<Route>, std::string> KernelRoutes::present() {
    auto looked = read(tables_);
    if (auto* error = std::get_if<std::string>(&looked)) return std::move(*error);
    std::vector<Route> routes;
    for (const TableRoute& one : std::get<0>(looked)) routes.push_back(one.route);
    std::sort(routes.begin(), routes.end());
    routes.erase(std::unique(routes.begin(), routes.end()), routes.end());
    return routes;
}

std::variant<std::size_t, std::string> KernelRoutes::remove_elsewhere() {
    auto looked = read({kAnyTable, kAnyTable});
    if (auto* error = std::get_if<std::string>(&looked)) return std::move(*error);
    std::size_t removed = 0;
    std::string error;
    for (const TableRoute& one : std::get<0>(looked)) {
        const bool own = one.table == (one.route.prefix.address.is_v4() ? tables_.ipv4 : tables_.ipv6);
        if (own || one.route.advertisement >= kMaxAdvertisements) continue;
        std::string fault = change(one.route, one.table, false);
        if (fault.empty()) ++removed;
        if (error.empty() && !fault.empty()) error = "table " + std::to_string(one.table) + ": " + fault;
    }
    if (!error.empty()) return error;
    return removed;
}

std::variant<std::size_t, std::string> KernelRoutes::remove_all() {
    return KernelRoutes({kAnyTable, kAnyTable}).remove_elsewhere();
}

std::string KernelRoutes::change(const Route& route, std::uint32_t table, bool add) {
    std::unique_ptr<rtnl_route, decltype(&rtnl_route_put)> made(rtnl_route_alloc(), rtnl_route_put);
    const bool v4 = route.prefix.address.is_v4();
    std::unique_ptr<nl_addr, decltype(&nl_addr_put)> destination(
        nl_addr_build(family_of(route.prefix.address.family), route.prefix.address.bytes.data(), v4 ? 4 : 16),
        nl_addr_put);
    if (made == nullptr || destination == nullptr) return "no memory for a route";
    nl_addr_set_prefixlen(destination.get(), route.prefix.length);
    rtnl_route_set_family(made.get(), static_cast<std::uint8_t>(family_of(route.prefix.address.family)));
    rtnl_route_set_dst(made.get(), destination.get());
    rtnl_route_set_table(made.get(), table);
    rtnl_route_set_protocol(made.get(), kRouteProtocol);
    rtnl_route_set_priority(made.get(), kFirstMetric + static_cast<std::uint32_t>(route.advertisement));
    rtnl_route_set_type(made.get(), RTN_BLACKHOLE);
    rtnl_route_set_scope(made.get(), RT_SCOPE_UNIVERSE);
    const int failed = add ? rtnl_route_add(socket_->handle.get(), made.get(), NLM_F_CREATE | NLM_F_EXCL)
                           : rtnl_route_delete(socket_->handle.get(), made.get(), 0);
    // Somebody else was first. Whether what is there now is ours apply() sees.
    foreign_ = foreign_ || (add && failed == -NLE_EXIST);
    if (failed >= 0 || (add ? failed == -NLE_EXIST : failed == -NLE_OBJ_NOTFOUND)) return {};
    return std::string("the kernel does not ") + (add ? "take" : "give up") + " the route to " +
           route.prefix.to_string() + ": " + nl_geterror(failed) +
           (failed == -NLE_PERM ? " (the control plane needs CAP_NET_ADMIN)" : "");
}

std::string KernelRoutes::apply(const std::vector<Route>& wanted) {
    auto looked = present();
    if (auto* error = std::get_if<std::string>(&looked)) return std::move(*error);
    const auto& there = std::get<std::vector<Route>>(looked);
    std::vector<Route> gone;
    std::vector<Route> fresh;
    std::set_difference(there.begin(), there.end(), wanted.begin(), wanted.end(), std::back_inserter(gone));
    std::set_difference(wanted.begin(), wanted.end(), there.begin(), there.end(), std::back_inserter(fresh));
    std::string error;
    // A route whose attributes change is there twice for a moment rather than not at all.
    const auto replaced = std::stable_partition(gone.begin(), gone.end(), [&](const Route& one) {
        return std::none_of(fresh.begin(), fresh.end(), [&](const Route& other) { return other.prefix == one.prefix; });
    });
    const auto note = [&](std::string fault) {
        if (error.empty()) error = std::move(fault);
    };
    const auto table = [&](const Route& one) { return one.prefix.address.is_v4() ? tables_.ipv4 : tables_.ipv6; };
    foreign_ = false;
    for (auto at = gone.begin(); at != replaced; ++at) note(change(*at, table(*at), false));
    for (const Route& one : fresh) note(change(one, table(one), true));
    for (auto at = replaced; at != gone.end(); ++at) note(change(*at, table(*at), false));
    if (!clean_) {
        // Of another table or daemon in the settings of before: nobody else would ever take them away.
        auto removed = remove_elsewhere();
        clean_ = std::holds_alternative<std::size_t>(removed);
        if (auto* fault = std::get_if<std::string>(&removed)) note(std::move(*fault));
    }
    if (foreign_ && error.empty()) error = lacking(wanted);
    return error;
}

std::string KernelRoutes::lacking(const std::vector<Route>& wanted) {
    auto looked = present();
    if (auto* error = std::get_if<std::string>(&looked)) return std::move(*error);
    const auto& there = std::get<0>(looked);
    for (const Route& one : wanted) {
        if (std::binary_search(there.begin(), there.end(), one)) continue;
        const bool v4 = one.prefix.address.is_v4();
        const std::string metric = std::to_string(kFirstMetric + one.advertisement);
        const std::string table = std::to_string(v4 ? tables_.ipv4 : tables_.ipv6);
        return "the route to " + one.prefix.to_string() + " is not announced: somebody else's has its metric, " +
               metric + " (ip " + (v4 ? "" : "-6 ") + "route show table " + table + " " + one.prefix.to_string() + ")";
    }
    return {};
}

}  // namespace guideway::announce
