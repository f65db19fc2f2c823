// Sentences that several objects' reports share. Thread contract: constants.
#pragma once

namespace guideway::cli::metallb {

inline constexpr const char* kNoBgp =
    "Guideway does not speak BGP; give your routers static routes to the appliance for the pools' ranges";
inline constexpr const char* kUnknownField =
    "this field is not known; look up what it does, and whether Guideway has something for it";

}  // namespace guideway::cli::metallb
