// The JSON form of Node, Kubernetes style (camelCase; kind, metadata, spec, status).
//
// decode_node reads what a client PUTs: fields that the server sets (status, resourceVersion, generation,
// creationTimestamp) are accepted and ignored, so what a GET answered can be PUT again. `kind` and the names in
// `metadata` may be missing; where they are there they must match.
// read_node reads what the server answers (or the store kept), server-set fields included.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"
#include "api/resources/list.h"
#include "api/resources/node.h"

namespace guideway::resources {

/// One line; `pretty`: indented.
std::string encode(const Node& object, bool pretty = false);
/// {"kind": "NodeList", "items": [...]}, and with what a page of it says.
std::string encode(const std::vector<Node>& objects, bool pretty = false);
std::string encode(const List<Node>& list, bool pretty = false);

/// `name` and `cluster` are those of the path.
contract::Decoded<Node> decode_node(std::string_view body, std::string_view name,
                                    std::string_view cluster = kDefaultCluster);
contract::Decoded<Node> read_node(std::string_view body);
contract::Decoded<std::vector<Node>> read_node_list(std::string_view body);
contract::Decoded<List<Node>> read_node_page(std::string_view body);

}  // namespace guideway::resources
