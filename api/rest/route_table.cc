#include "api/rest/route_table.h"

#include <charconv>
#include <limits>

#include "api/json/object_reader.h"
#include "api/resources/problem_codec.h"

namespace guideway::rest {

using json::ObjectReader;

Response json_response(int status, std::string body) {
    Response response;
    response.status = status;
    response.content_type = "application/json";
    response.body = std::move(body);
    return response;
}

Response text_response(std::string body, std::string content_type) {
    Response response;
    response.content_type = std::move(content_type);
    response.body = std::move(body);
    return response;
}

resources::Problem invalid(std::string detail, std::vector<contract::Fault> faults) {
    return {400, "InvalidRequest", std::move(detail), std::move(faults)};
}

resources::Problem forbidden(const Caller& caller, const std::string& needs) {
    std::string has = "the role " + std::string(to_string(caller.role));
    if (caller.role == Role::controller) has += " of cluster " + ObjectReader::quoted(caller.cluster);
    return {403, "Forbidden", "this needs " + needs + "; " + ObjectReader::quoted(caller.name) + " has " + has, {}};
}

std::optional<std::uint64_t> parse_unsigned(std::string_view text, std::uint64_t max) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc() || end != text.data() + text.size() || value > max) return std::nullopt;
    return value;
}

std::string_view Routes::Context::query(std::string_view name) const {
    const std::string* value = target.parameter(name);
    return value == nullptr ? std::string_view() : std::string_view(*value);
}

void Routes::Context::fault(std::string_view name, std::string_view allowed) {
    const std::string* value = target.parameter(name);
    faults.push_back(
        {"?" + std::string(name), (value == nullptr ? "missing" : "found " + ObjectReader::quoted(*value)) +
                                      ", allowed " + std::string(allowed)});
}

std::uint64_t Routes::Context::number(std::string_view name, std::uint64_t fallback, std::uint64_t min,
                                      std::uint64_t max, std::string_view unit) {
    if (!has(name)) return fallback;
    const std::optional<std::uint64_t> value = parse_unsigned(query(name), max);
    if (!value || *value < min) {
        fault(name, std::to_string(min) + ".." + std::to_string(max) + std::string(unit));
        return fallback;
    }
    return *value;
}

bool Routes::Context::boolean(std::string_view name) {
    const std::string_view value = query(name);
    if (has(name) && value != "true" && value != "false") fault(name, "true or false");
    return value == "true";
}

std::uint16_t Routes::Context::port(std::string_view name) {
    const std::optional<std::uint64_t> value = parse_unsigned(query(name), 65535);
    if (!value || *value == 0) fault(name, "1..65535");
    return static_cast<std::uint16_t>(value.value_or(0));
}

IpAddress Routes::Context::address(std::string_view name) {
    const std::optional<IpAddress> value = IpAddress::parse(query(name));
    if (!value) fault(name, "an IPv4 or IPv6 address");
    return value.value_or(IpAddress{});
}

std::optional<std::chrono::seconds> Routes::Context::wait() {
    constexpr std::uint64_t kOrdinary = 30;
    if (query("wait") == "forwarding") {
        return std::chrono::seconds(number("timeout", kOrdinary, 0, kMaxWaitSeconds, " (seconds)"));
    }
    if (has("timeout")) fault("timeout", "only beside ?wait=forwarding");
    if (!has("wait")) return std::nullopt;
    const std::optional<std::uint64_t> value = parse_unsigned(query("wait"), kMaxWaitSeconds);
    if (!value) fault("wait", "forwarding (with ?timeout=SECONDS), or 0..60 (seconds)");
    return std::chrono::seconds(value.value_or(0));
}

FieldMask Routes::Context::fields(std::string_view kind) {
    if (!has("fields")) return {};
    contract::Decoded<FieldMask> mask = FieldMask::parse(kind, query("fields"));
    faults.insert(faults.end(), mask.faults.begin(), mask.faults.end());
    return std::move(mask.value).value_or(FieldMask());
}

Response Routes::Context::faulty() const { return problem_response(invalid("the query has faults", faults)); }

void RouteHandlers::wait_after_change(Routes& routes, std::optional<std::chrono::seconds> wait, Response& response) {
    if (!wait) return;
    const std::optional<Routes::Waited> waited = routes.wait_until_forwarding(*wait);
    response.headers.emplace_back("Guideway-Forwarding", waited && waited->forwarding ? "true" : "false");
    response.waited_seconds = waited ? waited->seconds : 0;
}

}  // namespace guideway::rest
