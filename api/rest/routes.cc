#include "api/rest/routes.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <limits>

#include "api/json/object_reader.h"
#include "api/resources/names.h"
#include "api/resources/problem_codec.h"
#include "api/rest/route_table.h"

namespace guideway::rest {

namespace {

using json::ObjectReader;

/// A wait is cut into slices so that a stopping server does not have to sit it out.
constexpr std::chrono::milliseconds kWaitSlice{500};

std::string lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    return out;
}

std::string_view type_of(BodyKind kind) {
    return kind == BodyKind::ndjson ? "application/x-ndjson" : "application/json";
}

/// The type, with at most the parameter charset=utf-8.
bool is_type(std::string_view content_type, std::string_view wanted) {
    std::string type = lower(content_type);
    std::erase_if(type, [](char c) { return c == ' ' || c == '\t' || c == '"'; });
    if (!type.starts_with(wanted)) return false;
    type.erase(0, wanted.size());
    return type.empty() || type == ";" || type == ";charset=utf-8";
}

/// Refusal of what only requests with a body can get wrong; nothing where all is well.
std::optional<resources::Problem> check_body_headers(const Request& request, BodyKind kind) {
    if (!request.content_type || !is_type(*request.content_type, type_of(kind))) {
        return resources::Problem{
            415,
            "UnsupportedMediaType",
            "Content-Type must be " + std::string(type_of(kind)) +
                (request.content_type ? "; found " + ObjectReader::quoted(*request.content_type) : std::string()),
            {}};
    }
    if (request.content_encoding && lower(*request.content_encoding) != "identity") {
        return resources::Problem{
            415, "UnsupportedMediaType", "Content-Encoding is not supported; send the body as it is", {}};
    }
    return std::nullopt;
}

std::optional<resources::Problem> read_if_match(std::string_view header, Precondition& out) {
    if (header == "*") {
        out.must_exist = true;
        return std::nullopt;
    }
    if (header.size() < 3 || header.front() != '"' || header.back() != '"' ||
        header.substr(1, header.size() - 2).find('"') != std::string_view::npos) {
        return invalid("If-Match must be * or one strong ETag as a GET answered it, such as \"12\"; found " +
                       std::string(header.substr(0, 100)));
    }
    out.version = parse_unsigned(header.substr(1, header.size() - 2), std::numeric_limits<std::uint64_t>::max());
    if (!out.version) return resources::Problem{412, "PreconditionFailed", "no object ever had this ETag", {}};
    return std::nullopt;
}

std::optional<resources::Problem> read_preconditions(const Request& request, const Routes::Entry& entry,
                                                     Precondition& out) {
    if (entry.method == "GET") return std::nullopt;  // reading depends on nothing
    if (!request.if_match && !request.if_none_match) return std::nullopt;
    if (!entry.preconditions) return invalid("If-Match and If-None-Match are not supported here; leave them out");
    if (request.if_match && request.if_none_match) {
        return invalid("found both If-Match and If-None-Match, allowed one of them");
    }
    if (request.if_match) return read_if_match(*request.if_match, out);
    if (entry.method != "PUT" || *request.if_none_match != "*") {
        return invalid("If-None-Match must be * and belongs to PUT (make it only where it is not there yet); found " +
                       request.if_none_match->substr(0, 100));
    }
    out.must_be_new = true;
    return std::nullopt;
}

/// Refusal of a caller who may not do this.
std::optional<resources::Problem> check_access(const Routes::Context& context, const Routes::Entry& entry) {
    const Caller& caller = context.request.caller;
    const bool controller = caller.role == Role::controller;
    switch (entry.access) {
        case Access::open:
        case Access::any_role:
            return std::nullopt;
        case Access::viewer:
            if (!controller) return std::nullopt;
            return forbidden(caller, "the role viewer or admin, as it shows objects of every cluster");
        case Access::admin:
            if (caller.role == Role::admin) return std::nullopt;
            return forbidden(caller, "the role admin");
        case Access::cluster_read:
            // A list without a cluster is narrowed to the caller's own.
            if (!controller || caller.cluster == context.object_cluster()) return std::nullopt;
            if (!context.cluster && entry.path.find('{') == std::string_view::npos) return std::nullopt;
            return forbidden(caller, "the role controller of cluster " +
                                         ObjectReader::quoted(context.object_cluster()) + ", viewer or admin");
        case Access::cluster_change:
            if (caller.may_change_cluster(context.object_cluster())) return std::nullopt;
            return forbidden(caller, "the role controller of cluster " +
                                         ObjectReader::quoted(context.object_cluster()) + ", or admin");
    }
    return std::nullopt;
}

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

struct Found {
    const Routes::Entry* entry = nullptr;  ///< null: refused
    std::vector<std::string> values;
    std::optional<std::string> cluster;
    std::string allow;                ///< methods of the path; empty: the path is unknown
    std::string_view path = "other";  ///< its template
};

Found find(std::string_view method, const Target& target) {
    Found found;
    const std::string_view wanted = method == "HEAD" ? "GET" : method;
    std::vector<std::string> segments = target.segments;
    if (segments.size() > 3 && segments[0] == "v1" && segments[1] == "clusters") {
        if (segments[2].empty()) return found;
        found.cluster = segments[2];
        segments.erase(segments.begin() + 1, segments.begin() + 3);
    }
    for (const std::span<const Routes::Entry> group : {object_routes(), token_routes(), system_routes()}) {
        for (const Routes::Entry& entry : group) {
            if (found.cluster && !entry.clustered) continue;
            std::optional<std::vector<std::string>> values = match(entry.path, segments);
            if (!values) continue;
            found.path = entry.path;
            found.allow +=
                (found.allow.empty() ? "" : ", ") + std::string(entry.method == "GET" ? "GET, HEAD" : entry.method);
            if (entry.method != wanted) continue;
            found.entry = &entry;
            found.values = *std::move(values);
        }
    }
    return found;
}

void check_query_names(Routes::Context& context, const Routes::Entry& entry) {
    for (const auto& [name, value] : context.target.query) {
        if (std::find(entry.query.begin(), entry.query.end(), name) != entry.query.end()) continue;
        std::string list;
        for (const std::string_view one : entry.query) list += (list.empty() ? "" : ", ") + std::string(one);
        context.faults.push_back({"?" + name, "unknown parameter, allowed " + (list.empty() ? "none" : list)});
    }
}

/// Names in the path that no object can have. A DELETE of them would succeed, as nothing is there, and hide a slip of the pen.
void check_path_names(Routes::Context& context, const Routes::Entry& entry) {
    const auto check = [&context](std::string_view parameter, const std::string& value) {
        const bool whole = parameter == "name";
        if (whole ? resources::is_name(value) : resources::is_label(value)) return;
        context.faults.push_back({"{" + std::string(parameter) + "}",
                                  "found " + ObjectReader::quoted(value) +
                                      (whole ? ", allowed lower-case letters, digits, '-' and '.' (RFC 1123 subdomain)"
                                             : ", allowed lower-case letters, digits and '-' (RFC 1123 label)")});
    };
    if (context.cluster) check("cluster", *context.cluster);
    std::string_view path = entry.path;
    for (const std::string& value : context.path_values) {
        path.remove_prefix(path.find('{') + 1);
        check(path.substr(0, path.find('}')), value);
    }
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

struct Routes::Checked {
    Target target;
    const Entry* entry = nullptr;  ///< null: refused
    std::vector<std::string> values;
    std::optional<std::string> cluster;
    Precondition precondition;
    Response refusal;
};

std::optional<Routes::Waited> Routes::wait_until_forwarding(std::chrono::seconds timeout) {
    using Clock = std::chrono::steady_clock;
    if (waiting_.fetch_add(1) >= options_.max_waiting_requests) {
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

std::size_t Routes::max_body(const Request& request, std::size_t ordinary) {
    const std::string_view path = std::string_view(request.target).substr(0, request.target.find('?'));
    return request.method == "PUT" && path == "/v1/backup" ? kMaxBackupBytes : ordinary;
}

Routes::Checked Routes::check(const Request& request) {
    Checked out;
    ParsedTarget parsed = parse_target(request.target);
    if (!parsed.target) {
        out.refusal = problem_response(invalid(parsed.error));
        return out;
    }
    out.target = *std::move(parsed.target);
    Found found = find(request.method, out.target);
    const std::string route(found.path);
    if (found.allow.empty()) {
        out.refusal =
            problem_response({404, "NotFound", "there is no such path; the API is described at /v1/openapi.yaml", {}});
        return out;
    }
    if (found.entry == nullptr) {
        out.refusal =
            problem_response({405,
                              "MethodNotAllowed",
                              "this path takes " + found.allow + "; found " + ObjectReader::quoted(request.method),
                              {}},
                             route);
        out.refusal.headers.emplace_back("Allow", found.allow);
        return out;
    }
    const Entry& entry = *found.entry;
    Context context{request, out.target, std::move(found.values), found.cluster, {}, {}};
    std::optional<resources::Problem> refused = check_access(context, entry);
    if (!refused) check_query_names(context, entry);
    if (!refused && entry.method == "DELETE") check_path_names(context, entry);
    if (!refused && !context.faults.empty()) refused = invalid("the path or query has faults", context.faults);
    if (!refused && entry.body != BodyKind::none) refused = check_body_headers(request, entry.body);
    if (!refused) refused = read_preconditions(request, entry, out.precondition);
    if (refused) {
        out.refusal = problem_response(*refused, route);
        return out;
    }
    out.entry = &entry;
    out.values = std::move(context.path_values);
    out.cluster = std::move(found.cluster);
    return out;
}

std::optional<Response> Routes::answer_early(const Request& request) {
    Checked checked = check(request);
    if (checked.entry == nullptr) return std::move(checked.refusal);
    if (checked.entry->body != BodyKind::none) return std::nullopt;
    return answer(request);
}

Response Routes::answer(const Request& request) {
    Checked checked = check(request);
    if (checked.entry == nullptr) return std::move(checked.refusal);
    Context context{
        request, checked.target, std::move(checked.values), std::move(checked.cluster), checked.precondition, {}};
    Response response = checked.entry->handler(*this, context);
    response.route = std::string(checked.entry->path);
    const bool told = std::any_of(response.headers.begin(), response.headers.end(),
                                  [](const auto& header) { return header.first == "Retry-After"; });
    if (response.status == 503 && !told) response.headers.emplace_back("Retry-After", "1");
    return response;
}

}  // namespace guideway::rest
