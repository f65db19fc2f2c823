#include "tests/unit/controlplane/kubernetes/test_world.h"

#include <algorithm>
#include <stdexcept>

#include <httplib.h>
#include <spdlog/spdlog.h>

#include "controlplane/kubernetes/objects/endpoint_slice.h"
#include "controlplane/store/sqlite_store.h"

namespace guideway::kubernetes {
namespace {

using nlohmann::json;
using std::chrono::milliseconds;

ApiClientOptions kubernetes_options(const std::string& url) {
    ApiClientOptions options;
    options.access.server = url;
    options.retry_for = milliseconds(0);
    return options;
}

client::Options appliance_options(const std::string& url) {
    client::Options options;
    options.server = url;
    return options;
}

void cut(httplib::Response& response) {
    response.status = 200;
    response.body.clear();
    response.set_content_provider(1000, "application/json",
                                  [](std::size_t, std::size_t, httplib::DataSink&) { return false; });
}

}  // namespace

TestWorld::TestWorld() : gate_(std::make_unique<httplib::Server>()) {
    spdlog::set_level(spdlog::level::off);
    auto opened = store::SqliteStore::open(folder_.file("store.db"));
    controlplane::ManagerOptions options;
    options.link.socket = folder_.file("dp.sock");  // nobody there: what is wished is not yet forwarded
    options.link.first_backoff = milliseconds(50);
    auto managed = controlplane::Manager::open(std::move(std::get<std::unique_ptr<store::SqliteStore>>(opened)),
                                               options, metrics_);
    if (const auto* why = std::get_if<std::string>(&managed)) throw std::runtime_error(*why);
    manager_ = std::move(std::get<std::unique_ptr<controlplane::Manager>>(managed));
    resources::AddressPool pool;
    pool.metadata.name = "a";
    pool.spec.addresses = {"203.0.113.10-203.0.113.13"};
    if (!manager_->ensure(pool, {}).ok()) throw std::runtime_error("the pool is not taken");
    server_ = std::make_unique<rest::Server>(*manager_, rest::ServerOptions());
    const rest::Started started = server_->start("127.0.0.1", 0);
    if (!started.ok()) throw std::runtime_error(started.error);
    direct_url_ = "http://127.0.0.1:" + std::to_string(started.port);

    const auto pass = [this](const httplib::Request& request, httplib::Response& response) {
        const FakeFault fault = called(request.method + " " + request.path);
        if (fault == FakeFault::not_carried_out) return cut(response);
        httplib::Client on(direct_url_);
        httplib::Request same;
        same.method = request.method;
        same.path = request.target;
        same.body = request.body;
        for (const char* name : {"Content-Type", "If-Match", "If-None-Match", "Authorization"}) {
            if (request.has_header(name)) same.set_header(name, request.get_header_value(name));
        }
        const auto answer = on.send(same);
        if (!answer || fault == FakeFault::answer_lost) return cut(response);
        response.status = answer->status;
        for (const char* name : {"ETag", "Location"}) {
            if (answer->has_header(name)) response.set_header(name, answer->get_header_value(name));
        }
        response.set_content(answer->body, answer->get_header_value("Content-Type"));
    };
    gate_->set_tcp_nodelay(true);
    gate_->Get(".*", pass);
    gate_->Put(".*", pass);
    gate_->Post(".*", pass);
    gate_->Patch(".*", pass);
    gate_->Delete(".*", pass);
    const int port = gate_->bind_to_any_port("127.0.0.1");
    gate_url_ = "http://127.0.0.1:" + std::to_string(port);
    gate_thread_ = std::thread([this] { gate_->listen_after_bind(); });
    while (!gate_->is_running()) std::this_thread::yield();
    api.fault_by([this](const std::string& what) { return called(what); });
}

TestWorld::~TestWorld() {
    api.fault_by(nullptr);
    gate_->stop();
    gate_thread_.join();
    manager_->stop();
    server_->stop();
}

FakeFault TestWorld::called(const std::string& what) {
    const std::lock_guard lock(mutex_);
    calls_.push_back(what);
    return decide_ ? decide_(calls_.size(), what) : FakeFault::none;
}

void TestWorld::fault_by(std::function<FakeFault(std::size_t, const std::string&)> decide) {
    const std::lock_guard lock(mutex_);
    decide_ = std::move(decide);
}

void TestWorld::calls_from_now() {
    const std::lock_guard lock(mutex_);
    calls_.clear();
}

std::vector<std::string> TestWorld::calls() const {
    const std::lock_guard lock(mutex_);
    return calls_;
}

std::vector<std::string> TestWorld::writes() const {
    std::vector<std::string> out;
    for (const std::string& one : calls()) {
        if (!one.starts_with("GET ") && !one.starts_with("WATCH ")) out.push_back(one);
    }
    return out;
}

void TestWorld::service(const std::string& name, const json& spec, const json& meta) {
    json object = json::parse(R"({"metadata": {"creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {"type": "LoadBalancer", "clusterIPs": ["10.96.0.7"], "ipFamilies": ["IPv4"],
                 "ports": [{"name": "http", "protocol": "TCP", "port": 80, "nodePort": 30080}]}, "status": {}})");
    object["spec"].merge_patch(spec);
    object["metadata"].merge_patch(meta);
    api.put(kServicePath, "prod", name, object);
}

void TestWorld::change(const std::string& name, const json& merge) {
    json object = get(name);
    object.merge_patch(merge);
    api.put(kServicePath, "prod", name, object);
}

