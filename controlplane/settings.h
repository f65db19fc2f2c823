// Settings: the `controlplane` section of guideway.cfg as typed values.
//
// One file configures all programs of an appliance: the `dataplane` section belongs to another program and is not looked into.
// Files that the settings name are looked at by load_tls(), so that --check-config finds a certificate that cannot be used.
//
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/config/reader.h"
#include "api/rest/server.h"
#include "controlplane/announce/bgp_settings.h"
#include "controlplane/audit.h"
#include "controlplane/auth/doorkeeper.h"
#include "controlplane/health/prober.h"
#include "controlplane/reconcile/health_verdicts.h"

namespace guideway::controlplane {

struct ListenAddress {
    std::string host;
    std::uint16_t port = 0;

    bool is_loopback() const;
    /// "127.0.0.1:8870", "[::1]:8870"
    std::string to_string() const;
    friend bool operator==(const ListenAddress&, const ListenAddress&) = default;
};

struct Settings {
    std::vector<ListenAddress> listen{{"127.0.0.1", 8870}};
    std::optional<ListenAddress> metrics_listen;  ///< /metrics, /healthz and /readyz only
    bool metrics_open = false;                    ///< /metrics there without a token
    std::string store;                            ///< path of the SQLite file
    std::string dataplane_socket;                 ///< path
    std::string admin_token_file;                 ///< made at the first start
    std::optional<rest::TlsFiles> tls;
    std::vector<auth::CertificateRule> certificate_roles;
    AuditOptions audit;
    /// The bounds. `tls` in it, `serves` and `metrics_open` are left to whoever makes the server.
    rest::ServerOptions server;
    health::ProberOptions probing;
    reconcile::AllFailing all_failing = reconcile::AllFailing::all;
    std::optional<announce::BgpSettings> bgp;  ///< none: nothing is announced by BGP
    std::string log_level = "info";
};

/// "127.0.0.1:8870", "[::1]:8870", "localhost:8870".
std::optional<ListenAddress> parse_listen(std::string_view text);

/// Reads the section; faults are recorded in the document. Files are not looked at.
Settings read_settings(config::Document& document);

/// Reads the TLS files, after document.finish(); their faults are recorded at their keys. Null: no TLS is configured, or it has
/// faults.
std::shared_ptr<rest::TlsContext> load_tls(config::Document& document, const Settings& settings);

}  // namespace guideway::controlplane
