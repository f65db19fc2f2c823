// Tokens: for admins only. What answers a secret must not be kept by anything on the way.
#include <array>
#include <utility>

#include "api/resources/token_codec.h"
#include "api/rest/object_handlers.h"

namespace guideway::rest {

namespace {

using Context = Routes::Context;
using resources::Token;

Appliance& of(Routes& routes) { return RouteHandlers::appliance(routes); }

Response not_stored(Response response) {
    response.headers.emplace_back("Cache-Control", "no-store");
    return response;
}

constexpr Listing<Token> kTokens{.kind = "Token", .page = [](Appliance& appliance, const PageRequest& request) {
                                     return appliance.tokens(request);
                                 }};

Response list_tokens(Routes& routes, Context& context) { return listed(routes, context, kTokens); }

Response get_token(Routes& routes, Context& context) {
    return got<Token>(context, kTokens.kind, [&] { return of(routes).token(context.path_values[0]); });
}

Response put_token(Routes& routes, Context& context) {
    return not_stored(ensured(routes, context, resources::decode_token(context.request.body, context.path_values[0]),
                              [&](Token wanted) { return of(routes).ensure(std::move(wanted), context.intent()); }));
}

Response delete_token(Routes& routes, Context& context) {
    return removed(routes, context, [&] { return of(routes).delete_token(context.path_values[0], context.intent()); });
}

Response rotate_token(Routes& routes, Context& context) {
    return not_stored(got<Token>(context, kTokens.kind,
                                 [&] { return of(routes).rotate_token(context.path_values[0], context.intent()); }));
}

using Names = std::string_view;
constexpr Names kList[] = {"labelSelector", "limit", "continue", "fields"};
constexpr Names kGet[] = {"fields"};
constexpr std::string_view kPath = "/v1/tokens/{name}";

constexpr std::array<Routes::Entry, 5> kRoutes{{
    {"GET", "/v1/tokens", list_tokens, Access::admin, kList},
    {"GET", kPath, get_token, Access::admin, kGet},
    {"PUT", kPath, put_token, Access::admin, {}, false, BodyKind::json, true},
    {"DELETE", kPath, delete_token, Access::admin, {}, false, BodyKind::none, true},
    {"POST", "/v1/tokens/{name}/rotate", rotate_token, Access::admin, {}, false, BodyKind::none, true},
}};

}  // namespace

std::span<const Routes::Entry> token_routes() { return kRoutes; }

}  // namespace guideway::rest
