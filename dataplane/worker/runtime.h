// Runtime: all workers together. Makes their tables, rings and counters, starts them on EAL lcores, stops
// them, and is what the control threads talk to.
//
// Worked example (the dataplane's start):
//   rte_eal_init; pool = rte_pktmbuf_pool_create; ports configured with their queues         (net/)
//   auto runtime = Runtime::create({...});                 tables, rings, counters
//   runtime->apply(state_from_disk)                        snapshot in force before the first packet
//   runtime->publisher().publish(routing)                  by the netlink thread, again after each change
//   kernel path thread: runtime->to_kernel(w), runtime->from_kernel(); netlink thread:
//   runtime->resolve_queue(w).pop() runtime->start();  ...  runtime->stop();
//
// Thread contract: create, start, stop from the main thread. apply(), counters(), explain() from any control
// thread (a mutex orders them). The rings as described in plumbing.h.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/counters.h"
#include "api/contract/explain.h"
#include "api/contract/forwarding_state.h"
#include "dataplane/persist/flow_file.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/worker/plumbing.h"
#include "dataplane/worker/takeover.h"
#include "dataplane/worker/tap_desk.h"

namespace guideway::worker {

/// Where connections outlive the process (persist/flow_file.h).
struct FlowFileSettings {
    std::string file = "none";   ///< flows.file
    std::string control_socket;  ///< names the file
    bool huge_pages = false;     ///< it may take some
};

/// What became of an earlier process's connections.
struct TakeoverResult {
    std::vector<Outcome> outcomes;                       ///< by worker; empty: there were none
    std::vector<flow::AffinityTable::Restored> clients;  ///< remembered for session affinity; by worker
    std::size_t relocated = 0;  ///< connections that their client's packets are led to by Relocations
    std::uint64_t milliseconds = 0;
    std::vector<persist::Line> lines;  ///< for the log
};

struct RuntimeSettings {
    WorkerSettings worker;
    std::vector<IpAddress> snat_addresses;
    std::vector<unsigned> lcores;                ///< EAL lcore ids, one a worker; not the main lcore
    std::vector<std::vector<WorkerPort>> ports;  ///< [worker][port index]
    std::vector<std::string> port_names;         ///< by port index; for people. Empty: the index
    rte_mempool* pool = nullptr;
    std::optional<flow::Ownership> ownership;  ///< of as many workers; none: by rings
    FlowFileSettings flow_file;
    std::uint32_t kernel_ring_size = 1024;    ///< a power of two
    std::uint32_t handover_ring_size = 2048;  ///< a power of two
};

class Runtime {
  public:
    /// Opens the flow file. Null where memory does not suffice; `error` then says for what and how much was asked.
    static std::unique_ptr<Runtime> create(RuntimeSettings settings, std::string& error);
    ~Runtime();  ///< stops the workers
    Runtime(const Runtime&) = delete;
    Runtime& operator=(const Runtime&) = delete;

    /// What was decided on the flow file, for the log.
    const std::vector<persist::Line>& flow_file_lines() const;
    /// Takes over the connections that the flow file holds, by the state that was applied last: call between apply() of the last
    /// state and start(). start() does it otherwise. Once; then the same result again.
    const TakeoverResult& take_over();

    /// False where an lcore refused (already in use); `error` names it.
    bool start(std::string& error);
    /// Returns when no worker runs. Packets on the way between workers are freed; those of the kernel path with the runtime.
    void stop();

    /// Builds and publishes; returns when every worker uses it. Faults: nothing was changed.
    std::vector<contract::Fault> apply(const contract::ForwardingState& state);
    /// Everything but `ports` and `started_at_unix_seconds`, which net/ and control/ know.
    contract::Counters counters() const;
    /// Of a port that is a VLAN, by its index.
    contract::Traffic vlan_traffic(std::size_t port) const;
    /// Index of a port whose RSS hash was not the one computed here; nothing while all were.
    std::optional<std::size_t> rss_disagreeing_port() const;
    /// Of a connection that a worker knows, that too. Waits for the workers, half a second at the most.
    contract::ExplainAnswer explain(const contract::ExplainRequest& request) const;
    /// Where packets on their way are looked at.
    TapDesk& taps();
    snapshot::Publisher& publisher();

    std::uint32_t worker_count() const;
    rte_ring* to_kernel(std::uint32_t worker) const;  ///< mbuf->port is the port index
    rte_ring* from_kernel() const;                    ///< set mbuf->port to the port index before enqueueing
    ResolveQueue& resolve_queue(std::uint32_t worker);
    RouterQueue& router_queue(std::uint32_t worker);
    ClaimQueue& claim_queue(std::uint32_t worker);

  private:
    struct Parts;
    explicit Runtime(std::unique_ptr<Parts> parts);
    std::unique_ptr<Parts> parts_;
};

}  // namespace guideway::worker
