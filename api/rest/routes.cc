#include "api/rest/routes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <limits>
#include <span>

#include "api/contract/counters_codec.h"
#include "api/contract/explain_codec.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/problem_codec.h"
#include "api/resources/status_codec.h"
#include "api/rest/target.h"

namespace guideway::rest {

namespace {

constexpr int kMaxWaitSeconds = 60;
/// A wait is cut into slices so that a stopping server does not have to sit it out.
constexpr std::chrono::milliseconds kWaitSlice{500};

constexpr std::string_view kJson = "application/json";

std::string quoted(std::string_view text) { return "\"" + std::string(text.substr(0, 100)) + "\""; }

Response json_response(int status, std::string body) {
    Response response;
    response.status = status;
    response.content_type = kJson;
    response.body = std::move(body);
    return response;
}

Response text_response(std::string body, std::string content_type = "text/plain; charset=utf-8") {
    Response response;
    response.content_type = std::move(content_type);
    response.body = std::move(body);
    return response;
}

resources::Problem invalid(std::string detail, std::vector<contract::Fault> faults = {}) {
    return {400, "InvalidRequest", std::move(detail), std::move(faults)};
}

/// The whole text as a number without sign.
std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t max) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
    return value;
}

}  // namespace

Response problem_response(const resources::Problem& problem, std::string route) {
    Response response;
    response.status = problem.status;
    response.content_type = "application/problem+json";
    response.body = encode(problem);
    response.route = std::move(route);
    return response;
}

struct Routes::Context {
    const Request& request;
    const Target& target;
    std::vector<std::string> path_values;  ///< of the {parameters}, in order
    std::vector<contract::Fault> faults;   ///< of the query
    std::optional<std::uint64_t> if_match;

    std::string_view query(std::string_view name) const {
        const std::string* value = target.parameter(name);
        return value == nullptr ? std::string_view() : std::string_view(*value);
    }

    void fault(std::string_view name, std::string_view allowed) {
        const std::string* value = target.parameter(name);
        faults.push_back({"?" + std::string(name), (value == nullptr ? "missing" : "found " + quoted(*value)) +
                                                       ", allowed " + std::string(allowed)});
    }

    std::uint16_t port(std::string_view name) {
        const std::optional<std::uint64_t> value = parse_unsigned(query(name), 65535);
        if (!value || *value == 0) fault(name, "1..65535");
        return static_cast<std::uint16_t>(value.value_or(0));
    }

    IpAddress address(std::string_view name) {
        const std::optional<IpAddress> value = IpAddress::parse(query(name));
        if (!value) fault(name, "an IPv4 or IPv6 address");
        return value.value_or(IpAddress{});
    }

    /// Nothing: no waiting is asked for.
    std::optional<std::chrono::seconds> wait() {
        if (target.parameter("wait") == nullptr) return std::nullopt;
        const std::optional<std::uint64_t> value = parse_unsigned(query("wait"), kMaxWaitSeconds);
        if (!value) fault("wait", "0..60 (seconds)");
        return std::chrono::seconds(value.value_or(0));
    }

    Response faulty() const { return problem_response(invalid("the query has faults", faults)); }
};

/// The work of each route. Each gets a context whose path matched and whose query names are known.
struct RouteHandlers {
    using Context = Routes::Context;

    static Response too_many_waits() {
        Response response = problem_response(
            {503, "TooManyWaiting", "too many requests are waiting already; ask again without ?wait= or later", {}});
        response.headers.emplace_back("Retry-After", "1");
        return response;
    }

    /// Waits if asked to, after a change that is already durable: what was asked is done even where nobody may wait for it.
    static void wait_after_change(Routes& routes, std::optional<std::chrono::seconds> wait, Response& response) {
        if (!wait) return;
        const std::optional<Routes::Waited> waited = routes.wait_until_forwarding(*wait);
        response.headers.emplace_back("Guideway-Forwarding", waited && waited->forwarding ? "true" : "false");
        response.waited_seconds = waited ? waited->seconds : 0;
    }

    template <class T>
    static Response object_response(int status, const T& object) {
        Response response = json_response(status, encode(object));
        response.headers.emplace_back("ETag", "\"" + std::to_string(object.metadata.resource_version) + "\"");
        return response;
    }

    template <class T>
    static Response got(const Result<T>& result) {
        if (!result.ok()) return problem_response(result.problem());
        return object_response(200, result.value());
    }

