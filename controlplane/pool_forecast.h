// PoolForecast: when an address pool will be full if it goes on being used as it was lately.
//
// Terms. Growth: net allocations a second, an exponential mean over about an hour, so that one burst is not taken for a trend and a
// quiet night is forgotten by noon. Nothing is said while a pool does not grow.
//
// Worked example: 100 free, 10 more in use than an hour ago -> growth about 0.002/s -> full in about 16 hours.
// Thread contract: none of its own; the owner serialises.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "api/contract/ip_address.h"

namespace guideway::controlplane {

class PoolForecast {
  public:
    using Clock = std::chrono::steady_clock;

    /// What is in use now.
    void note(const std::string& pool, IpFamily family, std::uint64_t allocated, Clock::time_point now);
    /// Seconds until `free` further addresses are in use; none: it does not grow.
    std::optional<double> seconds_until_full(const std::string& pool, IpFamily family, std::uint64_t free,
                                             Clock::time_point now) const;
    void forget(const std::string& pool);

  private:
    struct Series {
        std::uint64_t allocated = 0;
        double growth = 0;  // a second, as of `at`
        Clock::time_point at;
    };
    std::map<std::pair<std::string, IpFamily>, Series> series_;
};

}  // namespace guideway::controlplane
