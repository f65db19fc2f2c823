// CliOptions: what was typed. Thread contract: a plain value.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace guideway::cli {

struct CliOptions {
    // Where, and as whom.
    std::string server = "http://127.0.0.1:8870";
    std::string token, token_file, token_origin;
    std::string ca_file, client_certificate, client_key, server_name;
    double timeout = 0;    ///< seconds, of each call; 0: none
    double retry_for = 0;  ///< seconds

    std::string output = "table";
    std::string cluster, ns, labels;
    bool everywhere = false, watch = false;

    std::string kind, name, file, wait, shell = "bash";
    bool dry_run = false, yes = false, force = false;
    // explain
    std::string what = "connection", protocol = "tcp", source, destination;
    // top
    double interval = 2;
    bool once = false;
    // drops
    bool by_worker = false;
    std::string socket;  ///< the dataplane's; empty: the control plane is asked
    // trace, capture
    std::string tap_protocol, device;
    bool drops_only = false;
    std::uint32_t count = 1000, seconds = 60, rate = 1000, snap = 0;  ///< 0: the command's own
    // events
    std::string regarding;
    bool warnings = false;
    // token
    std::string role = "viewer", expires, secret_file;
    // import
    std::vector<std::string> files;
    std::string out_file, kubeconfig, context;
    bool from_cluster = false, strict = false, apply = false;
    std::string drain_timeout;  ///< of drain; empty: as it is
    // maintenance
    std::string maintain;
    std::string reason;     ///< why; of trace and capture: the name of a drop
    unsigned patience = 0;  ///< seconds; 0: does not wait
};

}  // namespace guideway::cli
