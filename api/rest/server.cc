#include "api/rest/server.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <exception>
#include <limits>
#include <optional>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

#include <httplib.h>
#include <spdlog/spdlog.h>

#include "api/rest/access.h"
#include "api/rest/connection_stream.h"
#include "api/rest/connections.h"
#include "api/rest/listening_socket.h"
#include "api/rest/rate_limit.h"
#include "api/rest/request_handler.h"
#include "api/rest/routes.h"
#include "api/rest/transport.h"

namespace guideway::rest {
namespace {

using Clock = std::chrono::steady_clock;
using State = Connections::State;

/// Times request_timeout: what a body longer than ordinary ones (a backup) gets more.
constexpr int kLongBodyFactor = 10;
/// How long a stream may go without looking whether its client is gone, or the server stops.
constexpr std::chrono::milliseconds kStreamSlice{500};

std::optional<std::string> header(const httplib::Request& request, const char* name) {
    if (!request.has_header(name)) return std::nullopt;
    return request.get_header_value(name);
}

std::vector<std::string> headers(const httplib::Request& request, const char* name) {
    std::vector<std::string> out;
    for (std::size_t i = 0; i < request.get_header_value_count(name); ++i) {
        out.push_back(request.get_header_value(name, i));
    }
    return out;
}

Request to_request(const httplib::Request& from, const Caller& caller) {
    Request request;
    request.caller = caller;
    request.method = from.method;
    request.target = from.target;
    request.content_type = header(from, "Content-Type");
    request.content_encoding = header(from, "Content-Encoding");
    request.if_match = header(from, "If-Match");
    request.if_none_match = header(from, "If-None-Match");
    request.last_event_id = header(from, "Last-Event-ID");
    request.body = from.body;
    return request;
}

void put_response(const Response& from, httplib::Response& to) {
    to.status = from.status;
    for (const auto& [name, value] : from.headers) to.set_header(name, value);
    if (!from.content_type.empty()) to.set_content(from.body, from.content_type);
}

/// Against pages of other sites that a browser on this machine was led to (DNS rebinding): only literal addresses and localhost.
bool host_allowed(std::string host) {
    const std::size_t bracket = host.rfind(']');
    const std::size_t colon = host.rfind(':');
    if (colon != std::string::npos && (bracket == std::string::npos || colon > bracket)) host.resize(colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    return host == "localhost" || IpAddress::parse(host).has_value();
}

struct BodyFraming {
    bool present = false;
    bool chunked = false;
    std::uint64_t length = 0;
    std::string error;  ///< empty: unambiguous
};

BodyFraming framing_of(const httplib::Request& request) {
    BodyFraming framing;
    const std::size_t lengths = request.get_header_value_count("Content-Length");
    const std::size_t encodings = request.get_header_value_count("Transfer-Encoding");
    if (lengths + encodings > 1) {
        framing.present = true;
        framing.error = "Content-Length and Transfer-Encoding: at most one of them, once";
    } else if (encodings == 1) {
        framing.present = framing.chunked = true;
        if (request.get_header_value("Transfer-Encoding") != "chunked") {
            framing.error = "Transfer-Encoding: only chunked is supported";
        }
    } else if (lengths == 1) {
        const std::string text = request.get_header_value("Content-Length");
        const bool digits =
            !text.empty() && text.size() <= 18 && text.find_first_not_of("0123456789") == std::string::npos;
        if (!digits) framing.error = "Content-Length must be a number";
        framing.length = digits ? std::stoull(text) : 0;
        framing.present = !digits || framing.length > 0;
    }
    return framing;
}

/// What makes a request refused before its path is looked at.
std::optional<resources::Problem> refusal(const httplib::Request& request, const BodyFraming& framing,
                                          std::size_t max_body_bytes, bool any_host) {
    const auto invalid = [](std::string detail) {
        return resources::Problem{400, "InvalidRequest", std::move(detail), {}};
    };
    if (!framing.error.empty()) return invalid(framing.error);
    if (framing.length > max_body_bytes) {
        return resources::Problem{
            413,
            "BodyTooLarge",
            "found a body of " + std::to_string(framing.length) + " bytes, allowed " + std::to_string(max_body_bytes),
            {}};
    }
    const std::size_t hosts = request.get_header_value_count("Host");
    if (hosts > 1 || (hosts == 0 && request.version == "HTTP/1.1")) return invalid("one Host header is required");
    if (hosts == 1 && !any_host && !host_allowed(request.get_header_value("Host"))) {
        return resources::Problem{403,
                                  "HostNotAllowed",
                                  "the Host header must be an address or localhost, as requests are not encrypted here",
                                  {}};
    }
    return std::nullopt;
}

/// What is known of the request a thread is serving.
struct Serving {
    Connections::Connection* connection = nullptr;
    ConnectionStream* stream = nullptr;
    const std::string* certificate = nullptr;  ///< common name of the client's
    httplib::Request* request = nullptr;
    Clock::time_point head_read;
    bool close = false;  ///< after this answer
    std::string route = "other";
    double waited_seconds = 0;
    Caller caller;
    std::optional<bool> early;  ///< whether it was answered before its body; none: not looked at yet
    bool observed = false;      ///< a stream is, when it begins
    bool admitted = false;      ///< the caller is known

    /// Also tells the client.
    void close_after() {
        close = true;
        if (request == nullptr) return;
        request->headers.erase("Connection");
        request->set_header("Connection", "close");
    }
};

thread_local Serving* t_serving = nullptr;

/// The problem behind an error that came from reading HTTP, not from a route.
resources::Problem problem_of(ConnectionStream::Stop stop, bool in_request_line, int status) {
    switch (stop) {
        case ConnectionStream::Stop::timed_out:
            return {408, "RequestTimeout", "the request was not complete in time", {}};
        case ConnectionStream::Stop::head_too_large:
            if (in_request_line) return {414, "UriTooLong", "the request line is too long", {}};
            return {431, "HeadersTooLarge", "the header fields are too long", {}};
        case ConnectionStream::Stop::head_invalid:
            return {400, "InvalidRequest", "found a control character in the request's head", {}};
        case ConnectionStream::Stop::body_too_large:
            return {413, "BodyTooLarge", "the body is too long", {}};
        case ConnectionStream::Stop::none:
        case ConnectionStream::Stop::closed:
            break;
    }
    if (status == 413) return {413, "BodyTooLarge", "the body is too long", {}};
    if (status == 414) return {414, "UriTooLong", "the request line is too long", {}};
    if (status == 416) return {416, "RangeNotSatisfiable", "ranges are not supported", {}};
    return {status, status < 500 ? "InvalidRequest" : "InternalError", "the request is not understood as HTTP/1.1", {}};
}

/// The answer of a server that does not even read the request.
std::string bare_answer(const std::string& status, const Response& response, std::string_view more) {
    return "HTTP/1.1 " + status + "\r\n" + std::string(more) + "Content-Type: " + response.content_type +
           "\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\nConnection: close\r\n\r\n" +
           response.body;
}

class RoutesHandler final : public RequestHandler {
  public:
    RoutesHandler(Appliance& appliance, std::size_t max_waiting_requests) : routes_(appliance, max_waiting_requests) {}
    std::optional<Response> answer_early(const Request& request) override { return routes_.answer_early(request); }
    Response answer(const Request& request) override { return routes_.answer(request); }
    void end_waits() override { routes_.end_waits(); }

  private:
    Routes routes_;
};

bool is_change(std::string_view method) { return method != "GET" && method != "HEAD"; }

bool is_path(const Request& request, std::string_view path) {
    return std::string_view(request.target).substr(0, request.target.find('?')) == path;
}

}  // namespace

/// The library parses requests and writes answers; accepting, threads, bounds and who may call are elsewhere.
class Server::Engine : private httplib::Server {
  public:
    Engine(std::unique_ptr<RequestHandler> handler, ServerOptions options, RequestObserver* observer,
           Authenticator* authenticator)
        : options_(std::move(options)),
          handler_(std::move(handler)),
          observer_(observer),
          authenticated_(authenticator != nullptr),
          access_(options_, authenticator, observer),
          streams_(options_.max_streams, options_.max_streams_per_client),
          connections_(
              options_, observer, [this](Connections::Connection& connection) { serve(connection); },
              [this](int fd, bool tls, Connections::Refusal why) { refuse(fd, tls, why); }) {
        // The library's bound is one for all requests; the stream knows each one's.
        set_payload_max_length(std::numeric_limits<std::size_t>::max());
        set_keep_alive_timeout(std::chrono::duration_cast<std::chrono::seconds>(options_.idle_timeout).count());
        set_keep_alive_max_count(options_.max_requests_per_connection);
        // Before the client is told to send the body, and again where it did not ask.
        set_expect_100_continue_handler([this](const httplib::Request& request, httplib::Response& response) {
            return answered_early(request, response) ? response.status : 100;
        });
        set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
            return answered_early(request, response) ? HandlerResponse::Handled : HandlerResponse::Unhandled;
        });
        // Only what answered_early() let through comes here, with its body read: the pattern need not tell paths apart.
        const auto with_body = [this](const httplib::Request& request, httplib::Response& response) {
            put(guarded(request.method, [&] { return answer(request); }), response);
        };
        Put("[^]*", with_body);
        Post("[^]*", with_body);
        set_error_handler(HandlerWithResponse([](const httplib::Request&, httplib::Response& response) {
            if (!response.body.empty() || t_serving == nullptr || t_serving->observed)
                return HandlerResponse::Unhandled;
            ConnectionStream& stream = *t_serving->stream;
            put_response(problem_response(problem_of(stream.stop(), stream.in_request_line(), response.status)),
                         response);
            return HandlerResponse::Handled;
        }));
        set_logger([this](const httplib::Request& request, const httplib::Response& response) {
            answered(request.method, response.status);
        });
    }

