#include "tests/unit/controlplane/kubernetes/client/fake_api_server.h"

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <csignal>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <utility>

#include <httplib.h>

namespace guideway::testing {

namespace {

using nlohmann::json;

struct Change {
    std::uint64_t revision;
    std::string collection, name_space, line;
};

struct Data {
    std::uint64_t revision = 100;
    std::uint64_t compacted = 0;
    std::map<std::string, std::map<std::string, json>> objects;  // by collection, by "namespace/name"
    std::vector<Change> history;
};

json status(int code, const std::string& reason, const std::string& message) {
    return {{"kind", "Status"}, {"status", "Failure"}, {"code", code}, {"reason", reason}, {"message", message}};
}

struct Target {
    std::string collection, name_space, name, subresource = {};
};

/// "/api/v1/namespaces/prod/services/web" -> {"/api/v1/services", "prod", "web"}.
Target parse(const std::string& path) {
    std::vector<std::string> parts;
    for (std::size_t at = 1; at <= path.size();) {
        const std::size_t end = std::min(path.find('/', at), path.size());
        parts.push_back(path.substr(at, end - at));
        at = end + 1;
    }
    const std::size_t group = parts.front() == "api" ? 2 : 3;
    Target out;
    for (std::size_t i = 0; i < group; ++i) out.collection += "/" + parts.at(i);
    std::size_t next = group;
    if (parts.at(next) == "namespaces" && parts.size() > next + 2) {
        out.name_space = parts[next + 1];
        next += 2;
    }
    out.collection += "/" + parts.at(next++);
    if (next < parts.size()) out.name = parts[next++];
    if (next < parts.size()) out.subresource = parts[next];
    return out;
}

/// As Kubernetes' strategic merge patch does with what the cloud controller writes: finalizers are a set, conditions are merged by
/// their type, ingress is replaced; the rest as RFC 7396.
json strategic(json object, json patch) {
    json finalizers = object["metadata"].value("finalizers", json::array());
    if (auto& meta = patch["metadata"]; meta.is_object()) {
        for (const json& gone : meta.value("$deleteFromPrimitiveList/finalizers", json::array())) {
            finalizers.erase(std::remove(finalizers.begin(), finalizers.end(), gone), finalizers.end());
        }
        for (const json& one : meta.value("finalizers", json::array())) {
            if (std::find(finalizers.begin(), finalizers.end(), one) == finalizers.end()) finalizers.push_back(one);
        }
        meta.erase("finalizers");
        meta.erase("$deleteFromPrimitiveList/finalizers");
    }
    if (patch.contains("status") && patch["status"].contains("conditions")) {
        json conditions = object.value("/status/conditions"_json_pointer, json::array());
        for (const json& one : patch["status"]["conditions"]) {
            const auto same = std::find_if(conditions.begin(), conditions.end(),
                                           [&](const json& other) { return other["type"] == one["type"]; });
            if (same == conditions.end()) {
                conditions.push_back(one);
            } else {
                same->merge_patch(one);
            }
        }
        patch["status"]["conditions"] = conditions;
    }
    object.merge_patch(patch);
    object["metadata"]["finalizers"] = finalizers;
    if (finalizers.empty()) object["metadata"].erase("finalizers");
    return object;
}

std::string key_of(const std::string& name_space, const std::string& name) { return name_space + "/" + name; }

}  // namespace

struct FakeApiServer::State {
    std::unique_ptr<httplib::Server> server;
    std::thread thread;
    std::string base;
    mutable std::mutex mutex;
    mutable std::condition_variable changed;
    Data data;
    std::vector<FakeSeen> seen;
    std::deque<FakeRefusal> refusals;
    std::string token;
    bool held = false, ended = false;
    std::size_t watches = 0;
    std::uint64_t watch_ends = 0;
    bool within_line = false;
    std::vector<std::string> raw;  // to open watches
    std::uint64_t uid = 0;
    std::function<FakeFault(const std::string&)> fault;

