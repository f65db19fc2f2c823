// guideway-dataplane: start in order, wait for a signal, stop in the reverse order.
#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <net/if.h>
#include <random>
#include <string>
#include <string_view>
#include <unistd.h>
#include <utility>
#include <vector>

#include <CLI/CLI.hpp>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include "dataplane/config/dataplane_config.h"
#include "dataplane/control/control.h"
#include "dataplane/control/line_server.h"
#include "dataplane/net/announcer.h"
#include "dataplane/net/eal.h"
#include "dataplane/net/kernel_path.h"
#include "dataplane/net/netlink.h"
#include "dataplane/net/observation.h"
#include "dataplane/net/ports.h"
#include "dataplane/net/privileges.h"
#include "dataplane/net/sides.h"
#include "dataplane/net/state_routes.h"
#include "dataplane/worker/runtime.h"

namespace guideway {
namespace {

constexpr const char* kHelp =
    "guideway-dataplane: forwards packets from service addresses to nodes.\n"
    "\n"
    "Takes the NICs named in the configuration, gives the kernel a TAP twin (gw-<port>) of each, loads the last\n"
    "state from disk and forwards on it at once; the control plane sends newer ones over the control socket.\n"
    "\n"
    "  guideway-dataplane --config /etc/guideway/guideway.cfg --check-config    is the file right?\n"
    "  guideway-dataplane --config /etc/guideway/guideway.cfg                   run, as root\n"
    "  echo '{\"type\":\"status\"}' | socat - UNIX-CONNECT:/run/guideway/dataplane.sock   ask it\n"
    "\n"
    "SIGTERM or SIGINT stops it cleanly; the TAP twins stay, with their addresses.";

struct Arguments {
    std::string config = "/etc/guideway/guideway.cfg";
    bool check_config = false;
    bool ordinary_pages = false;
};

/// The same process anew: DPDK's environment cannot be initialised a second time. Returns only where that failed.
void start_again_without_huge_pages(const std::string& config) {
    spdlog::warn("the free huge pages could not be had (taken by another process meanwhile?): starting again without");
    std::string program = "guideway-dataplane";
    std::string option = "--config=" + config;
    std::string pages = "--ordinary-pages";
    char* const arguments[] = {program.data(), option.data(), pages.data(), nullptr};
    execv("/proc/self/exe", arguments);
}

void start_log(const std::string& level) {
    auto logger = spdlog::stderr_logger_mt("dataplane");
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v");
    logger->set_level(spdlog::level::from_str(level));
    logger->flush_on(spdlog::level::debug);
    spdlog::set_default_logger(std::move(logger));
}

/// Before any thread starts, so that all inherit it: signals come to wait_for_stop() alone.
sigset_t block_signals() {
    sigset_t signals;
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return signals;
}

/// Of ports that have none the first: no matter which.
snapshot::Side side_of(const config::PortConfig& port) {
    return port.side == config::Side::nodes ? snapshot::Side::nodes : snapshot::Side::clients;
}

worker::RuntimeSettings runtime_settings(const config::DataplaneConfig& config, const net::EalPlan& eal,
                                         const net::Ports& ports, const net::Steering& steering, rte_mempool* pool) {
    worker::RuntimeSettings settings;
    settings.ownership = steering.ownership;
    settings.worker.idle.mode =
        config.workers.idle == config::Idle::busy ? worker::IdleMode::busy : worker::IdleMode::adaptive;
    const auto& timeouts = config.timeouts;
    settings.worker.timeouts = {timeouts.tcp_opening,   timeouts.tcp_established, timeouts.tcp_closing,
                                timeouts.tcp_time_wait, timeouts.tcp_reset,       timeouts.udp_one_way,
                                timeouts.udp,           timeouts.sctp_opening,    timeouts.sctp_established,
                                timeouts.sctp_closing};
    settings.worker.capacity = {config.flows_ipv4,     config.flows_ipv6,     config.flows_half_open,
                                config.limit_services, config.limit_backends, config.affinity_clients};
    settings.worker.refusals_per_second = config.refusals_per_second;
    settings.worker.refusals_per_source = config.refusals_per_source;
    settings.worker.source_prefix_v4 = config.source_prefix_ipv4;
    settings.worker.source_prefix_v6 = config.source_prefix_ipv6;
    settings.worker.kernel_packets_per_second = config.kernel_packets_per_second;
    settings.worker.icmp_errors_per_second = config.icmp_errors_per_second;
    settings.worker.fragments = {config.fragments.datagrams, config.fragments.held_kilobytes,
                                 config.fragments.hold_milliseconds, config.fragments.remember_seconds * 1000};
    settings.worker.mss_clamp = {config.mss_clamp_auto, config.mss_clamp};
    settings.worker.echo = config.echo == config::EchoReplies::never           ? worker::Echo::never
                           : config.echo == config::EchoReplies::while_serving ? worker::Echo::while_serving
                                                                               : worker::Echo::always;
    settings.worker.sides_apart = config.sides_apart();
    settings.snat_addresses = config.snat_addresses;
    settings.lcores = eal.lcores;
    for (const auto& port : config.ports) settings.port_names.push_back(port.name);
    for (std::uint32_t worker = 0; worker < config.workers.count; ++worker)
        settings.ports.push_back(ports.for_worker(worker));
    for (auto& of_worker : settings.ports) {
        for (std::size_t port = 0; port < of_worker.size() && port < config.ports.size(); ++port) {
            of_worker[port].replies_to_last_hop = config.ports[port].replies == config::Replies::last_hop;
            const config::SourceCheck check = config.ports[port].source_check;
            of_worker[port].source_check = check == config::SourceCheck::strict  ? worker::SourceCheck::strict
                                           : check == config::SourceCheck::loose ? worker::SourceCheck::loose
                                                                                 : worker::SourceCheck::off;
            of_worker[port].side = side_of(config.ports[port]);
        }
    }
    settings.pool = pool;
    settings.flow_file = {config.flows_file, config.control_socket,
                          config.memory.huge_pages != config::HugePages::never};
    return settings;
}

/// The Linux interface of a port, or of the one that a VLAN lies on; 0: another kind of device.
unsigned interface_of(const config::DataplaneConfig& config, std::size_t port) {
    const config::PortConfig& own = config.ports[port];
    const config::PortConfig& device = own.kind == config::PortKind::vlan ? config.ports[own.lies_on] : own;
    return device.kind == config::PortKind::interface ? if_nametoindex(device.device.c_str()) : 0;
}

std::vector<std::pair<IpAddress, std::string>> own_addresses(const config::DataplaneConfig& config) {
    std::vector<std::pair<IpAddress, std::string>> list;
    for (const auto& address : config.snat_addresses) list.emplace_back(address, "a SNAT address");
    for (const auto& port : config.ports) {
        for (const auto& prefix : port.addresses)
            list.emplace_back(prefix.address, "an address of port '" + port.name + "'");
    }
    return list;
}

net::AnnounceSettings announce_settings(const config::DataplaneConfig& config) {
    net::AnnounceSettings settings;
    settings.repeats = config.announce_repeats;
    settings.per_second = config.announce_per_second;
    settings.yield.on = config.conflict_yield;
    settings.yield.quiet = std::chrono::seconds(config.conflict_quiet_seconds);
    settings.yield.never = config.snat_addresses;
    settings.yield.seed = std::random_device{}();
    return settings;
}

void wait_for_stop(const sigset_t& signals, const std::function<void()>& each_time) {
    const timespec period{10, 0};
    for (;;) {
        const int signal = sigtimedwait(&signals, nullptr, &period);
        if (signal > 0) {
            spdlog::info("{}: stopping", signal == SIGTERM ? "SIGTERM" : "SIGINT");
            return;
        }
        each_time();
    }
}

void log(const std::vector<persist::Line>& lines) {
    for (const auto& line : lines) spdlog::log(line.loud ? spdlog::level::warn : spdlog::level::info, "{}", line.text);
}

int fail(const std::string& message) {
    spdlog::error("{}", message);
    return 1;
}

int run(const config::DataplaneConfig& config, const std::string& config_file) {
    const auto started_at =
        std::chrono::duration_cast<std::chrono::seconds>(std::chrono::system_clock::now().time_since_epoch());
    const sigset_t signals = block_signals();
    spdlog::info("guideway-dataplane {}", GUIDEWAY_VERSION);
    if (const auto missing = net::missing_privileges()) return fail(*missing);

    // TAP twins first: they tell whether another dataplane runs here
    std::vector<net::KernelPathPort> twins(config.ports.size());
    for (std::size_t i = 0; i < twins.size(); ++i) {
        if (const auto refused = twins[i].tap.open(config.ports[i])) {
            return fail("port '" + config.ports[i].name + "': " + *refused);
        }
    }

    for (const auto& name : net::remove_stray_twins(config.ports)) {
        spdlog::info("TAP device '{}' of an earlier configuration: removed", name);
    }
    if (const auto refused = net::keep_sides_apart(config)) return fail(*refused);
    if (config.sides_apart()) {
        spdlog::info("clients' and nodes' side are kept apart: routes in the kernel's tables {} and {}",
                     config.clients_table, config.nodes_table);
    }

    // DPDK
    const net::EalPlan eal = net::plan_eal(config, net::read_machine());
    if (eal.error) return fail(*eal.error);
    for (const auto& warning : eal.warnings) spdlog::warn("{}", warning);
    if (const auto refused = net::start_eal(eal)) {
        if (eal.huge_pages && config.memory.huge_pages == config::HugePages::automatic)
            start_again_without_huge_pages(config_file);
        return fail(*refused);
    }
    struct EalEnd {
        ~EalEnd() { net::stop_eal(); }
    } const eal_end;

    // Ports
    std::string error;
    rte_mempool* pool = net::create_pool(config, error);
    if (pool == nullptr) return fail(error);
    net::Ports ports;
    if (const auto refused = ports.open(config, pool)) return fail(*refused);
    const worker::WorkerSettings defaults;
    const net::Steering steering =
        net::decide_steering(ports.rss(), config.workers.count, defaults.snat_port_first, defaults.snat_port_last);
    spdlog::info("steering of packets to the worker of their connection: {}", steering.summary);

    // Workers: tables and rings; they run later
    const auto runtime = worker::Runtime::create(runtime_settings(config, eal, ports, steering, pool), error);
    if (!runtime) return fail(error);
    log(runtime->flow_file_lines());

    // Kernel path
    std::vector<net::TwinIdentity> identities(config.ports.size());
    for (std::size_t i = 0; i < twins.size(); ++i) {
        const net::Port& port = ports.all()[i];
        if (const auto refused = twins[i].tap.configure(config.ports[i], port.mac)) {
            return fail("port '" + port.name + "': " + *refused);
        }
        twins[i].mtu = port.mtu;
        identities[i] = {twins[i].tap.ifindex(),  port.mac, port.mtu, interface_of(config, i), config.ports[i].table,
                         side_of(config.ports[i])};
    }
    std::vector<rte_ring*> to_kernel;
    std::vector<worker::ResolveQueue*> wishes;
    std::vector<worker::RouterQueue*> routers;
    std::vector<worker::ClaimQueue*> claims;
    for (std::uint32_t worker = 0; worker < runtime->worker_count(); ++worker) {
        to_kernel.push_back(runtime->to_kernel(worker));
        wishes.push_back(&runtime->resolve_queue(worker));
        routers.push_back(&runtime->router_queue(worker));
        claims.push_back(&runtime->claim_queue(worker));
    }
    net::KernelPath kernel_path(std::move(twins), std::move(to_kernel), runtime->from_kernel(), pool);
    if (const auto refused = kernel_path.start()) return fail(*refused);

    std::vector<std::string> port_names;
    for (const auto& port : config.ports) port_names.push_back(port.name);
    net::Announcer announcer(
        announce_settings(config), std::move(port_names), runtime->publisher(), kernel_path, std::move(claims),
        [&ports](std::size_t port) { return ports.moves(port); },
        [&ports](std::size_t port) { return ports.carries(port); });

    // Routes and neighbours
    net::StateRoutes routes(identities, runtime->publisher());
    net::Netlink netlink(std::move(identities), runtime->publisher(), std::move(wishes), std::move(routers));
    if (const auto refused = netlink.start()) return fail(*refused);
    if (const auto refused = routes.start()) return fail(*refused);

    // The last state
    control::ControlSettings settings;
    settings.state_file = config.state_file;
    settings.own_addresses = own_addresses(config);
    settings.workers = config.workers.count;
    settings.idle = config.workers.idle == config::Idle::busy ? "busy" : "adaptive";
    settings.snat_addresses = config.snat_addresses;
    settings.version = GUIDEWAY_VERSION;
    settings.started_at_unix_seconds = static_cast<std::uint64_t>(started_at.count());
    control::Engine engine;
    std::vector<contract::Route> routes_in_force;
    engine.apply = [&](const contract::ForwardingState& state) {
        routes.put(state.routes);
        auto faults = runtime->apply(state);
        if (faults.empty()) {
            routes_in_force = state.routes;
            for (const std::string& port : runtime->publisher().current_forwarding()->unknown_ports) {
                spdlog::warn(
                    "state {}: an address pool is bound to port '{}', which is not here: nobody is served by it",
                    state.generation, port);
            }
        }
        routes.settle(routes_in_force);
        return faults;
    };
    engine.counters = [&] {
        contract::Counters counters = net::all_counters(runtime->counters(), ports, kernel_path, steering,
                                                        [&](std::size_t port) { return runtime->vlan_traffic(port); });
        counters.routes = routes.status();
        counters.announcements = announcer.status();
        return counters;
    };
    engine.explain = [&](const contract::ExplainRequest& question) { return runtime->explain(question); };
    contract::FlowFileStatus flow_file;  // as found at the start: who asks for the status has nothing summed up
    engine.flow_file = [&] { return flow_file; };
    engine.conflicts = [&] { return announcer.status().conflicts; };
    engine.ports = [&] {
        std::vector<contract::PortStatus> list;
        for (const auto& port : ports.counters()) list.push_back({port.name, port.driver, port.link_up});
        return list;
    };
    engine.begin_tap = [&](const contract::TapRequest& wish, std::uint64_t client) {
        return runtime->taps().begin(wish, client);
    };
    engine.read_tap = [&](std::uint64_t client) { return runtime->taps().read(client); };
    engine.end_tap = [&](std::uint64_t client) { runtime->taps().end(client); };
    control::Control control(std::move(settings), std::move(engine));
    control.load();
    routes.settle(routes_in_force);  // also where no state was found: an earlier process may have left some

    // The last connections: judged by that state, before packets flow
    log(runtime->take_over().lines);
    flow_file = runtime->counters().flow_file;

    // Packets
    if (!runtime->start(error)) return fail(error);
    announcer.start();

    // Control socket
    std::error_code ignored;  // what matters shows when the socket is bound
    std::filesystem::create_directories(std::filesystem::path(config.control_socket).parent_path(), ignored);
    control::LineServer server(
        [&](std::string_view line, std::uint64_t client) { return control.handle(line, client); },
        [&](std::uint64_t client) { control.gone(client); }, control::Control::too_long());
    if (const auto refused = server.start(config.control_socket)) return fail(*refused);
    spdlog::info("forwarding with {} worker(s); control socket {}", config.workers.count, config.control_socket);

    net::OffloadWatch offloads(ports);
    net::SteeringWatch hashes;
    wait_for_stop(signals, [&] {
        routes.look();
        const contract::Counters counters = runtime->counters();
        offloads.look(counters);
        hashes.look(counters, ports, runtime->rss_disagreeing_port());
    });
    server.stop();
    announcer.stop();
    runtime->stop();
    netlink.stop();
    kernel_path.stop();
    return 0;
}

}  // namespace
}  // namespace guideway

