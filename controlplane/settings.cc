#include "controlplane/settings.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <utility>

#include "api/contract/ip_address.h"
#include "api/resources/names.h"

namespace guideway::controlplane {
namespace {

constexpr const char* kDefaultListen = "127.0.0.1:8870";
constexpr const char* kListenAllowed = "an address and a port: \"127.0.0.1:8870\", \"[::1]:8870\"";
constexpr std::size_t kMaxListen = 16;

std::string in_quotes(const std::string& text) { return "\"" + text + "\""; }

std::string beside(const std::string& file, const char* name) {
    return (std::filesystem::path(file).parent_path() / name).string();
}

std::vector<ListenAddress> read_listen(config::Section& section) {
    std::vector<std::string> texts;
    const bool list = section.is_list("listen");
    if (list) {
        texts = section.strings("listen", config::nonempty_text(), 1, kMaxListen);
    } else {
        texts.push_back(section.string_or("listen", kDefaultListen, config::nonempty_text()));
    }
    std::vector<ListenAddress> out;
    for (std::size_t i = 0; i < texts.size(); ++i) {
        const auto fault = [&](const std::string& message) {
            list ? section.fault("listen", i, message) : section.fault("listen", message);
        };
        const auto address = parse_listen(texts[i]);
        if (!address) {
            fault("found " + in_quotes(texts[i]) + ", allowed " + kListenAllowed);
        } else if (std::find(out.begin(), out.end(), *address) != out.end()) {
            fault("found " + in_quotes(texts[i]) + " twice, allowed once");
        } else {
            out.push_back(*address);
        }
    }
    return out;
}

void read_roles(config::Section& tls, Settings& settings) {
    for (config::Section& one : tls.groups("roles", 0, 1024)) {
        auth::CertificateRule rule;
        rule.common_name = one.required_string("common_name");
        const std::string role = one.required_string("role", config::one_of({"viewer", "controller", "admin"}));
        rule.role = rest::parse_role(role).value_or(rest::Role::viewer);
        const auto label = config::matching(resources::is_label, "an RFC 1123 label");
        if (rule.role == rest::Role::controller) {
            rule.cluster = one.required_string("cluster", label);
        } else if (one.has("cluster")) {
            one.fault("cluster", "found a cluster, allowed with role = \"controller\" only");
        }
        const bool known = std::any_of(settings.certificate_roles.begin(), settings.certificate_roles.end(),
                                       [&](const auto& other) { return other.common_name == rule.common_name; });
        if (known) one.fault("common_name", "found " + in_quotes(rule.common_name) + " twice, allowed once");
        settings.certificate_roles.push_back(std::move(rule));
    }
}

void read_tls(config::Section& section, Settings& settings) {
    config::Section tls = section.optional_group("tls");
    if (!tls.present()) return;
    rest::TlsFiles files;
    files.certificate = tls.required_string("certificate");
    files.key = tls.required_string("key");
    files.client_ca = tls.string_or("client_ca", "", config::nonempty_text());
    const std::string clients =
        tls.string_or("client_certificates", "optional", config::one_of({"optional", "required"}));
    if (!files.client_ca.empty()) {
        files.clients = clients == "required" ? rest::ClientCertificates::required : rest::ClientCertificates::optional;
    } else if (tls.has("client_certificates")) {
        tls.fault("client_certificates",
                  "found " + in_quotes(clients) +
                      " without client_ca, allowed only with it: nothing says which certificates "
                      "are good");
    }
    settings.server.tls_on_loopback = tls.boolean_or("loopback", false);
    read_roles(tls, settings);
    if (!settings.certificate_roles.empty() && files.client_ca.empty()) {
        tls.fault("roles", "found roles of client certificates without client_ca, allowed only with it");
    }
    settings.tls = std::move(files);
}

void read_limits(config::Section& section, Settings& settings) {
    config::Section limits = section.optional_group("limits");
    rest::ServerOptions& to = settings.server;
    const auto number = [&](const char* key, std::size_t& value, std::int64_t min, std::int64_t max) {
        value = static_cast<std::size_t>(limits.integer_or(key, static_cast<std::int64_t>(value), min, max));
    };
    const auto rate = [&](const char* key, double& value, std::int64_t max) {
        value = static_cast<double>(limits.integer_or(key, static_cast<std::int64_t>(value), 0, max));
    };
    const auto seconds = [&](const char* key, std::chrono::milliseconds& value, std::int64_t max) {
        const std::int64_t now = std::chrono::duration_cast<std::chrono::seconds>(value).count();
        value = std::chrono::seconds(limits.integer_or(key, now, 1, max));
    };
    number("connections", to.max_connections, 16, 32768);
    number("connections_per_client", to.max_connections_per_peer, 1, 32768);
    number("connections_per_local_client", to.max_connections_per_loopback_peer, 1, 32768);
    // What is not said follows the number of connections.
    to.max_streams = std::min(to.max_streams, to.max_connections / 2);
    to.max_waiting_requests = std::min(to.max_waiting_requests, to.max_connections / 2);
    number("watches", to.max_streams, 0, 16384);
    number("watches_per_client", to.max_streams_per_client, 1, 16384);
    number("waiting_requests", to.max_waiting_requests, 1, 16384);
    rate("requests_per_second", to.requests_per_second, 10'000'000);
    rate("failed_logins_per_minute", to.failed_logins_per_minute, 1'000'000);
    number("body_bytes", to.max_body_bytes, 64 * 1024, 256 * 1024 * 1024);
    seconds("request_seconds", to.request_timeout, 600);
    seconds("idle_seconds", to.idle_timeout, 3600);
    seconds("write_seconds", to.write_timeout, 600);
    seconds("handshake_seconds", to.handshake_timeout, 60);
    const auto within_connections = [&](const char* key, std::size_t value) {
        if (value <= to.max_connections) return;
        limits.fault(key, "found " + std::to_string(value) + ", allowed at most connections, " +
                              std::to_string(to.max_connections) + ": each holds one");
    };
    within_connections("watches", to.max_streams);
    within_connections("waiting_requests", to.max_waiting_requests);
}

void read_metrics(config::Section& section, Settings& settings) {
    if (!section.has("metrics_listen")) {
        if (section.has("metrics_open")) {
            section.boolean_or("metrics_open", false);
            section.fault("metrics_open",
                          "found without metrics_listen, allowed only with it: /metrics of listen asks "
                          "for a token always");
        }
        return;
    }
    const std::string text = section.string_or("metrics_listen", "", config::nonempty_text());
    settings.metrics_listen = parse_listen(text);
    if (!text.empty() && !settings.metrics_listen) {
        section.fault("metrics_listen", "found " + in_quotes(text) + ", allowed " + kListenAllowed);
    }
    const bool loopback = settings.metrics_listen && settings.metrics_listen->is_loopback();
    settings.metrics_open = section.boolean_or("metrics_open", loopback);
    if (!settings.metrics_listen) return;
    if (!loopback && !settings.metrics_open && !settings.tls) {
        section.fault("metrics_listen", "found " + in_quotes(text) +
                                            ", allowed a loopback address, or with tls, or with metrics_open = true: "
                                            "others on the way would read the token");
    }
    if (std::find(settings.listen.begin(), settings.listen.end(), *settings.metrics_listen) != settings.listen.end()) {
        section.fault("metrics_listen", "found " + in_quotes(text) + ", allowed an address that listen has not");
    }
}

std::optional<IpAddress> read_source(config::Section& health, const char* key, IpFamily family) {
    if (!health.has(key)) return std::nullopt;
    const std::string text = health.required_string(key);
    const auto address = IpAddress::parse(text);
    if (address && address->family == family && !address->is_unspecified()) return address;
    health.fault(key, "found " + in_quotes(text) + ", allowed an " + std::string(to_string(family)) +
                          " address of this machine");
    return std::nullopt;
}

void read_health(config::Section& section, Settings& settings) {
    config::Section health = section.optional_group("health");
    health::ProberOptions& probing = settings.probing;
    probing.interval = std::chrono::milliseconds(health.integer_or("interval_ms", 2000, 100, 300000));
    probing.timeout = std::chrono::milliseconds(health.integer_or("timeout_ms", 1000, 50, 60000));
    if (probing.timeout >= probing.interval) {
        health.fault("timeout_ms", "found " + std::to_string(probing.timeout.count()) +
                                       ", allowed less than interval_ms, " + std::to_string(probing.interval.count()) +
                                       ": probes of a node must not overlap");
    }
    probing.thresholds.unhealthy_after = static_cast<unsigned>(health.integer_or("unhealthy_after", 2, 1, 100));
    probing.thresholds.healthy_after = static_cast<unsigned>(health.integer_or("healthy_after", 1, 1, 100));
    const std::string all = health.string_or("all_failing", "all", config::one_of({"all", "none"}));
    settings.all_failing = all == "all" ? reconcile::AllFailing::all : reconcile::AllFailing::none;
    probing.source_ipv4 = read_source(health, "source_ipv4", IpFamily::ipv4);
    probing.source_ipv6 = read_source(health, "source_ipv6", IpFamily::ipv6);
    if (health.has("mark")) probing.mark = static_cast<std::uint32_t>(health.integer_or("mark", 1, 1, INT32_MAX));
}

}  // namespace

bool ListenAddress::is_loopback() const {
    if (host == "localhost") return true;
    const auto parsed = IpAddress::parse(host);
    return parsed && parsed->is_loopback();
}

std::string ListenAddress::to_string() const {
    const bool v6 = host.find(':') != std::string::npos;
    return (v6 ? "[" + host + "]" : host) + ":" + std::to_string(port);
}

std::optional<ListenAddress> parse_listen(std::string_view text) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string_view::npos) return std::nullopt;
    std::string_view host = text.substr(0, colon);
    const std::string_view port = text.substr(colon + 1);
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) host = host.substr(1, host.size() - 2);
    ListenAddress address{std::string(host), 0};
    if (const auto parsed = IpAddress::parse(host)) {
        if (parsed->is_v4() == bracketed) return std::nullopt;
    } else if (bracketed || host != "localhost") {
        return std::nullopt;
    }
    const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
    if (error != std::errc() || end != port.data() + port.size() || address.port == 0) return std::nullopt;
    return address;
}

