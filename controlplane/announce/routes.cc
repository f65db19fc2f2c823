#include "controlplane/announce/routes.h"

#include <algorithm>
#include <iterator>
#include <map>
#include <set>
#include <string_view>

namespace guideway::announce {
namespace {

bool takes_connections(const contract::BackendSet& set) {
    return std::any_of(set.backends.begin(), set.backends.end(),
                       [](const contract::Backend& one) { return one.weight > 0 && !one.closed; });
}

bool covers(const Advertisement& rule, const std::string& pool) {
    return rule.pools.empty() || std::find(rule.pools.begin(), rule.pools.end(), pool) != rule.pools.end();
}

}  // namespace

std::vector<IpAddress> served(const contract::ForwardingState& state, WithoutBackends without_backends) {
    std::set<std::string_view> taking;
    for (const contract::BackendSet& set : state.backend_sets) {
        if (takes_connections(set)) taking.insert(set.name);
    }
    std::set<IpAddress> out;
    for (const contract::Service& service : state.services) {
        if (without_backends == WithoutBackends::announce || taking.contains(service.backend_set)) {
            out.insert(service.vip);
        }
    }
    return {out.begin(), out.end()};
}

std::vector<IpAddress> in_both(const std::vector<IpAddress>& a, const std::vector<IpAddress>& b) {
    std::vector<IpAddress> out;
    std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(out));
    return out;
}

std::vector<Route> routes_of(const std::vector<IpAddress>& served, const std::vector<Pool>& pools,
                             const std::vector<Advertisement>& advertisements) {
    std::map<IpPrefix, std::size_t> made;
    for (const IpAddress& address : served) {
        // Pools do not overlap (ipam-rules 2): the first that has it is the one.
        const auto pool = std::find_if(pools.begin(), pools.end(), [&](const Pool& one) {
            return std::any_of(one.ranges.begin(), one.ranges.end(),
                               [&](const ipam::AddressRange& range) { return range.contains(address); });
        });
        const std::string name = pool == pools.end() ? std::string() : pool->name;
        for (std::size_t i = 0; i < advertisements.size(); ++i) {
            const Advertisement& rule = advertisements[i];
            if (!covers(rule, name)) continue;
            const IpPrefix prefix{address, address.is_v4() ? rule.ipv4_length : rule.ipv6_length};
            const auto [at, fresh] = made.emplace(prefix.network(), i);
            if (!fresh) at->second = std::min(at->second, i);
        }
    }
    std::vector<Route> out;
    out.reserve(made.size());
    for (const auto& [prefix, rule] : made) out.push_back({prefix, rule});
    return out;
}

std::optional<std::vector<Route>> decide(const Situation& now, const std::vector<Pool>& pools,
                                         const std::vector<Advertisement>& advertisements) {
    if (now.maintenance) return std::vector<Route>{};
    if (!now.dataplane_connected) {
        if (now.dataplane_asked) return std::vector<Route>{};
        return std::nullopt;
    }
    if (!now.confirmed || !now.wanted) return std::nullopt;
    return routes_of(in_both(*now.confirmed, *now.wanted), pools, advertisements);
}

}  // namespace guideway::announce
