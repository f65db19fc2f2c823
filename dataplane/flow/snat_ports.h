// SnatPorts: chooses the SNAT address and port of a new connection, so that the reply's five-tuple is unique.
//
// Terms:
//   reply tuple  what the backend's packets will carry: (backend, SNAT address, backend port, SNAT port). Only it has
//                to be unique, so one port serves any number of backends: a worker has (range / workers) ports for
//                EACH backend and SNAT address. Which are taken is read from the flow table; nothing is kept here, so
//                nothing can leak.
//   class        worker w of n uses ports with port % n == w: replies find their owner by the port (PortOwner).
//
// Worked example, range 1024..65535, 2 workers, worker 1: candidates 1025, 1027, ... 65535. Backend A may have 1025
// taken and backend B gets 1025 all the same; a second connection to A on the same SNAT address never does.
//
// How it searches: at each SNAT address, beginning with one that the client's hash names, kRandomProbes ports at random
// places, then kScan ports in line from where the last such scan ended. With at most kScan candidates it is only the
// scan, over all of them. With more, an address may be found full when some 99 % of its ports towards that backend are
// taken: a bounded time on the poll path is worth the last percent.
//
// Thread contract: one for each worker, used by that worker only. choose() is for the poll path, once a new connection.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/flow/hash.h"
#include "dataplane/packet/five_tuple.h"

namespace guideway::flow {

/// port % workers without a division (Lemire, Kaser, Kurz 2019: exact for 16-bit numbers).
class PortOwner {
  public:
    explicit constexpr PortOwner(std::uint32_t workers) : workers_(workers), inverse_(0xffffffffU / workers + 1) {}
    /// `port` in host order.
    constexpr std::uint32_t of(std::uint16_t port) const {
        return static_cast<std::uint32_t>((std::uint64_t{inverse_ * port} * workers_) >> 32);
    }

  private:
    std::uint32_t workers_;
    std::uint32_t inverse_;
};

class SnatPorts {
  public:
    static constexpr std::uint32_t kRandomProbes = 64;
    static constexpr std::uint32_t kScan = 1024;

    /// Ports first..last, both included, host order; worker < workers. A range without a port of this worker's
    /// class has no candidates: choose() then never finds one.
    constexpr SnatPorts(std::uint16_t first, std::uint16_t last, std::uint32_t worker, std::uint32_t workers)
        : first_(first + (worker + workers - first % workers) % workers),
          stride_(workers),
          count_(first_ > last ? 0 : (last - first_) / workers + 1) {}

    std::uint32_t candidates() const { return count_; }

    /// Completes `reply`, whose source, source_port and protocol say which backend: destination and destination_port
    /// are filled in. `addresses` are the family's SNAT addresses in the form of Tuple::destination. `hash` is of the
    /// client's tuple, any good 64 bits. `in_use(const Tuple&)` answers whether the flow table has the tuple.
    /// Nothing: every place tried is taken (DropReason::snat_ports_exhausted), or `addresses` is empty.
    template <typename Tuple, typename Address, typename InUse>
    std::optional<Tuple> choose(Tuple reply, std::span<const Address> addresses, std::uint64_t hash, InUse&& in_use) {
        if (count_ == 0) return std::nullopt;
        // All connections of one worker or one backend have similar bits in their selection hash: mix them anew.
        hash = detail::fold(hash ^ 0x9e3779b97f4a7c15ULL, 0xd1b54a32d192ed03ULL);
        const auto address_count = static_cast<std::uint32_t>(addresses.size());
        const auto first_address = scale(static_cast<std::uint32_t>(hash), address_count);
        for (std::uint32_t i = 0; i < address_count; ++i) {
            const std::uint32_t at = first_address + i;
            reply.destination = addresses[at < address_count ? at : at - address_count];
            if (count_ > kScan) {
                std::uint64_t random = hash;
                for (std::uint32_t probe = 0; probe < kRandomProbes; ++probe) {
                    random = random * 6364136223846793005ULL + 1442695040888963407ULL;  // Knuth's MMIX generator
                    if (take(reply, scale(static_cast<std::uint32_t>(random >> 32), count_), in_use)) return reply;
                }
            } else {
                scan_start_ = scale(static_cast<std::uint32_t>(hash >> 32), count_);
            }
            if (scan(reply, in_use)) return reply;
        }
        return std::nullopt;
    }

  private:
    static std::uint32_t scale(std::uint32_t random, std::uint32_t range) {
        return static_cast<std::uint32_t>((std::uint64_t{random} * range) >> 32);
    }

    template <typename Tuple, typename InUse>
    bool take(Tuple& reply, std::uint32_t candidate, InUse& in_use) const {
        const auto port = static_cast<std::uint16_t>(first_ + candidate * stride_);
        reply.destination_port = static_cast<std::uint16_t>(port << 8 | port >> 8);
        return !in_use(static_cast<const Tuple&>(reply));
    }

    /// Goes on where the last scan ended: what it passed is taken, and starting there again would find that out again.
    template <typename Tuple, typename InUse>
    bool scan(Tuple& reply, InUse& in_use) {
        for (std::uint32_t left = std::min(kScan, count_); left > 0; --left) {
            const std::uint32_t candidate = scan_start_;
            if (++scan_start_ == count_) scan_start_ = 0;
            if (take(reply, candidate, in_use)) return true;
        }
        return false;
    }

    static_assert(std::endian::native == std::endian::little, "ports are byte-swapped unconditionally");

    std::uint32_t first_;   ///< the class's first port
    std::uint32_t stride_;  ///< workers
    std::uint32_t count_;
    std::uint32_t scan_start_ = 0;
};

}  // namespace guideway::flow
