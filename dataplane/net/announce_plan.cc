#include "dataplane/net/announce_plan.h"

#include <algorithm>

namespace guideway::net {

using TimePoint = AnnouncePlan::TimePoint;

namespace {

constexpr std::chrono::milliseconds kPutBack{20};

}  // namespace

std::optional<AnnouncePlan::Pair> AnnouncePlan::pair_of(const IpAddress& address,
                                                        const snapshot::RoutingSnapshot& routing, snapshot::Side side) {
    // Sorted: the longest prefix and the best metric first. One port alone: two with different MACs would contradict each other.
    const auto route = std::find_if(routing.routes.begin(), routing.routes.end(), [&](const snapshot::Route& one) {
        return one.prefix.contains(address) && (!routing.apart || routing.side_of(one.port) == side);
    });
    if (route == routing.routes.end() || !route->on_link || route->port >= routing.ports.size()) return std::nullopt;
    const snapshot::PortState& port = routing.ports[route->port];
    if (!port.link_up) return std::nullopt;
    return Pair{route->port, address, port.mac};
}

void AnnouncePlan::update(const std::vector<IpAddress>& addresses, const snapshot::RoutingSnapshot& routing,
                          TimePoint now, const std::set<IpAddress>& of_nodes) {
    if (settings_.repeats == 0) return;
    std::set<Pair> wanted;
    for (const IpAddress& address : addresses) {
        const auto side = of_nodes.contains(address) ? snapshot::Side::nodes : snapshot::Side::clients;
        if (const auto pair = pair_of(address, routing, side)) wanted.insert(*pair);
    }
    // What is not ours any more is not announced, however often it was still to be; nor is what is announced anew.
    std::set<std::pair<std::uint16_t, IpAddress>> going_on;
    for (const Pair& pair : wanted) {
        if (pairs_.contains(pair)) going_on.emplace(pair.port, pair.address);
    }
    std::erase_if(due_, [&](const auto& entry) {
        return !going_on.contains({entry.second.port, entry.second.address});
    });
    for (const Pair& pair : wanted) {
        if (!pairs_.contains(pair)) due_.emplace(now, Item{pair.port, pair.address, 0});
    }
    pairs_ = std::move(wanted);
}

std::optional<AnnouncePlan::Item> AnnouncePlan::next(TimePoint now) {
    if (due_.empty() || due_.begin()->first > now || now < not_before_) return std::nullopt;
    const Item item = due_.begin()->second;
    due_.erase(due_.begin());
    const std::chrono::nanoseconds pause = std::chrono::nanoseconds(std::chrono::seconds(1)) / settings_.per_second;
    // What was not used in time is not made up for but for a twentieth of a second, which a thread may come late.
    not_before_ = std::max(not_before_ + pause, now - std::chrono::milliseconds(50));
    if (item.number + 1 < settings_.repeats) {
        const std::chrono::seconds later(1ULL << std::min<std::uint32_t>(item.number, 6));
        due_.emplace(now + later, Item{item.port, item.address, item.number + 1});
    }
    return item;
}

void AnnouncePlan::put_back(const Item& item, TimePoint now) { due_.emplace(now + kPutBack, item); }

AnnouncePlan::Told AnnouncePlan::claimed(const IpAddress& address, const snapshot::MacAddress& mac, std::uint16_t port,
                                         TimePoint now) {
    ++claims_;
    if (const auto pair = std::find_if(pairs_.begin(), pairs_.end(),
                                       [&](const Pair& one) { return one.address == address && one.port == port; });
        pair != pairs_.end()) {
        const auto defended = defended_.find(address);
        if (defended == defended_.end() || now - defended->second >= kDefendEach) {
            // As the last of its repeats: once.
            due_.emplace(now, Item{port, address, settings_.repeats});
            defended_[address] = now;
        }
    }
    const auto known = conflicts_.find(address);
    if (known == conflicts_.end() && conflicts_.size() >= kMostConflicts) return Told::nothing_new;
    Conflict& conflict = conflicts_[address];
    const bool is_new = conflict.claims == 0 || conflict.mac != mac || now - conflict.last >= kConflictOver;
    conflict = {address, mac, port, conflict.claims + 1, now};
    return is_new ? Told::conflict : Told::nothing_new;
}

std::vector<Conflict> AnnouncePlan::conflicts(TimePoint now) {
    std::erase_if(conflicts_, [&](const auto& one) { return now - one.second.last >= kConflictOver; });
    std::erase_if(defended_, [&](const auto& one) { return now - one.second >= kConflictOver; });
    std::vector<Conflict> list;
    for (const auto& [address, conflict] : conflicts_) list.push_back(conflict);
    return list;
}

}  // namespace guideway::net
