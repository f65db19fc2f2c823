// SourceRanges: who may open connections to a service (Kubernetes' loadBalancerSourceRanges, rule 11).
//
// Terms:
//   range     a prefix, of either family; host bits mean nothing.
//   interval  first and last address, inclusive. The ranges of a family, sorted, those that overlap or touch made one.
// A family without a range is closed.
//
// Worked example: {10.0.0.0/9, 10.128.0.0/9, 192.0.2.7/32}
//   -> intervals [10.0.0.0, 10.255.255.255], [192.0.2.7, 192.0.2.7]; none of IPv6
//   10.1.2.3 allowed; 11.0.0.1 and every IPv6 address not.
//
// Why not DPDK's tables for longest prefixes: the question is not which range is the longest, only whether there is one, and each
// set wants a table of its own. rte_lpm and rte_fib's DIR24-8 cost 32 to 64 MiB a set; intervals cost 8 bytes a range (32 for
// IPv6) and a binary search, 13 steps without a branch to mispredict for 5,000 ranges, only when a connection opens.
//
// Thread contract: immutable after construction; read by all workers. allows() allocates nothing.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::guard {

namespace detail {

struct V6Value {
    std::uint64_t high = 0;
    std::uint64_t low = 0;
    friend auto operator<=>(const V6Value&, const V6Value&) = default;
};

inline std::uint64_t big_endian_64(const std::uint8_t* bytes) noexcept {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | bytes[i];
    return value;
}

/// Sorted, disjoint intervals; same index in both.
template <typename Value>
struct Intervals {
    std::vector<Value> first;
    std::vector<Value> last;

    bool contains(const Value& value) const noexcept {
        const Value* at = first.data();
        std::size_t length = first.size();
        if (length == 0) return false;
        while (length > 1) {  // the last one that begins at or before the value, or the first of all
            const std::size_t half = length / 2;
            at += at[half] <= value ? half : 0;
            length -= half;
        }
        return *at <= value && value <= last[static_cast<std::size_t>(at - first.data())];
    }
};

}  // namespace detail

class SourceRanges {
  public:
    explicit SourceRanges(std::span<const IpPrefix> prefixes);

    /// Network order.
    bool allows(std::uint32_t address_be) const noexcept { return v4_.contains(__builtin_bswap32(address_be)); }
    bool allows(const std::array<std::uint8_t, 16>& address) const noexcept {
        return v6_.contains({detail::big_endian_64(address.data()), detail::big_endian_64(address.data() + 8)});
    }
    bool allows(const IpAddress& address) const noexcept {
        return address.is_v4() ? v4_.contains(address.v4_value()) : allows(address.bytes);
    }

    /// Of both families together.
    std::size_t intervals() const { return v4_.first.size() + v6_.first.size(); }

  private:
    detail::Intervals<std::uint32_t> v4_;
    detail::Intervals<detail::V6Value> v6_;
};

}  // namespace guideway::guard
