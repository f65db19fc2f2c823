// PendingQueue: packets that are ready to leave but for their next hop's MAC address.
//
// Bounded, as a whole and for each destination: hosts that do not answer must not eat the packet buffers, nor one of them the
// room of the others. The oldest stand first.
//
// Worked example: a connection's first packet, backend's MAC unknown: hold(mbuf, 10.0.2.11, ...); the worker asks for it; a
// new RoutingSnapshot has it: review() yields the packet again and the worker sends it. Without an answer review() yields it
// as expired.
// Thread contract: one worker's.
#pragma once

#include <array>
#include <cstdint>

#include "api/contract/ip_address.h"
#include "dataplane/snapshot/side.h"

struct rte_mbuf;

namespace guideway::worker {

struct PendingPacket {
    rte_mbuf* mbuf = nullptr;
    IpAddress destination;                          ///< of the rewritten packet
    std::uint64_t flow = 0;                         ///< what decides among several ways there (routing_snapshot.h)
    snapshot::Side side = snapshot::Side::clients;  ///< where that is
    std::uint32_t l3_length = 0;                    ///< to compare with the port's MTU
    std::uint64_t deadline_ms = 0;
};

class PendingQueue {
  public:
    static constexpr std::uint32_t kCapacity = 256;
    static constexpr std::uint32_t kMostADestination = kCapacity / 2;

    /// False when full; the packet is then still the caller's.
    bool hold(const PendingPacket& packet) noexcept {
        if (count_ == kCapacity) return false;
        std::uint32_t same = 0;
        for (std::uint32_t i = 0; i < count_; ++i) same += is_for_same(packets_[i], packet) ? 1U : 0U;
        if (same >= kMostADestination) return false;
        packets_[count_++] = packet;
        return true;
    }

    /// Offers each packet, oldest first; `settled(const PendingPacket&)` returns whether it took the packet over.
    template <typename Settled>
    void review(Settled&& settled) noexcept {
        std::uint32_t kept = 0;
        for (std::uint32_t i = 0; i < count_; ++i) {
            if (settled(static_cast<const PendingPacket&>(packets_[i]))) continue;
            if (kept != i) packets_[kept] = packets_[i];
            ++kept;
        }
        count_ = kept;
    }

    std::uint32_t size() const noexcept { return count_; }
    /// Where size() is not 0.
    const PendingPacket& newest() const noexcept { return packets_[count_ - 1]; }

  private:
    static bool is_for_same(const PendingPacket& a, const PendingPacket& b) noexcept {
        return a.destination == b.destination && a.side == b.side;
    }

    std::array<PendingPacket, kCapacity> packets_;
    std::uint32_t count_ = 0;
};

}  // namespace guideway::worker
