// What all codecs of this folder share: metadata, conditions, lists, addresses. Inside api/resources only.
//
// Terms. Wish: what a client PUTs, server-set fields ignored. Answer: what the server sends or the store kept, all read.
// Thread contract: pure functions.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/contract/decoded.h"
#include "api/contract/ip_address.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"
#include "api/json/writer.h"
#include "api/resources/list.h"
#include "api/resources/metadata.h"

namespace guideway::resources {

/// What tells objects of a kind apart: of the appliance (name), of a cluster (cluster, name), of a namespace (cluster, namespace,
/// name).
enum class Scope : std::uint8_t { appliance, cluster, name_space };

/// Where a wish goes: the names in its path. Those its scope does not have are empty.
struct PathNames {
    std::string_view cluster;
    std::string_view ns;
    std::string_view name;
};

/// {"kind": ..., "metadata": {...}}; cluster and namespace are written where the scope has them.
nlohmann::ordered_json head_of(std::string_view kind, Scope scope, const Metadata& metadata);
nlohmann::ordered_json tree_of(const std::vector<Condition>& conditions);
/// The same straight into a text: begins the object, and leaves it open.
void write_head(json::Writer& out, std::string_view kind, Scope scope, const Metadata& metadata);
void write_labels(json::Writer& out, std::string_view key, const std::map<std::string, std::string>& labels);
void write_conditions(json::Writer& out, const std::vector<Condition>& conditions);
std::string text_of(const nlohmann::ordered_json& tree, bool pretty);
/// {"kind": "<kind>List", "metadata": {...}, "items": [...]}; null: without metadata.
std::string list_text_of(std::string_view kind, const ListMetadata* metadata, nlohmann::ordered_json items,
                         bool pretty);
template <class T>
std::string list_text_of(std::string_view kind, const ListMetadata* metadata, const std::vector<T>& objects,
                         nlohmann::ordered_json (*tree_of_one)(const T&), bool pretty) {
    auto items = nlohmann::ordered_json::array();
    for (const T& object : objects) items.push_back(tree_of_one(object));
    return list_text_of(kind, metadata, std::move(items), pretty);
}

/// `kind` may be missing; where it is there it must be this one.
void check_kind(json::ObjectReader& reader, std::string_view kind);
/// Kind and metadata of a wish; faults where they disagree with the path.
Metadata read_wish_head(json::ObjectReader& reader, std::string_view kind, Scope scope, const PathNames& path);
/// Kind and metadata of an answer. A cluster that is not told is the default one (so it was before there were clusters).
Metadata read_answer_head(json::ObjectReader& reader, std::string_view kind, Scope scope);
ListMetadata read_list_metadata(json::ObjectReader& reader);
std::vector<Condition> read_conditions(json::ObjectReader& reader);

/// Names and values as Kubernetes allows them.
std::map<std::string, std::string> read_labels(json::ObjectReader& reader, std::string_view key);

/// A version or count of the server's: any number without sign.
std::uint64_t read_count(json::ObjectReader& reader, std::string_view key);

/// A usable unicast address; the key is there.
IpAddress read_address(json::ObjectReader& reader, std::string_view key);
/// Usable unicast addresses, at most one a family.
std::vector<IpAddress> read_addresses(json::ObjectReader& reader, std::string_view key, std::size_t min);

/// Parses `body` and hands its root to `read`, then finishes it.
contract::Decoded<bool> with_document(std::string_view body, std::size_t bytes,
                                      const std::function<void(json::ObjectReader&)>& read);

/// A document read by `read` (T(json::ObjectReader&)).
template <class T, class Read>
contract::Decoded<T> decode_document(std::string_view body, std::size_t bytes, Read read) {
    contract::Decoded<T> result;
    T value;
    result.faults = with_document(body, bytes, [&](json::ObjectReader& reader) { value = read(reader); }).faults;
    if (result.faults.empty()) result.value = std::move(value);
    return result;
}

/// A list whose elements are read by `read` (T(json::ObjectReader&)).
template <class T, class Read>
contract::Decoded<List<T>> decode_list(std::string_view body, std::size_t bytes, std::string_view list_kind,
                                       Read read) {
    return decode_document<List<T>>(body, bytes, [&](json::ObjectReader& reader) {
        List<T> list;
        check_kind(reader, list_kind);
        list.metadata = read_list_metadata(reader);
        reader.each_object("items", {0, 1U << 20}, [&](json::ObjectReader& one) { list.items.push_back(read(one)); });
        return list;
    });
}

/// The items alone.
template <class T>
contract::Decoded<std::vector<T>> items_of(contract::Decoded<List<T>> list) {
    contract::Decoded<std::vector<T>> out;
    out.faults = std::move(list.faults);
    if (list.value) out.value = std::move(list.value->items);
    return out;
}

}  // namespace guideway::resources
