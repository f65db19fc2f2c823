#include "tests/bench/flow/wire.h"

#include <algorithm>
#include <array>
#include <cstdio>

#include <rte_ethdev.h>
#include <rte_mbuf.h>

namespace guideway::bench {
namespace {

/// A 64-bit linear congruential generator (Knuth's MMIX): its high bits are good enough and it costs a multiplication.
class Random {
  public:
    explicit Random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15ULL + 1) {}
    std::uint64_t next() {
        state_ = state_ * 6364136223846793005ULL + 1442695040888963407ULL;
        return state_;
    }

  private:
    std::uint64_t state_;
};

std::uint64_t fresh_mbuf(std::uint16_t ethdev) {
    rte_mbuf mbuf{};
    mbuf.data_off = RTE_PKTMBUF_HEADROOM;
    mbuf.nb_segs = 1;
    mbuf.port = ethdev;
    rte_mbuf_refcnt_set(&mbuf, 1);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &mbuf.rearm_data, sizeof bits);
    return bits;
}

/// What a driver does to the buffer of a packet that arrived; returns where the frame goes.
class Arrival {
  public:
    Arrival(Port port, std::uint16_t length, std::uint32_t packet_type, bool offloads)
        : rearm_(fresh_mbuf(ethdev_of(port))),
          flags_(offloads ? RTE_MBUF_F_RX_IP_CKSUM_GOOD | RTE_MBUF_F_RX_L4_CKSUM_GOOD : 0),
          packet_type_(offloads ? packet_type : 0),
          length_(length) {}

    [[gnu::always_inline]] std::uint8_t* into(rte_mbuf* mbuf) const {
        std::memcpy(&mbuf->rearm_data, &rearm_, sizeof rearm_);
        mbuf->ol_flags = flags_;
        mbuf->packet_type = packet_type_;
        mbuf->pkt_len = length_;
        mbuf->data_len = length_;
        return static_cast<std::uint8_t*>(mbuf->buf_addr) + RTE_PKTMBUF_HEADROOM;
    }

  private:
    std::uint64_t rearm_;
    std::uint64_t flags_;
    std::uint32_t packet_type_;
    std::uint16_t length_;
};

template <int kIp, int kProtocol>
constexpr std::uint32_t kPacketType = RTE_PTYPE_L2_ETHER | (kIp == 4 ? RTE_PTYPE_L3_IPV4 : RTE_PTYPE_L3_IPV6) |
                                      (kProtocol == 6 ? RTE_PTYPE_L4_TCP : RTE_PTYPE_L4_UDP);

std::array<std::uint32_t, 256> low_table(std::uint32_t (*low_of)(std::uint32_t)) {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < table.size(); ++i) table[i] = low_of(i);
    return table;
}

template <int kIp, int kProtocol>
class RandomSourceOf final : public RandomSource {
    using At = Layout<kIp, kProtocol>;

  public:
    RandomSourceOf(Port port, const RandomTraffic& traffic)
        : writer_(port),
          arrival_(port, At::kLength, kPacketType<kIp, kProtocol>, traffic.offloads),
          random_(port + 2U * traffic.queue + 1),
          traffic_(traffic),
          pool_(buffers(traffic.queue)),
          direction_mask_(traffic.split ? 0 : 0xffffffff),
          direction_fixed_(traffic.split && port == kNodePort ? 0xffffffff : 0) {
        for (std::uint32_t& block : blocks_) block = pick();
    }

    std::uint16_t receive(rte_mbuf** to, std::uint16_t most) override {
        const std::uint16_t count = most < kMostBurst ? most : kMostBurst;
        if (rte_mempool_get_bulk(pool_, reinterpret_cast<void**>(to), count) != 0) return 0;
        given += count;
        for (unsigned done = 0, block = 0; done < count; done += kBlock, ++block) {
            const unsigned part = std::min<unsigned>(count - done, kBlock);
            marked ? fill<true>(blocks_[block], to + done, part) : fill<false>(blocks_[block], to + done, part);
            blocks_[block] = pick();
        }
        return count;
    }

  private:
    /// Chooses the block for the next burst and fetches it.
    std::uint32_t pick() {
        const std::uint64_t blocks = traffic_.records.size() / kBlock;
        const auto block = static_cast<std::uint32_t>(((random_.next() >> 32) * blocks) >> 32);
        const auto* line = reinterpret_cast<const std::byte*>(traffic_.records.data() + std::size_t{block} * kBlock);
        for (std::size_t at = 0; at < kBlock * sizeof(Record); at += 64) __builtin_prefetch(line + at);
        return block;
    }

