// ObjectMeta: who an object is, as far as every kind of the API says it alike: key, uid, resourceVersion.
// Thread contract: plain value and pure function.
#pragma once

#include <string>

#include <nlohmann/json_fwd.hpp>

namespace guideway::kubernetes {

struct ObjectMeta {
    std::string key;  ///< "namespace/name" or "name"; empty: there is no readable name
    std::string uid, resource_version;
};

/// Members that are absent or no strings are empty; a namespace that is no string makes the key empty.
ObjectMeta read_meta(const nlohmann::json& object);

}  // namespace guideway::kubernetes
