#include "controlplane/ipam/interval_set.h"

#include <iterator>

namespace guideway::ipam {

void IntervalSet::insert(Number number) {
    auto next = intervals_.upper_bound(number);
    auto previous = next == intervals_.begin() ? intervals_.end() : std::prev(next);
    if (previous != intervals_.end() && number <= previous->second) return;
    const bool joins_previous = previous != intervals_.end() && previous->second + 1 == number;
    const bool joins_next = next != intervals_.end() && number + 1 == next->first;
    if (joins_previous) {
        previous->second = joins_next ? next->second : number;
        if (joins_next) intervals_.erase(next);
    } else if (joins_next) {
        const Number last = next->second;
        intervals_.emplace_hint(intervals_.erase(next), number, last);
    } else {
        intervals_.emplace_hint(next, number, number);
    }
}

void IntervalSet::erase(Number number) {
    auto next = intervals_.upper_bound(number);
    if (next == intervals_.begin()) return;
    auto covering = std::prev(next);
    const Number first = covering->first;
    const Number last = covering->second;
    if (number > last) return;
    if (number < last) next = intervals_.emplace_hint(next, number + 1, last);
    if (number > first) {
        covering->second = number - 1;
    } else {
        intervals_.erase(covering);
    }
}

bool IntervalSet::contains(Number number) const {
    const auto next = intervals_.upper_bound(number);
    return next != intervals_.begin() && number <= std::prev(next)->second;
}

Number IntervalSet::first_outside(Number from) const {
    const auto next = intervals_.upper_bound(from);
    if (next == intervals_.begin()) return from;
    const Number last = std::prev(next)->second;
    return from <= last ? last + 1 : from;
}

}  // namespace guideway::ipam
