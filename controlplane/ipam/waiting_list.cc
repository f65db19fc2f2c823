#include "controlplane/ipam/waiting_list.h"

#include <algorithm>

namespace guideway::ipam {
namespace {

template <class Index, class Key>
void take_out(Index& index, const Key& key, const Age& age) {
    const auto at = index.find(key);
    if (at == index.end()) return;
    at->second.erase(age);
    if (at->second.empty()) index.erase(at);
}

}  // namespace

void WaitingList::put(const Age& age, Interests interests) {
    remove(age);
    Member member{std::nullopt, std::move(interests.free_in), std::move(interests.addresses),
                  std::move(interests.keys)};
    for (const FreeIn& where : member.free_in) by_free_in_[where].insert(age);
    for (const IpAddress& address : member.addresses) by_address_[address].insert(age);
    for (const KeyScope& key : member.keys) by_key_[key].insert(age);
    if (interests.group) {
        const auto [at, is_new] = groups_.try_emplace(std::move(*interests.group));
        if (is_new) {
            for (const FreeIn& where : at->first.free_in) groups_by_free_in_[where].push_back(at);
        }
        at->second.members.insert(age);
        member.group = at;
    }
    members_.emplace(age, std::move(member));
}

void WaitingList::remove(const Age& age) {
    due_.erase(age);
    const auto at = members_.find(age);
    if (at == members_.end()) return;
    const Member& member = at->second;
    for (const FreeIn& where : member.free_in) take_out(by_free_in_, where, age);
    for (const IpAddress& address : member.addresses) take_out(by_address_, address, age);
    for (const KeyScope& key : member.keys) take_out(by_key_, key, age);
    if (member.group) {
        const auto group = *member.group;
        group->second.members.erase(age);
        if (group->second.members.empty()) {
            if (group->second.is_live) std::erase(live_, group);
            for (const FreeIn& where : group->first.free_in) {
                const auto listed = groups_by_free_in_.find(where);
                std::erase(listed->second, group);
                if (listed->second.empty()) groups_by_free_in_.erase(listed);
            }
            groups_.erase(group);
        }
    }
    members_.erase(at);
}

void WaitingList::freed(const FreeIn& where) {
    if (const auto at = by_free_in_.find(where); at != by_free_in_.end())
        due_.insert(at->second.begin(), at->second.end());
    const auto groups = groups_by_free_in_.find(where);
    if (groups == groups_by_free_in_.end()) return;
    for (const auto& group : groups->second) {
        if (!group->second.is_live) live_.push_back(group);
        group->second.is_live = true;
    }
}

void WaitingList::changed(const IpAddress& address) {
    if (const auto at = by_address_.find(address); at != by_address_.end()) {
        due_.insert(at->second.begin(), at->second.end());
    }
}

void WaitingList::changed(const KeyScope& key) {
    if (const auto at = by_key_.find(key); at != by_key_.end()) due_.insert(at->second.begin(), at->second.end());
}

void WaitingList::everything_changed() {
    for (const auto& [age, member] : members_) due_.insert(due_.end(), age);
}

void WaitingList::settle() {
    due_.clear();
    for (const auto& group : live_) group->second.is_live = false;
    live_.clear();
}

std::optional<Age> WaitingList::next() {
    const auto after_cursor = [&](const std::set<Age>& ages) {
        return cursor_ ? ages.upper_bound(*cursor_) : ages.begin();
    };
    std::optional<Age> found;
    if (const auto at = after_cursor(due_); at != due_.end()) found = *at;
    for (const auto& group : live_) {
        const auto at = after_cursor(group->second.members);
        if (at != group->second.members.end() && (!found || *at < *found)) found = *at;
    }
    if (!found) return std::nullopt;
    due_.erase(*found);
    cursor_ = found;
    return found;
}

void WaitingList::refused(const Age& age) {
    const auto at = members_.find(age);
    if (at == members_.end() || !at->second.group) return;
    GroupState& group = (*at->second.group)->second;
    if (group.is_live) std::erase(live_, *at->second.group);
    group.is_live = false;
}

bool WaitingList::any_due() const { return !due_.empty() || !live_.empty(); }

}  // namespace guideway::ipam
