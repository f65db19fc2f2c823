#include "api/rest/access.h"

#include <algorithm>
#include <utility>

namespace guideway::rest {
namespace {

constexpr double kLoginBurst = 10;
constexpr std::size_t kMaxPeers = 65536;
constexpr std::size_t kMaxCallers = 4096;

bool same_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
        return lower(x) == lower(y);
    });
}

struct Read {
    Credentials credentials;
    std::string error;  ///< empty: understood
};

Read read(const std::vector<std::string>& authorization, const std::string& certificate, const Peer& peer) {
    Read out;
    out.credentials.client_certificate_subject = certificate;
    out.credentials.peer = peer.address;
    if (authorization.empty()) return out;
    if (authorization.size() > 1) {
        out.error = "found " + std::to_string(authorization.size()) + " Authorization headers, allowed one";
        return out;
    }
    const std::string_view text = authorization.front();
    const std::size_t space = text.find(' ');
    const std::string_view scheme = text.substr(0, space);
    if (!same_ignoring_case(scheme, "Bearer")) {
        // Only what can be a scheme is repeated: another form could be the secret itself.
        const bool plain = space != std::string_view::npos && scheme.size() <= 20 && !scheme.empty() &&
                           std::all_of(scheme.begin(), scheme.end(),
                                       [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); });
        out.error = plain ? "found the scheme " + std::string(scheme) + ", allowed Bearer"
                          : "found an Authorization header without a scheme, allowed: Bearer, a space, the token";
        return out;
    }
    std::string_view token = space == std::string_view::npos ? std::string_view() : text.substr(space);
    token.remove_prefix(std::min(token.find_first_not_of(' '), token.size()));
    if (token.empty()) {
        out.error = "found Bearer without a token";
        return out;
    }
    out.credentials.bearer = token;
    return out;
}

}  // namespace

Response too_many(std::string reason, std::string detail, std::chrono::milliseconds wait) {
    Response response = problem_response({429, std::move(reason), std::move(detail), {}});
    const auto seconds = std::chrono::ceil<std::chrono::seconds>(wait).count();
    response.headers.emplace_back("Retry-After", std::to_string(std::max<decltype(seconds)>(1, seconds)));
    return response;
}

Access::Access(const ServerOptions& options, Authenticator* authenticator, RequestObserver* observer)
    : authenticator_(authenticator),
      observer_(observer),
      failed_logins_(options.failed_logins_per_minute / 60, kLoginBurst, kMaxPeers),
      requests_(options.requests_per_second, std::max(1.0, options.requests_per_second), kMaxCallers) {}

Response Access::refused(resources::Problem problem, const Peer& peer) {
    if (const auto wait = failed_logins_.take(peer.key)) {
        if (observer_ != nullptr) observer_->login_refused(peer.address, "TooManyFailedLogins");
        return too_many("TooManyFailedLogins", "too many refused logins from your address; a right token is served",
                        *wait);
    }
    if (observer_ != nullptr) observer_->login_refused(peer.address, problem.reason);
    Response response = problem_response(problem);
    if (problem.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer realm=\"guideway\"");
    return response;
}

std::variant<Caller, Response> Access::admit(const std::vector<std::string>& authorization,
                                             const std::string& certificate, const Peer& peer) {
    Caller caller{"anonymous", Role::admin, {}, peer.address};
    if (authenticator_ != nullptr) {
        Read header = read(authorization, certificate, peer);
        if (!header.error.empty()) {
            return refused({401, "AuthorizationInvalid", std::move(header.error), {}}, peer);
        }
        resources::Result<Caller> known = authenticator_->authenticate(header.credentials);
        if (!known.ok()) return refused(known.problem(), peer);
        caller = std::move(known.value());
        caller.peer = peer.address;
    }
    if (const auto wait = requests_.take(caller.name)) {
        if (observer_ != nullptr) observer_->throttled("requests");
        return too_many("TooManyRequests", "you send more requests than limits.requests_per_second allows", *wait);
    }
    return caller;
}

bool Access::still_admits(const std::vector<std::string>& authorization, const std::string& certificate,
                          const Peer& peer, const Caller& caller) const {
    if (authenticator_ == nullptr) return true;
    const Read header = read(authorization, certificate, peer);
    const resources::Result<Caller> known = authenticator_->authenticate(header.credentials);
    return known.ok() && known.value().name == caller.name && known.value().role == caller.role &&
           known.value().cluster == caller.cluster;
}

}  // namespace guideway::rest
