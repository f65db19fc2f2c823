// Reflector: all objects of a kind in the API server, as values of T, kept up to date by a thread of its own. Survives restarts of the
// server, of the network, and of etcd from an older snapshot.
//
// Terms. Key: "namespace/name", or "name" (resource_path.h). Known: what was told and is not gone. Synced: the first list is known.
// Unreadable: an object that is there, but that `decode` refuses: what was known of it before is KEPT and told nobody as gone; it is in
// unreadable() until it can be read or is deleted. So "not known" alone does not mean "not there": who deletes things because their object
// is gone asks exists() first, and synced() before that.
//
// Handlers are told what truly changed: an object that a new list shows as it was known is not told again (T's == decides, or where there
// is none uid and resourceVersion); one that vanished while nobody watched is told as deleted, as it was known last. An object deleted and made
// anew under its name (another uid) is told as deleted, then added, seen or not.
//
// Worked example:
//     Reflector<Service> services({.client = client_options, .list = {.path = kServices.collection()}, .decode = decode_service}, {
//         .on_add = [&](const Service& now) { queue.add(key_of(now)); },
//         .on_change = [&](const Service& before, const Service& now) { queue.add(key_of(now)); },
//         .on_delete = [&](const Service& last) { queue.add(key_of(last)); },
//         .on_synced = [&] { ... }, .on_trouble = [&](const ApiError& error) { log(error.text()); },
//         .on_unreadable = [&](const UnreadableObject& object) { log(object.key, object.faults); }});
//     services.start();
//     if (auto service = services.find("prod/web")) use(*service);
//     services.stop();
//
// Thread contract: find(), all(), exists(), unreadable(), size(), synced(), metrics(): any thread, also from handlers. Handlers are called in the
// reflector's thread, one at a time, without a lock held, after what they tell is to be found by find(); they must not call stop().
// start() once; stop() from any other thread, any number of times; after it no handler is called.
#pragma once

#include <atomic>
#include <concepts>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/contract/decoded.h"
#include "controlplane/kubernetes/client/api_client.h"
#include "controlplane/kubernetes/client/list_watch_loop.h"
#include "controlplane/kubernetes/client/object_meta.h"

namespace guideway::kubernetes {

/// An object that is there, but cannot be read.
struct UnreadableObject {
    std::string key;
    std::string uid;               ///< empty: not readable either
    std::string resource_version;  ///< of the version that cannot be read
    std::vector<contract::Fault> faults;
    bool kept = false;  ///< an earlier version is known, and stays
};

/// Null members: of no interest.
template <class T>
struct ReflectorHandler {
    std::function<void(const T&)> on_add = {};
    std::function<void(const T& before, const T& now)> on_change = {};
    std::function<void(const T&)> on_delete = {};
    std::function<void()> on_synced = {};  ///< once
    std::function<void(const ApiError&)> on_trouble = {};
    std::function<void(const UnreadableObject&)> on_unreadable = {};  ///< for each version that cannot be read
    /// An unreadable object of which nothing was known is gone (one of which something was known is told by on_delete).
    std::function<void(const std::string& key)> on_unreadable_gone = {};
};

template <class T>
struct ReflectorOptions {
    ApiClientOptions client;
    ListWatchOptions list;
    /// Must not throw; what it throws all the same is a fault of the object.
    std::function<contract::Decoded<T>(const nlohmann::json&)> decode;
};

template <class T>
class Reflector {
  public:
    Reflector(ReflectorOptions<T> options, ReflectorHandler<T> handler)
        : decode_(std::move(options.decode)),
          handler_(std::move(handler)),
          client_(std::move(options.client)),
          loop_(client_, std::move(options.list), sink(), metrics_) {}
    ~Reflector() { stop(); }
    Reflector(const Reflector&) = delete;
    Reflector& operator=(const Reflector&) = delete;

    void start();
    void stop();

