#include "dataplane/net/kernel_tables.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/neighbour.h>
#include <linux/netlink.h>
#include <linux/nexthop.h>
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

/// The gateway in the attributes of a route, or of one of its ways.
std::optional<IpAddress> gateway_in(const Attributes<RTA_MAX + 1>& attributes, unsigned char family) {
    if (const Bytes via = attributes[RTA_VIA]; via.size > sizeof(rtvia)) {  // IPv4 by way of an IPv6 router
        std::uint16_t other = 0;
        std::memcpy(&other, via.data, sizeof other);
        return Attributes<1>::to_address({via.data + sizeof(rtvia), via.size - sizeof(rtvia)},
                                         static_cast<unsigned char>(other));
    }
    return attributes.address(RTA_GATEWAY, family);
}

/// What RTA_MULTIPATH holds: (interface, way); a damaged rest is not there. Ways by a link that is down are among them.
std::vector<std::pair<int, Way>> ways_in(Bytes hops, unsigned char family) {
    std::vector<std::pair<int, Way>> list;
    while (hops.size >= sizeof(rtnexthop)) {
        rtnexthop hop;
        std::memcpy(&hop, hops.data, sizeof hop);
        if (hop.rtnh_len < sizeof hop || hop.rtnh_len > hops.size) break;
        const Attributes<RTA_MAX + 1> inner(hops.data + sizeof hop, hop.rtnh_len - sizeof hop);
        const auto weight = static_cast<std::uint16_t>(hop.rtnh_hops + 1);
        list.emplace_back(hop.rtnh_ifindex, Way{0, gateway_in(inner, family), weight});
        const std::size_t step = std::min<std::size_t>(RTNH_ALIGN(hop.rtnh_len), hops.size);
        hops = {hops.data + step, hops.size - step};
    }
    return list;
}

NextHopObjects::Members members_in(Bytes group) {
    NextHopObjects::Members members;
    for (std::size_t at = 0; at + sizeof(nexthop_grp) <= group.size; at += sizeof(nexthop_grp)) {
        nexthop_grp member;
        std::memcpy(&member, group.data + at, sizeof member);
        members.emplace_back(member.id, static_cast<std::uint16_t>(member.weight + 1));
    }
    return members;
}

bool same(const snapshot::NextHop& a, const snapshot::NextHop& b) {
    return a.destination_mac == b.destination_mac && a.source_mac == b.source_mac && a.port == b.port &&
           a.usable == b.usable;
}

/// Flows that go by a link which is down now may have another way.
bool lost_a_link(const snapshot::RoutingSnapshot& before, const snapshot::RoutingSnapshot& after) {
    for (std::size_t port = 0; port < std::min(before.ports.size(), after.ports.size()); ++port) {
        if (before.ports[port].link_up && !after.ports[port].link_up) return true;
    }
    return false;
}

/// Flows took one of several ways without a link, since none had one; now one has. Both have the same routes, `before` in order.
bool found_a_link(const snapshot::RoutingSnapshot& before, const snapshot::RoutingSnapshot& after) {
    const auto& routes = before.routes;
    for (auto first = routes.begin(); first != routes.end();) {
        const auto end = std::find_if(first + 1, routes.end(), [&](const snapshot::Route& other) {
            return other.prefix != first->prefix || other.metric != first->metric ||
                   before.side_of(other.port) != before.side_of(first->port);
        });
        const auto linked = [&](const snapshot::RoutingSnapshot& at) {
            return std::any_of(first, end, [&](const snapshot::Route& way) { return at.ports[way.port].link_up; });
        };
        if (end - first > 1 && !linked(before) && linked(after)) return true;
        first = end;
    }
    return false;
}

/// So seldom that all routes may be gone through.
bool gained_a_link(const snapshot::RoutingSnapshot& before, const snapshot::RoutingSnapshot& after) {
    return lost_a_link(after, before);
}

bool same_ports(const snapshot::RoutingSnapshot& a, const snapshot::RoutingSnapshot& b) {
    return std::ranges::equal(a.ports, b.ports, [](const snapshot::PortState& x, const snapshot::PortState& y) {
        return x.mac == y.mac && x.mtu == y.mtu && x.link_up == y.link_up && x.addresses == y.addresses;
    });
}

}  // namespace

