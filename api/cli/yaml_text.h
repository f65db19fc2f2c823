// Trees: YAML or JSON text as plain trees, whatever they mean; and JSON as YAML.
//
// Quoted scalars stay texts; plain ones are null, true, false, numbers or texts (YAML 1.2 core schema, without octal and
// hexadecimal). Refused: duplicate keys, keys that are no text, more than 100,000 values in a document (aliases unfold), deep
// nesting, more than 16 MiB.
// Worked example: read_trees("a: 1\n---\nb: [x]", take, error) calls take("document 1", {"a": 1}) and take("document 2", {"b": ["x"]}).
// Thread contract: pure functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace guideway::cli {

/// `place`: "document 2", "line 7", or empty: the whole text.
using TakeTree = std::function<void(const std::string& place, const nlohmann::ordered_json& tree)>;
using TakeError = std::function<void(const std::string& place, const std::string& message)>;

/// Each document that is not empty, one at a time, in order; what cannot be read goes to `error`.
void read_trees(std::string_view text, const TakeTree& take, const TakeError& error);

/// JSON as YAML, for `-o yaml`; texts are quoted where a reader would take them for something else.
std::string yaml_of(std::string_view json);

}  // namespace guideway::cli
