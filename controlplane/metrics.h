// Metrics: what GET /metrics shows, by Prometheus' conventions (base units, _total for counters, HELP on each).
//
// Two kinds: what the control plane counts itself (requests, commits) lives in a registry; what is the dataplane's or the
// manager's is turned into series at each scrape, so a service's series go away with the service. Labels are bounded by
// what is configured: services, backends, ports, pools, workers, drop reasons, route templates.
// Thread contract: any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "api/contract/counters.h"
#include "api/resources/address_pool.h"
#include "api/resources/status.h"
#include "api/rest/server.h"

namespace guideway::controlplane {

struct PoolSeries {
    resources::AddressPool pool;
    /// Seconds until it is full at the pace of the last hour; none: it does not grow.
    std::optional<double> ipv4_full_in, ipv6_full_in;
};

/// What the health checks of a load balancer of its own (policy Local, healthCheckNodePort) found.
struct ServiceNodes {
    std::string cluster, namespace_, name;
    std::uint64_t well = 0, failing = 0;  ///< nodes with ready endpoints
};

/// What is announced by BGP, and how the sessions are.
struct AnnounceSeries {
    struct Peer {
        std::string name;
        bool established = false;
        std::uint64_t routes = 0;
    };
    bool maintenance = false;
    std::uint64_t routes = 0;            ///< told
    std::uint64_t errors = 0;            ///< times that they could not be made as they should be
    std::optional<bool> daemon_answers;  ///< none: it was not asked yet
    std::vector<Peer> peers;             ///< none where the daemon does not answer: nothing is known of them
};

/// Everything that a scrape shows besides the registry's own.
struct MetricsSnapshot {
    resources::SystemStatus status;
    std::vector<PoolSeries> pools;
    std::vector<std::pair<std::pair<std::string, std::string>, bool>> nodes_probed;  ///< cluster and name; is it well
    std::vector<ServiceNodes> service_nodes;
    std::map<std::string, std::uint64_t> waiting;  ///< load balancers without what they asked for, by reason
    bool forwarding_known = false;                 ///< the dataplane answers
    double sync_lag_seconds = 0;                   ///< age of the oldest commit that is not in force; 0: all are
    bool reconcile_failed = false;                 ///< the newest state was refused
    std::optional<contract::Counters> counters;    ///< none: the dataplane does not answer
    std::optional<AnnounceSeries> announcing;      ///< none: BGP is not configured
};

class Metrics final : public rest::RequestObserver {
  public:
    Metrics();
    ~Metrics() override;
    Metrics(const Metrics&) = delete;
    Metrics& operator=(const Metrics&) = delete;

    void observe(std::string_view method, std::string_view route, int status, double seconds) override;
    void in_flight(int change) override;
    void streams(int change) override;
    void connections(int change) override;
    void login_refused(const std::string& peer, std::string_view reason) override;
    void change_refused(const rest::Caller& caller, std::string_view method, std::string_view target,
                        const std::string& problem) override;
    void connection_shed(std::string_view why) override;
    void throttled(std::string_view what) override;
    void handshake_failed(std::string_view why) override;
    /// A certificate is in force, or a changed one was refused.
    void certificate(const rest::TlsStatus& status);
    /// Also told about each refused login. To be set before the server starts.
    void refused_logins_to(std::function<void(const std::string& peer, std::string_view reason)> sink);
    /// Likewise about each refused change, with the refusal as the client got it.
    void refused_changes_to(std::function<void(const rest::Caller& caller, std::string_view method,
                                               std::string_view target, const std::string& problem)>
                                sink);
    /// Asked at each scrape: lines of the audit log that could not be written.
    void audit_lost(std::function<std::uint64_t()> lines);
    void committed(double seconds);
    void commit_failed(std::string_view kind);
    /// How many changes shared one commit.
    void batch_committed(std::size_t changes);
    void allocated(const std::string& pool);
    void allocation_refused(std::string_view reason);
    /// A forwarding state was built from what is committed.
    void reconciled(double seconds, bool handed_on);
    /// A health check was made: what it found (health::Prober::OnProbe).
    void probed(std::string_view result, double seconds);
    /// A set of pools was refused; the last good one stays (ipam-rules 2).
    void pools_refused(bool refused);

    /// Text exposition format 0.0.4.
    std::string text(const MetricsSnapshot& snapshot) const;

  private:
    struct Content;
    std::unique_ptr<Content> content_;
};

}  // namespace guideway::controlplane