Settings read_settings(config::Document& document) {
    Settings settings;
    config::Section section = document.root().required_group("controlplane");
    document.root().ignore("dataplane");
    document.root().ignore("cloud_controller");
    settings.listen = read_listen(section);
    read_tls(section, settings);
    for (std::size_t i = 0; i < settings.listen.size(); ++i) {
        const ListenAddress& address = settings.listen[i];
        if (address.is_loopback() || settings.tls) continue;
        const std::string message =
            "found " + in_quotes(address.to_string()) +
            ", allowed a loopback address (127.0.0.1 or ::1), or with tls: others on the way would "
            "read the tokens";
        section.is_list("listen") ? section.fault("listen", i, message) : section.fault("listen", message);
    }
    read_metrics(section, settings);
    settings.store = section.required_string("store");
    settings.dataplane_socket = section.required_string("dataplane_socket");
    settings.admin_token_file =
        section.string_or("admin_token_file", beside(settings.store, "admin.token"), config::nonempty_text());
    settings.audit.file = section.string_or("audit_file", beside(settings.store, "audit.log"), config::nonempty_text());
    settings.audit.required = section.boolean_or("audit_required", false);
    settings.audit.max_bytes = static_cast<std::uint64_t>(section.integer_or("audit_megabytes", 64, 1, 65536)) << 20;
    settings.audit.keep = static_cast<unsigned>(section.integer_or("audit_keep", 8, 0, 1000));
    read_limits(section, settings);
    read_health(section, settings);
    settings.bgp = announce::read_bgp(section);
    config::Section log = section.optional_group("log");
    settings.log_level = log.string_or("level", "info", config::one_of({"debug", "info", "warning", "error"}));
    return settings;
}

std::shared_ptr<rest::TlsContext> load_tls(config::Document& document, const Settings& settings) {
    if (!settings.tls) return nullptr;
    auto loaded = rest::TlsContext::load(*settings.tls);
    if (const auto* fault = std::get_if<rest::TlsFault>(&loaded)) {
        document.root().optional_group("controlplane").optional_group("tls").fault(fault->field, fault->message);
        return nullptr;
    }
    return std::get<std::shared_ptr<rest::TlsContext>>(std::move(loaded));
}

}  // namespace guideway::controlplane
