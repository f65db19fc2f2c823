// Server: the REST API over HTTP/1.1, in front of an Appliance; with TLS and authentication where others than this machine are
// let in.
//
// Terms. Route template: the path with its parameters unnamed, "/v1/load-balancers/{namespace}/{name}": a label of few values
// for metrics. Observer: told about each answered request. Peer: a client's address (of IPv6 its /64, which one client has
// wholly). Stream: an answer without end, a watch.
//
// Slow or hostile clients cannot hold it up (numbers: ServerOptions). One thread serves one connection, and connections are
// bounded, in all and for each peer. Where a bound is reached, one that waits for its client is closed to make room: first one
// that has been idle longest, then the one longest in a request (or a TLS handshake) it does not finish, then one that does not
// take its answer. Only where every connection is being answered, a new one is refused. A request has one deadline from its
// first byte to its last, so a byte every few seconds does not prolong it. Requests that wait (`?wait=`) and streams are
// bounded on their own, below the bound of connections.
//
// Who calls is settled before the body is read. Wrong tokens are limited for each peer (429 beyond); a right one always passes,
// whatever else comes from its address. 256 random bits are not guessed at any rate: the limit is there for the log and the load.
//
// Thread contract: start() and stop() from one thread; the server calls the Appliance, the Authenticator and the observer from
// many threads.
//
// Example:
//     rest::Server server(manager, {}, &metrics, &doorkeeper);
//     const rest::Started started = server.start("127.0.0.1", 8870);
//     if (!started.ok()) { spdlog::critical(started.error); return 1; }
//     ...                      // until SIGTERM
//     server.stop();           // in-flight requests are answered, then it returns
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "api/rest/appliance.h"
#include "api/rest/caller.h"
#include "api/rest/tls.h"

namespace guideway::rest {

enum class Serves : std::uint8_t { everything, health_and_metrics };

struct ServerOptions {
    /// On every address but loopback; there too with `tls_on_loopback`. Null: no TLS, loopback only.
    std::shared_ptr<TlsContext> tls;
    bool tls_on_loopback = false;
    /// health_and_metrics: /metrics, /healthz and /readyz, and 404 for all else.
    Serves serves = Serves::everything;
    /// Only with health_and_metrics: /metrics asks nobody who they are.
    bool metrics_open = false;

    /// Asked before each change: why there may be none now (503 AuditUnavailable); empty: there may. Must be quick.
    std::function<std::string()> why_no_changes;

    std::size_t max_connections = 2048;
    std::size_t max_connections_per_peer = 256;
    /// For addresses of this machine, where programs beside the server share one.
    std::size_t max_connections_per_loopback_peer = 1024;
    /// Requests with `?wait=` under way at once; further ones get 503.
    std::size_t max_waiting_requests = 64;
    /// Streams at once; further ones get 429.
    std::size_t max_streams = 512;
    /// The same for one caller (a token, wherever it is used), and for one peer.
    std::size_t max_streams_per_client = 256;
    /// Of one caller, after a burst of as many as a second allows; 429 beyond. 0: no bound.
    double requests_per_second = 20'000;
    /// Refused logins of one peer, after a burst of 10; 429 beyond. 0: no bound.
    double failed_logins_per_minute = 60;

    /// Request line and headers together; one line of them: 8000 bytes. Beyond: 414 in the request line, else 431.
    std::size_t max_head_bytes = 32 * 1024;
    std::size_t max_body_bytes = 2 * 1024 * 1024;
    std::size_t max_requests_per_connection = 10'000;
    /// From the first byte of a request to its last (408 and closed beyond).
    std::chrono::milliseconds request_timeout{10'000};
    /// Between requests of a connection; also for its first byte.
    std::chrono::milliseconds idle_timeout{30'000};
    /// For a client to take an answer, or a piece of a stream.
    std::chrono::milliseconds write_timeout{20'000};
    std::chrono::milliseconds handshake_timeout{5'000};
    /// How often a stream's caller is looked at again: a token that was taken back must not go on watching.
    std::chrono::milliseconds stream_recheck{10'000};
};

/// Told about what the server does. Called from many threads at once; must be quick and not throw.
class RequestObserver {
  public:
    virtual ~RequestObserver() = default;
    /// `route`: the template; "other" for unknown paths and for what was not understood as HTTP. `seconds`: from the last byte
    /// of the request's head to the last byte of the answer handed to the kernel, less what `?wait=` asked to wait; of a stream:
    /// to its head handed to the kernel.
    virtual void observe(std::string_view method, std::string_view route, int status, double seconds) = 0;
    /// +1 and -1: requests whose head was read and that are not answered yet; streams begun are none.
    virtual void in_flight(int /*change*/) {}
    virtual void streams(int /*change*/) {}
    virtual void connections(int /*change*/) {}
    /// A login was refused. `peer`: its address; `reason`: of the problem ("TokenUnknown", ...), or "TooManyFailedLogins".
    virtual void login_refused(const std::string& /*peer*/, std::string_view /*reason*/) {}
    /// A change by somebody who was let in got an answer of 400 or above. `problem`: the answer's body.
    virtual void change_refused(const Caller& /*caller*/, std::string_view /*method*/, std::string_view /*target*/,
                                const std::string& /*problem*/) {}
    /// A connection was refused ("all_busy", "peer_busy") or closed to make room for another ("gave_way").
    virtual void connection_shed(std::string_view /*why*/) {}
    /// A request got 429. `what`: "requests", "streams".
    virtual void throttled(std::string_view /*what*/) {}
    /// A TLS handshake did not succeed. `why`: "not_tls", "version", "certificate", "timeout", "closed", "other".
    virtual void handshake_failed(std::string_view /*why*/) {}
};

struct Started {
    std::uint16_t port = 0;  ///< the port in use: that of the call, or the one the kernel chose for 0
    std::string error;       ///< empty: started. "address in use: 127.0.0.1:8870", ...
    bool ok() const { return error.empty(); }
};

class Server {
  public:
    /// `appliance`, `observer` and `authenticator` must outlive the server. Without an authenticator everybody is the admin
    /// "anonymous": for tests.
    explicit Server(Appliance& appliance, ServerOptions options = {}, RequestObserver* observer = nullptr,
                    Authenticator* authenticator = nullptr);
    /// The same with another handler than the routes of an appliance.
    Server(std::unique_ptr<class RequestHandler> handler, ServerOptions options, RequestObserver* observer = nullptr,
           Authenticator* authenticator = nullptr);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();  ///< stops

    /// Listens on a literal address ("127.0.0.1", "::1"; "localhost" means 127.0.0.1) and serves in its own threads. May be
    /// called again for further addresses; the bounds are common to all. Any but loopback is refused without TLS and an
    /// authenticator, as what others could read or anybody could do there; an open /metrics may go out unencrypted.
    Started start(const std::string& host, std::uint16_t port);
    /// Takes no new connections, closes idle ones, lets requests under way be answered, then returns. Waits (`?wait=`) are cut
    /// short, streams end. Harmless where it is not running.
    void stop();

  private:
    class Engine;
    std::unique_ptr<Engine> engine_;
};

}  // namespace guideway::rest
