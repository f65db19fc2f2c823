#include "dataplane/guard/source_ranges.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace guideway::guard {
namespace {

using detail::V6Value;

template <typename Value>
using Pairs = std::vector<std::pair<Value, Value>>;

constexpr std::uint64_t kAll64 = std::numeric_limits<std::uint64_t>::max();

/// The `count` lowest bits, 0..64.
std::uint64_t low_bits(unsigned count) { return count >= 64 ? kAll64 : (std::uint64_t{1} << count) - 1; }

std::uint32_t next(std::uint32_t value) { return value + 1; }
V6Value next(V6Value value) {
    if (++value.low == 0) ++value.high;
    return value;
}

template <typename Value>
detail::Intervals<Value> merged(Pairs<Value> pairs) {
    std::sort(pairs.begin(), pairs.end());
    detail::Intervals<Value> result;
    for (const auto& [first, last] : pairs) {
        // Where the one before ends at the highest address of all, next() is 0, but then `last` cannot be beyond it.
        if (!result.last.empty() && (first <= result.last.back() || first == next(result.last.back()))) {
            result.last.back() = std::max(result.last.back(), last);
        } else {
            result.first.push_back(first);
            result.last.push_back(last);
        }
    }
    return result;
}

}  // namespace

SourceRanges::SourceRanges(std::span<const IpPrefix> prefixes) {
    Pairs<std::uint32_t> v4;
    Pairs<V6Value> v6;
    for (const IpPrefix& prefix : prefixes) {
        const unsigned host_bits = prefix.address.bits() - std::min<unsigned>(prefix.length, prefix.address.bits());
        if (prefix.address.is_v4()) {
            const auto host = static_cast<std::uint32_t>(low_bits(host_bits));
            v4.emplace_back(prefix.address.v4_value() & ~host, prefix.address.v4_value() | host);
        } else {
            const std::uint64_t high = detail::big_endian_64(prefix.address.bytes.data());
            const std::uint64_t low = detail::big_endian_64(prefix.address.bytes.data() + 8);
            const std::uint64_t low_host = low_bits(std::min(host_bits, 64U));
            const std::uint64_t high_host = low_bits(host_bits - std::min(host_bits, 64U));
            v6.push_back({{high & ~high_host, low & ~low_host}, {high | high_host, low | low_host}});
        }
    }
    v4_ = merged(std::move(v4));
    v6_ = merged(std::move(v6));
}

}  // namespace guideway::guard
