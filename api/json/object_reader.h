// ObjectReader: typed, strict reading of one JSON object, collecting every fault instead of stopping at the first.
//
// Each getter records what is wrong ("found 70000, allowed 1..65535", at its JSON pointer) and returns a value that is safe
// to go on with. finish() refuses what nobody asked for. An *absent* reader (an optional object that is not there, or
// something that is no object) answers every getter with its fallback and records nothing.
//
// Example:
//     std::vector<contract::Fault> faults;
//     json::ObjectReader reader(document, "", faults);
//     backend.name = reader.required_string("name", json::length(1, 253));
//     backend.weight = reader.integer_or<std::uint32_t>("weight", 1, 0, 1000);
//     reader.each_object("ports", {1, 100}, [&](json::ObjectReader& port) { ... });
//     reader.finish();
//
// Thread contract: a reader belongs to one thread; the JSON tree and the list of faults must outlive it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json_fwd.hpp>

#include "api/contract/forwarding_state.h"

namespace guideway::json {

/// Which texts a field takes, with the words that tell a person. Lengths in bytes of UTF-8.
struct TextRule {
    std::size_t min = 0;
    std::size_t max = 4096;
    bool (*accepts)(std::string_view) = nullptr;  ///< null: any
    const char* allowed = nullptr;                ///< for `accepts`: "an IPv4 or IPv6 address"
};

inline TextRule length(std::size_t min, std::size_t max) { return {min, max, nullptr, nullptr}; }

struct Count {
    std::size_t min = 0;
    std::size_t max = 0;
};

/// Lists stop growing here, so that a hostile document does not become a larger list of faults.
inline constexpr std::size_t kMaxFaults = 100;

class ObjectReader {
  public:
    /// `pointer` is the place of `value` in its document ("" for the root). Records a fault where it is no object.
    ObjectReader(const nlohmann::json& value, std::string pointer, std::vector<contract::Fault>& faults);

    bool present() const { return object_ != nullptr; }
    /// Asking is knowing: the field is not refused by finish().
    bool has(std::string_view key);
    const std::string& pointer() const { return pointer_; }

    /// Missing or refused: a fault, and the empty string (or the fallback).
    std::string required_string(std::string_view key, const TextRule& rule);
    std::string string_or(std::string_view key, std::string fallback, const TextRule& rule);

    /// Bounds are inclusive. Numbers with a fraction or an exponent are refused even where they are whole.
    std::uint64_t required_unsigned(std::string_view key, std::uint64_t min, std::uint64_t max);
    std::uint64_t unsigned_or(std::string_view key, std::uint64_t fallback, std::uint64_t min, std::uint64_t max);
    template <class T>
    T required_integer(std::string_view key, T min, T max) {
        return static_cast<T>(required_unsigned(key, min, max));
    }
    template <class T>
    T integer_or(std::string_view key, T fallback, T min, T max) {
        return static_cast<T>(unsigned_or(key, fallback, min, max));
    }

    bool required_boolean(std::string_view key);
    bool boolean_or(std::string_view key, bool fallback);

    /// The text turned into a T by `parse` (std::optional<T>(std::string_view)); `allowed` says what it takes.
    template <class T, class Parse>
    T required_value(std::string_view key, Parse parse, std::string_view allowed, T safe = {}) {
        const std::string* text = text_of(key, true, allowed);
        if (text == nullptr) return safe;
        std::optional<T> value = parse(*text);
        if (!value) refuse(key, quoted(*text), allowed);
        return value.value_or(safe);
    }
    template <class T, class Parse>
    T value_or(std::string_view key, T fallback, Parse parse, std::string_view allowed) {
        if (!has(key)) return fallback;
        return required_value<T>(key, parse, allowed, fallback);
    }

    /// A missing array is an empty one where count.min is 0.
    std::vector<std::string> strings(std::string_view key, Count count, const TextRule& rule);
    template <class T, class Parse>
    std::vector<T> values(std::string_view key, Count count, Parse parse, std::string_view allowed) {
        std::vector<T> out;
        each_text(key, count, allowed, [&](const std::string& text, const std::string& place) {
            if (std::optional<T> value = parse(text)) {
                out.push_back(*value);
            } else {
                fault_at(place, "found " + quoted(text) + ", allowed " + std::string(allowed));
            }
        });
        return out;
    }

    ObjectReader required_object(std::string_view key);
    /// Absent where the key is not there.
    ObjectReader optional_object(std::string_view key);
    /// Calls with a reader for each element; each is finished afterwards.
    void each_object(std::string_view key, Count count, const std::function<void(ObjectReader&)>& read);
    /// {"key": "text", ...}
    void each_member(std::string_view key, Count count, const TextRule& rule,
                     const std::function<void(const std::string& name, const std::string& value)>& read);

    /// Takes the field as known without looking into it.
    void ignore(std::string_view key) { seen_.push_back(key); }
    /// Records a fault of a field of this object; for what the getters cannot know.
    void fault(std::string_view key, std::string message);
    /// Refuses every field that was not asked for.
    void finish();

    static std::string quoted(std::string_view text);

  private:
    explicit ObjectReader(std::vector<contract::Fault>& faults) : faults_(&faults) {}
    const nlohmann::json* find(std::string_view key, bool required, std::string_view allowed);
    const std::string* text_of(std::string_view key, bool required, std::string_view allowed);
    const nlohmann::json* array_of(std::string_view key, Count count, std::string_view allowed);
    void each_text(std::string_view key, Count count, std::string_view allowed,
                   const std::function<void(const std::string&, const std::string& place)>& read);
    bool check_text(const std::string& text, const TextRule& rule, const std::string& place);
    void refuse(std::string_view key, std::string_view found, std::string_view allowed);
    void fault_at(std::string place, std::string message);
    std::string place_of(std::string_view key) const;

    const nlohmann::json* object_ = nullptr;
    std::string pointer_;
    std::vector<contract::Fault>* faults_;
    std::vector<std::string_view> seen_;
};

}  // namespace guideway::json
