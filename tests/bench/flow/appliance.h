// Appliance: one or more real workers with everything the product gives them, between the in-process ports.
//
// Depends on public constructors only: Worker, FlowTable, Memory, CounterBlock, Builder, Publisher, RoutingSnapshot.
//
// Example:  Appliance one({.capacity_v4 = 12500, .burst = 32});  one.go_online(0);  one.worker(0).poll_once(now);
// Thread contract: constructed by the main thread; each worker then belongs to the thread that called go_online() for it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "dataplane/snapshot/builder.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/worker/counter_book.h"
#include "dataplane/worker/worker.h"
#include "tests/bench/flow/plan.h"

namespace guideway::bench {

inline constexpr std::uint32_t kLeastCapacity = 4096;
/// A quarter more than the connections that will be in it.
constexpr std::uint32_t capacity_for(std::uint32_t flows) {
    return flows + flows / 4 < kLeastCapacity ? kLeastCapacity : flows + flows / 4;
}

struct ApplianceSettings {
    std::uint32_t capacity_v4 = kLeastCapacity;  ///< connections a worker
    std::uint32_t capacity_v6 = kLeastCapacity;
    unsigned burst = 32;
    std::uint32_t workers = 1;
    std::uint32_t services = 64;
    std::uint32_t backends = 256;
    std::uint32_t tcp_established_seconds = 7440;
    bool stages = false;  ///< measures cycles by stage of worker 0: costs it some
};

/// The worker's burst, where it is a setting; else whether the built-in one is the wanted.
template <typename Settings>
bool set_burst(Settings& settings, unsigned burst) {
    if constexpr (requires { settings.burst = static_cast<decltype(settings.burst)>(burst); }) {
        settings.burst = static_cast<decltype(settings.burst)>(burst);
        return true;
    } else {
        return burst == 32;
    }
}
inline bool burst_possible(unsigned burst) {
    worker::WorkerSettings settings;
    return set_burst(settings, burst);
}

class Appliance {
  public:
    explicit Appliance(const ApplianceSettings& settings);
    ~Appliance();
    Appliance(const Appliance&) = delete;
    Appliance& operator=(const Appliance&) = delete;

    worker::Worker& worker(std::uint32_t index = 0);
    const observe::StageCycles& stages() const;
    void go_online(std::uint32_t index = 0);
    void go_offline(std::uint32_t index = 0);

    /// Builds and publishes; waits for the workers, so not from a thread that should poll. Fails loudly.
    void apply(const contract::ForwardingState& state);
    snapshot::BuildResult build(const contract::ForwardingState& state) { return builder_.build(state); }
    void publish(std::shared_ptr<const snapshot::ForwardingSnapshot> snapshot);

    std::span<const std::byte> table_memory(int ip, std::uint32_t index = 0) const;
    std::uint64_t connections(int ip, std::uint32_t index = 0) const;
    std::uint64_t capacity(int ip, std::uint32_t index = 0) const;

    struct Ledger {
        std::uint64_t received = 0, sent = 0, dropped = 0, handed_over = 0;
    };
    Ledger ledger(std::uint32_t index = 0) const;
    /// "reply_unknown 3, tx_full 1"; empty where nothing was dropped since `before` was taken by drops().
    std::vector<std::uint64_t> drops(std::uint32_t index = 0) const;
    std::string drops_since(const std::vector<std::uint64_t>& before, std::uint32_t index = 0) const;

  private:
    struct Place;
    snapshot::Publisher publisher_;
    snapshot::Builder builder_;
    std::vector<std::unique_ptr<Place>> places_;
    std::unique_ptr<worker::CounterBook> book_;
};

}  // namespace guideway::bench
