#include "controlplane/bgp_commands.h"

#include <cstdio>
#include <iostream>
#include <thread>
#include <utility>
#include <variant>

#include "controlplane/announce/kernel_routes.h"
#include "controlplane/announce/maintenance.h"
#include "controlplane/announce/peers.h"
#include "controlplane/announce/render.h"
#include "controlplane/reconcile/dataplane_link.h"
#include "controlplane/timestamps.h"

namespace guideway::controlplane {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kDone = 0;
constexpr int kFailed = 1;
constexpr int kNoBgp = 2;

int failed(const std::string& why) {
    std::cerr << why << '\n';
    return kFailed;
}

int no_bgp() {
    std::cerr << "controlplane.bgp: not there, so nothing is announced by BGP (docs/bgp.md)\n";
    return kNoBgp;
}

/// Connections that somebody may still need; none: the dataplane does not say.
std::optional<std::uint64_t> connections(const reconcile::DataplaneLink& link) {
    const auto answer = link.ask(contract::CountersRequest{}, std::chrono::seconds(2));
    const auto* response = std::get_if<contract::Response>(&answer);
    if (response == nullptr || !response->counters) return std::nullopt;
    return announce::open_connections(*response->counters);
}

std::string count(std::uint64_t number) {
    return number == 1 ? "1 connection is" : std::to_string(number) + " connections are";
}

/// "since 2026-01-02T03:04:05Z (new NIC)"
std::string words_of(const announce::MaintenanceNote& note) {
    return "since " + timestamp_of(note.since) + (note.reason.empty() ? "" : " (" + note.reason + ")");
}

/// In force, and nothing is told any more. Empty: so it is.
std::string withdraw(const announce::BgpSettings& bgp) {
    announce::KernelRoutes routes(bgp.tables());
    // A control plane that was about to tell something has not seen the file: what it adds is taken away again.
    constexpr std::chrono::seconds kPatience{2};  // it looks for the file each second
    const auto begun = Clock::now();
    int empty = 0;
    do {
        if (std::string error = routes.apply({}); !error.empty()) return error;
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        const auto left = routes.present();
        if (const auto* error = std::get_if<std::string>(&left)) return *error;
        empty = std::get<0>(left).empty() ? empty + 1 : 0;
        if (empty == 2) return {};
    } while (Clock::now() - begun < kPatience);
    return "routes are told again and again; is the control plane that runs of the same configuration?";
}

int wait_for_connections(const Settings& settings, std::chrono::seconds wait) {
    const reconcile::DataplaneLink link({.socket = settings.dataplane_socket});
    const auto begun = Clock::now();
    std::uint64_t told = ~std::uint64_t{0};
    for (;;) {
        const auto open = connections(link);
        if (!open) return failed("the dataplane does not say how many connections there are");
        if (*open == 0) {
            std::cout << "all connections are done; the appliance can be taken away\n";
            return kDone;
        }
        if (Clock::now() - begun >= wait) {
            return failed(count(*open) + " not done after " + std::to_string(wait.count()) +
                          " s; everything stays withdrawn (guideway-controlplane --maintenance off ends that)");
        }
        if (*open != told) std::cout << count(*open) << " not done yet\n" << std::flush;
        told = *open;
        std::this_thread::sleep_for(std::chrono::milliseconds(500));
    }
}

}  // namespace

std::string bgp_fault(const announce::BgpSettings& bgp) {
    const auto rendered = announce::render(bgp);
    const auto* error = std::get_if<std::string>(&rendered);
    return error != nullptr ? "controlplane.bgp: " + *error : std::string();
}

int render_bgp(const Settings& settings) {
    if (!settings.bgp) return no_bgp();
    const auto rendered = announce::render(*settings.bgp);
    if (const auto* error = std::get_if<std::string>(&rendered)) return failed("controlplane.bgp: " + *error);
    std::cout << std::get<announce::Rendered>(rendered).text << std::flush;
    return std::cout ? kDone : kFailed;
}

int bgp_status(const Settings& settings) {
    if (!settings.bgp) return no_bgp();
    int status = kDone;
    if (const auto note = announce::MaintenanceFile::beside(settings.store).note()) {
        std::cout << "MAINTENANCE: everything is withdrawn, " << words_of(*note) << '\n';
    }
    const auto peers = announce::ask_peers(*settings.bgp);
    if (const auto* error = std::get_if<std::string>(&peers)) {
        status = failed(std::string(announce::to_string(settings.bgp->daemon)) + " cannot be asked: " + *error);
    } else {
        std::printf("%-16s %-28s %-10s %-22s %-14s %-7s %s\n", "PEER", "ADDRESS", "ASN", "STATE", "SINCE", "ROUTES",
                    "LAST ERROR");
        for (const announce::PeerState& one : std::get<0>(peers)) {
            if (!one.established) status = kFailed;
            std::printf("%-16s %-28s %-10u %-22s %-14s %-7llu %s\n", one.name.c_str(), one.address.to_string().c_str(),
                        one.asn, one.state.c_str(), one.since.c_str(), static_cast<unsigned long long>(one.routes),
                        one.last_error.c_str());
        }
        std::fflush(stdout);
    }
    announce::KernelRoutes routes(settings.bgp->tables());
    const auto told = routes.present();
    if (const auto* error = std::get_if<std::string>(&told)) return failed(*error);
    std::cout << "\nANNOUNCED: " << std::get<0>(told).size() << " routes\n";
    for (const announce::Route& one : std::get<0>(told)) {
        const auto& rules = settings.bgp->advertisements;
        std::cout << "  " << one.prefix.to_string() << "  "
                  << (one.advertisement < rules.size() ? rules[one.advertisement].name
                                                       : "(of an earlier configuration)")
                  << '\n';
    }
    return status;
}

int maintenance(const Settings& settings, const std::string& what, std::optional<std::chrono::seconds> wait) {
    if (!settings.bgp) return no_bgp();
    const announce::MaintenanceFile file = announce::MaintenanceFile::beside(settings.store);
    if (what == "off") {
        if (std::string error = file.end(); !error.empty()) return failed(error);
        std::cout << "maintenance is off; a control plane that runs announces within a second\n";
        return kDone;
    }
    if (what == "on") {
        if (std::string error = file.begin(); !error.empty()) return failed(error);
        if (std::string error = withdraw(*settings.bgp); !error.empty()) return failed(error);
        std::cout << "maintenance is on; everything is withdrawn, connections go on\n" << std::flush;
        return wait ? wait_for_connections(settings, *wait) : kDone;
    }
    const reconcile::DataplaneLink link({.socket = settings.dataplane_socket});
    const auto open = connections(link);
    const auto note = file.note();
    std::cout << "maintenance is " << (note ? "on, " + words_of(*note) : std::string("off")) << "; "
              << (open ? count(*open) + " open" : std::string("the dataplane does not answer")) << '\n';
    return kDone;
}

}  // namespace guideway::controlplane
