// ListWatchLoop: lists a collection and watches it from there, for ever: the part of a reflector (reflector.h) that knows no types.
//
// Terms. Page: a list comes in pieces of page_size; all of one revision. Probe: a list of one object before a watch is taken up again, only for
// its revision: where it is smaller than the last one told, the server's data went back in time (etcd restored from a
// snapshot), and what was told since then never was: listed again. (Without it such a watch would be silent, as all that comes is
// "older" than what it waits for.)
//
// How a watch ends and what follows (WatchEnd, client_metrics.h):
//     closed                   at once again, from the last revision (a pause where it lived less than `steady`)
//     expired, went_back       listed again, at once the first time
//     silent, broken, refused  again from the last revision, after a growing pause with jitter
//     unclear                  listed again, after such a pause
// And after full_list_every at the next end of a watch: listed again whatever came, so that no mistake lives for ever.
//
// Thread contract: run() in one thread, which calls the sink; cancel by ApiClient::cancel() from any.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include <nlohmann/json.hpp>

#include "controlplane/kubernetes/client/api_client.h"
#include "controlplane/kubernetes/client/watch_stream.h"

namespace guideway::kubernetes {

struct ListWatchOptions {
    std::string path;        ///< of the collection (resource_path.h)
    std::string query = {};  ///< selectors, encoded: "labelSelector=a%3Db"; empty: everything
    unsigned page_size = 500;
    Milliseconds shortest_watch{300000}, longest_watch{600000};  ///< the server is asked for a time between them
    Milliseconds silence{150000};                                ///< servers send a bookmark about every minute
    Milliseconds first_pause{800}, longest_pause{30000};
    Milliseconds steady{10000};  ///< a watch that lived so long was a good one: pauses begin anew
    Milliseconds full_list_every{1800000};
};

/// What the objects' owner is told. No member is null.
struct ListWatchSink {
    std::function<void()> on_list_begin;
    std::function<void(nlohmann::json&&)> on_list_item;
    std::function<void()> on_list_abandoned;  ///< forget the items since on_list_begin
    std::function<void()> on_list_end;        ///< they are all there is
    /// ADDED, MODIFIED or DELETED. False: it says not which object it is; everything is listed again.
    std::function<bool(WatchEvent&&)> on_change;
    std::function<void(const ApiError&)> on_trouble;  ///< tried again
};

class ListWatchLoop {
  public:
    ListWatchLoop(ApiClient& client, ListWatchOptions options, ListWatchSink sink, ReflectorMetrics& metrics);

    /// Until the client is cancelled.
    void run();

  private:
    bool list();
    /// Nothing: the revision that a list has now; else what became of the probe.
    std::optional<WatchEnd> probe();
    WatchOutcome watch_once();
    void trouble(const ApiError& error);

    ApiClient& client_;
    const ListWatchOptions options_;
    const ListWatchSink sink_;
    ReflectorMetrics& metrics_;
    client::Backoff backoff_;
    std::string revision_;  ///< where the watch stands; empty: to be listed
    std::chrono::steady_clock::time_point listed_at_{};
    std::optional<std::chrono::seconds> retry_after_;
};

/// Whether `a` is of an earlier time than `b`. Both decimal numbers, as since Kubernetes 1.35 promised (KEP-5504) and always so; false where one is none.
bool revision_before(const std::string& a, const std::string& b);

}  // namespace guideway::kubernetes
