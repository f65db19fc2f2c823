// Target: the path and query of a request, taken apart strictly.
//
// Terms. Segment: what stands between two slashes of the path, percent-decoded; a decoded slash stays inside its segment.
// Thread contract: a pure function and plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace guideway::rest {

struct Target {
    std::vector<std::string> segments;                       ///< "/v1/nodes/a" -> {"v1", "nodes", "a"}
    std::vector<std::pair<std::string, std::string>> query;  ///< in order, decoded; names are unique

    /// Null where the parameter is not there.
    const std::string* parameter(std::string_view name) const;
};

struct ParsedTarget {
    std::optional<Target> target;
    std::string error;  ///< a sentence; empty where there is a target
};

/// Origin form only ("/path?query"). Refused: bad percent-encoding, control characters (also encoded), bytes that are not
/// UTF-8, a parameter given twice, a fragment, "." and ".." as segments. An empty last segment ("/v1/nodes/") is kept.
ParsedTarget parse_target(std::string_view raw);

}  // namespace guideway::rest
