// PodRoutes: which node each podCIDR leads through, and which nodes are left out because another one has the same podCIDR.
//
// Of several nodes with one podCIDR the one with the lowest address has the route (reconcile::StateBuilder decides the same); there can be
// but one, and pods of the others cannot be reached through it.
//
// Worked example: put(a, 10.244.1.0/24 at 10.0.2.11); put(b, 10.244.1.0/24 at 10.0.2.12); left_out(b) -> {10.244.1.0/24, "a"};
// left_out(a) -> none. erase(a); left_out(b) -> none.
// Cost: a changed node costs its own podCIDRs. Thread contract: none of its own; the owner serialises.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "api/contract/ip_address.h"
#include "api/resources/node.h"

namespace guideway::controlplane {

class PodRoutes {
  public:
    /// `name` tells it from all others, of other clusters too; it is not there yet.
    void put(const std::string& name, const resources::Node& node);
    /// As it was put.
    void erase(const std::string& name, const resources::Node& node);
    void clear() { routes_.clear(); }

    struct LeftOut {
        IpPrefix pods;
        std::string by;  ///< the node that has the route
    };
    /// The first podCIDR of the node that another one has the route of; none: it has all of its own.
    std::optional<LeftOut> left_out(const std::string& name, const resources::Node& node) const;

  private:
    std::map<IpPrefix, std::set<std::pair<IpAddress, std::string>>> routes_;  ///< who would have it, the first has
};

}  // namespace guideway::controlplane
