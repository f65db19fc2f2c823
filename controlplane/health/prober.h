// Prober: asks thousands of addresses "GET /healthz" again and again, with one thread, and tells when a verdict changes.
//
// Terms. Target: what is asked; its key is unique and names it to whoever is told. A probe: one connection with one request, at most
// `timeout` long from its start to the end of the answer. Verdict: see check_state.h.
//
// Each target is probed once an interval, at a time of its own: the first probe at a random moment of the first interval, the others
// an interval apart (give or take a tenth), so that neither the nodes nor this machine see all at once. A target without a verdict is
// asked again sooner, after a quarter; one that joins is asked at once and after each twentieth, and is unhealthy only after twenty
// failures: it has just begun. No more than `most_sockets` probes are under way: what is due beyond waits for its turn.
//
// A probe that this machine cannot make (no descriptor, no port, the source address is not here, this thread did not get to run)
// says nothing of the node: it changes no verdict and is counted as "not_probed"; trouble() says why.
//
// Worked example: set_targets({{"node-1", 10.0.2.11, 10256}}), nobody listens there -> two probes half a second apart, both Refused ->
// on_change({"node-1", unhealthy, Refused}). kube-proxy starts -> the next probe -> on_change({"node-1", healthy, Ok}).
//
// Thread contract: every method from any thread, start() and stop() from one. The callbacks run in the prober's thread without a lock
// held, and may call set_targets() and update(). After a target changed or went, one last change of it may still be told: `target`
// in it says of which one.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "api/contract/ip_address.h"
#include "controlplane/health/check_state.h"

namespace guideway::health {

struct Target {
    std::string key;
    IpAddress address;
    std::uint16_t port = 0;
    bool wants_endpoints = false;  ///< the answer's body is read for the number of local endpoints
    bool joining = false;          ///< its first success is waited for
    friend bool operator==(const Target&, const Target&) = default;
};

struct ProberOptions {
    std::chrono::milliseconds interval{2000};
    std::chrono::milliseconds timeout{1000};  ///< less than the interval
    Thresholds thresholds;
    /// Where probes come from; none: as the kernel chooses.
    std::optional<IpAddress> source_ipv4, source_ipv6;
    /// Of probes' sockets (SO_MARK), so that the kernel's rules lead them to a table of routes; 0: none.
    std::uint32_t mark = 0;
    std::size_t most_sockets = 1024;
    /// Of the random moments; 0: another one each time.
    std::uint64_t seed = 0;
};

struct Changed {
    Target target;
    Verdict verdict;
    bool turned = false;  ///< `healthy` is another; else its reason or number of endpoints is
};

class Prober {
  public:
    using OnChange = std::function<void(std::vector<Changed>)>;
    /// Of each probe: "ok", "refused", "timeout", "status", "bad_answer", "unreachable", "not_probed"; and how long it took.
    using OnProbe = std::function<void(std::string_view result, double seconds)>;

    Prober(ProberOptions options, OnChange on_change, OnProbe on_probe = {});
    ~Prober();  ///< stops
    Prober(const Prober&) = delete;
    Prober& operator=(const Prober&) = delete;

    /// Empty: it runs; else why it cannot.
    std::string start();
    void stop();

    /// From now on these and no others. Those that are as before keep verdict and schedule; changed ones begin anew.
    void set_targets(std::vector<Target> targets);
    /// The same for some: `put` are new or changed, `gone` (keys) are not probed any more.
    void update(std::vector<Target> put, std::vector<std::string> gone);

    /// Why probes cannot be made at the moment; empty: they can.
    std::string trouble() const;

  private:
    struct Wanted;
    class Loop;

    void push(Wanted wanted);

    const ProberOptions options_;
    const OnChange on_change_;
    const OnProbe on_probe_;
    int wake_ = -1;  // eventfd

    mutable std::mutex mutex_;
    std::vector<Wanted> wanted_;  // in the order of the calls
    bool stopping_ = false;
    std::string trouble_;

    std::thread thread_;
};

}  // namespace guideway::health
