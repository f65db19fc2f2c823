// The JSON form of BgpStatus: {"kind": "BgpStatus", "configured": true, "daemon": {"name": "bird", "asn": 64512, "routerId": "192.0.2.1",
// "answers": true, "error": "", "ageSeconds": 1}, "peers": [{"name": "tor1", "address": "192.0.2.254", "asn": 64513, "state": "Established",
// "established": true, "since": "20:10:47", "routes": 2, "lastError": ""}], "routes": [{"prefix": "203.0.113.10/32", "advertisement":
// "hosts"}], "announcing": {"error": ""}, "maintenance": false}. Where BGP is not configured there is no "daemon".
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>

#include "api/contract/decoded.h"
#include "api/resources/bgp_status.h"

namespace guideway::resources {

std::string encode(const BgpStatus& status, bool pretty = false);
contract::Decoded<BgpStatus> read_bgp_status(std::string_view body);

}  // namespace guideway::resources
