// Settings: the `cloud_controller` section of guideway.cfg as typed values; command-line options go over them (main.cc).
// Thread contract: plain values.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "api/config/reader.h"
#include "controlplane/kubernetes/selection.h"
#include "controlplane/kubernetes/translate.h"

namespace guideway::kubernetes {

struct Settings {
    std::string kubeconfig;  ///< empty: the pod's service account
    std::string context;     ///< empty: the file's current one
    std::string cluster = resources::kDefaultCluster;
    std::string load_balancer_class;
    bool also_without_class = false;

    std::string appliance = "http://127.0.0.1:8870";
    std::string appliance_token_file;
    std::string appliance_ca_file;

    std::string pods = "unreachable";
    bool ranges_end_established = false;
    unsigned workers = 4;
    double requests_per_second = 100;

    bool leader_election = false;
    std::string lease_namespace = "guideway-system", lease_name = "guideway-cloud-controller";
    unsigned lease_seconds = 15, renew_seconds = 10, retry_seconds = 2;

    bool drain_unschedulable = false;
    unsigned drain_timeout_seconds = 0;
    unsigned node_health_port = 10256;

    std::string metrics_listen;  ///< "127.0.0.1:8872"; empty: none
    unsigned full_sync_seconds = 600;
    std::string log_level = "info";
};

/// Reads the section where it is there; faults are recorded in the document.
Settings read_settings(config::Document& document);
/// What is wrong with the whole, options of the command line included; empty: nothing.
std::string check(const Settings& settings);
/// "unreachable", "routed", "via_nodes"
Pods pods_of(const std::string& text);

}  // namespace guideway::kubernetes
