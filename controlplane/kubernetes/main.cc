// guideway-cloud-controller: Services and Nodes of a Kubernetes cluster -> the appliance's REST API, until SIGTERM or SIGINT.
#include <csignal>
#include <fstream>
#include <iostream>
#include <memory>
#include <string>
#include <thread>

#include <CLI/CLI.hpp>
#include <httplib.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "controlplane/kubernetes/client/in_cluster.h"
#include "controlplane/kubernetes/client/kubeconfig.h"
#include "controlplane/kubernetes/cloud_controller.h"
#include "controlplane/kubernetes/settings.h"

namespace {

using namespace guideway;
using namespace guideway::kubernetes;

constexpr const char* kAbout =
    "Gives Services of type LoadBalancer in a Kubernetes cluster their external addresses, by a Guideway appliance.\n\n"
    "It watches Services, Nodes, EndpointSlices and Namespaces, and keeps the appliance's load balancers and nodes as\n"
    "they say. It may be stopped and started at any time: the appliance goes on forwarding meanwhile.";
constexpr const char* kFooter =
    "Example, beside the appliance:\n"
    "  guideway token create prod --role controller --cluster prod --out /etc/guideway/prod.token\n"
    "  guideway-cloud-controller --kubeconfig /etc/guideway/prod.kubeconfig --cluster prod \\\n"
    "      --appliance http://127.0.0.1:8870 --appliance-token-file /etc/guideway/prod.token\n\n"
    "Every option may stand in the configuration too, section cloud_controller; options of the command line win.\n"
    "Exit status: 0 stopped cleanly, or the configuration is good; 1 could not start; 2 refused.\n"
    "See also: guideway get load-balancers, kubectl describe service NAME.";

constexpr int kCannotStart = 1;
constexpr int kRefused = 2;

void set_up_log(const std::string& level) {
    auto logger = spdlog::stderr_logger_mt("guideway");
    logger->set_pattern("time=%Y-%m-%dT%H:%M:%S.%e%z level=%l %v");
    logger->set_level(level == "debug"     ? spdlog::level::debug
                      : level == "warning" ? spdlog::level::warn
                      : level == "error"   ? spdlog::level::err
                                           : spdlog::level::info);
    logger->flush_on(spdlog::level::debug);
    spdlog::set_default_logger(std::move(logger));
}

/// "127.0.0.1:8872", "[::1]:8872", "0.0.0.0:8872"; nothing for other texts.
bool split_listen(const std::string& text, std::string& host, int& port) {
    const std::size_t colon = text.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == text.size()) return false;
    host = text.substr(0, colon);
    if (host.size() > 2 && host.front() == '[' && host.back() == ']') host = host.substr(1, host.size() - 2);
    if (!IpAddress::parse(host) || text.size() - colon > 6) return false;
    port = 0;
    for (const char c : text.substr(colon + 1)) {
        if (c < '0' || c > '9') return false;
        port = port * 10 + (c - '0');
    }
    return port > 0 && port < 65536;
}

