// What guideway-controlplane does about announcements instead of serving: print the routing daemon's configuration, show what is told to
// whom, begin and end maintenance. All of it works beside a control plane that runs, and without one.
//
// Return values are exit statuses: 0 done (status: sessions are up and nothing failed; maintenance --wait: all connections are done);
// 1 not, with the reason on standard error; 2: the configuration has no group bgp.
// Thread contract: before any thread is started.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "controlplane/settings.h"

namespace guideway::controlplane {

/// What is wrong beside the settings themselves (a password file that cannot be read); empty: nothing.
std::string bgp_fault(const announce::BgpSettings& bgp);
int render_bgp(const Settings& settings);
/// Peers, routes told, maintenance.
int bgp_status(const Settings& settings);
/// `what`: "on", "off" or "status". "on" withdraws everything at once; with `wait` it then waits until no connection is left, or the time is
/// over, and says which.
int maintenance(const Settings& settings, const std::string& what, std::optional<std::chrono::seconds> wait);

}  // namespace guideway::controlplane
