// The JSON form of Maintenance: {"kind": "Maintenance", "on": true, "reason": "new NIC", "since": "2026-01-02T03:04:05Z", "withdrawn": true,
// "connections": 12}. A wish has `on` and `reason`; what the server says may stand in it and is passed over, so that what a GET answered can
// be PUT back.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "api/contract/decoded.h"
#include "api/resources/maintenance.h"

namespace guideway::resources {

std::string encode(const Maintenance& maintenance, bool pretty = false);
contract::Decoded<Maintenance> read_maintenance(std::string_view body);
/// The body of a PUT.
contract::Decoded<Maintenance> decode_maintenance(std::string_view body);

}  // namespace guideway::resources
