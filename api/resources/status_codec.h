// The JSON form of SystemStatus: {"kind": "SystemStatus", "version": "0.1.0", "uptimeSeconds": 12, "dataplane": {"connected":
// true, "error": "", "desiredGeneration": 7, "forwardingGeneration": 7}, "loadBalancers": {"total": 3, "waiting": 1},
// "addressPools": {"total": 1}, "nodes": {"total": 3, "draining": 0}}.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "api/contract/decoded.h"
#include "api/resources/status.h"

namespace guideway::resources {

std::string encode(const SystemStatus& status, bool pretty = false);
contract::Decoded<SystemStatus> read_status(std::string_view body);

}  // namespace guideway::resources
