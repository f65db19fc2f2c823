// RouteIndex: the longest prefix that has an address, among any number of routes, by one binary search.
//
// Terms. Interval: addresses that all have the same longest prefix; a family's whole range is cut into them, at most 2 a prefix and one
// more. Routes of one prefix (several ways, by metric) stand together in the list; the first of them is what is found.
//
// Worked example: routes {10.1.0.0/16, 10.0.0.0/8} -> intervals from 0.0.0.0: none, 10.0.0.0: the second, 10.1.0.0: the first,
// 10.2.0.0: the second, 11.0.0.0: none. find(10.1.2.3) = 0.
//
// Why not rte_lpm or rte_fib: a table of either takes megabytes that are filled at each change of a neighbour; here a route costs 16 bytes
// (IPv6: 40) and the build a sort. New connections alone look routes up, at 20 steps for half a million routes.
//
// Thread contract: immutable after construction; find() from any thread, without allocation.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::snapshot {

class RouteIndex {
  public:
    RouteIndex() = default;
    /// Host bits are clear. Of equal prefixes the first in the list counts.
    explicit RouteIndex(std::span<const IpPrefix> prefixes);

    static constexpr std::int32_t kNone = -1;
    /// Position in the list; kNone: no prefix has it.
    std::int32_t find(const IpAddress& address) const noexcept {
        return address.is_v4() ? v4_.find(address.v4_value()) : v6_.find(wide_of(address));
    }

  private:
    using Wide = std::array<std::uint64_t, 2>;  ///< high and low half
    static Wide wide_of(const IpAddress& address) noexcept;

    template <typename Value>
    struct Intervals {
        std::vector<Value> starts;        ///< ascending, the first is 0; empty: there are no routes
        std::vector<std::int32_t> found;  ///< of the interval that begins there

        std::int32_t find(const Value& address) const noexcept;
        void cut(std::span<const IpPrefix> prefixes, IpFamily family);
    };

    Intervals<std::uint32_t> v4_;
    Intervals<Wide> v6_;
};

}  // namespace guideway::snapshot
