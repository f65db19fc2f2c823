// EventBook: what happened to the objects, for people: the newest ones, in memory. What happens again and again to the same
// object, with the same words, is counted instead of written again.
//
// Worked example: add(Warning AllocationFailed of default/web) -> count 1; the same again at 10:05 -> the same event with count
// 2 and lastTimestamp 10:05, at the end of the list. Thread contract: none of its own; the owner serialises.
#pragma once

#include <cstddef>
#include <list>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "api/resources/event.h"

namespace guideway::controlplane {

class EventBook {
  public:
    explicit EventBook(std::size_t most = 2000) : most_(most) {}

    struct Added {
        resources::Event event;  ///< as it stands in the book now
        bool again = false;      ///< it was there already
    };
    /// `event.last_timestamp` is the time; its count and first_timestamp are the book's.
    Added add(resources::Event event);

    /// Oldest first, by last_timestamp.
    const std::list<resources::Event>& events() const { return events_; }
    void clear();

  private:
    using Key = std::tuple<std::string, std::string, std::string, std::string, std::string, std::string>;
    static Key key_of(const resources::Event& event);

    const std::size_t most_;
    std::list<resources::Event> events_;
    std::map<Key, std::list<resources::Event>::iterator> by_key_;
};

}  // namespace guideway::controlplane
