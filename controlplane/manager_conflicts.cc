// Other machines that claim our addresses, as the dataplane hears them: events of the load balancers concerned, and whether clients reach them.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <variant>

#include <spdlog/spdlog.h>

#include "api/contract/messages.h"
#include "controlplane/log_value.h"
#include "controlplane/manager.h"

namespace guideway::controlplane {
namespace {

std::string where(const contract::AddressConflict& one) { return one.mac + " on the link of port " + one.port; }

struct Saying {
    bool warning;
    const char* reason;
    std::string message;
};

/// What is to be said where `before` has become `now`; null: there is no conflict. Nothing: it is the same.
std::optional<Saying> saying_of(const contract::AddressConflict* before, const contract::AddressConflict* now) {
    if (now == nullptr) {
        const std::string address = before->address.to_string();
        if (!before->yielded)
            return Saying{false, "AddressConflictOver", "nobody else claims " + address + " any more"};
        return Saying{false, "AddressConflictOver",
                      address + " is not left to another machine any more: it is answered for and announced again"};
    }
    // Another machine that claims it too is no news: somebody who invents MACs must not push other events out.
    if (before != nullptr && before->yielded == now->yielded) return std::nullopt;
    const std::string address = now->address.to_string();
    if (now->yielded) {
        return Saying{true, "AddressYielded",
                      address + " is left to " + where(*now) +
                          ", which goes on claiming it: clients on that link do not reach the appliance by it; take it "
                          "away from that machine"};
    }
    return Saying{true, "AddressConflict",
                  where(*now) + " claims " + address +
                      " as its own: clients reach the one or the other; find out which is not to have it"};
}

}  // namespace

std::optional<announce::ConflictWatch::Conflicts> Manager::ask_for_conflicts() {
    if (!link_.status().connected) return std::nullopt;
    auto answer = link_.ask(contract::StatusRequest{}, options_.counters_timeout);
    auto* response = std::get_if<contract::Response>(&answer);
    if (response == nullptr || !response->status) return std::nullopt;
    if (!response->status->ports.empty()) tell_ports(response->status->ports);
    return std::move(response->status->address_conflicts);
}

void Manager::tell_ports(const std::vector<contract::PortStatus>& ports) {
    const auto missing_of = [&](const resources::AddressPoolSpec& spec) {
        std::string missing;
        for (const std::string& name : spec.ports) {
            if (std::ranges::find(ports, name, &contract::PortStatus::name) == ports.end())
                missing += (missing.empty() ? "" : ", ") + name;
        }
        return missing;
    };
    std::map<std::string, std::string> unknown;
    const auto look = [&] {
        for (const auto& [name, pool] : objects_.pools) {
            if (std::string missing = missing_of(pool.spec); !missing.empty())
                unknown.emplace(name, std::move(missing));
        }
        return unknown != unknown_ports_;
    };
    {
        const std::shared_lock lock(mutex_);
        if (!look()) return;
    }
    const std::lock_guard lock(mutex_);
    unknown.clear();
    look();
    std::vector<Change> changes;
    for (const auto& [name, missing] : unknown) {
        if (const auto told = unknown_ports_.find(name); told != unknown_ports_.end() && told->second == missing)
            continue;
        const std::string message = "the dataplane has no port " + missing + ": nobody is served by it";
        spdlog::warn("address_pool={} event=PortUnknown message={}", name, log_value(message));
        add_event(changes, true, "PortUnknown", message, {"AddressPool", "", "", name});
    }
    unknown_ports_ = std::move(unknown);
    if (!changes.empty()) changes_.append_status(std::move(changes));
}

void Manager::conflicts_changed(const announce::ConflictWatch::Conflicts& now) {
    std::map<IpAddress, contract::AddressConflict> fresh;
    for (const contract::AddressConflict& one : now) fresh.emplace(one.address, one);
    const std::lock_guard lock(mutex_);
    std::map<IpAddress, Saying> news;
    const auto look = [&](const IpAddress& address, const contract::AddressConflict* before,
                          const contract::AddressConflict* after) {
        if (auto saying = saying_of(before, after)) news.emplace(address, *std::move(saying));
    };
    const auto in = [](const auto& map, const IpAddress& address) {
        const auto at = map.find(address);
        return at == map.end() ? nullptr : &at->second;
    };
    for (const auto& [address, before] : conflicts_) look(address, &before, in(fresh, address));
    for (const auto& [address, after] : fresh) {
        if (!conflicts_.contains(address)) look(address, nullptr, &after);
    }
    conflicts_ = std::move(fresh);

    const reconcile::LinkStatus link = link_.status();
    std::vector<Change> changes;
    std::set<IpAddress> of_somebody;
    for (auto& [key, entry] : objects_.load_balancers) {
        bool concerned = false;
        for (const resources::Ingress& ingress : entry.record.object.status.ingress) {
            const auto said = news.find(ingress.ip);
            if (said == news.end()) continue;
            concerned = true;
            of_somebody.insert(ingress.ip);
            add_event(changes, said->second.warning, said->second.reason, said->second.message,
                      {"LoadBalancer", key.cluster, key.name_space, key.name});
        }
        if (concerned && tell(entry, link)) {
            changes.push_back(
                change_of(rest::ChangeType::modified, render(entry, link), entry.record.object.metadata.labels));
        }
    }
    for (const auto& [address, said] : news) {
        spdlog::log(said.warning ? spdlog::level::warn : spdlog::level::info, "address={} event={} message={}",
                    address.to_string(), said.reason, log_value(said.message));
        // A SNAT address, or one whose load balancer has gone meanwhile.
        if (!of_somebody.contains(address)) {
            add_event(changes, said.warning, said.reason, said.message, {"Appliance", "", "", "dataplane"});
        }
    }
    if (!changes.empty()) changes_.append_status(std::move(changes));
}

std::optional<resources::Condition> Manager::yielded_condition(const Entry& entry) const {
    for (const resources::Ingress& ingress : entry.record.object.status.ingress) {
        const auto at = conflicts_.find(ingress.ip);
        if (at == conflicts_.end() || !at->second.yielded) continue;
        resources::Condition condition;
        condition.type = "Ready";
        condition.reason = "AddressYielded";
        condition.message = ingress.ip.to_string() + " is left to " + where(at->second) +
                            ", which goes on claiming it, so clients there reach that machine; take it away from it";
        return condition;
    }
    return std::nullopt;
}

}  // namespace guideway::controlplane
