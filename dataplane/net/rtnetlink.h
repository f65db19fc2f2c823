// Rtnetlink: one NETLINK_ROUTE socket: requests with their answer, dumps, and the multicast groups that follow changes.
//
// Only how messages travel; what they mean is kernel_tables.h's matter.
// Thread contract: one thread at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "api/contract/ip_address.h"
#include "dataplane/net/leftovers.h"
#include "dataplane/net/side_rules.h"

struct nlmsghdr;

namespace guideway::net {

/// How a neighbour is asked for.
enum class Resolve : std::uint8_t {
    managed,  ///< the kernel resolves and keeps probing on its own (NTF_EXT_MANAGED, Linux 5.16)
    once,     ///< the kernel resolves, or confirms a stale entry, now (NTF_USE)
};

class Rtnetlink {
  public:
    using Handler = std::function<void(const nlmsghdr& message)>;

    Rtnetlink() = default;
    ~Rtnetlink();
    Rtnetlink(const Rtnetlink&) = delete;
    Rtnetlink& operator=(const Rtnetlink&) = delete;

    /// `groups`: RTMGRP_* bits to follow; 0 for requests only. Returns why it could not.
    std::optional<std::string> open(std::uint32_t groups);
    int fd() const { return fd_; }

    /// Marked as ours (leftovers.h). Existing ones are fine. IPv6 without duplicate address detection: the dataplane is on this wire already.
    /// `with_route`: the kernel itself keeps the route to the address's network, in the main table.
    std::optional<std::string> add_address(unsigned ifindex, const IpPrefix& address, bool with_route = true);
    std::optional<std::string> add_route(unsigned ifindex, const OwnRoute& route, RouteMark mark = kConfiguredRoutes);
    std::optional<std::string> remove_address(unsigned ifindex, const IpPrefix& address);
    std::optional<std::string> remove_route(unsigned ifindex, const OwnRoute& route,
                                            RouteMark mark = kConfiguredRoutes);
    /// Marked as ours.
    std::optional<std::string> add_rule(const SideRule& rule);
    std::optional<std::string> remove_rule(const SideRule& rule);
    std::optional<std::string> set_alias(unsigned ifindex, std::string_view alias);
    std::optional<std::string> resolve(unsigned ifindex, const IpAddress& address, Resolve how);

    /// Asks for everything of a kind (RTM_GETLINK, ...) and hands each message to the handler; false: failed.
    bool dump(std::uint16_t type, const Handler& handler) { return read_all(type, handler) == Dump::all; }
    enum class Dump { all, some, refused };
    /// The same; `refused`: the kernel says that it does not do this. `some`: it was interrupted, or failed: ask again.
    Dump read_all(std::uint16_t type, const Handler& handler);

    enum class Follow { nothing, some, lost };
    /// Takes what is there without waiting. `lost`: the kernel dropped messages; dump again.
    Follow follow(const Handler& handler);

  private:
    class Request;
    std::optional<std::string> transact(Request& request);
    std::optional<std::string> change_route(std::uint16_t type, std::uint16_t flags, unsigned ifindex,
                                            const OwnRoute& route, RouteMark mark);
    std::optional<std::string> change_rule(std::uint16_t type, std::uint16_t flags, const SideRule& rule);

    int fd_ = -1;
    std::uint32_t sequence_ = 0;
};

}  // namespace guideway::net