    template <bool kMarked>
    void fill(std::uint32_t block, rte_mbuf** to, unsigned count) {
        // Copies: the compiler must think that a byte written into a frame could be one of the members.
        const std::uint32_t first = block * kBlock;
        const Record* const records = traffic_.records.data() + first;
        const Arrival arrival = arrival_;
        auto directions = (static_cast<std::uint32_t>(random_.next() >> 32) & direction_mask_) | direction_fixed_;
        for (unsigned k = 0; k < count; ++k, directions >>= 1) {
            const auto [index, connection] = records[k];
            const std::uint32_t direction = directions & 1;
            // By arithmetic, not by a branch that would be wrong every other time.
            const std::uint32_t reply = 0U - direction;
            const std::uint32_t source = (client_low(index) & ~reply) | (backend_low_[connection.backend] & reply);
            const std::uint32_t destination = (kVipLow & ~reply) | (snat_low_[connection.snat] & reply);
            const std::uint32_t ports =
                (client_port_be(index) & ~reply) | (std::uint32_t{connection.snat_port_be} << 16 & reply);
            // The direction goes into the mark's highest bit.
            writer_.template write<kMarked>(arrival.into(to[k]), direction, source, destination, ports, flag::kAck,
                                            kMarked ? (first + k) | direction << 31 : 0);
        }
    }

    FrameWriter<kIp, kProtocol> writer_;
    Arrival arrival_;
    Random random_;
    RandomTraffic traffic_;
    rte_mempool* pool_;
    std::uint32_t direction_mask_;
    std::uint32_t direction_fixed_;
    std::array<std::uint32_t, kMostBurst / kBlock> blocks_{};
    std::array<std::uint32_t, 256> backend_low_ = low_table(backend_low);
    std::array<std::uint32_t, 256> snat_low_ = low_table(snat_low);
};

std::string text_of(std::span<const std::uint8_t> bytes) {
    std::string text;
    for (const std::uint8_t byte : bytes) {
        char digits[4];
        std::snprintf(digits, sizeof digits, "%02x ", byte);
        text += digits;
    }
    return text;
}

template <int kIp, int kProtocol>
class WireOf final : public Wire {
    using At = Layout<kIp, kProtocol>;

  public:
    std::uint32_t frame_length() const override { return At::kLength; }

    std::unique_ptr<RandomSource> random_source(Port port, const RandomTraffic& traffic) const override {
        return std::make_unique<RandomSourceOf<kIp, kProtocol>>(port, traffic);
    }

    bool write(Port port, std::uint16_t queue, const Step* steps, rte_mbuf** mbufs,
               std::uint16_t count) const override {
        if (rte_mempool_get_bulk(buffers(queue), reinterpret_cast<void**>(mbufs), count) != 0) return false;
        const Arrival arrival(port, At::kLength, kPacketType<kIp, kProtocol>, true);
        for (unsigned k = 0; k < count; ++k) {
            const Step& step = steps[k];
            std::uint8_t* frame = arrival.into(mbufs[k]);
            if (step.direction == kRequest) {
                writer_[port].template write<true>(frame, kRequest, step.client_low, kVipLow, step.client_port_be,
                                                   step.flags, step.mark);
            } else {
                writer_[port].template write<true>(
                    frame, kReply, backend_low(step.connection.backend), snat_low(step.connection.snat),
                    std::uint32_t{step.connection.snat_port_be} << 16, step.flags, step.mark);
            }
        }
        return true;
    }

    void read(rte_mbuf* const* mbufs, std::uint16_t count, Seen* seen) const override {
        for (unsigned k = 0; k < count; ++k) {
            const auto* frame = rte_pktmbuf_mtod(mbufs[k], const std::uint8_t*);
            seen[k] = {packet::load_raw32(frame + At::kMark),        packet::load_raw32(frame + At::kSource),
                       packet::load_raw32(frame + At::kDestination), packet::load_raw16(frame + At::kL4),
                       packet::load_raw16(frame + At::kL4 + 2),      At::kTcp ? frame[At::kFlags] : std::uint8_t{0}};
        }
    }

