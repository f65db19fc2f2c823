#include "dataplane/net/next_hop_objects.h"

#include <algorithm>
#include <iterator>

namespace guideway::net {

void add_way(std::vector<Way>& ways, const Way& way) {
    const auto same = std::ranges::find_if(ways, [&](const Way& other) { return other.same_place(way); });
    if (same == ways.end()) {
        ways.push_back(way);
    } else {
        same->weight = static_cast<std::uint16_t>(std::min(same->weight + way.weight, 65535));
    }
}

std::set<std::uint32_t> NextHopObjects::remove(std::uint32_t object) {
    objects_.erase(object);
    std::set<std::uint32_t> gone{object};
    leave_groups(gone);
    return gone;
}

std::set<std::uint32_t> NextHopObjects::remove_through(std::uint16_t port) {
    std::set<std::uint32_t> gone;
    for (const auto& [id, object] : objects_) {
        if (object.way && object.way->port == port) gone.insert(id);
    }
    for (const std::uint32_t id : gone) objects_.erase(id);
    leave_groups(gone);
    return gone;
}

/// Adds the groups that are empty then.
void NextHopObjects::leave_groups(std::set<std::uint32_t>& gone) {
    if (gone.empty()) return;
    const std::set<std::uint32_t> leaving = gone;
    for (auto entry = objects_.begin(); entry != objects_.end();) {
        Members& members = entry->second.members;
        const auto left = std::erase_if(members, [&](const auto& member) { return leaving.contains(member.first); });
        const bool empty = left != 0 && members.empty();
        if (empty) gone.insert(entry->first);
        entry = empty ? objects_.erase(entry) : std::next(entry);
    }
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
