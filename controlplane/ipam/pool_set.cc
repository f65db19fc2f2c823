#include "controlplane/ipam/pool_set.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace guideway::ipam {
namespace {

struct Located {
    AddressRange range;
    std::size_t definition;
    std::size_t entry;
};

std::string field_of(std::size_t entry) { return "/addresses/" + std::to_string(entry); }

}  // namespace

bool Pool::has_family(IpFamily family) const {
    return std::any_of(entries.begin(), entries.end(),
                       [&](const AddressRange& entry) { return entry.family == family; });
}

Number Pool::exact_capacity(IpFamily family) const {
    Number total = 0;
    for (const AddressRange& entry : entries) {
        if (entry.family == family) total += ipam::capacity(entry, avoid_buggy_ips);
    }
    return total;
}

std::uint64_t Pool::capacity(IpFamily family) const {
    const Number total = exact_capacity(family);
    return total > kCountLimit ? kCountLimit : static_cast<std::uint64_t>(total);
}

const Pool* PoolSet::find(const std::string& name) const {
    const auto at = std::lower_bound(pools_.begin(), pools_.end(), name,
                                     [](const Pool& pool, const std::string& wanted) { return pool.name < wanted; });
    return at != pools_.end() && at->name == name ? &*at : nullptr;
}

std::optional<Place> PoolSet::range_of(const IpAddress& address) const {
    const auto at = by_last_.lower_bound({address.family, to_number(address)});
    if (at == by_last_.end()) return std::nullopt;
    const Place place = at->second;
    if (!pools_[place.pool].entries[place.entry].contains(address)) return std::nullopt;
    return place;
}

std::optional<Place> PoolSet::place_of(const IpAddress& address) const {
    const auto place = range_of(address);
    if (place && pools_[place->pool].avoid_buggy_ips && is_buggy(address.family, to_number(address)))
        return std::nullopt;
    return place;
}

ParsedPools parse_pools(std::vector<PoolDefinition> definitions) {
    ParsedPools parsed;
    std::stable_sort(definitions.begin(), definitions.end(),
                     [](const PoolDefinition& a, const PoolDefinition& b) { return a.name < b.name; });
    std::vector<Located> located;
    std::vector<Pool> pools;
    for (std::size_t i = 0; i < definitions.size(); ++i) {
        const PoolDefinition& definition = definitions[i];
        if (i > 0 && definitions[i - 1].name == definition.name) {
            parsed.faults.push_back(
                {definition.name, std::nullopt,
                 "there is another pool of the name \"" + definition.name + "\"; names are unique"});
        }
        if (definition.addresses.empty()) {
            parsed.faults.push_back(
                {definition.name, std::nullopt, "has no addresses; write at least one CIDR or range", "/addresses"});
        }
        Pool pool{definition.name,
                  {},
                  definition.auto_assign,
                  definition.avoid_buggy_ips,
                  definition.share_across_namespaces,
                  definition.quarantine_seconds,
                  definition.service_allocation};
        if (definition.service_allocation) {
            for (SelectorFault& fault : faults_of(*definition.service_allocation)) {
                parsed.faults.push_back({definition.name, std::nullopt, std::move(fault.message),
                                         "/serviceAllocation" + std::move(fault.field)});
            }
        }
        for (std::size_t entry = 0; entry < definition.addresses.size(); ++entry) {
            auto range = parse_range(definition.addresses[entry]);
            if (const auto* message = std::get_if<std::string>(&range)) {
                parsed.faults.push_back({definition.name, entry, *message, field_of(entry)});
                continue;
            }
            pool.entries.push_back(std::get<AddressRange>(range));
            located.push_back({pool.entries.back(), i, entry});
        }
        pools.push_back(std::move(pool));
    }
    std::sort(located.begin(), located.end(), [](const Located& a, const Located& b) {
        return std::tuple(a.range.family, a.range.first, a.definition, a.entry) <
               std::tuple(b.range.family, b.range.first, b.definition, b.entry);
    });
    // Sorted by start, a range overlaps some earlier one exactly if it overlaps the one that reaches furthest
    // so far.
    const Located* furthest = nullptr;
    for (const Located& current : located) {
        if (furthest != nullptr && furthest->range.overlaps(current.range)) {
            const auto name = [&](const Located& one, const Located& other) {
                const std::string entry = "\"" + definitions[one.definition].addresses[one.entry] + "\"";
                return one.definition == other.definition
                           ? entry + " of the same pool"
                           : entry + " of pool \"" + definitions[one.definition].name + "\"";
            };
            parsed.faults.push_back({definitions[current.definition].name, current.entry,
                                     "overlaps " + name(*furthest, current) + "; an address belongs to one entry only",
                                     field_of(current.entry)});
            parsed.faults.push_back({definitions[furthest->definition].name, furthest->entry,
                                     "overlaps " + name(current, *furthest) + "; an address belongs to one entry only",
                                     field_of(furthest->entry)});
        }
        if (furthest == nullptr || furthest->range.family != current.range.family ||
            furthest->range.last < current.range.last) {
            furthest = &current;
        }
    }
    if (!parsed.faults.empty()) return parsed;
    parsed.set.pools_ = std::move(pools);
    for (std::size_t pool = 0; pool < parsed.set.pools_.size(); ++pool) {
        const auto& entries = parsed.set.pools_[pool].entries;
        for (std::size_t entry = 0; entry < entries.size(); ++entry) {
            parsed.set.by_last_.emplace(PoolSet::Key{entries[entry].family, entries[entry].last}, Place{pool, entry});
        }
    }
    std::vector<std::size_t>& order = parsed.set.by_preference_;
    order.resize(parsed.set.pools_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    const auto rank = [&](std::size_t pool) {
        constexpr auto kLast = std::numeric_limits<std::uint64_t>::max();
        const auto& scoped = parsed.set.pools_[pool].service_allocation;
        return !scoped ? kLast : scoped->priority == 0 ? kLast - 1 : scoped->priority;
    };
    std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return rank(a) < rank(b); });
    return parsed;
}

}  // namespace guideway::ipam
