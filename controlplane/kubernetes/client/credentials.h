// Credentials: token, certificates and authorities of an Access as they are now: files are read again as they rotate.
//
// A file is looked at (stat) before each use and read where it changed, and anyway once its last reading is a minute old (a mount may
// change what stat does not show). refresh(): at once, as the server just refused what we have.
// A file that can no longer be read keeps what was read before: a rotation that is half done must not cut us off; error() tells of it.
//
// Thread contract: one thread at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

#include "controlplane/kubernetes/client/access.h"

namespace guideway::kubernetes {

class Credentials {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds kOldest{60};
    static constexpr std::size_t kMaxFileBytes = 1U << 20;

    /// `now`: null: the steady clock.
    explicit Credentials(Access access, std::function<TimePoint()> now = {});

    /// Looks at the files. False: what was never read cannot be read: error() says which and why.
    bool update();
    /// Reads all files again. True: something differs from before.
    bool refresh();

    /// A sentence, with the file; empty: the last look was fine.
    const std::string& error() const { return error_; }

    const std::string& token() const { return token_; }  ///< without line end; empty: none
    const std::string& authority() const { return authority_.text; }
    const std::string& client_certificate() const { return certificate_.text; }
    const std::string& client_key() const { return key_.text; }
    /// Grows whenever anything of TLS changed: a connection of an older one is to be replaced.
    std::uint64_t tls_generation() const { return tls_generation_; }
    /// "the token in /var/run/secrets/token", "the client certificate of context a of /etc/kc", "nothing (anonymous)".
    std::string who() const;

    const Access& access() const { return access_; }

  private:
    struct Source {
        std::string file;  ///< empty: `text` is all there is
        std::string text;
        std::string seen;  ///< stamp of the file as read
        TimePoint read_at{};
        bool known = false;
    };
    /// True: `text` changed.
    bool look(Source& source, bool force, const char* what);

    Access access_;
    std::function<TimePoint()> now_;
    Source token_source_, authority_, certificate_, key_;
    std::string token_;
    std::string error_;
    std::uint64_t tls_generation_ = 1;
};

}  // namespace guideway::kubernetes
