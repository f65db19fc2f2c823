#include "controlplane/auth/doorkeeper.h"

#include <utility>

namespace guideway::controlplane::auth {

namespace {

resources::Problem refused(std::string reason, std::string detail) {
    return {401, std::move(reason), std::move(detail), {}};
}

}  // namespace

Doorkeeper::Doorkeeper(const TokenBook& book, std::vector<CertificateRule> rules, std::function<Time()> now)
    : book_(book), rules_(std::move(rules)), now_(std::move(now)) {}

resources::Result<rest::Caller> Doorkeeper::authenticate(const rest::Credentials& credentials) {
    if (credentials.bearer) {
        TokenBook::Answer answer = book_.authenticate(*credentials.bearer, now_());
        if (answer.caller) {
            answer.caller->peer = credentials.peer;
            return *std::move(answer.caller);
        }
        if (answer.refusal == TokenBook::Refusal::expired) {
            return refused("TokenExpired",
                           "the token " + answer.name + " has expired; an admin can set another expiresAt");
        }
        return refused("TokenUnknown", "the bearer token is not known, or was taken back");
    }
    const std::string& subject = credentials.client_certificate_subject;
    if (subject.empty()) {
        return refused("TokenRequired", "send a bearer token: Authorization: Bearer gw_...");
    }
    for (const CertificateRule& rule : rules_) {
        if (rule.common_name == subject) {
            return rest::Caller{"certificate:" + subject, rule.role, rule.cluster, credentials.peer};
        }
    }
    return refused("CertificateUnknown",
                   "the client certificate is good, but no role is configured for its common name; send a bearer token "
                   "beside it");
}

}  // namespace guideway::controlplane::auth
