// What every REST resource carries, by Kubernetes habit: metadata, and conditions in its status.
// Thread contract: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace guideway::resources {

/// Where nobody speaks of clusters, there is one.
inline constexpr const char* kDefaultCluster = "default";

struct Metadata {
    std::string cluster = kDefaultCluster;  ///< of load balancers and nodes; RFC 1123 label
    std::string namespace_;                 ///< only load balancers have one
    std::string name;                       ///< RFC 1123 label(s), 1..253 characters
    std::string uid;                        ///< the caller's (Kubernetes object UID) or empty
    std::map<std::string, std::string> labels;
    std::uint64_t resource_version = 0;  ///< set by the server: changes with every write of the object
    std::uint64_t generation = 0;        ///< set by the server: changes with every change of spec
    std::string creation_timestamp;      ///< set by the server: RFC 3339, UTC
    friend bool operator==(const Metadata&, const Metadata&) = default;
};

struct Condition {
    std::string type;  ///< "Allocated", "Programmed", "Ready"
    bool status = false;
    std::string reason;                ///< CamelCase, for programs
    std::string message;               ///< a sentence that says what to do, for people
    std::string last_transition_time;  ///< RFC 3339, UTC
    friend bool operator==(const Condition&, const Condition&) = default;
};

}  // namespace guideway::resources