    std::uint64_t store(const Target& target, json object, const char* type) {
        const std::uint64_t revision = ++data.revision;
        object["metadata"]["resourceVersion"] = std::to_string(revision);
        auto& objects = data.objects[target.collection];
        const std::string key = key_of(target.name_space, target.name);
        if (std::string(type) == "DELETED") {
            objects.erase(key);
        } else {
            objects[key] = object;
        }
        const std::string line = json{{"type", type}, {"object", object}}.dump() + "\n";
        data.history.push_back({revision, target.collection, target.name_space, line});
        changed.notify_all();
        return revision;
    }

    void name(const Target& target, json& object) {
        json& meta = object["metadata"];
        meta["name"] = target.name;
        if (!target.name_space.empty()) meta["namespace"] = target.name_space;
        if (!meta.contains("uid")) meta["uid"] = "uid-" + std::to_string(++uid);
    }

    static void answer(httplib::Response& response, int code, const json& body) {
        response.status = code;
        response.set_content(body.dump(), "application/json");
    }

    /// The connection ends before the answer.
    static void cut(httplib::Response& response) {
        response.status = 200;
        response.body.clear();
        response.set_content_provider(1000, "application/json",
                                      [](std::size_t, std::size_t, httplib::DataSink&) { return false; });
    }

    /// True: it is answered.
    bool misbehave(const httplib::Request& request, httplib::Response& response, bool& drop) {
        std::unique_lock lock(mutex);
        const bool watch = request.has_param("watch");
        const std::string verb = watch ? "WATCH" : request.method;
        seen.push_back({request.method + " " + request.target, request.body, request.get_header_value("Content-Type"),
                        request.get_header_value("Authorization"), request.get_header_value("User-Agent"),
                        request.get_header_value("Host")});
        changed.notify_all();
        changed.wait(lock, [this] { return !held || ended; });
        if (fault) {
            const FakeFault now = fault(verb + " " + request.path);
            if (now == FakeFault::not_carried_out) {
                cut(response);
                return true;
            }
            if (now == FakeFault::too_many) {
                answer(response, 429, status(429, "TooManyRequests", "too many requests, please try again later"));
                response.set_header("Retry-After", "1");
                return true;
            }
            drop = now == FakeFault::answer_lost;
        }
        if (!token.empty() && request.get_header_value("Authorization") != "Bearer " + token) {
            answer(response, 401, status(401, "Unauthorized", "Unauthorized"));
            return true;
        }
        if (refusals.empty()) return false;
        const FakeRefusal one = refusals.front();
        if (!one.only.empty() && one.only != verb) return false;
        refusals.pop_front();
        if (one.drop) {
            drop = true;
            return false;
        }
        response.status = one.status;
        response.set_content(one.body, "application/json");
        if (!one.retry_after.empty()) response.set_header("Retry-After", one.retry_after);
        return true;
    }

    void list(const Target& target, const httplib::Request& request, httplib::Response& response) {
        const std::lock_guard lock(mutex);
        std::size_t from = 0, limit = 0;
        std::uint64_t revision = data.revision;
        if (request.has_param("limit")) limit = std::stoul(request.get_param_value("limit"));
        if (request.has_param("continue")) {
            const std::string token_text = request.get_param_value("continue");
            from = std::stoul(token_text.substr(0, token_text.find(':')));
            revision = std::stoull(token_text.substr(token_text.find(':') + 1));
            if (revision < data.compacted) return answer(response, 410, status(410, "Expired", "the token is too old"));
        }
        json items = json::array();
        std::size_t index = 0;
        bool more = false;
        for (const auto& [key, object] : data.objects[target.collection]) {
            if (!target.name_space.empty() && !key.starts_with(target.name_space + "/")) continue;
            if (index++ < from) continue;
            if (limit != 0 && items.size() == limit) {
                more = true;
                break;
            }
            items.push_back(object);
        }
        json meta = {{"resourceVersion", std::to_string(revision)}};
        if (more) meta["continue"] = std::to_string(from + limit) + ":" + std::to_string(revision);
        answer(response, 200, {{"kind", "List"}, {"metadata", meta}, {"items", items}});
    }

