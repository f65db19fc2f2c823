#include "dataplane/net/steering.h"

#include <algorithm>
#include <memory>
#include <utility>

namespace guideway::net {
namespace {

std::string quoted(const std::string& name) { return "'" + name + "'"; }

flow::RssLayout layout_of(const PortRss& port) { return {port.rss.key, port.rss.reta, port.worker_of_queue}; }

/// The usable ports, or in `reason` why rss is out of the question for every family and protocol.
std::vector<const PortRss*> usable_ports(std::span<const PortRss> ports, std::uint32_t workers, std::string& reason) {
    if (workers == 1) {
        reason = "one worker has every connection";
        return {};
    }
    std::vector<const PortRss*> usable;
    for (const PortRss& port : ports) {
        if (port.rss.why_not.empty()) {
            usable.push_back(&port);
        } else {
            reason += (reason.empty() ? "port " : "; port ") + quoted(port.name) + ": " + port.rss.why_not;
        }
    }
    if (usable.empty()) return {};
    reason.clear();
    std::string fault;
    const auto workers_there = flow::workers_by_residue(layout_of(*usable.front()), fault);
    for (const PortRss* port : usable) {
        const auto here = flow::workers_by_residue(layout_of(*port), fault);
        if (!fault.empty()) {
            reason = "port " + quoted(port->name) + ": " + fault;
            return {};
        }
        const std::string both = "ports " + quoted(usable.front()->name) + " and " + quoted(port->name);
        if (port->rss.key != usable.front()->rss.key) reason = both + " hash with different keys";
        if (here != workers_there) reason = both + " lead equal hashes to different workers";
        if (!reason.empty()) return {};
    }
    return usable;
}

/// The ways of one family; `ownership` is told of those that go by rss.
template <typename Tuple>
void decide_family(IpFamily family, const std::vector<const PortRss*>& usable, std::string reason, std::uint16_t first,
                   std::uint16_t last, Steering& result, std::uint32_t& fewest) {
    std::shared_ptr<const flow::RssMap<Tuple>> map;
    if (reason.empty()) {
        map = flow::RssMap<Tuple>::make(layout_of(*usable.front()), result.ownership.workers(), first, last, reason);
        if (map == nullptr) reason = "port " + quoted(usable.front()->name) + ": " + reason;
    }
    for (std::size_t i = 0; i < kSteeredProtocols.size(); ++i) {
        std::string why_not = reason;
        for (const PortRss* port : usable) {
            if (!why_not.empty() || port->rss.hashes_ports_of[family == IpFamily::ipv4 ? 0 : 1][i]) continue;
            why_not = "port " + quoted(port->name) + " does not hash its ports";
        }
        if (why_not.empty()) {
            result.ownership.use_rss(map, {static_cast<std::uint8_t>(kSteeredProtocols[i])});
            fewest = std::min(fewest, map->fewest_ports());
        }
        result.ways.push_back({family, kSteeredProtocols[i], why_not.empty() ? "rss" : "rings", why_not});
    }
}

std::string summary_of(const std::vector<contract::Steering>& ways, std::uint32_t fewest) {
    std::string text;
    std::vector<bool> told(ways.size());
    for (std::size_t i = 0; i < ways.size(); ++i) {
        if (told[i]) continue;
        text += (text.empty() ? "" : "; ") + ways[i].way + " for ";
        for (std::size_t k = i; k < ways.size(); ++k) {
            if (ways[k].way != ways[i].way || ways[k].reason != ways[i].reason) continue;
            told[k] = true;
            text += (k == i ? "" : ", ") + std::string(contract::to_string(ways[k].protocol)) + " over " +
                    std::string(to_string(ways[k].family));
        }
        text += ways[i].way == "rss"
                    ? " (at least " + std::to_string(fewest) + " SNAT ports a worker, backend and SNAT address)"
                    : " (" + ways[i].reason + ")";
    }
    return text;
}

}  // namespace

Steering decide_steering(std::span<const PortRss> ports, std::uint32_t workers, std::uint16_t first,
                         std::uint16_t last) {
    Steering result{flow::Ownership(workers), {}, {}};
    std::string reason;
    const auto usable = usable_ports(ports, workers, reason);
    if (usable.empty() && reason.empty()) reason = "there is no port";
    std::uint32_t fewest = 0xffffffff;
    decide_family<packet::FiveTupleV4>(IpFamily::ipv4, usable, reason, first, last, result, fewest);
    decide_family<packet::FiveTupleV6>(IpFamily::ipv6, usable, reason, first, last, result, fewest);
    result.summary = summary_of(result.ways, fewest);
    return result;
}

std::optional<std::uint64_t> RssAgreement::look(std::uint64_t agreed, std::uint64_t disagreed) {
    const std::uint64_t differing = disagreed - disagreed_;
    const std::uint64_t compared = agreed - agreed_ + differing;
    if (compared < kFewest) return std::nullopt;
    agreed_ = agreed;
    disagreed_ = disagreed;
    const std::uint64_t percent = differing * 100 / compared;
    const bool was_bad = std::exchange(bad_, percent > kMostPercent);
    if (!bad_ || was_bad) return std::nullopt;
    return percent;
}

}  // namespace guideway::net
