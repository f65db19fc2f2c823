// TlsContext: the server's certificate, key and what it asks of clients, read from files and read again when they change.
//
// TLS 1.2 and 1.3; with 1.2 only ephemeral keys and authenticated ciphers. No renegotiation, no compression, no tickets and no
// session cache: each connection proves its certificate anew, so one that was taken back is not resumed.
//
// Terms. Pair: certificate (with its chain) and key. Refused pair: files that changed and cannot be used; the one in force stays.
//
// Worked example: certbot writes a new certificate, then its key. Between the two the files do not fit together: nothing happens.
// A second later they do: connections from then on get the new one; those under way keep the old one. Had the key never come,
// the pair would be refused after the next look, said in the log and counted.
//
// Thread contract: load() anywhere; new_connection(), status() and look_again() from any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <variant>

struct ssl_st;
struct ssl_ctx_st;

namespace guideway::rest {

enum class ClientCertificates : std::uint8_t { none, optional, required };

struct TlsFiles {
    std::string certificate;  ///< PEM: the server's first, then its chain
    std::string key;          ///< PEM, without a password; read by nobody but the owner (and its group)
    std::string client_ca;    ///< PEM; empty: clients are not asked for certificates
    ClientCertificates clients = ClientCertificates::none;
    friend bool operator==(const TlsFiles&, const TlsFiles&) = default;
};

struct TlsFault {
    std::string field;    ///< "certificate", "key" or "client_ca"
    std::string message;  ///< names the file
};

struct TlsStatus {
    std::chrono::system_clock::time_point not_after;  ///< of the certificate in force
    std::uint64_t loads = 0;                          ///< pairs taken, the first one included
    std::uint64_t refused = 0;                        ///< pairs refused
    std::string error;                                ///< why the last one was refused; empty: it was taken
};

class TlsContext {
  public:
    using Loaded = std::variant<std::shared_ptr<TlsContext>, TlsFault>;
    static Loaded load(TlsFiles files);
    ~TlsContext();
    TlsContext(const TlsContext&) = delete;
    TlsContext& operator=(const TlsContext&) = delete;

    /// A server's end of a connection, or null where there is no memory; for SSL_free().
    ssl_st* new_connection() const;
    TlsStatus status() const;
    /// Looks at the files and takes what changed, if it is good. A fault is believed when two looks saw the same files with it.
    /// True: status() is another one now.
    bool look_again();

  private:
    struct State;
    explicit TlsContext(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
};

/// Looks at the files of a context every second, in a thread of its own, until it is destroyed.
class TlsWatch {
  public:
    /// `on_change` is told the status at once and whenever it changes; from the thread.
    TlsWatch(std::shared_ptr<TlsContext> context, std::function<void(const TlsStatus&)> on_change,
             std::chrono::milliseconds interval = std::chrono::seconds(1));
    ~TlsWatch();
    TlsWatch(const TlsWatch&) = delete;
    TlsWatch& operator=(const TlsWatch&) = delete;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace guideway::rest
