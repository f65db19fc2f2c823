// WatchDecoder: bytes of a Kubernetes watch (JSON documents, one a line), in pieces of any size, to events.
//
// Terms. Event: {"type": "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR", "object": {...}}. The object of a BOOKMARK holds nothing but a
// resourceVersion; that of an ERROR is a Status.
//
// Worked example: {"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}}
//     -> event {error, object..., error {410, "Expired", "too old resource version"}}
//
// A line that is not whole when the stream ends was never there. A stream is bounded: a longer line than max_line, what is no JSON, or no
// event ends it with an error (nothing after it is read): what was in it can only be found by listing again. Events of a type of a
// newer server are passed over; empty lines too.
// Thread contract: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "controlplane/kubernetes/client/api_error.h"

namespace guideway::kubernetes {

enum class WatchEventType : std::uint8_t { added, modified, deleted, bookmark, error };

struct WatchEvent {
    WatchEventType type = WatchEventType::added;
    nlohmann::json object = {};         ///< always a JSON object
    std::string resource_version = {};  ///< of object.metadata; empty: not there
    ApiError error = {};                ///< of an ERROR
    friend bool operator==(const WatchEvent&, const WatchEvent&) = default;
};

class WatchDecoder {
  public:
    struct Limits {
        std::size_t max_line =
            16U << 20;         ///< bytes; etcd holds objects of 1.5 MB, API servers send up to a few times that
        unsigned depth = 128;  ///< arrays and objects within each other
    };

    WatchDecoder() = default;
    explicit WatchDecoder(Limits limits) : limits_(limits) {}

    /// False: the stream is over; by `on_event` (which said so by returning false) or by error().
    bool feed(std::string_view bytes, const std::function<bool(WatchEvent&&)>& on_event);

    /// A sentence, where the stream broke its rules.
    const std::string& error() const { return error_; }

  private:
    bool end_line(std::string_view line, const std::function<bool(WatchEvent&&)>& on_event);

    Limits limits_;
    std::string line_;
    bool ended_ = false;
    std::string error_;
};

/// A Status object ({"kind": "Status", "code", "reason", "message", "details": {"retryAfterSeconds"}}) as an error; members of wrong types
/// are as if absent. `code`: where the object has none.
ApiError status_error(const nlohmann::json& object, int code);

}  // namespace guideway::kubernetes
