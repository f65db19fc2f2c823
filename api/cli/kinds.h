// Kinds and names as people type them.
//
// Worked example: ("lb", "shop/web") -> kind load_balancer of cluster "default", namespace "shop", name "web";
// "node/node-1", as -o name prints it, says both.
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/client/paths.h"

namespace guideway::cli {

enum class Kind : std::uint8_t { load_balancer, address_pool, node, token, event, snat_address };

/// "lb", "load-balancer", "load-balancers", ...
std::optional<Kind> parse_kind(std::string_view text);
/// "load-balancer"
std::string title_of(Kind kind);
/// "load-balancers (lb), address-pools (pool), ..."
std::string kinds_text(const std::vector<Kind>& allowed);

/// What people call an object: "shop/web", with another cluster than "default" before it "prod/shop/web"; "node-1", "prod/node-1".
std::string text_of(Kind kind, const client::ObjectName& name);

struct NameOrError {
    client::ObjectName name;
    std::string error;  ///< a sentence; empty: right
};

/// `cluster` and `ns` are those of the options, which may be empty.
NameOrError parse_name(Kind kind, const std::string& text, const std::string& cluster, const std::string& ns);

}  // namespace guideway::cli
