// The dry run: what ensure() would do, and what becomes of each pool on the way (rules 3, 4, 6 to 9, 13, 16).
#include <algorithm>
#include <array>
#include <limits>

#include "controlplane/ipam/allocator.h"

namespace guideway::ipam {
namespace {

constexpr std::array<std::string_view, 10> kVerdicts{
    "Used",        "KeepsItsAddress", "Later", "LessSuitable", "NotRequested", "NotAutoAssigning",
    "NotAdmitted", "FamilyMissing",   "Full",  "Refused",
};

std::vector<Holding> of_pool(const std::vector<Holding>& holdings, const std::string& pool) {
    std::vector<Holding> found;
    for (const Holding& holding : holdings) {
        if (holding.pool == pool) found.push_back(holding);
    }
    return found;
}

}  // namespace

std::string_view to_string(Verdict verdict) { return kVerdicts[static_cast<std::size_t>(verdict)]; }

Preview Allocator::preview(const ServiceKey& service, const Wish& wish, std::uint64_t now_seconds) {
    // A transaction within the one that may be open: it is undone alone.
    Journal outer = std::move(journal_);
    journal_ = {};
    const std::uint64_t now_before = now_;
    now_ = std::max(now_, now_seconds);
    end_quarantines();
    const Allocation* held = find(service);
    const std::vector<Holding> before = held == nullptr ? std::vector<Holding>{} : held->holdings;

    const Allocation& after = ensure(service, wish, std::numeric_limits<std::uint64_t>::max());
    Preview preview{after.holdings, false, after.refusal, {}};
    const auto same_address = [](const Holding& a, const Holding& b) { return a.address == b.address; };
    preview.changes_address =
        !std::equal(before.begin(), before.end(), after.holdings.begin(), after.holdings.end(), same_address);
    const bool stays = held != nullptr && !preview.changes_address && !before.empty() && !after.refusal;
    undo();

    const std::vector<std::size_t>& order = pools_.by_preference();
    Considered considered{service, wish, preview, stays, std::nullopt};
    for (std::size_t rank = 0; rank < order.size() && !preview.refusal; ++rank) {
        if (!of_pool(preview.holdings, pools_.pools()[order[rank]].name).empty()) {
            considered.used = rank;
            break;
        }
    }
    std::vector<PoolVerdict> verdicts;
    for (std::size_t rank = 0; rank < order.size(); ++rank) verdicts.push_back(verdict_on(rank, considered));
    preview.pools = std::move(verdicts);
    journal_ = std::move(outer);
    now_ = now_before;
    return preview;
}

PoolVerdict Allocator::verdict_on(std::size_t rank, const Considered& considered) const {
    const auto& [asker, wish, preview, stays, used] = considered;
    const ServiceKey& service = asker;  // a name of its own, as lambdas cannot take hold of a part of a binding
    const std::size_t index = pools_.by_preference()[rank];
    const Pool& pool = pools_.pools()[index];
    if (const auto here = of_pool(preview.holdings, pool.name); !here.empty()) {
        const std::string list = list_of(here);
        if (preview.refusal) {
            return {pool.name, Verdict::used, "has " + list + ", which the service keeps until its wish can be met"};
        }
        if (stays) return {pool.name, Verdict::used, "has " + list + ", which the service holds and keeps"};
        const bool quarantined = std::any_of(here.begin(), here.end(), [&](const Holding& holding) {
            const auto at = quarantine_.find(holding.address);
            // Those whose time is over by now are only taken out by the next begin().
            return at != quarantine_.end() && at->second.former != service &&
                   at->second.freed_at + pool.quarantine_seconds > now_;
        });
        const bool shared = std::any_of(here.begin(), here.end(), [&](const Holding& holding) {
            return users_.contains(holding.address) && !is_user(service, holding.address);
        });
        return {
            pool.name, Verdict::used,
            "gives " + list + (shared ? ", shared by its key" : "") +
                (quarantined ? ", which is still in quarantine: asked for by address, or no other one is free" : "")};
    }
    if (const auto fault = fault_of(wish)) return {pool.name, Verdict::refused, "not asked: " + fault->message};
    if (stays) {
        return {pool.name, Verdict::keeps_its_address, "not asked: the service keeps " + list_of(preview.holdings)};
    }
    const std::vector<IpAddress>& requested = wish.requested();
    if (!requested.empty()) {
        const bool is_asked = std::any_of(requested.begin(), requested.end(), [&](const IpAddress& address) {
            const auto range = pools_.range_of(address);
            return range && range->pool == index;
        });
        if (!is_asked) return {pool.name, Verdict::not_requested, "has none of the requested addresses"};
        if (!pool.admits(service, wish)) {
            return {pool.name, Verdict::not_admitted, pool.service_allocation->why_not(service, wish)};
        }
        return {pool.name, Verdict::refused, preview.refusal ? preview.refusal->message : "not needed any more"};
    }
    if (!wish.pool.empty() && wish.pool != pool.name) {
        return {pool.name, Verdict::not_requested, "pool \"" + wish.pool + "\" is requested"};
    }
    if (!pool.admits(service, wish)) {
        return {pool.name, Verdict::not_admitted, pool.service_allocation->why_not(service, wish)};
    }
    if (wish.pool.empty() && !pool.auto_assign) {
        return {pool.name, Verdict::not_auto_assigning,
                "gives addresses only to those who request the pool or an address of it"};
    }
    return verdict_by_families(rank, considered);
}

PoolVerdict Allocator::verdict_by_families(std::size_t rank, const Considered& considered) const {
    const auto& [asker, wish, preview, stays, used] = considered;
    const ServiceKey& service = asker;  // a name of its own, as lambdas cannot take hold of a part of a binding
    const std::size_t index = pools_.by_preference()[rank];
    const Pool& pool = pools_.pools()[index];
    const bool one_is_enough = wish.effective_policy() == FamilyPolicy::prefer_dual;
    std::size_t served = 0;
    std::string full;
    for (const IpFamily family : wish.families()) {
        const std::string name(guideway::to_string(family));
        if (pick_from(service, wish.claim, index, {family})) {
            ++served;
        } else if (pool.has_family(family)) {
            full += (full.empty() ? "" : " or ") + name;
        } else if (!one_is_enough) {
            return {pool.name, Verdict::family_missing, "has no " + name + " addresses; add some"};
        }
    }
    const bool could = one_is_enough ? served > 0 : served == wish.families().size();
    if (!could) return {pool.name, Verdict::full, "has no free " + full + " address; add some"};
    if (used && *used < rank) {
        return {
            pool.name, Verdict::later,
            "could serve, but pool \"" + pools_.pools()[pools_.by_preference()[*used]].name + "\" is asked before it"};
    }
    if (used) {
        const std::string& better = pools_.pools()[pools_.by_preference()[*used]].name;
        return {pool.name, Verdict::less_suitable,
                served < wish.families().size()
                    ? "has one family only, and pool \"" + better + "\" serves the service better"
                    : "could serve, but pool \"" + better + "\" has an address of its sharing key"};
    }
    return {pool.name, Verdict::later, "could serve, but the service keeps what it has"};
}

}  // namespace guideway::ipam
