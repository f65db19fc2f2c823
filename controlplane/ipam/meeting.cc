// What becomes of a service: it keeps what it has wherever it can (rules 7, 10, 11, 13, 14, 17), and the
// waiting are served (23).
#include <algorithm>
#include <iterator>
#include <tuple>

#include "controlplane/ipam/allocator.h"

namespace guideway::ipam {
namespace {

std::vector<Holding> of_wanted_families(const Wish& wish, const std::vector<Holding>& holdings) {
    std::vector<Holding> wanted;
    std::copy_if(holdings.begin(), holdings.end(), std::back_inserter(wanted),
                 [&](const Holding& holding) { return wish.wants(holding.address.family); });
    return wanted;
}

}  // namespace

bool Allocator::is_placed(const Wish& wish, const std::vector<Holding>& all) const {
    if (all.empty() || fault_of(wish)) return false;
    // Of a family it gives up, the place does not matter; where it has none of the new family, that of the old one decides
    // whether it stays if the change of family is taken back.
    std::vector<Holding> holdings = of_wanted_families(wish, all);
    if (holdings.empty()) holdings = all;
    for (const IpAddress& address : wish.requested()) {
        if (std::none_of(holdings.begin(), holdings.end(), [&](const Holding& h) { return h.address == address; })) {
            return false;
        }
    }
    return wish.pool.empty() ||
           std::all_of(holdings.begin(), holdings.end(), [&](const Holding& h) { return h.pool == wish.pool; });
}

bool Allocator::stays(const Allocation& allocation) const {
    return allocation.placed && !fault_of(allocation.wish) &&
           !of_wanted_families(allocation.wish, allocation.holdings).empty();
}

void Allocator::meet(const ServiceKey& service) {
    touch(service);
    Allocation& allocation = services_.at(service);
    const bool was_refused = allocation.refusal.has_value();
    const Reason before = was_refused ? allocation.refusal->reason : Reason::no_available_ips;
    allocation.refusal = stays(allocation) ? adjust_in_place(service) : move_to_wish(service);
    if (allocation.refusal && (!was_refused || allocation.refusal->reason != before)) {
        note(service, EventKind::refused,
             std::string(to_string(allocation.refusal->reason)) + ": " + allocation.refusal->message);
    }
    reindex(service, allocation);
}

std::optional<Refusal> Allocator::move_to_wish(const ServiceKey& service) {
    Allocation& allocation = services_.at(service);
    Choice choice = choose(service, allocation.wish);
    if (choice.pick) {
        const std::string before = list_of(allocation.holdings);
        const std::string now = list_of(choice.pick->holdings);
        if (!before.empty() && before != now) {
            note(service, EventKind::moved, "moved from " + before + " to " + now + " as it asked");
        }
        set_holdings(service, std::move(choice.pick->holdings), allocation.wish.claim);
        allocation.placed = true;
        return std::nullopt;
    }
    if (allocation.holdings.empty()) return choice.refusal;
    // The working address stays (10); what the new wish says of ports and key counts there if it fits.
    if (!(allocation.claim == allocation.wish.claim) &&
        !misfit_where_it_is(service, allocation.wish.claim, allocation.holdings)) {
        set_holdings(service, allocation.holdings, allocation.wish.claim);
    }
    choice.refusal->message += " (keeps " + list_of(allocation.holdings) + " until then)";
    return choice.refusal;
}

std::optional<Refusal> Allocator::adjust_in_place(const ServiceKey& service) {
    Allocation& allocation = services_.at(service);
    std::vector<Holding> kept = of_wanted_families(allocation.wish, allocation.holdings);
    std::optional<Refusal> refusal = misfit_where_it_is(service, allocation.wish.claim, kept);
    const bool keeps_claim = refusal.has_value();
    const Claim& claim = refusal ? allocation.claim : allocation.wish.claim;
    if (kept != allocation.holdings || !(claim == allocation.claim)) {
        set_holdings(service, std::move(kept), Claim(claim));
    }
    const FamilyPolicy policy = allocation.wish.effective_policy();
    if (policy != FamilyPolicy::single && allocation.holdings.size() == 1) {
        auto missing = gain_family(service);
        if (!refusal && policy == FamilyPolicy::require_dual) refusal = std::move(missing);
    }
    if (keeps_claim) {
        // Once more, for an address that it has gained may be the first that stands in the way.
        if (auto clash = misfit_where_it_is(service, allocation.wish.claim, allocation.holdings))
            refusal = std::move(clash);
        refusal->message += " (keeps " + list_of(allocation.holdings) + " with its former ports and key until then)";
    }
    return refusal;
}

std::optional<Refusal> Allocator::gain_family(const ServiceKey& service) {
    Allocation& allocation = services_.at(service);
    const Holding held = allocation.holdings.front();
    const IpFamily missing = held.address.is_v4() ? IpFamily::ipv6 : IpFamily::ipv4;
    const auto place = pools_.place_of(held.address);
    const Pool& pool = pools_.pools()[place->pool];
    if (!pool.admits(service, allocation.wish)) {
        return Refusal{Reason::pool_not_allowed,
                       "pool \"" + pool.name + "\" of " + held.address.to_string() + " gives no " +
                           std::string(to_string(missing)) +
                           " address with it: " + pool.service_allocation->why_not(service, allocation.wish)};
    }
    const auto pick = pick_from(service, allocation.claim, place->pool, {missing});
    if (!pick) {
        return Refusal{pool.has_family(missing) ? Reason::no_available_ips : Reason::family_mismatch,
                       "pool \"" + pool.name + "\" has no free " + std::string(to_string(missing)) +
                           " address to go with " + held.address.to_string() +
                           ", and both must come from one pool; add addresses to it"};
    }
    std::vector<Holding> both{held, pick->holdings.front()};
    std::sort(both.begin(), both.end(), [](const Holding& a, const Holding& b) { return a.address < b.address; });
    set_holdings(service, std::move(both), Claim(allocation.claim));
    return std::nullopt;
}

void Allocator::reindex(const ServiceKey& service, const Allocation& allocation) {
    const Age age{allocation.order, service};
    if (allocation.refusal) {
        waiting_.put(age, interests_of_waiting(service, allocation));
    } else {
        waiting_.remove(age);
    }
    if (allocation.wish.effective_policy() == FamilyPolicy::prefer_dual && allocation.placed &&
        allocation.holdings.size() == 1) {
        incomplete_.put(age, interests_of_incomplete(service, allocation));
    } else {
        incomplete_.remove(age);
    }
}

Interests Allocator::interests_of_waiting(const ServiceKey& service, const Allocation& allocation) const {
    const Wish& wish = allocation.wish;
    const std::vector<IpAddress>& requested = wish.requested();
    Interests interests;
    // Ports and key may come to fit where it is.
    for (const Holding& holding : allocation.holdings) interests.addresses.push_back(holding.address);
    if (fault_of(wish)) return interests;
    for (const std::string* key : {&wish.claim.sharing_key, &allocation.claim.sharing_key}) {
        if (key->empty() || (key == &allocation.claim.sharing_key && *key == wish.claim.sharing_key)) continue;
        interests.keys.push_back({service.cluster, service.name_space, *key});
        interests.keys.push_back({service.cluster, "", *key});
    }
    interests.addresses.insert(interests.addresses.end(), requested.begin(), requested.end());
    const std::vector<IpFamily> families = wish.families();
    std::vector<FreeIn> free_in;
    if (requested.empty()) {
        for (const std::size_t pool : candidates(service, wish)) {
            for (const IpFamily family : families) free_in.emplace_back(pool, family);
        }
    }
    // The other family goes with an address that it holds or requests.
    if (families.size() == 2 && requested.size() < 2) {
        for (const IpAddress& address : interests.addresses) {
            const auto place = pools_.place_of(address);
            const IpFamily other = address.is_v4() ? IpFamily::ipv6 : IpFamily::ipv4;
            if (place) free_in.emplace_back(place->pool, other);
        }
    }
    const FamilyPolicy policy = wish.effective_policy();
    const bool needs_only_free_ones =
        interests.addresses.empty() && (wish.claim.sharing_key.empty() || policy != FamilyPolicy::require_dual);
    if (needs_only_free_ones) {
        interests.group = {std::to_string(static_cast<int>(policy)), std::move(free_in)};
    } else {
        interests.free_in = std::move(free_in);
    }
    return interests;
}

Interests Allocator::interests_of_incomplete(const ServiceKey& service, const Allocation& allocation) const {
    Interests interests;
    const IpAddress& held = allocation.holdings.front().address;
    const auto place = pools_.place_of(held);
    if (!place || !pools_.pools()[place->pool].admits(service, allocation.wish)) return interests;
    interests.group = {"", {{place->pool, held.is_v4() ? IpFamily::ipv6 : IpFamily::ipv4}}};
    if (!allocation.claim.sharing_key.empty()) {
        interests.keys.push_back({service.cluster, service.name_space, allocation.claim.sharing_key});
        interests.keys.push_back({service.cluster, "", allocation.claim.sharing_key});
    }
    return interests;
}

void Allocator::serve_waiting() {
    do {
        // Again while somebody is due: what one gives up serves the next, and a refusal names the holder of now.
        while (waiting_.any_due()) {
            waiting_.rewind();
            while (const auto age = waiting_.next()) {
                const ServiceKey& service = age->second;
                const bool had_address = !services_.at(service).holdings.empty();
                meet(service);
                const Allocation& allocation = services_.at(service);
                if (allocation.refusal) waiting_.refused(*age);
                if (!had_address && !allocation.holdings.empty()) {
                    note(service, EventKind::served_late, "served after waiting: " + list_of(allocation.holdings));
                }
            }
        }
    } while (gain_families());
}

bool Allocator::gain_families() {
    bool gained = false;
    incomplete_.rewind();
    while (const auto age = incomplete_.next()) {
        const ServiceKey& service = age->second;
        touch(service);
        if (gain_family(service)) {
            incomplete_.refused(*age);
            continue;
        }
        note(service, EventKind::gained_family, "has both families now: " + list_of(services_.at(service).holdings));
        if (services_.at(service).refusal) {
            meet(service);  // its words name what it keeps
        } else {
            reindex(service, services_.at(service));
        }
        gained = true;
    }
    return gained;
}

}  // namespace guideway::ipam
