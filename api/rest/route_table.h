// The parts that every route is made of: its entry in the table, the context of one request, answers. Inside api/rest only; the
// routes themselves are in routes_*.cc, one file a group.
//
// Terms. Template: the path with {parameters}. Cluster form: a path with "/clusters/{cluster}" after "/v1"; the same route
// without it speaks of the default cluster (of every cluster where it lists). Own cluster: the one a controller's token is for.
//
// Thread contract: plain values and pure functions; handlers are called from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/resources/list.h"
#include "api/rest/field_mask.h"
#include "api/rest/routes.h"
#include "api/rest/target.h"

namespace guideway::rest {

/// Whom a route serves.
enum class Access : std::uint8_t {
    open,            ///< anybody
    any_role,        ///< whoever is known
    viewer,          ///< viewer and admin: it shows objects of every cluster
    cluster_read,    ///< all, but a controller only of its own cluster
    cluster_change,  ///< admin, and a controller in its own cluster
    admin,
};

enum class BodyKind : std::uint8_t { none, json, ndjson };

struct Routes::Entry {
    std::string_view method;
    std::string_view path;  ///< the template, without the cluster
    Response (*handler)(Routes&, Context&);
    Access access = Access::any_role;
    std::span<const std::string_view> query{};  ///< allowed parameters
    bool clustered = false;                     ///< there is a cluster form too
    BodyKind body = BodyKind::none;
    bool preconditions = false;  ///< If-Match and If-None-Match mean something
};

struct Routes::Context {
    const Request& request;
    const Target& target;
    std::vector<std::string> path_values;  ///< of the {parameters}, in order, without the cluster
    std::optional<std::string> cluster;    ///< of the cluster form
    Precondition precondition;
    std::vector<contract::Fault> faults;  ///< of the query

    /// The cluster that an object's path speaks of.
    std::string object_cluster() const { return cluster.value_or(resources::kDefaultCluster); }
    Intent intent() const { return {request.caller, precondition}; }
    bool has(std::string_view name) const { return target.parameter(name) != nullptr; }
    std::string_view query(std::string_view name) const;

    /// "found ..., allowed ..." of a parameter.
    void fault(std::string_view name, std::string_view allowed);
    std::uint64_t number(std::string_view name, std::uint64_t fallback, std::uint64_t min, std::uint64_t max,
                         std::string_view unit = "");
    bool boolean(std::string_view name);
    std::uint16_t port(std::string_view name);
    IpAddress address(std::string_view name);
    /// ?wait=SECONDS, or ?wait=forwarding&timeout=SECONDS. Nothing: no waiting is asked for.
    std::optional<std::chrono::seconds> wait();
    FieldMask fields(std::string_view kind);

    Response faulty() const;
};

inline constexpr int kMaxWaitSeconds = 60;

Response json_response(int status, std::string body);
Response text_response(std::string body, std::string content_type = "text/plain; charset=utf-8");
resources::Problem invalid(std::string detail, std::vector<contract::Fault> faults = {});
/// 403: `needs` as in "this needs the role admin".
resources::Problem forbidden(const Caller& caller, const std::string& needs);
/// The whole text as a number without sign.
std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t max);

/// The work that routes share, with access to the Routes.
struct RouteHandlers {
    using Context = Routes::Context;

    static Appliance& appliance(Routes& routes) { return routes.appliance_; }
    static const RoutesOptions& options(const Routes& routes) { return routes.options_; }
    static std::optional<Routes::Waited> wait_until_forwarding(Routes& routes, std::chrono::seconds timeout) {
        return routes.wait_until_forwarding(timeout);
    }
    /// Waits if asked to, after a change that is already durable: what was asked is done even where nobody may wait for it.
    static void wait_after_change(Routes& routes, std::optional<std::chrono::seconds> wait, Response& response);
};

std::span<const Routes::Entry> object_routes();
std::span<const Routes::Entry> token_routes();
std::span<const Routes::Entry> system_routes();

}  // namespace guideway::rest
