// Netlink: the thread that reads routes and neighbours from the kernel, follows them, and publishes RoutingSnapshots.
//
// Links, addresses, routes (main table) and neighbours of the TAP twins are dumped at start and then followed; where the kernel
// lost messages everything is dumped again into a complete snapshot (workers never see a half-read table). A burst of
// changes becomes one snapshot; a change that does not matter becomes none.
// Next hops that workers miss arrive by their resolve queues; the kernel resolves them and the answer comes by the same way. Routers
// that workers heard and do not know as next hops arrive by their router queues, and are next hops in the next snapshot.
//
// Thread contract: start() (which publishes the first snapshot before it returns) and stop() from the main thread.
#pragma once

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "dataplane/net/kernel_tables.h"
#include "dataplane/net/resolver.h"
#include "dataplane/net/rtnetlink.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/worker/plumbing.h"

namespace guideway::net {

class Netlink {
  public:
    Netlink(std::vector<TwinIdentity> twins, snapshot::Publisher& publisher, std::vector<worker::ResolveQueue*> wishes,
            std::vector<worker::RouterQueue*> routers);
    ~Netlink();  ///< stops
    Netlink(const Netlink&) = delete;
    Netlink& operator=(const Netlink&) = delete;

    std::optional<std::string> start();
    void stop();

  private:
    void run();
    bool read_all();
    void publish();
    void serve_wishes(Resolver::Clock::time_point now);
    bool hear_routers(Resolver::Clock::time_point now);
    void ask(const snapshot::NeighbourKey& key, Resolve how);
    void refresh(Resolver::Clock::time_point now);

    std::vector<TwinIdentity> twins_;
    snapshot::Publisher& publisher_;
    std::vector<worker::ResolveQueue*> wishes_;
    std::vector<worker::RouterQueue*> routers_;
    KernelTables tables_;
    Resolver resolver_;
    Rtnetlink changes_;   ///< subscribed to the groups
    Rtnetlink requests_;  ///< dumps and questions, so that their answers do not mix with changes
    bool managed_ = true;
    std::atomic<bool> stopping_{false};
    std::thread thread_;
};

}  // namespace guideway::net
