// YieldPlan: which addresses are left to another machine that claims them, and when they are asked for again (option announce.on_conflict =
// "yield"; RFC 5227 2.4 (b)).
//
// Terms. Contested: claimed by another machine; the first claim is answered by an announcement. Yielded: claimed once more within ten
// seconds (DEFEND_INTERVAL): ours no longer, on that port's link. Quiet time: without a claim; then a round of probes asks whether anybody has the
// address (RFC 5227 2.1.1; of IPv6, duplicate address detection). Somebody answers: yielded for a longer quiet time, twice as long after each such
// round, eight times at most. Nobody does: resumed.
//
// Worked example, quiet time 60 s: claimed at 0 and 3 s -> yielded at 3. Silence -> probes between 63 and 67 s, answered -> the next at 187 s;
// nobody answers those -> resumed two seconds after the third.
//
// Addresses of `never` are always defended: SNAT addresses carry the connections of all services, which would end.
//
// Thread contract: one thread. No EAL: time is given, chance by a seed.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <utility>
#include <vector>

#include "dataplane/snapshot/yielded_set.h"

namespace guideway::net {

struct YieldSettings {
    bool on = false;
    std::chrono::seconds quiet{60};
    std::vector<IpAddress> never = {};
    std::uint32_t seed = 1;  ///< two appliances must not ask and resume in step
};

class YieldPlan {
  public:
    using TimePoint = std::chrono::steady_clock::time_point;
    static constexpr std::chrono::seconds kDefendInterval{10};
    static constexpr std::uint32_t kProbes = 3;
    static constexpr std::chrono::milliseconds kLongestWait{1000};  ///< before the first probe, by chance
    static constexpr std::chrono::milliseconds kProbeEach{1000};    ///< and up to as much more, by chance
    static constexpr std::chrono::milliseconds kAnswersIn{2000};    ///< after the last
    static constexpr std::uint32_t kMostDoublings = 3;
    /// More are defended: memory is bounded.
    static constexpr std::size_t kMost = 256;

    explicit YieldPlan(YieldSettings settings) : settings_(std::move(settings)), chance_(settings_.seed) {}

    enum class Heard : std::uint8_t {
        contested,  ///< to be defended
        yielded,    ///< just now
        known,      ///< of one that is yielded
    };
    Heard claimed(const snapshot::Place& place, TimePoint now);
    /// Where an address is served.
    using ServedOn = std::function<bool(std::uint16_t port, const IpAddress& address)>;
    /// What is not in use any more, or not on that port, is nobody's to resume. `served_on`: null where all are everywhere.
    void keep_only(const std::vector<IpAddress>& in_use, const ServedOn& served_on = {});

    /// Whom to ask for now; `link_up` by port index: where it is down nobody could answer.
    std::optional<snapshot::Place> next_probe(TimePoint now, const std::vector<bool>& link_up);
    /// What next_probe() gave could not be sent.
    void put_back(const snapshot::Place& place, TimePoint now);
    /// Those nobody answered for, each once.
    std::vector<snapshot::Place> resume(TimePoint now, const std::vector<bool>& link_up);

    bool has(const snapshot::Place& place) const { return yielded_.contains(place); }
    bool has(const IpAddress& address) const;  ///< on any port
    /// As workers take it; null: none. Another pointer exactly after a change.
    std::shared_ptr<const snapshot::YieldedSet> set() const { return set_; }

  private:
    struct Yielded {
        TimePoint next;  ///< the next probe, or the end of the time for answers
        std::uint32_t probes = 0;
        std::uint32_t answered = 0;  ///< rounds of them
    };
    void rest(Yielded& one, TimePoint now);
    std::chrono::milliseconds by_chance(std::chrono::milliseconds longest);
    void show();

    YieldSettings settings_;
    std::minstd_rand chance_;
    std::map<snapshot::Place, TimePoint> contested_;  ///< by the claim that was defended
    std::map<snapshot::Place, Yielded> yielded_;
    std::shared_ptr<const snapshot::YieldedSet> set_;
};

}  // namespace guideway::net
