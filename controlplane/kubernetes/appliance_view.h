// ApplianceView: what the appliance has of our cluster, as its watch and our own writes tell: load balancers by "namespace/name", nodes by name.
//
// Our own write is taken in at once, so that the next look does not wait for the watch; a version older than the one known is passed over.
// Thread contract: any thread.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "api/resources/load_balancer.h"
#include "api/resources/node.h"

namespace guideway::kubernetes {

template <class T>
class ApplianceView {
  public:
    static std::string key_of(const T& object) {
        const auto& meta = object.metadata;
        return meta.namespace_.empty() ? meta.name : meta.namespace_ + "/" + meta.name;
    }

    /// Null: it has none.
    std::shared_ptr<const T> find(const std::string& key) const {
        const std::lock_guard lock(mutex_);
        const auto found = objects_.find(key);
        return found == objects_.end() ? nullptr : found->second;
    }
    std::vector<std::shared_ptr<const T>> all() const {
        const std::lock_guard lock(mutex_);
        std::vector<std::shared_ptr<const T>> out;
        for (const auto& [key, object] : objects_) out.push_back(object);
        return out;
    }
    void put(T object) {
        const std::string key = key_of(object);
        const std::lock_guard lock(mutex_);
        auto& known = objects_[key];
        if (known && known->metadata.uid == object.metadata.uid &&
            known->metadata.resource_version > object.metadata.resource_version) {
            return;
        }
        known = std::make_shared<const T>(std::move(object));
    }
    void drop(const std::string& key) {
        const std::lock_guard lock(mutex_);
        objects_.erase(key);
    }

  private:
    mutable std::mutex mutex_;
    std::map<std::string, std::shared_ptr<const T>> objects_;
};

}  // namespace guideway::kubernetes
