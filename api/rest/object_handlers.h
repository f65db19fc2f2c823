// What all kinds of objects have in common: GET, PUT, DELETE, lists and watches, as templates over the kind. Inside api/rest only.
// Thread contract: pure functions over the Appliance.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "api/contract/decoded.h"
#include "api/json/object_reader.h"
#include "api/resources/list.h"
#include "api/resources/problem_codec.h"
#include "api/resources/selector_query.h"
#include "api/rest/route_table.h"
#include "api/rest/watch_stream.h"

namespace guideway::rest {

inline constexpr std::uint64_t kMaxPage = 1'000'000;

template <class T>
Response object_response(int status, const T& object, const FieldMask& mask = {}) {
    Response response = json_response(status, mask.apply(encode(object)));
    response.headers.emplace_back("ETag", "\"" + std::to_string(object.metadata.resource_version) + "\"");
    return response;
}

/// GET of one. `read`: Result<T>().
template <class T, class Read>
Response got(Routes::Context& context, std::string_view kind, Read read) {
    const FieldMask mask = context.fields(kind);
    if (!context.faults.empty()) return context.faulty();
    const Result<T> result = read();
    if (!result.ok()) return problem_response(result.problem());
    return object_response(200, result.value(), mask);
}

/// PUT. `ensure`: Result<Ensured<T>>(T).
template <class T, class Ensure>
Response ensured(Routes& routes, Routes::Context& context, contract::Decoded<T> wanted, Ensure ensure) {
    const std::optional<std::chrono::seconds> wait = context.wait();
    if (!context.faults.empty()) return context.faulty();
    if (!wanted.value) return problem_response(resources::invalid_request(std::move(wanted.faults)));
    const Result<Ensured<T>> result = ensure(*std::move(wanted.value));
    if (!result.ok()) return problem_response(result.problem());
    Response response = object_response(result.value().created ? 201 : 200, result.value().object);
    RouteHandlers::wait_after_change(routes, wait, response);
    return response;
}

/// DELETE. `remove`: Result<bool>().
template <class Remove>
Response removed(Routes& routes, Routes::Context& context, Remove remove) {
    const std::optional<std::chrono::seconds> wait = context.wait();
    if (!context.faults.empty()) return context.faulty();
    const Result<bool> result = remove();
    if (!result.ok()) return problem_response(result.problem());
    Response response;
    response.status = 204;
    RouteHandlers::wait_after_change(routes, wait, response);
    return response;
}

/// ?cluster=, ?namespace=, ?labelSelector=, as far as the route has them, and what the caller may see. Null: 403, not empty.
/// `clustered`: the kind's objects are of a cluster.
inline std::optional<resources::Problem> read_selection(Routes::Context& context, bool clustered, Selection& out) {
    if (context.has("namespace")) out.namespace_ = std::string(context.query("namespace"));
    if (context.has("labelSelector")) {
        contract::Decoded<LabelQuery> labels = resources::parse_label_query(context.query("labelSelector"));
        for (contract::Fault& fault : labels.faults) {
            context.faults.push_back({"?labelSelector", std::move(fault.message)});
        }
        out.labels = std::move(labels.value).value_or(LabelQuery());
    }
    if (!clustered) return std::nullopt;
    if (context.cluster) {
        out.cluster = context.cluster;
        if (context.has("cluster")) context.fault("cluster", "none, as the path names the cluster");
    } else if (context.has("cluster")) {
        out.cluster = std::string(context.query("cluster"));
    }
    const Caller& caller = context.request.caller;
    if (caller.role == Role::controller) {
        if (out.cluster && *out.cluster != caller.cluster) {
            return forbidden(caller, "the role controller of cluster " + json::ObjectReader::quoted(*out.cluster) +
                                         ", viewer or admin");
        }
        out.cluster = caller.cluster;
    }
    return std::nullopt;
}

/// ?resourceVersion= or Last-Event-ID; 0: from the present objects on.
inline std::uint64_t read_revision(Routes::Context& context) {
    constexpr std::uint64_t kMax = std::numeric_limits<std::uint64_t>::max();
    // What the reader saw last is newer than what its address says.
    if (const auto& last = context.request.last_event_id; last && !last->empty()) {
        const std::optional<std::uint64_t> value = parse_unsigned(*last, kMax);
        if (!value) {
            context.faults.push_back({"Last-Event-ID", "found " + json::ObjectReader::quoted(*last) +
                                                           ", allowed the id of an event, a number"});
        }
        return value.value_or(0);
    }
    if (!context.has("resourceVersion")) return 0;
    const std::optional<std::uint64_t> value = parse_unsigned(context.query("resourceVersion"), kMax);
    if (!value) context.fault("resourceVersion", "the resourceVersion of a list or an event, a number");
    return value.value_or(0);
}

/// What a kind needs to be listed.
template <class T>
struct Listing {
    std::string_view kind;          ///< "LoadBalancer"
    bool clustered = false;         ///< its objects are of a cluster
    std::optional<Kind> watched{};  ///< none: it cannot be watched
    Result<Page<T>> (*page)(Appliance&, const PageRequest&) = nullptr;
    /// What this caller sees of an object; null: all.
    T (*seen)(const Caller&, T) = nullptr;
    /// The same of its JSON form.
    std::string (*seen_text)(const Caller&, std::string) = nullptr;
};

template <class T>
Response watched(Routes& routes, Routes::Context& context, const Listing<T>& listing, const Selection& selection,
                 const FieldMask& mask) {
    const std::uint64_t revision = read_revision(context);
    WatchStreamOptions options;
    options.kind = std::string(listing.kind);
    options.bookmarks = context.boolean("allowBookmarks");
    options.quiet = RouteHandlers::options(routes).watch_quiet;
    if (!mask.everything() || listing.seen_text != nullptr) {
        options.show = [mask, caller = context.request.caller, seen = listing.seen_text](std::string object) {
            return mask.apply(seen == nullptr ? std::move(object) : seen(caller, std::move(object)));
        };
    }
    for (const char* name : {"limit", "continue"}) {
        if (context.has(name)) context.fault(name, "none beside ?watch=true");
    }
    if (!context.faults.empty()) return context.faulty();
    Appliance& appliance = RouteHandlers::appliance(routes);
    // Changes follow the present objects without a gap: from the list's revision on. Where that is 0, which a watch takes for "from
    // now on", the watch is the one made before the list.
    Result<std::unique_ptr<Watch>> watch = appliance.watch(*listing.watched, selection, revision);
    if (!watch.ok()) return problem_response(watch.problem());
    std::optional<WatchStart> start;
    if (revision == 0) {
        Result<Page<T>> page = listing.page(appliance, {selection, 0, {}});
        if (!page.ok()) return problem_response(page.problem());
        start.emplace();
        start->revision = page.value().revision;
        for (const T& object : page.value().items) start->objects.push_back(encode(object));
        if (start->revision != 0) watch = appliance.watch(*listing.watched, selection, start->revision);
        if (!watch.ok()) return problem_response(watch.problem());
    }
    Response response;
    response.content_type = "text/event-stream";
    response.headers.emplace_back("Cache-Control", "no-cache");
    if (context.request.method != "HEAD") {
        response.stream = std::make_shared<WatchStream>(std::move(watch.value()), std::move(start), std::move(options));
    }
    return response;
}

/// GET of a list, or of a watch.
template <class T>
Response listed(Routes& routes, Routes::Context& context, const Listing<T>& listing) {
    PageRequest request;
    if (auto refused = read_selection(context, listing.clustered, request.selection)) return problem_response(*refused);
    if (context.has("kind")) request.selection.regarding_kind = std::string(context.query("kind"));
    if (context.has("name")) request.selection.regarding_name = std::string(context.query("name"));
    const FieldMask mask = context.fields(listing.kind);
    if (listing.watched && context.boolean("watch")) return watched(routes, context, listing, request.selection, mask);
    for (const char* name : {"resourceVersion", "allowBookmarks"}) {
        if (context.has(name)) context.fault(name, "only beside ?watch=true");
    }
    if (listing.watched && context.request.last_event_id) read_revision(context);  // only whether it is one
    request.limit = context.number("limit", 0, 0, kMaxPage);
    request.after_token = std::string(context.query("continue"));
    if (!context.faults.empty()) return context.faulty();
    Result<Page<T>> page = listing.page(RouteHandlers::appliance(routes), request);
    if (!page.ok()) return problem_response(page.problem());
    resources::List<T> list;
    list.metadata.resource_version = page.value().revision;
    list.metadata.next_token = std::move(page.value().next_token);
    list.metadata.remaining_item_count = page.value().remaining;
    list.items = std::move(page.value().items);
    if (listing.seen != nullptr) {
        for (T& object : list.items) object = listing.seen(context.request.caller, std::move(object));
    }
    return json_response(200, mask.apply_to_items(encode(list)));
}

}  // namespace guideway::rest
