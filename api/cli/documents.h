// Documents: what a file given to `apply -f` or `delete -f` holds, from YAML or JSON to checked resources.
//
// Quoted scalars stay texts; plain ones are null, true, false, numbers or texts (YAML 1.2 core schema, without octal and
// hexadecimal). Refused: duplicate keys, keys that are no text, more than 100,000 values (aliases unfold), deep nesting.
// A list ("LoadBalancerList", as `get -o json` prints it) counts as its items.
// Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/resources/address_pool.h"
#include "api/resources/load_balancer.h"
#include "api/resources/node.h"

namespace guideway::cli {

using Document = std::variant<resources::LoadBalancer, resources::AddressPool, resources::Node>;

struct Documents {
    std::vector<Document> documents;  ///< empty where there are errors
    std::vector<std::string> errors;  ///< each a line: "web.yaml: document 2 (Node node-1): /spec/weight: found 0, ..."
};

/// Where objects belong that do not say it.
struct DefaultPlace {
    std::string ns = "default";
    std::string cluster = {};  ///< empty: "default"
};

/// `source` names the text in errors.
Documents read_documents(std::string_view text, const std::string& source, const DefaultPlace& place = {});

/// JSON as YAML, for `-o yaml`; texts are quoted where a reader would take them for something else.
std::string yaml_of(std::string_view json);

}  // namespace guideway::cli
