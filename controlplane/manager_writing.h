// The templates of the manager's changes: stamp, audit. Inside controlplane/manager_*.cc only.
#pragma once

#include <string>
#include <utility>

#include "controlplane/manager.h"

namespace guideway::controlplane {

template <class T>
void Manager::stamp(T& wanted, const T* before) const {
    if (before == nullptr) {
        wanted.metadata.generation = 1;
        wanted.metadata.creation_timestamp = timestamp();
        return;
    }
    wanted.metadata.generation = before->metadata.generation + (wanted.spec == before->spec ? 0 : 1);
    wanted.metadata.creation_timestamp = before->metadata.creation_timestamp;
    if (wanted.metadata.uid.empty()) wanted.metadata.uid = before->metadata.uid;
}

template <class T>
void Manager::audit(const rest::Intent& intent, const char* verb, const char* kind, std::string key, const T* before,
                    const T* after) {
    if (options_.audit == nullptr) return;
    const auto text = [](const T* object) -> std::optional<std::string> {
        if (object == nullptr) return std::nullopt;
        T wish = *object;
        wish.status = {};
        wish.metadata.resource_version = wish.metadata.generation = 0;
        wish.metadata.creation_timestamp.clear();
        std::string encoded = encode(wish);
        // What the server says of it is no part of the change; the status stands last and holds nothing now.
        if (const std::size_t status = encoded.rfind(",\"status\":{"); status != std::string::npos) {
            encoded.replace(status, std::string::npos, "}");
        }
        return encoded;
    };
    AuditEntry entry;
    entry.time = options_.now();
    entry.caller = intent.caller;
    entry.verb = verb;
    entry.kind = kind;
    entry.key = std::move(key);
    entry.before = text(before);
    entry.after = text(after);
    staged_.audit.push_back(std::move(entry));
}

}  // namespace guideway::controlplane
