#include "api/resources/node_codec.h"

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

constexpr std::string_view kKind = "Node";

nlohmann::ordered_json tree_of(const Node& object) {
    auto out = head_of(kKind, object.metadata);
    auto& spec = out["spec"] = nlohmann::ordered_json::object();
    auto& addresses = spec["addresses"] = nlohmann::ordered_json::array();
    for (const IpAddress& address : object.spec.addresses) addresses.push_back(address.to_string());
    spec["weight"] = object.spec.weight;
    spec["drain"] = object.spec.drain;
    return out;
}

NodeSpec read_spec(json::ObjectReader& reader) {
    NodeSpec spec;
    json::ObjectReader part = reader.required_object("spec");
    spec.addresses = read_addresses(part, "addresses", 1);
    spec.weight = part.integer_or<std::uint32_t>("weight", 1, 1, kMaxNodeWeight);
    spec.drain = part.boolean_or("drain", false);
    part.finish();
    reader.ignore("status");
    return spec;
}

Node read_answer(json::ObjectReader& reader) {
    Node object;
    object.metadata = read_answer_head(reader, kKind, false);
    object.spec = read_spec(reader);
    return object;
}

}  // namespace

std::string encode(const Node& object, bool pretty) { return text_of(tree_of(object), pretty); }

std::string encode(const std::vector<Node>& objects, bool pretty) {
    auto items = nlohmann::ordered_json::array();
    for (const Node& object : objects) items.push_back(tree_of(object));
    return list_text_of(kKind, std::move(items), pretty);
}

contract::Decoded<Node> decode_node(std::string_view body, std::string_view name) {
    return decode_document<Node>(body, kMaxBodyBytes, [&](json::ObjectReader& reader) {
        Node object;
        object.metadata = read_wish_head(reader, kKind, {{}, name});
        object.spec = read_spec(reader);
        return object;
    });
}

contract::Decoded<Node> read_node(std::string_view body) {
    return decode_document<Node>(body, kMaxBodyBytes, read_answer);
}

contract::Decoded<std::vector<Node>> read_node_list(std::string_view body) {
    return decode_list<Node>(body, kMaxListBytes, "NodeList", read_answer);
}

}  // namespace guideway::resources
