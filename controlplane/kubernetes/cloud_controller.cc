#include "controlplane/kubernetes/cloud_controller.h"

#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <ctime>
#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include <spdlog/spdlog.h>

#include "api/client/list_watch.h"
#include "controlplane/kubernetes/client/event_recorder.h"
#include "controlplane/kubernetes/client/leader_elector.h"
#include "controlplane/kubernetes/client/reflector.h"
#include "controlplane/kubernetes/client/resource_path.h"
#include "controlplane/kubernetes/client/work_queue.h"
#include "controlplane/kubernetes/controller_metrics.h"
#include "controlplane/kubernetes/node_controller.h"
#include "controlplane/kubernetes/service_controller.h"

namespace guideway::kubernetes {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using SteadyTime = std::chrono::steady_clock::time_point;

std::string utc_now() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    char text[32];
    return {text, std::strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

std::string text_of(const std::vector<contract::Fault>& faults) {
    std::string out;
    for (const contract::Fault& one : faults) out += (out.empty() ? "" : "; ") + one.field + ": " + one.message;
    return out;
}

/// Slices by their Service.
class SliceIndex {
  public:
    void put(std::shared_ptr<const Slice> slice) {
        const std::lock_guard lock(mutex_);
        slices_[slice->service_key()][slice->meta.key()] = std::move(slice);
    }
    void drop(const Slice& slice) {
        const std::lock_guard lock(mutex_);
        const auto found = slices_.find(slice.service_key());
        if (found == slices_.end()) return;
        found->second.erase(slice.meta.key());
        if (found->second.empty()) slices_.erase(found);
    }
    Slices of(const std::string& service) const {
        const std::lock_guard lock(mutex_);
        Slices out;
        if (const auto found = slices_.find(service); found != slices_.end()) {
            for (const auto& [key, slice] : found->second) out.push_back(slice);
        }
        return out;
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, std::map<std::string, std::shared_ptr<const Slice>>> slices_;
};

}  // namespace

struct CloudController::Parts final : ClusterView {
    Parts(Settings given, Access access);
    ~Parts() override { stop(); }

    std::shared_ptr<const Service> service(const std::string& key) const override { return service_watch->find(key); }
    bool service_exists(const std::string& key) const override { return service_watch->exists(key); }
    bool services_complete() const override { return service_watch->synced() && !service_watch->has_nameless(); }
    std::vector<std::shared_ptr<const Service>> services() const override { return service_watch->all(); }
    Slices slices(const std::string& key) const override { return index.of(key); }
    std::map<std::string, std::string> namespace_labels(const std::string& name) const override {
        const auto found = namespace_watch->find(name);
        return found ? found->labels : std::map<std::string, std::string>();
    }

    bool may_write() const { return !stopping && (!elector || elector->is_leader()); }
    bool synced() const {
        return service_watch->synced() && node_watch->synced() && slice_watch->synced() && namespace_watch->synced() &&
               balancers_synced && appliance_nodes_synced;
    }
    void look_at(const Service& one) {
        if (controller->concerns(one)) queue.add(one.meta.key());
    }
    void look_at_service_of(const Slice& slice) {
        if (const auto of = service_watch->find(slice.service_key())) look_at(*of);
    }
    void look_at_all();
    void make_watches();
    void make_appliance_watches();
    void start();
    void stop();
    /// Sleeps; false: to be stopped.
    bool rest_for(milliseconds time);
    void run_leader();
    void work(ApiClient& kubernetes, client::Client& appliance);
    void work_on_nodes(client::Client& appliance);
    void finish(WorkQueue<>& of, const char* kind, const std::string& key, const SyncResult& result, SteadyTime begun);
    template <class T>
    std::unique_ptr<Reflector<T>> watch(const ApiResource& resource,
                                        contract::Decoded<T> (*decode)(const nlohmann::json&),
                                        ReflectorHandler<T> handler);

    const Settings settings;
    ApiClientOptions api;
    client::Options rest;
    ControllerMetrics metrics;
    std::atomic<bool> stopping{false}, begun{false};
    std::atomic<bool> balancers_synced{false}, appliance_nodes_synced{false};
    SliceIndex index;
    ApplianceView<resources::LoadBalancer> balancers;
    ApplianceView<resources::Node> appliance_nodes;
    WorkQueue<> queue, node_queue;
    std::unique_ptr<EventRecorder> events;
    std::unique_ptr<LeaderElector> elector;
    std::unique_ptr<ServiceController> controller;
    std::unique_ptr<NodeController> node_controller;
    std::unique_ptr<Reflector<Service>> service_watch;
    std::unique_ptr<Reflector<Node>> node_watch;
    std::unique_ptr<Reflector<Slice>> slice_watch;
    std::unique_ptr<Reflector<Namespace>> namespace_watch;
    std::unique_ptr<client::ListWatch<resources::LoadBalancer>> balancer_watch;
    std::unique_ptr<client::ListWatch<resources::Node>> appliance_node_watch;
    std::mutex mutex;
    std::condition_variable woken;
    std::vector<std::unique_ptr<ApiClient>> kube_clients;       ///< one a worker; cancelled by stop()
    std::vector<std::unique_ptr<client::Client>> rest_clients;  ///< likewise, and those of nodes and of claims
    std::thread leader;
    std::atomic<unsigned> running{0};
};

CloudController::Parts::Parts(Settings given, Access access) : settings(std::move(given)) {
    api.access = std::move(access);
    api.limiter = std::make_shared<RateLimiter>(settings.requests_per_second, 2 * settings.requests_per_second);
    api.metrics = std::make_shared<ClientMetrics>();
    rest.server = settings.appliance;
    rest.token_file = settings.appliance_token_file;
    rest.ca_file = settings.appliance_ca_file;
    rest.read_timeout = milliseconds(15000);
    rest.retry_for = milliseconds(2000);
    EventRecorderOptions recording;
    recording.client = api;
    recording.may_write = [this] { return may_write(); };
    recording.on_trouble = [](const ApiError& error) { spdlog::warn("event not written error=\"{}\"", error.text()); };
    events = std::make_unique<EventRecorder>(recording);
    if (settings.leader_election) {
        LeaderElectorOptions options;
        options.client = api;
        options.client.limiter = nullptr;  // a renewal must not wait behind other requests
        options.name_space = settings.lease_namespace;
        options.name = settings.lease_name;
        options.identity = LeaderElector::make_identity();
        options.lease_duration = seconds(settings.lease_seconds);
        options.renew_deadline = seconds(settings.renew_seconds);
        options.retry_period = seconds(settings.retry_seconds);
        LeaderHandler handler;
        handler.on_started = [this] {
            spdlog::info("leading");
            woken.notify_all();
            if (begun) look_at_all();
        };
        handler.on_stopped = [] { spdlog::warn("not leading any more, nothing is written"); };
        handler.on_new_leader = [](const std::string& who) { spdlog::info("leader identity=\"{}\"", who); };
        handler.on_trouble = [](const ApiError& error) { spdlog::warn("lease trouble error=\"{}\"", error.text()); };
        elector = std::make_unique<LeaderElector>(options, handler);
    }
    ServiceControllerOptions options;
    options.load_balancer_class = settings.load_balancer_class;
    options.also_without_class = settings.also_without_class;
    options.rules = {settings.cluster, pods_of(settings.pods), settings.ranges_end_established};
    options.full_every = seconds(settings.full_sync_seconds);
    options.timestamp = utc_now;
    options.may_write = [this] { return may_write(); };
    options.event = [this](const Service& of, bool warning, const std::string& reason, const std::string& message) {
        if (!may_write()) return;
        spdlog::log(warning ? spdlog::level::warn : spdlog::level::info, "event service={} reason={} message=\"{}\"",
                    of.meta.key(), reason, message);
        events->record({"v1", "Service", of.meta.name_space, of.meta.name, of.meta.uid},
                       warning ? EventType::warning : EventType::normal, reason, message);
    };
    controller = std::make_unique<ServiceController>(options, *this, balancers);
    NodeRules rules{settings.cluster, settings.drain_unschedulable, settings.drain_timeout_seconds,
                    static_cast<std::uint16_t>(settings.node_health_port), pods_of(settings.pods) == Pods::via_nodes};
    NodeView view{[this](const std::string& name) { return node_watch->find(name); },
                  [this](const std::string& name) { return node_watch->exists(name); },
                  [this] { return node_watch->synced() && !node_watch->has_nameless(); }};
    node_controller = std::make_unique<NodeController>(rules, view, appliance_nodes, [this] { return may_write(); });
    make_watches();
    make_appliance_watches();
}

template <class T>
std::unique_ptr<Reflector<T>> CloudController::Parts::watch(const ApiResource& resource,
                                                            contract::Decoded<T> (*decode)(const nlohmann::json&),
                                                            ReflectorHandler<T> handler) {
    const std::string kind(resource.plural);
    handler.on_synced = [this, kind] {
        spdlog::info("listed kind={}", kind);
        woken.notify_all();
    };
    handler.on_trouble = [kind](const ApiError& error) {
        spdlog::warn("watch trouble kind={} error=\"{}\"", kind, error.text());
    };
    handler.on_unreadable = [kind](const UnreadableObject& object) {
        spdlog::error("object skipped kind={} name={} kept_earlier={} why=\"{}\"", kind, object.key, object.kept,
                      text_of(object.faults));
    };
    ReflectorOptions<T> options;
    options.client = api;
    options.list.path = resource.collection();
    options.decode = decode;
    return std::make_unique<Reflector<T>>(options, handler);
}

void CloudController::Parts::make_watches() {
    ReflectorHandler<Service> of_services;
    of_services.on_add = [this](const Service& now) { look_at(now); };
    of_services.on_change = [this](const Service& before, const Service& now) {
        if (controller->concerns(before)) {
            queue.add(now.meta.key());
        } else {
            look_at(now);
        }
    };
    of_services.on_delete = [this](const Service& last) { queue.add(last.meta.key()); };
    of_services.on_unreadable_gone = [this](const std::string& key) { queue.add(key); };
    service_watch = watch<Service>(kServices, decode_service, of_services);

    ReflectorHandler<Node> of_nodes;
    of_nodes.on_add = [this](const Node& now) { node_queue.add(now.meta.name); };
    of_nodes.on_change = [this](const Node&, const Node& now) { node_queue.add(now.meta.name); };
    of_nodes.on_delete = [this](const Node& last) { node_queue.add(last.meta.name); };
    of_nodes.on_unreadable_gone = [this](const std::string& name) { node_queue.add(name); };
    node_watch = watch<Node>(kNodes, decode_node, of_nodes);

    ReflectorHandler<Slice> of_slices;
    of_slices.on_add = [this](const Slice& now) {
        index.put(std::make_shared<const Slice>(now));
        look_at_service_of(now);
    };
    of_slices.on_change = [this](const Slice& before, const Slice& now) {
        if (before.service_key() != now.service_key()) {
            index.drop(before);
            look_at_service_of(before);
        }
        index.put(std::make_shared<const Slice>(now));
        look_at_service_of(now);
    };
    of_slices.on_delete = [this](const Slice& last) {
        index.drop(last);
        look_at_service_of(last);
    };
    slice_watch = watch<Slice>(kEndpointSlices, decode_endpoint_slice, of_slices);

    ReflectorHandler<Namespace> of_namespaces;
    const auto look_within = [this](const std::string& name) {
        for (const auto& one : service_watch->all()) {
            if (one->meta.name_space == name) look_at(*one);
        }
    };
    of_namespaces.on_add = [look_within](const Namespace& now) { look_within(now.name); };
    of_namespaces.on_change = [look_within](const Namespace&, const Namespace& now) { look_within(now.name); };
    namespace_watch = watch<Namespace>(kNamespaces, decode_namespace, of_namespaces);
}

void CloudController::Parts::make_appliance_watches() {
    client::Options options = rest;
    options.read_timeout = client::Options().read_timeout;
    const client::Selection selection{.cluster = settings.cluster};
    const auto trouble = [](const resources::Problem& problem) {
        spdlog::warn("appliance trouble reason={} error=\"{}\"", problem.reason, problem.detail);
    };
    client::ListWatchHandler<resources::LoadBalancer> of_balancers;
    of_balancers.on_add = [this](const resources::LoadBalancer& now) {
        balancers.put(now);
        queue.add(balancers.key_of(now));
    };
    of_balancers.on_change = [this](const resources::LoadBalancer&, const resources::LoadBalancer& now) {
        balancers.put(now);
        queue.add(balancers.key_of(now));
    };
    of_balancers.on_delete = [this](const resources::LoadBalancer& last) {
        balancers.drop(balancers.key_of(last));
        queue.add(balancers.key_of(last));
    };
    of_balancers.on_synced = [this] {
        balancers_synced = true;
        woken.notify_all();
    };
    of_balancers.on_trouble = trouble;
    balancer_watch = std::make_unique<client::ListWatch<resources::LoadBalancer>>(options, selection, of_balancers);
    client::ListWatchHandler<resources::Node> of_nodes;
    of_nodes.on_add = [this](const resources::Node& now) {
        appliance_nodes.put(now);
        node_queue.add(now.metadata.name);
    };
    of_nodes.on_change = [this](const resources::Node& before, const resources::Node& now) {
        appliance_nodes.put(now);
        // Its conditions change with every probe; only the wish can drift.
        if (!(before.spec == now.spec) || before.metadata.uid != now.metadata.uid ||
            before.metadata.labels != now.metadata.labels)
            node_queue.add(now.metadata.name);
    };
    of_nodes.on_delete = [this](const resources::Node& last) {
        appliance_nodes.drop(last.metadata.name);
        node_queue.add(last.metadata.name);
    };
    of_nodes.on_synced = [this] {
        appliance_nodes_synced = true;
        woken.notify_all();
    };
    of_nodes.on_trouble = trouble;
    appliance_node_watch = std::make_unique<client::ListWatch<resources::Node>>(options, selection, of_nodes);
}

void CloudController::Parts::look_at_all() {
    for (const auto& one : service_watch->all()) look_at(*one);
    for (const auto& one : balancers.all()) queue.add(balancers.key_of(*one));
    for (const auto& one : node_watch->all()) node_queue.add(one->meta.name);
    for (const auto& one : appliance_nodes.all()) node_queue.add(one->metadata.name);
}

bool CloudController::Parts::rest_for(milliseconds time) {
    std::unique_lock lock(mutex);
    woken.wait_for(lock, time, [this] { return stopping.load(); });
    return !stopping;
}

void CloudController::Parts::finish(WorkQueue<>& of, const char* kind, const std::string& key, const SyncResult& result,
                                    SteadyTime begun_at) {
    metrics.synced(kind, result.reason,
                   std::chrono::duration<double>(std::chrono::steady_clock::now() - begun_at).count());
    switch (result.kind) {
        case SyncResult::Kind::done:
            of.forget(key);
            break;
        case SyncResult::Kind::again:
            of.forget(key);
            of.add_after(key, result.after);
            break;
        case SyncResult::Kind::refused:
            of.forget(key);
            spdlog::warn("refused kind={} name={} reason={} error=\"{}\"", kind, key, result.reason, result.message);
            break;
        case SyncResult::Kind::failed: {
            const auto pause = of.failed(key);
            spdlog::warn("failed kind={} name={} reason={} again_in_seconds={} error=\"{}\"", kind, key, result.reason,
                         pause.count() / 1000, result.message);
            break;
        }
    }
    of.done(key);
}

void CloudController::Parts::work(ApiClient& kubernetes, client::Client& appliance) {
    while (const auto key = queue.take()) {
        const auto at = std::chrono::steady_clock::now();
        finish(queue, "service", *key, controller->sync(*key, {kubernetes, appliance}), at);
    }
}

void CloudController::Parts::work_on_nodes(client::Client& appliance) {
    while (const auto name = node_queue.take()) {
        const auto at = std::chrono::steady_clock::now();
        finish(node_queue, "node", *name, node_controller->sync(*name, appliance), at);
    }
}

/// Waits until everything is listed and we lead; then nodes, claims, workers; then only the periodic look at everything.
void CloudController::Parts::run_leader() {
    while (!synced() || !may_write()) {
        if (!rest_for(milliseconds(50))) return;
    }
    std::vector<std::thread> workers;
    workers.emplace_back([this] { work_on_nodes(*rest_clients[0]); });
    look_at_all();
    // A Service before its nodes would be told that there are none.
    for (int i = 0; i < 100 && !stopping && !node_queue.wait_idle(milliseconds(50)); ++i) {
    }
    for (const std::string& key : controller->claimants()) {
        while (!stopping) {
            const SyncResult result = controller->sync(key, {*kube_clients[0], *rest_clients[1]});
            // While the appliance cannot be reached nobody gets an address; whoever is refused waits no longer.
            if (result.kind != SyncResult::Kind::failed || result.reason == "NameTaken") break;
            spdlog::warn("claim waits service={} error=\"{}\"", key, result.message);
            if (balancers.find(key) || !rest_for(milliseconds(1000))) break;
        }
    }
    for (std::size_t i = 0; i < settings.workers; ++i) {
        workers.emplace_back([this, i] { work(*kube_clients[i], *rest_clients[i + 1]); });
    }
    begun = true;
    spdlog::info("working services={} workers={}", controller->ours(), settings.workers);
    while (rest_for(seconds(settings.full_sync_seconds))) look_at_all();
    queue.shutdown();
    node_queue.shutdown();
    for (std::thread& one : workers) one.join();
}

void CloudController::Parts::start() {
    for (unsigned i = 0; i < settings.workers; ++i) kube_clients.push_back(std::make_unique<ApiClient>(api));
    for (unsigned i = 0; i < settings.workers + 1; ++i) rest_clients.push_back(std::make_unique<client::Client>(rest));
    events->start();
    namespace_watch->start();
    slice_watch->start();
    node_watch->start();
    service_watch->start();
    balancer_watch->start();
    appliance_node_watch->start();
    if (elector) elector->start();
    running = 1;
    leader = std::thread([this] {
        run_leader();
        running = 0;
    });
}

void CloudController::Parts::stop() {
    if (!leader.joinable()) return;
    {
        const std::lock_guard lock(mutex);
        stopping = true;
    }
    woken.notify_all();
    queue.shutdown();
    node_queue.shutdown();
    // Calls under way are short, and are let end; those that hang are cut.
    for (int i = 0; running != 0; ++i) {
        if (i > 40) {
            for (auto& one : kube_clients) one->cancel();
            for (auto& one : rest_clients) one->cancel();
        }
        std::this_thread::sleep_for(milliseconds(50));
    }
    leader.join();
    appliance_node_watch->stop();
    balancer_watch->stop();
    service_watch->stop();
    node_watch->stop();
    slice_watch->stop();
    namespace_watch->stop();
    events->stop();
    if (elector) elector->stop();
}

CloudController::CloudController(Settings settings, Access access)
    : parts_(std::make_unique<Parts>(std::move(settings), std::move(access))) {}
CloudController::~CloudController() = default;

void CloudController::start() { parts_->start(); }
void CloudController::stop() { parts_->stop(); }

std::string CloudController::not_ready_reason() const {
    const Parts& p = *parts_;
    if (p.stopping) return "stopping";
    for (const auto& [name, is] : {std::pair{"services", p.service_watch->synced()},
                                   {"nodes", p.node_watch->synced()},
                                   {"endpointslices", p.slice_watch->synced()},
                                   {"namespaces", p.namespace_watch->synced()},
                                   {"load balancers of the appliance", p.balancers_synced.load()},
                                   {"nodes of the appliance", p.appliance_nodes_synced.load()}}) {
        if (!is) return std::string("not listed yet: ") + name;
    }
    if (p.may_write() && !p.begun) return "claims and nodes are being sent first";
    return {};
}

std::string CloudController::metrics() const {
    const Parts& p = *parts_;
    ControllerState state;
    state.leader = p.may_write();
    state.ready = not_ready_reason().empty();
    state.queues = {{"service", p.queue.numbers()}, {"node", p.node_queue.numbers()}};
    state.watches = {{"services", &p.service_watch->metrics()},
                     {"nodes", &p.node_watch->metrics()},
                     {"endpointslices", &p.slice_watch->metrics()},
                     {"namespaces", &p.namespace_watch->metrics()}};
    state.services = p.controller->ours();
    state.load_balancers = p.balancers.all().size();
    state.nodes = p.appliance_nodes.all().size();
    state.requests = p.api.metrics.get();
    state.events_written = p.events->written();
    state.events_lost = p.events->dropped() + p.events->given_up();
    return p.metrics.text(state);
}

}  // namespace guideway::kubernetes
