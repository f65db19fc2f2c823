// The appliance as a whole: status, events, SNAT addresses, explain, counters, announcing and maintenance, metrics, health, backup, the API's
// description.
#include <array>
#include <utility>

#include "api/contract/counters_codec.h"
#include "api/contract/explain_codec.h"
#include "api/resources/bgp_status_codec.h"
#include "api/resources/event_codec.h"
#include "api/resources/maintenance_codec.h"
#include "api/resources/snat_address_codec.h"
#include "api/resources/status_codec.h"
#include "api/rest/object_handlers.h"
#include "api/rest/openapi_text.h"

namespace guideway::rest {

namespace {

using Context = Routes::Context;
using resources::Event;

Appliance& of(Routes& routes) { return RouteHandlers::appliance(routes); }

Response too_many_waits() {
    return problem_response(
        {503, "TooManyWaiting", "too many requests are waiting already; ask again without ?wait= or later", {}});
}

Response status(Routes& routes, Context& context) {
    const std::optional<std::chrono::seconds> wait = context.wait();
    if (!context.faults.empty()) return context.faulty();
    const auto waited = wait ? RouteHandlers::wait_until_forwarding(routes, *wait) : std::nullopt;
    if (wait && !waited) return too_many_waits();
    Response response = json_response(200, encode(of(routes).status()));
    if (waited) {
        response.headers.emplace_back("Guideway-Forwarding", waited->forwarding ? "true" : "false");
        response.waited_seconds = waited->seconds;
    }
    return response;
}

constexpr Listing<Event> kEvents{
    .kind = "Event",
    .clustered = true,
    .watched = Kind::event,
    .page = [](Appliance& appliance, const PageRequest& request) { return appliance.events(request); }};

Response list_events(Routes& routes, Context& context) { return listed(routes, context, kEvents); }

Response snat_addresses(Routes& routes, Context&) {
    const Result<std::vector<resources::SnatAddress>> result = of(routes).snat_addresses();
    if (!result.ok()) return problem_response(result.problem());
    return json_response(200, encode(result.value()));
}

Response explain(Routes& routes, Context& context) {
    contract::ExplainRequest request;
    const std::optional<contract::Protocol> protocol = contract::parse_protocol(context.query("protocol"));
    if (!protocol) context.fault("protocol", "TCP, UDP, SCTP");
    request.protocol = protocol.value_or(contract::Protocol::tcp);
    request.source = context.address("source");
    request.source_port = context.port("source_port");
    request.destination = context.address("destination");
    request.destination_port = context.port("destination_port");
    if (context.faults.empty() && request.source.family != request.destination.family) {
        context.fault("source", "an address of the destination's family");
    }
    if (!context.faults.empty()) return context.faulty();
    const Result<contract::ExplainAnswer> result = of(routes).explain(request);
    if (!result.ok()) return problem_response(result.problem());
    return json_response(200, encode(result.value()));
}

Response counters(Routes& routes, Context&) {
    const Result<contract::Counters> result = of(routes).counters();
    if (!result.ok()) return problem_response(result.problem());
    return json_response(200, encode(result.value()));
}

Response bgp(Routes& routes, Context&) { return json_response(200, encode(of(routes).bgp())); }

Response get_maintenance(Routes& routes, Context&) { return json_response(200, encode(of(routes).maintenance())); }

Response put_maintenance(Routes& routes, Context& context) {
    contract::Decoded<resources::Maintenance> wanted = resources::decode_maintenance(context.request.body);
    if (!wanted.value) return problem_response(resources::invalid_request(std::move(wanted.faults)));
    const Result<resources::Maintenance> result = of(routes).set_maintenance(*wanted.value, context.intent());
    if (!result.ok()) return problem_response(result.problem());
    return json_response(200, encode(result.value()));
}

Response get_backup(Routes& routes, Context&) {
    Result<std::string> result = of(routes).backup();
    if (!result.ok()) return problem_response(result.problem());
    Response response = text_response(std::move(result.value()), "application/x-ndjson");
    response.headers.emplace_back("Cache-Control", "no-store");  // it holds the hashes of tokens
    return response;
}

Response put_backup(Routes& routes, Context& context) {
    const Precondition& precondition = context.precondition;
    if (!precondition.version && !precondition.must_exist) {
        return problem_response({428,
                                 "PreconditionRequired",
                                 "restoring replaces everything there is; send If-Match: * to do that, or If-Match "
                                 "with the resourceVersion "
                                 "of a list (such as \"12\") to do it only where nothing has changed since",
                                 {}});
    }
    const Result<resources::SystemStatus> result = of(routes).restore(context.request.body, context.intent());
    if (!result.ok()) return problem_response(result.problem());
    return json_response(200, encode(result.value()));
}

Response openapi(Routes&, Context&) { return text_response(std::string(openapi_text()), "application/yaml"); }

Response metrics(Routes& routes, Context&) { return text_response(of(routes).metrics(), "text/plain; version=0.0.4"); }

Response healthz(Routes&, Context&) { return text_response("ok\n"); }

Response readyz(Routes& routes, Context&) {
    const std::string reason = of(routes).not_ready_reason();
    if (reason.empty()) return text_response("ready\n");
    return problem_response({503, "NotReady", reason, {}});
}

using Names = std::string_view;
constexpr Names kWait[] = {"wait", "timeout"};
constexpr Names kExplain[] = {"protocol", "source", "source_port", "destination", "destination_port"};
constexpr Names kEventList[] = {"cluster", "namespace",       "kind",          "name", "limit", "continue", "fields",
                                "watch",   "resourceVersion", "allowBookmarks"};

constexpr std::array<Routes::Entry, 14> kRoutes{{
    {"GET", "/v1/status", status, Access::any_role, kWait},
    {"GET", "/v1/events", list_events, Access::cluster_read, kEventList},
    {"GET", "/v1/snat-addresses", snat_addresses, Access::any_role},
    {"GET", "/v1/explain", explain, Access::viewer, kExplain},
    {"GET", "/v1/counters", counters, Access::viewer},
    {"GET", "/v1/bgp", bgp, Access::viewer},
    {"GET", "/v1/maintenance", get_maintenance, Access::viewer},
    {"PUT", "/v1/maintenance", put_maintenance, Access::admin, {}, false, BodyKind::json},
    {"GET", "/v1/backup", get_backup, Access::admin},
    {"PUT", "/v1/backup", put_backup, Access::admin, {}, false, BodyKind::ndjson, true},
    {"GET", "/v1/openapi.yaml", openapi, Access::any_role},
    {"GET", "/metrics", metrics, Access::viewer},
    {"GET", "/healthz", healthz, Access::open},
    {"GET", "/readyz", readyz, Access::open},
}};

}  // namespace

std::span<const Routes::Entry> system_routes() { return kRoutes; }

}  // namespace guideway::rest
