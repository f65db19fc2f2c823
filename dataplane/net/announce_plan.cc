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
    return Pair{route->port, address, routing.ports[route->port].mac};
}

void AnnouncePlan::update(const std::vector<IpAddress>& addresses, const snapshot::RoutingSnapshot& routing,
                          TimePoint now, const ServedOn& served_on, const std::set<IpAddress>& of_nodes,
                          const std::vector<bool>& carrying) {
    yields_.keep_only(addresses, served_on);
    link_up_.clear();
    for (std::size_t i = 0; i < routing.ports.size(); ++i)
        link_up_.push_back(routing.ports[i].link_up && (i >= carrying.size() || carrying[i]));
    if (settings_.repeats == 0) return;
    wanted_.clear();
    for (const IpAddress& address : addresses) {
        const auto side = of_nodes.contains(address) ? snapshot::Side::nodes : snapshot::Side::clients;
        const auto pair = pair_of(address, routing, side);
        if (pair && link_up_[pair->port] && (!served_on || served_on(pair->port, address))) wanted_.insert(*pair);
    }
    follow(now);
}

void AnnouncePlan::follow(TimePoint now) {
    std::set<Pair> ours;
    for (const Pair& pair : wanted_) {
        if (!yields_.has(snapshot::Place{pair.port, pair.address})) ours.insert(pair);
    }
    // What is not ours any more is not announced, however often it was still to be; nor is what is announced anew.
    std::set<std::pair<std::uint16_t, IpAddress>> going_on;
    for (const Pair& pair : ours) {
        if (pairs_.contains(pair)) going_on.emplace(pair.port, pair.address);
    }
    std::erase_if(due_, [&](const auto& entry) {
        return !entry.second.own && !going_on.contains({entry.second.port, entry.second.address});
    });
    for (const Pair& pair : ours) {
        if (!pairs_.contains(pair)) due_.emplace(now, Item{pair.port, pair.address, 0});
    }
    pairs_ = std::move(ours);
}

void AnnouncePlan::again(std::uint16_t port, const std::vector<IpPrefix>& own, TimePoint now) {
    if (settings_.repeats == 0) return;
    std::erase_if(due_, [&](const auto& entry) { return entry.second.port == port; });
    for (const Pair& pair : pairs_) {
        if (pair.port == port) due_.emplace(now, Item{port, pair.address, 0});
    }
    for (const IpPrefix& prefix : own) due_.emplace(now, Item{port, prefix.address, settings_.repeats, false, true});
}

void AnnouncePlan::keep_pace(TimePoint now) {
    const std::chrono::nanoseconds pause = std::chrono::nanoseconds(std::chrono::seconds(1)) / settings_.per_second;
    // What was not used in time is not made up for but for a twentieth of a second, which a thread may come late.
    not_before_ = std::max(not_before_ + pause, now - std::chrono::milliseconds(50));
}

std::optional<AnnouncePlan::Item> AnnouncePlan::next(TimePoint now) {
    if (now < not_before_) return std::nullopt;
    if (const auto place = yields_.next_probe(now, link_up_)) {
        keep_pace(now);
        return Item{place->port, place->address, 0, true};
    }
    if (due_.empty() || due_.begin()->first > now) return std::nullopt;
    const Item item = due_.begin()->second;
    due_.erase(due_.begin());
    keep_pace(now);
    if (item.number + 1 < settings_.repeats) {
        const std::chrono::seconds later(1ULL << std::min<std::uint32_t>(item.number, 6));
        due_.emplace(now + later, Item{item.port, item.address, item.number + 1});
    }
    return item;
}

void AnnouncePlan::put_back(const Item& item, TimePoint now) {
    if (item.probe) {
        yields_.put_back({item.port, item.address}, now);
    } else {
        due_.emplace(now + kPutBack, item);
    }
}

void AnnouncePlan::defend(const snapshot::Place& place, TimePoint now) {
    const bool on_its_link = std::ranges::any_of(
        pairs_, [&](const Pair& one) { return one.address == place.address && one.port == place.port; });
    if (!on_its_link) return;
    const auto defended = defended_.find(place);
    if (defended != defended_.end() && now - defended->second < kDefendEach) return;
    // As the last of its repeats: once.
    due_.emplace(now, Item{place.port, place.address, settings_.repeats});
    defended_[place] = now;
}

AnnouncePlan::Told AnnouncePlan::claimed(const IpAddress& address, const snapshot::MacAddress& mac, std::uint16_t port,
                                         TimePoint now) {
    ++claims_;
    const snapshot::Place place{port, address};
    const auto known = conflicts_.find(address);
    if (known == conflicts_.end() && conflicts_.size() >= kMostConflicts) {
        defend(place, now);  // and not yielded: that would be told nowhere
        return Told::nothing_new;
    }
    Conflict& conflict = conflicts_[address];
    const bool is_new = conflict.claims == 0 || conflict.mac != mac || now - conflict.last >= kConflictOver;
    const YieldPlan::Heard heard = yields_.claimed(place, now);
    if (heard == YieldPlan::Heard::contested && yields_.has(snapshot::Place{conflict.port, address})) {
        // Left to a machine on another port's link: that is what is told of the address.
        ++conflict.claims;
        conflict.last = now;
        defend(place, now);
        return Told::nothing_new;
    }
    conflict = {address, mac, port, conflict.claims + 1, now, false};
    switch (heard) {
        case YieldPlan::Heard::yielded:
            follow(now);
            return Told::yielded;
        case YieldPlan::Heard::contested:
            defend(place, now);
            break;
        case YieldPlan::Heard::known:
            break;
    }
    return is_new ? Told::conflict : Told::nothing_new;
}

std::vector<snapshot::Place> AnnouncePlan::resume(TimePoint now) {
    auto resumed = yields_.resume(now, link_up_);
    for (const snapshot::Place& place : resumed) {
        if (!yields_.has(place.address)) conflicts_.erase(place.address);
    }
    if (!resumed.empty()) follow(now);
    return resumed;
}

std::vector<Conflict> AnnouncePlan::conflicts(TimePoint now) {
    std::vector<Conflict> list;
    std::erase_if(defended_, [&](const auto& one) { return now - one.second >= kConflictOver; });
    for (auto at = conflicts_.begin(); at != conflicts_.end();) {
        at->second.yielded = yields_.has(at->first);
        if (!at->second.yielded && now - at->second.last >= kConflictOver) {
            at = conflicts_.erase(at);
        } else {
            list.push_back((at++)->second);
        }
    }
    return list;
}

}  // namespace guideway::net
