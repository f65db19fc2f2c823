// Watching: the changes of a kind as they happen, over server-sent events, for as long as it takes.
//
// Terms. Revision: where in the history of changes a watch stands; a list tells the one to begin with. Bookmark: only a revision, so
// that a watch of a quiet selection does not become too old. Too old (410): the server no longer has what came after
// that revision; only a new list helps (list_watch.h does that).
//
// A broken connection is taken up again after a pause (retry.h) from the last revision known to be whole. A change may
// therefore be told twice, never not at all.
//
// Worked example:
//     client.watch<resources::Node>({}, list.metadata.resource_version, {.on_change = [](const client::Change& change) {
//         std::cout << change.object; return true; }});
//
// Thread contract: handlers are called in the thread that watches. Transport::cancel() ends it from any.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "api/client/transport.h"
#include "api/resources/problem.h"

namespace guideway::client {

enum class ChangeType : std::uint8_t { added, modified, deleted, bookmark };

struct Change {
    ChangeType type = ChangeType::added;
    std::uint64_t revision = 0;  ///< to take up again from
    std::string object = {};     ///< JSON, as a GET answers it; of a deleted one as it was last; empty: a bookmark
};

struct WatchHandler {
    /// False: enough, the watch ends as "Cancelled".
    std::function<bool(const Change&)> on_change = {};
    std::function<void()> on_connected = {};                         ///< may be null
    std::function<void(const resources::Problem&)> on_trouble = {};  ///< that will be tried again; may be null
};

/// `path`: of the list, with its query, without revision. Returns why it ended: "Cancelled"; status 410: list again; or what waiting does
/// not mend (400, 401, 403, 404, a certificate that is not trusted, an answer that cannot be read).
resources::Problem watch(Transport& transport, const std::string& path, std::uint64_t revision,
                         const WatchHandler& handler);

}  // namespace guideway::client
