// TestWorld: what a cloud controller lives between: an API server (fake_api_server.h, over HTTP) and the real appliance: manager, SQLite store and
// REST server in this process, behind a gate that records calls and loses them on request.
//
// Terms. Call: one request of the controllers to either side, "PATCH /api/v1/..." or "PUT /v1/...", in their order. Write: a call that
// is no GET. Life: one controller from its start to its end (or crash): new ones know nothing of earlier ones.
// To settle: looking at everything again, with time moved on as the controller asks, until nothing is written and nothing left to do.
//
// Worked example:
//     TestWorld world;
//     world.service("web");
//     Life life(world);
//     ASSERT_TRUE(life.settle());                  // finalizer, PUT, status, annotation
//     EXPECT_EQ(world.balancers().size(), 1U);
//
// Thread contract: one thread (the servers have their own).
#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/rest/server.h"
#include "controlplane/kubernetes/node_controller.h"
#include "controlplane/kubernetes/service_controller.h"
#include "controlplane/manager.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/kubernetes/client/fake_api_server.h"

namespace httplib {
class Server;
}

namespace guideway::kubernetes {

using testing::FakeApiServer;
using testing::FakeFault;

inline constexpr const char* kServicePath = "/api/v1/services";
inline constexpr const char* kNodePath = "/api/v1/nodes";
inline constexpr const char* kCluster = "east";

class TestWorld {
  public:
    TestWorld();
    ~TestWorld();
    TestWorld(const TestWorld&) = delete;
    TestWorld& operator=(const TestWorld&) = delete;

    /// Makes or replaces Service prod/`name`: TCP 80 -> 30080 where `spec` says nothing else. A UID of "" is a new one.
    void service(const std::string& name, const nlohmann::json& spec = nlohmann::json::object(),
                 const nlohmann::json& meta = nlohmann::json::object());
    /// Changes fields of it, as kubectl does.
    void change(const std::string& name, const nlohmann::json& merge);
    nlohmann::json get(const std::string& name) const { return api.object(kServicePath, "prod", name); }
    void node(const std::string& name, const nlohmann::json& fields = nlohmann::json::object());

    std::vector<resources::LoadBalancer> balancers() const;
    std::vector<resources::Node> nodes() const;
    /// Addresses in use, of all pools.
    std::uint64_t allocated() const;
    resources::LoadBalancer balancer(const std::string& uid, const std::string& cluster = kCluster) const;

    /// Of which call what becomes; `number` counts from 1 since the last calls_from_now().
    void fault_by(std::function<FakeFault(std::size_t number, const std::string& what)> decide);
    void calls_from_now();
    std::vector<std::string> calls() const;
    std::vector<std::string> writes() const;
    /// Where controllers find the appliance.
    std::string appliance_url() const { return gate_url_; }
    /// The same without a gate; for watches.
    std::string direct_url() const { return direct_url_; }

    FakeApiServer api;
    controlplane::Manager& manager() const { return *manager_; }

  private:
    FakeFault called(const std::string& what);

    testing_support::TemporaryFolder folder_;
    controlplane::Metrics metrics_;
    std::unique_ptr<controlplane::Manager> manager_;
    std::unique_ptr<rest::Server> server_;
    std::unique_ptr<httplib::Server> gate_;
    std::thread gate_thread_;
    std::string gate_url_, direct_url_;
    mutable std::mutex mutex_;  ///< of those below
    std::vector<std::string> calls_;
    std::function<FakeFault(std::size_t, const std::string&)> decide_;
};

/// Controllers of one life, driven by the test; views are what a fresh list would tell.
class Life final : public ClusterView {
  public:
    explicit Life(TestWorld& world, ServiceControllerOptions options = {});

    /// Reads both sides as they are now.
    void look();
    SyncResult sync(const std::string& key);
    SyncResult sync_node(const std::string& name);
    /// One sync of everything; false: a crash is due (`alive` says no).
    bool round(const std::function<bool()>& alive = nullptr);
    /// False: it did not come to rest.
    bool settle();

    std::shared_ptr<const Service> service(const std::string& key) const override;
    bool service_exists(const std::string& key) const override { return services_.contains(key); }
    bool services_complete() const override { return complete; }
    std::vector<std::shared_ptr<const Service>> services() const override;
    Slices slices(const std::string& key) const override;
    std::map<std::string, std::string> namespace_labels(const std::string&) const override { return {}; }

    /// "Normal IPAllocated", in their order.
    std::vector<std::string> events;
    std::vector<SyncResult> failures;
    bool complete = true;
    bool nodes_complete = true;
    std::function<bool()> may_write = [] { return true; };
    std::chrono::steady_clock::time_point now{std::chrono::hours(1)};
    ServiceController& controller() { return *controller_; }

  private:
    TestWorld& world_;
    ApiClient kubernetes_;
    client::Client appliance_;
    std::map<std::string, std::shared_ptr<const Service>> services_;  ///< null: cannot be read
    std::map<std::string, std::shared_ptr<const Node>> nodes_;
    std::map<std::string, Slices> slices_;
    ApplianceView<resources::LoadBalancer> balancers_;
    ApplianceView<resources::Node> appliance_nodes_;
    std::unique_ptr<ServiceController> controller_;
    std::unique_ptr<NodeController> node_controller_;
};

}  // namespace guideway::kubernetes
