// WatchStream: a watch as server-sent events (text/event-stream, WHATWG HTML 9.2).
//
//     event: MODIFIED                     ADDED, MODIFIED, DELETED, BOOKMARK, ERROR
//     id: 12                              the revision; only after the last change of it, so that who resumes there misses nothing
//     data: {"kind":"Node",...}           one line: the object, as a GET answers it; of ERROR a problem (RFC 9457)
//
// A bookmark's data has only kind and metadata.resourceVersion; that at the end of the present objects also carries the annotation
// "k8s.io/initial-events-end". An ERROR is the last event: the reader fell behind (410 "Expired") and has to list again. Where
// bookmarks are not asked for, a comment (":") shows in times of quiet that the connection is alive.
//
// Thread contract: as BodyStream's: one thread at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/rest/appliance.h"
#include "api/rest/routes.h"

namespace guideway::rest {

struct WatchStreamOptions {
    std::string kind;                              ///< "LoadBalancer", for bookmarks
    bool bookmarks = false;                        ///< ?allowBookmarks=true
    std::chrono::milliseconds quiet{15'000};       ///< RoutesOptions::watch_quiet
    std::function<std::string(std::string)> show;  ///< what the caller sees of an object; null: all
};

/// The objects that are there when a watch without revision begins, and the revision of that moment.
struct WatchStart {
    std::vector<std::string> objects;
    std::uint64_t revision = 0;
};

class WatchStream : public BodyStream {
  public:
    /// `start`: what is told before the changes of `watch`, which begins at its revision; none: the watch was resumed.
    WatchStream(std::unique_ptr<Watch> watch, std::optional<WatchStart> start, WatchStreamOptions options);
    std::optional<std::string> next(std::chrono::milliseconds wait) override;

  private:
    using Clock = std::chrono::steady_clock;

    std::string next_of_start();
    std::string shown(std::string object) const { return options_.show ? options_.show(std::move(object)) : object; }
    std::string bookmark(std::uint64_t revision, bool end_of_start) const;

    std::unique_ptr<Watch> watch_;
    std::optional<WatchStart> start_;
    std::size_t started_ = 0;  ///< objects of the start that were sent
    WatchStreamOptions options_;
    Clock::time_point last_sent_ = Clock::now();
    bool ended_ = false;
};

}  // namespace guideway::rest
