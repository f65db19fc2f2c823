#include "controlplane/kubernetes/client/list_watch_loop.h"

#include <algorithm>
#include <charconv>
#include <system_error>
#include <utility>

#include "controlplane/kubernetes/client/object_meta.h"
#include "controlplane/kubernetes/client/resource_path.h"

namespace guideway::kubernetes {

namespace {

constexpr std::chrono::seconds kLongestRetryAfter{60};
/// After so many pages that expired the whole is asked for at once: a list must come to an end.
constexpr unsigned kMaxAnew = 2;

std::string meta_text(const nlohmann::json& object, const char* name) {
    const auto meta = object.find("metadata");
    if (meta == object.end() || !meta->is_object()) return {};
    const auto found = meta->find(name);
    return found != meta->end() && found->is_string() ? found->get<std::string>() : std::string();
}

std::int64_t unix_seconds() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch())
        .count();
}

}  // namespace

bool revision_before(const std::string& a, const std::string& b) {
    const auto number = [](const std::string& text) -> std::optional<std::uint64_t> {
        std::uint64_t value = 0;
        const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
        if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
        return value;
    };
    const auto first = number(a), second = number(b);
    return first && second && *first < *second;
}

ListWatchLoop::ListWatchLoop(ApiClient& client, ListWatchOptions options, ListWatchSink sink, ReflectorMetrics& metrics)
    : client_(client),
      options_(std::move(options)),
      sink_(std::move(sink)),
      metrics_(metrics),
      backoff_(options_.first_pause, options_.longest_pause) {}

void ListWatchLoop::trouble(const ApiError& error) {
    retry_after_ = error.retry_after;
    if (!error.cancelled()) sink_.on_trouble(error);
}

/// True: all of it is known, and revision_ is that of it.
bool ListWatchLoop::list() {
    std::string next, revision;
    unsigned anew = 0;
    sink_.on_list_begin();
    const auto failed = [&](const ApiError& error) {
        sink_.on_list_abandoned();
        ++metrics_.list_failures;
        trouble(error);
        return false;
    };
    while (true) {
        std::string query = options_.query;
        const auto add = [&](const std::string& part) { query += (query.empty() ? "" : "&") + part; };
        if (anew <= kMaxAnew) add("limit=" + std::to_string(options_.page_size));
        if (!next.empty()) add("continue=" + percent_encode(next));
        auto page = client_.list(options_.path, query);
        if (!page.ok()) {
            if (page.error().expired() && !next.empty() && anew <= kMaxAnew) {
                // Its revision was compacted away meanwhile. What it offers to go on with is of another revision: no list.
                ++anew;
                next.clear();
                sink_.on_list_abandoned();
                sink_.on_list_begin();
                continue;
            }
            return failed(page.error());
        }
        nlohmann::json& body = page.value();
        const auto items = body.is_object() ? body.find("items") : body.end();
        revision = body.is_object() ? meta_text(body, "resourceVersion") : "";
        // "items": null is how an empty list may be written.
        const bool good = items != body.end() && (items->is_array() || items->is_null()) && !revision.empty();
        if (!good) {
            return failed(
                {0, "UnexpectedAnswer", options_.path + ": found no list with items and a resourceVersion", {}});
        }
        metrics_.last_contact = unix_seconds();
        for (nlohmann::json& item : *items) sink_.on_list_item(std::move(item));
        next = meta_text(body, "continue");
        if (next.empty()) break;
    }
    if (client_.cancelled()) return false;
    revision_ = revision;
    listed_at_ = client_.now();
    ++metrics_.lists;
    sink_.on_list_end();
    return true;
}

std::optional<WatchEnd> ListWatchLoop::probe() {
    auto page = client_.list(options_.path, (options_.query.empty() ? "" : options_.query + "&") + "limit=1");
    if (!page.ok()) {
        trouble(page.error());
        return page.error().status == 0 ? WatchEnd::broken : WatchEnd::refused;
    }
    const std::string revision = page.value().is_object() ? meta_text(page.value(), "resourceVersion") : "";
    if (revision_before(revision, revision_)) return WatchEnd::went_back;
    return std::nullopt;
}

WatchOutcome ListWatchLoop::watch_once() {
    WatchRequest request;
    request.path = options_.path;
    request.query = options_.query;
    request.resource_version = revision_;
    const auto spread = static_cast<double>((options_.longest_watch - options_.shortest_watch).count());
    const Milliseconds time =
        options_.shortest_watch + Milliseconds(static_cast<Milliseconds::rep>(client_.random() * spread));
    request.timeout_seconds = static_cast<std::uint32_t>(std::max<std::int64_t>(time.count() / 1000, 1));
    request.silence = options_.silence;
    bool went_back = false, nameless = false;
    request.on_open = [&] { metrics_.last_contact = unix_seconds(); };
    request.on_event = [&](WatchEvent&& event) {
        metrics_.last_contact = unix_seconds();
        went_back = revision_before(event.resource_version, revision_);
        if (went_back) return false;
        const std::string revision = event.resource_version;
        if (event.type != WatchEventType::bookmark) {
            ++metrics_.events;
            nameless = !sink_.on_change(std::move(event));
            if (nameless) return false;
        }
        if (!revision.empty()) revision_ = revision;
        return true;
    };
    ++metrics_.watches;
    WatchOutcome outcome = watch(client_, request);
    if (went_back) return {WatchEnd::went_back, std::nullopt};
    if (nameless) {
        return {WatchEnd::unclear,
                ApiError{0, "UnexpectedAnswer", options_.path + ": found an event of an object without a name", {}}};
    }
    return outcome;
}

void ListWatchLoop::run() {
    bool first = true;     // nothing happened since the list: no need to probe
    bool hurried = false;  // the last list was at once after an expired watch
    while (!client_.cancelled()) {
        bool pause = false;
        if (revision_.empty()) {
            pause = !list();
            first = true;
        } else {
            std::optional<WatchEnd> end;
            const auto begin = client_.now();
            if (!std::exchange(first, false)) end = probe();
            if (client_.cancelled()) return;
            const bool probed_out = end.has_value();
            if (!probed_out) {
                const WatchOutcome outcome = watch_once();
                if (client_.cancelled()) return;
                end = outcome.end;
                const bool ordinary = *end == WatchEnd::closed || *end == WatchEnd::expired;
                if (outcome.error && !ordinary) trouble(*outcome.error);
            }
            metrics_.count_end(*end);
            const bool steady = client_.now() - begin >= options_.steady;
            if (steady) {
                backoff_.reset();
                hurried = false;
            }
            switch (*end) {
                case WatchEnd::closed:
                    pause = !steady;
                    break;
                case WatchEnd::expired:
                case WatchEnd::went_back:
                    revision_.clear();
                    pause = std::exchange(hurried, true);
                    break;
                case WatchEnd::unclear:
                    revision_.clear();
                    pause = true;
                    break;
                case WatchEnd::silent:
                case WatchEnd::broken:
                case WatchEnd::refused:
                    pause = true;
                    break;
            }
            if (client_.now() - listed_at_ >= options_.full_list_every) revision_.clear();
        }
        if (pause) {
            const auto asked = std::min(std::exchange(retry_after_, std::nullopt).value_or(std::chrono::seconds(0)),
                                        kLongestRetryAfter);
            if (!client_.sleep(backoff_.pause(client_.random(), asked))) return;
        }
    }
}

}  // namespace guideway::kubernetes
