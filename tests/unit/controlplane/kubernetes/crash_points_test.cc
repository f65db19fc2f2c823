// The cloud controller dies at every single call, or stops leading: what it leaves behind is mended by the next one (Kubernetes rules 2, 3, 7, 14).
//
// Each history is run once for every call k that it makes, to either side. From call k on nothing gets through; the controller is thrown
// away, a new one is put on the same world. Twice: the call k was not carried out, and it was, but its answer was lost.
#include <functional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "tests/unit/controlplane/kubernetes/test_world.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;

struct History {
    std::string name;
    std::function<void(TestWorld&)> before;  ///< in a settled world with nothing in it
    bool settled = true;                     ///< a controller sees `before` to its end
    std::function<void(TestWorld&)> then;    ///< what the controller that dies has to do
    bool lives = true;                       ///< the Service is ours at the end
    std::size_t ports = 1;
};

std::ostream& operator<<(std::ostream& out, const History& history) { return out << history.name; }

void make(TestWorld& world) { world.service("web", json::object(), {{"uid", "u1"}}); }

std::vector<History> histories() {
    std::vector<History> out;
    out.push_back({"Create", [](TestWorld&) {}, false, make});
    out.push_back({"Update", make, true,
                   [](TestWorld& world) {
                       world.change("web", json::parse(R"({"spec": {"ports": [{"port": 80, "nodePort": 30080},
                           {"name": "dns", "protocol": "UDP", "port": 80, "nodePort": 30081}]}})"));
                   },
                   true, 2});
    out.push_back({"OtherAddress", make, true, [](TestWorld& world) {
                       world.change("web", {{"spec", {{"loadBalancerIP", "203.0.113.12"}}}});
                   }});
    out.push_back({"Delete", make, true,
                   [](TestWorld& world) { world.api.request_deletion(kServicePath, "prod", "web"); }, false});
    out.push_back({"TypeChanged", make, true,
                   [](TestWorld& world) {
                       world.change("web", {{"spec", {{"type", "ClusterIP"}}}});
                   },
                   false});
    out.push_back({"ClassChanged", make, true,
                   [](TestWorld& world) {
                       world.change("web", {{"spec", {{"loadBalancerClass", "other.io/x"}}}});
                   },
                   false});
    out.push_back({"UidReplaced", make, true, [](TestWorld& world) {
                       world.api.remove(kServicePath, "prod", "web");
                       world.service("web", json::object(), {{"uid", "u2"}});
                   }});
    out.push_back({"ServiceVanished", make, true,
                   [](TestWorld& world) { world.api.remove(kServicePath, "prod", "web"); }, false});
    out.push_back({"ApplianceLostIt", make, true, [](TestWorld& world) {
                       EXPECT_TRUE(world.manager().delete_load_balancer(kCluster, "prod", "web", "", {}).ok());
                   }});
    out.push_back({"StatusWiped", make, true, [](TestWorld& world) {
                       world.change("web", {{"status", {{"loadBalancer", nullptr}}}});
                   }});
    out.push_back({"DeleteInTheMiddleOfCreate", make, false,
                   [](TestWorld& world) {
                       Life half(world);
                       half.sync("prod/web");  // finalizer, and the load balancer; no status yet
                       world.api.request_deletion(kServicePath, "prod", "web");
                   },
                   false});
    return out;
}

void expect_right(TestWorld& world, const History& history) {
    const auto balancers = world.balancers();
    const json service = world.get("web");
    if (!history.lives) {
        EXPECT_TRUE(balancers.empty()) << "an orphan is left on the appliance";
        EXPECT_EQ(world.allocated(), 0U) << "an address leaked";
        if (service.is_null()) return;
        EXPECT_FALSE(service["metadata"].contains("deletionTimestamp")) << "the finalizer holds it: " << service;
        EXPECT_FALSE(service["metadata"].contains("finalizers")) << service;
        EXPECT_FALSE(service["metadata"].value("annotations", json::object()).contains(kManagedMark));
        EXPECT_TRUE(service.value("/status/loadBalancer/ingress"_json_pointer, json::array()).empty()) << service;
        return;
    }
    ASSERT_EQ(balancers.size(), 1U);
    EXPECT_EQ(world.allocated(), 1U);
    const resources::LoadBalancer& made = balancers.front();
    EXPECT_EQ(made.metadata.uid, service["metadata"]["uid"]);
    EXPECT_EQ(made.spec.ports.size(), history.ports);
    EXPECT_EQ(service["metadata"]["finalizers"], json::array({kFinalizer}));
    ASSERT_EQ(made.status.ingress.size(), 1U);
    const json& ingress = service["status"]["loadBalancer"]["ingress"];
    ASSERT_EQ(ingress.size(), 1U) << service;
    EXPECT_EQ(ingress[0]["ip"], made.status.ingress[0].ip.to_string());
    EXPECT_EQ(ingress[0]["ports"].size(), history.ports);
    EXPECT_EQ(service["metadata"]["annotations"][kPoolWrittenBack], "a");
}

