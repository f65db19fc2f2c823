// FakeAppliance: an Appliance in memory, for tests of the server and as an example of the interface's contract. It allocates
// nothing and forwards nothing; what a test wants to see it can set.
// Thread contract: as the interface asks: any method from any thread.
#pragma once

#include <algorithm>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "api/resources/address_pool_codec.h"
#include "api/resources/event_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "api/resources/node_codec.h"
#include "api/rest/appliance.h"
#include "api/rest/selection.h"

namespace guideway::rest {

class FakeAppliance : public Appliance {
  public:
    Result<Ensured<resources::LoadBalancer>> ensure(resources::LoadBalancer wanted, const Intent& intent) override {
        const std::string key = wanted.key();
        return ensure_in(load_balancers_, key, std::move(wanted), intent);
    }
    Result<resources::LoadBalancer> load_balancer(const std::string& cluster, const std::string& ns,
                                                  const std::string& name) override {
        return get(load_balancers_, balancer_key(cluster, ns, name));
    }
    Result<Page<resources::LoadBalancer>> load_balancers(const PageRequest& request) override {
        return page(load_balancers_, request);
    }
    Result<bool> delete_load_balancer(const std::string& cluster, const std::string& ns, const std::string& name,
                                      const std::string& uid, const Intent& intent) override {
        return remove(load_balancers_, balancer_key(cluster, ns, name), intent, uid);
    }
    resources::AllocationPreview preview(const resources::LoadBalancer& wanted) override {
        resources::AllocationPreview out;
        out.reason = "NoAvailableIPs";
        out.message = "nothing is free for " + wanted.key();
        out.pools = {{"public", false, "NoAvailableIPs", "all addresses are in use"}};
        return out;
    }

    Result<Ensured<resources::AddressPool>> ensure(resources::AddressPool wanted, const Intent& intent) override {
        const std::string key = wanted.metadata.name;
        return ensure_in(pools_, key, std::move(wanted), intent);
    }
    Result<resources::AddressPool> address_pool(const std::string& name) override { return get(pools_, name); }
    Result<Page<resources::AddressPool>> address_pools(const PageRequest& request) override {
        return page(pools_, request);
    }
    Result<bool> delete_address_pool(const std::string& name, const Intent& intent) override {
        return remove(pools_, name, intent);
    }

    Result<Ensured<resources::Node>> ensure(resources::Node wanted, const Intent& intent) override {
        const std::string key = wanted.metadata.cluster + "/" + wanted.metadata.name;
        return ensure_in(nodes_, key, std::move(wanted), intent);
    }
    Result<resources::Node> node(const std::string& cluster, const std::string& name) override {
        if (throws) throw std::runtime_error("the test's own failure");
        return get(nodes_, cluster + "/" + name);
    }
    Result<Page<resources::Node>> nodes(const PageRequest& request) override {
        if (on_list_nodes) on_list_nodes();
        return page(nodes_, request);
    }
    Result<bool> delete_node(const std::string& cluster, const std::string& name, const Intent& intent) override {
        return remove(nodes_, cluster + "/" + name, intent);
    }

    Result<Ensured<resources::Token>> ensure(resources::Token wanted, const Intent& intent) override {
        const std::string key = wanted.metadata.name;
        auto out = ensure_in(tokens_, key, std::move(wanted), intent);
        if (out.ok() && out.value().created) out.value().object.status.token = "gw_secret";
        return out;
    }
    Result<resources::Token> token(const std::string& name) override { return get(tokens_, name); }
    Result<Page<resources::Token>> tokens(const PageRequest& request) override { return page(tokens_, request); }
    Result<bool> delete_token(const std::string& name, const Intent& intent) override {
        return remove(tokens_, name, intent);
    }
    Result<resources::Token> rotate_token(const std::string& name, const Intent&) override {
        Result<resources::Token> out = get(tokens_, name);
        if (out.ok()) out.value().status.token = "gw_secret_2";
        return out;
    }

    Result<std::vector<resources::SnatAddress>> snat_addresses() override {
        return std::vector<resources::SnatAddress>{{IpAddress::parse("10.0.1.1").value()}};
    }
    Result<Page<resources::Event>> events(const PageRequest& request) override {
        const std::lock_guard lock(mutex_);
        Page<resources::Event> out;
        out.revision = revision_;
        for (const resources::Event& event : events_) {
            if (selects(request.selection, event)) out.items.push_back(event);
        }
        return out;
    }

