// The JSON form of Event: {"kind": "Event", "metadata": {"resourceVersion": "7"}, "type": "Normal", "reason": "IPAllocated",
// "message": "...", "regarding": {"kind": "LoadBalancer", "cluster": "default", "namespace": "shop", "name": "web"}, "count": 1,
// "firstTimestamp": "...", "lastTimestamp": "..."}. Thread contract: pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "api/contract/decoded.h"
#include "api/resources/event.h"
#include "api/resources/list.h"

namespace guideway::resources {

/// One line; `pretty`: indented.
std::string encode(const Event& object, bool pretty = false);
/// {"kind": "EventList", "metadata": {...}, "items": [...]}
std::string encode(const List<Event>& list, bool pretty = false);
contract::Decoded<Event> read_event(std::string_view body);
contract::Decoded<List<Event>> read_event_page(std::string_view body);

}  // namespace guideway::resources
