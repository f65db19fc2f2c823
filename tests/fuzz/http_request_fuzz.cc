// Whole requests through the routes: METHOD TARGET\nIF-MATCH\nBODY. Every answer has a status that the API knows, and every
// error is a problem document.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "api/resources/problem_codec.h"
#include "api/rest/routes.h"
#include "tests/unit/api/rest/fake_appliance.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace guideway;
    static rest::FakeAppliance appliance;
    static rest::Routes routes(appliance, 1);
    routes.end_waits();
    std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto take = [&text](char end) {
        const std::size_t at = text.find(end);
        const std::string_view out = text.substr(0, at);
        text.remove_prefix(at == std::string_view::npos ? text.size() : at + 1);
        return out;
    };
    rest::Request request;
    request.method = take(' ');
    request.target = take('\n');
    if (const std::string_view if_match = take('\n'); !if_match.empty()) request.if_match = if_match;
    request.content_type = "application/json";
    request.body = text;
    const rest::Response response = routes.answer(request);
    switch (response.status) {
        case 200:
        case 201:
        case 204:
            break;
        case 400:
        case 404:
        case 405:
        case 412:
        case 415:
        case 503: {
            const auto problem = resources::read_problem(response.body);
            if (response.content_type != "application/problem+json" || !problem.ok()) std::abort();
            if (problem.value->status != response.status || problem.value->detail.empty()) std::abort();
            break;
        }
        default:
            std::abort();
    }
    return 0;
}
