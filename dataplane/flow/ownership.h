// Ownership: which worker owns a connection, told from a packet of either direction.
//
// Terms, the two ways; each IP family and protocol goes one of them:
//   rings  The client's tuple names the owner by selection_hash, the reply's by its SNAT port: worker w of n uses ports with
//          port % n == w. The NIC knows nothing of this: most packets arrive elsewhere and are handed over by ring.
//   rss    The owner of a client's packet is the worker whose queue the NIC's RSS brings it to, and the SNAT port is chosen
//          so that RSS brings the replies there too (RssMap). Nothing is handed over.
// A family and protocol can go by rss where the NIC hashes its ports; one may hash those of TCP and UDP but not of SCTP.
// Both ways are a function of the packet alone, so a packet that arrives anywhere else finds its owner by ring: what a NIC
// really does decides speed, never correctness.
//
// Worked example: Ownership(4) is rings for everything; then use_rss(map, {6, 17}) makes TCP and UDP over IPv4 go by rss.
// Thread contract: set up at start, then constant; copies share the maps. One copy a worker.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "dataplane/flow/hash.h"
#include "dataplane/flow/rss_map.h"
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

class Ownership {
  public:
    /// Rings for everything; at least one worker. A number of workers says it all.
    Ownership(std::uint32_t workers)  // NOLINT(google-explicit-constructor)
        : workers_(workers), port_owner_(workers) {}

    /// From now on these IP protocol numbers (6, 17, 132) of the map's family go by rss. `map` is of the same workers.
    template <typename Tuple>
    void use_rss(std::shared_ptr<const RssMap<Tuple>> map, std::initializer_list<std::uint8_t> protocols) {
        for (const std::uint8_t protocol : protocols) side<Tuple>().protocols |= bit(protocol);
        side<Tuple>().map = std::move(map);
    }

    std::uint32_t workers() const noexcept { return workers_; }

    /// The map where packets like this one go by rss, else nullptr.
    template <typename Tuple>
    const RssMap<Tuple>* rss(const Tuple& tuple) const noexcept {
        const Side<Tuple>& one = side<Tuple>();
        return (one.protocols & bit(tuple.protocol)) != 0 ? one.map.get() : nullptr;
    }

    /// The owner of a packet from a client: `tuple` as the packet carries it, with its selection_hash.
    template <typename Tuple>
    std::uint32_t of_client(const Tuple& tuple, std::uint64_t selection_hash) const noexcept {
        const RssMap<Tuple>* map = rss(tuple);
        return map != nullptr ? map->worker_of(tuple) : owner_worker(selection_hash, workers_);
    }

    /// The owner of a packet to a SNAT address: (backend, SNAT address, backend port, SNAT port).
    template <typename Tuple>
    std::uint32_t of_reply(const Tuple& tuple) const noexcept {
        const RssMap<Tuple>* map = rss(tuple);
        if (map != nullptr) return map->worker_of(tuple);
        return port_owner_.of(static_cast<std::uint16_t>(tuple.destination_port << 8 | tuple.destination_port >> 8));
    }

  private:
    template <typename Tuple>
    struct Side {
        std::shared_ptr<const RssMap<Tuple>> map;
        std::uint8_t protocols = 0;  ///< of bit()
    };

    static constexpr std::uint8_t bit(std::uint8_t protocol) noexcept {
        return protocol == 6 ? 1 : protocol == 17 ? 2 : protocol == 132 ? 4 : 0;
    }
    template <typename Tuple>
    auto& side() noexcept {
        if constexpr (std::is_same_v<Tuple, packet::FiveTupleV4>) {
            return v4_;
        } else {
            return v6_;
        }
    }
    template <typename Tuple>
    const auto& side() const noexcept {
        return const_cast<Ownership*>(this)->side<Tuple>();
    }

    std::uint32_t workers_;
    PortOwner port_owner_;
    Side<packet::FiveTupleV4> v4_;
    Side<packet::FiveTupleV6> v6_;
};

}  // namespace guideway::flow
