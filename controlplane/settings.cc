#include "controlplane/settings.h"

#include <charconv>

#include "api/contract/ip_address.h"

namespace guideway::controlplane {
namespace {

constexpr const char* kDefaultListen = "127.0.0.1:8870";

bool is_loopback(const ListenAddress& address) {
    if (address.host == "localhost") return true;
    const auto parsed = IpAddress::parse(address.host);
    return parsed && parsed->is_loopback();
}

}  // namespace

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
    const std::string listen = section.string_or("listen", kDefaultListen, config::nonempty_text());
    if (const auto address = parse_listen(listen); !address) {
        section.fault("listen",
                      "found \"" + listen + "\", allowed an address and a port: \"127.0.0.1:8870\", \"[::1]:8870\"");
    } else if (!is_loopback(*address)) {
        section.fault("listen",
                      "found \"" + listen +
                          "\", allowed a loopback address (127.0.0.1 or ::1): requests are not encrypted, so nobody "
                          "from outside may send them; reach it through ssh or a TLS proxy on this machine");
    } else {
        settings.listen_host = address->host;
        settings.listen_port = address->port;
    }
    settings.store = section.required_string("store");
    settings.dataplane_socket = section.required_string("dataplane_socket");
    config::Section log = section.optional_group("log");
    settings.log_level = log.string_or("level", "info", config::one_of({"debug", "info", "warning", "error"}));
    return settings;
}

}  // namespace guideway::controlplane
