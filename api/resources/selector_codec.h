// The JSON form of label selectors, as Kubernetes writes them: {"matchLabels": {"team": "shop"}, "matchExpressions": [{"key":
// "tier", "operator": "In", "values": ["front"]}]}. For the codecs here, and for readers of Kubernetes' own objects. Thread contract: pure functions.
#pragma once

#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "api/json/object_reader.h"
#include "api/resources/selector.h"

namespace guideway::resources {

nlohmann::ordered_json tree_of(const LabelSelector& selector);
/// Those under `key`, if any.
std::vector<LabelSelector> read_selectors(json::ObjectReader& reader, std::string_view key);

}  // namespace guideway::resources