    void watch(const Target& target, const httplib::Request& request, httplib::Response& response) {
        const std::uint64_t from = std::stoull(request.get_param_value("resourceVersion"));
        {
            const std::lock_guard lock(mutex);
            if (from < data.compacted) {
                response.set_content(
                    json{{"type", "ERROR"}, {"object", status(410, "Expired", "too old resource version")}}.dump() +
                        "\n",
                    "application/json");
                return;
            }
            ++watches;
        }
        struct Position {
            std::uint64_t revision;
            std::size_t raw;
            std::uint64_t ends;
        };
        auto at = std::make_shared<Position>();
        {
            const std::lock_guard lock(mutex);
            *at = {from, raw.size(), watch_ends};
            changed.notify_all();
        }
        response.set_chunked_content_provider(
            "application/json",
            [this, at, target](std::size_t, httplib::DataSink& sink) {
                std::string out;
                bool end = false, abrupt = false;
                {
                    std::unique_lock lock(mutex);
                    const auto collect = [&] {
                        for (const Change& change : data.history) {
                            if (change.revision <= at->revision || change.collection != target.collection) continue;
                            if (!target.name_space.empty() && change.name_space != target.name_space) continue;
                            out += change.line;
                        }
                        // Nothing of the past, as a real one: a watch of a revision to come waits for that.
                        at->revision = std::max(at->revision, data.revision);
                        for (; at->raw < raw.size(); ++at->raw) out += raw[at->raw];
                        return !out.empty() || ended || watch_ends != at->ends;
                    };
                    changed.wait(lock, collect);
                    end = ended || watch_ends != at->ends;
                    abrupt = ended || within_line;
                }
                if (end && abrupt) {
                    static const std::string kHalf = R"({"type":"ADDED","object":{"metadata":{"name":"ha)";
                    sink.write(kHalf.data(), kHalf.size());
                    return false;
                }
                if (!out.empty() && !sink.write(out.data(), out.size())) return false;
                if (end) sink.done();
                return true;
            },
            [this](bool) {
                const std::lock_guard lock(mutex);
                --watches;
                changed.notify_all();
            });
    }

    void change(const Target& target, const httplib::Request& request, httplib::Response& response) {
        const std::lock_guard lock(mutex);
        auto& objects = data.objects[target.collection];
        const json body = request.body.empty() ? json() : json::parse(request.body);
        if (request.method == "POST") {
            Target named = target;
            named.name = body.at("metadata").at("name").get<std::string>();
            if (objects.contains(key_of(named.name_space, named.name))) {
                return answer(response, 409, status(409, "AlreadyExists", named.name + " already exists"));
            }
            json object = body;
            name(named, object);
            store(named, object, "ADDED");
            return answer(response, 201, objects.at(key_of(named.name_space, named.name)));
        }
        const auto found = objects.find(key_of(target.name_space, target.name));
        if (found == objects.end()) {
            return answer(response, 404, status(404, "NotFound", "\"" + target.name + "\" not found"));
        }
        if (request.method == "DELETE") {
            if (body.is_object() && body.contains("preconditions") &&
                body["preconditions"]["uid"] != found->second["metadata"]["uid"]) {
                return answer(response, 409, status(409, "Conflict", "the UID in the precondition does not match"));
            }
            const json last = found->second;
            delete_or_mark(target);
            return answer(response, 200, last);
        }
        json object = found->second;
        if (request.method == "PATCH") {
            const json asked = body.value("/metadata/uid"_json_pointer, json());
            if (!asked.is_null() && asked != object["metadata"]["uid"]) {
                return answer(response, 409, status(409, "Conflict", "the UID in the precondition does not match"));
            }
            json patch = body;
            // The status is a subresource: each of the two paths passes over what is the other's.
            if (target.subresource == "status") {
                patch = {{"metadata", json::object()}, {"status", body.value("status", json::object())}};
                if (const json version = body.value("/metadata/resourceVersion"_json_pointer, json());
                    !version.is_null()) {
                    patch["metadata"]["resourceVersion"] = version;
                }
            }
            const std::string type = request.get_header_value("Content-Type");
            if (type.find("strategic") != std::string::npos) {
                if (target.subresource.empty()) patch.erase("status");
                object = strategic(object, patch);
            } else {
                object.merge_patch(patch);
            }
            const bool deleting = object["metadata"].contains("deletionTimestamp");
            if (deleting && found->second["metadata"].value("finalizers", json::array()).size() <
                                object["metadata"].value("finalizers", json::array()).size()) {
                return answer(response, 422,
                              status(422, "Invalid",
                                     "metadata.finalizers: Forbidden: no new finalizers can be added "
                                     "if the object is being deleted"));
            }
        } else {
            object = body;
        }
        const json version = object["metadata"].value("resourceVersion", json());
        if (version.is_string() && version != found->second["metadata"]["resourceVersion"]) {
            return answer(response, 409, status(409, "Conflict", "the object has been modified"));
        }
        object["metadata"]["uid"] = found->second["metadata"]["uid"];
        const bool gone = object["metadata"].contains("deletionTimestamp") &&
                          object["metadata"].value("finalizers", json::array()).empty();
        json same = object;
        same["metadata"]["resourceVersion"] = found->second["metadata"]["resourceVersion"];
        if (!gone && same == found->second) return answer(response, 200, same);  // nothing changes: no new revision
        object["metadata"]["resourceVersion"] = std::to_string(store(target, object, gone ? "DELETED" : "MODIFIED"));
        answer(response, 200, object);
    }