int serve(const Settings& settings, Access access) {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    set_up_log(settings.log_level);
    spdlog::info("starting version={} cluster={} class=\"{}\" kubernetes={} as=\"{}\" appliance={} pods={}",
                 GUIDEWAY_VERSION, settings.cluster, settings.load_balancer_class, access.server, access.origin,
                 settings.appliance, settings.pods);
    CloudController controller(settings, std::move(access));
    httplib::Server server;
    std::thread serving;
    if (!settings.metrics_listen.empty()) {
        std::string host;
        int port = 0;
        split_listen(settings.metrics_listen, host, port);
        server.new_task_queue = [] { return new httplib::ThreadPool(2); };
        server.Get("/healthz",
                   [](const httplib::Request&, httplib::Response& to) { to.set_content("ok\n", "text/plain"); });
        server.Get("/readyz", [&controller](const httplib::Request&, httplib::Response& to) {
            const std::string reason = controller.not_ready_reason();
            to.status = reason.empty() ? 200 : 503;
            to.set_content(reason.empty() ? "ok\n" : reason + "\n", "text/plain");
        });
        server.Get("/metrics", [&controller](const httplib::Request&, httplib::Response& to) {
            to.set_content(controller.metrics(), "text/plain; version=0.0.4");
        });
        if (!server.bind_to_port(host.c_str(), port)) {
            spdlog::critical("cannot start error=\"cannot listen on {}\"", settings.metrics_listen);
            return kCannotStart;
        }
        serving = std::thread([&server] { server.listen_after_bind(); });
    }
    controller.start();
    int signal = 0;
    sigwait(&signals, &signal);
    spdlog::info("stopping signal={}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    controller.stop();
    if (serving.joinable()) {
        server.stop();
        serving.join();
    }
    spdlog::info("stopped");
    return 0;
}

int run(int argc, char** argv) {
    CLI::App app{kAbout, "guideway-cloud-controller"};
    app.footer(kFooter);
    app.set_version_flag("--version", std::string("guideway-cloud-controller ") + GUIDEWAY_VERSION,
                         "Print the version and exit");
    std::string path;
    bool check_only = false;
    app.add_option("--config", path, "The appliance's configuration file (default: none, options alone)");
    app.add_flag("--check-config", check_only, "Read the configuration and options, report every mistake, and exit");
    // Parsed twice: once for --config, then over what the file says.
    Settings given;
    const auto add = [&app](const char* name, auto& value, const char* help) {
        return app.add_option(name, value, help);
    };
    add("--kubeconfig", given.kubeconfig, "How to reach the API server (default: the pod's service account)");
    add("--context", given.context, "Which context of it (default: its current one)");
    add("--cluster", given.cluster, "The cluster's name on the appliance (default: default)");
    add("--load-balancer-class", given.load_balancer_class,
        "Serve Services of this class (default: those without one)");
    app.add_flag("--also-without-class", given.also_without_class, "With a class: also Services without one");
    add("--appliance", given.appliance, "Its REST API (default: http://127.0.0.1:8870)");
    add("--appliance-token-file", given.appliance_token_file, "A token of the role controller for the cluster");
    add("--appliance-ca-file", given.appliance_ca_file, "Who may have signed its certificate, PEM");
    add("--pods", given.pods, "How the appliance reaches pods itself: unreachable, routed or via_nodes")
        ->check(CLI::IsMember({"unreachable", "routed", "via_nodes"}));
    app.add_flag("--source-ranges-end-established", given.ranges_end_established,
                 "Narrowed source ranges end connections too");
    add("--workers", given.workers, "Services looked at at once (default: 4)")->check(CLI::Range(1, 64));
    add("--requests-per-second", given.requests_per_second, "To the API server; 0: no bound (default: 100)");
    app.add_flag("--leader-election,--leader-elect", given.leader_election, "Several may run, one acts (by a Lease)");
    add("--lease-namespace", given.lease_namespace, "Of the Lease (default: guideway-system)");
    add("--lease-name", given.lease_name, "Of the Lease (default: guideway-cloud-controller)");
    add("--lease-seconds", given.lease_seconds, "How long a silent leader is waited for (default: 15)");
    add("--renew-seconds", given.renew_seconds, "A leader that cannot renew for so long gives up (default: 10)");
    add("--retry-seconds", given.retry_seconds, "Between renewals (default: 2)");
    app.add_flag("--drain-unschedulable", given.drain_unschedulable, "Cordoned nodes get no new connections");
    add("--drain-timeout-seconds", given.drain_timeout_seconds, "Then a draining node's connections end; 0: never");
    add("--node-health-port", given.node_health_port, "kube-proxy's healthz; 0: nodes are not probed (default: 10256)")
        ->check(CLI::Range(0, 65535));
    add("--metrics-listen", given.metrics_listen, "Where /metrics, /healthz and /readyz are served (default: nowhere)");
    add("--full-sync-seconds", given.full_sync_seconds,
        "Everything is looked at and sent again so often (default: 600)")
        ->check(CLI::Range(10, 86400));
    add("--log-level", given.log_level, "debug, info, warning or error")
        ->check(CLI::IsMember({"debug", "info", "warning", "error"}));
    try {
        app.parse(argc, argv);
        if (!path.empty()) {
            config::Document document = config::Document::from_file(path);
            given = read_settings(document);
            document.finish();
            if (!document.ok()) {
                std::cerr << document.report();
                return kRefused;
            }
            app.clear();
            app.parse(argc, argv);
        }
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kRefused;
    }
    std::string wrong = check(given);
    std::string host;
    int port = 0;
    if (wrong.empty() && !given.metrics_listen.empty() && !split_listen(given.metrics_listen, host, port)) {
        wrong =
            "metrics_listen: found \"" + given.metrics_listen + "\", allowed an address and a port: \"127.0.0.1:8872\"";
    }
    if (!wrong.empty()) {
        std::cerr << "guideway-cloud-controller: " << wrong << '\n';
        return kRefused;
    }
    const auto access =
        given.kubeconfig.empty() ? in_cluster_access() : read_kubeconfig(given.kubeconfig, {given.context});
    if (!access.ok()) {
        for (const auto& fault : access.faults)
            std::cerr << fault.field << (fault.field.empty() ? "" : ": ") << fault.message << '\n';
        return kRefused;
    }
    if (check_only) {
        std::cout << "the configuration is good\n";
        return 0;
    }
    return serve(given, *access.value);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "guideway-cloud-controller: " << error.what() << '\n';
        return kCannotStart;
    }
}
