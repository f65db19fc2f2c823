// ConflictWatch: who else claims our addresses, told when it becomes otherwise. A thread asks the dataplane, which hears of it on the links, every
// two seconds; it waits for a dataplane that is stuck without holding anybody up.
//
// Worked example: the dataplane hears 02:..:66 claim 203.0.113.10 -> told({203.0.113.10, ...}); yields it -> told again, `yielded`; nobody has it
// any more -> told({}). How often it was claimed, and when last, is no news. No answer: what was told last holds on.
//
// Thread contract: start() and stop() from one thread; stop() waits for a question under way. `told` runs on the watch's thread.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "api/contract/counters.h"

namespace guideway::announce {

class ConflictWatch {
  public:
    using Conflicts = std::vector<contract::AddressConflict>;
    /// Nothing: the dataplane did not say.
    using Ask = std::function<std::optional<Conflicts>()>;
    using Told = std::function<void(const Conflicts&)>;

    ConflictWatch(Ask ask, Told told, std::chrono::milliseconds every);
    ~ConflictWatch();  ///< stops
    ConflictWatch(const ConflictWatch&) = delete;
    ConflictWatch& operator=(const ConflictWatch&) = delete;

    void start();
    void stop();

  private:
    void run();

    const Ask ask_;
    const Told told_;
    const std::chrono::milliseconds every_;
    std::mutex mutex_;
    std::condition_variable woken_;
    bool stopping_ = false;
    std::thread thread_;
};

}  // namespace guideway::announce
