#include "tests/bench/flow/traffic.h"

#include <algorithm>
#include <array>
#include <utility>

#include <rte_cycles.h>
#include <rte_mbuf.h>

namespace guideway::bench {

std::uint16_t ScriptSource::receive(rte_mbuf** to, std::uint16_t most) {
    const auto count = static_cast<std::uint16_t>(std::min<std::size_t>(most, waiting()));
    if (count == 0 || !wire_.write(port_, queue_, steps_.data() + next_, to, count)) return 0;
    next_ += count;
    if (next_ == steps_.size()) {
        steps_.clear();
        next_ = 0;
    } else if (next_ >= 65536) {
        steps_.erase(steps_.begin(), steps_.begin() + static_cast<std::ptrdiff_t>(next_));
        next_ = 0;
    }
    return count;
}

void ReadSink::send(Port port, rte_mbuf** mbufs, std::uint16_t count) {
    std::array<Seen, kMostBurst> seen;
    for (std::uint16_t done = 0; done < count;) {
        const auto part = std::min<std::uint16_t>(kMostBurst, static_cast<std::uint16_t>(count - done));
        wire_.read(mbufs + done, part, seen.data());
        take_(port, seen.data(), part);
        done = static_cast<std::uint16_t>(done + part);
    }
    rte_pktmbuf_free_bulk(mbufs, count);
}

void CheckSink::send(Port port, rte_mbuf** mbufs, std::uint16_t count) {
    for (unsigned k = 0; k < count; ++k) {
        Seen seen{};
        wire_.read(mbufs + k, 1, &seen);
        if (spoil_a_packet && checked == 1000) *rte_pktmbuf_mtod_offset(mbufs[k], std::uint8_t*, 40) ^= 1;
        const std::uint32_t at = seen.mark & 0x7fffffff;
        const auto direction = static_cast<Direction>(seen.mark >> 31);
        ++checked;
        std::string fault;
        if (at >= traffic_.records.size()) {
            fault = "mark of no connection";
        } else {
            const auto [index, connection] = traffic_.records[at];
            fault = wire_.check(port, {rte_pktmbuf_mtod(mbufs[k], const std::uint8_t*), rte_pktmbuf_data_len(mbufs[k])},
                                index, connection, direction);
        }
        if (!fault.empty() && wrong.empty()) {
            wrong = std::string(direction == kRequest ? "request" : "reply") + " of connection " + std::to_string(at) +
                    ": " + fault;
        }
    }
    free_burst(mbufs, count);
}

std::uint64_t clock_ms() {
    static const std::uint64_t cycles_a_ms = rte_get_tsc_hz() / 1000;
    return rte_rdtsc() / cycles_a_ms;
}

Plugged::Plugged(std::uint16_t queue, Source* client_side, Source* node_side, Sink* sink) : queue_(queue) {
    nic(kClientPort, queue).source = client_side;
    nic(kNodePort, queue).source = node_side;
    nic(kClientPort, queue).sink = nic(kNodePort, queue).sink = sink;
}

Plugged::~Plugged() {
    for (const Port port : {kClientPort, kNodePort}) {
        nic(port, queue_).source = nullptr;
        nic(port, queue_).sink = nullptr;
    }
}

std::size_t establish(Appliance& appliance, const Wire& wire, int protocol, std::span<Connection> connections,
                      std::span<const std::uint32_t> indices) {
    constexpr std::size_t kAtOnce = 512;
    constexpr Connection kUnknown{0, 255, 255};
    const bool tcp = protocol == 6;
    ScriptSource clients(wire, kClientPort, 0), nodes(wire, kNodePort, 0);
    ReadSink sink(wire, [&](Port port, const Seen* seen, std::uint16_t count) {
        if (port != kNodePort) return;
        for (unsigned k = 0; k < count; ++k) connections[seen[k].mark] = seen[k].connection();
    });
    const Plugged plugged(0, &clients, &nodes, &sink);
    worker::Worker& worker = appliance.worker();
    const auto deliver = [&] {
        while (!clients.empty() || !nodes.empty()) worker.poll_once(clock_ms());
    };
    std::size_t opened = 0;
    for (std::size_t from = 0; from < connections.size(); from += kAtOnce) {
        const std::size_t to = std::min(from + kAtOnce, connections.size());
        const auto step = [&](std::size_t at, Direction direction, std::uint8_t flags) {
            const std::uint32_t index = indices.empty() ? static_cast<std::uint32_t>(at) : indices[at];
            return Step{client_low(index),
                        static_cast<std::uint32_t>(at),
                        client_port_be(index),
                        connections[at],
                        direction,
                        flags};
        };
        for (std::size_t at = from; at < to; ++at) {
            connections[at] = kUnknown;
            clients.add(step(at, kRequest, flag::kSyn));
        }
        deliver();
        for (std::size_t at = from; at < to; ++at) {
            if (connections[at] == kUnknown) continue;
            ++opened;
            nodes.add(step(at, kReply, flag::kSyn | flag::kAck));
        }
        deliver();
        for (std::size_t at = from; tcp && at < to; ++at) {
            if (connections[at] != kUnknown) clients.add(step(at, kRequest, flag::kAck));
        }
        deliver();
    }
    return opened;
}

LargeArray<Record> shuffled(std::span<const Connection> connections, std::span<const std::uint32_t> indices) {
    const std::size_t size = connections.size();
    LargeArray<Record> list((size + kBlock - 1) / kBlock * kBlock);
    const std::span<Record> records = list.span();
    std::uint64_t random = 0x9e3779b97f4a7c15ULL;
    const auto below = [&random](std::uint64_t limit) {
        random = random * 6364136223846793005ULL + 1442695040888963407ULL;
        return static_cast<std::size_t>(((random >> 32) * limit) >> 32);
    };
    for (std::size_t at = 0; at < records.size(); ++at) {
        const std::size_t from = at < size ? at : below(size);  // the last block is filled up with any
        records[at] = {indices.empty() ? static_cast<std::uint32_t>(from) : indices[from], connections[from]};
    }
    for (std::size_t at = records.size(); at > 1; --at) std::swap(records[at - 1], records[below(at)]);  // Fisher-Yates
    return list;
}

std::uint64_t check_packets(Appliance& appliance, const Wire& wire, const RandomTraffic& traffic) {
    constexpr std::uint64_t kWanted = 8192;
    const auto clients = wire.random_source(kClientPort, traffic);
    const auto nodes = wire.random_source(kNodePort, traffic);
    clients->marked = nodes->marked = true;
    CheckSink sink(wire, traffic);
    const auto drops = appliance.drops(traffic.queue);
    {
        const Plugged plugged(traffic.queue, clients.get(), nodes.get(), &sink);
        while (clients->given + nodes->given < kWanted) appliance.worker(traffic.queue).poll_once(clock_ms());
    }
    if (!sink.wrong.empty()) fail("a packet is not as it must be: " + sink.wrong);
    if (sink.checked != clients->given + nodes->given) {
        fail("of " + std::to_string(clients->given + nodes->given) + " packets " + std::to_string(sink.checked) +
             " came out; dropped: " + appliance.drops_since(drops, traffic.queue));
    }
    return sink.checked;
}

}  // namespace guideway::bench