    ~Engine() override { stop(); }

    Started start(const std::string& host, std::uint16_t port);
    void stop() {
        connections_.stop([this] { handler_->end_waits(); });
    }

  private:
    bool answered_early(const httplib::Request& request, httplib::Response& response);
    std::optional<Response> answer_early(const httplib::Request& request, const BodyFraming& framing);
    Response answer(const httplib::Request& request);
    template <class Answer>
    static std::optional<Response> guarded(const std::string& method, Answer make);
    bool put(const std::optional<Response>& from, httplib::Response& to);
    void answered(const std::string& method, int status);
    void observe(const std::string& method, int status);
    std::optional<Response> stream(const Response& from);
    void send_stream(BodyStream& body, bool chunked);

    void refuse(int fd, bool tls, Connections::Refusal why);
    void serve(Connections::Connection& connection);
    void serve_requests(Connections::Connection& connection, ConnectionStream& stream);
    bool serve_request(Connections::Connection& connection, ConnectionStream& stream, const std::string& certificate,
                       bool last);

    const ServerOptions options_;
    const std::unique_ptr<RequestHandler> handler_;
    RequestObserver* const observer_;
    const bool authenticated_;
    Access access_;
    SlotLimit streams_;
    Connections connections_;  // last: its threads use the others
};

