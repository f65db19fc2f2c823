// guideway-controlplane: store -> manager (restores addresses, starts the link) -> REST, until SIGTERM or SIGINT.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <sys/resource.h>
#include <utility>
#include <variant>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "api/config/reader.h"
#include "api/rest/server.h"
#include "controlplane/announce/kernel_routes.h"
#include "controlplane/announce/maintenance.h"
#include "controlplane/audit.h"
#include "controlplane/auth/doorkeeper.h"
#include "controlplane/auth/token_book.h"
#include "controlplane/bgp_commands.h"
#include "controlplane/log_value.h"
#include "controlplane/manager.h"
#include "controlplane/metrics.h"
#include "controlplane/settings.h"
#include "controlplane/store/sqlite_store.h"
#include "controlplane/store_commands.h"
#include "controlplane/token_store.h"

namespace {

using namespace guideway;
using namespace guideway::controlplane;

constexpr const char* kAbout =
    "The control plane of a Guideway load-balancer appliance.\n\n"
    "It keeps load balancers, address pools and nodes, gives addresses to load balancers, and tells the dataplane\n"
    "what to forward. It serves the REST API, /metrics for Prometheus, /healthz and /readyz. It may be stopped and\n"
    "started at any time: the dataplane goes on forwarding meanwhile.\n\n"
    "Every request carries a token. At its first start it makes one, \"admin\", and leaves it in admin.token beside "
    "the\n"
    "store, for root alone, where `guideway` finds it. SIGHUP opens the audit log anew.";
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

int cannot_start(const std::string& error) {
    spdlog::critical("cannot start error={}", log_value(error));
    return kCannotStart;
}

/// A connection is a file: as many as the bounds allow must fit.
void allow_files(std::size_t connections) {
    constexpr rlim_t kOthers = 256;
    const rlim_t wanted = connections + kOthers;
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
    limit.rlim_cur = std::min(wanted, limit.rlim_max);
    ::setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted) {
        spdlog::warn("too few files for limits.connections allowed={} wanted={}: raise LimitNOFILE", limit.rlim_cur,
                     wanted);
    }
}

void log_certificate(const rest::TlsStatus& status) {
    if (!status.error.empty()) {
        spdlog::error("certificate refused, the earlier one stays in force error={}", log_value(status.error));
        return;
    }
    const auto left = status.not_after - std::chrono::system_clock::now();
    const auto days = std::chrono::duration_cast<std::chrono::hours>(left).count() / 24;
    spdlog::log(left <= std::chrono::seconds(0) ? spdlog::level::err : spdlog::level::info,
                "certificate in force days_left={}", days);
}

/// A server of its own for those who watch over this one: few, and answered while the other one is flooded.
rest::ServerOptions watchers(const Settings& settings, const rest::ServerOptions& of_api) {
    constexpr std::size_t kConnections = 64;
    rest::ServerOptions options = of_api;
    options.serves = rest::Serves::health_and_metrics;
    options.metrics_open = settings.metrics_open;
    options.max_connections = kConnections;
    options.max_connections_per_peer = kConnections / 2;
    options.max_connections_per_loopback_peer = kConnections / 2;
    options.max_streams = 0;
    return options;
}

/// The group `bgp` may have been there before: what it announced must not stay for ever.
void forget_routes() {
    const auto removed = announce::KernelRoutes::remove_all();
    if (const auto* error = std::get_if<std::string>(&removed)) {
        spdlog::warn(
            "routes that controlplane.bgp announced before may still be told (ip route flush table N proto 73; ip -6 "
            "route flush table N proto 73) error={}",
            log_value(*error));
    } else if (std::get<0>(removed) != 0) {
        spdlog::info("withdrawn what controlplane.bgp announced before, as it is not there any more routes={}",
                     std::get<0>(removed));
    }
}