KernelTables::KernelTables(std::vector<TwinIdentity> twins)
    : twins_(std::move(twins)),
      up_(twins_.size(), false),
      shut_(twins_.size(), false),
      unplugged_(twins_.size(), false) {}

std::optional<std::uint16_t> KernelTables::port_of(int ifindex) const {
    for (std::size_t port = 0; port < twins_.size(); ++port) {
        if (ifindex > 0 && twins_[port].ifindex == static_cast<unsigned>(ifindex))
            return static_cast<std::uint16_t>(port);
    }
    return std::nullopt;
}

void KernelTables::clear() {
    up_.assign(twins_.size(), false);
    shut_.assign(twins_.size(), false);
    unplugged_.assign(twins_.size(), false);
    addresses_.clear();
    routes_.clear();
    objects_.clear();
    object_routes_.clear();
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
        case RTM_NEWNEXTHOP:
        case RTM_DELNEXTHOP:
            return apply_next_hop_object(message);
        default:
            return;
    }
}

void KernelTables::apply_link(const nlmsghdr& message) {
    const auto opened = open_message<ifinfomsg, IFLA_MAX + 1>(message);
    if (!opened) return;
    const auto& [link, attributes] = *opened;
    if (link.ifi_family != AF_UNSPEC) return;
    const bool running =
        message.nlmsg_type == RTM_NEWLINK && (link.ifi_flags & IFF_UP) != 0 && (link.ifi_flags & IFF_RUNNING) != 0;
    apply_device_link(link.ifi_index, running);
    const auto port = port_of(link.ifi_index);
    if (!port) return;
    up_[*port] = running;
    shut_[*port] = message.nlmsg_type == RTM_DELLINK || (link.ifi_flags & IFF_UP) == 0;
    if (shut_[*port]) {
        drop_ways_of_shut_ports();
        drop_routes_by(objects_.remove_through(*port));
        std::erase_if(neighbours_, [&](const auto& entry) { return entry.first.first == *port; });
    }
    if (const auto mtu = attributes.number(IFLA_MTU); mtu && *mtu >= 68 && *mtu <= 65535) {
        twins_[*port].mtu = static_cast<std::uint16_t>(*mtu);
    }
    if (const Bytes mac = attributes[IFLA_ADDRESS]; mac.size == 6) std::copy_n(mac.data, 6, twins_[*port].mac.begin());
}

void KernelTables::apply_device_link(int ifindex, bool running) {
    for (std::size_t port = 0; port < twins_.size(); ++port) {
        if (ifindex > 0 && twins_[port].device == static_cast<unsigned>(ifindex)) unplugged_[port] = !running;
    }
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
    object_routes_.erase({prefix, metric, table});
}

/// Whatever its weight: when one of several goes, IPv6 tells none.
void KernelTables::drop_way(const IpPrefix& prefix, std::uint32_t metric, const Way& way) {
    const auto first = routes_.lower_bound({prefix, metric, way.port, way.gateway, 0});
    auto end = first;
    while (end != routes_.end() && std::get<0>(*end) == prefix && std::get<1>(*end) == metric &&
           std::get<2>(*end) == way.port && std::get<3>(*end) == way.gateway)
        ++end;
    routes_.erase(first, end);
}

