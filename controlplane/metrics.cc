#include "controlplane/metrics.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/family.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/metric_family.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "controlplane/metric_families.h"

namespace guideway::controlplane {
namespace {

const prometheus::Histogram::BucketBoundaries kRequestBuckets{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                              0.25,  0.5,    1,     2.5,  5,     10};
const prometheus::Histogram::BucketBoundaries kCommitBuckets{0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
                                                             0.05,   0.1,   0.25,   0.5,   1,    2.5};

const prometheus::Histogram::BucketBoundaries kBatchBuckets{1, 2, 4, 8, 16, 32, 64, 128, 256};

void add_pools(const MetricsSnapshot& snapshot, std::vector<MetricFamily>& families) {
    Filled addresses(
        MetricType::Gauge, "guideway_address_pool_addresses",
        "Addresses of the pool: in all (total = allocated + quarantined + free), in use (allocated; shared: of "
        "these, by several), given away again only where none is free (quarantined), free.");
    Filled users(MetricType::Gauge, "guideway_address_pool_load_balancers",
                 "Load balancers with addresses of the pool.");
    Filled forecast(MetricType::Gauge, "guideway_address_pool_full_in_seconds",
                    "When the pool is full if it goes on growing as in the last hour; absent while it does not grow.");
    for (const PoolSeries& series : snapshot.pools) {
        const std::string& name = series.pool.metadata.name;
        const auto add = [&](const char* family, const resources::PoolFamilyUse& use,
                             const std::optional<double>& full) {
            if (use.total == 0 && use.allocated == 0) return;
            const Labels labels{{"pool", name}, {"family", family}};
            addresses.add(with(labels, "state", "total"), use.total);
            addresses.add(with(labels, "state", "allocated"), use.allocated);
            addresses.add(with(labels, "state", "shared"), use.shared);
            addresses.add(with(labels, "state", "quarantined"), use.quarantined);
            addresses.add(with(labels, "state", "free"), use.free);
            if (full) forecast.add(labels, *full);
        };
        add("ipv4", series.pool.status.ipv4, series.ipv4_full_in);
        add("ipv6", series.pool.status.ipv6, series.ipv6_full_in);
        users.add({{"pool", name}}, series.pool.status.load_balancers);
    }
    addresses.into(families);
    users.into(families);
    forecast.into(families);
}

void add_announcing(const AnnounceSeries& announcing, std::vector<MetricFamily>& families) {
    const auto one = [&](MetricType type, const char* name, const char* help, std::uint64_t value) {
        Filled family(type, name, help);
        family.add({}, value);
        family.into(families);
    };
    one(MetricType::Gauge, "guideway_maintenance",
        "1 while everything that is announced by BGP is withdrawn on purpose.", announcing.maintenance);
    one(MetricType::Gauge, "guideway_bgp_routes", "Routes that are handed to the routing daemon.", announcing.routes);
    one(MetricType::Counter, "guideway_announce_errors_total",
        "Times that the routes could not be made as they should be; tried again twice a second until they are.",
        announcing.errors);
    if (announcing.daemon_answers) {
        one(MetricType::Gauge, "guideway_bgp_daemon_answers",
            "1 while the routing daemon (BIRD, FRR) says how its sessions are.", *announcing.daemon_answers);
    }
    Filled up(MetricType::Gauge, "guideway_bgp_peer_up",
              "1 while the session with the peer is established; absent while the daemon does not answer.");
    Filled routes(MetricType::Gauge, "guideway_bgp_peer_routes", "Routes that the daemon tells the peer.");
    for (const AnnounceSeries::Peer& peer : announcing.peers) {
        up.add({{"peer", peer.name}}, std::uint64_t{peer.established});
        routes.add({{"peer", peer.name}}, peer.routes);
    }
    up.into(families);
    routes.into(families);
}

void add_status(const MetricsSnapshot& snapshot, std::vector<MetricFamily>& families) {
    const resources::SystemStatus& status = snapshot.status;
    const auto gauge = [&](const char* name, const char* help, std::uint64_t value) {
        Filled family(MetricType::Gauge, name, help);
        family.add({}, value);
        family.into(families);
    };
    Filled build(MetricType::Gauge, "guideway_build_info", "Version of the control plane; always 1.");
    build.add({{"version", status.version}}, std::uint64_t{1});
    build.into(families);
    gauge("guideway_dataplane_up", "1 while the control plane is connected to the dataplane.",
          status.dataplane_connected);
    gauge("guideway_desired_generation", "Generation of the forwarding state that follows from the configuration.",
          status.desired_generation);
    if (snapshot.forwarding_known) {
        gauge("guideway_forwarding_generation", "Generation of the forwarding state in force in the dataplane.",
              status.forwarding_generation);
    }
    Filled balancers(MetricType::Gauge, "guideway_load_balancers",
                     "Load balancers, by whether they have what they asked for.");
    balancers.add({{"state", "allocated"}}, status.load_balancers - status.load_balancers_waiting);
    balancers.add({{"state", "waiting"}}, status.load_balancers_waiting);
    balancers.into(families);
    Filled nodes(MetricType::Gauge, "guideway_nodes", "Nodes, by whether they get new connections.");
    nodes.add({{"state", "active"}}, status.nodes - status.nodes_draining);
    nodes.add({{"state", "draining"}}, status.nodes_draining);
    nodes.into(families);
    Filled healthy(MetricType::Gauge, "guideway_node_healthy",
                   "1 where the node answers its health check, 0 where it gets no new connections for that.");
    for (const auto& [node, well] : snapshot.nodes_probed) {
        healthy.add({{"cluster", node.first}, {"node", node.second}}, well ? std::uint64_t{1} : std::uint64_t{0});
    }
    healthy.into(families);
    Filled checked(
        MetricType::Gauge, "guideway_service_nodes",
        "Nodes with ready endpoints of a load balancer with policy Local, by what its health check there found.");
    for (const ServiceNodes& one : snapshot.service_nodes) {
        const Labels labels{{"cluster", one.cluster}, {"namespace", one.namespace_}, {"service", one.name}};
        checked.add(with(labels, "state", "well"), one.well);
        checked.add(with(labels, "state", "failing"), one.failing);
    }
    checked.into(families);
    Filled waiting(MetricType::Gauge, "guideway_load_balancers_waiting",
                   "Load balancers whose wish is not met, by the reason.");
    for (const auto& [reason, count] : snapshot.waiting) waiting.add({{"reason", reason}}, count);
    waiting.into(families);
    Filled lag(MetricType::Gauge, "guideway_sync_lag_seconds",
               "Age of the oldest committed change that the dataplane does not have in force yet; 0: it has all.");
    lag.add({}, snapshot.sync_lag_seconds);
    lag.into(families);
    gauge("guideway_reconcile_failed", "1 while the newest forwarding state is refused; the status says why.",
          snapshot.reconcile_failed ? 1 : 0);
    add_pools(snapshot, families);
}

}  // namespace

struct Metrics::Content {
    // Before the families below: they register here.
    prometheus::Registry registry;
    prometheus::Family<prometheus::Histogram>& requests =
        prometheus::BuildHistogram()
            .Name("guideway_http_request_duration_seconds")
            .Help("Time from a request's head to its answer, by method, route and status code.")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& commit_failures =
        prometheus::BuildCounter()
            .Name("guideway_store_commit_failures_total")
            .Help("Changes that the store did not take, by kind of failure; nothing of them took effect.")
            .Register(registry);
    prometheus::Histogram& commits = prometheus::BuildHistogram()
                                         .Name("guideway_store_commit_duration_seconds")
                                         .Help("Time until a change was durable in the store.")
                                         .Register(registry)
                                         .Add({}, kCommitBuckets);
    prometheus::Histogram& batches = prometheus::BuildHistogram()
                                         .Name("guideway_store_commit_changes")
                                         .Help("Changes that shared one commit.")
                                         .Register(registry)
                                         .Add({}, kBatchBuckets);
    prometheus::Family<prometheus::Counter>& allocations = prometheus::BuildCounter()
                                                               .Name("guideway_allocations_total")
                                                               .Help("Addresses given to load balancers, by pool.")
                                                               .Register(registry);
    prometheus::Family<prometheus::Counter>& refusals =
        prometheus::BuildCounter()
            .Name("guideway_allocation_refusals_total")
            .Help("Wishes of load balancers that could not be met, by reason.")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& builds =
        prometheus::BuildCounter()
            .Name("guideway_reconcile_builds_total")
            .Help("Forwarding states built from what is committed, by result.")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& probes = prometheus::BuildCounter()
                                                          .Name("guideway_health_probes_total")
                                                          .Help("Health checks made of nodes, by what they found.")
                                                          .Register(registry);
    prometheus::Histogram& probe_times =
        prometheus::BuildHistogram()
            .Name("guideway_health_probe_duration_seconds")
            .Help("Time of a health check, from its connection to the end of the answer.")
            .Register(registry)
            .Add({}, kRequestBuckets);
    prometheus::Histogram& build_times = prometheus::BuildHistogram()
                                             .Name("guideway_reconcile_build_duration_seconds")
                                             .Help("Time to build a forwarding state.")
                                             .Register(registry)
                                             .Add({}, kCommitBuckets);
    prometheus::Gauge& in_flight = prometheus::BuildGauge()
                                       .Name("guideway_http_requests_in_flight")
                                       .Help("Requests that were read and are not answered yet; watches are none.")
                                       .Register(registry)
                                       .Add({});
    prometheus::Gauge& streams = prometheus::BuildGauge()
                                     .Name("guideway_http_watches")
                                     .Help("Watches that are open now.")
                                     .Register(registry)
                                     .Add({});
    prometheus::Gauge& connections = prometheus::BuildGauge()
                                         .Name("guideway_http_connections")
                                         .Help("Connections of REST clients that are open now.")
                                         .Register(registry)
                                         .Add({});
    prometheus::Family<prometheus::Counter>& logins =
        prometheus::BuildCounter()
            .Name("guideway_http_refused_logins_total")
            .Help(
                "Requests whose sender was not accepted, by reason; TooManyFailedLogins: beyond the limit of its peer.")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& shed =
        prometheus::BuildCounter()
            .Name("guideway_http_shed_connections_total")
            .Help(
                "Connections refused because all (all_busy) or all of the peer's (peer_busy) were busy, and those that "
                "waited for their client and gave way to newer ones (gave_way).")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& throttled =
        prometheus::BuildCounter()
            .Name("guideway_http_throttled_total")
            .Help("Requests and watches (streams) answered 429 because their caller has too many.")
            .Register(registry);
    prometheus::Family<prometheus::Counter>& handshakes = prometheus::BuildCounter()
                                                              .Name("guideway_tls_handshake_failures_total")
                                                              .Help("TLS handshakes that did not succeed, by reason.")
                                                              .Register(registry);
    prometheus::Family<prometheus::Counter>& certificates =
        prometheus::BuildCounter()
            .Name("guideway_tls_certificate_loads_total")
            .Help("Certificates read from the files, by result; after a refused one the earlier stays in force.")
            .Register(registry);
    prometheus::Gauge& stale = prometheus::BuildGauge()
                                   .Name("guideway_address_pools_stale")
                                   .Help("1 after a change of the address pools was refused, until one is taken.")
                                   .Register(registry)
                                   .Add({});
    std::function<void(const std::string&, std::string_view)> refused_login;
    std::function<void(const rest::Caller&, std::string_view, std::string_view, const std::string&)> refused_change;
    std::atomic<std::int64_t> certificate_ends{0};  ///< Unix seconds; 0: no TLS
    std::mutex mutex;                               ///< of the two below
    rest::TlsStatus certificate;                    ///< as counted
    std::function<std::uint64_t()> audit_lost;
};

Metrics::Metrics() : content_(std::make_unique<Content>()) {
    // Present from the start, so that an alert on their growth sees the first failure.
    for (const char* kind : {"unavailable", "full", "read_only", "busy", "conflict", "corrupt", "unknown"}) {
        content_->commit_failures.Add({{"kind", kind}});
    }
    for (const char* result : {"handed_on", "faulty"}) content_->builds.Add({{"result", result}});
    for (const char* reason : {"AuthorizationInvalid", "TokenRequired", "TokenUnknown", "TokenExpired",
                               "CertificateUnknown", "TooManyFailedLogins"}) {
        content_->logins.Add({{"reason", reason}});
    }
    for (const char* why : {"all_busy", "peer_busy", "gave_way"}) content_->shed.Add({{"reason", why}});
    for (const char* what : {"requests", "streams"}) content_->throttled.Add({{"what", what}});
    for (const char* why : {"not_tls", "version", "certificate", "timeout", "closed", "other"}) {
        content_->handshakes.Add({{"reason", why}});
    }
}

Metrics::~Metrics() = default;

void Metrics::observe(std::string_view method, std::string_view route, int status, double seconds) {
    // A client can invent methods; a label of theirs would grow without bound.
    static constexpr std::array<std::string_view, 6> kMethods{"GET", "PUT", "DELETE", "POST", "PATCH", "HEAD"};
    std::string known = "other";
    for (const std::string_view one : kMethods) {
        if (one == method) known = method;
    }
    content_->requests
        .Add({{"method", std::move(known)}, {"route", std::string(route)}, {"code", std::to_string(status)}},
             kRequestBuckets)
        .Observe(seconds);
}

void Metrics::in_flight(int change) { content_->in_flight.Increment(change); }

void Metrics::streams(int change) { content_->streams.Increment(change); }

void Metrics::connections(int change) { content_->connections.Increment(change); }

void Metrics::login_refused(const std::string& peer, std::string_view reason) {
    if (content_->refused_login) content_->refused_login(peer, reason);
    content_->logins.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::change_refused(const rest::Caller& caller, std::string_view method, std::string_view target,
                             const std::string& problem) {
    if (content_->refused_change) content_->refused_change(caller, method, target, problem);
}

void Metrics::connection_shed(std::string_view why) { content_->shed.Add({{"reason", std::string(why)}}).Increment(); }

void Metrics::throttled(std::string_view what) { content_->throttled.Add({{"what", std::string(what)}}).Increment(); }

void Metrics::handshake_failed(std::string_view why) {
    content_->handshakes.Add({{"reason", std::string(why)}}).Increment();
}

void Metrics::certificate(const rest::TlsStatus& status) {
    const std::lock_guard lock(content_->mutex);
    const auto count = [&](const char* result, std::uint64_t now, std::uint64_t before) {
        content_->certificates.Add({{"result", result}}).Increment(static_cast<double>(now - before));
    };
    count("taken", status.loads, content_->certificate.loads);
    count("refused", status.refused, content_->certificate.refused);
    content_->certificate = status;
    content_->certificate_ends = std::chrono::system_clock::to_time_t(status.not_after);
}

void Metrics::refused_logins_to(std::function<void(const std::string&, std::string_view)> sink) {
    content_->refused_login = std::move(sink);
}

void Metrics::refused_changes_to(
    std::function<void(const rest::Caller&, std::string_view, std::string_view, const std::string&)> sink) {
    content_->refused_change = std::move(sink);
}

void Metrics::audit_lost(std::function<std::uint64_t()> lines) {
    const std::lock_guard lock(content_->mutex);
    content_->audit_lost = std::move(lines);
}

void Metrics::committed(double seconds) { content_->commits.Observe(seconds); }

void Metrics::commit_failed(std::string_view kind) {
    content_->commit_failures.Add({{"kind", std::string(kind)}}).Increment();
}

void Metrics::batch_committed(std::size_t changes) { content_->batches.Observe(static_cast<double>(changes)); }

void Metrics::allocated(const std::string& pool) { content_->allocations.Add({{"pool", pool}}).Increment(); }

void Metrics::allocation_refused(std::string_view reason) {
    content_->refusals.Add({{"reason", std::string(reason)}}).Increment();
}

void Metrics::reconciled(double seconds, bool handed_on) {
    content_->builds.Add({{"result", handed_on ? "handed_on" : "faulty"}}).Increment();
    content_->build_times.Observe(seconds);
}

void Metrics::probed(std::string_view result, double seconds) {
    content_->probes.Add({{"result", std::string(result)}}).Increment();
    content_->probe_times.Observe(seconds);
}

void Metrics::pools_refused(bool refused) { content_->stale.Set(refused ? 1 : 0); }

std::string Metrics::text(const MetricsSnapshot& snapshot) const {
    std::vector<MetricFamily> families = content_->registry.Collect();
    std::erase_if(families, [](const MetricFamily& family) { return family.metric.empty(); });
    if (const std::int64_t ends = content_->certificate_ends; ends != 0) {
        Filled left(MetricType::Gauge, "guideway_tls_certificate_expires_in_seconds",
                    "Time until the server's TLS certificate expires; negative: it has.");
        const auto until = std::chrono::system_clock::from_time_t(ends) - std::chrono::system_clock::now();
        left.add({}, std::chrono::duration<double>(until).count());
        left.into(families);
    }
    {
        const std::lock_guard lock(content_->mutex);
        if (content_->audit_lost) {
            Filled lost(MetricType::Counter, "guideway_audit_lost_lines_total",
                        "Lines of the audit log that could not be written.");
            lost.add({}, content_->audit_lost());
            lost.into(families);
        }
    }
    add_status(snapshot, families);
    if (snapshot.announcing) add_announcing(*snapshot.announcing, families);
    if (snapshot.counters) add_dataplane(*snapshot.counters, families);
    return prometheus::TextSerializer().Serialize(families);
}

}  // namespace guideway::controlplane
