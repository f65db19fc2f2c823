// Caller: who sends a request, and what that one may do. Authenticator: finds out who it is.
//
// Terms. Role: viewer reads everything but tokens' secrets (which nobody reads); controller reads, and changes load
// balancers and nodes of its own cluster; admin does everything. Peer: the client's IP address.
//
// Worked example: "Authorization: Bearer gw_..." from 192.0.2.7 -> authenticate() -> Caller{"prod-controller", controller,
// "prod", "192.0.2.7"} -> PUT /v1/clusters/prod/... is served, PUT /v1/clusters/test/... is 403.
//
// Thread contract: Caller and Credentials are plain values; an Authenticator is called from many threads at once.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/resources/result.h"

namespace guideway::rest {

enum class Role : std::uint8_t { viewer, controller, admin };

/// "viewer", "controller", "admin".
constexpr std::string_view to_string(Role role) {
    return role == Role::admin ? "admin" : role == Role::controller ? "controller" : "viewer";
}

constexpr std::optional<Role> parse_role(std::string_view text) {
    for (const Role role : {Role::viewer, Role::controller, Role::admin}) {
        if (text == to_string(role)) return role;
    }
    return std::nullopt;
}

struct Caller {
    std::string name;  ///< of the token; "anonymous" where nobody has to say who they are
    Role role = Role::viewer;
    std::string cluster;  ///< a controller's own
    std::string peer;     ///< literal IP address; empty: unknown

    /// Whether objects of this cluster may be changed.
    bool may_change_cluster(std::string_view wanted) const {
        return role == Role::admin || (role == Role::controller && cluster == wanted);
    }
};

/// What a request shows of its sender.
struct Credentials {
    std::optional<std::string> bearer;       ///< after "Bearer "; none: no Authorization header
    std::string client_certificate_subject;  ///< common name of a certificate that TLS verified; empty: none
    std::string peer;                        ///< literal IP address
};

class Authenticator {
  public:
    virtual ~Authenticator() = default;
    /// The caller, or a problem with status 401 (who are you) or 429 (too many failed tries from this peer). Must be quick,
    /// and take the same time for any wrong token.
    virtual resources::Result<Caller> authenticate(const Credentials& credentials) = 0;
};

}  // namespace guideway::rest
