// Documents: what a file given to `apply -f` or `delete -f` holds, from YAML or JSON to checked resources.
// How YAML is read: yaml_text.h.
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

}  // namespace guideway::cli
