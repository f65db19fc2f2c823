// Settings: the `controlplane` section of guideway.cfg as typed values.
//
// One file configures all programs of an appliance: the `dataplane` section belongs to another program and is not looked into.
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "api/config/reader.h"

namespace guideway::controlplane {

struct Settings {
    std::string listen_host = "127.0.0.1";
    std::uint16_t listen_port = 8870;
    std::string store;             ///< path of the SQLite file
    std::string dataplane_socket;  ///< path
    std::string log_level = "info";
};

struct ListenAddress {
    std::string host;
    std::uint16_t port = 0;
};

/// "127.0.0.1:8870", "[::1]:8870", "localhost:8870".
std::optional<ListenAddress> parse_listen(std::string_view text);

/// Reads the section; faults are recorded in the document.
Settings read_settings(config::Document& document);

}  // namespace guideway::controlplane
