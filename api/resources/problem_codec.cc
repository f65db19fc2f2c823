#include "api/resources/problem_codec.h"

#include <utility>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

/// The HTTP status in words (RFC 9110), as "about:blank" asks for.
std::string_view title_of(int status) {
    switch (status) {
        case 400:
            return "Bad Request";
        case 401:
            return "Unauthorized";
        case 403:
            return "Forbidden";
        case 404:
            return "Not Found";
        case 405:
            return "Method Not Allowed";
        case 406:
            return "Not Acceptable";
        case 408:
            return "Request Timeout";
        case 409:
            return "Conflict";
        case 410:
            return "Gone";
        case 411:
            return "Length Required";
        case 412:
            return "Precondition Failed";
        case 413:
            return "Content Too Large";
        case 414:
            return "URI Too Long";
        case 415:
            return "Unsupported Media Type";
        case 416:
            return "Range Not Satisfiable";
        case 422:
            return "Unprocessable Content";
        case 428:
            return "Precondition Required";
        case 429:
            return "Too Many Requests";
        case 431:
            return "Request Header Fields Too Large";
        case 500:
            return "Internal Server Error";
        case 501:
            return "Not Implemented";
        case 503:
            return "Service Unavailable";
        case 504:
            return "Gateway Timeout";
        case 507:
            return "Insufficient Storage";
        default:
            return status >= 500 ? "Server Error" : "Client Error";
    }
}

}  // namespace

std::string encode(const Problem& problem, bool pretty) {
    nlohmann::ordered_json out = nlohmann::ordered_json::object();
    out["type"] = "about:blank";
    out["title"] = std::string(title_of(problem.status));
    out["status"] = problem.status;
    out["detail"] = problem.detail;
    out["reason"] = problem.reason;
    auto& faults = out["faults"] = nlohmann::ordered_json::array();
    for (const contract::Fault& fault : problem.faults) {
        auto& one = faults.emplace_back(nlohmann::ordered_json::object());
        one["field"] = fault.field;
        one["message"] = fault.message;
    }
    return text_of(out, pretty);
}

contract::Decoded<Problem> read_problem(std::string_view body) {
    contract::Decoded<Problem> result;
    auto tree = json::parse_strict(body, {kMaxListBytes, 32});
    if (!tree.ok()) {
        result.faults = std::move(tree.faults);
        return result;
    }
    json::ObjectReader reader(*tree.value, "", result.faults);
    Problem problem;
    problem.status = static_cast<int>(reader.required_unsigned("status", 100, 599));
    problem.reason = reader.string_or("reason", {}, json::length(0, 4096));
    problem.detail = reader.string_or("detail", {}, json::length(0, 1U << 20));
    reader.each_object("faults", {0, 10000}, [&](json::ObjectReader& one) {
        contract::Fault fault;
        fault.field = one.required_string("field", json::length(0, 1U << 20));
        fault.message = one.required_string("message", json::length(0, 1U << 20));
        problem.faults.push_back(std::move(fault));
    });
    if (result.faults.empty()) result.value = std::move(problem);
    return result;
}

Problem invalid_request(std::vector<contract::Fault> faults) {
    Problem problem;
    problem.status = 400;
    problem.reason = "InvalidRequest";
    if (faults.empty()) {
        problem.detail = "the request is not valid";
    } else {
        const std::string& field = faults.front().field;
        problem.detail = (field.empty() ? "the body" : field) + std::string(": ") + faults.front().message;
        if (faults.size() > 1) problem.detail += " (and " + std::to_string(faults.size() - 1) + " more)";
    }
    problem.faults = std::move(faults);
    return problem;
}

}  // namespace guideway::resources