int serve(const Settings& settings, std::shared_ptr<rest::TlsContext> tls) {
    // Blocked before any thread exists, so that all inherit it and only sigwait() below sees them.
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    set_up_log(settings.log_level);
    allow_files(settings.server.max_connections);

    auto opened = store::SqliteStore::open(settings.store);
    if (const auto* error = std::get_if<store::Error>(&opened)) return cannot_start(error->message);
    auto store = std::move(std::get<std::unique_ptr<store::SqliteStore>>(opened));
    auto logged = AuditLog::open(settings.audit);
    if (const auto* error = std::get_if<std::string>(&logged)) return cannot_start(*error);
    AuditLog& audit = *std::get<std::unique_ptr<AuditLog>>(logged);
    {
        auth::TokenBook first;  // the manager reads them again, with all the rest
        const auto now = std::chrono::system_clock::now();
        const std::string error = open_tokens(*store, first, settings.admin_token_file, now);
        if (!error.empty()) return cannot_start(error);
    }
    Metrics metrics;
    metrics.audit_lost([&audit] { return audit.lost(); });
    metrics.refused_logins_to(
        [&audit](const std::string& peer, std::string_view reason) { audit.login_refused(peer, reason); });
    metrics.refused_changes_to([&audit](const rest::Caller& caller, std::string_view method, std::string_view target,
                                        const std::string& problem) {
        constexpr std::size_t kLongest = 1024;
        AuditEntry entry;
        entry.caller = caller;
        entry.verb = method;
        entry.kind = "request";
        entry.key = target.substr(0, std::min(kLongest, target.find('?')));
        entry.problem = problem;
        audit.record(std::move(entry));
    });
    ManagerOptions options;
    options.link.socket = settings.dataplane_socket;
    options.audit = &audit;
    options.probing = settings.probing;
    options.maintenance = announce::MaintenanceFile::beside(settings.store);
    options.bgp = settings.bgp;
    options.all_failing = settings.all_failing;
    if (settings.bgp) {
        options.announcer = [tables = settings.bgp->tables(),
                             file = announce::MaintenanceFile::beside(settings.store)] {
            return std::make_unique<announce::Held>(std::make_unique<announce::KernelRoutes>(tables), file);
        };
        options.announcing.look_again = std::chrono::seconds(1);  // maintenance may have ended
        options.announcing.advertisements = settings.bgp->advertisements;
        options.announcing.without_backends = settings.bgp->without_backends;
    } else {
        forget_routes();
    }
    auto managed = Manager::open(std::move(store), options, metrics);
    if (const auto* error = std::get_if<std::string>(&managed)) return cannot_start(*error);
    Manager& manager = *std::get<std::unique_ptr<Manager>>(managed);

    auth::Doorkeeper doorkeeper(manager.token_book(), settings.certificate_roles);
    std::optional<rest::TlsWatch> watch;
    if (tls != nullptr) {
        watch.emplace(tls, [&metrics](const rest::TlsStatus& status) {
            metrics.certificate(status);
            log_certificate(status);
        });
    }
    rest::ServerOptions api = settings.server;
    api.tls = std::move(tls);
    api.why_no_changes = [&audit] { return audit.refusal(); };
    rest::Server server(manager, api, &metrics, &doorkeeper);
    rest::Server watched(manager, watchers(settings, api), &metrics, &doorkeeper);
    std::string listening;
    for (const ListenAddress& address : settings.listen) {
        const rest::Started started = server.start(address.host, address.port);
        if (!started.ok()) return cannot_start(started.error);
        listening += (listening.empty() ? "" : ",") + address.to_string();
    }
    if (settings.metrics_listen) {
        const rest::Started started = watched.start(settings.metrics_listen->host, settings.metrics_listen->port);
        if (!started.ok()) return cannot_start(started.error);
    }
    spdlog::info("started version={} listen={} metrics_listen={} tls={} store={} audit_file={} dataplane_socket={}",
                 GUIDEWAY_VERSION, listening, settings.metrics_listen ? settings.metrics_listen->to_string() : "none",
                 settings.tls ? "yes" : "no", settings.store, settings.audit.file, settings.dataplane_socket);
    // When tokens were last used is written now and then: a request must not cost a write.
    constexpr timespec kBetweenTokenUses{300, 0};
    int signal = 0;
    while (signal != SIGTERM && signal != SIGINT) {
        signal = sigtimedwait(&signals, nullptr, &kBetweenTokenUses);
        if (signal == SIGHUP) audit.reopen();
        if (signal < 0) manager.save_token_uses();
    }
    manager.save_token_uses();
    spdlog::info("stopping signal={}", signal == SIGTERM ? "SIGTERM" : "SIGINT");
    manager.stop();  // first, so that requests that wait for the dataplane end
    server.stop();
    watched.stop();
    spdlog::info("stopped");
    return 0;
}

