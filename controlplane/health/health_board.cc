#include "controlplane/health/health_board.h"

#include <algorithm>
#include <utility>

#include "controlplane/timestamps.h"

namespace guideway::health {
namespace {

constexpr const char* kNodeCheck = "node";

/// Names contain no spaces.
std::string key_of(const HealthBoard::NodeName& node, const std::string& load_balancer) {
    return load_balancer.empty() ? "node " + node.first + "/" + node.second
                                 : "local " + load_balancer + " " + node.second;
}

}  // namespace

void HealthBoard::put_node(const resources::Node& node) {
    if (node.spec.addresses.empty()) return erase_node({node.metadata.cluster, node.metadata.name});
    const NodeName name{node.metadata.cluster, node.metadata.name};
    const NodeInfo info{node.spec.addresses.front(), node.spec.health_check_port};
    const auto [at, fresh] = nodes_.try_emplace(name, info);
    if (!fresh && at->second == info) return;
    at->second = info;
    if (info.port != 0) {
        put_check(name, "", info, info.port);
    } else {
        erase_check(name, "");
    }
    const auto wanted = wanted_.find(name);
    if (wanted == wanted_.end()) return;
    for (const std::string& key : wanted->second) put_check(name, key, info, balancers_.at(key).port);
}

void HealthBoard::erase_node(const NodeName& node) {
    if (nodes_.erase(node) == 0) return;
    erase_check(node, "");
    const auto wanted = wanted_.find(node);
    if (wanted == wanted_.end()) return;
    for (const std::string& key : wanted->second) erase_check(node, key);
}

void HealthBoard::put_load_balancer(const resources::LoadBalancer& load_balancer) {
    const std::string key = load_balancer.key();
    const resources::LoadBalancerSpec& spec = load_balancer.spec;
    if (spec.external_traffic_policy != resources::TrafficPolicy::local || spec.health_check_node_port == 0) {
        return erase_load_balancer(key);
    }
    Balancer now{load_balancer.metadata.cluster, spec.health_check_node_port, {}};
    // A dual-stack pod stands in a slice of each family, and counts once: kube-proxy counts pods.
    std::map<std::string, std::map<IpFamily, std::uint32_t>> ready;
    for (const resources::EndpointSlice& slice : spec.endpoint_slices) {
        for (const resources::Endpoint& endpoint : slice.endpoints) {
            if (!endpoint.draining && !endpoint.node.empty()) ++ready[endpoint.node][endpoint.address.family];
        }
    }
    for (const auto& [node, families] : ready) {
        std::uint32_t& most = now.ready[node];
        for (const auto& [family, number] : families) most = std::max(most, number);
    }
    const auto [at, fresh] = balancers_.try_emplace(key);
    if (!fresh && at->second == now) return;
    const Balancer before = std::exchange(at->second, std::move(now));
    const Balancer& after = at->second;
    for (const auto& [name, number] : before.ready) {
        if (after.ready.contains(name)) continue;
        const NodeName node{before.cluster, name};
        const auto wanted = wanted_.find(node);
        wanted->second.erase(key);
        if (wanted->second.empty()) wanted_.erase(wanted);
        erase_check(node, key);
    }
    for (const auto& [name, number] : after.ready) {
        const NodeName node{after.cluster, name};
        wanted_[node].insert(key);
        const auto known = nodes_.find(node);
        if (known == nodes_.end()) continue;
        const bool joins = !before.ready.empty() && !before.ready.contains(name) && before.port == after.port;
        put_check(node, key, known->second, after.port, joins);
        count(checks_.at(key_of(node, key)));  // against the number of endpoints as it is now
    }
}

void HealthBoard::erase_load_balancer(const std::string& key) {
    const auto at = balancers_.find(key);
    if (at == balancers_.end()) return;
    for (const auto& [name, number] : at->second.ready) {
        const NodeName node{at->second.cluster, name};
        const auto wanted = wanted_.find(node);
        wanted->second.erase(key);
        if (wanted->second.empty()) wanted_.erase(wanted);
        erase_check(node, key);
    }
    balancers_.erase(at);
}

void HealthBoard::keep_only(const std::function<bool(const NodeName&)>& node,
                            const std::function<bool(const std::string&)>& load_balancer) {
    std::vector<NodeName> nodes;
    for (const auto& [name, info] : nodes_) {
        if (!node(name)) nodes.push_back(name);
    }
    std::vector<std::string> balancers;
    for (const auto& [key, one] : balancers_) {
        if (!load_balancer(key)) balancers.push_back(key);
    }
    for (const std::string& key : balancers) erase_load_balancer(key);
    for (const NodeName& name : nodes) erase_node(name);
}

void HealthBoard::put_check(const NodeName& node, const std::string& load_balancer, const NodeInfo& info,
                            std::uint16_t port, bool joins) {
    const std::string key = key_of(node, load_balancer);
    const auto [at, fresh] = checks_.try_emplace(key);
    Check& check = at->second;
    Target target{key, info.address, port, !load_balancer.empty(), fresh ? joins : check.target.joining};
    if (!fresh && check.target == target) return;
    check.target = std::move(target);
    check.node = node;
    check.load_balancer = load_balancer;
    check.joins = fresh && joins;
    check.verdict = {};
    if (check.joins) check.verdict.message = "gets its first connections once it answers";
    check.verdict.since = std::chrono::system_clock::now();
    changed_.insert(key);
    count(check);
}

void HealthBoard::erase_check(const NodeName& node, const std::string& load_balancer) {
    const std::string key = key_of(node, load_balancer);
    if (checks_.erase(key) == 0) return;
    changed_.insert(key);
    count_well(node, load_balancer);
}

void HealthBoard::count(const Check& check) {
    if (check.load_balancer.empty()) {
        if (check.verdict.healthy) return count_well(check.node, "");
        verdicts_changed_ = verdicts_.failing_nodes.insert(check.node).second || verdicts_changed_;
        return;
    }
    reconcile::LocalVerdict now{!check.verdict.healthy, {}};
    const std::uint32_t ready = balancers_.at(check.load_balancer).ready.at(check.node.second);
    // A node may know of fewer than the slices do; of more, the slices tell soon.
    const auto told = check.verdict.endpoints;
    if (check.verdict.healthy && told && *told > 0 && *told < ready) now.endpoints = told;
    now.joining = check.joins;
    if (now == reconcile::LocalVerdict{}) return count_well(check.node, check.load_balancer);
    reconcile::LocalVerdict& before = verdicts_.local[check.load_balancer][check.node.second];
    verdicts_changed_ = before != now || verdicts_changed_;
    before = now;
}

void HealthBoard::count_well(const NodeName& node, const std::string& load_balancer) {
    if (load_balancer.empty()) {
        verdicts_changed_ = verdicts_.failing_nodes.erase(node) != 0 || verdicts_changed_;
        return;
    }
    const auto at = verdicts_.local.find(load_balancer);
    if (at == verdicts_.local.end() || at->second.erase(node.second) == 0) return;
    if (at->second.empty()) verdicts_.local.erase(at);
    verdicts_changed_ = true;
}

HealthBoard::Targets HealthBoard::take_targets() {
    Targets out;
    for (const std::string& key : std::exchange(changed_, {})) {
        const auto at = checks_.find(key);
        if (at == checks_.end()) {
            out.gone.push_back(key);
        } else {
            out.put.push_back(at->second.target);
        }
    }
    return out;
}

std::vector<HealthBoard::News> HealthBoard::note(const std::vector<Changed>& changes,
                                                 std::chrono::steady_clock::time_point now) {
    std::vector<News> out;
    for (const Changed& change : changes) {
        const auto at = checks_.find(change.target.key);
        // It was probed before it changed or went.
        if (at == checks_.end() || at->second.target != change.target) continue;
        Check& check = at->second;
        const Verdict before = std::exchange(check.verdict, change.verdict);
        check.joins = false;
        count(check);
        if (before.healthy == change.verdict.healthy && before.reason == change.verdict.reason) continue;
        News news{check.node, check.load_balancer, check.target, check.verdict,
                  before.healthy != change.verdict.healthy};
        if (news.turned) {
            if (const auto held_back = check.brake.pass(now)) {
                news.tell = brake_.pass(now).has_value();
                news.held_back = *held_back;
            }
        }
        out.push_back(std::move(news));
    }
    return out;
}

bool HealthBoard::stop_waiting() {
    bool any = false;
    for (auto& [key, check] : checks_) {
        if (!std::exchange(check.joins, false)) continue;
        any = true;
        count(check);
    }
    return any;
}

std::shared_ptr<const reconcile::HealthVerdicts> HealthBoard::take_verdicts() {
    if (!std::exchange(verdicts_changed_, false)) return nullptr;
    return std::make_shared<const reconcile::HealthVerdicts>(verdicts_);
}

std::vector<resources::NodeHealth> HealthBoard::health_of(const NodeName& node, const std::string& trouble) const {
    std::vector<resources::NodeHealth> out;
    const auto add = [&](const std::string& load_balancer) {
        const auto at = checks_.find(key_of(node, load_balancer));
        if (at == checks_.end()) return;
        const Verdict& verdict = at->second.verdict;
        resources::NodeHealth one{load_balancer.empty() ? kNodeCheck : load_balancer,
                                  at->second.target.port,
                                  verdict.healthy,
                                  verdict.reason,
                                  verdict.message,
                                  controlplane::timestamp_of(verdict.since)};
        if (verdict.endpoints) one.message += ", with " + std::to_string(*verdict.endpoints) + " ready endpoints";
        if (!trouble.empty()) one.message += "; not probed at the moment: " + trouble;
        out.push_back(std::move(one));
    };
    add("");
    if (const auto wanted = wanted_.find(node); wanted != wanted_.end()) {
        for (const std::string& key : wanted->second) add(key);
    }
    return out;
}

const Verdict* HealthBoard::node_verdict(const NodeName& node) const {
    const auto at = checks_.find(key_of(node, ""));
    return at == checks_.end() ? nullptr : &at->second.verdict;
}

std::vector<std::pair<HealthBoard::NodeName, bool>> HealthBoard::nodes_probed() const {
    std::vector<std::pair<NodeName, bool>> out;
    for (const auto& [name, info] : nodes_) {
        if (const Verdict* verdict = node_verdict(name)) out.emplace_back(name, verdict->healthy);
    }
    return out;
}

std::map<std::string, HealthBoard::Found> HealthBoard::balancers_probed() const {
    std::map<std::string, Found> out;
    for (const auto& [key, check] : checks_) {
        if (check.load_balancer.empty()) continue;
        Found& found = out[check.load_balancer];
        ++(check.verdict.healthy ? found.well : found.failing);
    }
    return out;
}

bool HealthBoard::undecided() const {
    return std::any_of(checks_.begin(), checks_.end(),
                       [](const auto& item) { return item.second.verdict.reason == kNotYetProbed; });
}

}  // namespace guideway::health
