#include "api/resources/metadata_codec.h"

#include <charconv>
#include <limits>

#include <nlohmann/json.hpp>

#include "api/resources/decode_limits.h"
#include "api/resources/names.h"

namespace guideway::resources {

namespace {

using Tree = nlohmann::ordered_json;

constexpr json::TextRule kText{0, 4096, nullptr, nullptr};
constexpr json::TextRule kNameRule{1, 253, is_name, "lower-case letters, digits, '-' and '.' (RFC 1123 subdomain)"};
constexpr json::TextRule kNamespaceRule{1, 63, is_label, "lower-case letters, digits and '-' (RFC 1123 label)"};
constexpr json::TextRule kUid{0, 128, nullptr, nullptr};
constexpr json::TextRule kLabelValue{0, 63, nullptr, nullptr};

std::optional<std::uint64_t> parse_version(std::string_view text) {
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

constexpr json::TextRule kNewLabelValue{
    0, 63, is_label_value,
    "letters, digits, '-', '_' and '.', beginning and ending with a letter or digit, or nothing"};

/// As the store may have them from before they were held to Kubernetes' rules.
void read_old_labels(json::ObjectReader& metadata, Metadata& out) {
    metadata.each_member(
        "labels", {0, kMaxLabels}, kLabelValue, [&](const std::string& name, const std::string& value) {
            if (name.empty() || name.size() > 317) {  // 253 prefix, '/', 63 name
                metadata.fault("labels",
                               "found a label name of " + std::to_string(name.size()) + " bytes, allowed 1..317");
            }
            out.labels[name] = value;
        });
}

constexpr std::string_view kUsable =
    "an IPv4 or IPv6 address hosts can use (not unspecified, loopback, multicast, broadcast or link-local)";

std::optional<IpAddress> parse_usable(std::string_view text) {
    const auto address = IpAddress::parse(text);
    return address && address->is_usable_unicast() ? address : std::nullopt;
}

/// The name in the path, which stands also where the body has none.
std::string name_of(json::ObjectReader& metadata, std::string_view key, std::string_view path,
                    const json::TextRule& rule) {
    if (!rule.accepts(path)) {
        metadata.fault(key, "found " + json::ObjectReader::quoted(path) + " in the path, allowed " + rule.allowed);
    }
    const std::string own = metadata.string_or(key, std::string(path), kText);
    if (own != path) {
        metadata.fault(key, "found " + json::ObjectReader::quoted(own) + ", allowed what the path says, " +
                                json::ObjectReader::quoted(path));
    }
    return std::string(path);
}

}  // namespace

void write_labels(json::Writer& out, std::string_view key, const std::map<std::string, std::string>& labels) {
    out.key(key).begin_object();
    // Names of labels are written as texts are: those in the store may be of any kind.
    for (const auto& [name, value] : labels) {
        json::Writer escaped;
        escaped.text(name);
        const std::string quoted = escaped.take();
        out.key(std::string_view(quoted).substr(1, quoted.size() - 2)).text(value);
    }
    out.end_object();
}

void write_head(json::Writer& out, std::string_view kind, Scope scope, const Metadata& metadata) {
    out.begin_object().key("kind").text(kind).key("metadata").begin_object();
    if (scope != Scope::appliance) out.key("cluster").text(metadata.cluster);
    if (scope == Scope::name_space) out.key("namespace").text(metadata.namespace_);
    out.key("name").text(metadata.name);
    if (!metadata.uid.empty()) out.key("uid").text(metadata.uid);
    if (!metadata.labels.empty()) write_labels(out, "labels", metadata.labels);
    // A text, as in Kubernetes: clients compare it and do not count with it.
    out.key("resourceVersion").text(std::to_string(metadata.resource_version));
    out.key("generation").number(metadata.generation);
    if (!metadata.creation_timestamp.empty()) out.key("creationTimestamp").text(metadata.creation_timestamp);
    out.end_object();
}

void write_conditions(json::Writer& out, const std::vector<Condition>& conditions) {
    out.begin_array();
    for (const Condition& condition : conditions) {
        out.begin_object().key("type").text(condition.type).key("status").text(condition.status ? "True" : "False");
        out.key("reason").text(condition.reason).key("message").text(condition.message);
        out.key("lastTransitionTime").text(condition.last_transition_time).end_object();
    }
    out.end_array();
}

Tree head_of(std::string_view kind, Scope scope, const Metadata& metadata) {
    json::Writer out;
    write_head(out, kind, scope, metadata);
    out.end_object();
    return Tree::parse(out.take());
}

Tree tree_of(const std::vector<Condition>& conditions) {
    json::Writer out;
    write_conditions(out, conditions);
    return Tree::parse(out.take());
}

std::string text_of(const Tree& tree, bool pretty) {
    return tree.dump(pretty ? 2 : -1, ' ', false, Tree::error_handler_t::replace);
}

std::string list_text_of(std::string_view kind, const ListMetadata* metadata, Tree items, bool pretty) {
    Tree out = Tree::object();
    out["kind"] = std::string(kind) + "List";
    if (metadata != nullptr) {
        Tree& meta = out["metadata"] = Tree::object();
        meta["resourceVersion"] = std::to_string(metadata->resource_version);
        const bool more = !metadata->next_token.empty();
        if (more) meta["continue"] = metadata->next_token;
        if (more || metadata->remaining_item_count != 0) meta["remainingItemCount"] = metadata->remaining_item_count;
    }
    out["items"] = std::move(items);
    return text_of(out, pretty);
}

void check_kind(json::ObjectReader& reader, std::string_view kind) {
    const std::string found = reader.string_or("kind", std::string(kind), kText);
    if (found != kind) {
        reader.fault("kind", "found " + json::ObjectReader::quoted(found) + ", allowed " + std::string(kind));
    }
}

std::map<std::string, std::string> read_labels(json::ObjectReader& reader, std::string_view key) {
    std::map<std::string, std::string> out;
    reader.each_member(key, {0, kMaxLabels}, kNewLabelValue, [&](const std::string& name, const std::string& value) {
        if (!is_label_key(name)) {
            reader.fault(key, "found " + json::ObjectReader::quoted(name) +
                                  " as a label's name, allowed 1..63 letters, digits, '-', '_' and '.' after an "
                                  "optional prefix (\"example.com/\")");
        }
        out[name] = value;
    });
    return out;
}

std::uint64_t read_count(json::ObjectReader& reader, std::string_view key) {
    return reader.unsigned_or(key, 0, 0, std::numeric_limits<std::uint64_t>::max());
}

ListMetadata read_list_metadata(json::ObjectReader& reader) {
    ListMetadata out;
    json::ObjectReader metadata = reader.optional_object("metadata");
    out.resource_version = metadata.value_or<std::uint64_t>("resourceVersion", 0, parse_version, "a number as a text");
    out.next_token = metadata.string_or("continue", {}, kText);
    out.remaining_item_count = read_count(metadata, "remainingItemCount");
    metadata.finish();
    return out;
}

Metadata read_wish_head(json::ObjectReader& reader, std::string_view kind, Scope scope, const PathNames& path) {
    Metadata out;
    const bool clustered = scope != Scope::appliance;
    const bool namespaced = scope == Scope::name_space;
    check_kind(reader, kind);
    json::ObjectReader metadata = reader.optional_object("metadata");
    if (!metadata.present()) {
        // The path's names are checked all the same, and reported where they would stand.
        const auto check = [&](std::string_view key, std::string_view text, const json::TextRule& rule) {
            if (rule.accepts(text)) return;
            reader.fault("metadata", std::string(key) + ": found " + json::ObjectReader::quoted(text) +
                                         " in the path, allowed " + rule.allowed);
        };
        if (clustered) check("cluster", path.cluster, kNamespaceRule);
        if (namespaced) check("namespace", path.ns, kNamespaceRule);
        check("name", path.name, kNameRule);
        if (clustered) out.cluster = std::string(path.cluster);
        out.namespace_ = std::string(path.ns);
        out.name = std::string(path.name);
        return out;
    }
    if (clustered) out.cluster = name_of(metadata, "cluster", path.cluster, kNamespaceRule);
    if (namespaced) out.namespace_ = name_of(metadata, "namespace", path.ns, kNamespaceRule);
    out.name = name_of(metadata, "name", path.name, kNameRule);
    out.uid = metadata.string_or("uid", {}, kUid);
    out.labels = read_labels(metadata, "labels");
    for (const auto* key : {"resourceVersion", "generation", "creationTimestamp"}) metadata.ignore(key);
    metadata.finish();
    return out;
}

Metadata read_answer_head(json::ObjectReader& reader, std::string_view kind, Scope scope) {
    Metadata out;
    check_kind(reader, kind);
    json::ObjectReader metadata = reader.required_object("metadata");
    if (scope != Scope::appliance) out.cluster = metadata.string_or("cluster", kDefaultCluster, kNamespaceRule);
    if (scope == Scope::name_space) out.namespace_ = metadata.required_string("namespace", kNamespaceRule);
    out.name = metadata.required_string("name", kNameRule);
    out.uid = metadata.string_or("uid", {}, kUid);
    read_old_labels(metadata, out);
    out.resource_version = metadata.value_or<std::uint64_t>("resourceVersion", 0, parse_version, "a number as a text");
    out.generation = read_count(metadata, "generation");
    out.creation_timestamp = metadata.string_or("creationTimestamp", {}, kText);
    metadata.finish();
    return out;
}

std::vector<Condition> read_conditions(json::ObjectReader& reader) {
    std::vector<Condition> out;
    reader.each_object("conditions", {0, 32}, [&](json::ObjectReader& one) {
        Condition condition;
        condition.type = one.required_string("type", kText);
        const auto truth = [](std::string_view text) -> std::optional<bool> {
            if (text == "True") return true;
            if (text == "False") return false;
            return std::nullopt;
        };
        condition.status = one.required_value<bool>("status", truth, "True or False");
        condition.reason = one.string_or("reason", {}, kText);
        condition.message = one.string_or("message", {}, kText);
        condition.last_transition_time = one.string_or("lastTransitionTime", {}, kText);
        out.push_back(std::move(condition));
    });
    return out;
}

IpAddress read_address(json::ObjectReader& reader, std::string_view key) {
    return reader.required_value<IpAddress>(key, parse_usable, kUsable);
}

std::vector<IpAddress> read_addresses(json::ObjectReader& reader, std::string_view key, std::size_t min) {
    const std::vector<IpAddress> addresses = reader.values<IpAddress>(key, {min, 2}, parse_usable, kUsable);
    if (addresses.size() == 2 && addresses[0].family == addresses[1].family) {
        reader.fault(key, "found two addresses of " + std::string(to_string(addresses[0].family)) +
                              ", allowed at most one a family");
    }
    return addresses;
}

contract::Decoded<bool> with_document(std::string_view body, std::size_t bytes,
                                      const std::function<void(json::ObjectReader&)>& read) {
    contract::Decoded<bool> result;
    auto tree = json::parse_strict(body, {bytes, 32});
    if (!tree.ok()) {
        result.faults = std::move(tree.faults);
        return result;
    }
    json::ObjectReader reader(*tree.value, "", result.faults);
    read(reader);
    reader.finish();
    if (result.faults.empty()) result.value = true;
    return result;
}

}  // namespace guideway::resources
