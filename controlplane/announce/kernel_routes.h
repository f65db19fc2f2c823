// KernelRoutes: announcing by BGP. What is told stands as routes in a kernel table that nothing looks up, from where a routing daemon
// takes it: BIRD by a `kernel` protocol with `learn`, FRR by `ip import-table` and `redistribute kernel`. docs/bgp.md shows both.
//
// Why not include files and a reload: the kernel tells the daemon at once and of each route alone; what is told outlives this process and
// the daemon without anybody's doing; a daemon that starts again finds it; no reload can fail half-way; it is the same for both
// daemons; and `ip route show table 173` (`ip -6 route ...`) shows the operator what is told.
//
// Each is a blackhole route, "proto 73", whose metric (100 + index) says which advertisement made it; the daemon's filter gives it the
// attributes by that. FRR 8 reads IPv6 routes of the main table alone, so there they stand in that.
//
// The first apply() also takes our routes out of all other tables: of what the settings said before.
//
// Worked example: 203.0.113.10/32 by the first advertisement: `blackhole 203.0.113.10 proto 73 metric 100` in table 173.
// Needs CAP_NET_ADMIN. Thread contract: one thread at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "controlplane/announce/announcer.h"

namespace guideway::announce {

/// rtm_protocol of them. 71 and 72 are the dataplane's, 186 to 196 FRR's own, which FRR would not take from anybody.
inline constexpr std::uint8_t kRouteProtocol = 73;
inline constexpr std::uint32_t kFirstMetric = 100;
/// FRR imports tables up to 252.
inline constexpr std::uint32_t kDefaultTable = 173;
inline constexpr std::uint32_t kMainTable = 254;
/// So many advertisements there may be.
inline constexpr std::size_t kMaxAdvertisements = 64;

struct KernelTables {
    std::uint32_t ipv4 = kDefaultTable;
    std::uint32_t ipv6 = kDefaultTable;
    friend bool operator==(const KernelTables&, const KernelTables&) = default;
};

/// One of our routes, and where it stands.
struct TableRoute {
    Route route;
    std::uint32_t table = 0;
};

class KernelRoutes final : public Announcer {
  public:
    explicit KernelRoutes(KernelTables tables);
    ~KernelRoutes() override;

    std::variant<std::vector<Route>, std::string> present() override;
    std::string apply(const std::vector<Route>& wanted) override;

    /// For an appliance that announces nothing any more: takes our routes out of every table. How many there were, or why not.
    static std::variant<std::size_t, std::string> remove_all();

  private:
    struct Socket;
    std::string open();
    /// Our routes in these tables; 0: in any.
    std::variant<std::vector<TableRoute>, std::string> read(KernelTables tables);
    std::variant<std::size_t, std::string> remove_elsewhere();
    std::string change(const Route& route, std::uint32_t table, bool add);
    /// Which of these the kernel has not; empty: it has all.
    std::string lacking(const std::vector<Route>& wanted);

    const KernelTables tables_;
    std::unique_ptr<Socket> socket_;
    bool clean_ = false;    // no other table has routes of ours
    bool foreign_ = false;  // a route that was to be added was there
};

}  // namespace guideway::announce
