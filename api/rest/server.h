// Server: the REST API over HTTP/1.1, in front of an Appliance.
//
// Terms. Route template: the path with its parameters unnamed, "/v1/load-balancers/{namespace}/{name}": a label of few values
// for metrics. Observer: told about each answered request.
//
// Slow or hostile clients cannot hold it up (numbers: ServerOptions). One thread serves one connection, and connections are
// bounded: where the bound is reached, the one that has waited longest for its client (idle, or in the middle of a
// request it does not finish) is closed to make room; only where every connection is being answered, a new one gets 503. A
// request has one deadline from its first byte to its last, so a byte every few seconds does not prolong it. Requests that
// wait (`?wait=`) are bounded on their own, below the bound of connections.
//
// Thread contract: start() and stop() from one thread; the server calls the Appliance and the observer from many threads.
//
// Example:
//     rest::Server server(manager, {}, &metrics);
//     const rest::Started started = server.start("127.0.0.1", 8870);
//     if (!started.ok()) { spdlog::critical(started.error); return 1; }
//     ...                      // until SIGTERM
//     server.stop();           // in-flight requests are answered, then it returns
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "api/rest/appliance.h"

namespace guideway::rest {

struct ServerOptions {
    std::size_t max_connections = 256;
    /// Requests with `?wait=` under way at once; further ones get 503.
    std::size_t max_waiting_requests = 64;
    /// Request line and headers together; one line of them: 8000 bytes. Beyond: 414 in the request line, else 431.
    std::size_t max_head_bytes = 32 * 1024;
    std::size_t max_body_bytes = 1024 * 1024;
    std::size_t max_requests_per_connection = 10'000;
    /// From the first byte of a request to its last (408 and closed beyond).
    std::chrono::milliseconds request_timeout{10'000};
    /// Between requests of a connection; also for its first byte.
    std::chrono::milliseconds idle_timeout{30'000};
    /// For a client to take an answer.
    std::chrono::milliseconds write_timeout{20'000};
};

/// Told about each answered request. Called from many threads at once; must be quick and not throw.
class RequestObserver {
  public:
    virtual ~RequestObserver() = default;
    /// `route`: the template; "other" for unknown paths and for what was not understood as HTTP. `seconds`: from the last byte
    /// of the request's head to the last byte of the answer handed to the kernel, less what `?wait=` asked to wait.
    virtual void observe(std::string_view method, std::string_view route, int status, double seconds) = 0;
};

struct Started {
    std::uint16_t port = 0;  ///< the port in use: that of the call, or the one the kernel chose for 0
    std::string error;       ///< empty: started. "address in use: 127.0.0.1:8870", ...
    bool ok() const { return error.empty(); }
};

class Server {
  public:
    /// `appliance` and `observer` must outlive the server.
    explicit Server(Appliance& appliance, ServerOptions options = {}, RequestObserver* observer = nullptr);
    Server(const Server&) = delete;
    Server& operator=(const Server&) = delete;
    ~Server();  ///< stops

    /// Listens on a literal loopback address ("127.0.0.1", "::1"; "localhost" means 127.0.0.1) and serves in its own threads.
    /// Any other address is refused: requests are not yet encrypted or authenticated.
    Started start(const std::string& host, std::uint16_t port);
    /// Takes no new connections, closes idle ones, lets requests under way be answered, then returns. Waits (`?wait=`) are cut
    /// short. Harmless where it is not running.
    void stop();

  private:
    class Engine;
    std::unique_ptr<Engine> engine_;
};

}  // namespace guideway::rest
