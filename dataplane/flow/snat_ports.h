// SnatPorts: chooses the SNAT address and port of a new connection, so that the reply's five-tuple is unique.
//
// Terms:
//   reply tuple  what the backend's packets will carry: (backend, SNAT address, backend port, SNAT port). Only it has
//                to be unique, so one port serves any number of backends: a worker has (range / workers) ports for
//                EACH backend and SNAT address. Which are taken is read from the flow table; nothing is kept here, so
//                nothing can leak.
//   candidates   the ports that bring replies to this worker (ownership.h), of which any may be taken:
//                by rings   the class of ports with port % n == w, for worker w of n;
//                by rss     those whose Toeplitz hash falls to the worker's queues, other ones for each backend and SNAT
//                           address, in groups (RssMap::Ports).
//
// Worked example, range 1024..65535, 2 workers, worker 1: candidates 1025, 1027, ... 65535. Backend A may have 1025
// taken and backend B gets 1025 all the same; a second connection to A on the same SNAT address never does.
//
// How it searches: at each SNAT address, beginning with one that the client's hash names, kRandomProbes ports at random
// places, then kScan ports in line from where the last such scan ended. A class of at most kScan candidates is only
// scanned, all of it. With more, an address may be found full when some 99 % of its ports towards that backend are
// taken: a bounded time on the poll path is worth the last percent.
//
// In two steps, so that the table's line is there when it is asked: first_candidate() says which port choose() will look at
// first; the worker prefetches its bucket, and a stage later choose() with the same arguments takes that port if it is free.
//
// Thread contract: one for each worker, used by that worker only. choose() is for the poll path, once a new connection.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <optional>
#include <span>

#include "dataplane/flow/hash.h"
#include "dataplane/flow/ownership.h"
#include "dataplane/packet/five_tuple.h"

namespace guideway::flow {

class SnatPorts {
  public:
    static constexpr std::uint32_t kRandomProbes = 64;
    static constexpr std::uint32_t kScan = 1024;

    /// Ports first..last, both included, host order; worker < workers. A range without a port of this worker's
    /// class has no candidates: choose() then never finds one.
    constexpr SnatPorts(std::uint16_t first, std::uint16_t last, std::uint32_t worker, std::uint32_t workers)
        : first_(first + (worker + workers - first % workers) % workers),
          stride_(workers),
          count_(first_ > last ? 0 : (last - first_) / workers + 1),
          worker_(worker) {}

    /// By class or by hash as `ownership` says for each reply; it must outlive this.
    SnatPorts(std::uint16_t first, std::uint16_t last, std::uint32_t worker, const Ownership& ownership)
        : SnatPorts(first, last, worker, ownership.workers()) {
        ownership_ = &ownership;
    }

    /// Of the class.
    std::uint32_t candidates() const { return count_; }

    /// Completes `reply`, whose source, source_port and protocol say which backend: destination and destination_port
    /// are filled in. `addresses` are the family's SNAT addresses in the form of Tuple::destination. `hash` is of the
    /// client's tuple, any good 64 bits. `in_use(const Tuple&)` answers whether the flow table has the tuple.
    /// Nothing: every place tried is taken (DropReason::snat_ports_exhausted), or `addresses` is empty.
    template <typename Tuple, typename Address, typename InUse>
    std::optional<Tuple> choose(Tuple reply, std::span<const Address> addresses, std::uint64_t hash, InUse&& in_use) {
        const auto* rss = ownership_ != nullptr ? ownership_->rss(reply) : nullptr;
        if (rss == nullptr && count_ == 0) return std::nullopt;
        // All connections of one worker or one backend have similar bits in their selection hash: mix them anew.
        hash = detail::fold(hash ^ 0x9e3779b97f4a7c15ULL, 0xd1b54a32d192ed03ULL);
        const auto address_count = static_cast<std::uint32_t>(addresses.size());
        const auto first_address = scale(static_cast<std::uint32_t>(hash), address_count);
        for (std::uint32_t i = 0; i < address_count; ++i) {
            const std::uint32_t at = first_address + i;
            reply.destination = addresses[at < address_count ? at : at - address_count];
            const bool found = rss != nullptr ? take_by_hash(reply, rss->ports_to(worker_, reply), hash, in_use)
                                              : take_by_class(reply, hash, in_use);
            if (found) return reply;
        }
        return std::nullopt;
    }

