// Routes: what each path and method of the REST API does, without sockets: a request in, an answer out.
//
// Terms. Early answer: one that needs no body to be read (everything but a well-formed request of a route that takes one). Wait
// gate: the bound on requests that are waiting (`?wait=`), and the way to end them when the server stops. Access: which
// callers a route serves; checked before anything else about a known path is.
//
// Thread contract: answer_early() and answer() from any thread at once; end_waits() from any thread.
//
// Example:
//     Request request{.method = "GET", .target = "/v1/nodes/node-1"};
//     std::optional<Response> response = routes.answer_early(request);   // 200 with the node, or 404 with a problem
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/rest/appliance.h"
#include "api/rest/caller.h"

namespace guideway::rest {

struct Request {
    Caller caller{"anonymous", Role::admin, {}, {}};
    std::string method;
    std::string target;  ///< as on the wire: path and query, percent-encoded
    std::optional<std::string> content_type;
    std::optional<std::string> content_encoding;
    std::optional<std::string> if_match;
    std::optional<std::string> if_none_match;
    std::optional<std::string> last_event_id;  ///< of a watch taken up again
    std::string_view body;
};

/// A body that is made while it is sent, without end in sight (a watch: server-sent events).
class BodyStream {
  public:
    virtual ~BodyStream() = default;
    /// The next bytes, waiting up to `wait` for them; empty: nothing yet, ask again; none: the body is at its end.
    /// Called by one thread at a time.
    virtual std::optional<std::string> next(std::chrono::milliseconds wait) = 0;
};

struct Response {
    int status = 200;
    std::string content_type;  ///< empty: no body
    std::vector<std::pair<std::string, std::string>> headers;
    std::string body;
    std::shared_ptr<BodyStream> stream;  ///< instead of `body`, where there is one
    std::string route = "other";         ///< the template, for metrics
    double waited_seconds = 0;           ///< spent in `?wait=`
};

/// A problem as an answer (application/problem+json).
Response problem_response(const resources::Problem& problem, std::string route = "other");

struct RoutesOptions {
    std::size_t max_waiting_requests = 64;
    /// After so long without a change a watch says so: by a bookmark where they are asked for, else by a comment.
    std::chrono::milliseconds watch_quiet{15'000};
};

class Routes {
  public:
    static constexpr std::size_t kMaxBackupBytes = std::size_t{256} << 20;

    Routes(Appliance& appliance, std::size_t max_waiting_requests)
        : Routes(appliance, RoutesOptions{.max_waiting_requests = max_waiting_requests}) {}
    Routes(Appliance& appliance, const RoutesOptions& options) : appliance_(appliance), options_(options) {}

    /// The answer, or nothing where the body has to be read first (then answer()).
    std::optional<Response> answer_early(const Request& request);
    Response answer(const Request& request);
    /// Served to anybody, whoever they are: /healthz and /readyz.
    static bool is_open(const Request& request);
    /// The longest body the request's route takes, in bytes; `ordinary` for all but restoring a backup.
    static std::size_t max_body(const Request& request, std::size_t ordinary);
    /// Ends waits under way and to come: they answer as if their time were over.
    void end_waits() { stopping_ = true; }

    struct Context;  ///< one request with its path and query taken apart
    struct Entry;    ///< one method of one path
    struct Checked;  ///< a request that may be handled, or why not

  private:
    friend struct RouteHandlers;

    static Checked check(const Request& request);
    struct Waited {
        bool forwarding = false;
        double seconds = 0;
    };
    /// Nothing: too many are waiting already.
    std::optional<Waited> wait_until_forwarding(std::chrono::seconds timeout);

    Appliance& appliance_;
    const RoutesOptions options_;
    std::atomic<std::size_t> waiting_{0};
    std::atomic<bool> stopping_{false};
};

}  // namespace guideway::rest
