// HttpAnswer: reads the answer to a probe's GET from bytes that come in any pieces, within a bound. Only as much of HTTP/1.1 as the
// answer of a health check needs: the status, and the body by Content-Length, by chunks, or to the connection's end. Interim
// answers (1xx) are passed over. Lenient about bodies, strict about the status line: the status decides.
//
// Worked example: feed("HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno") -> status 503, body "no", complete.
//
// endpoints_of() reads what kube-proxy answers at a healthCheckNodePort (pkg/proxy/healthcheck/service_health.go):
//   {"service": {"namespace": "default", "name": "web"}, "localEndpoints": 3, "serviceProxyHealthy": true}
//
// Thread contract: one thread at a time. Pure: no socket, no clock.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace guideway::health {

class HttpAnswer {
  public:
    enum class Progress : std::uint8_t { more, complete, bad };

    /// Bytes of head and body together, as they come; a head beyond them is bad, a body is cut off there.
    static constexpr std::size_t kMostBytes = 8192;

    /// `want_body`: false: complete as soon as the head is read.
    explicit HttpAnswer(bool want_body) : want_body_(want_body) {}

    /// What it is after these bytes. Not to be called any more once it is complete or bad.
    Progress feed(std::string_view bytes);
    /// The peer has sent all. Complete where the head is there: a body may end so, or be cut short; bad otherwise.
    Progress end();

    int status() const { return status_; }  ///< 200..599 once complete
    const std::string& body() const { return body_; }
    /// Why it is bad, for people: printable, at most about 100 characters.
    const std::string& error() const { return error_; }

  private:
    Progress bad(std::string why);
    Progress head();
    Progress body_so_far(bool ended);
    bool read_fields(std::string_view fields);

    const bool want_body_;
    std::string bytes_;         // not yet taken
    std::size_t total_ = 0;     // all that came
    std::size_t searched_ = 0;  // of bytes_: no end of the head ends before here
    bool in_body_ = false;
    int status_ = 0;
    std::optional<std::uint64_t> length_;
    bool chunked_ = false;
    std::string body_, error_;
};

/// Ready local endpoints that the body tells; none: it tells no number.
std::optional<std::uint32_t> endpoints_of(std::string_view body);

/// The text without control bytes, cut to `most` bytes: it came from elsewhere and goes into logs.
std::string printable(std::string_view text, std::size_t most);

}  // namespace guideway::health
