// FakeServer: an HTTP server on an ephemeral port of 127.0.0.1 that answers as a Guideway control plane would, from a table; also as
// one would that is slow, busy, restarting or half broken, and over TLS.
//
// Terms. An answer is found by "METHOD PATH?QUERY"; a list of answers is given one after the other, the last for ever. Manner: how an
// answer goes wrong.
// Thread contract: answer() and seen() from any thread.
#pragma once

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace guideway::testing {

enum class Manner {
    whole,
    drop,   ///< the request is read, then the connection is closed
    half,   ///< closed within the body
    stall,  ///< nothing comes until the server ends
    open,   ///< the body is sent as the first of a stream that stays open: FakeServer::push, FakeServer::end_streams
};

struct FakeAnswer {
    int status = 200;
    std::string body;
    std::vector<std::pair<std::string, std::string>> headers = {};
    Manner manner = Manner::whole;
};

struct SeenRequest {
    std::string what;  ///< "GET /v1/nodes"
    std::string body;
    std::string if_match;
    std::map<std::string, std::string> headers;  ///< names in lower case
};

struct TlsFiles {
    std::string certificate, key;  ///< PEM
    std::string client_ca = {};    ///< where not empty a client must show a certificate of it
};

class FakeServer {
  public:
    FakeServer();
    explicit FakeServer(const TlsFiles& tls);
    ~FakeServer();
    FakeServer(const FakeServer&) = delete;
    FakeServer& operator=(const FakeServer&) = delete;

    void answer(const std::string& what, std::vector<FakeAnswer> answers);
    /// To all streams that are open.
    void push(const std::string& text);
    void end_streams();
    /// Closes kept connections: as a server does with idle ones.
    void close_idle();
    /// Nobody listens until start(), on the same port.
    void stop();
    void start();

    std::vector<SeenRequest> seen() const;
    /// Blocks until so many requests were seen, or ten seconds are over (false).
    bool wait_for_requests(std::size_t count) const;
    /// Connections accepted so far.
    std::size_t connections() const;
    std::string url() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

/// A port of 127.0.0.1 where nobody listens.
std::string unreachable_url();

/// "event: ADDED\nid: 7\ndata: {...}\n\n", of an empty id without that line.
std::string sse(const std::string& type, const std::string& id, const std::string& data);
/// An answer that stays open and begins with `events`.
FakeAnswer stream_of(const std::string& events);

}  // namespace guideway::testing
