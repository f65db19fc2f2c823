// What the health checks find becomes conditions, events and verdicts for the forwarding state; drains whose time is over are ended.
#include <algorithm>
#include <utility>

#include <spdlog/spdlog.h>

#include "controlplane/log_value.h"
#include "controlplane/manager.h"
#include "controlplane/manager_support.h"
#include "controlplane/timestamps.h"

namespace guideway::controlplane {

using Step = CommitQueue::Step;

namespace {

constexpr std::chrono::seconds kBetweenRounds{1};
constexpr std::chrono::milliseconds kLongestPatience{10'000};

/// How long a start waits for what nodes answer: time for each to fail as often as it takes.
std::chrono::milliseconds patience_of(const health::ProberOptions& options) {
    const auto once = options.timeout + options.interval / 3;  // what is undecided is asked sooner
    return std::min(options.interval + once * static_cast<int>(options.thresholds.unhealthy_after + 1),
                    kLongestPatience);
}

}  // namespace

void Manager::start_house() {
    house_ = std::thread([this] { keep_house(); });
}

void Manager::stop_house() {
    {
        const std::lock_guard lock(house_mutex_);
        house_ended_ = true;
        house_called_.notify_all();
    }
    if (house_.joinable()) house_.join();
}

// The prober's thread must not wait for a disk, so what has to take its turn with the changes is done here.
void Manager::keep_house() {
    const auto patience_ends = std::chrono::steady_clock::now() + patience_of(options_.probing);
    bool holding = true;
    std::unique_lock lock(house_mutex_);
    while (!house_ended_) {
        bool verdicts = std::exchange(verdicts_new_, false);
        lock.unlock();
        if (!prober_.trouble().empty()) {
            const std::lock_guard of_objects(mutex_);
            verdicts = board_.stop_waiting() || verdicts;
        }
        if (verdicts) hand_on_verdicts();
        if (holding && (first_state_may_go() || std::chrono::steady_clock::now() >= patience_ends)) {
            holding = false;
            loop_.start();
        }
        end_drains();
        lock.lock();
        house_called_.wait_for(lock, kBetweenRounds, [this] { return house_ended_ || verdicts_new_; });
    }
}

// What was not probed counts as well, and the dataplane has the verdicts of the process before: a state built before the nodes were asked
// would send new connections to one that is known to fail. Meanwhile the dataplane forwards by what it has; one that has nothing gets
// what there is.
bool Manager::first_state_may_go() const {
    const reconcile::LinkStatus link = link_.status();
    if (link.connected && link.in_force == 0) return true;
    const std::shared_lock lock(mutex_);
    return !board_.undecided();
}

void Manager::probe_results(const std::vector<health::Changed>& results) {
    {
        const std::lock_guard lock(mutex_);
        const reconcile::LinkStatus link = link_.status();
        std::vector<Change> changes;
        for (const health::HealthBoard::News& news : board_.note(results, std::chrono::steady_clock::now())) {
            const auto& [cluster, name] = news.node;
            const auto at = objects_.nodes.find(NodeKey{cluster, name});
            if (at == objects_.nodes.end()) continue;
            if (news.turned && news.tell) {
                const std::string what =
                    (news.load_balancer.empty() ? "the node" : "of load balancer " + news.load_balancer + " the node") +
                    (news.verdict.healthy ? " is well: " : " fails its check: ") + news.verdict.reason + ", " +
                    news.verdict.message +
                    (news.held_back == 0 ? "" : " (" + std::to_string(news.held_back) + " turns before were not told)");
                spdlog::log(news.verdict.healthy ? spdlog::level::info : spdlog::level::warn,
                            "node={} health={} message={}", at->first.to_string(), news.verdict.reason,
                            log_value(what));
                add_event(changes, !news.verdict.healthy, news.verdict.healthy ? "NodeHealthy" : "NodeUnhealthy", what,
                          {"Node", cluster, "", name});
            }
            if (tell(at->second, link) || news.turned) {
                changes.push_back(
                    change_of(rest::ChangeType::modified, render(at->second, link), at->second.object.metadata.labels));
            }
        }
        if (!changes.empty()) changes_.append_status(std::move(changes));
    }
    const std::lock_guard lock(house_mutex_);
    verdicts_new_ = true;
    house_called_.notify_all();
}

void Manager::hand_on_verdicts() {
    queue_.submit(
        {[&] {
             const std::lock_guard lock(mutex_);
             reconcile::Delta delta;
             delta.verdicts = board_.take_verdicts();
             if (delta.verdicts == nullptr) return Step::finished;
             // Not written: what nodes are like now is found out anew by whoever starts next, and a dataplane that is
             // ahead of the store is nothing strange to it (renumber_beyond). So a full disk keeps no failing node in.
             delta.generation = ++generation_;
             not_in_force_.emplace_back(generation_, std::chrono::steady_clock::now());
             loop_.push(std::move(delta));
             return Step::finished;
         },
         [](const CommitQueue::Failure&) {}});
}

void Manager::end_drains() {
    const auto now = options_.now();
    const auto over = [&](const resources::Node& node) {
        if (!node.spec.drain || node.spec.drain_timeout_seconds == 0 || node.status.drain_ended) return false;
        const auto since = time_of(node.status.draining_since);
        return since && *since + std::chrono::seconds(node.spec.drain_timeout_seconds) <= now;
    };
    std::vector<NodeKey> due;
    {
        const std::shared_lock lock(mutex_);
        for (const auto& [key, entry] : objects_.nodes) {
            if (over(entry.object)) due.push_back(key);
        }
    }
    for (const NodeKey& key : due) {
        queue_.submit({[&] {
                           if (staged_.alone || staged_.nodes.contains(key)) return Step::deferred;
                           const auto at = objects_.nodes.find(key);
                           if (at == objects_.nodes.end() || !over(at->second.object)) return Step::finished;
                           NodeEntry entry;
                           entry.object = at->second.object;
                           entry.object.status.drain_ended = true;
                           staged_.nodes.emplace(key, std::move(entry));
                           return Step::staged;
                       },
                       [&](const CommitQueue::Failure& failure) {
                           if (failure) return;  // tried again in the next round
                           spdlog::info("node={} drain ended", key.to_string());
                           const std::lock_guard lock(mutex_);
                           std::vector<Change> changes;
                           add_event(changes, false, "DrainEnded",
                                     "its time to drain is over: connections it still had end",
                                     {"Node", key.cluster, "", key.name});
                           changes_.append_status(std::move(changes));
                       }});
    }
}

void Manager::follow_health(const Outcome& outcome) {
    for (const auto& [key, entry] : outcome.load_balancers) {
        if (entry && services_of(entry->record) > 0) {
            board_.put_load_balancer(entry->record.object);
        } else {
            board_.erase_load_balancer(key.to_string());
        }
    }
    for (const auto& [key, entry] : outcome.nodes) {
        if (entry) {
            board_.put_node(entry->object);
        } else {
            board_.erase_node({key.cluster, key.name});
        }
    }
    auto targets = board_.take_targets();
    if (!targets.put.empty() || !targets.gone.empty()) prober_.update(std::move(targets.put), std::move(targets.gone));
}

void Manager::follow_all_health() {
    std::set<std::string> known;
    for (const auto& [key, entry] : objects_.load_balancers) {
        if (services_of(entry.record) == 0) continue;
        known.insert(key.to_string());
        board_.put_load_balancer(entry.record.object);
    }
    for (const auto& [key, entry] : objects_.nodes) board_.put_node(entry.object);
    board_.keep_only(
        [&](const auto& node) {
            return objects_.nodes.contains(NodeKey{node.first, node.second});
        },
        [&](const std::string& key) { return known.contains(key); });
    auto targets = board_.take_targets();
    prober_.update(std::move(targets.put), std::move(targets.gone));
}

std::optional<resources::Condition> Manager::healthy_condition(const NodeEntry& entry) const {
    const health::Verdict* verdict = board_.node_verdict({entry.object.metadata.cluster, entry.object.metadata.name});
    if (verdict == nullptr) return std::nullopt;
    resources::Condition condition;
    condition.type = "Healthy";
    condition.status = verdict->healthy;
    condition.reason = verdict->reason;
    condition.message = verdict->message;
    return condition;
}

}  // namespace guideway::controlplane
