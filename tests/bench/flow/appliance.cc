#include "tests/bench/flow/appliance.h"

#include <atomic>
#include <new>

#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/worker/memory.h"
#include "tests/bench/flow/ports.h"

namespace guideway::bench {
namespace {

constexpr unsigned kHandoverRing = 2048;

rte_ring* make_ring() {
    static std::atomic<unsigned> count{0};
    rte_ring* ring = rte_ring_create(("ring" + std::to_string(count++)).c_str(), kHandoverRing, SOCKET_ID_ANY,
                                     RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr) fail("no memory for a ring");
    return ring;
}

void free_ring(rte_ring* ring) {
    void* mbuf = nullptr;
    while (ring != nullptr && rte_ring_sc_dequeue(ring, &mbuf) == 0) rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
    rte_ring_free(ring);
}

std::span<observe::SlotCounters> lines(const worker::Memory& memory, std::size_t count) {
    auto* first = reinterpret_cast<observe::SlotCounters*>(memory.bytes().data());
    for (std::size_t i = 0; i < count; ++i) new (first + i) observe::SlotCounters;
    return {first, count};
}

worker::Memory take(std::size_t bytes, const char* what) {
    worker::Memory memory(bytes);
    if (!memory.ok()) fail("no memory for " + std::string(what) + ": " + std::to_string(bytes >> 20) + " MiB asked");
    return memory;
}

}  // namespace

struct Appliance::Place {
    worker::Memory table_v4, table_v6, service_lines, backend_lines;
    std::unique_ptr<flow::FlowTableV4> flows_v4;
    std::unique_ptr<flow::FlowTableV6> flows_v6;
    std::unique_ptr<observe::CounterBlock> counters;
    worker::ResolveQueue resolve;
    std::vector<rte_ring*> handover_out;
    observe::StageCycles stages;
    std::unique_ptr<worker::Worker> worker;
};

Appliance::Appliance(const ApplianceSettings& settings)
    : publisher_(settings.workers), builder_({settings.services, settings.backends}, snat_addresses()) {
    worker::WorkerSettings common;
    if (!set_burst(common, settings.burst)) fail("this worker has no bursts of " + std::to_string(settings.burst));
    common.capacity = {settings.capacity_v4, settings.capacity_v6, settings.services, settings.backends};
    common.timeouts.tcp_established = settings.tcp_established_seconds;

    std::vector<const observe::CounterBlock*> blocks;
    for (std::uint32_t index = 0; index < settings.workers; ++index) {
        auto place = std::make_unique<Place>();
        place->table_v4 = take(flow::FlowTableV4::bytes_needed(settings.capacity_v4), "the IPv4 table");
        place->table_v6 = take(flow::FlowTableV6::bytes_needed(settings.capacity_v6), "the IPv6 table");
        place->service_lines = take(settings.services * sizeof(observe::SlotCounters), "counters");
        place->backend_lines = take((settings.backends + 1) * sizeof(observe::SlotCounters), "counters");
        place->flows_v4 =
            std::make_unique<flow::FlowTableV4>(place->table_v4.bytes(), settings.capacity_v4, 42 + index);
        place->flows_v6 =
            std::make_unique<flow::FlowTableV6>(place->table_v6.bytes(), settings.capacity_v6, 43 + index);
        place->counters = std::make_unique<observe::CounterBlock>(lines(place->service_lines, settings.services),
                                                                  lines(place->backend_lines, settings.backends + 1));
        for (std::uint32_t peer = 0; peer < settings.workers; ++peer) {
            place->handover_out.push_back(peer == index ? nullptr : make_ring());
        }
        blocks.push_back(place->counters.get());
        places_.push_back(std::move(place));
    }
    book_ = std::make_unique<worker::CounterBook>(std::move(blocks));
    publish(builder_.build(contract::ForwardingState{}).snapshot);
    apply(forwarding_state());
    publisher_.publish(std::make_shared<const snapshot::RoutingSnapshot>(routing()));

    for (std::uint32_t index = 0; index < settings.workers; ++index) {
        Place& place = *places_[index];
        worker::Plumbing plumbing;
        plumbing.worker = index;
        plumbing.worker_count = settings.workers;
        for (const Port port : {kClientPort, kNodePort}) {
            worker::WorkerPort entry;
            entry.ethdev = ethdev_of(port);
            entry.rx_queue = entry.tx_queue = static_cast<std::uint16_t>(index);
            entry.mac = kPortMac[port];
            plumbing.ports.push_back(entry);
        }
        plumbing.handover_out = place.handover_out;
        for (std::uint32_t peer = 0; peer < settings.workers; ++peer) {
            plumbing.handover_in.push_back(peer == index ? nullptr : places_[peer]->handover_out[index]);
        }
        plumbing.resolve = &place.resolve;
        plumbing.pool = buffers(static_cast<std::uint16_t>(index));
        plumbing.settings = common;
        if (settings.stages) plumbing.stages = &place.stages;
        place.worker = std::make_unique<worker::Worker>(std::move(plumbing), publisher_, *place.flows_v4,
                                                        *place.flows_v6, *place.counters);
    }
}

Appliance::~Appliance() {
    for (const auto& place : places_) place->worker.reset();
    for (const auto& place : places_) {
        for (rte_ring* ring : place->handover_out) free_ring(ring);
    }
}

const observe::StageCycles& Appliance::stages() const { return places_[0]->stages; }

worker::Worker& Appliance::worker(std::uint32_t index) { return *places_[index]->worker; }

void Appliance::go_online(std::uint32_t index) {
    publisher_.register_worker(index);
    publisher_.online(index);
}

void Appliance::go_offline(std::uint32_t index) {
    publisher_.offline(index);
    publisher_.unregister_worker(index);
}

void Appliance::apply(const contract::ForwardingState& state) {
    snapshot::BuildResult result = builder_.build(state);
    if (!result) fail("state refused: " + result.faults.front().field + ": " + result.faults.front().message);
    publish(std::move(result.snapshot));
}

void Appliance::publish(std::shared_ptr<const snapshot::ForwardingSnapshot> snapshot) {
    book_->before_publish(*snapshot);
    publisher_.publish(std::move(snapshot));
}

std::span<const std::byte> Appliance::table_memory(int ip, std::uint32_t index) const {
    return ip == 4 ? places_[index]->table_v4.bytes() : places_[index]->table_v6.bytes();
}

std::uint64_t Appliance::connections(int ip, std::uint32_t index) const {
    const observe::WorkerTotals& totals = places_[index]->counters->totals();
    return ip == 4 ? totals.flows_ipv4.read() : totals.flows_ipv6.read();
}

std::uint64_t Appliance::capacity(int ip, std::uint32_t index) const {
    const observe::WorkerTotals& totals = places_[index]->counters->totals();
    return ip == 4 ? totals.flow_capacity_ipv4.read() : totals.flow_capacity_ipv6.read();
}

Appliance::Ledger Appliance::ledger(std::uint32_t index) const {
    const observe::WorkerTotals& totals = places_[index]->counters->totals();
    Ledger result{totals.rx_packets.read(), totals.tx_packets.read(), 0, totals.handed_over.read()};
    for (const std::uint64_t count : drops(index)) result.dropped += count;
    return result;
}

std::vector<std::uint64_t> Appliance::drops(std::uint32_t index) const {
    std::vector<std::uint64_t> counts;
    for (std::size_t reason = 0; reason < observe::kDropReasonCount; ++reason) {
        counts.push_back(places_[index]->counters->dropped(static_cast<observe::DropReason>(reason)));
    }
    return counts;
}

std::string Appliance::drops_since(const std::vector<std::uint64_t>& before, std::uint32_t index) const {
    std::string text;
    const std::vector<std::uint64_t> now = drops(index);
    for (std::size_t reason = 0; reason < now.size(); ++reason) {
        if (now[reason] == before[reason]) continue;
        text += (text.empty() ? "" : ", ") + std::string(observe::to_string(static_cast<observe::DropReason>(reason))) +
                " " + std::to_string(now[reason] - before[reason]);
    }
    return text;
}

}  // namespace guideway::bench
