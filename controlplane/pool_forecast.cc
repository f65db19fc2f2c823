#include "controlplane/pool_forecast.h"

#include <cmath>

namespace guideway::controlplane {
namespace {

constexpr double kMemorySeconds = 3600;
/// Slower than one address in 30 days is no growth that anybody should be woken for.
constexpr double kLeastGrowth = 1.0 / (30 * 86400);

double weight_left(PoolForecast::Clock::time_point from, PoolForecast::Clock::time_point to) {
    return std::exp(-std::chrono::duration<double>(to - from).count() / kMemorySeconds);
}

}  // namespace

void PoolForecast::note(const std::string& pool, IpFamily family, std::uint64_t allocated, Clock::time_point now) {
    const auto [at, fresh] = series_.try_emplace({pool, family});
    Series& series = at->second;
    if (!fresh) {
        // What was there when the pool was first seen is no growth; each step since counts for an hour, and less and less.
        const double step = static_cast<double>(allocated) - static_cast<double>(series.allocated);
        series.growth = series.growth * weight_left(series.at, now) + step / kMemorySeconds;
    }
    series.allocated = allocated;
    series.at = now;
}

std::optional<double> PoolForecast::seconds_until_full(const std::string& pool, IpFamily family, std::uint64_t free,
                                                       Clock::time_point now) const {
    const auto at = series_.find({pool, family});
    if (at == series_.end()) return std::nullopt;
    const double growth = at->second.growth * weight_left(at->second.at, now);
    if (growth < kLeastGrowth) return std::nullopt;
    return static_cast<double>(free) / growth;
}

void PoolForecast::forget(const std::string& pool) {
    series_.erase({pool, IpFamily::ipv4});
    series_.erase({pool, IpFamily::ipv6});
}

}  // namespace guideway::controlplane