// ------------------------------------------------------------------------------------------------ one request

template <class Answer>
std::optional<Response> Server::Engine::guarded(const std::string& method, Answer make) {
    try {
        return make();
    } catch (const std::exception& error) {
        spdlog::error("{} failed: {}", method, error.what());
        return problem_response({500, "InternalError", "the control plane failed; its log says why", {}});
    }
}

bool Server::Engine::put(const std::optional<Response>& from, httplib::Response& to) {
    if (!from) return false;
    t_serving->route = from->route;
    t_serving->waited_seconds = from->waited_seconds;
    const httplib::Request& request = *t_serving->request;
    if (observer_ != nullptr && t_serving->admitted && from->status >= 400 && is_change(request.method)) {
        observer_->change_refused(t_serving->caller, request.method, request.target, from->body);
    }
    if (from->stream != nullptr) {
        std::optional<Response> refused = stream(*from);
        if (refused) {
            put_response(*refused, to);
        } else {
            to.status = from->status;
        }
        return true;
    }
    put_response(*from, to);
    return true;
}

std::optional<Response> Server::Engine::answer_early(const httplib::Request& request, const BodyFraming& framing) {
    const Connections::Connection& connection = *t_serving->connection;
    Request asked = to_request(request, t_serving->caller);
    const std::size_t longest = Routes::max_body(asked, options_.max_body_bytes);
    if (const auto refused = refusal(request, framing, longest, connection.tls)) return problem_response(*refused);
    const bool open = Routes::is_open(asked) || (options_.metrics_open && is_path(asked, "/metrics"));
    if (options_.serves == Serves::health_and_metrics && !open && !is_path(asked, "/metrics")) {
        return problem_response({404, "NotFound", "this address serves /metrics, /healthz and /readyz only", {}});
    }
    if (!open) {
        auto admitted = access_.admit(headers(request, "Authorization"), *t_serving->certificate, connection.peer);
        if (auto* refused = std::get_if<Response>(&admitted)) return std::move(*refused);
        asked.caller = t_serving->caller = std::get<Caller>(std::move(admitted));
        t_serving->admitted = true;
        const std::string why = options_.why_no_changes && is_change(asked.method) ? options_.why_no_changes() : "";
        if (!why.empty()) return problem_response({503, "AuditUnavailable", why, {}});
    }
    // Without a body there is nothing to wait for.
    if (!framing.present) return handler_->answer(asked);
    std::optional<Response> early = handler_->answer_early(asked);
    if (!early && longest > options_.max_body_bytes) {
        t_serving->stream->allow_body(longest, kLongBodyFactor * options_.request_timeout);
    }
    return early;
}

