#include "dataplane/net/kernel_tables.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <utility>

namespace guideway::net {
namespace {

constexpr std::uint16_t kUsable = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT | NUD_NOARP;
constexpr std::size_t kMostNextHops = 65535;

struct Bytes {
    const std::uint8_t* data = nullptr;
    std::size_t size = 0;
};

/// Attributes of one message, by type; what does not fit the message is not there.
template <std::size_t kMost>
class Attributes {
  public:
    Attributes(const std::uint8_t* data, std::size_t size) {
        while (size >= sizeof(rtattr)) {
            rtattr head;
            std::memcpy(&head, data, sizeof head);
            if (head.rta_len < sizeof head || head.rta_len > size) return;
            const std::size_t type = head.rta_type & 0x3fffU;  // without the nested and byte-order flags
            if (type < kMost) list_[type] = {data + RTA_LENGTH(0), head.rta_len - RTA_LENGTH(0)};
            const std::size_t step = std::min<std::size_t>(RTA_ALIGN(head.rta_len), size);
            data += step;
            size -= step;
        }
    }
    Bytes operator[](std::size_t type) const { return list_[type]; }
    std::optional<std::uint32_t> number(std::size_t type) const {
        std::uint32_t value = 0;
        if (list_[type].size != sizeof value) return std::nullopt;
        std::memcpy(&value, list_[type].data, sizeof value);
        return value;
    }
    std::optional<IpAddress> address(std::size_t type, unsigned char family) const {
        return to_address(list_[type], family);
    }

    static std::optional<IpAddress> to_address(Bytes bytes, unsigned char family) {
        const std::size_t wanted = family == AF_INET ? 4 : family == AF_INET6 ? 16 : 0;
        if (wanted == 0 || bytes.size != wanted) return std::nullopt;
        IpAddress address;
        address.family = family == AF_INET ? IpFamily::ipv4 : IpFamily::ipv6;
        std::copy_n(bytes.data, wanted, address.bytes.begin());
        return address;
    }

