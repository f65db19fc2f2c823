// Load balancers: reading, writing, deleting, and what they would get.
#include <algorithm>
#include <utility>

#include "api/contract/forwarding_state_codec.h"
#include "api/resources/load_balancer_codec.h"
#include "controlplane/manager.h"
#include "controlplane/manager_support.h"
#include "controlplane/manager_writing.h"

namespace guideway::controlplane {

using rest::Ensured;
using rest::Result;
using Step = CommitQueue::Step;

namespace {

resources::Problem too_many_services(std::size_t wanted) {
    return {409,
            "NotForwardable",
            "the dataplane takes at most " + std::to_string(contract::kMaxServices) +
                " pairs of address and port in all, and with this load balancer there would be " +
                std::to_string(wanted) + "; delete some, or use fewer ports",
            {}};
}

resources::Problem too_many_ranges(std::size_t wanted) {
    return {409,
            "NotForwardable",
            "the dataplane takes at most " + std::to_string(contract::kMaxSourcePrefixes) +
                " source ranges in all, and with this load balancer there would be " + std::to_string(wanted) +
                "; merge neighbouring ranges, or delete some",
            {{"/spec/sourceRanges", "found " + std::to_string(wanted) + " in all, allowed at most " +
                                        std::to_string(contract::kMaxSourcePrefixes)}}};
}

}  // namespace

Result<Ensured<resources::LoadBalancer>> Manager::ensure(resources::LoadBalancer wanted, const rest::Intent& intent) {
    const ipam::ServiceKey key = key_of(wanted);
    std::optional<Result<Ensured<resources::LoadBalancer>>> answer;
    // The same wish again, which is what a controller says most: nothing has to wait for its turn.
    if (const rest::Precondition none; intent.precondition == none) {
        const std::shared_lock lock(mutex_);
        const auto at = objects_.load_balancers.find(key);
        if (at != objects_.load_balancers.end() && same_wish(wanted, at->second.record.object)) {
            return Ensured<resources::LoadBalancer>{render(at->second, link_.status()), false, false};
        }
    }
    bool created = false;
    const auto prepare = [&] {
        if (staged_.alone || staged_.load_balancers.contains(key)) return Step::deferred;
        const auto at = objects_.load_balancers.find(key);
        const resources::LoadBalancer* before =
            at == objects_.load_balancers.end() ? nullptr : &at->second.record.object;
        created = before == nullptr;
        if (auto problem = refuse_precondition(before == nullptr ? nullptr : &before->metadata, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        if (before != nullptr && same_wish(wanted, *before)) {
            const std::shared_lock lock(mutex_);
            answer = Ensured<resources::LoadBalancer>{render(at->second, link_.status()), false, false};
            return Step::finished;
        }
        const ipam::Wish wish = wish_of(wanted);
        if (auto refusal = ipam::fault_of(wish)) {
            answer = resources::Problem{400,
                                        std::string(to_string(refusal->reason)),
                                        refusal->message,
                                        {{"/spec/addresses", refusal->message}}};
            return Step::finished;
        }
        const std::size_t services = wish.families().size() * wanted.spec.ports.size();
        const std::size_t others =
            services_ + staged_.services - (before == nullptr ? 0 : services_of(at->second.record));
        if (others + services > contract::kMaxServices) {
            answer = too_many_services(others + services);
            return Step::finished;
        }
        const std::size_t ranges = wanted.spec.source_ranges.size();
        const std::size_t other_ranges =
            ranges_ + staged_.ranges - (before == nullptr ? 0 : before->spec.source_ranges.size());
        if (ranges > 0 && other_ranges + ranges > contract::kMaxSourcePrefixes) {
            answer = too_many_ranges(other_ranges + ranges);
            return Step::finished;
        }
        const bool anew = before != nullptr && !before->metadata.uid.empty() && !wanted.metadata.uid.empty() &&
                          before->metadata.uid != wanted.metadata.uid;
        // Another object under the same name: the old one is gone first, with all it had (kubernetes-contract 3).
        if (anew) allocator_.release(key);
        audit(intent,
              before == nullptr ? "create"
              : anew            ? "replace"
                                : "update",
              kLoadBalancerKind, key.to_string(), before, &wanted);
        stamp(wanted, anew ? nullptr : before);
        allocator_.ensure(key, wish, revision_ + 1);
        if (anew) staged_.replaced.insert(key);
        staged_.services += services;
        staged_.ranges += ranges;
        staged_.load_balancers.emplace(key, std::move(wanted));
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        if (failure) {
            answer = *failure;
            return;
        }
        const std::shared_lock lock(mutex_);
        answer =
            Ensured<resources::LoadBalancer>{render(objects_.load_balancers.at(key), link_.status()), created, true};
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

Result<resources::LoadBalancer> Manager::load_balancer(const std::string& cluster, const std::string& ns,
                                                       const std::string& name) {
    const ipam::ServiceKey key{cluster, ns, name};
    const std::shared_lock lock(mutex_);
    const auto at = objects_.load_balancers.find(key);
    if (at == objects_.load_balancers.end()) return not_found("load balancer", key.to_string());
    return render(at->second, link_.status());
}

Result<rest::Page<resources::LoadBalancer>> Manager::load_balancers(const rest::PageRequest& request) {
    const std::shared_lock lock(mutex_);
    const reconcile::LinkStatus link = link_.status();
    return page_of<resources::LoadBalancer>(
        objects_.load_balancers, request, revision_,
        [](const Entry& entry) -> const auto& { return entry.record.object.metadata; },
        [&](const Entry& entry) { return render(entry, link); },
        [](const ipam::ServiceKey& key) { return key.to_string(); });
}

Result<bool> Manager::delete_load_balancer(const std::string& cluster, const std::string& ns, const std::string& name,
                                           const std::string& uid, const rest::Intent& intent) {
    const ipam::ServiceKey key{cluster, ns, name};
    std::optional<Result<bool>> answer;
    const auto prepare = [&] {
        if (staged_.alone || staged_.load_balancers.contains(key)) return Step::deferred;
        const auto at = objects_.load_balancers.find(key);
        const bool exists = at != objects_.load_balancers.end();
        const resources::LoadBalancer* before = exists ? &at->second.record.object : nullptr;
        if (auto problem = refuse_precondition(exists ? &before->metadata : nullptr, intent.precondition)) {
            answer = std::move(*problem);
            return Step::finished;
        }
        if (!exists) {
            answer = false;
            return Step::finished;
        }
        if (!uid.empty() && before->metadata.uid != uid) {
            answer = resources::Problem{
                409,
                "Conflict",
                "the load balancer \"" + key.to_string() + "\" has the UID \"" + before->metadata.uid + "\", not \"" +
                    uid + "\": it is another object of the same name, and stays",
                {{"?uid", "found \"" + uid + "\", in force is \"" + before->metadata.uid + "\""}}};
            return Step::finished;
        }
        audit<resources::LoadBalancer>(intent, "delete", kLoadBalancerKind, key.to_string(), before, nullptr);
        allocator_.release(key);
        staged_.load_balancers.emplace(key, std::nullopt);
        return Step::staged;
    };
    const auto settle = [&](const CommitQueue::Failure& failure) {
        answer = failure ? Result<bool>(*failure) : Result<bool>(true);
    };
    queue_.submit({prepare, settle});
    return *std::move(answer);
}

resources::AllocationPreview Manager::preview(const resources::LoadBalancer& wanted) {
    resources::AllocationPreview shown;
    const ipam::ServiceKey key = key_of(wanted);
    // By the writer, as nobody else may look at the allocator; nothing is staged.
    queue_.submit({[&] {
                       if (!staged_.empty()) return Step::deferred;  // what is not durable yet must not be shown
                       const ipam::Preview preview = allocator_.preview(key, wish_of(wanted), unix_seconds());
                       for (const ipam::Holding& holding : preview.holdings) {
                           shown.ingress.push_back({holding.address, holding.pool});
                       }
                       shown.reason = preview.refusal ? std::string(to_string(preview.refusal->reason)) : "Allocated";
                       shown.message = preview.refusal           ? preview.refusal->message
                                       : preview.changes_address ? "it would get these addresses"
                                                                 : "it would have the addresses that it has";
                       for (const ipam::PoolVerdict& verdict : preview.pools) {
                           shown.pools.push_back({verdict.pool, verdict.verdict == ipam::Verdict::used,
                                                  std::string(to_string(verdict.verdict)), verdict.message});
                       }
                       return Step::finished;
                   },
                   [](const CommitQueue::Failure&) {}});
    return shown;
}

}  // namespace guideway::controlplane