Response Server::Engine::answer(const httplib::Request& request) {
    const Request whole = to_request(request, t_serving->caller);
    if (whole.body.size() > Routes::max_body(whole, options_.max_body_bytes)) {
        return problem_response(problem_of(ConnectionStream::Stop::body_too_large, false, 413));
    }
    return handler_->answer(whole);
}

bool Server::Engine::answered_early(const httplib::Request& request, httplib::Response& response) {
    if (t_serving->early) return *t_serving->early;
    const BodyFraming framing = framing_of(request);
    const std::optional<Response> early = guarded(request.method, [&] { return answer_early(request, framing); });
    // What is not read would be taken for the next request; after chunks the library may leave something unread.
    if (framing.present && (early || framing.chunked)) t_serving->close_after();
    // Who goes on guessing pays for a connection each time.
    if (early && early->status == 429) t_serving->close_after();
    t_serving->early = put(early, response);
    return *t_serving->early;
}

void Server::Engine::observe(const std::string& method, int status) {
    if (observer_ != nullptr && t_serving->request != nullptr) observer_->in_flight(-1);
    t_serving->observed = true;
    const double seconds = std::chrono::duration<double>(Clock::now() - t_serving->head_read).count();
    const double worked = std::max(0.0, seconds - t_serving->waited_seconds);
    // Only methods that the library knows: what anybody may write must not become a label.
    const std::string_view label = t_serving->request == nullptr ? "other" : std::string_view(method);
    spdlog::debug("request method={} route={} status={} caller={} peer={} seconds={:.6f}", label, t_serving->route,
                  status, t_serving->caller.name, t_serving->connection->peer.address, worked);
    if (observer_ != nullptr) observer_->observe(label, t_serving->route, status, worked);
}

void Server::Engine::answered(const std::string& method, int status) {
    if (t_serving == nullptr || t_serving->observed || !t_serving->stream->flush()) return;
    observe(method, status);
}

