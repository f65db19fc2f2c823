// Sides: what the kernel has to know of clients' and nodes' side (side_rules.h), put there and kept as the configuration says.
//
// Rules stay as the twins do, over a stop and kill -9: a kernel that forwards must at no moment send what one side said to the other. What an
// earlier configuration gave the kernel is taken away at the next start.
// Thread contract: one thread, at start: before the twins get addresses.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "dataplane/config/dataplane_config.h"
#include "dataplane/net/leftovers.h"

namespace guideway::net {

/// Why they cannot be kept apart, naming the field. Without sides: takes away what an earlier configuration with them left.
std::optional<std::string> keep_sides_apart(const config::DataplaneConfig& config);

/// The routes that a port's twin is to have, in its side's table: of its configuration, and with sides those to the networks of its
/// addresses, which the kernel would keep in the main table.
std::vector<OwnRoute> routes_of(const config::PortConfig& port);

}  // namespace guideway::net
