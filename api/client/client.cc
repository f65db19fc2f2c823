#include "api/client/client.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <thread>

#include <httplib.h>

#include "api/contract/counters_codec.h"
#include "api/contract/explain_codec.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/resources/problem_codec.h"
#include "api/resources/status_codec.h"

namespace guideway::client {

namespace {

using resources::Problem;
using Clock = std::chrono::steady_clock;

constexpr std::chrono::milliseconds kFirstPause{50};
constexpr std::chrono::milliseconds kLongestPause{2000};

struct Answer {
    int status = 0;
    std::string body;
};

/// "http://HOST:PORT" of what a person wrote (no scheme and a slash at the end are fine); nothing where it is no such server.
std::optional<std::string> base_url(std::string_view text) {
    constexpr std::string_view kScheme = "http://";
    if (text.starts_with(kScheme)) text.remove_prefix(kScheme.size());
    if (text.ends_with('/')) text.remove_suffix(1);
    std::string_view host = text;
    std::string_view port;
    const auto colon = text.rfind(':');
    if (colon != std::string_view::npos && (text.front() != '[' || text[colon - 1] == ']')) {
        host = text.substr(0, colon);
        port = text.substr(colon + 1);
        unsigned number = 0;
        const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), number);
        if (error != std::errc() || end != port.data() + port.size() || number == 0 || number > 65535) {
            return std::nullopt;
        }
    }
    if (host.starts_with('[')) {
        const auto address = host.ends_with(']') ? IpAddress::parse(host.substr(1, host.size() - 2)) : std::nullopt;
        if (!address || address->is_v4()) return std::nullopt;
    } else if (host.empty() || !std::all_of(host.begin(), host.end(), [](char c) {
                   return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                          c == '.' || c == '_';
               })) {
        return std::nullopt;
    }
    return std::string(kScheme) + std::string(text);
}

/// One path segment or query value, percent-encoded (RFC 3986: all but the unreserved characters).
std::string encoded(std::string_view text) {
    constexpr std::string_view kHex = "0123456789ABCDEF";
    std::string out;
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
            continue;
        }
        const auto byte = static_cast<unsigned char>(c);
        out += '%';
        out += kHex[byte >> 4];
        out += kHex[byte & 0xf];
    }
    return out;
}

Problem transport_problem(const std::string& server, httplib::Error error) {
    if (error == httplib::Error::Connection) {
        return {0,
                "Unreachable",
                "cannot reach " + server +
                    ": connection refused or no route; is guideway-controlplane running, and is --server (or "
                    "GUIDEWAY_SERVER) right?",
                {}};
    }
    if (error == httplib::Error::Read || error == httplib::Error::Write) {
        return {
            0,
            "Timeout",
            "no answer from " + server +
                ": the connection broke or the time is over; whether a change was made can be seen with `guideway get`",
            {}};
    }
    return {0, "Unreachable", "cannot talk to " + server + ": " + httplib::to_string(error), {}};
}

Problem problem_of(const std::string& server, const Answer& answer) {
    auto problem = resources::read_problem(answer.body);
    if (problem.ok()) return *std::move(problem.value);
    return {answer.status,
            "UnexpectedAnswer",
            server + " answered with status " + std::to_string(answer.status) +
                " and no problem document; is this a Guideway server?",
            {}};
}

Problem unreadable(const std::string& server, const std::vector<contract::Fault>& faults) {
    std::string detail = server + " answered something this version cannot read";
    if (!faults.empty()) detail += ": " + faults.front().field + " " + faults.front().message;
    return {0, "UnexpectedAnswer", detail + "; are client and server of the same version?", faults};
}

bool is_success(const Answer& answer) { return answer.status >= 200 && answer.status < 300; }

std::string load_balancer_path(const std::string& ns, const std::string& name) {
    return "/v1/load-balancers/" + encoded(ns) + "/" + encoded(name);
}
std::string address_pool_path(const std::string& name) { return "/v1/address-pools/" + encoded(name); }
std::string node_path(const std::string& name) { return "/v1/nodes/" + encoded(name); }

}  // namespace

struct Client::Connection {
    explicit Connection(Options wanted)
        : options(std::move(wanted)), base(base_url(options.server)), http(base.value_or("http://127.0.0.1")) {
        const auto set = [](std::chrono::milliseconds time, auto setter) {
            setter(static_cast<time_t>(time.count() / 1000), static_cast<time_t>(time.count() % 1000 * 1000));
        };
        set(options.connect_timeout, [&](time_t s, time_t us) { http.set_connection_timeout(s, us); });
        set(options.read_timeout, [&](time_t s, time_t us) {
            http.set_read_timeout(s, us);
            http.set_write_timeout(s, us);
        });
        http.set_keep_alive(true);
        // Head and body go out as two writes: the body must not wait for the server's delayed acknowledgement (40 ms).
        http.set_tcp_nodelay(true);
    }

    /// Every method of this API is idempotent, so all may be tried again.
    Result<Answer> ask(const std::function<httplib::Result()>& send) {
        if (!base) {
            return Problem{
                0,
                "InvalidServer",
                "found \"" + options.server +
                    "\" as the server, allowed http://HOST:PORT, such as http://127.0.0.1:8870 (no https, no "
                    "path)",
                {}};
        }
        const auto end = Clock::now() + options.retry_for;
        auto pause = kFirstPause;
        while (true) {
            const httplib::Result result = send();
            const bool again = result ? result->status == 503 : result.error() == httplib::Error::Connection;
            if (!again || Clock::now() + pause > end) {
                if (!result) return transport_problem(options.server, result.error());
                return Answer{result->status, result->body};
            }
            std::this_thread::sleep_for(pause);
            pause = std::min(pause * 2, kLongestPause);
        }
    }