    /// What choose() will ask `in_use` about first, if nothing is chosen in between (a scan goes on from the last one).
    /// Nothing only where choose() has nothing either.
    template <typename Tuple, typename Address>
    std::optional<Tuple> first_candidate(const Tuple& reply, std::span<const Address> addresses,
                                         std::uint64_t hash) const {
        SnatPorts same = *this;
        return same.choose(reply, addresses, hash, [](const Tuple&) { return false; });
    }

  private:
    static std::uint32_t scale(std::uint32_t random, std::uint32_t range) {
        return static_cast<std::uint32_t>((std::uint64_t{random} * range) >> 32);
    }

    /// Knuth's MMIX generator; the high half is the random number.
    static std::uint64_t next(std::uint64_t random) { return random * 6364136223846793005ULL + 1442695040888963407ULL; }

    template <typename Tuple, typename InUse>
    static bool take(Tuple& reply, std::uint16_t port, InUse& in_use) {
        reply.destination_port = static_cast<std::uint16_t>(port << 8 | port >> 8);
        return !in_use(static_cast<const Tuple&>(reply));
    }

    template <typename Tuple, typename InUse>
    bool take_by_class(Tuple& reply, std::uint64_t hash, InUse& in_use) {
        if (count_ > kScan) {
            std::uint64_t random = hash;
            for (std::uint32_t probe = 0; probe < kRandomProbes; ++probe) {
                random = next(random);
                if (take(reply, port_of(scale(static_cast<std::uint32_t>(random >> 32), count_)), in_use)) return true;
            }
        } else {
            scan_start_ = scale(static_cast<std::uint32_t>(hash >> 32), count_);
        }
        // On where the last scan ended: what it passed is taken, and starting there again would find that out again.
        for (std::uint32_t left = std::min(kScan, count_); left > 0; --left) {
            const std::uint32_t candidate = scan_start_;
            if (++scan_start_ == count_) scan_start_ = 0;
            if (take(reply, port_of(candidate), in_use)) return true;
        }
        return false;
    }

    template <typename Tuple, typename Ports, typename InUse>
    bool take_by_hash(Tuple& reply, const Ports& ports, std::uint64_t hash, InUse& in_use) {
        std::uint64_t random = hash;
        for (std::uint32_t probe = 0; probe < kRandomProbes; ++probe) {
            random = next(random);
            const auto port = ports.draw(static_cast<std::uint32_t>(random >> 32));
            if (port && take(reply, *port, in_use)) return true;
        }
        // From where the last scan ended round to the same place: the first group's beginning is the last part.
        std::uint32_t group = group_start_ < ports.groups() ? group_start_ : 0;
        std::size_t place = place_start_;
        const std::size_t end_of_round = place;
        std::uint32_t left = kScan;
        for (std::uint32_t visited = 0; visited <= ports.groups(); ++visited) {
            const auto members = ports.group(group);
            const std::size_t end = visited == ports.groups() ? std::min(end_of_round, members.size()) : members.size();
            for (; place < end && left > 0; --left) {
                if (take(reply, members[place++], in_use)) return remember(group, place);
            }
            if (left == 0) break;
            place = 0;
            if (++group == ports.groups()) group = 0;
        }
        remember(group, place);
        return false;
    }

    bool remember(std::uint32_t group, std::size_t place) {
        group_start_ = group;
        place_start_ = static_cast<std::uint32_t>(place);
        return true;
    }

    std::uint16_t port_of(std::uint32_t candidate) const {
        return static_cast<std::uint16_t>(first_ + candidate * stride_);
    }

    static_assert(std::endian::native == std::endian::little, "ports are byte-swapped unconditionally");

    std::uint32_t first_;   ///< the class's first port
    std::uint32_t stride_;  ///< workers
    std::uint32_t count_;
    std::uint32_t scan_start_ = 0;
    std::uint32_t worker_;
    std::uint32_t group_start_ = 0;  ///< of the scan by hash
    std::uint32_t place_start_ = 0;
    const Ownership* ownership_ = nullptr;  ///< none: by class
};

}  // namespace guideway::flow