    /// With finalizers it only gets a deletionTimestamp.
    void delete_or_mark(const Target& target) {
        json last = data.objects[target.collection].at(key_of(target.name_space, target.name));
        if (last["metadata"].value("finalizers", json::array()).empty()) {
            store(target, last, "DELETED");
        } else {
            last["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
            store(target, last, "MODIFIED");
        }
    }

    void serve(const httplib::Request& request, httplib::Response& response) {
        bool drop = false;
        if (misbehave(request, response, drop)) return;
        const Target target = parse(request.path);
        if (request.method == "GET" && request.has_param("watch")) {
            watch(target, request, response);
        } else if (request.method == "GET" && target.name.empty()) {
            list(target, request, response);
        } else if (request.method == "GET") {
            const std::lock_guard lock(mutex);
            auto& objects = data.objects[target.collection];
            const auto found = objects.find(key_of(target.name_space, target.name));
            if (found == objects.end()) {
                answer(response, 404, status(404, "NotFound", "\"" + target.name + "\" not found"));
            } else {
                answer(response, 200, found->second);
            }
        } else {
            change(target, request, response);
        }
        if (drop) cut(response);
    }
};

FakeApiServer::FakeApiServer(const std::string& address, const Tls* tls) : state_(std::make_unique<State>()) {
    std::signal(SIGPIPE, SIG_IGN);
    State& state = *state_;
    if (tls != nullptr) {
        state.server = std::make_unique<httplib::SSLServer>(tls->certificate.c_str(), tls->key.c_str(),
                                                            tls->client_ca.empty() ? nullptr : tls->client_ca.c_str());
    } else {
        state.server = std::make_unique<httplib::Server>();
    }
    state.server->new_task_queue = [] { return new httplib::ThreadPool(16); };
    state.server->set_tcp_nodelay(true);
    const auto handler = [&state](const httplib::Request& request, httplib::Response& response) {
        state.serve(request, response);
    };
    state.server->Get(".*", handler);
    state.server->Post(".*", handler);
    state.server->Put(".*", handler);
    state.server->Patch(".*", handler);
    state.server->Delete(".*", handler);
    const int port = state.server->bind_to_any_port(address.c_str());
    state.base = std::string(tls != nullptr ? "https://" : "http://") +
                 (address.find(':') == std::string::npos ? address : "[" + address + "]") + ":" + std::to_string(port);
    state.thread = std::thread([&state] { state.server->listen_after_bind(); });
    while (!state.server->is_running()) std::this_thread::yield();
}

FakeApiServer::~FakeApiServer() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->ended = true;
        state_->changed.notify_all();
    }
    state_->server->stop();
    state_->thread.join();
}

std::string FakeApiServer::url() const { return state_->base; }

std::uint64_t FakeApiServer::put(const std::string& collection, const std::string& name_space, const std::string& name,
                                 json fields) {
    const std::lock_guard lock(state_->mutex);
    const Target target{collection, name_space, name};
    auto& objects = state_->data.objects[collection];
    const auto before = objects.find(key_of(name_space, name));
    json object = fields.is_null() ? json::object() : std::move(fields);
    if (before != objects.end() && !object["metadata"].contains("uid")) {
        object["metadata"]["uid"] = before->second["metadata"]["uid"];
    }
    state_->name(target, object);
    return state_->store(target, object, before == objects.end() ? "ADDED" : "MODIFIED");
}

