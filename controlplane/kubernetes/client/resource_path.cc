#include "controlplane/kubernetes/client/resource_path.h"

namespace guideway::kubernetes {

std::string percent_encode(std::string_view text) {
    constexpr std::string_view kDigits = "0123456789ABCDEF";
    std::string out;
    out.reserve(text.size());
    for (const char c : text) {
        const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                           c == '.' || c == '_' || c == '~';
        if (plain) {
            out += c;
        } else {
            const auto byte = static_cast<unsigned char>(c);
            out += '%';
            out += kDigits[byte >> 4U];
            out += kDigits[byte & 15U];
        }
    }
    return out;
}

std::string object_key(std::string_view name_space, std::string_view name) {
    return name_space.empty() ? std::string(name) : std::string(name_space) + "/" + std::string(name);
}

std::string ApiResource::collection(std::string_view name_space) const {
    std::string path = group.empty() ? "/api/" : "/apis/" + std::string(group) + "/";
    path += version;
    if (!name_space.empty()) path += "/namespaces/" + percent_encode(name_space);
    return path + "/" + std::string(plural);
}

std::string ApiResource::object(std::string_view name_space, std::string_view name,
                                std::string_view subresource) const {
    std::string path = collection(name_space) + "/" + percent_encode(name);
    if (!subresource.empty()) path += "/" + percent_encode(subresource);
    return path;
}

}  // namespace guideway::kubernetes