    Result<Answer> get(const std::string& path) {
        Result<Answer> answer = ask([&] { return http.Get(path.c_str()); });
        if (answer.ok() && !is_success(answer.value())) return problem_of(options.server, answer.value());
        return answer;
    }

    template <class T>
    Result<T> get(const std::string& path, contract::Decoded<T> (*read)(std::string_view)) {
        const Result<Answer> answer = get(path);
        if (!answer.ok()) return answer.problem();
        return decoded(answer.value().body, read);
    }

    template <class T>
    Result<T> decoded(const std::string& body, contract::Decoded<T> (*read)(std::string_view)) {
        auto value = read(body);
        if (!value.ok()) return unreadable(options.server, value.faults);
        return *std::move(value.value);
    }

    template <class T>
    Result<Put<T>> put(const std::string& path, const T& wanted, std::optional<std::uint64_t> if_match,
                       contract::Decoded<T> (*read)(std::string_view)) {
        const std::string body = resources::encode(wanted);
        httplib::Headers headers;
        if (if_match) headers.emplace("If-Match", "\"" + std::to_string(*if_match) + "\"");
        const Result<Answer> answer = ask([&] { return http.Put(path.c_str(), headers, body, "application/json"); });
        if (!answer.ok()) return answer.problem();
        if (!is_success(answer.value())) return problem_of(options.server, answer.value());
        Result<T> object = decoded(answer.value().body, read);
        if (!object.ok()) return object.problem();
        return Put<T>{std::move(object.value()), answer.value().status == 201};
    }

    Result<bool> remove(const std::string& path) {
        const Result<Answer> answer = ask([&] { return http.Delete(path.c_str()); });
        if (!answer.ok()) return answer.problem();
        if (!is_success(answer.value()) && answer.value().status != 404) {
            return problem_of(options.server, answer.value());
        }
        return true;
    }

    Options options;
    std::optional<std::string> base;  ///< none: options.server is no server
    httplib::Client http;
};

Client::Client(Options options) : connection_(std::make_unique<Connection>(std::move(options))) {}
Client::~Client() = default;
Client::Client(Client&&) noexcept = default;
Client& Client::operator=(Client&&) noexcept = default;

Result<Put<resources::LoadBalancer>> Client::ensure(const resources::LoadBalancer& wanted,
                                                    std::optional<std::uint64_t> if_match) {
    return connection_->put(load_balancer_path(wanted.metadata.namespace_, wanted.metadata.name), wanted, if_match,
                            resources::read_load_balancer);
}
Result<Put<resources::AddressPool>> Client::ensure(const resources::AddressPool& wanted,
                                                   std::optional<std::uint64_t> if_match) {
    return connection_->put(address_pool_path(wanted.metadata.name), wanted, if_match, resources::read_address_pool);
}
Result<Put<resources::Node>> Client::ensure(const resources::Node& wanted, std::optional<std::uint64_t> if_match) {
    return connection_->put(node_path(wanted.metadata.name), wanted, if_match, resources::read_node);
}

Result<resources::LoadBalancer> Client::load_balancer(const std::string& ns, const std::string& name) {
    return connection_->get(load_balancer_path(ns, name), resources::read_load_balancer);
}
Result<resources::AddressPool> Client::address_pool(const std::string& name) {
    return connection_->get(address_pool_path(name), resources::read_address_pool);
}
Result<resources::Node> Client::node(const std::string& name) {
    return connection_->get(node_path(name), resources::read_node);
}

Result<std::vector<resources::LoadBalancer>> Client::load_balancers(const std::string& ns) {
    const std::string query = ns.empty() ? "" : "?namespace=" + encoded(ns);
    return connection_->get("/v1/load-balancers" + query, resources::read_load_balancer_list);
}
Result<std::vector<resources::AddressPool>> Client::address_pools() {
    return connection_->get("/v1/address-pools", resources::read_address_pool_list);
}
Result<std::vector<resources::Node>> Client::nodes() {
    return connection_->get("/v1/nodes", resources::read_node_list);
}

Result<bool> Client::delete_load_balancer(const std::string& ns, const std::string& name) {
    return connection_->remove(load_balancer_path(ns, name));
}
Result<bool> Client::delete_address_pool(const std::string& name) {
    return connection_->remove(address_pool_path(name));
}
Result<bool> Client::delete_node(const std::string& name) { return connection_->remove(node_path(name)); }

Result<resources::SystemStatus> Client::status(std::chrono::seconds wait) {
    const std::string query = wait.count() > 0 ? "?wait=" + std::to_string(std::min<long long>(wait.count(), 60)) : "";
    return connection_->get("/v1/status" + query, resources::read_status);
}

Result<contract::ExplainAnswer> Client::explain(const contract::ExplainRequest& request) {
    return connection_->get("/v1/explain?protocol=" + std::string(contract::to_string(request.protocol)) +
                                "&source=" + encoded(request.source.to_string()) +
                                "&source_port=" + std::to_string(request.source_port) +
                                "&destination=" + encoded(request.destination.to_string()) +
                                "&destination_port=" + std::to_string(request.destination_port),
                            contract::decode_explain_answer);
}

Result<contract::Counters> Client::counters() { return connection_->get("/v1/counters", contract::decode_counters); }

Result<std::string> Client::metrics() { return get_text("/metrics"); }

Result<std::string> Client::get_text(const std::string& path) {
    Result<Answer> answer = connection_->get(path);
    if (!answer.ok()) return answer.problem();
    return std::move(answer.value().body);
}

}  // namespace guideway::client