bool Server::Engine::serve_request(Connections::Connection& connection, ConnectionStream& stream,
                                   const std::string& certificate, bool last) {
    Serving serving;
    serving.connection = &connection;
    serving.stream = &stream;
    serving.certificate = &certificate;
    serving.head_read = Clock::now();
    serving.caller = Caller{"anonymous", authenticated_ ? Role::viewer : Role::admin, {}, connection.peer.address};
    t_serving = &serving;
    stream.begin_request();
    bool closed_by_client = false;
    const bool answered_well = process_request(stream, last, closed_by_client, [&](httplib::Request& request) {
        serving.request = &request;
        serving.head_read = Clock::now();
        request.ranges.clear();  // answers are whole
        connections_.enter(connection, State::answering);
        if (observer_ != nullptr) observer_->in_flight(1);
    });
    const ConnectionStream::Stop stop = stream.stop();
    if (!answered_well && !stream.wrote() && stop != ConnectionStream::Stop::none &&
        stop != ConnectionStream::Stop::closed) {
        // The library gave up within the request line, without an answer.
        const Response response = problem_response(problem_of(stop, stream.in_request_line(), 400));
        const char* const phrase = response.status == 408   ? " Request Timeout"
                                   : response.status == 414 ? " URI Too Long"
                                                            : " Bad Request";
        stream.write(bare_answer(std::to_string(response.status) + phrase, response, ""));
        answered("", response.status);
    }
    const bool sent = stream.flush();
    // Nobody was told of an answer that did not arrive.
    if (observer_ != nullptr && serving.request != nullptr && !serving.observed) observer_->in_flight(-1);
    t_serving = nullptr;
    // Where the request was not understood, the next one's beginning is not known.
    const bool understood = serving.request != nullptr && answered_well && stop == ConnectionStream::Stop::none;
    const bool close = serving.close || !understood;
    if (sent && close && stop != ConnectionStream::Stop::closed) {
        connections_.enter(connection, State::reading);
        stream.linger();
    }
    return sent && !close && !closed_by_client;
}

// ---------------------------------------------------------------------------------------------------- streams

/// Sends the whole stream; nothing where it did, else the refusal.
std::optional<Response> Server::Engine::stream(const Response& from) {
    const httplib::Request& request = *t_serving->request;
    std::unique_ptr<SlotLimitHold> place =
        streams_.take("caller " + t_serving->caller.name, "peer " + t_serving->connection->peer.key);
    if (place == nullptr) {
        if (observer_ != nullptr) observer_->throttled("streams");
        t_serving->close_after();
        return too_many("TooManyWatches",
                        "as many watches as allowed are open, in all or of yours: limits.watches, "
                        "limits.watches_per_client; close one, or try again later",
                        std::chrono::seconds(5));
    }
    const bool chunked = request.version != "HTTP/1.0";
    std::string head = "HTTP/1.1 200 OK\r\nContent-Type: " + from.content_type + "\r\n";
    for (const auto& [name, value] : from.headers) head += name + ": " + value + "\r\n";
    head += std::string(chunked ? "Transfer-Encoding: chunked\r\n" : "") + "Connection: close\r\n\r\n";
    ConnectionStream& out = *t_serving->stream;
    out.write(head);
    const bool begun = out.flush();
    observe(request.method, from.status);
    if (begun && request.method != "HEAD") {
        if (observer_ != nullptr) observer_->streams(1);
        connections_.enter(*t_serving->connection, State::streaming);
        send_stream(*from.stream, chunked);
        place.reset();  // first: who sees in the numbers that one has ended may open one
        if (observer_ != nullptr) observer_->streams(-1);
        connections_.enter(*t_serving->connection, State::answering);
    }
    // The library would write an answer of its own now.
    out.discard_output();
    t_serving->close_after();
    return std::nullopt;
}

void Server::Engine::send_stream(BodyStream& body, bool chunked) {
    const Serving& serving = *t_serving;
    ConnectionStream& out = *serving.stream;
    const std::vector<std::string> authorization = headers(*serving.request, "Authorization");
    Clock::time_point recheck = Clock::now() + options_.stream_recheck;
    while (!connections_.stopping() && !out.transport().client_gone()) {
        std::optional<std::string> piece;
        try {
            piece = body.next(kStreamSlice);
        } catch (const std::exception& error) {
            // Without the last chunk the client sees that the end is missing.
            spdlog::error("stream of {} failed: {}", serving.route, error.what());
            return;
        }
        if (!piece) break;
        if (!piece->empty()) {
            if (chunked) {
                std::array<char, 20> size{};
                std::snprintf(size.data(), size.size(), "%zx\r\n", piece->size());
                out.write(size.data() + *piece + "\r\n");
            } else {
                out.write(*piece);
            }
            if (!out.flush()) return;
        }
        if (Clock::now() < recheck) continue;
        recheck = Clock::now() + options_.stream_recheck;
        if (!access_.still_admits(authorization, *serving.certificate, serving.connection->peer, serving.caller)) break;
    }
    if (chunked) out.write("0\r\n\r\n");
    out.flush();
}

