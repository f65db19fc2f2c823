// AnnouncePlan: which address is to be announced by which port, when, and who else claims one.
//
// Terms: pair: (port, address), where the address is in use and the kernel's best route to it says "on this link": hosts there ask for
// it by ARP or neighbour discovery. Addresses that are only routed to the appliance are in nobody's cache and need no announcement.
// New pair: the address came into use, the port's link came up, its addresses or its MAC changed: all announced anew, by the same rule.
// So are a port's pairs where other members of its bond carry than before.
// Repeats: the first is sent at once, the next after one second, two, four: a frame may be lost. Defence: somebody else claimed
// the address: announced once more, at most each ten seconds (RFC 5227 2.4 (c)). By option an address that is claimed again and again is left to
// who claims it (yield_plan.h): it is no pair then; resumed, it is a new one.
//
// Worked example: 3000 VIPs at the dataplane's start, 1000 a second: next() gives one each millisecond, all firsts before any second.
//
// Thread contract: one thread. No EAL: time is given.
#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "dataplane/net/yield_plan.h"
#include "dataplane/snapshot/routing_snapshot.h"

namespace guideway::net {

struct AnnounceSettings {
    std::uint32_t repeats = 3;        ///< of each new pair, in all; 0: nothing is announced, nor defended
    std::uint32_t per_second = 1000;  ///< at most, all ports together
    YieldSettings yield = {};
};

/// Somebody else's claim of an address of ours.
struct Conflict {
    IpAddress address;
    snapshot::MacAddress mac{};  ///< who claimed it last; of a yielded one, whom it is left to
    std::uint16_t port = 0;      ///< where that was heard
    std::uint64_t claims = 0;
    std::chrono::steady_clock::time_point last{};
    bool yielded = false;  ///< on some port
};

class AnnouncePlan {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    /// A conflict that was not heard of for so long is over, but for addresses that are yielded.
    static constexpr std::chrono::seconds kConflictOver{120};
    static constexpr std::chrono::seconds kDefendEach{10};
    /// More conflicts are counted, not remembered: memory is bounded.
    static constexpr std::size_t kMostConflicts = 256;

    struct Item {
        std::uint16_t port = 0;
        IpAddress address;
        std::uint32_t number = 0;  ///< 0: the first for this pair; later ones may take another form
        bool probe = false;        ///< not said, but asked whether somebody has it
        bool own = false;          ///< of the port's twin: of no pair
    };

    explicit AnnouncePlan(AnnounceSettings settings) : settings_(settings), yields_(std::move(settings.yield)) {}

    /// Where an address is served.
    using ServedOn = YieldPlan::ServedOn;
    /// What is in use now, and how the kernel reaches it. `served_on`: null where all are everywhere. `of_nodes`:
    /// those of them that are the nodes' side's, where the sides are apart. `carrying`, by port index: whether a bond has a member that
    /// carries, of which routing does not hear; empty: all do.
    void update(const std::vector<IpAddress>& addresses, const snapshot::RoutingSnapshot& routing, TimePoint now,
                const ServedOn& served_on = {}, const std::set<IpAddress>& of_nodes = {},
                const std::vector<bool>& carrying = {});
    /// The port's traffic takes another cable: all its pairs are announced anew, and once `own` addresses (of its twin), so that the
    /// switches there learn the MAC address at its new place also where no pair is.
    void again(std::uint16_t port, const std::vector<IpPrefix>& own, TimePoint now);
    /// What is to be sent now; nothing where none is due or the pace is reached.
    std::optional<Item> next(TimePoint now);
    /// What next() gave could not be sent: it comes again.
    void put_back(const Item& item, TimePoint now);

    enum class Told : std::uint8_t {
        nothing_new,  ///< of a conflict that is known
        conflict,     ///< a new one, or one with another machine: to be logged
        yielded,      ///< the address is given up on that port's link: to be logged
    };
    Told claimed(const IpAddress& address, const snapshot::MacAddress& mac, std::uint16_t port, TimePoint now);
    /// Takes addresses up again that nobody has any more, and says which.
    std::vector<snapshot::Place> resume(TimePoint now);
    /// As workers take it; null: none. To be shown to them before next() is asked.
    std::shared_ptr<const snapshot::YieldedSet> yielded() const { return yields_.set(); }
    /// Those that are not over, oldest address first.
    std::vector<Conflict> conflicts(TimePoint now);
    std::uint64_t claims() const noexcept { return claims_; }
    std::size_t pairs() const noexcept { return pairs_.size(); }

  private:
    /// The MAC is part of it: with another one the pair is a new one.
    struct Pair {
        std::uint16_t port;
        IpAddress address;
        snapshot::MacAddress mac;
        friend auto operator<=>(const Pair&, const Pair&) = default;
    };
    static std::optional<Pair> pair_of(const IpAddress& address, const snapshot::RoutingSnapshot& routing,
                                       snapshot::Side side);
    void follow(TimePoint now);
    void defend(const snapshot::Place& place, TimePoint now);
    void keep_pace(TimePoint now);

    AnnounceSettings settings_;
    YieldPlan yields_;
    std::vector<bool> link_up_;  ///< by port, and that it carries
    std::set<Pair> wanted_;
    std::set<Pair> pairs_;  ///< of the wanted those that are not yielded
    std::multimap<TimePoint, Item> due_;
    TimePoint not_before_{};
    std::map<IpAddress, Conflict> conflicts_;
    std::map<snapshot::Place, TimePoint> defended_;
    std::uint64_t claims_ = 0;
};

}  // namespace guideway::net
