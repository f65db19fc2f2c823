// The JSON form of SNAT addresses: {"kind": "SnatAddressList", "items": [{"kind": "SnatAddress", "address": "10.0.1.1", "family":
// "IPv4"}]}. Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"
#include "api/resources/snat_address.h"

namespace guideway::resources {

std::string encode(const std::vector<SnatAddress>& objects, bool pretty = false);
contract::Decoded<std::vector<SnatAddress>> read_snat_address_list(std::string_view body);

}  // namespace guideway::resources
