// guideway-controlplane: store -> manager (restores addresses, starts the link) -> REST, until SIGTERM or SIGINT.
#include <csignal>
#include <iostream>
#include <memory>
#include <string>
#include <utility>
#include <variant>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "api/config/reader.h"
#include "api/rest/server.h"
#include "controlplane/log_value.h"
#include "controlplane/manager.h"
#include "controlplane/metrics.h"
#include "controlplane/settings.h"
#include "controlplane/store/sqlite_store.h"
#include "controlplane/store_commands.h"

namespace {

using namespace guideway;
using namespace guideway::controlplane;

constexpr const char* kAbout =
    "The control plane of a Guideway load-balancer appliance.\n\n"
    "It keeps load balancers, address pools and nodes, gives addresses to load balancers, and tells the dataplane\n"
    "what to forward. It serves the REST API, /metrics for Prometheus, /healthz and /readyz. It may be stopped and\n"
    "started at any time: the dataplane goes on forwarding meanwhile.";
constexpr const char* kFooter =
    "Example of its section in the configuration:\n"
    "  controlplane: {\n"
    "      listen = \"127.0.0.1:8870\";\n"
    "      store = \"/var/lib/guideway/guideway.db\";\n"
    "      dataplane_socket = \"/run/guideway/dataplane.sock\";\n"
    "      log: { level = \"info\"; };\n"
    "  };\n\n"
    "Exit status: 0 stopped cleanly, the configuration is good, or the store is backed up or restored; 1 could not;\n"
    "2 the configuration or the command line is refused.\n"
    "See also: guideway status, guideway --help.";

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

int serve(const Settings& settings) {
    // Blocked before any thread exists, so that all inherit it and only sigwait() below sees them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    set_up_log(settings.log_level);

    auto opened = store::SqliteStore::open(settings.store);
    if (const auto* error = std::get_if<store::Error>(&opened)) {
        spdlog::critical("cannot start error={}", log_value(error->message));
        return kCannotStart;
    }
    Metrics metrics;
    ManagerOptions options;
    options.link.socket = settings.dataplane_socket;
    auto managed = Manager::open(std::move(std::get<std::unique_ptr<store::SqliteStore>>(opened)), options, metrics);
    if (const auto* error = std::get_if<std::string>(&managed)) {
        spdlog::critical("cannot start error={}", log_value(*error));
        return kCannotStart;
    }
    Manager& manager = *std::get<std::unique_ptr<Manager>>(managed);
    rest::Server server(manager, {}, &metrics);
    const rest::Started started = server.start(settings.listen_host, settings.listen_port);
    if (!started.ok()) {
        spdlog::critical("cannot start error={}", log_value(started.error));
        return kCannotStart;
    }
    spdlog::info("started version={} listen={}:{} store={} dataplane_socket={}", GUIDEWAY_VERSION, settings.listen_host,
                 started.port, settings.store, settings.dataplane_socket);
    int signal = 0;
    sigwait(&signals, &signal);
    spdlog::info("stopping signal={}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    manager.stop();  // first, so that requests that wait for the dataplane end
    server.stop();
    spdlog::info("stopped");
    return 0;
}

int run(int argc, char** argv) {
    CLI::App app{kAbout, "guideway-controlplane"};
    app.footer(kFooter);
    app.set_version_flag("--version", std::string("guideway-controlplane ") + GUIDEWAY_VERSION,
                         "Print the version and exit");
    std::string path = "/etc/guideway/guideway.cfg";
    bool check = false;
    app.add_option("--config", path, "The appliance's configuration file")->capture_default_str();
    app.add_flag("--check-config", check, "Read the configuration, report every mistake, and exit");
    std::string backup;
    std::string restoring;
    auto* back_up_to =
        app.add_option("--backup", backup,
                       "Write what the store holds to FILE (-: standard output), and exit; only while no "
                       "control plane runs on the store")
            ->type_name("FILE");
    auto* restore_from =
        app.add_option(
               "--restore", restoring,
               "Put the backup FILE (-: standard input) in the store's place, and exit; likewise. The store before "
               "is kept as NAME.before-restore")
            ->type_name("FILE")
            ->excludes(back_up_to);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kRefused;
    }

    config::Document document = config::Document::from_file(path);
    const Settings settings = read_settings(document);
    document.finish();
    if (!document.ok()) {
        std::cerr << document.report();
        return kRefused;
    }
    if (check) {
        std::cout << path << ": the controlplane section is good\n";
        return 0;
    }
    if (back_up_to->count() > 0) return back_up(settings.store, backup);
    if (restore_from->count() > 0) return restore(settings.store, restoring);
    return serve(settings);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        return run(argc, argv);
    } catch (const std::exception& error) {
        std::cerr << "guideway-controlplane: " << error.what() << '\n';
        return kCannotStart;
    }
}
