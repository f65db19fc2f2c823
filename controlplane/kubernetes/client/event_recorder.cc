#include "controlplane/kubernetes/client/event_recorder.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <unistd.h>
#include <utility>

#include "controlplane/kubernetes/client/resource_path.h"

namespace guideway::kubernetes {

namespace {

constexpr std::size_t kMaxMessage = 1024;  // what the API takes
constexpr std::size_t kMaxReason = 128;
constexpr std::size_t kMaxName = 200;  // of the object, so that the Event's name stays within 253
constexpr std::size_t kMaxBuckets = 16384;

std::string timestamp_of(std::chrono::system_clock::time_point time) {
    const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
    std::tm parts{};
    gmtime_r(&seconds, &parts);
    std::array<char, 40> text{};
    std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts);
    return text.data();
}

/// Not within a character of UTF-8.
std::string cut(const std::string& text, std::size_t size) {
    if (text.size() <= size) return text;
    while (size > 0 && (static_cast<unsigned char>(text[size]) & 0xC0U) == 0x80U) --size;
    return text.substr(0, size);
}

std::string host_name() {
    std::array<char, 256> host{};
    if (::gethostname(host.data(), host.size() - 1) != 0) host[0] = '\0';
    return host.data();
}

std::string object_of(const ObjectReference& object) {
    return object.kind + "\n" + object.name_space + "\n" + object.name + "\n" + object.uid;
}

}  // namespace

EventRecorder::EventRecorder(EventRecorderOptions options) : options_(std::move(options)), client_(options_.client) {
    if (options_.instance.empty()) options_.instance = host_name();
    if (options_.instance.empty()) options_.instance = options_.component;
    if (!options_.wall) options_.wall = [] { return std::chrono::system_clock::now(); };
}

void EventRecorder::start() {
    const std::lock_guard lock(start_mutex_);
    if (thread_.joinable()) return;
    ended_ = false;
    thread_ = std::thread([this] {
        run();
        ended_ = true;
    });
}