    template <class T, class Ensure>
    static Response ensured(Routes& routes, Context& context, contract::Decoded<T> wanted, Ensure ensure) {
        const std::optional<std::chrono::seconds> wait = context.wait();
        if (!context.faults.empty()) return context.faulty();
        if (!wanted.value) return problem_response(resources::invalid_request(std::move(wanted.faults)));
        const Result<Ensured<T>> result = ensure(*std::move(wanted.value), context.if_match);
        if (!result.ok()) return problem_response(result.problem());
        Response response = object_response(result.value().created ? 201 : 200, result.value().object);
        wait_after_change(routes, wait, response);
        return response;
    }

    template <class Remove>
    static Response removed(Routes& routes, Context& context, Remove remove) {
        const std::optional<std::chrono::seconds> wait = context.wait();
        if (!context.faults.empty()) return context.faulty();
        const Result<bool> result = remove(context.if_match);
        if (!result.ok()) return problem_response(result.problem());
        Response response;
        response.status = 204;
        wait_after_change(routes, wait, response);
        return response;
    }

    // ------------------------------------------------------------------------------------------ load balancers

    static Response list_load_balancers(Routes& routes, Context& context) {
        return json_response(200, encode(routes.appliance_.load_balancers(std::string(context.query("namespace")))));
    }
    static Response get_load_balancer(Routes& routes, Context& context) {
        return got(routes.appliance_.load_balancer(context.path_values[0], context.path_values[1]));
    }
    static Response put_load_balancer(Routes& routes, Context& context) {
        return ensured(
            routes, context,
            resources::decode_load_balancer(context.request.body, context.path_values[0], context.path_values[1]),
            [&routes](resources::LoadBalancer wanted, std::optional<std::uint64_t> if_match) {
                return routes.appliance_.ensure_load_balancer(std::move(wanted), if_match);
            });
    }
    static Response delete_load_balancer(Routes& routes, Context& context) {
        return removed(routes, context, [&](std::optional<std::uint64_t> if_match) {
            return routes.appliance_.delete_load_balancer(context.path_values[0], context.path_values[1], if_match);
        });
    }

    // ------------------------------------------------------------------------------------------- address pools

    static Response list_address_pools(Routes& routes, Context&) {
        return json_response(200, encode(routes.appliance_.address_pools()));
    }
    static Response get_address_pool(Routes& routes, Context& context) {
        return got(routes.appliance_.address_pool(context.path_values[0]));
    }
    static Response put_address_pool(Routes& routes, Context& context) {
        return ensured(routes, context, resources::decode_address_pool(context.request.body, context.path_values[0]),
                       [&routes](resources::AddressPool wanted, std::optional<std::uint64_t> if_match) {
                           return routes.appliance_.ensure_address_pool(std::move(wanted), if_match);
                       });
    }
    static Response delete_address_pool(Routes& routes, Context& context) {
        return removed(routes, context, [&](std::optional<std::uint64_t> if_match) {
            return routes.appliance_.delete_address_pool(context.path_values[0], if_match);
        });
    }

    // --------------------------------------------------------------------------------------------------- nodes

    static Response list_nodes(Routes& routes, Context&) {
        return json_response(200, encode(routes.appliance_.nodes()));
    }
    static Response get_node(Routes& routes, Context& context) {
        return got(routes.appliance_.node(context.path_values[0]));
    }
    static Response put_node(Routes& routes, Context& context) {
        return ensured(routes, context, resources::decode_node(context.request.body, context.path_values[0]),
                       [&routes](resources::Node wanted, std::optional<std::uint64_t> if_match) {
                           return routes.appliance_.ensure_node(std::move(wanted), if_match);
                       });
    }
    static Response delete_node(Routes& routes, Context& context) {
        return removed(routes, context, [&](std::optional<std::uint64_t> if_match) {
            return routes.appliance_.delete_node(context.path_values[0], if_match);
        });
    }

    // ---------------------------------------------------------------------------------------------- the system

    static Response status(Routes& routes, Context& context) {
        const std::optional<std::chrono::seconds> wait = context.wait();
        if (!context.faults.empty()) return context.faulty();
        std::optional<Routes::Waited> waited;
        if (wait) {
            waited = routes.wait_until_forwarding(*wait);
            if (!waited) return too_many_waits();
        }
        Response response = json_response(200, encode(routes.appliance_.status()));
        if (waited) {
            response.headers.emplace_back("Guideway-Forwarding", waited->forwarding ? "true" : "false");
            response.waited_seconds = waited->seconds;
        }
        return response;
    }

    static Response explain(Routes& routes, Context& context) {
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
        const Result<contract::ExplainAnswer> result = routes.appliance_.explain(request);
        if (!result.ok()) return problem_response(result.problem());
        return json_response(200, encode(result.value()));
    }

    static Response counters(Routes& routes, Context&) {
        const Result<contract::Counters> result = routes.appliance_.counters();
        if (!result.ok()) return problem_response(result.problem());
        return json_response(200, encode(result.value()));
    }

