#include "controlplane/kubernetes/client/watch_stream.h"

#include <utility>

namespace guideway::kubernetes {

namespace {

WatchEnd end_of(const ApiError& error) {
    if (error.expired()) return WatchEnd::expired;
    if (error.too_large_resource_version()) return WatchEnd::went_back;
    if (error.status != 0) return WatchEnd::refused;
    if (error.reason == "Timeout") return WatchEnd::silent;
    if (error.reason == "UnexpectedAnswer") return WatchEnd::unclear;
    return WatchEnd::broken;
}

}  // namespace

WatchOutcome watch(ApiClient& client, const WatchRequest& request) {
    WatchDecoder decoder;
    std::optional<ApiError> told;
    StreamRequest stream;
    stream.path = request.path;
    stream.query = (request.query.empty() ? "" : request.query + "&") +
                   "watch=1&allowWatchBookmarks=true&resourceVersion=" + request.resource_version +
                   "&timeoutSeconds=" + std::to_string(request.timeout_seconds);
    stream.silence = request.silence;
    stream.on_open = request.on_open;
    const auto on_event = [&](WatchEvent&& event) {
        if (event.type == WatchEventType::error) {
            told = std::move(event.error);
            return false;
        }
        return request.on_event(std::move(event));
    };
    stream.sink = [&](std::string_view bytes) { return decoder.feed(bytes, on_event); };
    std::optional<ApiError> error = client.stream(stream);
    if (client.cancelled()) return {WatchEnd::closed, ApiError{0, "Cancelled", "the watch was cancelled", {}}};
    if (told) return {end_of(*told), told};
    if (!decoder.error().empty()) {
        return {WatchEnd::unclear, ApiError{0, "UnexpectedAnswer", request.path + ": " + decoder.error(), {}}};
    }
    if (!error) return {WatchEnd::closed, std::nullopt};
    return {end_of(*error), std::move(error)};
}

}  // namespace guideway::kubernetes
