// Meta: what of an object's metadata the cloud controller looks at. Thread contract: plain value.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/kubernetes/objects/fields.h"

namespace guideway::kubernetes {

struct Meta {
    std::string name_space;  ///< empty: of none
    std::string name;
    std::string uid;
    std::map<std::string, std::string> labels, annotations;
    std::vector<std::string> finalizers;
    std::string creation_timestamp;  ///< RFC 3339, UTC
    bool deleting = false;           ///< it has a deletionTimestamp

    /// "namespace/name", or "name".
    std::string key() const { return name_space.empty() ? name : name_space + "/" + name; }
    bool has_finalizer(std::string_view finalizer) const {
        return std::find(finalizers.begin(), finalizers.end(), finalizer) != finalizers.end();
    }
    /// Empty: not there, or empty.
    std::string annotation(const std::string& key) const {
        const auto found = annotations.find(key);
        return found == annotations.end() ? std::string() : found->second;
    }
    friend bool operator==(const Meta&, const Meta&) = default;
};

/// Of the object whose fields these are. No name: a fault.
Meta read_meta(const Fields& object, std::vector<contract::Fault>& faults);

}  // namespace guideway::kubernetes
