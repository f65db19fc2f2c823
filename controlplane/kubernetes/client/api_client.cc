#include "controlplane/kubernetes/client/api_client.h"

#include <algorithm>
#include <array>
#include <netdb.h>
#include <openssl/err.h>
#include <random>
#include <utility>

#include <httplib.h>

#include "api/contract/ip_address.h"
#include "api/json/parse.h"
#include "controlplane/kubernetes/client/tls_context.h"
#include "controlplane/kubernetes/client/watch_decoder.h"

namespace guideway::kubernetes {

using TimePoint = std::chrono::steady_clock::time_point;

namespace {

constexpr std::chrono::hours kForEver{24 * 365};
constexpr std::size_t kMaxErrorBytes = 1U << 20;
constexpr std::size_t kMaxErrorWords = 200;
constexpr unsigned kMaxDepth = 128;

ApiError local(std::string reason, std::string message) { return {0, std::move(reason), std::move(message), {}}; }
ApiError cancelled_error() { return local("Cancelled", "the call was cancelled"); }

const char* method_of(Verb verb) {
    switch (verb) {
        case Verb::create:
            return "POST";
        case Verb::update:
            return "PUT";
        case Verb::patch:
            return "PATCH";
        case Verb::remove:
            return "DELETE";
        case Verb::get:
        case Verb::list:
        case Verb::watch:
            break;
    }
    return "GET";
}

const char* content_type_of(const ApiRequest& request) {
    if (request.verb != Verb::patch) return "application/json";
    switch (request.patch_type) {
        case PatchType::json:
            return "application/json-patch+json";
        case PatchType::strategic:
            return "application/strategic-merge-patch+json";
        case PatchType::merge:
            break;
    }
    return "application/merge-patch+json";
}

/// As the API server itself names them; for answers of something between us and it.
std::string reason_of(int status) {
    switch (status) {
        case 400:
            return "BadRequest";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "NotFound";
        case 409:
            return "Conflict";
        case 410:
            return "Expired";
        case 422:
            return "Invalid";
        case 429:
            return "TooManyRequests";
        case 503:
            return "ServiceUnavailable";
        case 504:
            return "Timeout";
        default:
            return status >= 500 ? "InternalError" : "UnexpectedAnswer";
    }
}

std::chrono::seconds unix_time() {
    return std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
}

/// A literal address of `host`, as the library wants it beside another name for the certificate.
std::optional<std::string> resolved(const std::string& host) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    if (::getaddrinfo(host.c_str(), nullptr, &hints, &found) != 0) return std::nullopt;
    std::array<char, NI_MAXHOST> text{};
    const int error =
        ::getnameinfo(found->ai_addr, found->ai_addrlen, text.data(), text.size(), nullptr, 0, NI_NUMERICHOST);
    ::freeaddrinfo(found);
    return error == 0 ? std::optional<std::string>(text.data()) : std::nullopt;
}

/// What a person can read of a body that is no Status.
std::string words_of(const std::string& body) {
    std::string out;
    for (const char c : body.substr(0, kMaxErrorWords)) out += c >= ' ' && c < '\x7f' ? c : ' ';
    return out;
}

}  // namespace

/// The library's client; of TLS where `tls` is set. `trust` outlives it.
struct ApiClient::Http {
    TlsTrust trust;
    std::unique_ptr<httplib::ClientImpl> client;
    httplib::SSLClient* tls = nullptr;
};

struct ApiClient::Exchange {
    Verb verb = Verb::get;
    std::string target;  ///< path and query
    std::string body, content_type;
    bool repeatable = true;
    bool endless = false;  ///< tried once, no deadline
    Milliseconds read_timeout{0}, deadline{0}, retry_for{0};
    std::function<bool(std::string_view)> sink = {};
    std::function<void()> on_open = {};
};

struct ApiClient::Try {
    client::Outcome outcome = client::Outcome::failed;
    int status = 0;
    std::string body;
    std::optional<ApiError> error;  ///< there is no answer
    std::optional<std::chrono::seconds> retry_after;
    bool stale = false;  ///< over a kept connection that was closed meanwhile
    bool fed = false;    ///< the sink was given something, which cannot be taken back
};

