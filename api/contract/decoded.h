// Decoded: what became of a text that should be a document: a value, or every reason why not.
// Thread contract: plain value.
#pragma once

#include <optional>
#include <vector>

#include "api/contract/forwarding_state.h"

namespace guideway::contract {

template <class T>
struct Decoded {
    std::optional<T> value;     ///< set exactly where `faults` is empty
    std::vector<Fault> faults;  ///< each with the JSON pointer of its place

    bool ok() const { return value.has_value(); }
};

}  // namespace guideway::contract
