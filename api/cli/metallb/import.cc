#include "api/cli/metallb/import.h"

#include <algorithm>
#include <limits>
#include <set>
#include <utility>
#include <variant>

#include <nlohmann/json.hpp>

#include "api/cli/metallb/ranges.h"
#include "api/cli/metallb/words.h"
#include "api/resources/address_pool_codec.h"
#include "api/resources/names.h"
#include "api/resources/selector_query.h"

namespace guideway::cli::metallb {

namespace {

/// Lower-case, with '-' for what a name may not have: "My Pool" -> "my-pool".
std::string tamed(const std::string& name) {
    std::string out;
    for (char c : name) {
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
        const bool allowed = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (allowed) {
            out += c;
        } else if (!out.empty() && out.back() != '-') {
            out += '-';
        }
    }
    // Room for a number behind it.
    out.resize(std::min<std::size_t>(out.size(), 50));
    while (!out.empty() && out.back() == '-') out.pop_back();
    return out.empty() ? "pool" : out;
}

bool says_the_same(const Pool& a, const Pool& b) {
    return a.addresses == b.addresses && a.auto_assign == b.auto_assign && a.avoid_buggy_ips == b.avoid_buggy_ips &&
           a.labels == b.labels && a.service_allocation == b.service_allocation && a.protocol == b.protocol;
}

std::string listed(const std::vector<std::string>& texts) {
    constexpr std::size_t kShown = 5;
    std::string out;
    for (std::size_t i = 0; i < std::min(texts.size(), kShown); ++i) out += (i == 0 ? "" : ", ") + texts[i];
    if (texts.size() > kShown) out += " and " + std::to_string(texts.size() - kShown) + " more";
    return out;
}

class Import {
  public:
    Import(Configuration& from, const std::string& cluster) : from_(from), cluster_(cluster) {}

    std::vector<resources::AddressPool> run() {
        name_pools();
        for (std::size_t i = 0; i < from_.pools.size(); ++i) {
            if (!names_[i].empty()) make(from_.pools[i], names_[i]);
        }
        check_advertisements();
        if (!from_.errors.empty()) pools_.clear();
        return std::move(pools_);
    }

  private:
    ObjectReport& report_of(const Pool& pool) { return from_.reports[pool.report]; }
    std::string place_of(const Pool& pool) { return report_of(pool).origin + " (" + report_of(pool).title + ")"; }

    /// names_: what each pool will be called; empty: it was there before.
    void name_pools() {
        std::map<std::string, const Pool*> first;
        std::set<std::string> used;
        names_.resize(from_.pools.size());
        for (std::size_t i = 0; i < from_.pools.size(); ++i) {
            const Pool& pool = from_.pools[i];
            const auto [at, is_first] = first.emplace(pool.name, &pool);
            if (!is_first) {
                told_again(pool, *at->second);
            } else if (resources::is_name(pool.name)) {
                names_[i] = pool.name;
                used.insert(pool.name);
            }
        }
        // Names that need not change come first, so that none is taken away by one that must.
        for (std::size_t i = 0; i < from_.pools.size(); ++i) {
            const Pool& pool = from_.pools[i];
            if (first.at(pool.name) != &pool || resources::is_name(pool.name)) continue;
            const std::string base = tamed(pool.name);
            std::string name = base;
            for (unsigned number = 2; !used.insert(name).second; ++number) name = base + "-" + std::to_string(number);
            report_of(pool).add(Verdict::differs, "",
                                "the name \"" + pool.name + "\" is none that Guideway allows; written as \"" + name +
                                    "\": Services that ask for the pool by an annotation must say so");
            names_[i] = name;
        }
    }

    void told_again(const Pool& pool, const Pool& before) {
        if (says_the_same(pool, before)) {
            report_of(pool).add(Verdict::carried, "", "the same as in " + report_of(before).origin + "; written once");
            return;
        }
        from_.errors.push_back(place_of(pool) + ": /metadata/name: found \"" + pool.name +
                               "\", the name of another pool in " + report_of(before).origin +
                               ", allowed once; MetalLB reads the pools of its own namespace: give those alone");
    }

    void make(const Pool& pool, const std::string& name) {
        ObjectReport& report = report_of(pool);
        resources::AddressPool out;
        out.metadata.name = name;
        out.metadata.labels = pool.labels;
        out.spec.addresses = addresses_of(pool, name);
        out.spec.auto_assign = pool.auto_assign;
        out.spec.avoid_buggy_ips = pool.avoid_buggy_ips;
        out.spec.share_across_namespaces = true;
        out.spec.service_allocation = pool.service_allocation;
        if (!cluster_.empty()) restrict_to_cluster(out);
        if (out.spec.addresses.empty()) {
            report.lost = true;
            return;
        }
        // Our own reader has the last word: what is written here must be taken there.
        const auto checked = resources::decode_address_pool(wish_of(out), name);
        for (const contract::Fault& fault : checked.faults) {
            from_.errors.push_back(place_of(pool) + ": " + fault.field + ": " + fault.message);
        }
        report.becomes = "AddressPool " + name;
        tell_announcement(pool, out);
        pools_.push_back(std::move(out));
    }

    /// Those with an allocation are asked before those without one, which is to stay so where all have one.
    void restrict_to_cluster(resources::AddressPool& pool) const {
        auto& allocation = pool.spec.service_allocation;
        if (allocation && allocation->priority == 0) {
            allocation->priority = std::numeric_limits<std::uint32_t>::max();
        }
        if (!allocation) allocation.emplace();
        allocation->clusters = {cluster_};
    }