void EventRecorder::stop() {
    const std::lock_guard start_lock(start_mutex_);
    if (!thread_.joinable()) return;
    {
        const std::lock_guard lock(mutex_);
        stopping_ = true;
    }
    woken_.notify_all();
    const auto patience = std::chrono::steady_clock::now() + options_.drain;
    while (!ended_) {
        if (std::chrono::steady_clock::now() >= patience) client_.cancel();
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    thread_.join();
}

std::size_t EventRecorder::waiting() const {
    const std::lock_guard lock(mutex_);
    return line_.size();
}

bool EventRecorder::wait_sent(Milliseconds time) {
    std::unique_lock lock(mutex_);
    return idle_.wait_for(lock, time, [this] { return line_.empty() && !sending_; });
}

bool EventRecorder::allowed(const std::string& object, std::chrono::steady_clock::time_point now) {
    if (options_.object_refill.count() <= 0) return true;
    if (buckets_.size() >= kMaxBuckets && !buckets_.contains(object)) {
        // Those that are full again say nothing.
        const auto whole = options_.object_refill * options_.object_burst;
        std::erase_if(buckets_, [&](const auto& one) { return now - one.second.at >= whole; });
        if (buckets_.size() >= kMaxBuckets) buckets_.clear();
    }
    const auto burst = static_cast<double>(options_.object_burst);
    Bucket& bucket = buckets_.try_emplace(object, Bucket{burst, now}).first->second;
    const double refilled =
        std::chrono::duration<double>(now - bucket.at) / std::chrono::duration<double>(options_.object_refill);
    bucket.tokens = std::min(burst, bucket.tokens + refilled);
    bucket.at = now;
    if (bucket.tokens < 1) return false;
    bucket.tokens -= 1;
    return true;
}

void EventRecorder::record(const ObjectReference& object, EventType type, const std::string& reason,
                           const std::string& message) {
    Pending one{object, type, cut(reason, kMaxReason), cut(message, kMaxMessage), 1, {}, {}};
    one.first = one.last = options_.wall();
    const std::string key =
        object_of(object) + (type == EventType::warning ? "\nW\n" : "\nN\n") + one.reason + "\n" + one.message;
    const std::lock_guard lock(mutex_);
    if (const auto waits = pending_.find(key); waits != pending_.end()) {
        ++waits->second.count;
        waits->second.last = one.last;
        return;
    }
    if (stopping_ || pending_.size() >= options_.queue || !allowed(object_of(object), client_.now())) {
        ++dropped_;
        return;
    }
    pending_.emplace(key, std::move(one));
    line_.push_back(key);
    woken_.notify_one();
}

void EventRecorder::run() {
    std::unique_lock lock(mutex_);
    while (true) {
        woken_.wait(lock, [this] { return stopping_ || !line_.empty(); });
        if (line_.empty() || client_.cancelled()) break;
        const std::string key = std::move(line_.front());
        line_.pop_front();
        const Pending pending = std::move(pending_.extract(key).mapped());
        sending_ = true;
        lock.unlock();
        send(key, pending);
        lock.lock();
        sending_ = false;
        if (line_.empty()) idle_.notify_all();
    }
    dropped_ += line_.size();
    line_.clear();
    pending_.clear();
    idle_.notify_all();
}

void EventRecorder::send(const std::string& key, const Pending& pending) {
    client::Backoff backoff(options_.client.first_pause, options_.client.longest_pause);
    for (unsigned attempt = 1;; ++attempt) {
        if (options_.may_write && !options_.may_write()) {
            ++dropped_;
            return;
        }
        const std::optional<ApiError> error = write(key, pending);
        if (!error) {
            ++written_;
            return;
        }
        // What the server refuses by itself stays refused: the namespace is going, the right is missing, the Event is not valid.
        const bool passes = error->status == 0 || error->status == 429 || error->status >= 500;
        if (!passes || attempt >= options_.tries || error->cancelled() ||
            !client_.sleep(backoff.pause(client_.random()))) {
            ++given_up_;
            if (options_.on_trouble && !error->cancelled()) options_.on_trouble(*error);
            return;
        }
    }
}

std::optional<ApiError> EventRecorder::write(const std::string& key, const Pending& pending) {
    const auto now = client_.now();
    const auto before = sent_.find(key);
    std::uint64_t count = pending.count;
    if (before != sent_.end() && now - before->second.at < options_.remember_for) {
        count += before->second.count;
        const std::string path = before->second.path;
        // The whole new count: sent twice it is the same.
        auto patched =
            client_.patch(path, PatchType::merge, {{"count", count}, {"lastTimestamp", timestamp_of(pending.last)}});
        if (patched.ok()) {
            remember(key, path, count);
            return std::nullopt;
        }
        if (!patched.error().not_found()) return patched.error();
        count = pending.count;  // its time was over (an hour, mostly): a new one
    }
    const ObjectReference& object = pending.object;
    const std::string space = object.name_space.empty() ? "default" : object.name_space;
    // The same however often it is tried, so that a try of which no answer came is found again.
    std::array<char, 48> suffix{};
    std::snprintf(suffix.data(), suffix.size(), ".%llx%06llx",
                  static_cast<unsigned long long>(pending.first.time_since_epoch().count()),
                  static_cast<unsigned long long>(std::hash<std::string>()(key) & 0xffffffU));
    const std::string name = cut(object.name, kMaxName) + suffix.data();
    nlohmann::json involved = {{"apiVersion", object.api_version}, {"kind", object.kind}, {"name", object.name}};
    const auto set = [&](const char* field, const std::string& value) {
        if (!value.empty()) involved[field] = value;
    };
    set("namespace", object.name_space);
    set("uid", object.uid);
    set("resourceVersion", object.resource_version);
    set("fieldPath", object.field_path);
    auto created = client_.create(kEvents.collection(space),
                                  {{"apiVersion", "v1"},
                                   {"kind", "Event"},
                                   {"metadata", {{"namespace", space}, {"name", name}}},
                                   {"involvedObject", std::move(involved)},
                                   {"type", pending.type == EventType::warning ? "Warning" : "Normal"},
                                   {"reason", pending.reason},
                                   {"message", pending.message},
                                   {"count", count},
                                   {"firstTimestamp", timestamp_of(pending.first)},
                                   {"lastTimestamp", timestamp_of(pending.last)},
                                   {"source", {{"component", options_.component}, {"host", options_.instance}}},
                                   {"reportingComponent", options_.component},
                                   {"reportingInstance", options_.instance}});
    // A try before, of which no answer came, made it.
    if (!created.ok() && !created.error().already_exists()) return created.error();
    remember(key, kEvents.object(space, name), count);
    return std::nullopt;
}

void EventRecorder::remember(const std::string& key, std::string path, std::uint64_t count) {
    if (const auto before = sent_.find(key); before != sent_.end()) {
        by_age_.erase(before->second.place);
        sent_.erase(before);
    }
    while (!by_age_.empty() && sent_.size() >= std::max<std::size_t>(options_.remembered, 1)) {
        sent_.erase(by_age_.front());
        by_age_.pop_front();
    }
    by_age_.push_back(key);
    sent_.emplace(key, Sent{std::move(path), count, client_.now(), std::prev(by_age_.end())});
}

}  // namespace guideway::kubernetes