ApiClient::ApiClient(ApiClientOptions options)
    : options_(std::move(options)),
      credentials_(options_.access, options_.clock.now),
      address_(parse_server_address(options_.access.server)),
      random_state_(std::random_device{}()) {}
ApiClient::~ApiClient() = default;

TimePoint ApiClient::now() const {
    return options_.clock.now ? options_.clock.now() : std::chrono::steady_clock::now();
}

double ApiClient::random() {
    if (options_.clock.random) return options_.clock.random();
    // SplitMix64: spreads pauses, guards nothing.
    random_state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = random_state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

bool ApiClient::sleep(Milliseconds time) {
    if (options_.clock.sleep) {
        options_.clock.sleep(time);
        return !cancelled_;
    }
    std::unique_lock lock(mutex_);
    return !woken_.wait_for(lock, time, [this] { return cancelled_.load(); });
}

void ApiClient::cancel() {
    std::shared_ptr<Http> http;
    {
        const std::lock_guard lock(mutex_);
        cancelled_ = true;
        http = http_;
    }
    woken_.notify_all();
    if (http) http->client->stop();
}

std::optional<ApiError> ApiClient::prepare() {
    if (!address_) {
        return local("InvalidAccess", "found \"" + options_.access.server + "\" as the server, allowed " +
                                          std::string(kServerAddressForms));
    }
    const bool usable = credentials_.update();
    if (!credentials_.error().empty() && options_.metrics) ++options_.metrics->credential_errors;
    if (!usable) return local("CredentialsUnreadable", credentials_.error());
    const bool secret = !credentials_.token().empty() || !credentials_.client_key().empty();
    if (secret && !address_->url.https && !address_->url.is_loopback()) {
        return local("InvalidAccess", "credentials for " + options_.access.server +
                                          " would go in the clear, for everybody on the way to read; use https://");
    }
    return connect_http();
}

std::optional<ApiError> ApiClient::connect_http() {
    if (http_ && (http_generation_ == credentials_.tls_generation() || !address_->url.https)) return std::nullopt;
    const client::ServerUrl& url = address_->url;
    auto http = std::make_shared<Http>();
    const std::string& wanted = options_.access.server_name;
    const bool renamed = url.https && !wanted.empty() && wanted != url.host;
    const std::string& name = renamed ? wanted : url.host;
    if (url.https) {
        auto client = std::make_unique<httplib::SSLClient>(name, url.port);
        http->tls = client.get();
        http->client = std::move(client);
        if (std::string error = set_up_tls(http->tls->ssl_context(), http->trust, credentials_, name); !error.empty()) {
            if (options_.metrics) ++options_.metrics->credential_errors;
            // Half of a renewed pair, perhaps: what worked before is used on, and the files are read again with the next call.
            if (http_) {
                credentials_.refresh();
                return std::nullopt;
            }
            credentials_.refresh();
            return local("CredentialsUnreadable", std::move(error));
        }
        http->client->enable_server_certificate_verification(false);  // OpenSSL does: tls_context.h
    } else {
        http->client = std::make_unique<httplib::ClientImpl>(name, url.port);
    }
    if (renamed) {
        const std::optional<std::string> address = resolved(url.host);
        if (!address) return local("Unreachable", "cannot find the address of " + url.host + "; is the name right?");
        http->client->set_hostname_addr_map({{name, *address}});
    }
    http->client->set_keep_alive(true);
    http->client->set_url_encode(false);
    http->client->set_decompress(false);
    // Head and body go out as two writes: the body must not wait for the server's delayed acknowledgement (40 ms).
    http->client->set_tcp_nodelay(true);
    const std::lock_guard lock(mutex_);
    http_ = std::move(http);
    http_generation_ = credentials_.tls_generation();
    return std::nullopt;
}

ApiError ApiClient::failure(const Exchange& exchange, const Try& result, int library_error, bool over) {
    const std::string server = address_->url.text();
    const std::string why = tls_complaint();
    switch (static_cast<httplib::Error>(library_error)) {
        case httplib::Error::Connection:
            return local("Unreachable", "cannot reach " + server + ": connection refused or no route");
        case httplib::Error::ConnectionTimeout:
            return local("Unreachable", "cannot reach " + server + ": nobody answers there");
        case httplib::Error::SSLConnection:
            if (const int verified = http_->trust.result; verified != X509_V_OK) {
                const bool other_name =
                    verified == X509_V_ERR_HOSTNAME_MISMATCH || verified == X509_V_ERR_IP_ADDRESS_MISMATCH;
                return local("TlsFailed", "the certificate of " + server + " is not trusted: " +
                                              (other_name ? "it names another server (tls-server-name)"
                                                          : X509_verify_cert_error_string(verified)));
            }
            [[fallthrough]];
        case httplib::Error::SSLLoadingCerts:
            // A server that stops or starts resets handshakes; what OpenSSL can name does not pass by waiting.
            if (why.empty()) return local("Unreachable", "cannot reach " + server + ": it ended the TLS handshake");
            return local("TlsFailed", "no TLS with " + server + ": " + why);
        default:
            break;
    }
    if (!why.empty() && result.status == 0 && http_->tls != nullptr) {
        // With TLS 1.3 a refused client certificate is told after the handshake.
        return local("TlsFailed", server + " ended TLS: " + why + " (it was shown " + credentials_.who() + ")");
    }
    const std::string unsure = exchange.verb == Verb::get || exchange.verb == Verb::list || exchange.verb == Verb::watch
                                   ? ""
                                   : "; the change may have been made";
    if (over) return local("Timeout", "no answer from " + server + " in time" + unsure);
    return local("ConnectionLost", "the connection to " + server + " broke before the answer was whole" + unsure);
}

ApiClient::Try ApiClient::try_once(const Exchange& exchange, TimePoint end) {
    Try result;
    httplib::ClientImpl& client = *http_->client;
    const auto left = [&] { return std::chrono::duration_cast<Milliseconds>(end - now()); };
    const auto bounded = [&](Milliseconds time) {
        return std::clamp(left(), Milliseconds(1), std::max(time, Milliseconds(1)));
    };
    const auto set = [](Milliseconds time, auto setter) {
        setter(static_cast<time_t>(time.count() / 1000), static_cast<time_t>(time.count() % 1000 * 1000));
    };
    const Milliseconds patience = bounded(exchange.read_timeout);
    set(bounded(options_.connect_timeout), [&](time_t s, time_t us) { client.set_connection_timeout(s, us); });
    set(patience, [&](time_t s, time_t us) {
        client.set_read_timeout(s, us);
        client.set_write_timeout(s, us);
    });

    httplib::Request http;
    http.method = method_of(exchange.verb);
    http.path = exchange.target;
    const std::string host = address_->url.text();
    http.headers.emplace("Host", host.substr(host.find("://") + 3));
    if (!credentials_.token().empty()) http.headers.emplace("Authorization", "Bearer " + credentials_.token());
    http.headers.emplace("Accept", "application/json");
    http.headers.emplace("User-Agent", options_.user_agent);
    if (!exchange.content_type.empty()) http.headers.emplace("Content-Type", exchange.content_type);
    http.body = exchange.body;

    bool answered = false, enough = false, too_large = false, late = false;
    TimePoint last_byte = now();
    const auto good = [&] { return result.status >= 200 && result.status < 300; };
    const auto take_head = [&](const httplib::Response& response) {
        answered = true;
        result.status = response.status;
        const std::string again = response.get_header_value("Retry-After");
        if (!again.empty()) result.retry_after = client::parse_retry_after(again, unix_time());
    };
    http.response_handler = [&](const httplib::Response& response) {
        take_head(response);
        last_byte = now();
        if (good() && exchange.on_open) exchange.on_open();
        return !cancelled_;
    };
    http.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
        if (cancelled_) return false;
        last_byte = now();
        late = last_byte > end;
        if (late) return false;
        if (exchange.sink && good()) {
            result.fed = true;
            enough = !exchange.sink({data, size});
            return !enough;
        }
        too_large = result.body.size() + size > (good() ? options_.max_answer_bytes : kMaxErrorBytes);
        if (!too_large) result.body.append(data, size);
        return !too_large;
    };

    const bool kept = client.is_socket_open() != 0;
    ERR_clear_error();
    http_->trust.result = X509_V_OK;
    const httplib::Result sent = client.send(http);
    if (sent && !answered) take_head(*sent);  // the library does not show it before where there is no body (204)
    if (options_.metrics) options_.metrics->count_request(exchange.verb, result.status);
    if (cancelled_) {
        result.error = cancelled_error();
    } else if (sent || enough) {
        result.outcome = result.status == 429 ? client::Outcome::refused_now
                         : result.status == 502 || result.status == 503 || result.status == 504
                             ? client::Outcome::unavailable
                         : result.status == 500 && result.retry_after ? client::Outcome::unavailable
                                                                      : client::Outcome::answered;
    } else if (too_large) {
        result.error = local("UnexpectedAnswer", address_->url.text() + " answered more than " +
                                                     std::to_string(options_.max_answer_bytes) + " bytes");
    } else {
        const bool over = late || now() - last_byte >= patience;
        result.error = failure(exchange, result, static_cast<int>(sent.error()), over);
        const std::string& reason = result.error->reason;
        if (reason == "Unreachable") result.outcome = client::Outcome::not_sent;
        if (reason == "ConnectionLost" || reason == "Timeout") {
            result.outcome = client::Outcome::lost;
            result.stale = kept && !answered && !over;
        }
    }
    if (enough) client.stop();  // what remains of the body is not for the next answer
    return result;
}