    void swap(rte_mbuf* const* mbufs, std::uint16_t count) const override {
        constexpr std::size_t kBytes = At::kV4 ? 4 : 16;
        constexpr std::size_t kFrom = At::kL3 + (At::kV4 ? 12 : 8);
        const auto exchange = [](std::uint8_t* a, std::uint8_t* b, auto size) {
            std::array<std::uint8_t, decltype(size)::value> kept;
            std::memcpy(kept.data(), a, size);
            std::memcpy(a, b, size);
            std::memcpy(b, kept.data(), size);
        };
        for (unsigned k = 0; k < count; ++k) {
            auto* frame = rte_pktmbuf_mtod(mbufs[k], std::uint8_t*);
            exchange(frame, frame + 6, std::integral_constant<std::size_t, 6>{});
            exchange(frame + kFrom, frame + kFrom + kBytes, std::integral_constant<std::size_t, kBytes>{});
            exchange(frame + At::kL4, frame + At::kL4 + 2, std::integral_constant<std::size_t, 2>{});
        }
    }

    std::string check(Port port, std::span<const std::uint8_t> frame, std::uint32_t index, Connection connection,
                      Direction direction) const override {
        if (frame.size() != At::kLength) return "length " + std::to_string(frame.size());
        // What must have come out: the pattern of the other side's packet, with our MACs and one hop less.
        std::array<std::uint8_t, 128> wanted{};
        const std::uint8_t* mark = frame.data() + At::kMark;
        writer_[kClientPort].template write<true>(wanted.data(), kRequest, client_low(index), kVipLow,
                                                  client_port_be(index), flag::kAck, packet::load_raw32(mark));
        const Port out = direction == kRequest ? kNodePort : kClientPort;
        if (port != out) return "left through port " + std::to_string(port);
        const packet::MacAddress to = direction == kRequest ? node_mac(connection.backend) : kRouterMac;
        std::memcpy(wanted.data(), to.data(), 6);
        std::memcpy(wanted.data() + 6, kPortMac[out].data(), 6);
        wanted[At::kTtl] = 63;
        const bool request = direction == kRequest;
        put_address(wanted.data() + At::kSource, request ? kNodePrefix : kVipPrefix,
                    request ? snat_low(connection.snat) : kVipLow);
        put_address(wanted.data() + At::kDestination, request ? kNodePrefix : kClientPrefix,
                    request ? backend_low(connection.backend) : client_low(index));
        packet::store_raw16(wanted.data() + At::kL4,
                            request ? connection.snat_port_be : packet::swap_if_little(vip_port(kProtocol)));
        packet::store_raw16(wanted.data() + At::kL4 + 2,
                            request ? packet::swap_if_little(node_port(kProtocol)) : client_port_be(index));
        if constexpr (At::kV4) {
            if (sum16(frame.data() + At::kL3, 20) != 0xffff) return "IPv4 checksum wrong: " + text_of(frame);
            std::memcpy(wanted.data() + At::kIpChecksum, frame.data() + At::kIpChecksum, 2);
        }
        constexpr std::size_t kAddresses = At::kL3 + (At::kV4 ? 12 : 8);
        std::uint64_t pseudo = sum16(frame.data() + kAddresses, At::kV4 ? 8 : 32);
        pseudo += packet::swap_if_little(static_cast<std::uint16_t>(kProtocol));
        pseudo += packet::swap_if_little(static_cast<std::uint16_t>(At::kL4Length));
        if (sum16(frame.data() + At::kL4, At::kL4Length, pseudo) != 0xffff) {
            return "TCP or UDP checksum wrong: " + text_of(frame);
        }
        if (!At::kTcp && packet::load_raw16(frame.data() + At::kL4Checksum) == 0) return "UDP checksum 0";
        std::memcpy(wanted.data() + At::kL4Checksum, frame.data() + At::kL4Checksum, 2);
        if (std::memcmp(wanted.data(), frame.data(), At::kLength) == 0) return {};
        return "is      " + text_of(frame) + "\nmust be " + text_of(std::span(wanted).first(At::kLength));
    }

  private:
    static void put_address(std::uint8_t* low_at, const Prefix& prefix, std::uint32_t low_be) {
        if constexpr (!At::kV4) std::memcpy(low_at - prefix.size(), prefix.data(), prefix.size());
        std::memcpy(low_at, &low_be, 4);
    }

    std::array<FrameWriter<kIp, kProtocol>, kPorts> writer_{FrameWriter<kIp, kProtocol>(kClientPort),
                                                            FrameWriter<kIp, kProtocol>(kNodePort)};
};

}  // namespace

const Wire& wire_of(int ip, int protocol) {
    static const WireOf<4, 6> v4_tcp;
    static const WireOf<4, 17> v4_udp;
    static const WireOf<6, 6> v6_tcp;
    static const WireOf<6, 17> v6_udp;
    if (ip == 4) return protocol == 6 ? static_cast<const Wire&>(v4_tcp) : v4_udp;
    return protocol == 6 ? static_cast<const Wire&>(v6_tcp) : v6_udp;
}

}  // namespace guideway::bench
