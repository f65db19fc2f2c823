// Fields: lenient reading of one JSON object of the Kubernetes API: what is not asked for is passed over, null is absent, and a member of a
// wrong type is a fault with its JSON pointer, never an exception.
//
// Strictness is the API server's business; but a value that we would act on and cannot read must not be taken for "absent": an object with
// a fault is skipped whole by its reader, and what was known of it before stays.
//
// Worked example, on {"spec": {"type": 5, "externalName": null, "new": {}}}:
//     Fields spec = root.object("spec");
//     spec.text("type");          // "": fault {"/spec/type", "found a number, allowed a string"}
//     spec.text("externalName");  // "": absent
//
// Thread contract: one thread; the tree and the list of faults outlive it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "api/contract/forwarding_state.h"

namespace guideway::kubernetes {

class Fields {
  public:
    /// `pointer`: the place of `value` in its document. No object: a fault, and every member is absent.
    Fields(const nlohmann::json& value, std::string pointer, std::vector<contract::Fault>& faults);

    bool has(std::string_view key) const { return find(key) != nullptr; }
    std::string text(std::string_view key) const;
    std::optional<bool> boolean(std::string_view key) const;
    /// Bounds are inclusive; beyond them: a fault, and nothing.
    std::optional<std::int64_t> integer(std::string_view key, std::int64_t min, std::int64_t max) const;
    std::uint16_t port(std::string_view key) const {
        return static_cast<std::uint16_t>(integer(key, 0, 65535).value_or(0));
    }
    std::vector<std::string> texts(std::string_view key) const;
    std::map<std::string, std::string> text_map(std::string_view key) const;
    /// Absent: a reader of an empty object.
    Fields object(std::string_view key) const;
    /// f(Fields) for each element.
    template <class F>
    void each(std::string_view key, F&& f) const {
        const nlohmann::json* list = typed(key, nlohmann::json::value_t::array);
        if (list == nullptr) return;
        for (std::size_t i = 0; i < list->size(); ++i) {
            f(Fields((*list)[i], at(key) + "/" + std::to_string(i), faults_));
        }
    }
    void fault(std::string_view key, std::string message) const;

  private:
    /// Null: absent, or null.
    const nlohmann::json* find(std::string_view key) const;
    /// Null: absent, or of another type (with a fault).
    const nlohmann::json* typed(std::string_view key, nlohmann::json::value_t type) const;
    std::string at(std::string_view key) const;

    const nlohmann::json* object_;  ///< null: every member is absent
    std::string pointer_;
    std::vector<contract::Fault>& faults_;
};

}  // namespace guideway::kubernetes
