#include "api/rest/server.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <list>
#include <mutex>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <httplib.h>
#include <spdlog/spdlog.h>

#include "api/rest/connection_stream.h"
#include "api/rest/routes.h"

namespace guideway::rest {
namespace {

using Clock = std::chrono::steady_clock;

std::optional<std::string> header(const httplib::Request& request, const char* name) {
    if (!request.has_header(name)) return std::nullopt;
    return request.get_header_value(name);
}

Request to_request(const httplib::Request& from) {
    Request request;
    request.method = from.method;
    request.target = from.target;
    request.content_type = header(from, "Content-Type");
    request.content_encoding = header(from, "Content-Encoding");
    request.if_match = header(from, "If-Match");
    request.if_none_match = header(from, "If-None-Match");
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
                                          std::size_t max_body_bytes) {
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
    if (hosts == 1 && !host_allowed(request.get_header_value("Host"))) {
        return resources::Problem{
            403,
            "HostNotAllowed",
            "the Host header must be an address or localhost, as the server listens on loopback only",
            {}};
    }
    return std::nullopt;
}

/// What is known of the request a thread is serving.
struct Serving {
    ConnectionStream* stream = nullptr;
    httplib::Request* request = nullptr;
    Clock::time_point head_read;
    bool close = false;  ///< after this answer
    std::string route = "other";
    double waited_seconds = 0;

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

}  // namespace

/// The library parses requests and writes answers; accepting, threads and bounds are here.
class Server::Engine : private httplib::Server {
  public:
    Engine(Appliance& appliance, ServerOptions options, RequestObserver* observer)
        : options_(options), routes_(appliance, options.max_waiting_requests), observer_(observer) {
        set_payload_max_length(options_.max_body_bytes);
        set_keep_alive_timeout(std::chrono::duration_cast<std::chrono::seconds>(options_.idle_timeout).count());
        set_keep_alive_max_count(options_.max_requests_per_connection);
        set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
            return answer_early(request, response) ? HandlerResponse::Handled : HandlerResponse::Unhandled;
        });
        // Only what answer_early() let through comes here, with its body read: the pattern need not tell paths apart.
        Put("[^]*", [this](const httplib::Request& request, httplib::Response& response) {
            put(guarded(request.method, [&] { return routes_.answer(to_request(request)); }), response);
        });
        set_error_handler(HandlerWithResponse([](const httplib::Request&, httplib::Response& response) {
            if (!response.body.empty() || t_serving == nullptr) return HandlerResponse::Unhandled;
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
    void stop();

  private:
    enum class State { idle, reading, answering };

    struct Connection {
        int fd = -1;
        State state = State::idle;
        Clock::time_point since = Clock::now();
        bool shut = false;  ///< ended by us
        std::thread thread;
    };

    bool answer_early(const httplib::Request& request, httplib::Response& response);
    template <class Answer>
    static std::optional<Response> guarded(const std::string& method, Answer make);
    static bool put(const std::optional<Response>& from, httplib::Response& to);
    void answered(const std::string& method, int status);

    void accept_loop();
    void admit(int fd);
    bool make_room(std::unique_lock<std::mutex>& lock);
    void refuse(int fd);
    void serve(Connection& connection);
    bool serve_request(Connection& connection, ConnectionStream& stream, bool last);
    void enter(Connection& connection, State state);
    void join_finished();

    const ServerOptions options_;
    Routes routes_;
    RequestObserver* observer_;

    int listen_fd_ = -1;
    int stop_event_ = -1;
    std::thread acceptor_;

    std::mutex mutex_;  ///< of all below
    std::condition_variable changed_;
    std::list<Connection> connections_;
    std::list<Connection> finished_;  ///< threads to join
    bool stopping_ = false;
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
    put_response(*from, to);
    return true;
}

bool Server::Engine::answer_early(const httplib::Request& request, httplib::Response& response) {
    const BodyFraming framing = framing_of(request);
    std::optional<Response> early;
    if (const std::optional<resources::Problem> refused = refusal(request, framing, options_.max_body_bytes)) {
        early = problem_response(*refused);
    } else {
        early = guarded(request.method, [&]() -> std::optional<Response> {
            // Without a body there is nothing to wait for.
            return framing.present ? routes_.answer_early(to_request(request)) : routes_.answer(to_request(request));
        });
    }
    // What is not read would be taken for the next request; after chunks the library may leave something unread.
    if (framing.present && (early || framing.chunked)) t_serving->close_after();
    return put(early, response);
}

void Server::Engine::answered(const std::string& method, int status) {
    if (t_serving == nullptr || !t_serving->stream->flush()) return;
    const double seconds = std::chrono::duration<double>(Clock::now() - t_serving->head_read).count();
    const double worked = std::max(0.0, seconds - t_serving->waited_seconds);
    // Only methods that the library knows: what anybody may write must not become a label.
    const std::string_view label = t_serving->request == nullptr ? "other" : std::string_view(method);
    spdlog::debug("request method={} route={} status={} seconds={:.6f}", label, t_serving->route, status, worked);
    if (observer_ != nullptr) observer_->observe(label, t_serving->route, status, worked);
}

bool Server::Engine::serve_request(Connection& connection, ConnectionStream& stream, bool last) {
    Serving serving;
    serving.stream = &stream;
    serving.head_read = Clock::now();
    t_serving = &serving;
    stream.begin_request();
    bool closed_by_client = false;
    const bool answered_well = process_request(stream, last, closed_by_client, [&](httplib::Request& request) {
        serving.request = &request;
        serving.head_read = Clock::now();
        request.ranges.clear();  // answers are whole
        enter(connection, State::answering);
    });
    const ConnectionStream::Stop stop = stream.stop();
    if (!answered_well && !stream.wrote() && stop != ConnectionStream::Stop::none &&
        stop != ConnectionStream::Stop::closed) {
        // The library gave up within the request line, without an answer.
        const Response response = problem_response(problem_of(stop, stream.in_request_line(), 400));
        const std::string phrase = response.status == 408 ? "Request Timeout" : "URI Too Long";
        stream.write("HTTP/1.1 " + std::to_string(response.status) + " " + phrase + "\r\nContent-Type: " +
                     response.content_type + "\r\nContent-Length: " + std::to_string(response.body.size()) +
                     "\r\nConnection: close\r\n\r\n" + response.body);
        answered("", response.status);
    }
    const bool sent = stream.flush();
    t_serving = nullptr;
    // Where the request was not understood, the next one's beginning is not known.
    const bool understood = serving.request != nullptr && answered_well && stop == ConnectionStream::Stop::none;
    const bool close = serving.close || !understood;
    if (sent && close && stop != ConnectionStream::Stop::closed) {
        enter(connection, State::reading);
        stream.linger();
    }
    return sent && !close && !closed_by_client;
}

void Server::Engine::serve(Connection& connection) {
    ConnectionStream stream(connection.fd, options_);
    for (std::size_t served = 1; served <= options_.max_requests_per_connection; ++served) {
        enter(connection, State::idle);
        if (!stream.wait_for_request()) break;
        enter(connection, State::reading);
        bool stopping = false;
        {
            const std::lock_guard lock(mutex_);
            stopping = stopping_;
        }
        if (!serve_request(connection, stream, stopping || served == options_.max_requests_per_connection)) break;
        if (stopping) break;
    }
    const std::lock_guard lock(mutex_);
    ::close(connection.fd);
    connection.fd = -1;
    const auto self = std::find_if(connections_.begin(), connections_.end(),
                                   [&](const Connection& other) { return &other == &connection; });
    finished_.splice(finished_.end(), connections_, self);
    changed_.notify_all();
}

void Server::Engine::enter(Connection& connection, State state) {
    const std::lock_guard lock(mutex_);
    connection.state = state;
    connection.since = Clock::now();
    // Nothing more is taken from a client that has not asked yet.
    if (stopping_ && state != State::answering) ::shutdown(connection.fd, SHUT_RD);
}

// ------------------------------------------------------------------------------------------------ connections

bool Server::Engine::make_room(std::unique_lock<std::mutex>& lock) {
    Connection* oldest = nullptr;
    for (Connection& connection : connections_) {
        if (connection.state == State::answering || connection.shut) continue;
        if (oldest == nullptr || connection.since < oldest->since) oldest = &connection;
    }
    if (oldest == nullptr) return false;
    oldest->shut = true;
    ::shutdown(oldest->fd, SHUT_RDWR);
    return changed_.wait_for(lock, std::chrono::seconds(1),
                             [this] { return connections_.size() < options_.max_connections; });
}

void Server::Engine::refuse(int fd) {
    static const std::string kAnswer = [] {
        const Response response =
            problem_response({503, "TooManyConnections", "every connection is busy; try again in a second", {}});
        return "HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nContent-Type: " + response.content_type +
               "\r\nContent-Length: " + std::to_string(response.body.size()) + "\r\nConnection: close\r\n\r\n" +
               response.body;
    }();
    [[maybe_unused]] const ssize_t sent = ::send(fd, kAnswer.data(), kAnswer.size(), MSG_NOSIGNAL);
    ::shutdown(fd, SHUT_WR);
    ::close(fd);
    if (observer_ != nullptr) observer_->observe("other", "other", 503, 0);
}

void Server::Engine::admit(int fd) {
    const int on = 1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::unique_lock lock(mutex_);
    if (connections_.size() >= options_.max_connections && !make_room(lock)) {
        lock.unlock();
        return refuse(fd);
    }
    connections_.emplace_back();
    Connection& connection = connections_.back();
    connection.fd = fd;
    try {
        connection.thread = std::thread([this, &connection] { serve(connection); });
    } catch (const std::system_error& error) {
        spdlog::error("no thread for a connection: {}", error.what());
        connections_.pop_back();
        lock.unlock();
        refuse(fd);
    }
}

void Server::Engine::join_finished() {
    std::list<Connection> finished;
    {
        const std::lock_guard lock(mutex_);
        finished.swap(finished_);
    }
    for (Connection& connection : finished) connection.thread.join();
}

void Server::Engine::accept_loop() {
    constexpr int kForever = -1;
    constexpr int kRetryMilliseconds = 50;
    int timeout = kForever;
    while (true) {
        std::array<pollfd, 2> entries{{{stop_event_, POLLIN, 0}, {listen_fd_, POLLIN, 0}}};
        // After a shortage the listening socket stays readable: only the stop is waited for, briefly.
        if (::poll(entries.data(), timeout == kForever ? 2 : 1, timeout) < 0 && errno != EINTR) break;
        if (entries[0].revents != 0) break;
        timeout = kForever;
        const int fd = ::accept4(listen_fd_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        join_finished();
        if (fd >= 0) {
            admit(fd);
        } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM) {
            spdlog::warn("no connection accepted: {}", std::system_category().message(errno));
            std::unique_lock lock(mutex_);
            make_room(lock);
            timeout = kRetryMilliseconds;
        }
        // Anything else concerns the one connection that is gone again.
    }
}

// ---------------------------------------------------------------------------------------------- start and stop

Started Server::Engine::start(const std::string& host, std::uint16_t port) {
    const auto failed = [](std::string error) { return Started{0, std::move(error)}; };
    if (listen_fd_ >= 0) return failed("already started");
    const std::optional<IpAddress> address = IpAddress::parse(host == "localhost" ? "127.0.0.1" : host);
    if (!address) return failed("listen address \"" + host + "\": not an IPv4 or IPv6 address");
    if (!address->is_loopback()) {
        return failed(
            "listen address " + host +
            " is refused: only loopback (127.0.0.1, ::1), as requests are not yet encrypted or authenticated");
    }
    const std::string shown = (address->is_v4() ? host : "[" + host + "]") + ":" + std::to_string(port);
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    std::memcpy(&v4.sin_addr, address->bytes.data(), sizeof v4.sin_addr);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    std::memcpy(&v6.sin6_addr, address->bytes.data(), sizeof v6.sin6_addr);
    auto* const name = address->is_v4() ? reinterpret_cast<sockaddr*>(&v4) : reinterpret_cast<sockaddr*>(&v6);
    socklen_t length = address->is_v4() ? sizeof v4 : sizeof v6;

    const int fd = ::socket(name->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) return failed("cannot make a socket: " + std::system_category().message(errno));
    const int on = 1;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    constexpr int kBacklog = 128;
    if (::bind(fd, name, length) != 0 || ::listen(fd, kBacklog) != 0) {
        const int error = errno;
        ::close(fd);
        return failed(error == EADDRINUSE ? "address in use: " + shown
                                          : "cannot listen on " + shown + ": " + std::system_category().message(error));
    }
    ::getsockname(fd, name, &length);
    const int event = ::eventfd(0, EFD_CLOEXEC);
    if (event < 0) {
        const int error = errno;
        ::close(fd);
        return failed("cannot make an eventfd: " + std::system_category().message(error));
    }
    listen_fd_ = fd;
    stop_event_ = event;
    acceptor_ = std::thread([this] { accept_loop(); });
    return Started{ntohs(address->is_v4() ? v4.sin_port : v6.sin6_port), ""};
}

void Server::Engine::stop() {
    if (listen_fd_ < 0) return;
    const std::uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(stop_event_, &one, sizeof one);
    acceptor_.join();
    ::close(listen_fd_);
    ::close(stop_event_);
    listen_fd_ = stop_event_ = -1;
    routes_.end_waits();
    {
        std::unique_lock lock(mutex_);
        stopping_ = true;
        for (const Connection& connection : connections_) {
            if (connection.state != State::answering) ::shutdown(connection.fd, SHUT_RD);
        }
        changed_.wait(lock, [this] { return connections_.empty(); });
    }
    join_finished();
}

Server::Server(Appliance& appliance, ServerOptions options, RequestObserver* observer)
    : engine_(std::make_unique<Engine>(appliance, options, observer)) {}
Server::~Server() = default;

Started Server::start(const std::string& host, std::uint16_t port) { return engine_->start(host, port); }
void Server::stop() { engine_->stop(); }

}  // namespace guideway::rest
