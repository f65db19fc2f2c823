// Start and stop; what the store's contents stand for; backup and restore.
#include "controlplane/manager.h"

#include <algorithm>
#include <chrono>
#include <sstream>
#include <utility>

#include <spdlog/spdlog.h>

#include "api/resources/address_pool_codec.h"
#include "api/resources/node_codec.h"
#include "controlplane/auth/token_book.h"
#include "controlplane/log_value.h"
#include "controlplane/manager_support.h"
#include "controlplane/manager_writing.h"
#include "controlplane/store/backup.h"

namespace guideway::controlplane {

using Step = CommitQueue::Step;

Manager::Manager(std::unique_ptr<store::Store> store, ManagerOptions options, Metrics& metrics)
    : store_(std::move(store)),
      options_(std::move(options)),
      metrics_(metrics),
      board_(options_.all_failing),
      changes_(options_.watch),
      queue_({[this] { begin(); }, [this](std::size_t works) { return commit(works); }, [this] { abandon(); }}),
      announce_(options_.announcer ? options_.announcer() : nullptr, announcing_options()),
      link_(options_.link),
      loop_(
          [this](reconcile::StateLoop::State state) {
              announce_.wanted(*state);
              // What the state takes away is withdrawn first; a kernel that hangs must not hold up everything.
              announce_.wait_until_withdrawn(std::chrono::milliseconds(50));
              link_.set_desired(std::move(state));
          },
          [this](double seconds, const std::string& error) { metrics_.reconciled(seconds, error.empty()); }),
      prober_(
          options_.probing, [this](const std::vector<health::Changed>& results) { probe_results(results); },
          [this](std::string_view result, double seconds) { metrics_.probed(result, seconds); }),
      conflict_watch_([this] { return ask_for_conflicts(); },
                      [this](const announce::ConflictWatch::Conflicts& now) { conflicts_changed(now); },
                      options_.conflicts_every) {}

Manager::~Manager() { stop(); }

void Manager::stop() {
    stop_announcing();  // first: that the link ends is no reason to withdraw
    changes_.stop();
    prober_.stop();
    stop_house();
    loop_.stop();
    link_.stop();  // also ends a question under way
    conflict_watch_.stop();
}

std::variant<std::unique_ptr<Manager>, std::string> Manager::open(std::unique_ptr<store::Store> store,
                                                                  ManagerOptions options, Metrics& metrics) {
    std::unique_ptr<Manager> manager(new Manager(std::move(store), std::move(options), metrics));
    if (std::string error = manager->open_store(); !error.empty()) return error;
    if (std::string error = manager->prober_.start(); !error.empty()) return "health checks: " + error;
    manager->start_announcing();
    manager->start_house();  // which starts the state loop
    manager->link_.start([raw = manager.get()](std::uint64_t generation) { raw->renumber_beyond(generation); },
                         [raw = manager.get()] { raw->link_changed(); });
    manager->conflict_watch_.start();
    return manager;
}

std::string Manager::open_store() {
    store::Contents contents;
    if (const auto error = store_->load(contents)) return error->message;
    std::string error = take_over(contents, contents.generation);
    spdlog::info("store restored revision={} generation={} load_balancers={} pools={} nodes={} tokens={}", revision_,
                 generation_, objects_.load_balancers.size(), objects_.pools.size(), objects_.nodes.size(),
                 tokens_.all().size());
    return error;
}

std::string Manager::take_over(const store::Contents& contents, std::uint64_t generation) {
    auto decoded = load_contents(contents, contents.revision + 1);
    if (auto* why = std::get_if<std::string>(&decoded)) return std::move(*why);
    auto& loaded = std::get<Loaded>(decoded);
    std::uint64_t revision = contents.revision;
    // Generation 0 means "none yet" to the dataplane, so a new store begins with 1.
    if (!loaded.settled.empty() || generation == 0) {
        ++generation;
        if (const auto error = write({std::move(loaded.settled), revision, revision + 1, generation})) {
            return error->message;
        }
        ++revision;
    }
    install(std::move(loaded), revision, generation);
    return {};
}

bool Manager::catch_up() {
    store::Contents contents;
    std::string error;
    if (const auto failure = store_->load(contents)) {
        error = failure->message;
    } else {
        error = take_over(contents, std::max(generation_, contents.generation) + 1);
    }
    if (error.empty()) {
        spdlog::warn("the store was read again revision={}", revision_);
    } else {
        spdlog::error("the store cannot be read again error={}", log_value(error));
    }
    return error.empty();
}

std::variant<Manager::Loaded, std::string> Manager::load_contents(const store::Contents& contents,
                                                                  std::uint64_t next_revision) const {
    Loaded loaded;
    std::map<ipam::ServiceKey, ipam::Allocation> recorded;
    std::vector<ipam::Quarantined> quarantined;
    std::vector<ipam::PoolDefinition> definitions;
    for (const store::Record& one : contents.records) {
        const auto unreadable = [&](const std::string& why) {
            return "the store's record " + one.kind + " " + one.key + " cannot be read: " + why +
                   "; restore a backup, or run the version that wrote it";
        };
        const auto fault_of = [](const std::vector<contract::Fault>& faults) {
            return faults[0].field + " " + faults[0].message;
        };
        if (one.kind == kLoadBalancerKind) {
            auto decoded = decode_load_balancer_record(one.document);
            if (const auto* why = std::get_if<std::string>(&decoded)) return unreadable(*why);
            auto& record = std::get<LoadBalancerRecord>(decoded);
            const ipam::ServiceKey key = key_of(record.object);
            recorded.emplace(key, allocation_of(record));
            loaded.objects.load_balancers.emplace(key, Entry{std::move(record), 0, {}, {}});
        } else if (one.kind == kAddressPoolKind) {
            auto decoded = resources::read_address_pool(one.document);
            if (!decoded.ok()) return unreadable(fault_of(decoded.faults));
            definitions.push_back(definition_of(one.key, decoded.value->spec));
            loaded.objects.pools.emplace(one.key, std::move(*decoded.value));
        } else if (one.kind == kNodeKind) {
            auto decoded = resources::read_node(one.document);
            if (!decoded.ok()) return unreadable(fault_of(decoded.faults));
            const NodeKey key = key_of(*decoded.value);
            resources::NodeStatus kept;  // what happened to it, not what is found out anew
            kept.draining_since = std::move(decoded.value->status.draining_since);
            kept.drain_ended = decoded.value->status.drain_ended;
            decoded.value->status = std::move(kept);
            loaded.objects.nodes.emplace(key, NodeEntry{std::move(*decoded.value), 0, {}, {}, {}, {}});
        } else if (one.kind == auth::kTokenKind) {
            auto decoded = auth::decode_token(one.document);
            if (!decoded.ok()) return unreadable(fault_of(decoded.faults));
            loaded.tokens.push_back(std::move(*decoded.value));
        } else if (one.kind == kQuarantineKind) {
            auto decoded = decode_quarantined(one.key, one.document);
            if (const auto* why = std::get_if<std::string>(&decoded)) return unreadable(*why);
            quarantined.push_back(std::move(std::get<ipam::Quarantined>(decoded)));
        } else {
            return unreadable("this version knows no such kind");
        }
    }
    ipam::ParsedPools parsed = ipam::parse_pools(std::move(definitions));
    if (!parsed.faults.empty()) {
        return "the store's address pool " + parsed.faults[0].pool + " is refused: " + parsed.faults[0].message;
    }
    // Recorded holders first (22); then what the pools do not allow any more is moved, and what waits is served.
    loaded.allocator.begin(unix_seconds());
    loaded.allocator.load(std::move(parsed.set), std::move(recorded), quarantined);
    for (const ipam::ServiceKey& key : loaded.allocator.changed()) {
        const auto at = loaded.objects.load_balancers.find(key);
        if (at == loaded.objects.load_balancers.end()) continue;
        LoadBalancerRecord& record = at->second.record;
        resources::LoadBalancer object = record.object;
        object.metadata.resource_version = next_revision;
        record = record_of(key, std::move(object), &record, *loaded.allocator.find(key));
        loaded.settled.push_back({kLoadBalancerKind, key.to_string(), encode(record)});
    }
    for (store::Change& change : quarantine_changes(loaded.allocator)) loaded.settled.push_back(std::move(change));
    for (const ipam::Event& event : loaded.allocator.events()) {
        spdlog::info("load_balancer={} event={}", event.service.to_string(), log_value(event.message));
    }
    loaded.events = loaded.allocator.events();
    loaded.allocator.commit();
    return loaded;
}

void Manager::install(Loaded loaded, std::uint64_t revision, std::uint64_t generation) {
    tokens_.replace_all(std::move(loaded.tokens));
    allocator_ = std::move(loaded.allocator);

    const std::lock_guard lock(mutex_);
    objects_ = std::move(loaded.objects);
    revision_ = revision;
    generation_ = generation;
    services_ = 0;
    ranges_ = 0;
    serving_.clear();
    pod_routes_.clear();
    pool_ways_.clear();
    for (const auto& [name, pool] : objects_.pools) {
        if (PoolWays ways = ways_of(pool.spec); ways != PoolWays{}) pool_ways_.emplace(name, std::move(ways));
    }
    reconcile::Delta delta;
    delta.generation = generation;
    delta.everything = true;
    for (auto& [key, entry] : objects_.load_balancers) {
        entry.in_state_since = generation;
        services_ += services_of(entry.record);
        ranges_ += entry.record.object.spec.source_ranges.size();
        if (services_of(entry.record) > 0) {
            delta.load_balancers.emplace_back(key.to_string(), forwarded_of(key, entry.record, pool_ways_));
        }
    }
    for (auto& [key, entry] : objects_.nodes) {
        entry.in_state_since = generation;
        count_serving(entry.object, 1);
        pod_routes_.put(key.to_string(), entry.object);
        delta.nodes.emplace_back(key.to_string(), entry.object);
    }
    for (auto& [name, pool] : objects_.pools) count_pool_use(pool);
    announce_pools();
    changes_.restart(revision);
    std::vector<Change> told;
    for (const ipam::Event& event : loaded.events) publish_event(event, told);
    tell_pod_routes(link_.status(), told);
    changes_.append_status(std::move(told));
    not_in_force_.emplace_back(generation, std::chrono::steady_clock::now());
    follow_all_health();
    delta.verdicts = board_.take_verdicts();
    loop_.push(std::move(delta));
}

// ------------------------------------------------------------------------------------------ backup and restore

rest::Result<std::string> Manager::backup() {
    store::Contents contents;
    std::optional<store::Error> error;
    queue_.submit({[&] {
                       if (!staged_.empty()) return Step::deferred;
                       error = store_->load(contents);
                       return Step::finished;
                   },
                   [](const CommitQueue::Failure&) {}});
    if (error) return problem_of(*error);
    std::string document;
    const auto failed =
        store::backup::encode(contents, store::backup::about_now(options_.now()), [&](std::string_view bytes) {
            document += bytes;
            return true;
        });
    if (failed) return resources::Problem{500, "InternalError", *failed, {}};
    return document;
}

rest::Result<resources::SystemStatus> Manager::restore(std::string_view document, const rest::Intent& intent) {
    std::istringstream stream{std::string(document)};
    auto decoded = store::backup::decode(stream);
    const auto invalid = [](const std::string& why) {
        return resources::Problem{400, "InvalidBackup", why + "; nothing was changed", {}};
    };
    if (const auto* why = std::get_if<std::string>(&decoded)) return invalid(*why);
    store::Contents& contents = std::get<store::backup::Decoded>(decoded).contents;
    std::optional<rest::Result<bool>> answer;
    const auto prepare = [&] {
        if (!staged_.empty()) return Step::deferred;
        staged_.alone = true;
        answer = replace_everything(contents);
        return Step::finished;
    };
    queue_.submit({prepare, [](const CommitQueue::Failure&) {}});
    if (!answer->ok()) return answer->problem();
    if (options_.audit != nullptr) {
        AuditEntry entry;
        entry.time = options_.now();
        entry.caller = intent.caller;
        entry.verb = "restore";
        entry.kind = "backup";
        entry.revision = contents.revision;
        options_.audit->record(std::move(entry));
    }
    return status();
}

rest::Result<bool> Manager::replace_everything(store::Contents& contents) {
    contents.revision = std::max(contents.revision, revision_) + 1;
    auto decoded = load_contents(contents, contents.revision);
    if (const auto* why = std::get_if<std::string>(&decoded)) {
        return resources::Problem{400, "InvalidBackup", *why + "; nothing was changed", {}};
    }
    auto& loaded = std::get<Loaded>(decoded);
    const bool admins = std::any_of(loaded.tokens.begin(), loaded.tokens.end(), [](const auth::TokenRecord& token) {
        return token.spec.role == rest::Role::admin && !token.spec.expires_at;
    });
    if (!admins) {
        return resources::Problem{
            409,
            "LastAdmin",
            "the backup has no token of the role admin that does not expire: with it nobody could "
            "administer this appliance; nothing was changed",
            {}};
    }
    contents.generation = std::max(contents.generation, generation_) + 1;
    // What the allocator settled is part of what is written, so that there is one step from the old contents to the new ones.
    std::map<std::pair<std::string, std::string>, store::Record> records;
    for (store::Record& record : contents.records) {
        std::pair key{record.kind, record.key};
        records.emplace(std::move(key), std::move(record));
    }
    for (store::Change& change : loaded.settled) {
        std::pair key{change.kind, change.key};
        if (change.document) {
            records[key] = {change.kind, change.key, std::move(*change.document), contents.revision};
        } else {
            records.erase(key);
        }
    }
    contents.records.clear();
    for (auto& [key, record] : records) contents.records.push_back(std::move(record));
    if (const auto error = store_->replace(contents, revision_)) return problem_of(*error);
    spdlog::warn("restored from a backup revision={} records={}", contents.revision, contents.records.size());
    // The transaction under way is of the allocator that goes.
    allocator_.rollback();
    install(std::move(loaded), contents.revision, contents.generation);
    allocator_.begin(unix_seconds());
    return true;
}

}  // namespace guideway::controlplane