ApiResult<ApiClient::Answer> ApiClient::perform(const Exchange& exchange) {
    const TimePoint begin = now();
    const bool bounded = exchange.deadline.count() > 0 && !exchange.endless;
    const TimePoint end = begin + (bounded ? exchange.deadline : Milliseconds(kForEver));
    const TimePoint last_try = exchange.endless ? begin : begin + exchange.retry_for;
    client::Backoff backoff(options_.first_pause, options_.longest_pause);
    bool refreshed = false, resent = false;
    const auto again = [&] {
        if (options_.metrics) ++options_.metrics->retries;
    };
    while (true) {
        if (cancelled_) return cancelled_error();
        if (options_.limiter) {
            const auto wait = options_.limiter->reserve(now());
            if (wait.count() > 0) {
                if (options_.metrics) {
                    options_.metrics->throttled_nanoseconds += static_cast<std::uint64_t>(wait.count());
                }
                if (!sleep(std::chrono::ceil<Milliseconds>(wait))) return cancelled_error();
            }
        }
        if (auto error = prepare()) return *std::move(error);
        Try result = try_once(exchange, end);
        if (cancelled_) return cancelled_error();
        if (result.status == 401 && !std::exchange(refreshed, true) && credentials_.refresh()) {
            // Rotated between our reading it and the server's.
            again();
            continue;
        }
        if (result.stale && exchange.repeatable && !result.fed && !std::exchange(resent, true)) {
            again();
            continue;
        }
        const bool final = result.fed || !client::may_repeat(result.outcome, exchange.repeatable);
        if (!final) {
            const Milliseconds asked =
                std::chrono::duration_cast<Milliseconds>(result.retry_after.value_or(std::chrono::seconds(0)));
            const Milliseconds pause = backoff.pause(random(), asked);
            if (asked <= options_.longest_retry_after && now() + pause <= std::min(last_try, end)) {
                if (!sleep(pause)) return cancelled_error();
                again();
                continue;
            }
        }
        if (result.error) return *std::move(result.error);
        if (result.status < 200 || result.status >= 300)
            return error_of(result.status, result.body, result.retry_after);
        return Answer{result.status, std::move(result.body)};
    }
}

