// bgp, maintenance.
#include <algorithm>
#include <chrono>
#include <optional>
#include <ostream>
#include <thread>
#include <utility>

#include "api/cli/commands.h"
#include "api/cli/table.h"
#include "api/cli/text.h"
#include "api/resources/bgp_status_codec.h"
#include "api/resources/maintenance_codec.h"

namespace guideway::cli {

namespace {

using Clock = std::chrono::steady_clock;
using resources::BgpStatus;
using resources::Maintenance;

/// What is told away is gone within milliseconds; a kernel that is busy gets a moment.
constexpr std::chrono::seconds kWithdrawal{10};
constexpr std::chrono::milliseconds kBetweenLooks{500};

bool is_well(const BgpStatus& status) {
    return status.daemon_answers && status.announce_error.empty() &&
           std::all_of(status.peers.begin(), status.peers.end(), [](const auto& peer) { return peer.established; });
}

void show_bgp(std::ostream& out, const BgpStatus& status) {
    std::string speaker = status.daemon + ", AS " + std::to_string(status.asn);
    if (!status.router_id.empty()) speaker += ", router id " + status.router_id;
    line(out, "Daemon",
         speaker + (status.daemon_answers ? "" : ", DOES NOT ANSWER: " + printable(status.daemon_error)));
    if (status.age_seconds) line(out, "Asked", duration_text(*status.age_seconds) + " ago");
    line(out, "Maintenance", status.maintenance ? "ON: everything is withdrawn" : "off");
    if (!status.announce_error.empty()) line(out, "Announcing", "FAILS: " + printable(status.announce_error));
    out << '\n';
    Table peers({"PEER", "ADDRESS", "ASN", "STATE", "SINCE", "ROUTES", "LAST ERROR"});
    for (const resources::BgpPeerStatus& one : status.peers) {
        peers.add({one.name, one.address.to_string(), std::to_string(one.asn), one.state, one.since,
                   std::to_string(one.routes), one.last_error});
    }
    peers.print(out);
    out << '\n';
    if (status.routes.empty()) {
        out << "No route is told.\n";
        return;
    }
    Table routes({"ROUTE", "ADVERTISEMENT"});
    for (const resources::ToldRoute& one : status.routes) {
        routes.add(
            {one.prefix.to_string(), one.advertisement.empty() ? "(of an earlier configuration)" : one.advertisement});
    }
    routes.print(out);
}

std::string connections_text(std::uint64_t count) {
    return count == 1 ? "1 connection is" : count_text(count) + " connections are";
}

int show_maintenance(Session& session, const Maintenance& now) {
    if (session.print_data(resources::encode(now))) return kOk;
    std::ostream& out = session.out();
    line(out, "Maintenance", now.on ? "on" : "off");
    if (now.on && !now.reason.empty()) line(out, "Reason", printable(now.reason));
    if (now.on && !now.since.empty()) line(out, "Since", now.since + ", " + age_text(now.since) + " ago");
    line(out, "Announced",
         now.withdrawn ? "nothing"
         : now.on      ? "NOT YET WITHDRAWN: see `guideway bgp`"
                       : "see `guideway bgp`");
    line(out, "Connections",
         now.connections ? count_text(*now.connections) : "not known: the dataplane does not answer");
    return kOk;
}

/// Where people read the answer they read of the progress too; programs get the answer alone.
std::ostream& progress(const Session& session) { return session.wants_data() ? session.err() : session.out(); }

/// Looks until it is as `done` says, or the time is over; `each` is told what was seen. The last that was seen.
template <class Done, class Each>
resources::Result<Maintenance> looked_until(Session& session, Maintenance now, std::chrono::seconds patience, Done done,
                                            Each each) {
    const auto end = Clock::now() + patience;
    for (;;) {
        each(now);
        if (done(now) || Clock::now() >= end) return now;
        std::this_thread::sleep_for(kBetweenLooks);
        auto next = session.client.maintenance();
        if (!next.ok()) return next.problem();
        now = std::move(next.value());
    }
}

int begin_maintenance(Session& session) {
    const CliOptions& options = session.options;
    auto now = session.client.set_maintenance(true, options.reason);
    if (!now.ok()) return session.failed(now.problem());
    now = looked_until(
        session, std::move(now.value()), kWithdrawal, [](const Maintenance& seen) { return seen.withdrawn; },
        [](const Maintenance&) {});
    if (!now.ok()) return session.failed(now.problem());
    if (!now.value().withdrawn) {
        session.err() << "guideway: maintenance is on, but not everything is withdrawn; `guideway bgp` says why\n";
        return kFailed;
    }
    progress(session) << "maintenance is on; everything is withdrawn, connections go on\n" << std::flush;
    if (options.patience == 0) {
        session.print_data(resources::encode(now.value()));
        return kOk;
    }
    std::optional<std::uint64_t> told;
    now = looked_until(
        session, std::move(now.value()), std::chrono::seconds(options.patience),
        [](const Maintenance& seen) { return seen.connections == 0 || !seen.on; },
        [&](const Maintenance& seen) {
            if (!seen.connections || *seen.connections == 0 || seen.connections == told) return;
            progress(session) << connections_text(*seen.connections) << " not done yet\n" << std::flush;
            told = seen.connections;
        });
    if (!now.ok()) return session.failed(now.problem());
    const Maintenance& last = now.value();
    session.print_data(resources::encode(last));
    if (!last.on) {
        session.err() << "guideway: somebody else has ended maintenance meanwhile\n";
        return kFailed;
    }
    if (last.connections == 0) {
        progress(session) << "all connections are done; the appliance can be taken away\n";
        return kOk;
    }
    session.err() << "guideway: "
                  << (last.connections ? connections_text(*last.connections) + " not done"
                                       : std::string("the dataplane does not say how many connections there are,"))
                  << " after " << options.patience
                  << " s; everything stays withdrawn (guideway maintenance off ends that)\n";
    return kFailed;
}

}  // namespace

int bgp(Session& session) {
    const auto status = session.client.bgp();
    if (!status.ok()) return session.failed(status.problem());
    const BgpStatus& now = status.value();
    const bool shown = session.print_data(resources::encode(now));
    if (!now.configured) {
        session.err() << "guideway: BGP is not configured on this appliance: there is no group controlplane.bgp "
                         "(docs/bgp.md)\n";
        return kNotFound;
    }
    if (!shown) show_bgp(session.out(), now);
    return is_well(now) ? kOk : kFailed;
}

int maintenance(Session& session) {
    const CliOptions& options = session.options;
    if (options.maintain != "on" && !options.reason.empty()) return session.misused("--reason: allowed with on alone");
    if (options.maintain != "on" && options.patience != 0) return session.misused("--wait: allowed with on alone");
    if (options.maintain == "on") return begin_maintenance(session);
    auto now = options.maintain == "off" ? session.client.set_maintenance(false) : session.client.maintenance();
    if (!now.ok()) return session.failed(now.problem());
    if (options.maintain == "status") return show_maintenance(session, now.value());
    if (session.print_data(resources::encode(now.value()))) return kOk;
    session.out() << "maintenance is off; what is forwarded is announced again\n";
    return kOk;
}

}  // namespace guideway::cli
