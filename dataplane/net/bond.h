// Bond: several devices as one port, by DPDK's bonding driver, and the choice of who of them carries.
//
// Terms:
//   member     one of the devices. Its link is what its NIC tells, or the carrier of its Linux interface.
//   collects   what comes in by the member is the port's; what comes in by others is drained and freed by the driver.
//   carries    what the port sends goes out by the member too (LACP: is distributed), by addresses and ports of the packet.
//   move       other members carry than before.
//
// The driver's 802.3ad mode, with the protocol outside of it (rte_eth_bond_8023ad_ext_*), is used for both of our modes: it is the one in
// which the application says who collects and who carries. Why not the others:
//   - Its active-backup mode gives the active member the bond's MAC address and does not start where that cannot be done, which is with
//     AF_PACKET and AF_XDP; it leaves what comes in by the others in their rings, to be received late after a move; and it follows
//     ethdev's link alone, which AF_PACKET does not tell.
//   - Its own LACP asks the partner to send each 30 seconds, so that a way that is broken behind the next device is noticed after 90,
//     and follows ethdev's link alone.
//
// How it is safe against workers that poll: members are never added or removed while packets flow (that frees their queues). A move
// changes a byte a member, which workers read once a burst: a burst goes by the old members or the new ones. Where a NIC tells a lost link
// by itself the driver takes the member from its list of active ones, which workers copy before each burst.
//
// Members keep their own MAC addresses (only LACPDUs show them) and are promiscuous, as all our devices; the bond's is that of the first.
// LACPDUs go to the wire with a worker's next burst; each gives one each millisecond, if an empty one (WorkerPort::drives_bond).
//
// Thread contract: the main thread makes, watches, ends. All that goes on meanwhile does so on DPDK's own control thread (alarms), on which
// the driver's follow-up of links runs too. status() and moves() from any thread.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "api/contract/counters.h"
#include "dataplane/config/dataplane_config.h"
#include "dataplane/net/active_backup.h"
#include "dataplane/net/lacp.h"

struct rte_mbuf;
struct rte_mempool;

namespace guideway::net {

class LinuxInterface;

class Bond {
  public:
    Bond(std::string port, config::BondConfig settings);
    ~Bond();  ///< stops watching and closes the members; the bonding device was closed before
    Bond(const Bond&) = delete;
    Bond& operator=(const Bond&) = delete;

    /// A device that was made and not started. `vdev`: its name where we made it; `interface`: the one it drives, which outlives the bond.
    void add(std::string name, std::uint16_t ethdev, std::string vdev, const LinuxInterface* interface);
    /// The bonding device of the members, not started. Returns why not.
    std::optional<std::string> create(std::string& device, std::uint16_t& ethdev);
    /// Call when the bonding device is started: from now on members carry. `mac`: the port's.
    std::optional<std::string> watch(const snapshot::MacAddress& mac, rte_mempool* pool);
    void unwatch();

    contract::Bond status() const;
    bool carries() const;  ///< a member does
    std::uint64_t moves() const noexcept { return moves_.load(std::memory_order_relaxed); }

  private:
    using Clock = std::chrono::steady_clock;
    struct Member {
        std::string name;
        std::uint16_t ethdev = 0;
        std::string vdev;
        const LinuxInterface* interface = nullptr;
        snapshot::MacAddress mac{};
        bool link_up = false;
        bool collects = false;
        bool carries = false;
        Clock::time_point silent_since{};  ///< LACP: nobody was heard since
        bool warned = false;
    };

    struct Seen {
        bool link_up = false;
        bool carries = false;
    };

    static void wake(void* bond);
    static void slow_frame(std::uint16_t ethdev, rte_mbuf* frame);
    void look(Clock::time_point now);
    void receive(std::size_t member, const rte_mbuf* frame);
    bool has_link(const Member& member) const;
    void choose(std::size_t member, bool collect, bool carry);
    void speak(std::size_t member, Clock::time_point now);
    void listen_for_silence(std::size_t member, Clock::time_point now);
    void tell(const std::array<Seen, config::BondConfig::kMostMembers>& before) const;

    const std::string port_;
    const config::BondConfig settings_;
    std::uint16_t ethdev_ = 0;
    rte_mempool* pool_ = nullptr;
    bool watching_ = false;
    std::atomic<std::uint64_t> moves_{0};

    mutable std::mutex mutex_;  ///< of those below
    std::vector<Member> members_;
    std::array<Seen, config::BondConfig::kMostMembers> seen_{};  ///< of members, at the last look
    ActiveBackup active_backup_;
    std::optional<lacp::Aggregator> lacp_;
};

}  // namespace guideway::net
