// RssMap: where a NIC's receive-side scaling (RSS) brings a packet, and which SNAT ports bring a reply to a wanted worker.
//
// Terms:
//   RETA      the NIC's redirection table, a power of two of entries: entry[hash & (entries - 1)] is the receive queue.
//   residue   hash & (entries - 1).
//   X(port)   what the destination port alone contributes to the hash. Toeplitz is linear, so
//             hash(reply) == hash(reply with port 0) ^ X(port).
//   group     the ports with one residue of X. They are the cosets of a subspace of the 16-bit numbers: with a key of full
//             rank in the needed bits each residue has 65536 / entries of them, less those outside the SNAT range.
//
// Worked example: 128 entries, 4 workers in turn, SNAT ports 1024..65535. A table that repeats itself is folded: 4 entries
// remain, entry i belongs to worker i. A reply from 10.0.2.11:30080 to 10.0.2.1 hashes, with port 0, to residue 2. Worker
// 3 owns the connection: the port must contribute residue 2 ^ 3 == 1, and group 1 has 16128 ports. Any of them will do.
//
// make() refuses tables under which some worker could get no port at all towards some backend: a key without the rank, or a
// narrow range of ports. It accepts a key of less rank where all the same each worker always has a port.
//
// Thread contract: constant after make(); read by all workers. Memory: 12 or 36 KiB of tables, 2 bytes a port.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "dataplane/flow/toeplitz.h"
#include "dataplane/packet/five_tuple.h"

namespace guideway::flow {

/// What a port does with packets whose ports it hashes.
struct RssLayout {
    ToeplitzKey key{};
    std::vector<std::uint16_t> reta;             ///< queue by residue
    std::vector<std::uint16_t> worker_of_queue;  ///< who polls the queue
};

inline constexpr std::size_t kMostRetaEntries = 2048;

/// The worker by residue, folded to the shortest table that says the same. Empty, with `error`, where the layout is none.
inline std::vector<std::uint16_t> workers_by_residue(const RssLayout& layout, std::string& error) {
    const std::size_t entries = layout.reta.size();
    if (!std::has_single_bit(entries) || entries > kMostRetaEntries) {
        error = "a redirection table of " + std::to_string(entries) + " entries, usable is a power of two up to " +
                std::to_string(kMostRetaEntries);
        return {};
    }
    std::vector<std::uint16_t> workers;
    for (const std::uint16_t queue : layout.reta) {
        if (queue >= layout.worker_of_queue.size()) {
            error = "a redirection table with queue " + std::to_string(queue) + " of " +
                    std::to_string(layout.worker_of_queue.size());
            return {};
        }
        workers.push_back(layout.worker_of_queue[queue]);
    }
    while (workers.size() > 1) {
        const auto half = workers.begin() + static_cast<std::ptrdiff_t>(workers.size() / 2);
        if (!std::equal(workers.begin(), half, half)) break;
        workers.erase(half, workers.end());
    }
    return workers;
}

template <typename Tuple>
class RssMap {
  public:
    /// SNAT ports first..last, host order, both included. Nothing, with the reason in `error`, where replies cannot be
    /// brought to each of the workers 0..workers-1.
    static std::shared_ptr<const RssMap> make(const RssLayout& layout, std::uint32_t workers, std::uint16_t first,
                                              std::uint16_t last, std::string& error) {
        std::vector<std::uint16_t> by_residue = workers_by_residue(layout, error);
        if (by_residue.empty()) return nullptr;
        for (const std::uint16_t worker : by_residue) {
            if (worker < workers) continue;
            error = "a queue of worker " + std::to_string(worker) + ", there are " + std::to_string(workers);
            return nullptr;
        }
        std::shared_ptr<RssMap> map(new RssMap(layout.key, std::move(by_residue), workers, first, last));
        error = map->find_fewest();
        return error.empty() ? map : nullptr;
    }

    std::uint32_t hash(const Tuple& tuple) const noexcept {
        return table_.of(reinterpret_cast<const std::uint8_t*>(&tuple));
    }
    /// Where a packet that carries this tuple arrives.
    std::uint32_t worker_of(const Tuple& tuple) const noexcept { return worker_[hash(tuple) & mask_]; }
    std::uint32_t entries() const noexcept { return mask_ + 1; }
    /// Ports that a worker has at least towards each backend and SNAT address; at least 1.
    std::uint32_t fewest_ports() const noexcept { return fewest_; }

