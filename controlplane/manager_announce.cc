// What the network is told of, as operators see it: the sessions, the routes, maintenance.
#include <algorithm>
#include <chrono>
#include <utility>
#include <variant>

#include <spdlog/spdlog.h>

#include "api/resources/maintenance_codec.h"
#include "controlplane/log_value.h"
#include "controlplane/manager.h"
#include "controlplane/timestamps.h"

namespace guideway::controlplane {

using rest::Result;

namespace {

/// As the audit log shows it.
std::string audited(bool on, const std::string& reason) {
    // The codec escapes what people wrote; what the server says of it is no part of the change.
    resources::Maintenance shown;
    shown.on = on;
    shown.reason = reason;
    std::string text = resources::encode(shown);
    if (const std::size_t told = text.rfind(",\"withdrawn\":"); told != std::string::npos) {
        text.replace(told, std::string::npos, "}");
    }
    return text;
}

}  // namespace

announce::LoopOptions Manager::announcing_options() {
    announce::LoopOptions options = options_.announcing;
    options.told_others = [this] {
        if (peers_ != nullptr) peers_->look();
    };
    return options;
}

void Manager::start_announcing() {
    if (options_.bgp) peers_ = std::make_unique<announce::PeerWatch>(*options_.bgp);
    if (options_.maintenance) {
        maintenance_ = std::make_unique<announce::MaintenanceWatch>(
            *options_.maintenance,
            [this](const announce::MaintenanceWatch::State& state) { maintenance_changed(state); });
        // Before anything is told.
        maintenance_->look();
        maintenance_->start();
    }
    announce_.start();
    if (peers_ != nullptr) peers_->start();
}

void Manager::stop_announcing() {
    announce_.stop();
    if (maintenance_ != nullptr) maintenance_->stop();
    if (peers_ != nullptr) peers_->stop();
}

void Manager::maintenance_changed(const announce::MaintenanceWatch::State& state) {
    announce_.maintenance(state.has_value());
    const std::string reason = state ? state->reason : std::string();
    if (!options_.bgp) return;
    spdlog::info("maintenance={} reason={}", state ? "on" : "off", log_value(reason));
    const std::lock_guard lock(mutex_);
    std::vector<Change> changes;
    const std::string said = reason.empty() ? std::string() : ": " + reason;
    add_event(changes, state.has_value(), state ? "MaintenanceBegun" : "MaintenanceEnded",
              state ? "everything that is announced by BGP is withdrawn" + said
                    : "what is forwarded is announced by BGP again",
              {"Appliance", "", "", "announcing"});
    changes_.append_status(std::move(changes));
}

resources::BgpStatus Manager::bgp() {
    resources::BgpStatus out;
    out.maintenance = maintenance_ != nullptr && maintenance_->state().has_value();
    if (!options_.bgp || peers_ == nullptr) return out;
    const announce::BgpSettings& settings = *options_.bgp;
    out.configured = true;
    out.daemon = announce::to_string(settings.daemon);
    out.asn = settings.asn;
    if (settings.router_id) out.router_id = settings.router_id->to_string();
    announce::PeerReport report = peers_->report();
    out.daemon_answers = report.at && report.error.empty();
    out.daemon_error = report.at ? std::move(report.error) : "it was not asked yet";
    if (report.at) {
        const auto age = std::chrono::steady_clock::now() - *report.at;
        out.age_seconds = static_cast<std::uint64_t>(
            std::max<std::int64_t>(0, std::chrono::duration_cast<std::chrono::seconds>(age).count()));
    }
    for (announce::PeerState& one : report.peers) {
        out.peers.push_back({std::move(one.name), one.address, one.asn, std::move(one.state), one.established,
                             std::move(one.since), one.routes, std::move(one.last_error)});
    }
    announce::AnnounceStatus told = announce_.status();
    out.announce_error = std::move(told.error);
    for (const announce::Route& one : told.routes) {
        const auto& rules = settings.advertisements;
        out.routes.push_back(
            {one.prefix, one.advertisement < rules.size() ? rules[one.advertisement].name : std::string()});
    }
    return out;
}

resources::Maintenance Manager::maintenance() {
    resources::Maintenance out;
    if (maintenance_ != nullptr) {
        if (const auto state = maintenance_->state()) {
            out.on = true;
            out.reason = state->reason;
            out.since = timestamp_of(state->since);
        }
    }
    const announce::AnnounceStatus told = announce_.status();
    out.withdrawn = !options_.bgp || (told.seen && told.routes.empty() && told.error.empty());
    if (const auto counted = counters(); counted.ok()) {
        out.connections = announce::open_connections(counted.value());
    }
    return out;
}

Result<resources::Maintenance> Manager::set_maintenance(const resources::Maintenance& wanted,
                                                        const rest::Intent& intent) {
    if (wanted.on && !options_.bgp) {
        return resources::Problem{409,
                                  "BgpNotConfigured",
                                  "nothing is announced by BGP on this appliance (no group controlplane.bgp), so there "
                                  "is nothing to withdraw",
                                  {}};
    }
    if (maintenance_ == nullptr) return maintenance();
    const auto before = maintenance_->state();
    if (std::string error = maintenance_->set(wanted.on, wanted.reason); !error.empty()) {
        return resources::Problem{
            503, "StoreUnavailable", error + "; maintenance is " + (maintenance_->state() ? "on" : "off"), {}};
    }
    const auto after = maintenance_->state();
    if (options_.audit != nullptr && before != after) {
        AuditEntry entry;
        entry.time = options_.now();
        entry.caller = intent.caller;
        entry.verb = "update";
        entry.kind = "maintenance";
        entry.before = audited(before.has_value(), before ? before->reason : std::string());
        entry.after = audited(after.has_value(), after ? after->reason : std::string());
        options_.audit->record(std::move(entry));
    }
    // So that the answer tells what became of it; a kernel that hangs must not hold up who asks.
    announce_.wait_until_settled(options_.withdrawal_patience);
    return maintenance();
}

void Manager::add_announcing(MetricsSnapshot& snapshot) const {
    if (!options_.bgp || peers_ == nullptr) return;
    AnnounceSeries series;
    series.maintenance = maintenance_ != nullptr && maintenance_->state().has_value();
    const announce::AnnounceStatus told = announce_.status();
    series.routes = told.routes.size();
    series.errors = told.failures;
    const announce::PeerReport report = peers_->report();
    if (report.at) series.daemon_answers = report.error.empty();
    if (report.at && report.error.empty()) {
        for (const announce::PeerState& peer : report.peers) {
            series.peers.push_back({peer.name, peer.established, peer.routes});
        }
    }
    snapshot.announcing = std::move(series);
}

}  // namespace guideway::controlplane
