#include "api/rest/rate_limit.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace guideway::rest {

std::optional<std::chrono::milliseconds> RateLimit::take(const std::string& key, Clock::time_point now) {
    if (per_second_ <= 0) return std::nullopt;
    const std::lock_guard lock(mutex_);
    auto found = by_key_.find(key);
    if (found == by_key_.end()) {
        if (buckets_.size() >= max_keys_) {
            by_key_.erase(buckets_.front().key);
            buckets_.pop_front();
        }
        buckets_.push_back({key, burst_, now});
        found = by_key_.emplace(key, std::prev(buckets_.end())).first;
    } else {
        buckets_.splice(buckets_.end(), buckets_, found->second);
    }
    Bucket& bucket = *found->second;
    if (now > bucket.filled) {
        const double passed = std::chrono::duration<double>(now - bucket.filled).count();
        bucket.tokens = std::min(burst_, bucket.tokens + passed * per_second_);
        bucket.filled = now;
    }
    if (bucket.tokens >= 1) {
        bucket.tokens -= 1;
        return std::nullopt;
    }
    const double milliseconds = std::ceil((1 - bucket.tokens) / per_second_ * 1000 - 1e-6);
    return std::chrono::milliseconds(static_cast<std::int64_t>(std::max(1.0, milliseconds)));
}

std::size_t RateLimit::keys() const {
    const std::lock_guard lock(mutex_);
    return buckets_.size();
}

std::unique_ptr<SlotLimitHold> SlotLimit::take(std::string first, std::string second) {
    const std::lock_guard lock(mutex_);
    if (taken_ >= in_all_) return nullptr;
    for (const std::string* key : {&first, &second}) {
        const auto found = taken_by_.find(*key);
        if (found != taken_by_.end() && found->second >= by_key_) return nullptr;
    }
    ++taken_;
    ++taken_by_[first];
    ++taken_by_[second];
    return std::make_unique<SlotLimitHold>(*this, std::move(first), std::move(second));
}

void SlotLimit::give_back(const std::string& first, const std::string& second) {
    const std::lock_guard lock(mutex_);
    --taken_;
    for (const std::string* key : {&first, &second}) {
        const auto found = taken_by_.find(*key);
        if (--found->second == 0) taken_by_.erase(found);
    }
}

}  // namespace guideway::rest
