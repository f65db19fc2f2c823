// Sentences that several objects' reports share. Thread contract: constants.
#pragma once

namespace guideway::cli::metallb {

inline constexpr const char* kBgpIsASetting =
    "this is no object here but a setting of the appliance: controlplane.bgp in guideway.cfg (docs/bgp.md)";
inline constexpr const char* kUnknownField =
    "this field is not known; look up what it does, and whether Guideway has something for it";

}  // namespace guideway::cli::metallb