// ------------------------------------------------------------------------------------------------ connections

void Server::Engine::serve_requests(Connections::Connection& connection, ConnectionStream& stream) {
    if (connection.tls) {
        connections_.enter(connection, State::reading);
        if (!stream.handshake()) {
            if (observer_ != nullptr) observer_->handshake_failed(stream.handshake_failure());
            if (stream.handshake_failure() != "not_tls") return;
            const std::string answer = bare_answer(
                "400 Bad Request",
                problem_response({400, "TlsRequired", "this address speaks TLS; ask with https://", {}}), "");
            [[maybe_unused]] const ssize_t sent = ::send(connection.fd, answer.data(), answer.size(), MSG_NOSIGNAL);
            stream.linger();
            return;
        }
    }
    const std::string certificate = stream.transport().client_name();
    for (std::size_t served = 1; served <= options_.max_requests_per_connection; ++served) {
        connections_.enter(connection, State::idle);
        if (!stream.wait_for_request()) return;
        connections_.enter(connection, State::reading);
        const bool stopping = connections_.stopping();
        if (!serve_request(connection, stream, certificate,
                           stopping || served == options_.max_requests_per_connection)) {
            return;
        }
        if (stopping) return;
    }
}

void Server::Engine::serve(Connections::Connection& connection) {
    ssl_st* const tls = connection.tls ? options_.tls->new_connection() : nullptr;
    if (connection.tls && tls == nullptr) return;
    Transport transport(connection.fd, tls);
    bool streaming = false;
    ConnectionStream stream(transport, options_, [&](bool blocked) {
        if (blocked) streaming = t_serving != nullptr && t_serving->observed;
        connections_.enter(connection, blocked ? State::sending : streaming ? State::streaming : State::answering);
    });
    serve_requests(connection, stream);
    transport.end_sending();
}

void Server::Engine::refuse(int fd, bool tls, Connections::Refusal why) {
    const bool peer = why == Connections::Refusal::peer_busy;
    if (observer_ != nullptr) observer_->observe("other", "other", peer ? 429 : 503, 0);
    if (tls) return;  // who speaks TLS would not understand it
    const Response response = problem_response(
        peer ? resources::Problem{429,
                                  "TooManyConnections",
                                  "every connection your address may have is busy; try again in a second",
                                  {}}
             : resources::Problem{503, "TooManyConnections", "every connection is busy; try again in a second", {}});
    const std::string answer =
        bare_answer(peer ? "429 Too Many Requests" : "503 Service Unavailable", response, "Retry-After: 1\r\n");
    [[maybe_unused]] const ssize_t sent = ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
}

Started Server::Engine::start(const std::string& host, std::uint16_t port) {
    const std::optional<IpAddress> address = listen_address(host);
    const bool loopback = address && address->is_loopback();
    const bool tls = options_.tls != nullptr && (!loopback || options_.tls_on_loopback);
    const bool harmless = options_.serves == Serves::health_and_metrics && options_.metrics_open;
    if (address && !loopback && !harmless && (!tls || !authenticated_)) {
        return {0, "listen address " + host +
                       " is refused: only loopback (127.0.0.1, ::1) without TLS and tokens, as others could read what "
                       "is sent, or send anything"};
    }
    ListeningSocket socket = open_listener(host, port);
    if (!socket.error.empty()) return {0, std::move(socket.error)};
    std::string error = connections_.listen(socket, tls);
    if (!error.empty()) return {0, std::move(error)};
    return {socket.port, ""};
}

Server::Server(Appliance& appliance, ServerOptions options, RequestObserver* observer, Authenticator* authenticator)
    : Server(std::make_unique<RoutesHandler>(appliance, options.max_waiting_requests), options, observer,
             authenticator) {}
Server::Server(std::unique_ptr<RequestHandler> handler, ServerOptions options, RequestObserver* observer,
               Authenticator* authenticator)
    : engine_(std::make_unique<Engine>(std::move(handler), std::move(options), observer, authenticator)) {}
Server::~Server() = default;

Started Server::start(const std::string& host, std::uint16_t port) { return engine_->start(host, port); }
void Server::stop() { engine_->stop(); }

}  // namespace guideway::rest