int new_admin_token(const Settings& settings) {
    auto opened = store::SqliteStore::open(settings.store);
    if (const auto* error = std::get_if<store::Error>(&opened)) {
        std::cerr << error->message << '\n';
        return kCannotStart;
    }
    store::Store& store = *std::get<std::unique_ptr<store::SqliteStore>>(opened);
    const std::string error = renew_admin_token(store, settings.admin_token_file, std::chrono::system_clock::now());
    if (!error.empty()) {
        std::cerr << error << '\n';
        return kCannotStart;
    }
    std::cout << "the new token \"admin\" is in " << settings.admin_token_file << "; earlier ones of it have ended\n";
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
    bool rendering = false;
    app.add_flag("--render-bgp", rendering,
                 "Print what BIRD or FRR needs to announce the addresses (docs/bgp.md), and exit; it has the peers' "
                 "passwords");
    bool telling = false;
    app.add_flag(
        "--bgp-status", telling,
        "Print what is announced, and how the sessions with the peers are, and exit; status 1 where one is down");
    std::string maintaining;
    auto* maintained =
        app.add_option("--maintenance", maintaining,
                       "\"on\": withdraw everything that is announced by BGP, and keep it so over restarts; \"off\": "
                       "announce again; \"status\". And exit")
            ->type_name("on|off|status")
            ->check(CLI::IsMember({"on", "off", "status"}));
    unsigned patience = 0;
    auto* waiting =
        app.add_option("--wait", patience,
                       "With --maintenance on: wait until all connections are done, at most SECONDS; status "
                       "1 where some are not")
            ->type_name("SECONDS")
            ->check(CLI::Range(1U, 604800U))
            ->needs(maintained);
    bool renew = false;
    app.add_flag("--new-admin-token", renew,
                 "Make a new token \"admin\" in place of a lost one, and exit; only while no control plane runs on the "
                 "store");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : kRefused;
    }
    if (waiting->count() > 0 && maintaining != "on") {
        std::cerr << "--wait: allowed with --maintenance on alone\n";
        return kRefused;
    }
    if ((rendering ? 1 : 0) + (telling ? 1 : 0) + (maintained->count() > 0 ? 1 : 0) > 1) {
        std::cerr << "--render-bgp, --bgp-status, --maintenance: allowed one of them\n";
        return kRefused;
    }

    config::Document document = config::Document::from_file(path);
    const Settings settings = read_settings(document);
    document.finish();
    std::shared_ptr<rest::TlsContext> tls = load_tls(document, settings);
    if (!document.ok()) {
        std::cerr << document.report();
        return kRefused;
    }
    if (check) {
        if (std::string fault = settings.bgp ? bgp_fault(*settings.bgp) : std::string(); !fault.empty()) {
            std::cerr << path << ": " << fault << '\n';
            return kRefused;
        }
        std::cout << path << ": the controlplane section is good\n";
        return 0;
    }
    if (rendering) return render_bgp(settings);
    if (telling) return bgp_status(settings);
    if (maintained->count() > 0) {
        const auto wait = waiting->count() > 0 ? std::optional(std::chrono::seconds(patience)) : std::nullopt;
        return maintenance(settings, maintaining, wait);
    }
    if (back_up_to->count() > 0) return back_up(settings.store, backup);
    if (restore_from->count() > 0) return restore(settings.store, restoring);
    if (renew) return new_admin_token(settings);
    return serve(settings, std::move(tls));
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