    std::vector<std::string> addresses_of(const Pool& pool, const std::string& name) {
        std::vector<std::string> out;
        for (std::size_t i = 0; i < pool.addresses.size(); ++i) {
            const std::string field = pool.addresses_field + "/" + std::to_string(i);
            const auto parsed = parse_range(pool.addresses[i]);
            if (const auto* wrong = std::get_if<std::string>(&parsed)) {
                from_.errors.push_back(place_of(pool) + ": " + field + ": " + *wrong);
                continue;
            }
            const auto& [range, bare] = std::get<ParsedRange>(parsed);
            const Left left = taken_.take(range, name);
            if (left.conflicts.empty()) {
                if (bare)
                    report_of(pool).add(Verdict::differs, field,
                                        "MetalLB refuses a bare address; written as " + to_string(range));
                out.push_back(bare ? to_string(range) : trimmed(pool.addresses[i]));
                continue;
            }
            std::vector<std::string> texts;
            for (const Range& one : left.ranges) texts.push_back(to_string(one));
            tell_conflicts(pool, name, field, left, texts);
            out.insert(out.end(), texts.begin(), texts.end());
        }
        return out;
    }

    void tell_conflicts(const Pool& pool, const std::string& name, const std::string& field, const Left& left,
                        const std::vector<std::string>& texts) {
        std::string owners, unusable;
        bool own = false;
        for (const Conflict& conflict : left.conflicts) {
            if (conflict.usable && conflict.owner == name) {
                own = true;
                continue;
            }
            std::string& list = conflict.usable ? owners : unusable;
            list += (list.empty() ? "" : ", ") + conflict.owner;
        }
        std::string message;
        const auto say = [&](const std::string& text) { message += (message.empty() ? "" : "; ") + text; };
        if (!owners.empty())
            say("the addresses that it has in common stay in pool " + owners + ", as an address is in one pool only");
        if (own) say("the pool has some of these addresses already; they are written once");
        if (!unusable.empty()) say("it holds " + unusable + ", which Guideway gives to nobody");
        say(texts.empty() ? "nothing is left of it" : "written as " + listed(texts));
        const bool nothing_lost = owners.empty() && unusable.empty();
        report_of(pool).add(nothing_lost    ? Verdict::carried
                            : texts.empty() ? Verdict::lost
                                            : Verdict::differs,
                            field, message);
    }

    static std::string trimmed(const std::string& text) {
        const auto first = text.find_first_not_of(" \t\r\n");
        return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
    }

    static bool covers(const Advertisement& advertisement, const Pool& pool) {
        if (advertisement.pools.empty() && advertisement.selectors.empty()) return true;
        if (std::find(advertisement.pools.begin(), advertisement.pools.end(), pool.name) != advertisement.pools.end()) {
            return true;
        }
        return std::any_of(
            advertisement.selectors.begin(), advertisement.selectors.end(),
            [&](const resources::LabelSelector& selector) { return resources::matches(selector, pool.labels); });
    }

    void tell_announcement(const Pool& pool, const resources::AddressPool& made) {
        bool layer2 = pool.protocol == "layer2", bgp = pool.protocol == "bgp";
        for (const Advertisement& one : from_.advertisements) {
            if (covers(one, pool)) (one.bgp ? bgp : layer2) = true;
        }
        if (layer2) return;
        ObjectReport& report = report_of(pool);
        if (bgp) {
            report.add(Verdict::differs, "",
                       "MetalLB announces it by BGP, and the appliance once controlplane.bgp in guideway.cfg has an "
                       "advertisement for it (docs/bgp.md): " +
                           listed(made.spec.addresses));
        } else if (!from_.advertisements.empty()) {
            report.add(
                Verdict::differs, "",
                "no advertisement names it, so MetalLB announces it nowhere; the appliance answers ARP and neighbour "
                "discovery for each address in use");
        } else if (pool.protocol.empty()) {
            report.add(Verdict::carried, "",
                       "no advertisement was given; the appliance answers ARP and neighbour discovery for each address "
                       "in use");
        }
    }

    void check_advertisements() {
        std::set<std::string> names;
        for (const Pool& pool : from_.pools) names.insert(pool.name);
        for (const Advertisement& one : from_.advertisements) {
            std::vector<std::string> missing;
            for (const std::string& name : one.pools) {
                if (!names.contains(name)) missing.push_back(name);
            }
            ObjectReport& report = from_.reports[one.report];
            if (!missing.empty()) {
                report.add(Verdict::differs, "/spec/ipAddressPools",
                           "names " + listed(missing) + ", which was not given; give all pools that are to move");
            }
            if (!one.bgp && report.verdict() != Verdict::lost) {
                report.add(
                    Verdict::carried, "",
                    "needs no object: the appliance answers ARP and neighbour discovery for each address in use");
            }
        }
    }

    Configuration& from_;
    const std::string& cluster_;
    TakenRanges taken_;
    std::vector<std::string> names_;
    std::vector<resources::AddressPool> pools_;
};

}  // namespace

std::vector<resources::AddressPool> pools_of(Configuration& configuration, const std::string& cluster) {
    return Import(configuration, cluster).run();
}

std::string wish_of(const resources::AddressPool& pool) {
    auto tree = nlohmann::ordered_json::parse(resources::encode(pool));
    tree.erase("status");
    for (const char* name : {"resourceVersion", "generation", "creationTimestamp"}) tree["metadata"].erase(name);
    return tree.dump();
}

}  // namespace guideway::cli::metallb
