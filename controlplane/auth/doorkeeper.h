// Doorkeeper: says who sends a request, by its bearer token or by the client certificate that TLS verified.
//
// A bearer token counts first: where one is sent it must be right, whatever certificate is there. Without one, the common name of
// the certificate is looked up in the configured rules. Nobody is let in for being on this machine.
//
// Worked example: rules {"prod-controller" -> controller of "prod"}; a request with that certificate and no Authorization header
// comes from Caller{"certificate:prod-controller", controller, "prod"}; the colon keeps it apart from every token's name.
//
// Thread contract: as rest::Authenticator: from any thread; the book may change meanwhile.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "api/rest/caller.h"
#include "controlplane/auth/token_book.h"

namespace guideway::controlplane::auth {

/// What the holder of a client certificate may do.
struct CertificateRule {
    std::string common_name;
    rest::Role role = rest::Role::viewer;
    std::string cluster;  ///< of a controller
    friend bool operator==(const CertificateRule&, const CertificateRule&) = default;
};

class Doorkeeper final : public rest::Authenticator {
  public:
    /// `book` must outlive it.
    explicit Doorkeeper(const TokenBook& book, std::vector<CertificateRule> rules = {},
                        std::function<Time()> now = std::chrono::system_clock::now);
    /// Refusals have status 401 and the reason TokenRequired, TokenUnknown, TokenExpired or CertificateUnknown.
    resources::Result<rest::Caller> authenticate(const rest::Credentials& credentials) override;

  private:
    const TokenBook& book_;
    const std::vector<CertificateRule> rules_;
    const std::function<Time()> now_;
};

}  // namespace guideway::controlplane::auth
