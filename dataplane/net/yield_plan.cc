#include "dataplane/net/yield_plan.h"

#include <algorithm>
#include <set>
#include <utility>

namespace guideway::net {

using snapshot::Place;

namespace {

constexpr std::chrono::milliseconds kProbeAgain{20};
constexpr std::chrono::seconds kLinkAgain{1};

bool is_up(const std::vector<bool>& link_up, std::uint16_t port) { return port < link_up.size() && link_up[port]; }

}  // namespace

std::chrono::milliseconds YieldPlan::by_chance(std::chrono::milliseconds longest) {
    return std::chrono::milliseconds(std::uniform_int_distribution<std::int64_t>(0, longest.count())(chance_));
}

void YieldPlan::rest(Yielded& one, TimePoint now) {
    one.probes = 0;
    one.next = now + settings_.quiet * (1U << one.answered) + by_chance(kLongestWait);
}

void YieldPlan::show() {
    set_.reset();
    if (yielded_.empty()) return;
    std::vector<Place> places;
    for (const auto& [place, one] : yielded_) places.push_back(place);
    set_ = std::make_shared<const snapshot::YieldedSet>(std::move(places));
}

YieldPlan::Heard YieldPlan::claimed(const Place& place, TimePoint now) {
    if (!settings_.on || std::ranges::find(settings_.never, place.address) != settings_.never.end())
        return Heard::contested;
    if (const auto known = yielded_.find(place); known != yielded_.end()) {
        Yielded& one = known->second;
        // Several answer a probe, or one answers several: that is one round.
        if (one.probes > 0 && one.answered < kMostDoublings) ++one.answered;
        rest(one, now);
        return Heard::known;
    }
    std::erase_if(contested_, [&](const auto& one) { return now - one.second >= kDefendInterval; });
    if (!contested_.contains(place)) {
        if (contested_.size() < kMost) contested_.emplace(place, now);
        return Heard::contested;
    }
    if (yielded_.size() >= kMost) return Heard::contested;
    contested_.erase(place);
    rest(yielded_[place], now);
    show();
    return Heard::yielded;
}

void YieldPlan::keep_only(const std::vector<IpAddress>& in_use, const ServedOn& served_on) {
    if (yielded_.empty()) return;
    const std::set<IpAddress> wanted(in_use.begin(), in_use.end());
    const auto is_over = [&](const auto& one) {
        const auto& [port, address] = one.first;
        return !wanted.contains(address) || (served_on && !served_on(port, address));
    };
    if (std::erase_if(yielded_, is_over) > 0) show();
}

std::optional<Place> YieldPlan::next_probe(TimePoint now, const std::vector<bool>& link_up) {
    for (auto& [place, one] : yielded_) {
        if (one.next > now || one.probes == kProbes) continue;
        if (!is_up(link_up, place.port)) {
            one.probes = 0;
            one.next = now + kLinkAgain;
            continue;
        }
        ++one.probes;
        one.next = now + (one.probes == kProbes ? kAnswersIn : kProbeEach + by_chance(kProbeEach));
        return place;
    }
    return std::nullopt;
}

void YieldPlan::put_back(const Place& place, TimePoint now) {
    const auto known = yielded_.find(place);
    if (known == yielded_.end() || known->second.probes == 0) return;
    --known->second.probes;
    known->second.next = now + kProbeAgain;
}

std::vector<Place> YieldPlan::resume(TimePoint now, const std::vector<bool>& link_up) {
    std::vector<Place> resumed;
    for (auto& [place, one] : yielded_) {
        if (one.next > now || one.probes < kProbes) continue;
        if (is_up(link_up, place.port)) {
            resumed.push_back(place);
        } else {
            // Nobody could answer: asked again when the link is back.
            one.probes = 0;
            one.next = now + kLinkAgain;
        }
    }
    for (const Place& place : resumed) yielded_.erase(place);
    if (!resumed.empty()) show();
    return resumed;
}

bool YieldPlan::has(const IpAddress& address) const {
    return std::ranges::any_of(yielded_, [&](const auto& one) { return one.first.address == address; });
}

}  // namespace guideway::net