int main(int argc, char** argv) {
    using namespace guideway;
    Arguments arguments;
    CLI::App app{kHelp};
    app.add_option("-c,--config", arguments.config, "Configuration file")->capture_default_str();
    app.add_flag("--check-config", arguments.check_config, "Check the configuration and exit: 0 right, 2 wrong");
    app.add_flag("--ordinary-pages", arguments.ordinary_pages, "Take no huge pages, whatever memory.huge_pages says");
    app.set_version_flag("--version", "guideway-dataplane " GUIDEWAY_VERSION);
    CLI11_PARSE(app, argc, argv);

    auto loaded = config::load_dataplane_config(arguments.config);
    if (!loaded.config) {
        std::fputs(loaded.report.c_str(), stderr);
        return 2;
    }
    if (arguments.check_config) {
        std::printf("%s: right: %zu ports, %u workers, %zu SNAT addresses\n", arguments.config.c_str(),
                    loaded.config->ports.size(), loaded.config->workers.count, loaded.config->snat_addresses.size());
        return 0;
    }
    if (arguments.ordinary_pages) loaded.config->memory.huge_pages = config::HugePages::never;
    start_log(loaded.config->log_level);
    try {
        return run(*loaded.config, arguments.config);
    } catch (const std::exception& error) {
        spdlog::critical("{}", error.what());
        return 1;
    }
}
