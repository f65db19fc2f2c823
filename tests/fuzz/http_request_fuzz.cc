// Histories of whole requests through the routes, from an empty appliance. Each request: METHOD TARGET ROLE\nHEADER\nBODY, and a line
// "----" before the next one. ROLE: viewer, controller (of cluster "prod") or nothing (admin). HEADER: the value of If-Match, or
// after '!' that of If-None-Match, or after '#' that of Last-Event-ID. Every answer has a status that the API knows; every error is a
// problem document; what is read of a watch are whole events.
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "api/resources/problem_codec.h"
#include "api/rest/routes.h"
#include "tests/unit/api/rest/fake_appliance.h"

namespace {

using namespace guideway;

constexpr int kMaxRequests = 16;

std::string_view take(std::string_view& text, std::string_view end) {
    const std::size_t at = text.find(end);
    const std::string_view out = text.substr(0, at);
    text.remove_prefix(at == std::string_view::npos ? text.size() : at + end.size());
    return out;
}

rest::Request request_of(std::string_view text) {
    rest::Request request;
    std::string_view line = take(text, "\n");
    request.method = take(line, " ");
    request.target = take(line, " ");
    if (line == "viewer") request.caller = {"eye", rest::Role::viewer, {}, {}};
    if (line == "controller") request.caller = {"prod-controller", rest::Role::controller, "prod", {}};
    if (std::string_view header = take(text, "\n"); header.starts_with('!')) {
        request.if_none_match = header.substr(1);
    } else if (header.starts_with('#')) {
        request.last_event_id = header.substr(1);
    } else if (!header.empty()) {
        request.if_match = header;
    }
    request.content_type = request.target.starts_with("/v1/backup") ? "application/x-ndjson" : "application/json";
    request.body = text;
    return request;
}

void check_problem(const rest::Response& response) {
    const auto problem = resources::read_problem(response.body);
    if (response.content_type != "application/problem+json" || !problem.ok()) std::abort();
    if (problem.value->status != response.status || problem.value->detail.empty()) std::abort();
}

void check(const rest::Response& response) {
    switch (response.status) {
        case 200:
            if (response.content_type == "application/json" && !nlohmann::json::accept(response.body)) std::abort();
            break;
        case 201:
            if (!nlohmann::json::accept(response.body)) std::abort();
            break;
        case 204:
            if (!response.body.empty()) std::abort();
            break;
        case 400:
        case 403:
        case 404:
        case 405:
        case 409:
        case 410:
        case 412:
        case 415:
        case 428:
        case 503:
            check_problem(response);
            break;
        default:
            std::abort();
    }
    if (response.stream == nullptr) return;
    for (int i = 0; i < 3; ++i) {
        const std::optional<std::string> piece = response.stream->next(std::chrono::milliseconds(0));
        if (!piece) break;
        if (!piece->empty() && !piece->ends_with("\n\n")) std::abort();
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    rest::FakeAppliance appliance;
    rest::Routes routes(appliance, rest::RoutesOptions{.max_waiting_requests = 1});
    routes.end_waits();
    appliance.set_forwarding(true);
    std::string_view text(reinterpret_cast<const char*>(data), size);
    for (int i = 0; i < kMaxRequests && (i == 0 || !text.empty()); ++i) {
        const rest::Request request = request_of(take(text, "\n----\n"));
        const std::optional<rest::Response> early = routes.answer_early(request);
        // What was answered early was answered; asked again it would be another request.
        check(early ? *early : routes.answer(request));
    }
    return 0;
}
