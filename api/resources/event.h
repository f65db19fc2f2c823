// Event: something that happened to an object and that people want to read about. Kept in memory: the newest ones since the
// control plane's start. Alike ones in a row are counted. Thread contract: plain values.
#pragma once

#include <cstdint>
#include <string>

namespace guideway::resources {

struct ObjectReference {
    std::string kind;                       ///< "LoadBalancer", "AddressPool", "Node", "Token", "Appliance"
    std::string cluster, namespace_, name;  ///< empty where the kind has none
    friend bool operator==(const ObjectReference&, const ObjectReference&) = default;
};

struct Event {
    std::uint64_t resource_version = 0;
    bool warning = false;  ///< "Warning", else "Normal"
    std::string reason;    ///< CamelCase: "IPAllocated", "AllocationFailed", "AddressMoved", ...
    std::string message;
    ObjectReference regarding;
    std::uint64_t count = 1;
    std::string first_timestamp, last_timestamp;  ///< RFC 3339, UTC
    friend bool operator==(const Event&, const Event&) = default;
};

}  // namespace guideway::resources
