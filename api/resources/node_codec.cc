#include "api/resources/node_codec.h"

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

constexpr std::string_view kKind = "Node";

nlohmann::ordered_json tree_of_node(const Node& object) {
    auto out = head_of(kKind, Scope::cluster, object.metadata);
    auto& spec = out["spec"] = nlohmann::ordered_json::object();
    auto& addresses = spec["addresses"] = nlohmann::ordered_json::array();
    for (const IpAddress& address : object.spec.addresses) addresses.push_back(address.to_string());
    spec["weight"] = object.spec.weight;
    spec["drain"] = object.spec.drain;
    auto& status = out["status"] = nlohmann::ordered_json::object();
    status["observedGeneration"] = object.status.observed_generation;
    status["conditions"] = tree_of(object.status.conditions);
    return out;
}

NodeSpec read_spec(json::ObjectReader& reader) {
    NodeSpec spec;
    json::ObjectReader part = reader.required_object("spec");
    spec.addresses = read_addresses(part, "addresses", 1);
    spec.weight = part.integer_or<std::uint32_t>("weight", 1, 1, kMaxNodeWeight);
    spec.drain = part.boolean_or("drain", false);
    part.finish();
    return spec;
}

Node read_answer(json::ObjectReader& reader) {
    Node object;
    object.metadata = read_answer_head(reader, kKind, Scope::cluster);
    object.spec = read_spec(reader);
    json::ObjectReader status = reader.optional_object("status");
    object.status.observed_generation = read_count(status, "observedGeneration");
    object.status.conditions = read_conditions(status);
    status.finish();
    return object;
}

}  // namespace

std::string encode(const Node& object, bool pretty) { return text_of(tree_of_node(object), pretty); }

std::string encode(const std::vector<Node>& objects, bool pretty) {
    return list_text_of(kKind, nullptr, objects, tree_of_node, pretty);
}

std::string encode(const List<Node>& list, bool pretty) {
    return list_text_of(kKind, &list.metadata, list.items, tree_of_node, pretty);
}

contract::Decoded<Node> decode_node(std::string_view body, std::string_view name, std::string_view cluster) {
    return decode_document<Node>(body, kMaxBodyBytes, [&](json::ObjectReader& reader) {
        Node object;
        object.metadata = read_wish_head(reader, kKind, Scope::cluster, {cluster, {}, name});
        object.spec = read_spec(reader);
        reader.ignore("status");
        return object;
    });
}

contract::Decoded<Node> read_node(std::string_view body) {
    return decode_document<Node>(body, kMaxBodyBytes, read_answer);
}

contract::Decoded<std::vector<Node>> read_node_list(std::string_view body) { return items_of(read_node_page(body)); }

contract::Decoded<List<Node>> read_node_page(std::string_view body) {
    return decode_list<Node>(body, kMaxListBytes, "NodeList", read_answer);
}

}  // namespace guideway::resources
