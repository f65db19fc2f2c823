#include "controlplane/watch/event_book.h"

#include <utility>

namespace guideway::controlplane {

EventBook::Key EventBook::key_of(const resources::Event& event) {
    const resources::ObjectReference& of = event.regarding;
    return {of.kind, of.cluster, of.namespace_, of.name, event.reason, event.message};
}

EventBook::Added EventBook::add(resources::Event event) {
    const Key key = key_of(event);
    const auto known = by_key_.find(key);
    if (known != by_key_.end()) {
        event.count = known->second->count + 1;
        event.first_timestamp = known->second->first_timestamp;
        events_.erase(known->second);
    } else {
        event.count = 1;
        event.first_timestamp = event.last_timestamp;
    }
    const bool again = known != by_key_.end();
    events_.push_back(std::move(event));
    by_key_[key] = std::prev(events_.end());
    if (events_.size() > most_) {
        by_key_.erase(key_of(events_.front()));
        events_.pop_front();
    }
    return {events_.back(), again};
}

void EventBook::clear() {
    events_.clear();
    by_key_.clear();
}

}  // namespace guideway::controlplane