    Result<std::unique_ptr<Watch>> watch(Kind kind, const Selection& selection, std::uint64_t revision) override {
        const std::lock_guard lock(mutex_);
        if (revision != 0 && revision < oldest_) return expired();
        std::size_t position = 0;
        while (position < log_.size() && log_[position].event.revision <= (revision == 0 ? revision_ : revision)) {
            ++position;
        }
        return std::unique_ptr<Watch>(std::make_unique<FakeWatch>(*this, kind, selection, position));
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
    resources::BgpStatus bgp() override {
        resources::BgpStatus out;
        out.configured = out.daemon_answers = true;
        out.daemon = "bird";
        out.peers = {{"tor1", IpAddress::parse("192.0.2.254").value(), 64513, "Established", true, "20:10:47", 1, ""}};
        return out;
    }
    resources::Maintenance maintenance() override {
        const std::lock_guard lock(mutex_);
        return maintenance_;
    }
    Result<resources::Maintenance> set_maintenance(const resources::Maintenance& wanted, const Intent&) override {
        const std::lock_guard lock(mutex_);
        maintenance_ = wanted;
        maintenance_.withdrawn = wanted.on;
        return maintenance_;
    }
    Result<std::string> backup() override { return std::string("{\"format\":\"guideway-backup\"}\n"); }
    Result<resources::SystemStatus> restore(std::string_view document, const Intent& intent) override {
        {
            const std::lock_guard lock(mutex_);
            if (intent.precondition.version && *intent.precondition.version != revision_) return stale();
            restored = std::string(document);
            ++restores;
        }
        return status();
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
    void set_pool_users(const std::string& name, std::vector<resources::PoolUser> users) {
        const std::lock_guard lock(mutex_);
        pools_.at(name).status.load_balancers = users.size();
        pools_.at(name).status.users = std::move(users);
    }
    void add_event(resources::Event event) {
        const std::lock_guard lock(mutex_);
        event.resource_version = ++revision_;
        resources::Metadata none;
        log_.push_back({Kind::event, none, none, event, {ChangeType::added, revision_, true, encode(event)}});
        events_.push_back(std::move(event));
        changed_.notify_all();
    }
    /// Changes before this revision are kept no more: who wants them gets 410.
    void forget_before(std::uint64_t revision) {
        const std::lock_guard lock(mutex_);
        oldest_ = revision;
        changed_.notify_all();
    }
    /// As if the control plane stopped: watches end.
    void end_watches() {
        const std::lock_guard lock(mutex_);
        ended_ = true;
        changed_.notify_all();
    }

    std::function<void()> on_list_nodes;  ///< set before the server starts
    bool throws = false;                  ///< likewise
    int waits = 0;
    std::string restored;
    int restores = 0;

  private:
    struct LogEntry {
        Kind kind;
        resources::Metadata before, after;  ///< empty name: was not there, is not there
        resources::Event about;             ///< of Kind::event
        WatchEvent event;
    };

    class FakeWatch : public Watch {
      public:
        FakeWatch(FakeAppliance& of, Kind kind, Selection selection, std::size_t position)
            : of_(of), kind_(kind), selection_(std::move(selection)), position_(position) {}
        WatchBatch next(std::chrono::milliseconds wait) override {
            std::unique_lock lock(of_.mutex_);
            WatchBatch out;
            of_.changed_.wait_for(lock, wait, [&] {
                while (position_ < of_.log_.size()) {
                    const LogEntry& entry = of_.log_[position_++];
                    if (entry.event.revision < of_.oldest_) out.too_old = true;
                    if (entry.kind == kind_) take(entry, out.events);
                }
                out.ended = of_.ended_;
                return !out.events.empty() || out.too_old || out.ended;
            });
            out.revision = of_.revision_;
            return out;
        }

      private:
        void take(const LogEntry& entry, std::vector<WatchEvent>& out) const {
            WatchEvent event = entry.event;
            if (kind_ == Kind::event) {
                if (selects(selection_, entry.about)) out.push_back(std::move(event));
                return;
            }
            const bool was = !entry.before.name.empty() && selects(selection_, entry.before);
            const bool is = !entry.after.name.empty() && selects(selection_, entry.after);
            if (!was && !is) return;
            event.type = !was ? ChangeType::added : is ? ChangeType::modified : ChangeType::deleted;
            out.push_back(std::move(event));
        }

        FakeAppliance& of_;
        const Kind kind_;
        const Selection selection_;
        std::size_t position_;
    };

    static std::string balancer_key(const std::string& cluster, const std::string& ns, const std::string& name) {
        return (cluster == resources::kDefaultCluster ? std::string() : cluster + "/") + ns + "/" + name;
    }
    template <class T>
    static constexpr std::optional<Kind> kind_of() {
        if (std::is_same_v<T, resources::LoadBalancer>) return Kind::load_balancer;
        if (std::is_same_v<T, resources::AddressPool>) return Kind::address_pool;
        if (std::is_same_v<T, resources::Node>) return Kind::node;
        return std::nullopt;
    }
    static std::string text_of(const resources::Token&) { return {}; }
    template <class T>
    static std::string text_of(const T& object) {
        return encode(object);
    }
    template <class T>
    void log(const T* before, const T* after) {
        if (const auto kind = kind_of<T>()) {
            log_.push_back({*kind,
                            before != nullptr ? before->metadata : resources::Metadata(),
                            after != nullptr ? after->metadata : resources::Metadata(),
                            {},
                            {ChangeType::added, revision_, true, text_of(after != nullptr ? *after : *before)}});
        }
        changed_.notify_all();
    }

    template <class T>
    Result<Ensured<T>> ensure_in(std::map<std::string, T>& objects, const std::string& key, T wanted,
                                 const Intent& intent) {
        const std::lock_guard lock(mutex_);
        const auto found = objects.find(key);
        if (auto problem = check(found == objects.end() ? nullptr : &found->second, intent)) return *problem;
        Ensured<T> out;
        out.created = found == objects.end();
        out.changed = out.created || !(found->second.spec == wanted.spec) ||
                      found->second.metadata.labels != wanted.metadata.labels;
        if (out.changed) {
            wanted.metadata.resource_version = ++revision_;
            wanted.metadata.generation = out.created ? 1 : found->second.metadata.generation + 1;
            wanted.metadata.creation_timestamp = "2026-01-02T03:04:05Z";
            log(out.created ? nullptr : &found->second, &wanted);
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
    /// `continue` is the last key of the page before.
    template <class T>
    Result<Page<T>> page(const std::map<std::string, T>& objects, const PageRequest& request) {
        const std::lock_guard lock(mutex_);
        Page<T> out;
        out.revision = revision_;
        std::string last;
        for (const auto& [key, object] : objects) {
            if (key <= request.after_token || !selects(request.selection, object.metadata)) continue;
            if (request.limit != 0 && out.items.size() == request.limit) {
                out.next_token = last;
                ++out.remaining;
                continue;
            }
            out.items.push_back(object);
            last = key;
        }
        return out;
    }
    template <class T>
    Result<bool> remove(std::map<std::string, T>& objects, const std::string& key, const Intent& intent,
                        const std::string& uid = {}) {
        const std::lock_guard lock(mutex_);
        const auto found = objects.find(key);
        if (found == objects.end()) {
            if (intent.precondition.must_exist) return stale();
            return false;
        }
        if (auto problem = check(&found->second, intent)) return *problem;
        if (!uid.empty() && found->second.metadata.uid != uid) {
            return resources::Problem{409, "UidConflict", "found another UID", {}};
        }
        ++revision_;
        log<T>(&found->second, nullptr);
        objects.erase(found);
        return true;
    }
    template <class T>
    static std::optional<resources::Problem> check(const T* object, const Intent& intent) {
        const Precondition& wanted = intent.precondition;
        if (wanted.must_exist && object == nullptr) return stale();
        if (wanted.must_be_new && object != nullptr) return stale();
        if (wanted.version && (object == nullptr || object->metadata.resource_version != *wanted.version)) {
            return stale();
        }
        return std::nullopt;
    }
    static resources::Problem stale() { return {412, "PreconditionFailed", "the object has changed since", {}}; }
    static resources::Problem expired() {
        return {410, "Expired", "changes so long ago are not kept; list again and watch from there", {}};
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    bool forwarding_ = false;
    bool ended_ = false;
    std::string not_ready_;
    resources::Maintenance maintenance_;
    std::uint64_t revision_ = 0;
    std::uint64_t oldest_ = 0;
    std::map<std::string, resources::LoadBalancer> load_balancers_;
    std::map<std::string, resources::AddressPool> pools_;
    std::map<std::string, resources::Node> nodes_;
    std::map<std::string, resources::Token> tokens_;
    std::vector<resources::Event> events_;
    std::vector<LogEntry> log_;
};

}  // namespace guideway::rest
