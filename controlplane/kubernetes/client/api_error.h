// ApiError: why a call to the Kubernetes API did not succeed. ApiResult: a value, or that.
//
// Terms. Status: of HTTP; 0 where no answer came. Reason: CamelCase, for programs. With a status it is the one of the API's Status object:
// "NotFound", "AlreadyExists", "Conflict", "Expired", "Gone", "Forbidden", "Unauthorized", "TooManyRequests", ... Without one:
//     Unreachable           nobody took the request           InvalidAccess       where or as whom to connect is wrong (access.h)
//     ConnectionLost        it may have been carried out      CredentialsUnreadable  a token or certificate file cannot be used
//     Timeout               likewise                          TlsFailed           the server is not trusted, or does not trust us
//     UnexpectedAnswer      no JSON, too large, cut           Cancelled           ApiClient::cancel() was called
//
// Worked example:
//     if (auto service = client.get(kServices.object("default", "web")); !service.ok()) {
//         if (service.error().not_found()) return gone();
//         return failed(service.error().text());   // "404 NotFound: services \"web\" not found"
//     }
// Thread contract: plain values.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <utility>
#include <variant>

namespace guideway::kubernetes {

struct ApiError {
    int status = 0;
    std::string reason;
    std::string message;  ///< a sentence for a person
    /// What the server asked for (header Retry-After, or details.retryAfterSeconds), at most a day.
    std::optional<std::chrono::seconds> retry_after = {};

    /// The object is not there. False for a path that no server knows only where the server says so itself.
    bool not_found() const { return status == 404; }
    /// The object changed since it was read: read it again and decide anew.
    bool conflict() const { return status == 409 && reason != "AlreadyExists"; }
    bool already_exists() const { return status == 409 && reason == "AlreadyExists"; }
    /// The revision or the page asked for is no longer held: list again.
    bool expired() const { return status == 410; }
    bool forbidden() const { return status == 403; }
    bool cancelled() const { return status == 0 && reason == "Cancelled"; }
    /// The revision asked for is in the server's future ("Too large resource version").
    bool too_large_resource_version() const {
        return (status == 504 || status == 500 || status == 400) &&
               message.find("oo large resource version") != std::string::npos;
    }
    /// The change may have been made all the same.
    bool unsure() const { return status == 0 && (reason == "ConnectionLost" || reason == "Timeout"); }

    /// "404 NotFound: services \"web\" not found"
    std::string text() const {
        return (status == 0 ? std::string() : std::to_string(status) + " ") + reason +
               (message.empty() ? "" : ": " + message);
    }
    friend bool operator==(const ApiError&, const ApiError&) = default;
};

template <class T>
class ApiResult {
  public:
    ApiResult(T value) : content_(std::move(value)) {}         // NOLINT(google-explicit-constructor)
    ApiResult(ApiError error) : content_(std::move(error)) {}  // NOLINT(google-explicit-constructor)
    bool ok() const { return std::holds_alternative<T>(content_); }
    /// Only where ok().
    T& value() { return std::get<T>(content_); }
    const T& value() const { return std::get<T>(content_); }
    /// Only where not ok().
    const ApiError& error() const { return std::get<ApiError>(content_); }

  private:
    std::variant<T, ApiError> content_;
};

}  // namespace guideway::kubernetes