ApiError ApiClient::error_of(int status, const std::string& body,
                             std::optional<std::chrono::seconds> retry_after) const {
    ApiError error{status, {}, {}, {}};
    auto document = json::parse_strict(body, {.bytes = kMaxErrorBytes, .depth = kMaxDepth});
    if (document.ok()) error = status_error(*document.value, status);
    error.status = status;  // the header's is the one that decides
    if (error.reason.empty()) error.reason = reason_of(status);
    if (error.message.empty()) error.message = words_of(body);
    if (retry_after) error.retry_after = retry_after;
    if (status == 401 || status == 403) {
        error.message += (error.message.empty() ? "" : " ") + ("(the server was shown " + credentials_.who() + ")");
        if (!credentials_.error().empty()) error.message += " (" + credentials_.error() + ")";
    }
    return error;
}

ApiResult<nlohmann::json> ApiClient::request(const ApiRequest& request) {
    Exchange exchange;
    exchange.verb = request.verb;
    exchange.target =
        (address_ ? address_->prefix : "") + request.path + (request.query.empty() ? "" : "?" + request.query);
    if (!request.body.is_null()) {
        exchange.body = request.body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
        exchange.content_type = content_type_of(request);
    }
    const bool json_patch = request.verb == Verb::patch && request.patch_type == PatchType::json;
    exchange.repeatable = request.repeatable.value_or(request.verb != Verb::create && !json_patch);
    exchange.read_timeout = options_.read_timeout;
    exchange.deadline = request.deadline.value_or(options_.deadline);
    exchange.retry_for = request.retry_for.value_or(options_.retry_for);
    ApiResult<Answer> answer = perform(exchange);
    if (!answer.ok()) return answer.error();
    if (answer.value().body.empty()) return nlohmann::json();
    auto document = json::parse_strict(answer.value().body, {.bytes = options_.max_answer_bytes, .depth = kMaxDepth});
    if (!document.ok()) {
        const contract::Fault& fault = document.faults.front();
        return ApiError{0,
                        "UnexpectedAnswer",
                        address_->url.text() + " answered " + std::to_string(answer.value().status) +
                            " with what cannot be read: " + fault.field + " " + fault.message +
                            "; is it a Kubernetes API server?",
                        {}};
    }
    return *std::move(document.value);
}

