#include "controlplane/kubernetes/client/object_meta.h"

#include <nlohmann/json.hpp>

#include "controlplane/kubernetes/client/resource_path.h"

namespace guideway::kubernetes {

ObjectMeta read_meta(const nlohmann::json& object) {
    ObjectMeta out;
    if (!object.is_object()) return out;
    const auto meta = object.find("metadata");
    if (meta == object.end() || !meta->is_object()) return out;
    const auto text = [&](const char* name) {
        const auto found = meta->find(name);
        return found != meta->end() && found->is_string() ? found->get<std::string>() : std::string();
    };
    out.uid = text("uid");
    out.resource_version = text("resourceVersion");
    const auto space = meta->find("namespace");
    const bool odd_space = space != meta->end() && !space->is_string() && !space->is_null();
    const std::string name = text("name");
    if (!odd_space && !name.empty()) out.key = object_key(text("namespace"), name);
    return out;
}

}  // namespace guideway::kubernetes
