// The JSON form of LoadBalancer, Kubernetes style (camelCase; kind, metadata, spec, status).
//
// decode_load_balancer reads what a client PUTs: fields that the server sets (status, resourceVersion, generation,
// creationTimestamp) are accepted and ignored, so what a GET answered can be PUT again. `kind` and the names in
// `metadata` may be missing; where they are there they must match.
// read_load_balancer reads what the server answers (or the store kept), server-set fields included.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"
#include "api/resources/list.h"
#include "api/resources/load_balancer.h"

namespace guideway::resources {

/// One line; `pretty`: indented.
std::string encode(const LoadBalancer& object, bool pretty = false);
/// {"kind": "LoadBalancerList", "items": [...]}, and with what a page of it says.
std::string encode(const std::vector<LoadBalancer>& objects, bool pretty = false);
std::string encode(const List<LoadBalancer>& list, bool pretty = false);

/// `ns`, `name` and `cluster` are those of the path.
contract::Decoded<LoadBalancer> decode_load_balancer(std::string_view body, std::string_view ns, std::string_view name,
                                                     std::string_view cluster = kDefaultCluster);
contract::Decoded<LoadBalancer> read_load_balancer(std::string_view body);
contract::Decoded<std::vector<LoadBalancer>> read_load_balancer_list(std::string_view body);
contract::Decoded<List<LoadBalancer>> read_load_balancer_page(std::string_view body);

/// {"kind": "AllocationPreview", "ingress": [{"ip": ..., "pool": ...}], "reason": ..., "message": ..., "pools": [{"pool": ...,
/// "used": true, "reason": ..., "message": ...}]}
std::string encode(const AllocationPreview& preview, bool pretty = false);
contract::Decoded<AllocationPreview> read_preview(std::string_view body);

}  // namespace guideway::resources
