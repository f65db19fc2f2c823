#include "api/client/transport.h"

#include <algorithm>
#include <cerrno>
#include <map>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <random>
#include <sys/stat.h>
#include <system_error>
#include <utility>

#include <httplib.h>

#include "api/client/token_file.h"
#include "api/contract/ip_address.h"
#include "api/resources/problem_codec.h"

namespace guideway::client {

using resources::Problem;
using TimePoint = std::chrono::steady_clock::time_point;

namespace {

/// Within the handshake; notes what is wrong.
int verify(X509_STORE_CTX* store, void* result) {
    const int good = X509_verify_cert(store);
    *static_cast<int*>(result) = X509_STORE_CTX_get_error(store);
    return good;
}

constexpr std::chrono::hours kForEver{24 * 365};
constexpr std::size_t kMaxAnswerBytes = 512U << 20;
constexpr std::size_t kMaxProblemBytes = 1U << 20;

Problem local(std::string reason, std::string detail) { return {0, std::move(reason), std::move(detail), {}}; }

/// What of a file changes when it is written anew; empty: there is no such file.
std::string stamp_of(const std::string& path) {
    struct stat status {};
    if (path.empty() || ::stat(path.c_str(), &status) != 0) return {};
    return std::to_string(status.st_ino) + "/" + std::to_string(status.st_size) + "/" +
           std::to_string(status.st_mtim.tv_sec) + "." + std::to_string(status.st_mtim.tv_nsec) + "/" +
           std::to_string(status.st_ctim.tv_sec) + "." + std::to_string(status.st_ctim.tv_nsec);
}

/// The first thing OpenSSL complained of in this thread since ERR_clear_error(); what comes after it is cleaning up. Empty: nothing.
std::string openssl_reason() {
    const unsigned long code = ERR_peek_error();
    const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
    return reason == nullptr ? std::string() : reason;
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

}  // namespace

/// The library's client; of TLS where `tls` is set.
struct Transport::Http {
    int verified = X509_V_OK;  ///< the last server's certificate: X509_V_...
    std::unique_ptr<httplib::ClientImpl> client;
    httplib::SSLClient* tls = nullptr;
};

struct Transport::Try {
    Outcome outcome = Outcome::failed;
    Answer answer;  ///< where `problem` is not set
    std::optional<Problem> problem;
    std::optional<std::chrono::seconds> retry_after;
    bool stale = false;  ///< over a kept connection that was closed meanwhile
};

Transport::Transport(Options options)
    : options_(std::move(options)), url_(parse_server_url(options_.server)), random_state_(std::random_device{}()) {}
Transport::~Transport() = default;

TimePoint Transport::now() const {
    return options_.clock.now ? options_.clock.now() : std::chrono::steady_clock::now();
}

double Transport::random() {
    if (options_.clock.random) return options_.clock.random();
    // SplitMix64: spreads pauses, guards nothing.
    random_state_ += 0x9e3779b97f4a7c15U;
    std::uint64_t z = random_state_;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1.0p-53;
}

bool Transport::sleep(Milliseconds time) {
    if (options_.clock.sleep) {
        options_.clock.sleep(time);
        return !cancelled_;
    }
    std::unique_lock lock(mutex_);
    return !woken_.wait_for(lock, time, [this] { return cancelled_.load(); });
}

void Transport::cancel() {
    std::shared_ptr<Http> http;
    {
        const std::lock_guard lock(mutex_);
        cancelled_ = true;
        http = http_;
    }
    woken_.notify_all();
    if (http) http->client->stop();
}

std::optional<Problem> Transport::prepare() {
    if (!url_) {
        return local("InvalidServer",
                     "found \"" + options_.server + "\" as the server, allowed " + std::string(kServerForms));
    }
    if (auto problem = read_token()) return problem;
    if (!token_.empty() && !url_->https && !url_->is_loopback()) {
        return local("InsecureServer", "the token would go to " + url_->text() +
                                           " in the clear, for everybody on the way to read; use https://");
    }
    return connect_http();
}

std::optional<Problem> Transport::read_token() {
    if (!options_.token.empty() || options_.token_file.empty()) {
        if (!options_.token.empty() && !is_bearer_token(options_.token)) {
            return local("InvalidToken", "the token of " +
                                             (options_.token_origin.empty() ? "the options" : options_.token_origin) +
                                             " is none: found other characters than letters, digits and -._~+/");
        }
        token_ = options_.token;
        return std::nullopt;
    }
    const std::string stamp = stamp_of(options_.token_file);
    if (!stamp.empty() && stamp == token_seen_) return std::nullopt;
    TokenFile file = read_token_file(options_.token_file);
    if (!file.ok()) return local("TokenUnreadable", file.error);
    token_ = std::move(file.token);
    token_seen_ = stamp;
    return std::nullopt;
}

std::string Transport::token_words() const {
    if (token_.empty()) return "no token was sent";
    if (!options_.token.empty()) {
        return "the token sent is that of " + (options_.token_origin.empty() ? "the options" : options_.token_origin);
    }
    return "the token sent is that in " + options_.token_file;
}

std::optional<Problem> Transport::connect_http() {
    std::string files;
    if (url_->https) {
        for (const std::string& path : {options_.ca_file, options_.client_certificate, options_.client_key}) {
            files += stamp_of(path) + ";";
        }
    }
    if (http_ && files == files_seen_) return std::nullopt;
    auto http = std::make_shared<Http>();
    const bool renamed = url_->https && !options_.server_name.empty() && options_.server_name != url_->host;
    const std::string& name = renamed ? options_.server_name : url_->host;
    if (url_->https) {
        auto client = std::make_unique<httplib::SSLClient>(name, url_->port);
        http->tls = client.get();
        http->client = std::move(client);
        SSL_CTX* context = http->tls->ssl_context();
        const auto refused = [](const std::string& what, const std::string& path, const std::string& remedy) {
            const std::string why = openssl_reason();
            return local("TlsFailed",
                         "cannot use " + path + " as " + what + (why.empty() ? "" : ": " + why) + "; " + remedy);
        };
        ERR_clear_error();
        SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
        // Certificate and name are OpenSSL's to check, within the handshake: the library's own check of addresses also looks at memory that
        // it never set, and compares IPv6 addresses beyond the end of shorter ones.
        SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
        SSL_CTX_set_cert_verify_callback(context, &verify, &http->verified);
        http->client->enable_server_certificate_verification(false);
        X509_VERIFY_PARAM* expected = SSL_CTX_get0_param(context);
        const bool named = IpAddress::parse(name) ? X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1
                                                  : X509_VERIFY_PARAM_set1_host(expected, name.c_str(), 0) == 1;
        if (!named) return local("TlsFailed", "cannot expect a certificate for \"" + name + "\"; is the name right?");
        if (options_.ca_file.empty()) {
            SSL_CTX_set_default_verify_paths(context);
        } else if (SSL_CTX_load_verify_locations(context, options_.ca_file.c_str(), nullptr) != 1) {
            return refused("the authority that signed the server's certificate", options_.ca_file,
                           "give a PEM file with one certificate or several");
        }
        if (!options_.client_certificate.empty()) {
            const std::string& key = options_.client_key.empty() ? options_.client_certificate : options_.client_key;
            if (SSL_CTX_use_certificate_chain_file(context, options_.client_certificate.c_str()) != 1) {
                return refused("the client's certificate", options_.client_certificate, "give a PEM file");
            }
            if (SSL_CTX_use_PrivateKey_file(context, key.c_str(), SSL_FILETYPE_PEM) != 1) {
                return refused("the client's key", key,
                               "give the PEM file of the key that belongs to " + options_.client_certificate);
            }
        }
    } else {
        http->client = std::make_unique<httplib::ClientImpl>(name, url_->port);
    }
    if (renamed) {
        const std::optional<std::string> address = resolved(url_->host);
        if (!address) return local("Unreachable", "cannot find the address of " + url_->host + "; is the name right?");
        http->client->set_hostname_addr_map({{name, *address}});
    }
    http->client->set_keep_alive(true);
    http->client->set_url_encode(false);
    http->client->set_decompress(false);
    // Head and body go out as two writes: the body must not wait for the server's delayed acknowledgement (40 ms).
    http->client->set_tcp_nodelay(true);
    const std::lock_guard lock(mutex_);
    http_ = std::move(http);
    files_seen_ = std::move(files);
    return std::nullopt;
}

namespace {

Problem cancelled_problem() { return local("Cancelled", "the call was cancelled"); }

Problem unreachable(const std::string& server, const std::string& how) {
    return local("Unreachable", "cannot reach " + server + ": " + how +
                                    "; is guideway-controlplane running, and is --server (or GUIDEWAY_SERVER) right?");
}

std::string tls_words(const std::string& server, long verify_result, bool verification) {
    if (!verification) {
        const std::string why = openssl_reason();
        if (why == "wrong version number" || why == "packet length too long" || why == "http request") {
            return "no TLS with " + server + ": it answers something else; does it speak plain http://?";
        }
        return "no TLS with " + server + (why.empty() ? ": the connection ended within the handshake" : ": " + why);
    }
    const bool other_name =
        verify_result == X509_V_ERR_HOSTNAME_MISMATCH || verify_result == X509_V_ERR_IP_ADDRESS_MISMATCH;
    if (verify_result != X509_V_OK && !other_name) {
        return "the certificate of " + server + " is not trusted: " + X509_verify_cert_error_string(verify_result) +
               "; give the authority that signed it (--ca-file, GUIDEWAY_CA_FILE)";
    }
    return "the certificate of " + server +
           " is for another name; use a name that it has, or say whom to expect by "
           "--server-name";
}

}  // namespace

Transport::Try Transport::try_once(const Request& request, TimePoint end) {
    Try result;
    httplib::ClientImpl& client = *http_->client;
    const auto left = [&] { return std::chrono::duration_cast<Milliseconds>(end - now()); };
    const auto bounded = [&](Milliseconds time) { return std::clamp(left(), Milliseconds(1), time); };
    const auto set = [](Milliseconds time, auto setter) {
        setter(static_cast<time_t>(time.count() / 1000), static_cast<time_t>(time.count() % 1000 * 1000));
    };
    const Milliseconds patience = bounded(request.read_timeout.value_or(options_.read_timeout));
    set(bounded(options_.connect_timeout), [&](time_t s, time_t us) { client.set_connection_timeout(s, us); });
    set(patience, [&](time_t s, time_t us) {
        client.set_read_timeout(s, us);
        client.set_write_timeout(s, us);
    });

    httplib::Request http;
    http.method = request.method;
    http.path = request.path;
    const auto header = [&](const char* name, const std::string& value) {
        if (!value.empty()) http.headers.emplace(name, value);
    };
    if (!token_.empty()) header("Authorization", "Bearer " + token_);
    header("Accept", request.accept.empty() ? "application/json" : request.accept);
    header("User-Agent", "guideway/" GUIDEWAY_VERSION);
    header("If-Match", request.if_match);
    header("If-None-Match", request.if_none_match);
    header("Content-Type", request.content_type);
    http.body = request.body;

    bool answered = false, enough = false, too_large = false, late = false;
    const auto take_head = [&](const httplib::Response& response) {
        answered = true;
        result.answer.status = response.status;
        result.answer.content_type = response.get_header_value("Content-Type");
        result.answer.etag = response.get_header_value("ETag");
        result.answer.forwarding = response.get_header_value("Guideway-Forwarding");
        const std::string again = response.get_header_value("Retry-After");
        if (!again.empty()) result.retry_after = parse_retry_after(again, unix_time());
    };
    http.response_handler = [&](const httplib::Response& response) {
        take_head(response);
        return !cancelled_;
    };
    http.content_receiver = [&](const char* data, std::size_t size, std::uint64_t, std::uint64_t) {
        if (cancelled_) return false;
        late = now() > end;
        if (late) return false;
        if (request.sink && result.answer.ok()) {
            enough = !request.sink({data, size});
            return !enough;
        }
        too_large = result.answer.body.size() + size > (result.answer.ok() ? kMaxAnswerBytes : kMaxProblemBytes);
        if (!too_large) result.answer.body.append(data, size);
        return !too_large;
    };

    const bool kept = client.is_socket_open() != 0;
    const TimePoint begin = now();
    ERR_clear_error();
    http_->verified = X509_V_OK;
    const httplib::Result sent = client.send(http);
    if (sent && !answered) take_head(*sent);  // the library does not show it before where there is no body (204)
    if (cancelled_) {
        result.problem = cancelled_problem();
    } else if (sent || enough) {
        result.outcome = result.answer.status == 429   ? Outcome::refused_now
                         : result.answer.status == 503 ? Outcome::unavailable
                                                       : Outcome::answered;
    } else if (too_large) {
        result.problem = local("UnexpectedAnswer", options_.server + " answered more than this client takes");
    } else {
        const std::string& server = options_.server;
        switch (sent.error()) {
            case httplib::Error::Connection:
                result.outcome = Outcome::not_sent;
                result.problem = unreachable(server, "connection refused or no route");
                break;
            case httplib::Error::ConnectionTimeout:
                result.outcome = Outcome::not_sent;
                result.problem = unreachable(server, "nobody answers there");
                break;
            case httplib::Error::SSLConnection:
                if (http_->verified != X509_V_OK) {
                    result.problem = local("TlsFailed", tls_words(server, http_->verified, true));
                    break;
                }
                [[fallthrough]];
            case httplib::Error::SSLLoadingCerts:
                // A server that stops or starts resets handshakes; what OpenSSL can name does not pass by waiting.
                result.outcome = openssl_reason().empty() ? Outcome::not_sent : Outcome::failed;
                result.problem =
                    local(openssl_reason().empty() ? "Unreachable" : "TlsFailed", tls_words(server, X509_V_OK, false));
                break;
            default: {
                const std::string why = openssl_reason();
                const bool over = late || now() - begin >= patience;
                result.outcome = Outcome::lost;
                result.stale = kept && !answered && !over;
                const std::string unsure =
                    request.method == "GET" ? "" : "; whether the change was made can be seen with `guideway get`";
                const std::string wants_certificate =
                    http_->tls != nullptr && options_.client_certificate.empty() && !answered && !kept
                        ? "; does it want a client certificate (--client-cert)?"
                        : "";
                if (!why.empty() && !answered && http_->tls != nullptr) {
                    // With TLS 1.3 a refused client certificate is told after the handshake.
                    result.outcome = Outcome::failed;
                    result.problem =
                        local("TlsFailed",
                              server + " ended TLS: " + why +
                                  (why.find("certificate") == std::string::npos
                                       ? ""
                                       : "; give a certificate that it trusts (--client-cert and --client-key)"));
                } else if (over) {
                    result.problem = local("Timeout", "no answer from " + server + " in time" + unsure);
                } else {
                    result.problem =
                        local("ConnectionLost", "the connection to " + server + " broke before the answer was whole" +
                                                    unsure + wants_certificate);
                }
            }
        }
    }
    if (enough) client.stop();  // what remains of the body is not for the next answer
    return result;
}

resources::Result<Answer> Transport::ask(const Request& request) {
    const TimePoint begin = now();
    const bool bounded = options_.deadline.count() > 0 && !request.endless;
    const TimePoint end = begin + (bounded ? options_.deadline : kForEver);
    const TimePoint last_try = request.endless ? begin : begin + options_.retry_for;
    Backoff backoff(options_.first_pause, options_.longest_pause);
    bool lost = false, refreshed = false, resent = false;
    while (true) {
        if (cancelled_) return cancelled_problem();
        if (auto problem = prepare()) return *std::move(problem);
        bool fed = false;  // what a sink was given cannot be taken back
        Request one = request;
        if (request.sink) {
            one.sink = [&](std::string_view bytes) {
                fed = true;
                return request.sink(bytes);
            };
        }
        Try result = try_once(one, end);
        if (cancelled_) return cancelled_problem();
        lost = lost || result.outcome == Outcome::lost;
        result.answer.after_lost = lost;
        if (result.answer.status == 401 && !refreshed && !options_.token_file.empty() && options_.token.empty()) {
            // It may have been rotated between our reading it and the server's.
            refreshed = true;
            const std::string before = token_;
            token_seen_.clear();
            if (auto problem = read_token()) return *std::move(problem);
            if (token_ != before) continue;
        }
        if (result.stale && request.repeatable && !fed && !std::exchange(resent, true)) continue;
        if (fed || !may_repeat(result.outcome, request.repeatable)) {
            if (result.problem) return *std::move(result.problem);
            return std::move(result.answer);
        }
        const Milliseconds pause = backoff.pause(
            random(), std::chrono::duration_cast<Milliseconds>(result.retry_after.value_or(std::chrono::seconds(0))));
        if (now() + pause > std::min(last_try, end)) {
            if (result.problem) return *std::move(result.problem);
            return std::move(result.answer);
        }
        if (!sleep(pause)) return cancelled_problem();
    }
}

Problem Transport::problem_of(const Answer& answer) const {
    auto read = resources::read_problem(answer.body);
    if (!read.ok()) {
        return {answer.status,
                "UnexpectedAnswer",
                options_.server + " answered with status " + std::to_string(answer.status) +
                    " and no problem document; is this a Guideway server?",
                {}};
    }
    Problem problem = *std::move(read.value);
    problem.status = answer.status;
    if (answer.status == 401 || answer.status == 403) {
        problem.detail += (problem.detail.empty() ? "" : " ") + ("(" + token_words() + ")");
    }
    return problem;
}

}  // namespace guideway::client
