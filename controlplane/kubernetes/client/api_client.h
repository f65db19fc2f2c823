// ApiClient: one request to the Kubernetes API and its answer, with everything that may happen between: tries, pauses, deadlines, rate
// limit, TLS, tokens that rotate.
//
// Terms. Access: where and as whom (access.h). Repeatable: doing it twice is the same as once, or the API itself notices (GET, PUT and
// PATCH with a resourceVersion, DELETE). Lost: sent, perhaps carried out, no whole answer.
//
// Tried again within `retry_for`, with growing pauses with jitter between: what nobody took, and 429 (after Retry-After, at most
// `longest_retry_after`); of repeatable requests also 502, 503, 504, 500 with Retry-After, and lost ones. A connection that the server had closed in
// between: once more at once. 401: once more at once where the credentials' files hold something new. Everything else is for the
// caller: 409 above all. A lost change that is sent again may find itself done: a conflict, or not found where it deletes.
//
// Worked example:
//     ApiClientOptions options{.access = read_kubeconfig(path).value.value(), .limiter = limiter, .metrics = metrics};
//     ApiClient client(options);
//     auto service = client.get(kServices.object("prod", "web"));
//     auto patched = client.patch(kServices.object("prod", "web", "status"), PatchType::merge, {{"status", {{"loadBalancer", ...}}}});
//     if (!patched.ok() && patched.error().conflict()) ...
//
// Thread contract: one thread at a time; cancel(), cancelled() from any. A program that uses https ignores SIGPIPE (OpenSSL writes without
// MSG_NOSIGNAL).
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "api/client/retry.h"
#include "controlplane/kubernetes/client/access.h"
#include "controlplane/kubernetes/client/api_error.h"
#include "controlplane/kubernetes/client/client_metrics.h"
#include "controlplane/kubernetes/client/credentials.h"
#include "controlplane/kubernetes/client/rate_limiter.h"
#include "controlplane/kubernetes/client/server_address.h"

namespace guideway::kubernetes {

using client::Milliseconds;

struct ApiClientOptions {
    Access access;
    Milliseconds connect_timeout{5000};
    Milliseconds read_timeout{30000};  ///< between two bytes
    Milliseconds deadline{60000};      ///< of a call, tries and pauses included; not of streams
    Milliseconds retry_for{20000};     ///< how long a call is tried again; 0: once
    Milliseconds first_pause{200};     ///< between tries, doubling
    Milliseconds longest_pause{5000};
    Milliseconds longest_retry_after{
        30000};  ///< a server that asks for more is answered by giving up: the error tells what it asked for
    std::size_t max_answer_bytes = 128U << 20;
    std::string user_agent = "guideway-cloud-controller/" GUIDEWAY_VERSION;
    std::shared_ptr<RateLimiter> limiter = {};    ///< null: none; share one among the clients of a process
    std::shared_ptr<ClientMetrics> metrics = {};  ///< null: not counted
    client::Clock clock = {};                     ///< tests bring their own
};

enum class PatchType : std::uint8_t {
    merge,      ///< RFC 7396: null removes, lists are replaced
    json,       ///< RFC 6902: a list of operations
    strategic,  ///< Kubernetes' own, for its built-in kinds: lists merged by key
};

struct ApiRequest {
    Verb verb = Verb::get;     ///< decides the method of HTTP, and under which name it is counted
    std::string path = {};     ///< encoded, begins with "/" (resource_path.h)
    std::string query = {};    ///< encoded, without "?"; empty: none
    nlohmann::json body = {};  ///< null: none
    PatchType patch_type = PatchType::merge;
    std::optional<bool> repeatable = {};         ///< instead of what the verb tells: create and JSON patches are not
    std::optional<Milliseconds> deadline = {};   ///< instead of the options'
    std::optional<Milliseconds> retry_for = {};  ///< instead of the options'
};

/// A list or an answer without end, taken in pieces as they come.
struct StreamRequest {
    std::string path = {}, query = {};
    Milliseconds silence{120000};  ///< nothing came for so long: it ends as "Timeout"
    /// False: enough; ends as a success.
    std::function<bool(std::string_view)> sink = {};
    std::function<void()> on_open = {};  ///< the server accepted; may be null
};

class ApiClient {
  public:
    explicit ApiClient(ApiClientOptions options);
    ~ApiClient();
    ApiClient(const ApiClient&) = delete;
    ApiClient& operator=(const ApiClient&) = delete;

    /// The object (or Status) the server answered; null where it answered nothing (204).
    ApiResult<nlohmann::json> request(const ApiRequest& request);

    ApiResult<nlohmann::json> get(const std::string& path, const std::string& query = {});
    ApiResult<nlohmann::json> list(const std::string& path, const std::string& query = {});
    /// POST to a collection. Not repeated once it may have been carried out: unsure() tells; then look.
    ApiResult<nlohmann::json> create(const std::string& path, nlohmann::json body);
    /// PUT. With metadata.resourceVersion in the body a change in between is a conflict().
    ApiResult<nlohmann::json> update(const std::string& path, nlohmann::json body);
    ApiResult<nlohmann::json> patch(const std::string& path, PatchType type, nlohmann::json body);
    /// `uid` not empty: only that very object (precondition); another one is a conflict().
    ApiResult<nlohmann::json> remove(const std::string& path, const std::string& uid = {});

    /// Tried once. Nothing: ended by the server or the sink.
    std::optional<ApiError> stream(const StreamRequest& request);

    /// Ends the call under way, and refuses all later ones, as "Cancelled". Once may be too early for a call that is about to connect:
    /// who waits for a thread to end calls it until that has ended.
    void cancel();
    bool cancelled() const { return cancelled_; }

    const ApiClientOptions& options() const { return options_; }
    std::chrono::steady_clock::time_point now() const;
    /// In [0, 1).
    double random();
    /// False: cancelled meanwhile.
    bool sleep(Milliseconds time);

  private:
    struct Http;
    struct Exchange;
    struct Try;
    struct Answer {
        int status = 0;
        std::string body;
    };

    std::optional<ApiError> prepare();
    std::optional<ApiError> connect_http();
    ApiResult<Answer> perform(const Exchange& exchange);
    Try try_once(const Exchange& exchange, std::chrono::steady_clock::time_point end);
    ApiError error_of(int status, const std::string& body, std::optional<std::chrono::seconds> retry_after) const;
    ApiError failure(const Exchange& exchange, const Try& result, int library_error, bool over);

    const ApiClientOptions options_;
    Credentials credentials_;
    std::shared_ptr<Http> http_;  ///< under mutex_ where it is set, as cancel() reads it
    std::uint64_t http_generation_ = 0;
    std::optional<ServerAddress> address_;
    std::uint64_t random_state_;
    std::atomic<bool> cancelled_{false};
    std::mutex mutex_;
    std::condition_variable woken_;
};

}  // namespace guideway::kubernetes