    /// Null: not known.
    std::shared_ptr<const T> find(const std::string& key) const {
        const std::lock_guard lock(mutex_);
        const auto found = known_.find(key);
        return found == known_.end() ? nullptr : found->second.object;
    }
    /// In the order of their keys.
    std::vector<std::shared_ptr<const T>> all() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::shared_ptr<const T>> out;
        out.reserve(known_.size());
        for (const auto& [key, entry] : known_) out.push_back(entry.object);
        return out;
    }
    /// Known, or there but unreadable.
    bool exists(const std::string& key) const {
        const std::lock_guard lock(mutex_);
        return known_.contains(key) || unreadable_.contains(key);
    }
    std::vector<UnreadableObject> unreadable() const {
        const std::lock_guard lock(mutex_);
        std::vector<UnreadableObject> out;
        out.reserve(unreadable_.size());
        for (const auto& [key, object] : unreadable_) out.push_back(object);
        return out;
    }
    /// Objects without a readable name were in the last list: exists() cannot speak for all.
    bool has_nameless() const { return nameless_; }
    std::size_t size() const {
        const std::lock_guard lock(mutex_);
        return known_.size();
    }
    bool synced() const { return metrics_.synced; }
    const ReflectorMetrics& metrics() const { return metrics_; }

  private:
    struct Entry {
        std::shared_ptr<const T> object;
        std::string uid, resource_version;
    };
    struct Listed {
        ObjectMeta meta;
        contract::Decoded<T> decoded;
    };

    ListWatchSink sink();
    contract::Decoded<T> decode(const nlohmann::json& object) const;
    void end_list();
    bool take_change(WatchEvent&& event);
    void put(const ObjectMeta& meta, contract::Decoded<T> decoded);
    void drop(const std::string& key);
    void note_unreadable(const ObjectMeta& meta, std::vector<contract::Fault> faults);
    void count_objects() {
        metrics_.objects = known_.size();
        metrics_.unreadable = unreadable_.size();
    }
    static bool same(const Entry& before, const Entry& now) {
        if constexpr (std::equality_comparable<T>) {
            return *before.object == *now.object;
        } else {
            return before.resource_version == now.resource_version;
        }
    }

    const std::function<contract::Decoded<T>(const nlohmann::json&)> decode_;
    const ReflectorHandler<T> handler_;
    ReflectorMetrics metrics_;
    ApiClient client_;
    ListWatchLoop loop_;

    std::vector<Listed> listed_;  ///< of the list under way
    bool nameless_in_list_ = false;
    std::atomic<bool> nameless_{false};

    mutable std::mutex mutex_;  ///< of the two below; only the reflector's thread writes
    std::map<std::string, Entry> known_;
    std::map<std::string, UnreadableObject> unreadable_;

    std::mutex start_mutex_;
    std::thread thread_;
    std::atomic<bool> ended_{true};
};

template <class T>
void Reflector<T>::start() {
    const std::lock_guard lock(start_mutex_);
    if (thread_.joinable()) return;
    ended_ = false;
    thread_ = std::thread([this] {
        loop_.run();
        ended_ = true;
    });
}

