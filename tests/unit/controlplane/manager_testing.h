// The manager with the real SQLite store and a dataplane's socket. For tests alone.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "controlplane/manager.h"
#include "controlplane/store/sqlite_store.h"
#include "tests/unit/controlplane/fake_dataplane.h"
#include "tests/unit/controlplane/store/passing_store.h"

namespace guideway::controlplane::manager_testing {

using testing_support::FakeDataplane;
using testing_support::TemporaryFolder;

using namespace std::chrono_literals;

inline IpAddress ip(const char* text) { return *IpAddress::parse(text); }

inline resources::LoadBalancer balancer(const std::string& name, std::uint16_t port = 80) {
    resources::LoadBalancer made;
    made.metadata.namespace_ = "default";
    made.metadata.name = name;
    made.spec.ports = {{"http", contract::Protocol::tcp, port, static_cast<std::uint16_t>(30000 + port)}};
    return made;
}

inline resources::AddressPool pool(const std::string& name, std::vector<std::string> addresses) {
    resources::AddressPool made;
    made.metadata.name = name;
    made.spec.addresses = std::move(addresses);
    return made;
}

inline resources::Node node(const std::string& name, const char* address, bool drain = false) {
    resources::Node made;
    made.metadata.name = name;
    made.spec.addresses = {ip(address)};
    made.spec.drain = drain;
    return made;
}

inline const resources::Condition& condition(const resources::LoadBalancer& object, const std::string& type) {
    for (const resources::Condition& one : object.status.conditions) {
        if (one.type == type) return one;
    }
    static const resources::Condition kNone;
    ADD_FAILURE() << "no condition " << type;
    return kNone;
}

/// The real store, and a count of what is written to it; can be told to fail.
class CountingStore final : public store::PassingStore {
  public:
    struct Switches {
        std::atomic<unsigned> commits{0};
        std::atomic<bool> full{false};
        std::atomic<bool> conflict_once{false};
        std::atomic<bool> fail_after_commit{false};  ///< the next commit is durable, and then the clock throws once
        std::atomic<bool> clock_fails{false};
    };
    CountingStore(std::unique_ptr<store::Store> inner, Switches& switches)
        : PassingStore(std::move(inner)), switches_(switches) {}
    std::optional<store::Error> commit(const store::Batch& batch) override {
        if (switches_.full) return store::Error{store::ErrorKind::full, "the disk is full"};
        if (switches_.conflict_once.exchange(false)) return store::Error{store::ErrorKind::conflict, "another writer"};
        ++switches_.commits;
        auto error = PassingStore::commit(batch);
        if (!error && switches_.fail_after_commit.exchange(false)) switches_.clock_fails = true;
        return error;
    }

  private:
    Switches& switches_;
};

class ManagerTest : public testing::Test {
  protected:
    ManagerTest() : dataplane(folder.file("dp.sock")) { start(); }

    void start() {
        auto opened = store::SqliteStore::open(folder.file("store.db"));
        ASSERT_TRUE(std::holds_alternative<std::unique_ptr<store::SqliteStore>>(opened));
        ManagerOptions options;
        options.link.socket = folder.file("dp.sock");
        options.link.first_backoff = 1ms;
        options.link.longest_backoff = 5ms;
        options.now = [this] {
            if (switches.clock_fails.exchange(false)) throw std::runtime_error("the test's own failure");
            return clock.load();
        };
        if (adjust) adjust(options);
        auto managed = Manager::open(
            std::make_unique<CountingStore>(std::move(std::get<std::unique_ptr<store::SqliteStore>>(opened)), switches),
            options, metrics);
        if (const auto* why = std::get_if<std::string>(&managed)) FAIL() << *why;
        manager = std::move(std::get<std::unique_ptr<Manager>>(managed));
    }
    void restart() {
        manager.reset();
        start();
    }

    /// Sends a wish that must be taken.
    template <class T>
    rest::Ensured<T> put(T wanted) {
        auto result = manager->ensure(std::move(wanted), {});
        if (!result.ok()) {
            ADD_FAILURE() << result.problem().detail;
            return {};
        }
        return result.value();
    }
    static rest::Intent if_version(std::uint64_t version) {
        rest::Intent intent;
        intent.precondition.version = version;
        return intent;
    }
    bool remove(const std::string& name) {
        const auto result = manager->delete_load_balancer("default", "default", name, "", {});
        return result.ok() && result.value();
    }
    std::vector<resources::LoadBalancer> balancers() { return manager->load_balancers({}).value().items; }
    resources::LoadBalancer get(const std::string& name) {
        auto result = manager->load_balancer("default", "default", name);
        if (!result.ok()) {
            ADD_FAILURE() << result.problem().detail;
            return {};
        }
        return result.value();
    }
    std::string address_of(const std::string& name) {
        const auto object = get(name);
        return object.status.ingress.empty() ? "" : object.status.ingress[0].ip.to_string();
    }

    TemporaryFolder folder;
    FakeDataplane dataplane;
    CountingStore::Switches switches;
    Metrics metrics;
    std::atomic<std::chrono::system_clock::time_point> clock{std::chrono::system_clock::time_point(1'000'000'000s)};
    std::function<void(ManagerOptions&)> adjust;  ///< of the next restart()
    std::unique_ptr<Manager> manager;
};

}  // namespace guideway::controlplane::manager_testing