void FakeApiServer::remove(const std::string& collection, const std::string& name_space, const std::string& name) {
    const std::lock_guard lock(state_->mutex);
    const json last = state_->data.objects[collection].at(key_of(name_space, name));
    state_->store({collection, name_space, name}, last, "DELETED");
}

json FakeApiServer::object(const std::string& collection, const std::string& name_space,
                           const std::string& name) const {
    const std::lock_guard lock(state_->mutex);
    const auto& objects = state_->data.objects[collection];
    const auto found = objects.find(key_of(name_space, name));
    return found == objects.end() ? json() : found->second;
}

std::vector<json> FakeApiServer::objects(const std::string& collection) const {
    const std::lock_guard lock(state_->mutex);
    std::vector<json> out;
    for (const auto& [key, object] : state_->data.objects[collection]) out.push_back(object);
    return out;
}

std::uint64_t FakeApiServer::revision() const {
    const std::lock_guard lock(state_->mutex);
    return state_->data.revision;
}

void FakeApiServer::compact() {
    const std::lock_guard lock(state_->mutex);
    state_->data.compacted = ++state_->data.revision;
    state_->data.history.clear();
}

void FakeApiServer::bookmark() {
    const std::lock_guard lock(state_->mutex);
    const json object = {{"metadata", {{"resourceVersion", std::to_string(state_->data.revision)}}}};
    state_->raw.push_back(json{{"type", "BOOKMARK"}, {"object", object}}.dump() + "\n");
    state_->changed.notify_all();
}

void FakeApiServer::end_watches(bool within_line) {
    const std::lock_guard lock(state_->mutex);
    ++state_->watch_ends;
    state_->within_line = within_line;
    state_->changed.notify_all();
}

void FakeApiServer::send_raw(const std::string& bytes) {
    const std::lock_guard lock(state_->mutex);
    state_->raw.push_back(bytes);
    state_->changed.notify_all();
}

void FakeApiServer::refuse(std::vector<FakeRefusal> refusals) {
    const std::lock_guard lock(state_->mutex);
    state_->refusals.assign(refusals.begin(), refusals.end());
}

void FakeApiServer::request_deletion(const std::string& collection, const std::string& name_space,
                                     const std::string& name) {
    const std::lock_guard lock(state_->mutex);
    state_->delete_or_mark({collection, name_space, name});
}

void FakeApiServer::fault_by(std::function<FakeFault(const std::string&)> decide) {
    const std::lock_guard lock(state_->mutex);
    state_->fault = std::move(decide);
}

void FakeApiServer::require_token(const std::string& token) {
    const std::lock_guard lock(state_->mutex);
    state_->token = token;
}

void FakeApiServer::hold() {
    const std::lock_guard lock(state_->mutex);
    state_->held = true;
}

void FakeApiServer::release() {
    const std::lock_guard lock(state_->mutex);
    state_->held = false;
    state_->changed.notify_all();
}

std::shared_ptr<void> FakeApiServer::snapshot() const {
    const std::lock_guard lock(state_->mutex);
    return std::make_shared<Data>(state_->data);
}

void FakeApiServer::restore(const std::shared_ptr<void>& snapshot) {
    const std::lock_guard lock(state_->mutex);
    state_->data = *std::static_pointer_cast<Data>(snapshot);
}

std::vector<FakeSeen> FakeApiServer::seen() const {
    const std::lock_guard lock(state_->mutex);
    return state_->seen;
}

std::size_t FakeApiServer::open_watches() const {
    const std::lock_guard lock(state_->mutex);
    return state_->watches;
}

bool FakeApiServer::wait_for(const std::function<bool()>& condition) const {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (!condition()) {
        if (std::chrono::steady_clock::now() > end) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    return true;
}

bool FakeApiServer::wait_for_watches(std::size_t count) const {
    return wait_for([&] { return open_watches() == count; });
}

}  // namespace guideway::testing