void TestWorld::node(const std::string& name, const json& fields) {
    json object = json::parse(R"({"metadata": {}, "spec": {},
        "status": {"addresses": [{"type": "InternalIP", "address": "10.0.2.11"}]}})");
    object.merge_patch(fields);
    api.put(kNodePath, "", name, object);
}

std::vector<resources::LoadBalancer> TestWorld::balancers() const { return manager_->load_balancers({}).value().items; }

std::vector<resources::Node> TestWorld::nodes() const { return manager_->nodes({}).value().items; }

std::uint64_t TestWorld::allocated() const {
    std::uint64_t sum = 0;
    const auto pools = manager_->address_pools({});
    for (const auto& pool : pools.value().items) sum += pool.status.ipv4.allocated;
    return sum;
}

resources::LoadBalancer TestWorld::balancer(const std::string& uid, const std::string& cluster) const {
    resources::LoadBalancer made;
    made.metadata.cluster = cluster;
    made.metadata.namespace_ = "prod";
    made.metadata.name = "web";
    made.metadata.uid = uid;
    made.spec.ports = {{"http", contract::Protocol::tcp, 80, 30080}};
    return made;
}

// ------------------------------------------------------------------------------------------------ a life

Life::Life(TestWorld& world, ServiceControllerOptions options)
    : world_(world),
      kubernetes_(kubernetes_options(world.api.url())),
      appliance_(appliance_options(world.appliance_url())) {
    options.rules.cluster = kCluster;
    options.now = [this] { return now; };
    options.timestamp = [] { return std::string("2026-01-01T00:00:00Z"); };
    options.may_write = [this] { return may_write(); };
    options.event = [this](const Service&, bool warning, const std::string& reason, const std::string&) {
        events.push_back((warning ? "Warning " : "Normal ") + reason);
    };
    controller_ = std::make_unique<ServiceController>(options, *this, balancers_);
    NodeRules rules;
    rules.cluster = kCluster;
    NodeView view{[this](const std::string& name) {
                      const auto found = nodes_.find(name);
                      return found == nodes_.end() ? nullptr : found->second;
                  },
                  [this](const std::string& name) { return nodes_.contains(name); }, [this] { return nodes_complete; }};
    node_controller_ = std::make_unique<NodeController>(rules, view, appliance_nodes_, [this] { return may_write(); });
    look();
}

void Life::look() {
    services_.clear();
    nodes_.clear();
    slices_.clear();
    for (const json& one : world_.api.objects(kServicePath)) {
        auto decoded = decode_service(one);
        services_[one["metadata"]["namespace"].get<std::string>() + "/" + one["metadata"]["name"].get<std::string>()] =
            decoded.ok() ? std::make_shared<const Service>(*decoded.value) : nullptr;
    }
    for (const json& one : world_.api.objects(kNodePath)) {
        auto decoded = decode_node(one);
        nodes_[one["metadata"]["name"].get<std::string>()] =
            decoded.ok() ? std::make_shared<const Node>(*decoded.value) : nullptr;
    }
    for (const json& one : world_.api.objects("/apis/discovery.k8s.io/v1/endpointslices")) {
        auto decoded = decode_endpoint_slice(one);
        if (decoded.ok())
            slices_[decoded.value->service_key()].push_back(std::make_shared<const Slice>(*decoded.value));
    }
    for (const auto& one : balancers_.all()) balancers_.drop(balancers_.key_of(*one));
    for (const auto& one : appliance_nodes_.all()) appliance_nodes_.drop(one->metadata.name);
    rest::PageRequest of_cluster;
    of_cluster.selection.cluster = kCluster;
    const auto balancers = world_.manager().load_balancers(of_cluster);
    for (const auto& one : balancers.value().items) balancers_.put(one);
    const auto nodes = world_.manager().nodes(of_cluster);
    for (const auto& one : nodes.value().items) appliance_nodes_.put(one);
}

SyncResult Life::sync(const std::string& key) {
    SyncResult result = controller_->sync(key, {kubernetes_, appliance_});
    if (!result.ok()) failures.push_back(result);
    return result;
}

SyncResult Life::sync_node(const std::string& name) {
    SyncResult result = node_controller_->sync(name, appliance_);
    if (!result.ok()) failures.push_back(result);
    return result;
}

bool Life::round(const std::function<bool()>& alive) {
    look();
    std::vector<std::string> keys;
    for (const auto& [key, service] : services_) keys.push_back(key);
    for (const auto& one : balancers_.all()) {
        const std::string key = balancers_.key_of(*one);
        if (!services_.contains(key)) keys.push_back(key);
    }
    bool quiet = true;
    for (const std::string& key : keys) {
        const SyncResult result = sync(key);
        if (alive && !alive()) return false;
        if (result.kind == SyncResult::Kind::again) {
            now += result.after;
            quiet = false;
        }
        if (result.kind == SyncResult::Kind::failed) quiet = false;
    }
    return quiet;
}

bool Life::settle() {
    for (int i = 0; i < 30; ++i) {
        const std::size_t before = world_.writes().size();
        if (round() && world_.writes().size() == before) return true;
    }
    return false;
}

std::shared_ptr<const Service> Life::service(const std::string& key) const {
    const auto found = services_.find(key);
    return found == services_.end() ? nullptr : found->second;
}

std::vector<std::shared_ptr<const Service>> Life::services() const {
    std::vector<std::shared_ptr<const Service>> out;
    for (const auto& [key, service] : services_) {
        if (service) out.push_back(service);
    }
    return out;
}

Slices Life::slices(const std::string& key) const {
    const auto found = slices_.find(key);
    return found == slices_.end() ? Slices() : found->second;
}

}  // namespace guideway::kubernetes
