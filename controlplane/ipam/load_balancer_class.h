// Which Services are ours by their loadBalancerClass (ipam-rules 24; Kubernetes: Service.spec.loadBalancerClass).
//
// Without a configured class only Services that have none; with one, only those of that very class. The others are somebody
// else's: they are not touched, not even cleared. Thread contract: a pure function.
#pragma once

#include <string_view>

namespace guideway::ipam {

/// Empty: no class. Names are compared byte by byte, as Kubernetes does.
inline bool handles_class(std::string_view configured, std::string_view of_service) { return configured == of_service; }

}  // namespace guideway::ipam
