// RateLimit: token buckets by key, in a table of bounded size. SlotLimit: how many there are at once, in all and by key.
//
// Terms. A bucket holds up to `burst` tokens and gets `per_second` of them; each event takes one. Where the table is full, the
// key that was seen longest ago is forgotten, that is, its bucket is full again: an attacker with more addresses than the table has
// places gets one burst more for each, and no memory.
//
// Worked example: RateLimit(1, 10, 65536). A key takes 10 at once, the 11th is told to wait 1 s; a second later one passes.
//
// Thread contract: any method from any thread.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>

namespace guideway::rest {

class RateLimit {
  public:
    using Clock = std::chrono::steady_clock;

    /// `per_second` 0: no bound.
    RateLimit(double per_second, double burst, std::size_t max_keys)
        : per_second_(per_second), burst_(burst), max_keys_(max_keys) {}

    /// Takes a token. Nothing: taken; else how long until there is one.
    std::optional<std::chrono::milliseconds> take(const std::string& key, Clock::time_point now = Clock::now());
    std::size_t keys() const;

  private:
    struct Bucket {
        std::string key;
        double tokens = 0;
        Clock::time_point filled;
    };
    const double per_second_;
    const double burst_;
    const std::size_t max_keys_;
    mutable std::mutex mutex_;
    std::list<Bucket> buckets_;  ///< the one seen longest ago first
    std::unordered_map<std::string, std::list<Bucket>::iterator> by_key_;
};

class SlotLimit {
  public:
    SlotLimit(std::size_t in_all, std::size_t by_key) : in_all_(in_all), by_key_(by_key) {}

    /// Takes a place for each key, all or none. Null: there is none. Given back when the result is destroyed, which must be before
    /// the limit is.
    std::unique_ptr<struct SlotLimitHold> take(std::string first, std::string second);

  private:
    friend struct SlotLimitHold;
    void give_back(const std::string& first, const std::string& second);

    const std::size_t in_all_;
    const std::size_t by_key_;
    std::mutex mutex_;
    std::size_t taken_ = 0;
    std::unordered_map<std::string, std::size_t> taken_by_;
};

struct SlotLimitHold {
    SlotLimitHold(SlotLimit& from, std::string first_key, std::string second_key)
        : limit(from), first(std::move(first_key)), second(std::move(second_key)) {}
    SlotLimitHold(const SlotLimitHold&) = delete;
    SlotLimitHold& operator=(const SlotLimitHold&) = delete;
    ~SlotLimitHold() { limit.give_back(first, second); }

    SlotLimit& limit;
    const std::string first;
    const std::string second;
};

}  // namespace guideway::rest
