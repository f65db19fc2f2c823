#include "controlplane/ipam/wish.h"

#include <algorithm>
#include <array>
#include <cstddef>

namespace guideway::ipam {
namespace {

constexpr std::array<std::string_view, 11> kReasons{
    "NoAvailableIPs", "NotInAnyPool",   "InUse",          "PortConflict",       "SharingKeyMismatch",  "PoolNotAllowed",
    "UnknownPool",    "FamilyMismatch", "InvalidRequest", "ConflictingRequest", "NotEnoughClusterIPs",
};

std::string list_of(const std::vector<IpAddress>& addresses) {
    std::string text;
    for (const IpAddress& address : addresses) text += (text.empty() ? "" : ", ") + address.to_string();
    return text;
}

bool has_both_families(const std::vector<IpAddress>& addresses) {
    return std::any_of(addresses.begin(), addresses.end(),
                       [&](const IpAddress& address) { return address.family != addresses.front().family; });
}

}  // namespace

std::string_view to_string(Reason reason) { return kReasons[static_cast<std::size_t>(reason)]; }

std::optional<Reason> parse_reason(std::string_view text) {
    for (std::size_t i = 0; i < kReasons.size(); ++i) {
        if (kReasons[i] == text) return static_cast<Reason>(i);
    }
    return std::nullopt;
}

std::optional<ServiceKey> ServiceKey::parse(std::string_view text) {
    ServiceKey key;
    const std::size_t first = text.find('/');
    if (first == std::string_view::npos) return std::nullopt;
    const std::size_t second = text.find('/', first + 1);
    std::string_view rest = text;
    if (second != std::string_view::npos) {
        key.cluster = text.substr(0, first);
        if (key.cluster.empty() || key.cluster == kDefaultCluster) return std::nullopt;
        rest = text.substr(first + 1);
    }
    const std::size_t slash = rest.find('/');
    key.name_space = rest.substr(0, slash);
    key.name = rest.substr(slash + 1);
    if (key.name_space.empty() || key.name.empty() || key.name.find('/') != std::string::npos) return std::nullopt;
    return key;
}

std::string list_of(const std::vector<Holding>& holdings) {
    std::string text;
    for (const Holding& holding : holdings) text += (text.empty() ? "" : ", ") + holding.address.to_string();
    return text;
}

FamilyPolicy Wish::effective_policy() const {
    const bool one_family = !cluster_ips.empty() && !has_both_families(cluster_ips);
    return policy == FamilyPolicy::prefer_dual && one_family ? FamilyPolicy::single : policy;
}

std::optional<Refusal> fault_of(const Wish& wish) {
    if (!wish.unreadable_addresses.empty()) {
        std::string list;
        for (const std::string& text : wish.unreadable_addresses) list += (list.empty() ? "\"" : ", \"") + text + "\"";
        return Refusal{Reason::invalid_request,
                       "the requested " + list +
                           (wish.unreadable_addresses.size() == 1 ? " is no IP address" : " are no IP addresses") +
                           "; write addresses such as \"192.0.2.1\" or \"2001:db8::1\""};
    }
    if (!wish.addresses.empty() && !wish.annotation_addresses.empty()) {
        return Refusal{Reason::conflicting_request, "addresses are requested in two ways at once, by the field (" +
                                                        list_of(wish.addresses) + ") and by an annotation (" +
                                                        list_of(wish.annotation_addresses) + "); remove one of them"};
    }
    const std::vector<IpAddress>& requested = wish.requested();
    if (requested.size() > 2 || (requested.size() == 2 && !has_both_families(requested))) {
        return Refusal{Reason::invalid_request, "more than one address of a family is requested (" +
                                                    list_of(requested) + "); ask for one a family"};
    }
    if (wish.policy == FamilyPolicy::require_dual && !wish.cluster_ips.empty() &&
        !has_both_families(wish.cluster_ips)) {
        return Refusal{Reason::not_enough_cluster_ips,
                       "RequireDualStack needs cluster IPs of both families, and the service has only " +
                           list_of(wish.cluster_ips) +
                           "; give the cluster both families, or ask for SingleStack or "
                           "PreferDualStack"};
    }
    return std::nullopt;
}

}  // namespace guideway::ipam