template <class T>
void Reflector<T>::stop() {
    const std::lock_guard lock(start_mutex_);
    if (!thread_.joinable()) return;
    // One cancel() may come before the call it is meant for.
    while (!ended_) {
        client_.cancel();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    thread_.join();
}

template <class T>
ListWatchSink Reflector<T>::sink() {
    const auto forget = [this] {
        listed_.clear();
        nameless_in_list_ = false;
    };
    return {.on_list_begin = forget,
            .on_list_item =
                [this](nlohmann::json&& object) {
                    ObjectMeta meta = read_meta(object);
                    if (meta.key.empty()) {
                        nameless_in_list_ = true;
                        note_unreadable(meta, {{"/metadata/name", "found no name, allowed a string"}});
                        return;
                    }
                    contract::Decoded<T> decoded = decode(object);
                    listed_.push_back({std::move(meta), std::move(decoded)});
                },
            .on_list_abandoned = forget,
            .on_list_end = [this] { end_list(); },
            .on_change = [this](WatchEvent&& event) { return take_change(std::move(event)); },
            .on_trouble =
                [this](const ApiError& error) {
                    if (handler_.on_trouble) handler_.on_trouble(error);
                }};
}

template <class T>
contract::Decoded<T> Reflector<T>::decode(const nlohmann::json& object) const {
    try {
        return decode_(object);
    } catch (const std::exception& error) {
        return {std::nullopt, {{"", error.what()}}};
    }
}

template <class T>
void Reflector<T>::end_list() {
    std::set<std::string> there;
    for (const Listed& one : listed_) there.insert(one.meta.key);
    nameless_ = nameless_in_list_;
    // Who has no name may be any of those that are missing.
    if (!nameless_in_list_) {
        std::set<std::string> gone;
        for (const auto& [key, entry] : known_) {
            if (!there.contains(key)) gone.insert(key);
        }
        for (const auto& [key, object] : unreadable_) {
            if (!there.contains(key)) gone.insert(key);
        }
        // Those that left first: what they held may be with others now.
        for (const std::string& key : gone) drop(key);
    }
    for (Listed& one : std::exchange(listed_, {})) put(one.meta, std::move(one.decoded));
    if (!metrics_.synced.exchange(true) && handler_.on_synced) handler_.on_synced();
}

template <class T>
bool Reflector<T>::take_change(WatchEvent&& event) {
    const ObjectMeta meta = read_meta(event.object);
    if (meta.key.empty()) {
        note_unreadable(meta, {{"/metadata/name", "found no name, allowed a string"}});
        return false;
    }
    if (event.type == WatchEventType::deleted) {
        drop(meta.key);
    } else {
        put(meta, decode(event.object));
    }
    return true;
}

template <class T>
void Reflector<T>::put(const ObjectMeta& meta, contract::Decoded<T> decoded) {
    if (!decoded.ok()) return note_unreadable(meta, std::move(decoded.faults));
    Entry now{std::make_shared<const T>(*std::move(decoded.value)), meta.uid, meta.resource_version};
    const auto known = known_.find(meta.key);  // only this thread writes
    if (known != known_.end() && known->second.uid != meta.uid) {
        drop(meta.key);
        return put(meta, contract::Decoded<T>{*now.object, {}});
    }
    std::shared_ptr<const T> before;
    const bool changed = known == known_.end() || !same(known->second, now);
    {
        const std::lock_guard lock(mutex_);
        if (known != known_.end()) before = known->second.object;
        known_.insert_or_assign(meta.key, now);
        unreadable_.erase(meta.key);
        count_objects();
    }
    if (!before) {
        if (handler_.on_add) handler_.on_add(*now.object);
    } else if (changed && handler_.on_change) {
        handler_.on_change(*before, *now.object);
    }
}

template <class T>
void Reflector<T>::drop(const std::string& key) {
    std::shared_ptr<const T> last;
    bool was_unreadable = false;
    {
        const std::lock_guard lock(mutex_);
        auto node = known_.extract(key);
        if (!node.empty()) last = node.mapped().object;
        was_unreadable = unreadable_.erase(key) != 0;
        count_objects();
    }
    if (last) {
        if (handler_.on_delete) handler_.on_delete(*last);
    } else if (was_unreadable && handler_.on_unreadable_gone) {
        handler_.on_unreadable_gone(key);
    }
}

template <class T>
void Reflector<T>::note_unreadable(const ObjectMeta& meta, std::vector<contract::Fault> faults) {
    UnreadableObject object{meta.key, meta.uid, meta.resource_version, std::move(faults), false};
    ++metrics_.undecodable;
    if (!meta.key.empty()) {
        const std::lock_guard lock(mutex_);
        object.kept = known_.contains(meta.key);
        unreadable_.insert_or_assign(meta.key, object);
        count_objects();
    }
    if (handler_.on_unreadable) handler_.on_unreadable(object);
}

}  // namespace guideway::kubernetes
