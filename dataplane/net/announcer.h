// Announcer: the thread that tells the links of addresses in use here (announce_plan.h says which and when) and that hears who else
// claims one.
//
// Twenty times a second it compares the snapshots in force with those it saw last, takes what workers heard, and gives frames that are
// due to the kernel path, whose ring leads to the wire. So nobody has to call it at a change, and none is missed.
//
// Thread contract: start() and stop() from the main thread; status() from any. The claims' rings: this thread alone takes from them.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "api/contract/counters.h"
#include "dataplane/net/announce_plan.h"
#include "dataplane/net/kernel_path.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/worker/plumbing.h"

namespace guideway::net {

class Announcer {
  public:
    /// `claims`: one ring a worker. `port_names` by port index. `moves` counts how often a port's traffic took another cable;
    /// `carries`: whether it has one at all, beside the link that routing knows of. All references must outlive it.
    Announcer(AnnounceSettings settings, std::vector<std::string> port_names, snapshot::Publisher& publisher,
              KernelPath& kernel_path, std::vector<worker::ClaimQueue*> claims,
              std::function<std::uint64_t(std::size_t port)> moves, std::function<bool(std::size_t port)> carries);
    ~Announcer();  ///< stops
    Announcer(const Announcer&) = delete;
    Announcer& operator=(const Announcer&) = delete;

    /// Call when packets flow: from then on addresses are announced.
    void start();
    void stop();
    contract::AnnouncementStatus status() const;

  private:
    void run();
    void follow(AnnouncePlan::TimePoint now);
    void follow_moves(AnnouncePlan::TimePoint now);
    void hear(AnnouncePlan::TimePoint now);
    void take_up_again(AnnouncePlan::TimePoint now);
    void send(AnnouncePlan::TimePoint now);
    void show(AnnouncePlan::TimePoint now);

    AnnouncePlan plan_;
    std::vector<std::string> port_names_;
    snapshot::Publisher& publisher_;
    KernelPath& kernel_path_;
    std::vector<worker::ClaimQueue*> claims_;
    std::function<std::uint64_t(std::size_t port)> moves_;
    std::vector<std::uint64_t> moves_seen_;  ///< by port index
    std::function<bool(std::size_t port)> carries_;
    std::vector<bool> carrying_;  ///< by port index, as the plan knows it
    std::shared_ptr<const snapshot::ForwardingSnapshot> forwarding_;
    std::shared_ptr<const snapshot::RoutingSnapshot> routing_;
    std::shared_ptr<const snapshot::YieldedSet> yielded_;  ///< as workers know it
    std::uint64_t sent_ = 0;
    std::uint64_t probes_ = 0;

    mutable std::mutex mutex_;  ///< of those below
    std::condition_variable woken_;
    bool stopping_ = false;
    contract::AnnouncementStatus status_;
    std::thread thread_;
};

}  // namespace guideway::net
