// Names of objects, as Kubernetes allows them (RFC 1123). Thread contract: pure functions.
#pragma once

#include <string_view>

namespace guideway::resources {

/// Lower-case letters, digits and '-', beginning and ending with a letter or digit, 1..63 characters: namespaces.
bool is_label(std::string_view text);
/// Labels joined by dots, 1..253 characters: names of objects.
bool is_name(std::string_view text);

/// Of a label: a name of 1..63 letters, digits, '-', '_' and '.', beginning and ending with a letter or digit; before it, where
/// there is one, a prefix ("app.kubernetes.io/") that is_name().
bool is_label_key(std::string_view text);
/// As the name of a label, or empty.
bool is_label_value(std::string_view text);
/// A moment as "2026-01-02T03:04:05Z" (RFC 3339, UTC, whole seconds), one that the calendar has.
bool is_utc_time(std::string_view text);

}  // namespace guideway::resources
