#include "dataplane/net/state_routes.h"

#include <algorithm>
#include <chrono>
#include <linux/rtnetlink.h>
#include <set>
#include <thread>

#include <spdlog/spdlog.h>

#include "dataplane/net/leftovers.h"

namespace guideway::net {
namespace {

constexpr auto kPatience = std::chrono::milliseconds(500);

}  // namespace

StateRoutes::StateRoutes(std::vector<TwinIdentity> twins, const snapshot::Publisher& publisher)
    : twins_(std::move(twins)), publisher_(publisher) {}

std::optional<std::string> StateRoutes::start() { return kernel_.open(0); }

std::vector<StateRoutes::Present> StateRoutes::present() {
    std::vector<Present> list;
    const auto read = [&] {
        list.clear();
        return kernel_.dump(RTM_GETROUTE, [&](const nlmsghdr& message) {
            for (const TwinIdentity& twin : twins_) {
                const auto route = own_route_in(message, twin.ifindex, kStateRoutes);
                if (route) list.push_back({twin.ifindex, route->to, route->via, route->table});
            }
        });
    };
    for (int attempt = 0; attempt < 3; ++attempt) {  // others may change the table meanwhile
        if (read()) break;
    }
    std::sort(list.begin(), list.end());
    return list;
}

const TwinIdentity* StateRoutes::way_to(const IpAddress& via) const {
    const auto routing = publisher_.current_routing();
    for (std::size_t port = 0; port < std::min(routing->ports.size(), twins_.size()); ++port) {
        if (routing->apart && twins_[port].side != snapshot::Side::nodes) continue;
        for (const IpPrefix& own : routing->ports[port].addresses) {
            if (own.address.family == via.family && own.address != via && own.contains(via)) return &twins_[port];
        }
    }
    return nullptr;
}

std::size_t StateRoutes::add(const std::vector<contract::Route>& routes, const std::vector<Present>& there,
                             contract::RouteStatus& status) {
    std::size_t added = 0;
    status = {};
    status.wanted = routes.size();
    const bool apart = publisher_.current_routing()->apart;
    const auto missing = [&](const contract::Route& route, std::string reason) {
        if (status.missing.size() < contract::RouteStatus::kMostTold)
            status.missing.push_back({route.destination, route.via, std::move(reason)});
    };
    for (const contract::Route& route : routes) {
        const TwinIdentity* twin = way_to(route.via);
        if (twin == nullptr) {
            missing(route, std::string("no port ") + (apart ? "of the nodes' side " : "") +
                               "has an address in the network of " + route.via.to_string());
            continue;
        }
        const OwnRoute wanted{route.destination, route.via, twin->table};
        if (!std::binary_search(there.begin(), there.end(),
                                Present{twin->ifindex, wanted.to, wanted.via, wanted.table})) {
            if (const auto refused = kernel_.add_route(twin->ifindex, wanted, kStateRoutes)) {
                missing(route, "the kernel refuses it: " + *refused);
                continue;
            }
            ++added;
        }
        ++status.in_force;
    }
    return added;
}

void StateRoutes::wait_until_seen(const std::vector<contract::Route>& routes) const {
    const auto until = std::chrono::steady_clock::now() + kPatience;
    std::set<IpPrefix> unreachable;
    for (const contract::MissingRoute& one : status_.missing) unreachable.insert(one.destination);
    for (;;) {
        const auto routing = publisher_.current_routing();
        std::set<std::pair<IpPrefix, IpAddress>> seen;
        for (const snapshot::Route& route : routing->routes) {
            if (!route.on_link) seen.emplace(route.prefix, route.gateway);
        }
        const bool all = std::all_of(routes.begin(), routes.end(), [&](const contract::Route& route) {
            return unreachable.contains(route.destination) || seen.contains({route.destination, route.via});
        });
        if (all || std::chrono::steady_clock::now() > until) return;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
}

void StateRoutes::put(const std::vector<contract::Route>& routes) {
    const std::lock_guard lock(mutex_);
    if (routes.empty() || (settled_once_ && routes == settled_)) return;
    if (add(routes, present(), status_) != 0) wait_until_seen(routes);
}

void StateRoutes::settle(const std::vector<contract::Route>& routes) {
    const std::lock_guard lock(mutex_);
    if (settled_once_ && routes == settled_) return;
    settled_ = routes;
    settled_once_ = true;
    settle_now();
}

void StateRoutes::look() {
    const std::lock_guard lock(mutex_);
    if (!settled_.empty()) settle_now();
}

void StateRoutes::settle_now() {
    const contract::RouteStatus before = status_;
    add(settled_, present(), status_);
    std::set<std::pair<IpPrefix, IpAddress>> wanted;
    for (const contract::Route& route : settled_) wanted.emplace(route.destination, route.via);
    for (const Present& one : present()) {
        const TwinIdentity* twin = way_to(one.via);
        const bool in_place = twin != nullptr && twin->ifindex == one.ifindex && twin->table == one.table;
        if (wanted.contains({one.to, one.via}) && in_place) continue;
        if (const auto refused = kernel_.remove_route(one.ifindex, {one.to, one.via, one.table}, kStateRoutes)) {
            spdlog::warn("route {} via {} of an earlier state stays: {}", one.to.to_string(), one.via.to_string(),
                         *refused);
        }
    }
    if (status_.missing.empty() || status_.missing == before.missing) return;
    for (const contract::MissingRoute& route : status_.missing) {
        spdlog::warn("route {} via {} of the state is not there: {}", route.destination.to_string(),
                     route.via.to_string(), route.reason);
    }
}

contract::RouteStatus StateRoutes::status() const {
    const std::lock_guard lock(mutex_);
    return status_;
}

}  // namespace guideway::net
