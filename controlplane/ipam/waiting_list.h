// WaitingList: who waits for what, so that a change asks only those whom it may serve (ipam-rules 13, 23).
//
// Terms: a *member* waits under its age; its *interests* say what could help it: somebody leaving or changing on an address, an
// address becoming free in a pool (of a family), a change among the addresses that are held with a sharing key. Members of one
// *group* need nothing but a free address of the same pools: where one of them is refused, the others would be too, so an event
// costs one attempt a group however long the queue is. A member is *due* when something happened that may serve it; a group is
// *live* then. Everybody who is not due would be refused with the very words it was refused with before.
//
// Worked example: x and y wait, a group, for pool 0; z waits for 192.0.2.1, which is in use.
//   freed(0, IPv4); rewind(); next() -> x; it is served: remove(x); next() -> y; refused(y): the group is no longer live;
//   next() -> nobody: z was not asked.
//
// Thread contract: none of its own.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "controlplane/ipam/wish.h"

namespace guideway::ipam {

/// The lower one is older and comes first.
using Age = std::pair<std::uint64_t, ServiceKey>;

/// Addresses of a family in a pool (its index in the PoolSet).
using FreeIn = std::pair<std::size_t, IpFamily>;

/// Where a sharing key counts: one namespace of a cluster, or (namespace empty) the whole cluster.
struct KeyScope {
    std::string cluster;
    std::string name_space;
    std::string sharing_key;
    friend auto operator<=>(const KeyScope&, const KeyScope&) = default;
};

struct Interests {
    /// Members with equal groups need the same: a free address of `free_in`, and what else decides (the kind) is equal too.
    struct Group {
        std::string kind;
        std::vector<FreeIn> free_in;
        friend auto operator<=>(const Group&, const Group&) = default;
    };
    std::optional<Group> group;
    std::vector<FreeIn> free_in;  ///< beside those of the group
    std::vector<IpAddress> addresses;
    std::vector<KeyScope> keys;
};

class WaitingList {
  public:
    /// Adds a member, or gives it other interests. It was just asked, so it is not due.
    void put(const Age& age, Interests interests);
    /// Nothing happens where it is no member.
    void remove(const Age& age);
    std::size_t size() const { return members_.size(); }

    // What happened.
    void freed(const FreeIn& where);
    void changed(const IpAddress& address);
    void changed(const KeyScope& key);
    void everything_changed();
    /// Nobody is due: the state is one in which all were asked already.
    void settle();

    /// Starts a pass over those that are due, from the oldest.
    void rewind() { cursor_.reset(); }
    /// The next of the pass, who is then no longer due itself; none: the pass is over. Those that became due behind its back come
    /// in the next pass.
    std::optional<Age> next();
    /// Whom next() gave could not be served, so neither can its group.
    void refused(const Age& age);
    bool any_due() const;

  private:
    struct GroupState {
        std::set<Age> members;
        bool is_live = false;
    };
    using Groups = std::map<Interests::Group, GroupState>;
    struct Member {
        std::optional<Groups::iterator> group;
        std::vector<FreeIn> free_in;
        std::vector<IpAddress> addresses;
        std::vector<KeyScope> keys;
    };

    std::map<Age, Member> members_;
    Groups groups_;
    std::map<FreeIn, std::set<Age>> by_free_in_;
    std::map<FreeIn, std::vector<Groups::iterator>> groups_by_free_in_;
    std::unordered_map<IpAddress, std::set<Age>, IpAddressHash> by_address_;
    std::map<KeyScope, std::set<Age>> by_key_;
    std::set<Age> due_;
    std::vector<Groups::iterator> live_;
    std::optional<Age> cursor_;
};

}  // namespace guideway::ipam
