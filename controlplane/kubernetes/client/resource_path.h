// ApiResource: a kind of the Kubernetes API and the paths of its collections and objects.
//
// Worked example: kServices.collection("prod") -> "/api/v1/namespaces/prod/services"; kEndpointSlices.collection() ->
// "/apis/discovery.k8s.io/v1/endpointslices" (of all namespaces); kServices.object("prod", "web", "status") ->
// "/api/v1/namespaces/prod/services/web/status"; kNodes.object("", "node-1") -> "/api/v1/nodes/node-1".
// Thread contract: plain values and pure functions.
#pragma once

#include <string>
#include <string_view>

namespace guideway::kubernetes {

struct ApiResource {
    std::string_view group;  ///< empty: the core group
    std::string_view version;
    std::string_view plural;

    /// `name_space` empty: of all namespaces, or of a kind without namespaces.
    std::string collection(std::string_view name_space = {}) const;
    std::string object(std::string_view name_space, std::string_view name, std::string_view subresource = {}) const;
};

inline constexpr ApiResource kServices{"", "v1", "services"};
inline constexpr ApiResource kNodes{"", "v1", "nodes"};
inline constexpr ApiResource kNamespaces{"", "v1", "namespaces"};
inline constexpr ApiResource kEvents{"", "v1", "events"};
inline constexpr ApiResource kEndpointSlices{"discovery.k8s.io", "v1", "endpointslices"};
inline constexpr ApiResource kLeases{"coordination.k8s.io", "v1", "leases"};

/// Everything but letters, digits and -._~ as %XX: for a path segment or a value of a query.
std::string percent_encode(std::string_view text);

/// "services \"prod/web\"" is for people; this is the key of objects everywhere here: "prod/web", or "node-1" without namespace.
std::string object_key(std::string_view name_space, std::string_view name);

}  // namespace guideway::kubernetes
