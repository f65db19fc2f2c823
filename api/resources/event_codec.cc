#include "api/resources/event_codec.h"

#include <optional>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/metadata_codec.h"

namespace guideway::resources {

namespace {

using Tree = nlohmann::ordered_json;

constexpr std::string_view kKind = "Event";
constexpr json::TextRule kText{0, 1U << 16, nullptr, nullptr};

Tree tree_of_event(const Event& object) {
    Tree out = Tree::object();
    out["kind"] = std::string(kKind);
    out["metadata"]["resourceVersion"] = std::to_string(object.resource_version);
    out["type"] = object.warning ? "Warning" : "Normal";
    out["reason"] = object.reason;
    out["message"] = object.message;
    Tree& regarding = out["regarding"] = Tree::object();
    regarding["kind"] = object.regarding.kind;
    if (!object.regarding.cluster.empty()) regarding["cluster"] = object.regarding.cluster;
    if (!object.regarding.namespace_.empty()) regarding["namespace"] = object.regarding.namespace_;
    if (!object.regarding.name.empty()) regarding["name"] = object.regarding.name;
    out["count"] = object.count;
    out["firstTimestamp"] = object.first_timestamp;
    out["lastTimestamp"] = object.last_timestamp;
    return out;
}

std::optional<bool> parse_warning(std::string_view text) {
    if (text == "Warning") return true;
    if (text == "Normal") return false;
    return std::nullopt;
}

Event read_answer(json::ObjectReader& reader) {
    Event object;
    check_kind(reader, kKind);
    object.resource_version = read_list_metadata(reader).resource_version;
    object.warning = reader.required_value<bool>("type", parse_warning, "Normal or Warning");
    object.reason = reader.required_string("reason", kText);
    object.message = reader.string_or("message", {}, kText);
    json::ObjectReader regarding = reader.required_object("regarding");
    object.regarding.kind = regarding.required_string("kind", kText);
    object.regarding.cluster = regarding.string_or("cluster", {}, kText);
    object.regarding.namespace_ = regarding.string_or("namespace", {}, kText);
    object.regarding.name = regarding.string_or("name", {}, kText);
    regarding.finish();
    object.count = read_count(reader, "count");
    object.first_timestamp = reader.string_or("firstTimestamp", {}, kText);
    object.last_timestamp = reader.string_or("lastTimestamp", {}, kText);
    return object;
}

}  // namespace

std::string encode(const Event& object, bool pretty) { return text_of(tree_of_event(object), pretty); }

std::string encode(const List<Event>& list, bool pretty) {
    return list_text_of(kKind, &list.metadata, list.items, tree_of_event, pretty);
}

contract::Decoded<Event> read_event(std::string_view body) {
    return decode_document<Event>(body, kMaxBodyBytes, read_answer);
}

contract::Decoded<List<Event>> read_event_page(std::string_view body) {
    return decode_list<Event>(body, kMaxListBytes, "EventList", read_answer);
}

}  // namespace guideway::resources
