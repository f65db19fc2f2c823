// watch(): one watch of a collection from a revision: asks, reads, and says how it ended. reflector.h makes many of it.
//
// Thread contract: the handler is called in the calling thread; ApiClient::cancel() ends it from any.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "controlplane/kubernetes/client/api_client.h"
#include "controlplane/kubernetes/client/watch_decoder.h"

namespace guideway::kubernetes {

struct WatchRequest {
    std::string path;                     ///< of the collection
    std::string query = {};               ///< selectors, encoded; empty: none
    std::string resource_version;         ///< what came after it is told
    std::uint32_t timeout_seconds = 300;  ///< after which the server ends it by itself
    Milliseconds silence{120000};         ///< nothing came, no bookmark either
    std::function<void()> on_open = {};   ///< may be null
    /// All but ERROR. False: enough, it ends as "closed" without error.
    std::function<bool(WatchEvent&&)> on_event = {};
};

struct WatchOutcome {
    WatchEnd end = WatchEnd::closed;
    std::optional<ApiError> error = {};  ///< why, where it is not just the end of its time; "Cancelled" among them
};

WatchOutcome watch(ApiClient& client, const WatchRequest& request);

}  // namespace guideway::kubernetes
