// TapDesk: where operators ask to see packets (api/contract/tap.h), one at a time, and fetch what was seen.
//
// A tap belongs to the client that began it, by the number its connection has, and ends with it, with its bounds, or with the desk. What
// workers write into their rings is fetched by reading; what is not fetched in time is counted as lost. All bounds hold for the workers
// together: what each of them may write down is more than that, so reading takes away the rest.
//
// Worked example: begin({filter, count 100, ...}, client 7) -> no faults; read(7) -> records ...; read(7) -> ended "count"; end(7).
// Thread contract: any control thread; a mutex orders them. Not from a worker.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/forwarding_state.h"
#include "api/contract/tap.h"
#include "dataplane/flow/connection_state.h"
#include "dataplane/observe/tap.h"
#include "dataplane/snapshot/publisher.h"

namespace guideway::worker {

struct TapSurroundings {
    snapshot::Publisher& publisher;
    std::uint32_t workers = 1;
    std::vector<std::string> port_names;  ///< by port index
    flow::IdleLimits limits;
    std::function<std::uint64_t()> now_ms;  ///< of the workers' clock
};

class TapDesk {
  public:
    explicit TapDesk(TapSurroundings surroundings);
    ~TapDesk();
    TapDesk(const TapDesk&) = delete;
    TapDesk& operator=(const TapDesk&) = delete;

    /// Faults: nothing has begun. Fields are those of the request: "/tap/filter/port".
    std::vector<contract::Fault> begin(const contract::TapRequest& request, std::uint64_t client);
    /// What was seen since the last time, some of it where it is much. Nothing: this client has no tap.
    std::optional<contract::TapAnswer> read(std::uint64_t client);
    /// The client is gone, or wants no more.
    void end(std::uint64_t client);

  private:
    struct Open;
    void stop(const char* why);
    void close();
    void fetch(contract::TapAnswer& answer);
    bool fits(std::uint64_t time_ms);

    const TapSurroundings around_;
    std::mutex mutex_;
    std::unique_ptr<Open> open_;  ///< under mutex_; null: nobody looks
};

}  // namespace guideway::worker