    static Response metrics(Routes& routes, Context&) {
        return text_response(routes.appliance_.metrics(), "text/plain; version=0.0.4");
    }

    static Response healthz(Routes&, Context&) { return text_response("ok\n"); }

    static Response readyz(Routes& routes, Context&) {
        const std::string reason = routes.appliance_.not_ready_reason();
        if (reason.empty()) return text_response("ready\n");
        return problem_response({503, "NotReady", reason, {}});
    }
};

struct Routes::Entry {
    std::string_view method;
    std::string_view path;  ///< the template
    Response (*handler)(Routes&, Context&);
    std::array<std::string_view, 5> query;  ///< allowed parameters
};

namespace {

using Handlers = RouteHandlers;

constexpr std::array<Routes::Entry, 18> kRoutes{{
    {"GET", "/v1/load-balancers", Handlers::list_load_balancers, {"namespace"}},
    {"GET", "/v1/load-balancers/{namespace}/{name}", Handlers::get_load_balancer, {}},
    {"PUT", "/v1/load-balancers/{namespace}/{name}", Handlers::put_load_balancer, {"wait"}},
    {"DELETE", "/v1/load-balancers/{namespace}/{name}", Handlers::delete_load_balancer, {"wait"}},
    {"GET", "/v1/address-pools", Handlers::list_address_pools, {}},
    {"GET", "/v1/address-pools/{name}", Handlers::get_address_pool, {}},
    {"PUT", "/v1/address-pools/{name}", Handlers::put_address_pool, {"wait"}},
    {"DELETE", "/v1/address-pools/{name}", Handlers::delete_address_pool, {"wait"}},
    {"GET", "/v1/nodes", Handlers::list_nodes, {}},
    {"GET", "/v1/nodes/{name}", Handlers::get_node, {}},
    {"PUT", "/v1/nodes/{name}", Handlers::put_node, {"wait"}},
    {"DELETE", "/v1/nodes/{name}", Handlers::delete_node, {"wait"}},
    {"GET", "/v1/status", Handlers::status, {"wait"}},
    {"GET", "/v1/explain", Handlers::explain, {"protocol", "source", "source_port", "destination", "destination_port"}},
    {"GET", "/v1/counters", Handlers::counters, {}},
    {"GET", "/metrics", Handlers::metrics, {}},
    {"GET", "/healthz", Handlers::healthz, {}},
    {"GET", "/readyz", Handlers::readyz, {}},
}};

/// The values of the template's {parameters}, or nothing where the path is another one.
std::optional<std::vector<std::string>> match(std::string_view path, std::span<const std::string> segments) {
    std::vector<std::string> values;
    path.remove_prefix(1);
    for (std::size_t i = 0; i < segments.size(); ++i) {
        const std::size_t slash = path.find('/');
        const std::string_view expected = path.substr(0, slash);
        if (expected.starts_with('{')) {
            if (segments[i].empty()) return std::nullopt;
            values.push_back(segments[i]);
        } else if (expected != segments[i]) {
            return std::nullopt;
        }
        const bool last = slash == std::string_view::npos;
        if (last != (i + 1 == segments.size())) return std::nullopt;
        if (!last) path.remove_prefix(slash + 1);
    }
    return values;
}

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

/// application/json, with at most the parameter charset=utf-8.
bool is_json(std::string_view content_type) {
    std::string type = lower(content_type);
    std::erase_if(type, [](char c) { return c == ' ' || c == '\t' || c == '"'; });
    return type == kJson || type == "application/json;" || type == "application/json;charset=utf-8";
}

struct IfMatch {
    std::optional<std::uint64_t> version;
    std::optional<resources::Problem> problem;
};

IfMatch parse_if_match(std::string_view header) {
    if (header.size() < 3 || header.front() != '"' || header.back() != '"' ||
        header.substr(1, header.size() - 2).find('"') != std::string_view::npos) {
        return {std::nullopt, invalid("If-Match must be one strong ETag as a GET answered it, such as \"12\"; found " +
                                      std::string(header.substr(0, 100)))};
    }
    const std::optional<std::uint64_t> version =
        parse_unsigned(header.substr(1, header.size() - 2), std::numeric_limits<std::uint64_t>::max());
    if (!version) {
        return {std::nullopt, resources::Problem{412, "PreconditionFailed", "no object ever had this ETag", {}}};
    }
    return {version, std::nullopt};
}

/// Refusal of what only requests with a body can get wrong; nothing where all is well.
std::optional<resources::Problem> check_body_headers(const Request& request) {
    if (!request.content_type || !is_json(*request.content_type)) {
        return resources::Problem{
            415,
            "UnsupportedMediaType",
            "Content-Type must be application/json" +
                (request.content_type ? "; found " + quoted(*request.content_type) : std::string()),
            {}};
    }
    if (request.content_encoding && lower(*request.content_encoding) != "identity") {
        return resources::Problem{
            415, "UnsupportedMediaType", "Content-Encoding is not supported; send the body as it is", {}};
    }
    return std::nullopt;
}

struct Found {
    const Routes::Entry* entry = nullptr;  ///< null: refused
    std::vector<std::string> values;
    std::string allow;                ///< methods of the path; empty: the path is unknown
    std::string_view path = "other";  ///< its template
};

Found find(std::string_view method, const Target& target) {
    Found found;
    const std::string_view wanted = method == "HEAD" ? "GET" : method;
    for (const Routes::Entry& entry : kRoutes) {
        std::optional<std::vector<std::string>> values = match(entry.path, target.segments);
        if (!values) continue;
        found.path = entry.path;
        found.allow +=
            (found.allow.empty() ? "" : ", ") + std::string(entry.method == "GET" ? "GET, HEAD" : entry.method);
        if (entry.method != wanted) continue;
        found.entry = &entry;
        found.values = *std::move(values);
    }
    return found;
}

}  // namespace

