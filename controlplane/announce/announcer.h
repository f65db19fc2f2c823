// Announcer: a way to tell the network of addresses. The loop (announce_loop.h) decides what is told; an announcer makes it so.
//
// There is one for BGP (kernel_routes.h). `arp` needs none here: the dataplane answers for what it forwards, and tells of it unasked. A
// further way implements these two calls and is given to the loop.
//
// Contract: both are told the truth about the world outside, which others change too: present() looks, it does not remember; apply()
// may be called with what is there already and does nothing then. Withdrawals go first.
// Thread contract: one thread at a time.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "controlplane/announce/routes.h"

namespace guideway::announce {

class Announcer {
  public:
    virtual ~Announcer() = default;
    /// The routes that are told now, sorted; else why that is not known.
    virtual std::variant<std::vector<Route>, std::string> present() = 0;
    /// From now on these and no others. Empty: done; else what could not be done. What could be is.
    virtual std::string apply(const std::vector<Route>& wanted) = 0;
};

}  // namespace guideway::announce
