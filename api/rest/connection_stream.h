// ConnectionStream: one client's connection as cpp-httplib reads and writes it, with the bounds that the library lacks: a deadline
// for a whole request (not for each byte) and for the TLS handshake, a bound on the head, a bound on the body however it is sent.
//
// Terms. Head: request line and header fields up to the empty line. Stop reason: why a read was refused, so that the answer
// can say it. Input is handed out byte by byte from a buffer; output is collected and sent by flush() (or before the next
// read: the interim answer "100 Continue" must not wait). Blocked: the client does not take what is sent.
//
// Thread contract: one thread; another may shut the socket down, which ends every read and write.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <functional>
#include <string>
#include <string_view>

#include <httplib.h>

#include "api/rest/server.h"
#include "api/rest/transport.h"

namespace guideway::rest {

class ConnectionStream : public httplib::Stream {
  public:
    enum class Stop { none, closed, timed_out, head_too_large, head_invalid, body_too_large };

    /// `on_blocked` is told true when a write begins to wait for the client, and false when it goes on.
    ConnectionStream(Transport& transport, const ServerOptions& options, std::function<void(bool)> on_blocked = {})
        : transport_(transport), options_(options), on_blocked_(std::move(on_blocked)) {}

    /// Makes the TLS handshake, where there is TLS. False: it failed; handshake_failure() says why.
    bool handshake();
    /// A word for metrics.
    std::string_view handshake_failure() const { return handshake_failure_; }
    /// Waits for the first byte of the next request. False: closed, or idle for too long.
    bool wait_for_request();
    /// Starts the deadline and the counting of the next request.
    void begin_request();
    /// Of the request under way: a body up to so long, and so much more time for it.
    void allow_body(std::size_t bytes, std::chrono::milliseconds more) {
        max_body_bytes_ = bytes;
        deadline_ += more;
    }
    /// Sends what was written. False: the client is gone or does not take it in time.
    bool flush();
    /// The client may still be sending what nobody will read: tells it that nothing follows and reads on for a moment, so that
    /// the answer is not lost to a reset (RFC 9112 section 9.6).
    void linger();
    /// From here on what is written goes nowhere.
    void discard_output() { discarding_ = true; }

    Stop stop() const { return stop_; }
    bool head_done() const { return head_done_; }
    bool in_request_line() const { return in_request_line_; }
    bool wrote() const { return wrote_; }
    const Transport& transport() const { return transport_; }

    bool is_readable() const override { return true; }
    bool is_writable() const override { return true; }
    ssize_t read(char* to, std::size_t size) override;
    ssize_t write(const char* from, std::size_t size) override;
    using httplib::Stream::write;
    void get_remote_ip_and_port(std::string& ip, int& port) const override;
    void get_local_ip_and_port(std::string& ip, int& port) const override;
    socket_t socket() const override { return transport_.fd(); }

  private:
    using Clock = std::chrono::steady_clock;

    /// Bytes a chunked body may take beside its content (sizes and line ends).
    static constexpr std::size_t kBodyFraming = 64 * 1024;

    /// Of the request line or one header field; just below the library's own bound, which it answers as bad HTTP.
    static constexpr unsigned kMaxLineBytes = 8000;

    bool wait_for(Transport::Wait what, Clock::time_point deadline) const;
    bool fill(Clock::time_point deadline);
    bool count(char byte);

    Transport& transport_;
    const ServerOptions& options_;
    const std::function<void(bool)> on_blocked_;
    std::array<char, 8192> input_{};
    std::size_t input_at_ = 0, input_end_ = 0;
    std::string output_;
    Clock::time_point deadline_;
    std::size_t head_bytes_ = 0, body_bytes_ = 0;
    std::size_t max_body_bytes_ = 0;
    unsigned line_bytes_ = 0;  ///< since the last line feed, carriage returns aside
    bool in_request_line_ = true;
    bool head_done_ = false;
    bool wrote_ = false;
    bool discarding_ = false;
    Stop stop_ = Stop::none;
    std::string_view handshake_failure_;
};

}  // namespace guideway::rest
