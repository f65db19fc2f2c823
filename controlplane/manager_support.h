// What the manager's files share: problems, preconditions, pages. Inside controlplane only. Thread contract: pure functions.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "api/resources/selector_query.h"
#include "api/rest/appliance.h"
#include "api/rest/selection.h"
#include "controlplane/pool_ways.h"
#include "controlplane/reconcile/desired_state.h"
#include "controlplane/records.h"
#include "controlplane/store/store.h"

namespace guideway::controlplane {

inline resources::Problem problem_of(const store::Error& error) {
    const bool full = error.kind == store::ErrorKind::full;
    return {full ? 507 : 503, full ? "StoreFull" : "StoreUnavailable", error.message, {}};
}

inline reconcile::Forwarded forwarded_of(const ipam::ServiceKey& key, const LoadBalancerRecord& record,
                                         const WaysOfPools& pools) {
    const resources::LoadBalancerSpec& spec = record.object.spec;
    reconcile::Forwarded one;
    one.name = key.to_string();
    one.ports = record.ports;
    one.idle_timeout_seconds = spec.idle_timeout_seconds;
    one.cluster = key.cluster;
    one.policy = spec.external_traffic_policy;
    one.mode = spec.mode;
    one.health_check_node_port = spec.health_check_node_port;
    one.affinity_seconds = spec.affinity_seconds;
    one.source_ranges = spec.source_ranges;
    one.ranges_end_established = spec.ranges_end_established;
    one.silent = spec.silent;
    one.limits = spec.limits;
    one.endpoint_slices = spec.endpoint_slices;
    for (const resources::Ingress& ingress : record.object.status.ingress) {
        one.addresses.push_back(ingress.ip);
        const auto pool = pools.find(ingress.pool);
        if (pool == pools.end()) continue;
        if (pool->second.silent) one.silent_addresses.push_back(ingress.ip);
        if (!pool->second.ports.empty()) one.bound_addresses.push_back({ingress.ip, pool->second.ports});
    }
    return one;
}

/// Entries of the forwarding state that it makes.
inline std::size_t services_of(const LoadBalancerRecord& record) {
    return record.object.status.ingress.size() * record.ports.size();
}

inline resources::Problem not_found(const std::string& what, const std::string& name) {
    return {404, "NotFound", "there is no " + what + " \"" + name + "\"", {}};
}

/// `before`: the object's metadata; null where there is none.
inline std::optional<resources::Problem> refuse_precondition(const resources::Metadata* before,
                                                             const rest::Precondition& wanted) {
    const auto failed = [](std::string detail) {
        return resources::Problem{412, "PreconditionFailed", std::move(detail), {}};
    };
    if (wanted.must_be_new && before != nullptr) {
        return failed("If-None-Match: * asks for a new object, but there is one, of version " +
                      std::to_string(before->resource_version) + "; read it and decide anew");
    }
    if (!wanted.version && !wanted.must_exist) return std::nullopt;
    if (before == nullptr) {
        return failed((wanted.version ? "If-Match names version " + std::to_string(*wanted.version)
                                      : std::string("If-Match: * asks for an object that exists")) +
                      ", but there is no such object; read again and decide anew");
    }
    if (!wanted.version || before->resource_version == *wanted.version) return std::nullopt;
    return failed("If-Match names version " + std::to_string(*wanted.version) + ", in force is " +
                  std::to_string(before->resource_version) + "; read again and decide anew");
}

/// The same wish again: what the client says is what is there.
template <class T>
bool same_wish(const T& wanted, const T& before) {
    const bool same_uid = wanted.metadata.uid.empty() || wanted.metadata.uid == before.metadata.uid;
    return wanted.spec == before.spec && wanted.metadata.labels == before.metadata.labels && same_uid;
}

/// The key after which a page begins, as its token has it: the last one of the page before.
inline constexpr const char* kPageTokenStart = "after:";

/// A page of `map` (sorted). `metadata(value)`, `render(value)`, `text(key)`: the key as a text, by which pages go on.
template <class T, class Map, class GetMetadata, class Render, class Text>
rest::Result<rest::Page<T>> page_of(const Map& map, const rest::PageRequest& request, std::uint64_t revision,
                                    GetMetadata metadata, Render render, Text text) {
    rest::Page<T> page;
    page.revision = revision;
    auto at = map.begin();
    if (!request.after_token.empty()) {
        const std::string start = kPageTokenStart;
        if (!request.after_token.starts_with(start)) {
            return resources::Problem{400,
                                      "InvalidRequest",
                                      "the continue token is not one of this server's",
                                      {{"?continue", "found another text than a list answered as `continue`"}}};
        }
        const std::string last = request.after_token.substr(start.size());
        // The order of the texts is not that of the keys ('-' < '/'), so the place is looked for.
        at = std::find_if(map.begin(), map.end(), [&](const auto& item) { return text(item.first) == last; });
        if (at == map.end()) {
            return resources::Problem{
                410, "Expired", "the object after which this page would begin is gone; list from the start", {}};
        }
        ++at;
    }
    std::string last;
    for (; at != map.end(); ++at) {
        if (!rest::selects(request.selection, metadata(at->second))) continue;
        if (request.limit != 0 && page.items.size() == request.limit) {
            ++page.remaining;
            continue;
        }
        page.items.push_back(render(at->second));
        last = text(at->first);
    }
    if (page.remaining > 0) page.next_token = kPageTokenStart + last;
    return page;
}

}  // namespace guideway::controlplane
