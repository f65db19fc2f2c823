// Load balancers, address pools, nodes.
#include <algorithm>
#include <array>
#include <utility>

#include "api/resources/address_pool_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/rest/object_handlers.h"

namespace guideway::rest {

namespace {

using Context = Routes::Context;
using resources::AddressPool;
using resources::LoadBalancer;
using resources::Node;

Appliance& of(Routes& routes) { return RouteHandlers::appliance(routes); }

// --------------------------------------------------------------------------------------------- load balancers

constexpr Listing<LoadBalancer> kLoadBalancers{
    .kind = "LoadBalancer",
    .clustered = true,
    .watched = Kind::load_balancer,
    .page = [](Appliance& appliance, const PageRequest& request) { return appliance.load_balancers(request); }};

Response list_load_balancers(Routes& routes, Context& context) { return listed(routes, context, kLoadBalancers); }

Response get_load_balancer(Routes& routes, Context& context) {
    return got<LoadBalancer>(context, kLoadBalancers.kind, [&] {
        return of(routes).load_balancer(context.object_cluster(), context.path_values[0], context.path_values[1]);
    });
}

contract::Decoded<LoadBalancer> wanted_load_balancer(const Context& context) {
    return resources::decode_load_balancer(context.request.body, context.path_values[0], context.path_values[1],
                                           context.object_cluster());
}

Response put_load_balancer(Routes& routes, Context& context) {
    return ensured(routes, context, wanted_load_balancer(context),
                   [&](LoadBalancer wanted) { return of(routes).ensure(std::move(wanted), context.intent()); });
}

Response delete_load_balancer(Routes& routes, Context& context) {
    return removed(routes, context, [&] {
        return of(routes).delete_load_balancer(context.object_cluster(), context.path_values[0], context.path_values[1],
                                               std::string(context.query("uid")), context.intent());
    });
}

Response preview_load_balancer(Routes& routes, Context& context) {
    contract::Decoded<LoadBalancer> wanted = wanted_load_balancer(context);
    if (!wanted.value) return problem_response(resources::invalid_request(std::move(wanted.faults)));
    return json_response(200, encode(of(routes).preview(*wanted.value)));
}

// ---------------------------------------------------------------------------------------------- address pools

/// A controller does not see who else has addresses of a pool.
AddressPool seen_pool(const Caller& caller, AddressPool pool) {
    if (caller.role == Role::controller) {
        std::erase_if(pool.status.users,
                      [&caller](const resources::PoolUser& user) { return user.cluster != caller.cluster; });
    }
    return pool;
}

std::string seen_pool_text(const Caller& caller, std::string text) {
    if (caller.role != Role::controller || text.find("\"users\"") == std::string::npos) return text;
    contract::Decoded<AddressPool> pool = resources::read_address_pool(text);
    return pool.value ? encode(seen_pool(caller, *std::move(pool.value))) : text;
}

constexpr Listing<AddressPool> kAddressPools{
    .kind = "AddressPool",
    .watched = Kind::address_pool,
    .page = [](Appliance& appliance, const PageRequest& request) { return appliance.address_pools(request); },
    .seen = seen_pool,
    .seen_text = seen_pool_text};

Response list_address_pools(Routes& routes, Context& context) { return listed(routes, context, kAddressPools); }

Response get_address_pool(Routes& routes, Context& context) {
    return got<AddressPool>(context, kAddressPools.kind, [&]() -> Result<AddressPool> {
        Result<AddressPool> result = of(routes).address_pool(context.path_values[0]);
        if (result.ok()) return seen_pool(context.request.caller, std::move(result.value()));
        return result;
    });
}

Response put_address_pool(Routes& routes, Context& context) {
    return ensured(routes, context, resources::decode_address_pool(context.request.body, context.path_values[0]),
                   [&](AddressPool wanted) { return of(routes).ensure(std::move(wanted), context.intent()); });
}

/// To delete a pool that is in use takes addresses away from services: only for who says which pool is meant (RFC 6585, 428).
std::optional<Response> needs_precondition(Routes& routes, const Context& context) {
    const Precondition& precondition = context.precondition;
    if (precondition.version || precondition.must_exist) return std::nullopt;
    const Result<AddressPool> pool = of(routes).address_pool(context.path_values[0]);
    if (!pool.ok() || pool.value().status.load_balancers == 0) return std::nullopt;
    const std::string tag = "\"" + std::to_string(pool.value().metadata.resource_version) + "\"";
    Response response = problem_response(
        {428,
         "PreconditionRequired",
         "found the pool in use by " + std::to_string(pool.value().status.load_balancers) +
             " load balancers, which would lose their addresses; to delete it all the same send If-Match: " + tag,
         {}});
    response.headers.emplace_back("ETag", tag);
    return response;
}

Response delete_address_pool(Routes& routes, Context& context) {
    context.wait();
    if (!context.faults.empty()) return context.faulty();
    if (std::optional<Response> refused = needs_precondition(routes, context)) return *std::move(refused);
    return removed(routes, context,
                   [&] { return of(routes).delete_address_pool(context.path_values[0], context.intent()); });
}

// ------------------------------------------------------------------------------------------------------ nodes

constexpr Listing<Node> kNodes{
    .kind = "Node",
    .clustered = true,
    .watched = Kind::node,
    .page = [](Appliance& appliance, const PageRequest& request) { return appliance.nodes(request); }};

Response list_nodes(Routes& routes, Context& context) { return listed(routes, context, kNodes); }

Response get_node(Routes& routes, Context& context) {
    return got<Node>(context, kNodes.kind,
                     [&] { return of(routes).node(context.object_cluster(), context.path_values[0]); });
}

Response put_node(Routes& routes, Context& context) {
    return ensured(routes, context,
                   resources::decode_node(context.request.body, context.path_values[0], context.object_cluster()),
                   [&](Node wanted) { return of(routes).ensure(std::move(wanted), context.intent()); });
}

Response delete_node(Routes& routes, Context& context) {
    return removed(routes, context, [&] {
        return of(routes).delete_node(context.object_cluster(), context.path_values[0], context.intent());
    });
}

// ------------------------------------------------------------------------------------------------------ table

using Names = std::string_view;
constexpr Names kBalancerList[] = {"cluster", "namespace", "labelSelector",   "limit",         "continue",
                                   "fields",  "watch",     "resourceVersion", "allowBookmarks"};
constexpr Names kNodeList[] = {"cluster", "labelSelector", "limit",           "continue",
                               "fields",  "watch",         "resourceVersion", "allowBookmarks"};
constexpr Names kPoolList[] = {"labelSelector", "limit",           "continue",      "fields",
                               "watch",         "resourceVersion", "allowBookmarks"};
constexpr Names kGet[] = {"fields"};
constexpr Names kChange[] = {"wait", "timeout"};
constexpr Names kBalancerDelete[] = {"wait", "timeout", "uid"};

constexpr std::string_view kBalancersPath = "/v1/load-balancers";
constexpr std::string_view kBalancerPath = "/v1/load-balancers/{namespace}/{name}";
constexpr std::string_view kPoolsPath = "/v1/address-pools";
constexpr std::string_view kPoolPath = "/v1/address-pools/{name}";
constexpr std::string_view kNodesPath = "/v1/nodes";
constexpr std::string_view kNodePath = "/v1/nodes/{name}";

constexpr Access kRead = Access::cluster_read;
constexpr Access kModify = Access::cluster_change;

constexpr std::array<Routes::Entry, 13> kRoutes{{
    {"GET", kBalancersPath, list_load_balancers, kRead, kBalancerList, true},
    {"GET", kBalancerPath, get_load_balancer, kRead, kGet, true},
    {"PUT", kBalancerPath, put_load_balancer, kModify, kChange, true, BodyKind::json, true},
    {"DELETE", kBalancerPath, delete_load_balancer, kModify, kBalancerDelete, true, BodyKind::none, true},
    {"POST", "/v1/load-balancers/{namespace}/{name}/preview", preview_load_balancer, kRead, {}, true, BodyKind::json},
    {"GET", kPoolsPath, list_address_pools, Access::any_role, kPoolList},
    {"GET", kPoolPath, get_address_pool, Access::any_role, kGet},
    {"PUT", kPoolPath, put_address_pool, Access::admin, kChange, false, BodyKind::json, true},
    {"DELETE", kPoolPath, delete_address_pool, Access::admin, kChange, false, BodyKind::none, true},
    {"GET", kNodesPath, list_nodes, kRead, kNodeList, true},
    {"GET", kNodePath, get_node, kRead, kGet, true},
    {"PUT", kNodePath, put_node, kModify, kChange, true, BodyKind::json, true},
    {"DELETE", kNodePath, delete_node, kModify, kChange, true, BodyKind::none, true},
}};

}  // namespace

std::span<const Routes::Entry> object_routes() { return kRoutes; }

}  // namespace guideway::rest