    /// The ports that bring the replies of one backend and SNAT address to one worker, in host order: groups() groups, each
    /// of at most largest() ports, some perhaps empty. A view: valid as long as the map.
    class Ports {
      public:
        std::uint32_t groups() const noexcept { return static_cast<std::uint32_t>(residues_.size()); }
        std::span<const std::uint16_t> group(std::uint32_t at) const noexcept {
            return map_->group(residues_[at] ^ base_);
        }
        /// One of them, each as likely as any other, or nothing: then another random number may do.
        std::optional<std::uint16_t> draw(std::uint32_t random) const noexcept {
            // One random number names the group and, by what is left of it, the place in a group of the largest size.
            const std::uint64_t scaled = std::uint64_t{random} * residues_.size();
            const auto ports = group(static_cast<std::uint32_t>(scaled >> 32));
            const std::uint64_t place = (scaled & 0xffffffffU) * map_->largest_ >> 32;
            if (place >= ports.size()) return std::nullopt;
            return ports[place];
        }
        /// All of them.
        std::uint32_t count() const noexcept {
            std::uint32_t sum = 0;
            for (std::uint32_t i = 0; i < groups(); ++i) sum += static_cast<std::uint32_t>(group(i).size());
            return sum;
        }

      private:
        friend class RssMap;
        Ports(const RssMap* map, std::uint32_t base, std::span<const std::uint16_t> residues)
            : map_(map), base_(base), residues_(residues) {}

        const RssMap* map_;
        std::uint32_t base_;                       ///< residue of the reply with port 0
        std::span<const std::uint16_t> residues_;  ///< of the worker
    };

    /// `reply` as the backend will send it; its destination port does not matter.
    Ports ports_to(std::uint32_t worker, Tuple reply) const noexcept {
        reply.destination_port = 0;
        return ports_from(worker, hash(reply) & mask_);
    }

  private:
    static constexpr std::size_t kPortByte = kToeplitzBytes<Tuple> - 2;  ///< of the destination port, high byte first

    RssMap(const ToeplitzKey& key, std::vector<std::uint16_t> by_residue, std::uint32_t workers, std::uint16_t first,
           std::uint16_t last)
        : table_(key), mask_(static_cast<std::uint32_t>(by_residue.size() - 1)), worker_(std::move(by_residue)) {
        residues_begin_.assign(workers + 1, 0);
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            for (std::size_t residue = 0; residue < worker_.size(); ++residue) {
                if (worker_[residue] == worker) residues_.push_back(static_cast<std::uint16_t>(residue));
            }
            residues_begin_[worker + 1] = static_cast<std::uint32_t>(residues_.size());
        }
        const auto residue_of = [&](std::uint32_t port) {
            return (table_.of_byte(kPortByte, static_cast<std::uint8_t>(port >> 8)) ^
                    table_.of_byte(kPortByte + 1, static_cast<std::uint8_t>(port))) &
                   mask_;
        };
        group_begin_.assign(worker_.size() + 1, 0);
        for (std::uint32_t port = first; port <= last; ++port) ++group_begin_[residue_of(port) + 1];
        largest_ = *std::max_element(group_begin_.begin(), group_begin_.end());
        for (std::size_t i = 1; i < group_begin_.size(); ++i) group_begin_[i] += group_begin_[i - 1];
        ports_.resize(group_begin_.back());
        std::vector<std::uint32_t> next(group_begin_.begin(), group_begin_.end() - 1);
        for (std::uint32_t port = first; port <= last; ++port) {
            ports_[next[residue_of(port)]++] = static_cast<std::uint16_t>(port);
        }
    }

    std::span<const std::uint16_t> group(std::uint32_t residue) const noexcept {
        return {ports_.data() + group_begin_[residue], ports_.data() + group_begin_[residue + 1]};
    }

    Ports ports_from(std::uint32_t worker, std::uint32_t base) const noexcept {
        const std::uint16_t* all = residues_.data();
        return {this, base, {all + residues_begin_[worker], all + residues_begin_[worker + 1]}};
    }

    std::string find_fewest() {
        fewest_ = 0xffffffff;
        for (std::uint32_t worker = 0; worker + 1 < residues_begin_.size(); ++worker) {
            if (residues_begin_[worker] == residues_begin_[worker + 1]) {
                return "no queue of worker " + std::to_string(worker) + " in the redirection table";
            }
            for (std::uint32_t base = 0; base <= mask_; ++base) {
                fewest_ = std::min(fewest_, ports_from(worker, base).count());
            }
        }
        if (fewest_ != 0) return {};
        return "a key and a redirection table of " + std::to_string(entries()) +
               " entries under which some worker has no SNAT port towards some backend";
    }

    ToeplitzTable<kToeplitzBytes<Tuple>> table_;
    std::uint32_t mask_;
    std::uint32_t largest_ = 0;  ///< ports of the largest group
    std::uint32_t fewest_ = 0;
    std::vector<std::uint16_t> worker_;          ///< by residue
    std::vector<std::uint16_t> residues_;        ///< those of worker 0, of worker 1, ...
    std::vector<std::uint32_t> residues_begin_;  ///< by worker, and the end
    std::vector<std::uint16_t> ports_;           ///< those of group 0, of group 1, ...
    std::vector<std::uint32_t> group_begin_;     ///< by residue, and the end
};

using RssMapV4 = RssMap<packet::FiveTupleV4>;
using RssMapV6 = RssMap<packet::FiveTupleV6>;

}  // namespace guideway::flow