Routes::Routes(Appliance& appliance, std::size_t max_waiting_requests)
    : appliance_(appliance), max_waiting_(max_waiting_requests) {}

std::optional<Routes::Waited> Routes::wait_until_forwarding(std::chrono::seconds timeout) {
    using Clock = std::chrono::steady_clock;
    if (waiting_.fetch_add(1) >= max_waiting_) {
        waiting_.fetch_sub(1);
        return std::nullopt;
    }
    const Clock::time_point start = Clock::now();
    const Clock::time_point end = start + timeout;
    Waited waited;
    while (true) {
        const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now());
        const auto slice = std::clamp(left, std::chrono::milliseconds(0), kWaitSlice);
        waited.forwarding = appliance_.wait_until_forwarding(slice);
        if (waited.forwarding || stopping_ || left <= kWaitSlice) break;
    }
    waiting_.fetch_sub(1);
    waited.seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return waited;
}

bool Routes::is_open(const Request& request) {
    const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
    return path == "/healthz" || path == "/readyz";
}

std::optional<Response> Routes::answer_early(const Request& request) {
    if (request.method == "PUT") {
        // Everything that can be refused without the body is.
        const ParsedTarget parsed = parse_target(request.target);
        if (parsed.target) {
            const Found found = find(request.method, *parsed.target);
            if (found.entry != nullptr && !check_body_headers(request)) return std::nullopt;
        }
    }
    return answer(request);
}

Response Routes::answer(const Request& request) {
    const ParsedTarget parsed = parse_target(request.target);
    if (!parsed.target) return problem_response(invalid(parsed.error));
    const Target& target = *parsed.target;
    Found found = find(request.method, target);
    const std::string route(found.path);
    if (found.allow.empty()) {
        return problem_response(
            {404, "NotFound", "there is no such path; the API is described in api/openapi.yaml", {}});
    }
    if (found.entry == nullptr) {
        Response response = problem_response(
            {405, "MethodNotAllowed", "this path takes " + found.allow + "; found " + quoted(request.method), {}},
            route);
        response.headers.emplace_back("Allow", found.allow);
        return response;
    }
    Context context{request, target, std::move(found.values), {}, std::nullopt};
    const auto& allowed = found.entry->query;
    for (const auto& [name, value] : target.query) {
        if (!name.empty() && std::find(allowed.begin(), allowed.end(), name) != allowed.end()) continue;
        std::string list;
        for (const std::string_view one : allowed) {
            if (!one.empty()) list += (list.empty() ? "" : ", ") + std::string(one);
        }
        context.faults.push_back({"?" + name, "unknown parameter, allowed " + (list.empty() ? "none" : list)});
    }
    std::optional<resources::Problem> refused;
    if (!context.faults.empty()) refused = invalid("the query has faults", context.faults);
    if (!refused && request.method == "PUT") refused = check_body_headers(request);
    if (!refused && request.if_none_match && request.method != "GET" && request.method != "HEAD") {
        refused = invalid("If-None-Match is not supported on changes; PUT is idempotent, If-Match guards edits");
    }
    if (!refused && request.if_match && request.method != "GET" && request.method != "HEAD") {
        IfMatch parsed_header = parse_if_match(*request.if_match);
        context.if_match = parsed_header.version;
        refused = std::move(parsed_header.problem);
    }
    if (refused) return problem_response(*refused, route);
    Response response = found.entry->handler(*this, context);
    response.route = route;
    return response;
}

}  // namespace guideway::rest
