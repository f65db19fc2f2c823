// FieldMask: which members of an object an answer shall have (`?fields=metadata.name,status.ingress`).
//
// A path names a member, and with it all it holds; it goes through lists without saying so ("status.ingress.ip"). `kind` and
// `metadata.name` are always there. The members of maps (labels) cannot be named one by one.
//
// Worked example:
//     auto mask = FieldMask::parse("LoadBalancer", "status.ingress.ip");   // mask.value, or faults that say what is allowed
//     mask.value->apply(R"({"kind":"LoadBalancer","metadata":{"name":"web",...},"spec":{...},"status":{...}})")
//         -> {"kind":"LoadBalancer","metadata":{"name":"web"},"status":{"ingress":[{"ip":"203.0.113.7"}]}}
// Thread contract: plain values.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"

namespace guideway::rest {

class FieldMask {
  public:
    /// Everything.
    FieldMask() = default;
    /// Faults have the field "?fields".
    static contract::Decoded<FieldMask> parse(std::string_view kind, std::string_view text);
    /// All paths of a kind that is listed ("LoadBalancer", "AddressPool", "Node", "Token", "Event").
    static std::span<const std::string_view> paths_of(std::string_view kind);

    bool everything() const { return paths_.empty(); }
    /// An object as our codecs write it.
    std::string apply(const std::string& object) const;
    /// A list: each of its items.
    std::string apply_to_items(const std::string& list) const;

  private:
    std::vector<std::string> paths_;
};

}  // namespace guideway::rest
