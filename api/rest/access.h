// Access: who sends a request, and whether it may be served now: the Authorization header, refused logins within their limit, and the
// rate of each caller.
//
// Worked example: "Authorization: Basic ..." -> 401 "found the scheme Basic, allowed Bearer", WWW-Authenticate: Bearer
// realm="guideway". The 11th such request of 192.0.2.7 within a second -> 429, Retry-After: 1. A right token from 192.0.2.7 at the
// same time -> served.
//
// Thread contract: any method from any thread.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "api/rest/caller.h"
#include "api/rest/peer.h"
#include "api/rest/rate_limit.h"
#include "api/rest/routes.h"
#include "api/rest/server.h"

namespace guideway::rest {

class Access {
  public:
    /// `authenticator` may be null: everybody is the admin "anonymous". `observer` too.
    Access(const ServerOptions& options, Authenticator* authenticator, RequestObserver* observer);

    /// `authorization`: the values of the request's Authorization headers. The answer instead where the request is refused.
    std::variant<Caller, Response> admit(const std::vector<std::string>& authorization, const std::string& certificate,
                                         const Peer& peer);
    /// Whether who was admitted so would be again: for what goes on for long.
    bool still_admits(const std::vector<std::string>& authorization, const std::string& certificate, const Peer& peer,
                      const Caller& caller) const;

  private:
    Response refused(resources::Problem problem, const Peer& peer);

    Authenticator* const authenticator_;
    RequestObserver* const observer_;
    RateLimit failed_logins_;
    RateLimit requests_;
};

/// 429 with the time after which to try again, in whole seconds.
Response too_many(std::string reason, std::string detail, std::chrono::milliseconds wait);

}  // namespace guideway::rest
