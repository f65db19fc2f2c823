// What all codecs of this folder share: metadata, conditions, lists, addresses. Inside api/resources only.
//
// Terms. Wish: what a client PUTs, server-set fields ignored. Answer: what the server sends or the store kept, all read.
// Thread contract: pure functions.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "api/contract/decoded.h"
#include "api/contract/ip_address.h"
#include "api/json/object_reader.h"
#include "api/json/parse.h"
#include "api/resources/metadata.h"

namespace guideway::resources {

/// Where a wish goes: the names in its path. `ns` is empty for what has no namespace.
struct PathNames {
    std::string_view ns;
    std::string_view name;
};

/// {"kind": ..., "metadata": {...}}; the namespace is written where there is one.
nlohmann::ordered_json head_of(std::string_view kind, const Metadata& metadata);
nlohmann::ordered_json tree_of(const std::vector<Condition>& conditions);
std::string text_of(const nlohmann::ordered_json& tree, bool pretty);
/// {"kind": "<kind>List", "items": [...]}
std::string list_text_of(std::string_view kind, nlohmann::ordered_json items, bool pretty);

/// `kind` may be missing; where it is there it must be this one.
void check_kind(json::ObjectReader& reader, std::string_view kind);
/// Kind and metadata of a wish; faults where they disagree with the path.
Metadata read_wish_head(json::ObjectReader& reader, std::string_view kind, const PathNames& path);
/// Kind and metadata of an answer. `namespaced`: the namespace is required.
Metadata read_answer_head(json::ObjectReader& reader, std::string_view kind, bool namespaced);
std::vector<Condition> read_conditions(json::ObjectReader& reader);

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
contract::Decoded<std::vector<T>> decode_list(std::string_view body, std::size_t bytes, std::string_view list_kind,
                                              Read read) {
    return decode_document<std::vector<T>>(body, bytes, [&](json::ObjectReader& reader) {
        std::vector<T> values;
        check_kind(reader, list_kind);
        reader.each_object("items", {0, 1U << 20}, [&](json::ObjectReader& one) { values.push_back(read(one)); });
        return values;
    });
}

}  // namespace guideway::resources
