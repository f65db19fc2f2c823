#include "dataplane/net/next_hop_objects.h"

#include <algorithm>

namespace guideway::net {

void add_way(std::vector<Way>& ways, const Way& way) {
    const auto same = std::ranges::find_if(ways, [&](const Way& other) { return other.same_place(way); });
    if (same == ways.end()) {
        ways.push_back(way);
    } else {
        same->weight = static_cast<std::uint16_t>(same->weight + way.weight);
    }
}

void NextHopObjects::remove_through(std::uint16_t port) {
    std::erase_if(objects_, [&](const auto& entry) { return entry.second.way && entry.second.way->port == port; });
}

std::vector<Way> NextHopObjects::ways(std::uint32_t object) const {
    std::vector<Way> list;
    const auto found = objects_.find(object);
    if (found == objects_.end()) return list;
    if (found->second.way) list.push_back(*found->second.way);
    for (const auto& [id, weight] : found->second.members) {
        const auto member = objects_.find(id);  // groups have no groups in them
        if (member == objects_.end() || !member->second.way) continue;
        Way way = *member->second.way;
        way.weight = weight;
        add_way(list, way);
    }
    return list;
}

}  // namespace guideway::net
