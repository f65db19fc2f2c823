// Tap: which packets an operator wants to see, and the rings in which workers put what became of them.
//
// Terms:
//   ends    a packet's addresses, ports and protocol in one form for both families: IPv4 as IPv4-mapped IPv6 addresses.
//   filter  what must agree, either way round: a reply's ends are its request's, exchanged.
//   lane    one worker's ring and counts.
// While there is a tap it costs a worker a parse of each packet and a look into its flow table; a packet that matches goes through
// the stages as a burst of its own, so that what is counted and sent meanwhile is its. Two bounds keep that cheap: kLooks packets a
// second go alone, and no more than the rate that was asked for are written down.
//
// Worked example: filter for TCP to 203.0.113.10:80. The SYN matches as it is; the node's answer to the SNAT address does not, but the
// flow table knows its connection, whose client's ends match.
//
// Thread contract: made by a control thread and handed to the workers by the publisher; `filter` and the bounds are constant then. Of a
// lane the worker writes all but the ring's consumer side, which is the control thread's, as reading the counts is.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "dataplane/guard/token_bucket.h"
#include "dataplane/observe/byte_ring.h"
#include "dataplane/observe/counters.h"
#include "dataplane/observe/drop_reason.h"

namespace guideway::observe {

struct TapEnds {
    std::array<std::uint64_t, 2> source{};  ///< 16 bytes in network order
    std::array<std::uint64_t, 2> destination{};
    std::uint16_t source_port = 0;  ///< network order
    std::uint16_t destination_port = 0;
    std::uint8_t protocol = 0;  ///< IANA; of ICMP for IPv6 that of ICMP
};

struct TapSide {
    std::array<std::uint64_t, 2> address{};
    std::array<std::uint64_t, 2> mask{};  ///< 0: any address
    std::uint16_t port = 0;               ///< network order; 0: any

    bool matches(const std::array<std::uint64_t, 2>& end, std::uint16_t end_port) const noexcept {
        const std::uint64_t differs = ((end[0] ^ address[0]) & mask[0]) | ((end[1] ^ address[1]) & mask[1]);
        return differs == 0 && (port == 0 || port == end_port);
    }
};

struct TapFilter {
    static constexpr std::uint16_t kAnyPort = 0xffff;

    TapSide source;
    TapSide destination;
    std::uint8_t protocol = 0;             ///< 0: any
    std::uint16_t device = kAnyPort;       ///< index of the port that packets come in by or leave by
    bool drops = false;                    ///< only what was dropped or refused
    DropReason reason = DropReason::none;  ///< only what was dropped or refused for this; none: any
    bool all = true;                       ///< nothing is said of ends: packets without addresses match too

    bool matches(const TapEnds& ends) const noexcept {
        if (protocol != 0 && protocol != ends.protocol) return false;
        return (source.matches(ends.source, ends.source_port) &&
                destination.matches(ends.destination, ends.destination_port)) ||
               (source.matches(ends.destination, ends.destination_port) &&
                destination.matches(ends.source, ends.source_port));
    }
};

struct TapBounds {
    std::uint32_t bytes = 256;  ///< of each packet
    std::uint32_t count = 1000;
    std::uint32_t rate = 1000;                      ///< a second
    std::uint64_t deadline_ms = ~std::uint64_t{0};  ///< by the workers' clock; from then on it is as if there were none
};

struct alignas(64) TapLane {
    static constexpr std::uint32_t kLooks = 100'000;
    static constexpr std::size_t kRingBytes = std::size_t{2} << 20;

    explicit TapLane(const TapBounds& bounds)
        : ring(kRingBytes), looks(kLooks, kLooks / 100), records(bounds.rate, bounds.rate), left(bounds.count) {}

    ByteRing ring;
    guard::TokenBucket looks;
    guard::TokenBucket records;
    std::uint32_t left;  ///< records to come
    Count matched;
    Count lost;  ///< no room in the ring
    Count over_rate;
    Count not_looked_at;
};

class Tap {
  public:
    Tap(const TapFilter& wanted, const TapBounds& within, std::uint32_t workers) : filter(wanted), bounds(within) {
        for (std::uint32_t worker = 0; worker < workers; ++worker) lanes_.push_back(std::make_unique<TapLane>(bounds));
    }

    const TapFilter filter;
    const TapBounds bounds;
    TapLane& lane(std::uint32_t worker) const noexcept { return *lanes_[worker]; }
    std::uint32_t workers() const noexcept { return static_cast<std::uint32_t>(lanes_.size()); }

  private:
    std::vector<std::unique_ptr<TapLane>> lanes_;
};

}  // namespace guideway::observe
