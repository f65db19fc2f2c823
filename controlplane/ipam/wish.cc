#include "controlplane/ipam/wish.h"

#include <array>
#include <cstddef>

namespace guideway::ipam {
namespace {

constexpr std::array<std::string_view, 11> kReasons{
    "NoAvailableIPs", "NotInAnyPool",   "InUse",          "PortConflict",       "SharingKeyMismatch",  "PoolNotAllowed",
    "UnknownPool",    "FamilyMismatch", "InvalidRequest", "ConflictingRequest", "NotEnoughClusterIPs",
};

}  // namespace

std::string_view to_string(Reason reason) { return kReasons[static_cast<std::size_t>(reason)]; }

std::optional<Reason> parse_reason(std::string_view text) {
    for (std::size_t i = 0; i < kReasons.size(); ++i) {
        if (kReasons[i] == text) return static_cast<Reason>(i);
    }
    return std::nullopt;
}

}  // namespace guideway::ipam
