// The JSON form of AddressPool, Kubernetes style (camelCase; kind, metadata, spec, status).
//
// decode_address_pool reads what a client PUTs: fields that the server sets (status, resourceVersion, generation,
// creationTimestamp) are accepted and ignored, so what a GET answered can be PUT again. `kind` and the names in
// `metadata` may be missing; where they are there they must match.
// read_address_pool reads what the server answers (or the store kept), server-set fields included.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"
#include "api/resources/address_pool.h"
#include "api/resources/list.h"

namespace guideway::resources {

/// One line; `pretty`: indented.
std::string encode(const AddressPool& object, bool pretty = false);
/// {"kind": "AddressPoolList", "items": [...]}, and with what a page of it says.
std::string encode(const std::vector<AddressPool>& objects, bool pretty = false);
std::string encode(const List<AddressPool>& list, bool pretty = false);

/// `name` is that of the path. Ranges are only checked for being short texts here; the rules of addresses are ipam's.
contract::Decoded<AddressPool> decode_address_pool(std::string_view body, std::string_view name);
contract::Decoded<AddressPool> read_address_pool(std::string_view body);
contract::Decoded<std::vector<AddressPool>> read_address_pool_list(std::string_view body);
contract::Decoded<List<AddressPool>> read_address_pool_page(std::string_view body);

}  // namespace guideway::resources