  private:
    std::array<Bytes, kMost> list_{};
};

/// The fixed part and the attributes of a message; none where it is too short.
template <class Body, std::size_t kMost>
std::optional<std::pair<Body, Attributes<kMost>>> open_message(const nlmsghdr& message) {
    if (message.nlmsg_len < NLMSG_LENGTH(sizeof(Body))) return std::nullopt;
    const auto* start = reinterpret_cast<const std::uint8_t*>(&message);
    Body body;
    std::memcpy(&body, start + NLMSG_LENGTH(0), sizeof body);
    const std::size_t at = std::min<std::size_t>(NLMSG_ALIGN(NLMSG_LENGTH(sizeof(Body))), message.nlmsg_len);
    return std::pair{body, Attributes<kMost>(start + at, message.nlmsg_len - at)};
}

bool same(const snapshot::NextHop& a, const snapshot::NextHop& b) {
    return a.destination_mac == b.destination_mac && a.source_mac == b.source_mac && a.port == b.port &&
           a.usable == b.usable;
}

bool same_ports(const snapshot::RoutingSnapshot& a, const snapshot::RoutingSnapshot& b) {
    return std::ranges::equal(a.ports, b.ports, [](const snapshot::PortState& x, const snapshot::PortState& y) {
        return x.mac == y.mac && x.mtu == y.mtu && x.link_up == y.link_up && x.addresses == y.addresses;
    });
}

}  // namespace

KernelTables::KernelTables(std::vector<TwinIdentity> twins) : twins_(std::move(twins)), up_(twins_.size(), false) {}

std::optional<std::uint16_t> KernelTables::port_of(int ifindex) const {
    for (std::size_t port = 0; port < twins_.size(); ++port) {
        if (ifindex > 0 && twins_[port].ifindex == static_cast<unsigned>(ifindex))
            return static_cast<std::uint16_t>(port);
    }
    return std::nullopt;
}

void KernelTables::clear() {
    up_.assign(twins_.size(), false);
    addresses_.clear();
    routes_.clear();
    neighbours_.clear();
}

void KernelTables::apply(const nlmsghdr& message) {
    switch (message.nlmsg_type) {
        case RTM_NEWLINK:
        case RTM_DELLINK:
            return apply_link(message);
        case RTM_NEWADDR:
        case RTM_DELADDR:
            return apply_address(message);
        case RTM_NEWROUTE:
        case RTM_DELROUTE:
            return apply_route(message);
        case RTM_NEWNEIGH:
        case RTM_DELNEIGH:
            return apply_neighbour(message);
        default:
            return;
    }
}

void KernelTables::apply_link(const nlmsghdr& message) {
    const auto opened = open_message<ifinfomsg, IFLA_MAX + 1>(message);
    if (!opened) return;
    const auto& [link, attributes] = *opened;
    const auto port = port_of(link.ifi_index);
    if (!port || link.ifi_family != AF_UNSPEC) return;
    up_[*port] =
        message.nlmsg_type == RTM_NEWLINK && (link.ifi_flags & IFF_UP) != 0 && (link.ifi_flags & IFF_RUNNING) != 0;
    if (message.nlmsg_type == RTM_DELLINK || (link.ifi_flags & IFF_UP) == 0) {
        // The kernel drops IPv4 routes of a link that goes down without a message for each.
        std::erase_if(routes_, [&](const RouteKey& route) { return std::get<2>(route) == *port; });
        std::erase_if(neighbours_, [&](const auto& entry) { return entry.first.first == *port; });
    }
    if (const auto mtu = attributes.number(IFLA_MTU); mtu && *mtu >= 68 && *mtu <= 65535) {
        twins_[*port].mtu = static_cast<std::uint16_t>(*mtu);
    }
    if (const Bytes mac = attributes[IFLA_ADDRESS]; mac.size == 6) std::copy_n(mac.data, 6, twins_[*port].mac.begin());
}

void KernelTables::apply_address(const nlmsghdr& message) {
    const auto opened = open_message<ifaddrmsg, IFA_MAX + 1>(message);
    if (!opened) return;
    const auto& [body, attributes] = *opened;
    const auto port = port_of(static_cast<int>(body.ifa_index));
    auto address = attributes.address(IFA_LOCAL, body.ifa_family);
    if (!address) address = attributes.address(IFA_ADDRESS, body.ifa_family);
    if (!port || !address || body.ifa_prefixlen > address->bits()) return;
    const std::pair entry{*port, IpPrefix{*address, body.ifa_prefixlen}};
    if (message.nlmsg_type == RTM_NEWADDR) {
        addresses_.insert(entry);
    } else {
        addresses_.erase(entry);
    }
}

void KernelTables::drop_route(const IpPrefix& prefix, std::uint32_t metric, std::uint32_t table) {
    std::erase_if(routes_, [&](const RouteKey& route) {
        return std::get<0>(route) == prefix && std::get<1>(route) == metric &&
               twins_[std::get<2>(route)].table == table;
    });
}

bool KernelTables::is_read(std::uint32_t table) const {
    return std::ranges::any_of(twins_, [&](const TwinIdentity& twin) { return twin.table == table; });
}

bool KernelTables::apart() const {
    return std::ranges::any_of(twins_, [](const TwinIdentity& twin) { return twin.side != snapshot::Side::clients; });
}

void KernelTables::apply_route(const nlmsghdr& message) {
    const auto opened = open_message<rtmsg, RTA_MAX + 1>(message);
    if (!opened) return;
    const auto& [route, attributes] = *opened;
    if ((route.rtm_flags & RTM_F_CLONED) != 0) return;
    const std::uint32_t table = attributes.number(RTA_TABLE).value_or(route.rtm_table);
    if (!is_read(table)) return;
    IpPrefix prefix;
    prefix.length = route.rtm_dst_len;
    if (route.rtm_dst_len > 0) {
        const auto destination = attributes.address(RTA_DST, route.rtm_family);
        if (!destination || prefix.length > destination->bits()) return;
        prefix.address = *destination;
    } else if (route.rtm_family == AF_INET || route.rtm_family == AF_INET6) {
        prefix.address.family = route.rtm_family == AF_INET ? IpFamily::ipv4 : IpFamily::ipv6;
    } else {
        return;
    }
    const std::uint32_t metric = attributes.number(RTA_PRIORITY).value_or(0);

    int ifindex = static_cast<int>(attributes.number(RTA_OIF).value_or(0));
    auto gateway = attributes.address(RTA_GATEWAY, route.rtm_family);
    if (const Bytes hops = attributes[RTA_MULTIPATH]; hops.size >= sizeof(rtnexthop)) {
        rtnexthop first;
        std::memcpy(&first, hops.data, sizeof first);
        if (first.rtnh_len < sizeof first || first.rtnh_len > hops.size) return;
        const Attributes<RTA_MAX + 1> inner(hops.data + sizeof first, first.rtnh_len - sizeof first);
        ifindex = first.rtnh_ifindex;
        gateway = inner.address(RTA_GATEWAY, route.rtm_family);
    }
    if (const Bytes via = attributes[RTA_VIA]; via.size > sizeof(rtvia)) {  // IPv4 by way of an IPv6 router
        std::uint16_t family = 0;
        std::memcpy(&family, via.data, sizeof family);
        gateway = Attributes<1>::to_address({via.data + sizeof(rtvia), via.size - sizeof(rtvia)},
                                            static_cast<unsigned char>(family));
    }
    auto port = port_of(ifindex);
    if (port && twins_[*port].table != table) port.reset();  // of the other side: as of no port of ours
    if (message.nlmsg_type == RTM_DELROUTE) {
        if (port) routes_.erase({prefix, metric, *port, gateway});
        return;
    }
    // A change in place replaces what was there, also by a route that is none of ours.
    if ((message.nlmsg_flags & NLM_F_REPLACE) != 0) drop_route(prefix, metric, table);
    if (!port || route.rtm_type != RTN_UNICAST) return;
    routes_.insert({prefix, metric, *port, gateway});
}

void KernelTables::apply_neighbour(const nlmsghdr& message) {
    const auto opened = open_message<ndmsg, NDA_MAX + 1>(message);
    if (!opened) return;
    const auto& [body, attributes] = *opened;
    const auto port = port_of(body.ndm_ifindex);
    const auto address = attributes.address(NDA_DST, body.ndm_family);
    if (!port || !address || (body.ndm_flags & NTF_PROXY) != 0 || address->is_multicast()) return;
    const Key key{*port, *address};
    const Bytes mac = attributes[NDA_LLADDR];
    if (message.nlmsg_type == RTM_DELNEIGH || (body.ndm_state & kUsable) == 0 || mac.size != 6) {
        neighbours_.erase(key);
        return;
    }
    Neighbour& neighbour = neighbours_[key];
    std::copy_n(mac.data, 6, neighbour.mac.begin());
    neighbour.state = body.ndm_state;
}

bool KernelTables::is_stale(const snapshot::NeighbourKey& key) const {
    const auto found = neighbours_.find({key.port, key.address});
    return found == neighbours_.end() || (found->second.state & NUD_STALE) != 0;
}

std::set<std::pair<std::uint16_t, IpAddress>> KernelTables::gateways() const {
    std::set<Key> list;
    for (const auto& [prefix, metric, port, gateway] : routes_) {
        if (gateway) list.emplace(port, *gateway);
    }
    return list;
}

std::shared_ptr<const snapshot::RoutingSnapshot> KernelTables::build() {
    auto next = std::make_shared<snapshot::RoutingSnapshot>();
    next->apart = apart();
    for (std::size_t port = 0; port < twins_.size(); ++port) {
        snapshot::PortState state{twins_[port].mac, twins_[port].mtu, up_[port], {}, twins_[port].side};
        for (const auto& [owner, prefix] : addresses_) {
            if (owner == port) state.addresses.push_back(prefix);
        }
        next->ports.push_back(std::move(state));
    }
    for (const auto& [prefix, metric, port, gateway] : routes_) {
        next->routes.push_back({prefix, port, !gateway, gateway.value_or(IpAddress{}), metric});
    }
    // Old neighbours keep their index, new ones take the lowest free.
    std::erase_if(indices_, [this](const auto& entry) { return !neighbours_.contains(entry.first); });
    std::vector<bool> taken(last_ ? last_->next_hops.size() : 0, false);
    for (const auto& [key, index] : indices_) taken[index] = true;
    std::size_t free = 0;
    for (const auto& [key, neighbour] : neighbours_) {
        if (indices_.contains(key)) continue;
        while (free < taken.size() && taken[free]) ++free;
        if (free >= kMostNextHops) break;
        if (free == taken.size()) taken.push_back(false);
        taken[free] = true;
        indices_.emplace(key, static_cast<std::uint16_t>(free));
    }
    next->next_hops.resize(taken.size());
    for (const auto& [key, index] : indices_) {
        next->next_hops[index] = {neighbours_.at(key).mac, twins_[key.first].mac, static_cast<std::uint8_t>(key.first),
                                  true, 0};
        next->neighbours.emplace(snapshot::NeighbourKey{key.first, key.second}, index);
    }
    next->finish();

    if (!last_) {
        next->epoch = 1;
    } else {
        bool moved = routes_ != last_routes_;
        for (std::size_t i = 0; i < last_->next_hops.size() && !moved; ++i) {
            // An index nobody could have used may begin to mean something without notice.
            moved = last_->next_hops[i].usable && !same(last_->next_hops[i], next->next_hops[i]);
        }
        next->epoch = static_cast<std::uint16_t>(last_->epoch + (moved ? 1 : 0));
        const bool matters = moved || next->neighbours != last_->neighbours || !same_ports(*next, *last_);
        if (!matters) return nullptr;
    }
    last_routes_ = routes_;
    last_ = next;
    return next;
}

}  // namespace guideway::net
