// Transport: bytes to and from one client, through TLS or as they are, on a non-blocking socket. It never waits: where nothing can
// be done now it says what to wait for, so that whoever uses it keeps the deadlines.
//
// Thread contract: one thread; another may shut the socket down, which ends every call.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

struct ssl_st;

namespace guideway::rest {

class Transport {
  public:
    enum class Wait { none, readable, writable, closed };
    struct Outcome {
        std::size_t bytes = 0;   ///< moved; 0 unless `wait` is none
        Wait wait = Wait::none;  ///< closed: by the client, or beyond repair
    };

    /// `fd` stays the caller's. `tls`: the server's end of a handshake still to be made, taken over; null: none.
    Transport(int fd, ssl_st* tls);
    ~Transport();
    Transport(const Transport&) = delete;
    Transport& operator=(const Transport&) = delete;

    int fd() const { return fd_; }
    bool is_tls() const { return tls_ != nullptr; }

    /// To be called until it says none (then data may flow) or closed (then handshake_failure() says why).
    Wait handshake();
    /// "not_tls", "version", "certificate", "closed", "other": a word for metrics.
    std::string_view handshake_failure() const { return failure_; }
    Outcome receive(char* to, std::size_t size);
    Outcome send(const char* from, std::size_t size);
    /// Tells the client that nothing follows.
    void end_sending();
    /// Whether the client has closed its end; without waiting.
    bool client_gone() const;
    /// The common name of the client's verified certificate; empty: it showed none, or its subject has not exactly one.
    std::string client_name() const;

  private:
    Wait outcome_of(int result);

    const int fd_;
    ssl_st* const tls_;
    bool established_ = false;
    bool broken_ = false;  ///< nothing may be sent any more, not even the end
    std::string_view failure_ = "other";
};

}  // namespace guideway::rest