ApiResult<nlohmann::json> ApiClient::get(const std::string& path, const std::string& query) {
    return request({.verb = Verb::get, .path = path, .query = query});
}

ApiResult<nlohmann::json> ApiClient::list(const std::string& path, const std::string& query) {
    return request({.verb = Verb::list, .path = path, .query = query});
}

ApiResult<nlohmann::json> ApiClient::create(const std::string& path, nlohmann::json body) {
    return request({.verb = Verb::create, .path = path, .body = std::move(body)});
}

ApiResult<nlohmann::json> ApiClient::update(const std::string& path, nlohmann::json body) {
    return request({.verb = Verb::update, .path = path, .body = std::move(body)});
}

ApiResult<nlohmann::json> ApiClient::patch(const std::string& path, PatchType type, nlohmann::json body) {
    return request({.verb = Verb::patch, .path = path, .body = std::move(body), .patch_type = type});
}

ApiResult<nlohmann::json> ApiClient::remove(const std::string& path, const std::string& uid) {
    nlohmann::json body;
    if (!uid.empty()) {
        body = {{"kind", "DeleteOptions"}, {"apiVersion", "v1"}, {"preconditions", {{"uid", uid}}}};
    }
    return request({.verb = Verb::remove, .path = path, .body = std::move(body)});
}

std::optional<ApiError> ApiClient::stream(const StreamRequest& request) {
    Exchange exchange;
    exchange.verb = Verb::watch;
    exchange.target =
        (address_ ? address_->prefix : "") + request.path + (request.query.empty() ? "" : "?" + request.query);
    exchange.endless = true;
    exchange.read_timeout = request.silence;
    exchange.sink = request.sink;
    exchange.on_open = request.on_open;
    const ApiResult<Answer> answer = perform(exchange);
    if (!answer.ok()) return answer.error();
    return std::nullopt;
}

}  // namespace guideway::kubernetes