void begin(TestWorld& world, const History& history) {
    history.before(world);
    if (history.settled) {
        Life first(world);
        ASSERT_TRUE(first.settle());
    }
    history.then(world);
    world.calls_from_now();
}

/// And then it is deleted: nothing is left.
void expect_gone_after_deletion(TestWorld& world, Life& life) {
    if (!world.get("web").is_null()) world.api.request_deletion(kServicePath, "prod", "web");
    ASSERT_TRUE(life.settle());
    EXPECT_TRUE(world.get("web").is_null());
    EXPECT_TRUE(world.balancers().empty());
    EXPECT_EQ(world.allocated(), 0U);
}

class CrashPoints : public ::testing::TestWithParam<History> {};

TEST_P(CrashPoints, EveryCallMayBeTheLastOne) {
    TestWorld world;  // empty again after each point: that is looked at
    for (const FakeFault kind : {FakeFault::not_carried_out, FakeFault::answer_lost}) {
        bool reached = true;
        std::size_t points = 0;
        for (std::size_t k = 1; reached; ++k) {
            ASSERT_LT(k, 40U) << "it does not come to an end";
            SCOPED_TRACE("call " + std::to_string(k) + (kind == FakeFault::answer_lost ? ", carried out" : ""));
            begin(world, GetParam());
            if (HasFatalFailure()) return;
            std::string died_at;
            world.fault_by([&](std::size_t number, const std::string& what) {
                if (number < k) return FakeFault::none;
                if (number > k) return FakeFault::not_carried_out;
                died_at = what;
                return kind;
            });
            {
                Life doomed(world);
                for (int round = 0; round < 30 && died_at.empty(); ++round) {
                    if (doomed.round([&] { return died_at.empty(); })) break;
                }
                reached = !died_at.empty();
            }
            points += reached ? 1 : 0;
            SCOPED_TRACE(died_at);
            world.fault_by(nullptr);
            Life next(world);
            ASSERT_TRUE(next.settle());
            expect_right(world, GetParam());
            EXPECT_TRUE(next.failures.empty()) << next.failures.front().message;
            expect_gone_after_deletion(world, next);
            if (HasFailure()) return;
        }
        EXPECT_GT(points, 0U) << "the history makes no call";
    }
}

// The same controller lives on and tries again: one lost call must be no different from a crash.
TEST_P(CrashPoints, OneLostCallIsTriedAgainByTheSameController) {
    TestWorld world;
    for (const FakeFault kind : {FakeFault::not_carried_out, FakeFault::answer_lost}) {
        bool reached = true;
        for (std::size_t k = 1; reached; ++k) {
            ASSERT_LT(k, 40U) << "it does not come to an end";
            SCOPED_TRACE("call " + std::to_string(k) + (kind == FakeFault::answer_lost ? ", carried out" : ""));
            begin(world, GetParam());
            if (HasFatalFailure()) return;
            reached = false;
            world.fault_by([&](std::size_t number, const std::string&) {
                if (number != k) return FakeFault::none;
                reached = true;
                return kind;
            });
            Life life(world);
            ASSERT_TRUE(life.settle());
            expect_right(world, GetParam());
            world.fault_by(nullptr);
            expect_gone_after_deletion(world, life);
            if (HasFailure()) return;
        }
    }
}

// Rule 7: who leads no more writes nothing more; the next leader brings it to its end.
TEST_P(CrashPoints, LeadershipMayBeLostBeforeEveryWrite) {
    TestWorld world;
    bool lost = true;
    for (std::size_t k = 1; lost; ++k) {
        ASSERT_LT(k, 60U) << "it does not come to an end";
        SCOPED_TRACE("asked " + std::to_string(k) + " times");
        begin(world, GetParam());
        if (HasFatalFailure()) return;
        std::size_t asked = 0, writes = 0;
        lost = false;
        Life former(world);
        former.may_write = [&] {
            if (!lost && ++asked < k) return true;
            if (!lost) writes = world.writes().size();
            lost = true;
            return false;
        };
        for (int round = 0; round < 8 && !lost; ++round) former.round();
        if (lost) {
            former.round();
            former.round();
            EXPECT_EQ(world.writes().size(), writes) << "written after leadership was lost";
        }
        Life next(world);
        ASSERT_TRUE(next.settle());
        expect_right(world, GetParam());
        expect_gone_after_deletion(world, next);
        if (HasFailure()) return;
    }
}

INSTANTIATE_TEST_SUITE_P(Histories, CrashPoints, ::testing::ValuesIn(histories()),
                         [](const auto& of) { return of.param.name; });

}  // namespace
}  // namespace guideway::kubernetes