/// The kernel drops IPv4 routes of a link that goes down without a message for each, but not those with a gateway by another link.
void KernelTables::drop_ways_of_shut_ports() {
    std::set<ObjectRouteKey> going_on;
    for (const auto& [prefix, metric, port, gateway, weight] : routes_) {
        if (gateway && !shut_[port]) going_on.emplace(prefix, metric, twins_[port].table);
    }
    std::erase_if(routes_, [&](const RouteKey& route) {
        const auto& [prefix, metric, port, gateway, weight] = route;
        return shut_[port] && !(gateway && going_on.contains({prefix, metric, twins_[port].table}));
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

    const auto object = attributes.number(RTA_NH_ID);
    std::vector<Way> ways;
    const auto add = [&](int ifindex, Way way) {
        const auto port = port_of(ifindex);
        if (!port || twins_[*port].table != table) return;  // of the other side: as of no port of ours
        way.port = *port;
        add_way(ways, way);
    };
    if (const Bytes hops = attributes[RTA_MULTIPATH]; hops.size != 0) {
        for (const auto& [ifindex, way] : ways_in(hops, route.rtm_family)) add(ifindex, way);
    } else {
        add(static_cast<int>(attributes.number(RTA_OIF).value_or(0)), {0, gateway_in(attributes, route.rtm_family), 1});
    }
    if (message.nlmsg_type == RTM_DELROUTE) {
        for (const Way& way : ways) drop_way(prefix, metric, way);
        if (const auto found = object_routes_.find({prefix, metric, table}); object && found != object_routes_.end()) {
            if (found->second == *object) object_routes_.erase(found);
        }
        return;
    }
    // A change in place replaces what was there, also by a route that is none of ours.
    if ((message.nlmsg_flags & NLM_F_REPLACE) != 0) drop_route(prefix, metric, table);
    if (route.rtm_type != RTN_UNICAST) return;
    if (object) {
        object_routes_[{prefix, metric, table}] = *object;
        return;
    }
    for (const Way& way : ways) {
        drop_way(prefix, metric, way);
        routes_.insert({prefix, metric, way.port, way.gateway, way.weight});
    }
}

void KernelTables::apply_next_hop_object(const nlmsghdr& message) {
    const auto opened = open_message<nhmsg, NHA_MAX + 1>(message);
    if (!opened) return;
    const auto& [body, attributes] = *opened;
    const auto object = attributes.number(NHA_ID);
    if (!object) return;
    const auto port = port_of(static_cast<int>(attributes.number(NHA_OIF).value_or(0)));
    if (message.nlmsg_type == RTM_NEWNEXTHOP && attributes[NHA_GROUP].size != 0) {
        objects_.put_group(*object, members_in(attributes[NHA_GROUP]));
    } else if (message.nlmsg_type == RTM_NEWNEXTHOP && port) {
        objects_.put_way(*object, {*port, attributes.address(NHA_GATEWAY, body.nh_family), 1});
    } else if (message.nlmsg_type == RTM_NEWNEXTHOP) {
        objects_.disown(*object);
    } else {
        drop_routes_by(objects_.remove(*object));
    }
}

/// With an object the kernel drops the routes that name it, those of IPv4 without a message.
void KernelTables::drop_routes_by(const std::set<std::uint32_t>& gone) {
    if (gone.empty()) return;
    std::erase_if(object_routes_, [&](const auto& route) { return gone.contains(route.second); });
}

/// Also those that objects stand for.
std::set<KernelTables::RouteKey> KernelTables::all_ways() const {
    std::set<RouteKey> list = routes_;
    for (const auto& [route, object] : object_routes_) {
        const auto& [prefix, metric, table] = route;
        for (const Way& way : objects_.ways(object)) {
            if (twins_[way.port].table == table) list.insert({prefix, metric, way.port, way.gateway, way.weight});
        }
    }
    return list;
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

bool KernelTables::learn(std::uint16_t port, const snapshot::MacAddress& mac, TimePoint now) {
    const bool group = (mac[0] & 1U) != 0;
    const bool full = learned_.size() == kMostLearned;
    if (port >= twins_.size() || group || mac == snapshot::MacAddress{}) return false;
    // First: whoever invents addresses is heard all the time.
    if (full && forgot_learned_ && now - *forgot_learned_ < kForgetLearnedEach) return false;
    const Station station{port, mac};
    if (std::ranges::any_of(twins_, [&](const TwinIdentity& twin) { return twin.mac == mac; }) ||
        std::ranges::find(learned_, station) != learned_.end() ||
        std::ranges::any_of(neighbours_,
                            [&](const auto& one) { return one.first.first == port && one.second.mac == mac; }))
        return false;
    if (full) {
        forgot_learned_ = now;
        learned_.erase(learned_.begin(), learned_.begin() + kMostLearned / 2);
    }
    learned_.push_back(station);
    learned_changed_ = true;
    return true;
}

std::set<std::pair<std::uint16_t, IpAddress>> KernelTables::gateways() const {
    std::set<Key> list;
    for (const auto& [prefix, metric, port, gateway, weight] : routes_) {
        if (gateway) list.emplace(port, *gateway);
    }
    for (const auto& [route, object] : object_routes_) {
        for (const Way& way : objects_.ways(object)) {
            if (way.gateway && twins_[way.port].table == std::get<2>(route)) list.emplace(way.port, *way.gateway);
        }
    }
    return list;
}

std::shared_ptr<const snapshot::RoutingSnapshot> KernelTables::build() {
    auto next = std::make_shared<snapshot::RoutingSnapshot>();
    next->apart = apart();
    for (std::size_t port = 0; port < twins_.size(); ++port) {
        snapshot::PortState state{
            twins_[port].mac, twins_[port].mtu, up_[port] && !unplugged_[port], {}, twins_[port].side};
        for (const auto& [owner, prefix] : addresses_) {
            if (owner == port) state.addresses.push_back(prefix);
        }
        next->ports.push_back(std::move(state));
    }
    std::set<RouteKey> ways = all_ways();
    for (const auto& [prefix, metric, port, gateway, weight] : ways) {
        next->routes.push_back({prefix, port, !gateway, gateway.value_or(IpAddress{}), metric, -1, weight});
    }
    // Old neighbours keep their index, new ones take the lowest free.
    std::erase_if(indices_, [this](const auto& entry) { return !neighbours_.contains(entry.first); });
    if (learned_changed_) {
        const std::set<Station> known(learned_.begin(), learned_.end());
        std::erase_if(learned_indices_, [&](const auto& entry) { return !known.contains(entry.first); });
    }
    std::vector<bool> taken(last_ ? last_->next_hops.size() : 0, false);
    for (const auto& [key, index] : indices_) taken[index] = true;
    for (const auto& [station, index] : learned_indices_) taken[index] = true;
    std::size_t free = 0;
    const auto give_index = [&](auto& indices, const auto& key) {
        if (indices.contains(key)) return;
        while (free < taken.size() && taken[free]) ++free;
        if (free >= kMostNextHops) return;
        if (free == taken.size()) taken.push_back(false);
        taken[free] = true;
        indices.emplace(key, static_cast<std::uint16_t>(free));
    };
    for (const auto& [key, neighbour] : neighbours_) give_index(indices_, key);
    for (const Station& station : learned_) give_index(learned_indices_, station);
    next->next_hops.resize(taken.size());
    for (const auto& [station, index] : learned_indices_) {
        next->next_hops[index] = {station.second, twins_[station.first].mac, static_cast<std::uint8_t>(station.first),
                                  next->ports[station.first].link_up, 0};
    }
    for (const auto& [key, index] : indices_) {
        next->next_hops[index] = {neighbours_.at(key).mac, twins_[key.first].mac, static_cast<std::uint8_t>(key.first),
                                  true, 0};
        next->neighbours.emplace(snapshot::NeighbourKey{key.first, key.second}, index);
    }
    if (!last_) {
        next->epoch = 1;
    } else {
        bool moved = ways != last_routes_ || lost_a_link(*last_, *next) ||
                     (gained_a_link(*last_, *next) && found_a_link(*last_, *next));
        for (std::size_t i = 0; i < last_->next_hops.size() && !moved; ++i) {
            // An index nobody could have used may begin to mean something without notice.
            moved = last_->next_hops[i].usable && !same(last_->next_hops[i], next->next_hops[i]);
        }
        next->epoch = static_cast<std::uint16_t>(last_->epoch + (moved ? 1 : 0));
        const bool kernel_news = moved || next->neighbours != last_->neighbours || !same_ports(*next, *last_);
        if (!kernel_news && !learned_changed_) return nullptr;
        only_learned_ = !kernel_news;
    }
    next->since.resize(next->next_hops.size());
    for (std::size_t i = 0; i < next->next_hops.size(); ++i) {
        const bool as_before = last_ && i < last_->next_hops.size() && same(last_->next_hops[i], next->next_hops[i]);
        next->since[i] = as_before ? last_->since[i] : next->epoch;
    }
    next->finish();
    learned_changed_ = false;
    last_routes_ = std::move(ways);
    last_ = next;
    return next;
}

}  // namespace guideway::net
