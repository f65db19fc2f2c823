// SyncResult: what became of looking at one object. Thread contract: plain value.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <utility>

namespace guideway::kubernetes {

struct SyncResult {
    enum class Kind : std::uint8_t {
        done,     ///< as it should be
        again,    ///< to be looked at once more after `after`; no failure
        refused,  ///< the object is wrong as it is: only its change helps
        failed,   ///< tried again with growing pauses
    };
    Kind kind = Kind::done;
    std::string reason = {};   ///< CamelCase, of failed and refused
    std::string message = {};  ///< a sentence
    std::chrono::milliseconds after{0};

    static SyncResult done() { return {}; }
    static SyncResult again(std::chrono::milliseconds after) { return {Kind::again, {}, {}, after}; }
    static SyncResult failed(std::string reason, std::string message) {
        return {Kind::failed, std::move(reason), std::move(message), {}};
    }
    static SyncResult refused(std::string reason, std::string message) {
        return {Kind::refused, std::move(reason), std::move(message), {}};
    }
    bool ok() const { return kind == Kind::done || kind == Kind::again; }
};

}  // namespace guideway::kubernetes
