// Where in the REST API something is: paths and queries, percent-encoded. Thread contract: pure functions and plain values.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/resources/address_pool.h"
#include "api/resources/event.h"
#include "api/resources/load_balancer.h"
#include "api/resources/metadata.h"
#include "api/resources/node.h"
#include "api/resources/token.h"

namespace guideway::client {

/// Which objects of a kind are meant; empty members: any.
struct Selection {
    std::string cluster = {};
    std::string namespace_ = {};
    std::string labels = {};  ///< "team=shop,tier!=test,zone in (a,b),!old"
    // Of events alone: of which object they tell.
    std::string regarding_kind = {};  ///< "LoadBalancer"
    std::string regarding_name = {};
};

/// Whose name is what: empty members where the kind has none.
struct ObjectName {
    std::string cluster = resources::kDefaultCluster;
    std::string namespace_ = {};
    std::string name = {};
};

/// One path segment or query value, percent-encoded (RFC 3986: all but the unreserved characters).
std::string encoded(std::string_view text);

using Query = std::vector<std::pair<std::string_view, std::string>>;
/// "?a=b&c=d" of those that are not empty; "" where all are.
std::string query_text(const Query& query);

/// The kinds' places. `collection`: "load-balancers".
template <class T>
struct KindPlace;
template <>
struct KindPlace<resources::LoadBalancer> {
    static constexpr const char* collection = "load-balancers";
    static constexpr bool of_cluster = true, of_namespace = true;
};
template <>
struct KindPlace<resources::Node> {
    static constexpr const char* collection = "nodes";
    static constexpr bool of_cluster = true, of_namespace = false;
};
template <>
struct KindPlace<resources::AddressPool> {
    static constexpr const char* collection = "address-pools";
    static constexpr bool of_cluster = false, of_namespace = false;
};
template <>
struct KindPlace<resources::Token> {
    static constexpr const char* collection = "tokens";
    static constexpr bool of_cluster = false, of_namespace = false;
};
template <>
struct KindPlace<resources::Event> {
    static constexpr const char* collection = "events";
    static constexpr bool of_cluster = false, of_namespace = false;
};

/// "/v1/load-balancers/shop/web"; "/v1/clusters/prod/load-balancers/shop/web" of another cluster than "default".
template <class T>
std::string object_path(const ObjectName& of) {
    const bool other = KindPlace<T>::of_cluster && of.cluster != resources::kDefaultCluster;
    return "/v1/" + (other ? "clusters/" + encoded(of.cluster) + "/" : std::string()) + KindPlace<T>::collection + "/" +
           (KindPlace<T>::of_namespace ? encoded(of.namespace_) + "/" : std::string()) + encoded(of.name);
}

template <class T>
ObjectName name_of(const T& object) {
    return {object.metadata.cluster, object.metadata.namespace_, object.metadata.name};
}

/// A list or a watch: "/v1/load-balancers?namespace=shop"; of one cluster "/v1/clusters/prod/load-balancers". What the kind does not
/// know (a namespace of nodes) is left out.
template <class T>
std::string list_path(const Selection& selection, const Query& more = {}) {
    constexpr bool kEvents = std::is_same_v<T, resources::Event>;
    const bool of_one = KindPlace<T>::of_cluster && !selection.cluster.empty();
    Query query;
    if (kEvents) query.emplace_back("cluster", selection.cluster);
    if (KindPlace<T>::of_namespace || kEvents) query.emplace_back("namespace", selection.namespace_);
    if (kEvents) {
        query.emplace_back("kind", selection.regarding_kind);
        query.emplace_back("name", selection.regarding_name);
    } else {
        query.emplace_back("labelSelector", selection.labels);
    }
    query.insert(query.end(), more.begin(), more.end());
    return "/v1/" + (of_one ? "clusters/" + encoded(selection.cluster) + "/" : std::string()) +
           KindPlace<T>::collection + query_text(query);
}

}  // namespace guideway::client
