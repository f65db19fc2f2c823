#include "controlplane/kubernetes/objects/fields.h"

#include <limits>
#include <utility>

namespace guideway::kubernetes {
namespace {

using nlohmann::json;

/// A hostile list must not become a larger list of faults.
constexpr std::size_t kMaxFaults = 20;

std::string_view words_of(json::value_t type) {
    switch (type) {
        case json::value_t::object:
            return "an object";
        case json::value_t::array:
            return "a list";
        case json::value_t::string:
            return "a string";
        case json::value_t::boolean:
            return "true or false";
        case json::value_t::number_integer:
        case json::value_t::number_unsigned:
        case json::value_t::number_float:
            return "a number";
        default:
            break;
    }
    return "null";
}

std::string wrong(json::value_t found, std::string_view allowed) {
    return "found " + std::string(words_of(found)) + ", allowed " + std::string(allowed);
}

}  // namespace

Fields::Fields(const json& value, std::string pointer, std::vector<contract::Fault>& faults)
    : object_(value.is_object() ? &value : nullptr), pointer_(std::move(pointer)), faults_(faults) {
    if (object_ == nullptr && faults_.size() < kMaxFaults) {
        faults_.push_back({pointer_, wrong(value.type(), "an object")});
    }
}

std::string Fields::at(std::string_view key) const {
    std::string out = pointer_ + "/";
    for (const char c : key) {
        if (c == '~') {
            out += "~0";
        } else if (c == '/') {
            out += "~1";
        } else {
            out += c;
        }
    }
    return out;
}

void Fields::fault(std::string_view key, std::string message) const {
    if (faults_.size() < kMaxFaults) faults_.push_back({at(key), std::move(message)});
}

const json* Fields::find(std::string_view key) const {
    if (object_ == nullptr) return nullptr;
    const auto found = object_->find(key);
    return found == object_->end() || found->is_null() ? nullptr : &*found;
}

const json* Fields::typed(std::string_view key, json::value_t type) const {
    const json* found = find(key);
    if (found == nullptr || found->type() == type) return found;
    fault(key, wrong(found->type(), words_of(type)));
    return nullptr;
}

std::string Fields::text(std::string_view key) const {
    const json* found = typed(key, json::value_t::string);
    return found == nullptr ? std::string() : found->get<std::string>();
}

std::optional<bool> Fields::boolean(std::string_view key) const {
    const json* found = typed(key, json::value_t::boolean);
    if (found == nullptr) return std::nullopt;
    return found->get<bool>();
}

std::optional<std::int64_t> Fields::integer(std::string_view key, std::int64_t min, std::int64_t max) const {
    const json* found = find(key);
    if (found == nullptr) return std::nullopt;
    if (!found->is_number_integer()) {
        fault(key, wrong(found->type(), "a whole number"));
        return std::nullopt;
    }
    const bool huge = found->is_number_unsigned() &&
                      found->get<std::uint64_t>() > std::uint64_t{std::numeric_limits<std::int64_t>::max()};
    const std::int64_t value = huge ? std::numeric_limits<std::int64_t>::max() : found->get<std::int64_t>();
    if (value >= min && value <= max && !huge) return value;
    fault(key, "found " + found->dump() + ", allowed " + std::to_string(min) + ".." + std::to_string(max));
    return std::nullopt;
}

std::vector<std::string> Fields::texts(std::string_view key) const {
    std::vector<std::string> out;
    const json* found = typed(key, json::value_t::array);
    if (found == nullptr) return out;
    for (const json& one : *found) {
        if (one.is_string()) {
            out.push_back(one.get<std::string>());
        } else {
            fault(key, wrong(one.type(), "strings"));
        }
    }
    return out;
}

std::map<std::string, std::string> Fields::text_map(std::string_view key) const {
    std::map<std::string, std::string> out;
    const json* found = typed(key, json::value_t::object);
    if (found == nullptr) return out;
    for (const auto& [name, value] : found->items()) {
        if (value.is_string()) {
            out.emplace(name, value.get<std::string>());
        } else {
            fault(key, wrong(value.type(), "strings"));
        }
    }
    return out;
}

Fields Fields::object(std::string_view key) const {
    static const json kEmpty = json::object();
    const json* found = find(key);
    return {found == nullptr ? kEmpty : *found, at(key), faults_};
}

}  // namespace guideway::kubernetes
