// Result: a value, or the Problem that stood in its way. Both ends of the REST API answer so.
// Thread contract: a plain value.
#pragma once

#include <utility>
#include <variant>

#include "api/resources/problem.h"

namespace guideway::resources {

template <class T>
class Result {
  public:
    Result(T value) : content_(std::move(value)) {}            // NOLINT(google-explicit-constructor)
    Result(Problem problem) : content_(std::move(problem)) {}  // NOLINT(google-explicit-constructor)
    bool ok() const { return std::holds_alternative<T>(content_); }
    /// Only where ok().
    T& value() { return std::get<T>(content_); }
    const T& value() const { return std::get<T>(content_); }
    /// Only where not ok().
    const Problem& problem() const { return std::get<Problem>(content_); }

  private:
    std::variant<T, Problem> content_;
};

}  // namespace guideway::resources
