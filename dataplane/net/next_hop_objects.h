// NextHopObjects: the kernel's next-hop objects (`ip nexthop`), by which routing daemons (FRR) name the ways of many routes at once.
//
// Terms: an object is one way, or a group: other objects with weights. A removed object leaves its groups; a group that has none left is
// removed too.
// Worked example: 1 = by 192.0.2.253, 2 = by 192.0.2.254, 10 = group of 1 (weight 3) and 2 -> ways(10) = both; 2 is removed -> the first; 1 is
// removed -> 10 is gone too.
//
// Thread contract: one thread.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::net {

/// One next hop of a route.
struct Way {
    std::uint16_t port = 0;            ///< index
    std::optional<IpAddress> gateway;  ///< none: the destination is on the link
    std::uint16_t weight = 1;          ///< from 1; of the kernel's at most 256, of several to one place the sum

    bool same_place(const Way& other) const { return port == other.port && gateway == other.gateway; }
};

/// Adds a way; a second to the same place adds its weight to the first's, up to 65535.
void add_way(std::vector<Way>& ways, const Way& way);

class NextHopObjects {
  public:
    using Members = std::vector<std::pair<std::uint32_t, std::uint16_t>>;  ///< object, weight

    void put_way(std::uint32_t object, const Way& way) { objects_[object] = {way, {}}; }
    void put_group(std::uint32_t object, Members members) { objects_[object] = {std::nullopt, std::move(members)}; }
    /// It is there still, but leads nowhere of ours.
    void disown(std::uint32_t object) { objects_.erase(object); }
    /// What is gone: the object, and the groups that had no other.
    std::set<std::uint32_t> remove(std::uint32_t object);
    /// The kernel removes those of a link that goes down, without a word. What is gone.
    std::set<std::uint32_t> remove_through(std::uint16_t port);
    void clear() { objects_.clear(); }

    std::vector<Way> ways(std::uint32_t object) const;

  private:
    struct Object {
        std::optional<Way> way;
        Members members;
    };
    void leave_groups(std::set<std::uint32_t>& gone);

    std::map<std::uint32_t, Object> objects_;
};

}  // namespace guideway::net
