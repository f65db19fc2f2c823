// How a load balancer's choices are spelled: externalTrafficPolicy "Cluster" or "Local" (as Kubernetes spells it), mode "nat" or
// "pod". Worked example: parse_traffic_policy("Local") is TrafficPolicy::local, of "local" nothing.
// Thread contract: pure functions.
#pragma once

#include <optional>
#include <string_view>

#include "api/resources/load_balancer.h"

namespace guideway::resources {

constexpr std::string_view to_string(TrafficPolicy policy) {
    return policy == TrafficPolicy::local ? "Local" : "Cluster";
}

constexpr std::string_view to_string(ForwardingMode mode) { return mode == ForwardingMode::pod ? "pod" : "nat"; }

inline std::optional<TrafficPolicy> parse_traffic_policy(std::string_view text) {
    for (const auto policy : {TrafficPolicy::cluster, TrafficPolicy::local}) {
        if (text == to_string(policy)) return policy;
    }
    return std::nullopt;
}

inline std::optional<ForwardingMode> parse_forwarding_mode(std::string_view text) {
    for (const auto mode : {ForwardingMode::nat, ForwardingMode::pod}) {
        if (text == to_string(mode)) return mode;
    }
    return std::nullopt;
}

}  // namespace guideway::resources
