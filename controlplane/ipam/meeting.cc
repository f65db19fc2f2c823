// What becomes of a service: it keeps what it has wherever it can (rules 7, 10, 11, 13, 14, 17), and the
// waiting are served (23).
#include <algorithm>
#include <iterator>
#include <tuple>

#include "controlplane/ipam/allocator.h"

namespace guideway::ipam {
namespace {

std::string list_of(const std::vector<Holding>& holdings) {
    std::string text;
    for (const Holding& holding : holdings) text += (text.empty() ? "" : ", ") + holding.address.to_string();
    return text;
}

std::vector<Holding> of_wanted_families(const Wish& wish, const std::vector<Holding>& holdings) {
    std::vector<Holding> wanted;
    std::copy_if(holdings.begin(), holdings.end(), std::back_inserter(wanted),
                 [&](const Holding& holding) { return wish.wants(holding.address.family); });
    return wanted;
}

}  // namespace

bool Allocator::is_placed(const Wish& wish, const std::vector<Holding>& all) const {
    if (all.empty()) return false;
    // Of a family it gives up, the place does not matter; where it has none of the new family, that of the old one decides
    // whether it stays if the change of family is taken back.
    std::vector<Holding> holdings = of_wanted_families(wish, all);
    if (holdings.empty()) holdings = all;
    for (const IpAddress& address : wish.addresses) {
        if (std::none_of(holdings.begin(), holdings.end(), [&](const Holding& h) { return h.address == address; })) {
            return false;
        }
    }
    return wish.pool.empty() ||
           std::all_of(holdings.begin(), holdings.end(), [&](const Holding& h) { return h.pool == wish.pool; });
}

void Allocator::meet(const ServiceKey& service) {
    touch(service);
    Allocation& allocation = services_.at(service);
    const bool stays = allocation.placed && !of_wanted_families(allocation.wish, allocation.holdings).empty();
    allocation.refusal = stays ? adjust_in_place(service) : move_to_wish(service);
    reindex(service);
}

std::optional<Refusal> Allocator::move_to_wish(const ServiceKey& service) {
    Allocation& allocation = services_.at(service);
    Choice choice = choose(service, allocation.wish);
    if (choice.pick) {
        const std::string before = list_of(allocation.holdings);
        const std::string now = list_of(choice.pick->holdings);
        if (!before.empty() && before != now) note(service, "moved from " + before + " to " + now + " as it asked");
        set_holdings(service, std::move(choice.pick->holdings), allocation.wish.claim);
        allocation.placed = true;
        return std::nullopt;
    }
    if (allocation.holdings.empty()) return choice.refusal;
    // The working address stays (10); what the new wish says of ports and key counts there if it fits.
    if (!misfit(service, allocation.wish.claim, allocation.holdings)) {
        set_holdings(service, allocation.holdings, allocation.wish.claim);
    }
    choice.refusal->message += " (keeps " + list_of(allocation.holdings) + " until then)";
    return choice.refusal;
}

std::optional<Refusal> Allocator::adjust_in_place(const ServiceKey& service) {
    Allocation& allocation = services_.at(service);
    std::vector<Holding> kept = of_wanted_families(allocation.wish, allocation.holdings);
    std::optional<Refusal> refusal = misfit(service, allocation.wish.claim, kept);
    if (refusal) refusal->message += " (keeps " + list_of(kept) + " with its former ports and key until then)";
    const Claim& claim = refusal ? allocation.claim : allocation.wish.claim;
    if (kept != allocation.holdings || !(claim == allocation.claim)) {
        set_holdings(service, std::move(kept), Claim(claim));
    }
    if (allocation.wish.policy != FamilyPolicy::single && allocation.holdings.size() == 1) {
        auto missing = gain_family(service);
        if (!refusal && allocation.wish.policy == FamilyPolicy::require_dual) refusal = std::move(missing);
    }
    return refusal;
}

std::optional<Refusal> Allocator::gain_family(const ServiceKey& service) {
    Allocation& allocation = services_.at(service);
    const Holding held = allocation.holdings.front();
    const IpFamily missing = held.address.is_v4() ? IpFamily::ipv6 : IpFamily::ipv4;
    const auto place = pools_.place_of(held.address);
    const Pool& pool = pools_.pools()[place->pool];
    const auto pick = pick_from(service, allocation.claim, place->pool, {missing});
    if (!pick) {
        return Refusal{pool.has_family(missing) ? Reason::no_available_ips : Reason::family_mismatch,
                       "pool \"" + pool.name + "\" has no free " + std::string(to_string(missing)) +
                           " address to go with " + held.address.to_string() +
                           ", and both must come from one pool; add " + "addresses to it"};
    }
    std::vector<Holding> both{held, pick->holdings.front()};
    std::sort(both.begin(), both.end(), [](const Holding& a, const Holding& b) { return a.address < b.address; });
    set_holdings(service, std::move(both), Claim(allocation.claim));
    return std::nullopt;
}

void Allocator::serve_waiting() {
    // Wishes without addresses and key fail alike: one answer serves all of a kind, so a long queue costs
    // little.
    using Kind = std::tuple<FamilyPolicy, IpFamily, std::string>;
    // Again after each change: what one gives up serves the next, and a refusal names the holder of now.
    for (bool changed = true; changed;) {
        changed = false;
        std::map<Kind, Refusal> refused;
        const std::set<Age> waiting = waiting_;
        for (const auto& [order, service] : waiting) {
            const Allocation& allocation = services_.at(service);
            const Kind kind{allocation.wish.policy, allocation.wish.primary, allocation.wish.pool};
            const bool plain = allocation.holdings.empty() && allocation.wish.addresses.empty() &&
                               allocation.wish.claim.sharing_key.empty();
            if (const auto known = refused.find(kind); plain && known != refused.end()) {
                if (allocation.refusal != known->second) {
                    touch(service);
                    services_.at(service).refusal = known->second;
                }
                continue;
            }
            const std::vector<Holding> holdings = allocation.holdings;
            const Claim claim = allocation.claim;
            meet(service);
            if (plain && allocation.refusal) refused.emplace(kind, *allocation.refusal);
            if (allocation.holdings == holdings && allocation.claim == claim) continue;
            changed = true;
            if (holdings.empty()) note(service, "served after waiting: " + list_of(allocation.holdings));
        }
        if (!changed) changed = gain_families();
    }
}

bool Allocator::gain_families() {
    bool gained = false;
    std::set<std::pair<std::string, IpFamily>> full;
    const std::set<Age> incomplete = incomplete_;
    for (const auto& [order, service] : incomplete) {
        const Allocation& allocation = services_.at(service);
        const std::pair held{allocation.holdings.front().pool, allocation.holdings.front().address.family};
        if (allocation.claim.sharing_key.empty() && full.contains(held)) continue;
        touch(service);
        if (!gain_family(service)) {
            note(service, "has both families now: " + list_of(allocation.holdings));
            reindex(service);
            gained = true;
        } else {
            full.insert(held);
        }
    }
    return gained;
}

}  // namespace guideway::ipam
