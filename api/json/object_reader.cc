#include "api/json/object_reader.h"

#include <algorithm>
#include <utility>

#include <nlohmann/json.hpp>

#include "api/json/parse.h"

namespace guideway::json {

namespace {

constexpr std::size_t kShownBytes = 100;

/// A value in a few words: texts and numbers as they are, the rest by kind.
std::string describe(const nlohmann::json& value) {
    if (value.is_string()) return ObjectReader::quoted(value.get_ref<const std::string&>());
    if (value.is_object()) return "an object";
    if (value.is_array()) return "an array";
    return value.dump();
}

std::string range(std::uint64_t min, std::uint64_t max) { return std::to_string(min) + ".." + std::to_string(max); }

}  // namespace

std::string ObjectReader::quoted(std::string_view text) {
    std::string out = "\"";
    std::size_t used = 0;
    for (const char c : text) {
        if (used++ >= kShownBytes && (static_cast<unsigned char>(c) & 0xc0U) != 0x80U) break;
        // Faults end up in logs and on terminals: nothing in them may be a control character.
        out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
    }
    return out + (out.size() - 1 < text.size() ? "...\"" : "\"");
}

ObjectReader::ObjectReader(const nlohmann::json& value, std::string pointer, std::vector<contract::Fault>& faults)
    : pointer_(std::move(pointer)), faults_(&faults) {
    if (value.is_object()) {
        object_ = &value;
    } else {
        fault_at(pointer_, "found " + describe(value) + ", allowed an object");
    }
}

bool ObjectReader::has(std::string_view key) {
    ignore(key);
    return object_ != nullptr && object_->find(key) != object_->end();
}

std::string ObjectReader::place_of(std::string_view key) const { return pointer_ + "/" + pointer_token(key); }

void ObjectReader::fault_at(std::string place, std::string message) {
    if (faults_->size() < kMaxFaults) faults_->push_back({std::move(place), std::move(message)});
}

void ObjectReader::fault(std::string_view key, std::string message) { fault_at(place_of(key), std::move(message)); }

void ObjectReader::refuse(std::string_view key, std::string_view found, std::string_view allowed) {
    fault(key, "found " + std::string(found) + ", allowed " + std::string(allowed));
}

const nlohmann::json* ObjectReader::find(std::string_view key, bool required, std::string_view allowed) {
    if (object_ == nullptr) return nullptr;
    seen_.push_back(key);
    const auto found = object_->find(key);
    if (found != object_->end()) return &*found;
    if (required) fault(key, "missing, allowed " + std::string(allowed));
    return nullptr;
}

const std::string* ObjectReader::text_of(std::string_view key, bool required, std::string_view allowed) {
    const nlohmann::json* value = find(key, required, allowed);
    if (value == nullptr) return nullptr;
    if (value->is_string()) return &value->get_ref<const std::string&>();
    refuse(key, describe(*value), allowed);
    return nullptr;
}

bool ObjectReader::check_text(const std::string& text, const TextRule& rule, const std::string& place) {
    if (text.size() < rule.min || text.size() > rule.max) {
        const std::string found =
            text.empty() ? "an empty text" : "a text of " + std::to_string(text.size()) + " bytes";
        fault_at(place, "found " + found + ", allowed " + range(rule.min, rule.max) + " bytes");
        return false;
    }
    if (rule.accepts != nullptr && !rule.accepts(text)) {
        fault_at(place, "found " + quoted(text) + ", allowed " + rule.allowed);
        return false;
    }
    return true;
}

std::string ObjectReader::required_string(std::string_view key, const TextRule& rule) {
    const std::string* text = text_of(key, true, rule.allowed != nullptr ? rule.allowed : "a text");
    if (text == nullptr || !check_text(*text, rule, place_of(key))) return {};
    return *text;
}

std::string ObjectReader::string_or(std::string_view key, std::string fallback, const TextRule& rule) {
    const std::string* text = text_of(key, false, rule.allowed != nullptr ? rule.allowed : "a text");
    if (text == nullptr || !check_text(*text, rule, place_of(key))) return fallback;
    return *text;
}

std::uint64_t ObjectReader::required_unsigned(std::string_view key, std::uint64_t min, std::uint64_t max) {
    const nlohmann::json* value = find(key, true, range(min, max));
    if (value == nullptr) return min;
    // is_number_unsigned() is false for negative numbers and for anything with a fraction or an exponent.
    if (value->is_number_unsigned()) {
        const auto number = value->get<std::uint64_t>();
        if (number >= min && number <= max) return number;
    }
    refuse(key, describe(*value), range(min, max));
    return min;
}

std::uint64_t ObjectReader::unsigned_or(std::string_view key, std::uint64_t fallback, std::uint64_t min,
                                        std::uint64_t max) {
    return has(key) ? required_unsigned(key, min, max) : fallback;
}

bool ObjectReader::required_boolean(std::string_view key) {
    const nlohmann::json* value = find(key, true, "true or false");
    if (value == nullptr) return false;
    if (value->is_boolean()) return value->get<bool>();
    refuse(key, describe(*value), "true or false");
    return false;
}

bool ObjectReader::boolean_or(std::string_view key, bool fallback) {
    return has(key) ? required_boolean(key) : fallback;
}

const nlohmann::json* ObjectReader::array_of(std::string_view key, Count count, std::string_view allowed) {
    const nlohmann::json* value = find(key, count.min > 0, allowed);
    if (value == nullptr) return nullptr;
    if (!value->is_array()) {
        refuse(key, describe(*value), "an array (" + range(count.min, count.max) + " elements)");
        return nullptr;
    }
    if (value->size() < count.min || value->size() > count.max) {
        refuse(key, std::to_string(value->size()) + " elements", range(count.min, count.max));
        return nullptr;
    }
    return value;
}

void ObjectReader::each_text(std::string_view key, Count count, std::string_view allowed,
                             const std::function<void(const std::string&, const std::string&)>& read) {
    const nlohmann::json* array = array_of(key, count, "an array of texts");
    if (array == nullptr) return;
    const std::string place = place_of(key) + "/";
    for (std::size_t i = 0; i < array->size(); ++i) {
        const nlohmann::json& element = (*array)[i];
        if (element.is_string()) {
            read(element.get_ref<const std::string&>(), place + std::to_string(i));
        } else {
            fault_at(place + std::to_string(i), "found " + describe(element) + ", allowed " + std::string(allowed));
        }
    }
}

std::vector<std::string> ObjectReader::strings(std::string_view key, Count count, const TextRule& rule) {
    std::vector<std::string> out;
    each_text(key, count, rule.allowed != nullptr ? rule.allowed : "a text",
              [&](const std::string& text, const std::string& place) {
                  if (check_text(text, rule, place)) out.push_back(text);
              });
    return out;
}

ObjectReader ObjectReader::required_object(std::string_view key) {
    const nlohmann::json* value = find(key, true, "an object");
    return value == nullptr ? ObjectReader(*faults_) : ObjectReader(*value, place_of(key), *faults_);
}

ObjectReader ObjectReader::optional_object(std::string_view key) {
    const nlohmann::json* value = find(key, false, "an object");
    return value == nullptr ? ObjectReader(*faults_) : ObjectReader(*value, place_of(key), *faults_);
}

void ObjectReader::each_object(std::string_view key, Count count, const std::function<void(ObjectReader&)>& read) {
    const nlohmann::json* array = array_of(key, count, "an array of objects");
    if (array == nullptr) return;
    const std::string place = place_of(key) + "/";
    for (std::size_t i = 0; i < array->size(); ++i) {
        ObjectReader element((*array)[i], place + std::to_string(i), *faults_);
        read(element);
        element.finish();
    }
}

void ObjectReader::each_member(std::string_view key, Count count, const TextRule& rule,
                               const std::function<void(const std::string&, const std::string&)>& read) {
    const nlohmann::json* value = find(key, count.min > 0, "an object");
    if (value == nullptr) return;
    if (!value->is_object()) {
        refuse(key, describe(*value), "an object of texts");
        return;
    }
    if (value->size() < count.min || value->size() > count.max) {
        refuse(key, std::to_string(value->size()) + " members", range(count.min, count.max));
        return;
    }
    for (const auto& [name, text] : value->items()) {
        const std::string place = place_of(key) + "/" + pointer_token(name);
        if (!text.is_string()) {
            fault_at(place, "found " + describe(text) + ", allowed a text");
        } else if (check_text(text.get_ref<const std::string&>(), rule, place)) {
            read(name, text.get_ref<const std::string&>());
        }
    }
}

void ObjectReader::finish() {
    if (object_ == nullptr) return;
    for (auto member = object_->begin(); member != object_->end(); ++member) {
        if (std::find(seen_.begin(), seen_.end(), member.key()) != seen_.end()) continue;
        std::string names;
        std::vector<std::string_view> listed;
        for (const std::string_view one : seen_) {
            if (std::find(listed.begin(), listed.end(), one) != listed.end()) continue;
            listed.push_back(one);
            names += (names.empty() ? "" : ", ") + std::string(one);
        }
        fault(member.key(), "unknown field, allowed " + names);
    }
}

}  // namespace guideway::json
