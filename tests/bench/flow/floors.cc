#include "tests/bench/flow/floors.h"

#include <array>

#include <rte_ethdev.h>

#include "tests/bench/flow/timing.h"

namespace guideway::bench {
namespace {

template <typename Work>
double between_ports(std::uint16_t queue, unsigned burst, double seconds, Work&& work) {
    std::array<rte_mbuf*, kMostBurst> mbufs;
    return timed(seconds,
                 [&] {
                     std::uint64_t packets = 0;
                     for (const Port port : {kClientPort, kNodePort}) {
                         const std::uint16_t count =
                             rte_eth_rx_burst(ethdev_of(port), queue, mbufs.data(), static_cast<std::uint16_t>(burst));
                         work(mbufs.data(), count);
                         packets += rte_eth_tx_burst(ethdev_of(port == kClientPort ? kNodePort : kClientPort), queue,
                                                     mbufs.data(), count);
                     }
                     return packets;
                 })
        .ns;
}

}  // namespace

double generator_floor(std::uint16_t queue, unsigned burst, double seconds) {
    return between_ports(queue, burst, seconds, [](rte_mbuf**, std::uint16_t) {});
}

double swap_floor(const Wire& wire, std::uint16_t queue, unsigned burst, double seconds) {
    return between_ports(queue, burst, seconds,
                         [&](rte_mbuf** mbufs, std::uint16_t count) { wire.swap(mbufs, count); });
}

double miss_floor(std::span<const std::byte> memory, unsigned lines, unsigned burst, double seconds) {
    const std::uint64_t count = memory.size() / 64;
    std::array<const std::byte*, std::size_t{2} * kMostBurst> at;
    std::uint64_t state = rte_rdtsc();
    std::uint64_t sum = 0;
    const Timing timing = timed(seconds, [&] {
        const unsigned wanted = burst * lines;
        for (unsigned k = 0; k < wanted; ++k) {
            state = state * 6364136223846793005ULL + 1442695040888963407ULL;
            at[k] = memory.data() + (((state >> 32) * count) >> 32) * 64;
            __builtin_prefetch(at[k]);
        }
        for (unsigned k = 0; k < wanted; ++k) sum += std::to_integer<std::uint64_t>(*at[k]);
        return std::uint64_t{burst};
    });
    volatile std::uint64_t kept = sum;
    static_cast<void>(kept);
    return timing.ns;
}

}  // namespace guideway::bench
