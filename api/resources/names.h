// Names of objects, as Kubernetes allows them (RFC 1123). Thread contract: pure functions.
#pragma once

#include <string_view>

namespace guideway::resources {

/// Lower-case letters, digits and '-', beginning and ending with a letter or digit, 1..63 characters: namespaces.
bool is_label(std::string_view text);
/// Labels joined by dots, 1..253 characters: names of objects.
bool is_name(std::string_view text);

}  // namespace guideway::resources
