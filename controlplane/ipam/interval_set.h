// IntervalSet: a set of numbers kept as disjoint intervals, merged where they touch.
//
// Finding the lowest number outside costs one look-up, however many numbers are inside: the interval that
// covers the start ends right before the answer. That is why a half-full 10.0.0.0/8 allocates as fast as an
// empty one (ipam-rules 5, 6). Thread contract: none of its own.
#pragma once

#include <cstddef>
#include <map>

#include "controlplane/ipam/address_range.h"

namespace guideway::ipam {

class IntervalSet {
  public:
    /// Nothing happens where it is inside already.
    void insert(Number number);
    /// Nothing happens where it is not inside.
    void erase(Number number);
    bool contains(Number number) const;
    /// The lowest number >= `from` that is not inside. `from` must not be the end of a set that reaches the
    /// largest number.
    Number first_outside(Number from) const;
    std::size_t intervals() const { return intervals_.size(); }

  private:
    std::map<Number, Number> intervals_;  // first -> last
};

}  // namespace guideway::ipam
