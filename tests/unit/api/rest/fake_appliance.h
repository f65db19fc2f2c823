// FakeAppliance: an Appliance in memory, for tests of the server and as an example of the interface's contract. It allocates
// nothing and forwards nothing; what a test wants to see it can set.
// Thread contract: as the interface asks: any method from any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "api/rest/appliance.h"

namespace guideway::rest {

class FakeAppliance : public Appliance {
  public:
    Result<Ensured<resources::LoadBalancer>> ensure_load_balancer(resources::LoadBalancer wanted,
                                                                  std::optional<std::uint64_t> if_match) override {
        const std::string key = wanted.key();
        return ensure(load_balancers_, key, std::move(wanted), if_match);
    }
    Result<resources::LoadBalancer> load_balancer(const std::string& ns, const std::string& name) override {
        return get(load_balancers_, ns + "/" + name);
    }
    std::vector<resources::LoadBalancer> load_balancers(const std::string& ns) override {
        std::vector<resources::LoadBalancer> out;
        for (resources::LoadBalancer& one : list(load_balancers_)) {
            if (ns.empty() || one.metadata.namespace_ == ns) out.push_back(std::move(one));
        }
        return out;
    }
    Result<bool> delete_load_balancer(const std::string& ns, const std::string& name,
                                      std::optional<std::uint64_t> if_match) override {
        return remove(load_balancers_, ns + "/" + name, if_match);
    }

    Result<Ensured<resources::AddressPool>> ensure_address_pool(resources::AddressPool wanted,
                                                                std::optional<std::uint64_t> if_match) override {
        const std::string key = wanted.metadata.name;
        return ensure(pools_, key, std::move(wanted), if_match);
    }
    Result<resources::AddressPool> address_pool(const std::string& name) override { return get(pools_, name); }
    std::vector<resources::AddressPool> address_pools() override { return list(pools_); }
    Result<bool> delete_address_pool(const std::string& name, std::optional<std::uint64_t> if_match) override {
        return remove(pools_, name, if_match);
    }

    Result<Ensured<resources::Node>> ensure_node(resources::Node wanted,
                                                 std::optional<std::uint64_t> if_match) override {
        const std::string key = wanted.metadata.name;
        return ensure(nodes_, key, std::move(wanted), if_match);
    }
    Result<resources::Node> node(const std::string& name) override {
        if (throws) throw std::runtime_error("the test's own failure");
        return get(nodes_, name);
    }
    std::vector<resources::Node> nodes() override {
        if (on_list_nodes) on_list_nodes();
        return list(nodes_);
    }
    Result<bool> delete_node(const std::string& name, std::optional<std::uint64_t> if_match) override {
        return remove(nodes_, name, if_match);
    }

    resources::SystemStatus status() override {
        resources::SystemStatus out;
        out.version = "0.1.0";
        out.dataplane_error = "not connected";
        return out;
    }
    bool wait_until_forwarding(std::chrono::milliseconds timeout) override {
        std::unique_lock lock(mutex_);
        ++waits;
        changed_.notify_all();
        return changed_.wait_for(lock, timeout, [this] { return forwarding_; });
    }
    Result<contract::ExplainAnswer> explain(const contract::ExplainRequest& request) override {
        contract::ExplainAnswer answer;
        answer.verdict = "kernel";
        answer.steps = {"source " + request.source.to_string() + " port " + std::to_string(request.source_port)};
        return answer;
    }
    Result<contract::Counters> counters() override {
        return resources::Problem{503, "DataplaneUnavailable", "the dataplane is not connected", {}};
    }
    std::string metrics() override { return "# HELP guideway_up Up.\n# TYPE guideway_up gauge\nguideway_up 1\n"; }
    std::string not_ready_reason() override {
        const std::lock_guard lock(mutex_);
        return not_ready_;
    }

    void set_forwarding(bool forwarding) {
        const std::lock_guard lock(mutex_);
        forwarding_ = forwarding;
        changed_.notify_all();
    }
    void set_not_ready(std::string reason) {
        const std::lock_guard lock(mutex_);
        not_ready_ = std::move(reason);
    }
    /// Returns once at least `count` waits have begun.
    void await_waits(int count) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return waits >= count; });
    }

    std::function<void()> on_list_nodes;  ///< set before the server starts
    bool throws = false;                  ///< likewise
    int waits = 0;

  private:
    template <class T>
    Result<Ensured<T>> ensure(std::map<std::string, T>& objects, const std::string& key, T wanted,
                              std::optional<std::uint64_t> if_match) {
        const std::lock_guard lock(mutex_);
        const auto found = objects.find(key);
        if (if_match && (found == objects.end() || found->second.metadata.resource_version != *if_match))
            return stale();
        Ensured<T> out;
        out.created = found == objects.end();
        out.changed = out.created || !(found->second.spec == wanted.spec);
        if (out.changed) {
            wanted.metadata.resource_version = ++version_;
            wanted.metadata.generation = out.created ? 1 : found->second.metadata.generation + 1;
            wanted.metadata.creation_timestamp = "2026-01-02T03:04:05Z";
            objects[key] = wanted;
        }
        out.object = objects[key];
        return out;
    }
    template <class T>
    Result<T> get(const std::map<std::string, T>& objects, const std::string& key) {
        const std::lock_guard lock(mutex_);
        const auto found = objects.find(key);
        if (found == objects.end()) return resources::Problem{404, "NotFound", "there is no " + key, {}};
        return found->second;
    }
    template <class T>
    std::vector<T> list(const std::map<std::string, T>& objects) {
        const std::lock_guard lock(mutex_);
        std::vector<T> out;
        for (const auto& [key, object] : objects) out.push_back(object);
        return out;
    }
    template <class T>
    Result<bool> remove(std::map<std::string, T>& objects, const std::string& key,
                        std::optional<std::uint64_t> if_match) {
        const std::lock_guard lock(mutex_);
        const auto found = objects.find(key);
        if (found == objects.end()) return false;
        if (if_match && found->second.metadata.resource_version != *if_match) return stale();
        objects.erase(found);
        return true;
    }
    static resources::Problem stale() { return {412, "PreconditionFailed", "the object has changed since", {}}; }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool forwarding_ = false;
    std::string not_ready_;
    std::uint64_t version_ = 0;
    std::map<std::string, resources::LoadBalancer> load_balancers_;
    std::map<std::string, resources::AddressPool> pools_;
    std::map<std::string, resources::Node> nodes_;
};

}  // namespace guideway::rest
