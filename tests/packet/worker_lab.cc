#include "tests/packet/worker_lab.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <stdexcept>

#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_eth_ring.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

namespace guideway::worker::testing {
namespace {

constexpr std::uint32_t kMaxWorkersHere = 4;
constexpr std::uint16_t kPorts = 2;

[[noreturn]] void fail(const std::string& what) { throw std::runtime_error("worker lab: " + what); }

rte_ring* make_ring(const std::string& name, std::uint32_t size) {
    rte_ring* ring = rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ);
    if (ring == nullptr) fail("ring " + name);
    return ring;
}

/// DPDK and the ring-backed ports: once a process, used by one Lab after the other.
struct Fabric {
    std::array<std::array<rte_ring*, kMaxWorkersHere>, kPorts> wire_in{};
    std::array<std::array<rte_ring*, kMaxWorkersHere>, kPorts> wire_out{};
    std::array<std::uint16_t, kPorts> ethdev{};
    rte_mempool* pool = nullptr;
    unsigned labs = 0;

    Fabric() {
        std::array<std::string, 8> words{"worker_lab", "--no-huge", "--no-shconf", "--no-telemetry",
                                         "--no-pci",   "-m",        "128",         "--log-level=error"};
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) fail("rte_eal_init");
        pool = rte_pktmbuf_pool_create("lab", 4095, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
        if (pool == nullptr) fail("packet buffers");
        for (std::uint16_t port = 0; port < kPorts; ++port) open(port);
    }

    void open(std::uint16_t port) {
        for (std::uint32_t worker = 0; worker < kMaxWorkersHere; ++worker) {
            const std::string suffix = std::to_string(port) + "_" + std::to_string(worker);
            wire_in[port][worker] = make_ring("in" + suffix, 256);
            wire_out[port][worker] = make_ring("out" + suffix, 256);
        }
        const int id = rte_eth_from_rings(("lab" + std::to_string(port)).c_str(), wire_in[port].data(), kMaxWorkersHere,
                                          wire_out[port].data(), kMaxWorkersHere, 0);
        if (id < 0) fail("rte_eth_from_rings");
        ethdev[port] = static_cast<std::uint16_t>(id);
        const rte_eth_conf configuration{};
        if (rte_eth_dev_configure(ethdev[port], kMaxWorkersHere, kMaxWorkersHere, &configuration) != 0)
            fail("configure");
        for (std::uint16_t queue = 0; queue < kMaxWorkersHere; ++queue) {
            if (rte_eth_rx_queue_setup(ethdev[port], queue, 256, 0, nullptr, pool) != 0) fail("receive queue");
            if (rte_eth_tx_queue_setup(ethdev[port], queue, 256, 0, nullptr) != 0) fail("transmit queue");
        }
        if (rte_eth_dev_start(ethdev[port]) != 0) fail("start");
    }
};

Fabric& fabric() {
    static Fabric instance;
    return instance;
}

rte_mbuf* to_mbuf(const Frame& frame, const Split& split = {}) {
    rte_mbuf* head = nullptr;
    std::size_t done = 0;
    std::size_t buffer = 0;
    do {
        rte_mbuf* segment = rte_pktmbuf_alloc(fabric().pool);
        if (segment == nullptr) fail("no packet buffer left");
        if (head == nullptr) segment->data_off = split.headroom;
        auto part =
            static_cast<std::uint16_t>(std::min<std::size_t>(frame.size() - done, rte_pktmbuf_tailroom(segment)));
        if (buffer < split.sizes.size()) {
            part = std::min(part, split.sizes[buffer++]);
            if (split.exact) segment->data_off = static_cast<std::uint16_t>(segment->buf_len - part);
        }
        auto* bytes = rte_pktmbuf_append(segment, part);
        if (part > 0) std::memcpy(bytes, frame.data() + done, part);
        done += part;
        if (head == nullptr) {
            head = segment;
        } else if (rte_pktmbuf_chain(head, segment) != 0) {
            fail("frame too long for a chain of packet buffers");
        }
    } while (done < frame.size());
    return head;
}

void drain(rte_ring* ring, std::vector<Frame>* frames, std::uint16_t* port = nullptr) {
    void* object = nullptr;
    while (rte_ring_sc_dequeue(ring, &object) == 0) {
        auto* mbuf = static_cast<rte_mbuf*>(object);
        Frame frame;
        unsigned segments = 0;
        for (const rte_mbuf* segment = mbuf; segment != nullptr; segment = segment->next) {
            const auto* bytes = rte_pktmbuf_mtod(segment, const std::uint8_t*);
            frame.insert(frame.end(), bytes, bytes + rte_pktmbuf_data_len(segment));
            ++segments;
        }
        EXPECT_EQ(segments, mbuf->nb_segs);
        EXPECT_EQ(frame.size(), rte_pktmbuf_pkt_len(mbuf));
        if (frames != nullptr) frames->push_back(std::move(frame));
        if (port != nullptr) *port = mbuf->port;
        rte_pktmbuf_free(mbuf);
    }
}

std::string text(const MacAddress& mac) {
    char buffer[24];
    std::snprintf(buffer, sizeof buffer, "%02x:%02x:%02x:%02x:%02x:%02x", mac[0], mac[1], mac[2], mac[3], mac[4],
                  mac[5]);
    return buffer;
}

MacAddress mac_at(const Frame& frame, std::size_t offset) {
    MacAddress mac{};
    std::memcpy(mac.data(), frame.data() + offset, mac.size());
    return mac;
}

std::string flags_text(std::uint8_t flags) {
    std::string result;
    if ((flags & packet::tcp::kSyn) != 0) result += 'S';
    if ((flags & packet::tcp::kFin) != 0) result += 'F';
    if ((flags & packet::tcp::kRst) != 0) result += 'R';
    if ((flags & packet::tcp::kAck) != 0) result += 'A';
    return result;
}

std::string with_port(const IpAddress& address, std::uint16_t port_be) {
    return address.to_string() + "," + std::to_string(packet::swap_if_little(port_be));
}

std::vector<std::byte> table_memory(std::size_t bytes) { return std::vector<std::byte>(bytes + 64); }

std::span<std::byte> aligned(std::vector<std::byte>& memory) {
    const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
    return std::span(memory).subspan((64 - address % 64) % 64);
}

}  // namespace

packet::ParsedPacket parsed(const Frame& frame) {
    return packet::parse(frame.data(), static_cast<std::uint32_t>(frame.size()));
}

std::string summary(const Frame& frame) {
    if (frame.empty()) return "nothing";
    const packet::ParsedPacket p = parsed(frame);
    if (!p.is_flow()) return packet::testing::describe(frame);
    std::string result = p.protocol == 6 ? "tcp " : p.protocol == 17 ? "udp " : "sctp ";
    result += with_port(p.source(), p.has_v4 ? p.v4.source_port : p.v6.source_port) + " > ";
    result += with_port(p.destination(), p.has_v4 ? p.v4.destination_port : p.v6.destination_port);
    if (p.protocol == 6) result += " " + flags_text(p.tcp_flags);
    result += " ttl " + std::to_string(p.ttl) + " " + text(mac_at(frame, 6)) + " > " + text(mac_at(frame, 0));
    if (const std::string wrong = packet::testing::faults(frame); !wrong.empty()) result += " WRONG: " + wrong;
    return result;
}

struct Lab::Place {
    FlowQuestion question;
    std::vector<std::byte> index_v4, index_v6, entries_v4, entries_v6;
    std::unique_ptr<flow::FlowTableV4> flows_v4;
    std::unique_ptr<flow::FlowTableV6> flows_v6;
    std::vector<observe::SlotCounters> service_lines, backend_lines;
    std::unique_ptr<observe::CounterBlock> counters;
    std::unique_ptr<ResolveQueue> resolve = std::make_unique<ResolveQueue>();
    std::unique_ptr<RouterQueue> routers = std::make_unique<RouterQueue>();
    std::unique_ptr<ClaimQueue> claims = std::make_unique<ClaimQueue>();
    rte_ring* to_kernel = nullptr;
    rte_ring* from_kernel = nullptr;
    std::vector<rte_ring*> handover_out;
    std::unique_ptr<Worker> worker;
};

Lab::Lab(LabSettings settings) : settings_(settings), ownership_(settings.workers) {
    if (settings_.rss) {
        std::string error;
        const auto& ports = settings_.worker;
        const auto v4 =
            flow::RssMapV4::make(*settings_.rss, settings_.workers, ports.snat_port_first, ports.snat_port_last, error);
        const auto v6 =
            flow::RssMapV6::make(*settings_.rss, settings_.workers, ports.snat_port_first, ports.snat_port_last, error);
        if (v4 == nullptr || v6 == nullptr) fail(error);
        ownership_.use_rss(v4, {6, 17});
        ownership_.use_rss(v6, {6, 17});
    }
    Fabric& f = fabric();
    ++f.labs;
    const CapacitySettings& capacity = settings_.worker.capacity;
    publisher_ = std::make_unique<snapshot::Publisher>(settings_.workers);
    std::vector<IpAddress> snat{ip(kSnat)};
    if (settings_.snat_v6) snat.push_back(ip(kSnatV6));
    builder_ = std::make_unique<snapshot::Builder>(snapshot::BuilderLimits{capacity.services, capacity.backends}, snat,
                                                   std::vector<std::string>{"client", "node"});

    std::vector<const observe::CounterBlock*> blocks;
    const std::string lab = "l" + std::to_string(f.labs) + "_";
    for (std::uint32_t i = 0; i < settings_.workers; ++i) {
        auto place = std::make_unique<Place>();
        const EntryMemory given = settings_.entries.empty() ? EntryMemory{} : settings_.entries.at(i);
        const auto table = [&]<typename Table>(std::unique_ptr<Table>& flows, std::vector<std::byte>& index,
                                               std::vector<std::byte>& own, std::span<std::byte> entries,
                                               std::uint32_t connections, std::uint64_t seed) {
            index = table_memory(Table::index_bytes(connections));
            if (entries.empty()) {
                own = table_memory(Table::entry_bytes(connections));
                entries = aligned(own);
            }
            flows = std::make_unique<Table>(entries, aligned(index), flow::FlowLimits{connections, capacity.half_open},
                                            seed);
        };
        table(place->flows_v4, place->index_v4, place->entries_v4, given.v4, capacity.flows_ipv4, 42 + i);
        table(place->flows_v6, place->index_v6, place->entries_v6, given.v6, capacity.flows_ipv6, 43 + i);
        place->service_lines = std::vector<observe::SlotCounters>(capacity.services);
        place->backend_lines = std::vector<observe::SlotCounters>(capacity.backends + 1);
        place->counters = std::make_unique<observe::CounterBlock>(place->service_lines, place->backend_lines);
        place->to_kernel = make_ring(lab + "tk" + std::to_string(i), settings_.kernel_ring);
        place->from_kernel = i == 0 ? make_ring(lab + "fk", 64) : nullptr;
        for (std::uint32_t peer = 0; peer < settings_.workers; ++peer) {
            const std::string name = lab + "h" + std::to_string(i) + "_" + std::to_string(peer);
            place->handover_out.push_back(peer == i ? nullptr : make_ring(name, settings_.handover_ring));
        }
        blocks.push_back(place->counters.get());
        places_.push_back(std::move(place));
    }
    book_ = std::make_unique<CounterBook>(blocks);
    affinity_ = settings_.affinity;
    if (affinity_.empty()) {
        constexpr std::uint32_t kClients = 64;  // a worker
        const std::size_t bytes = flow::AffinityTable::bytes_for(kClients);
        affinity_memory_ = table_memory(bytes * settings_.workers);
        own_affinity_.resize(settings_.workers);
        for (std::size_t i = 0; i < settings_.workers; ++i)
            own_affinity_[i].attach(aligned(affinity_memory_).subspan(i * bytes, bytes), 17);
        affinity_ = own_affinity_;
    }
    for (std::uint32_t i = 0; i < settings_.workers; ++i) {
        Place& place = *places_[i];
        Plumbing plumbing;
        plumbing.worker = i;
        plumbing.worker_count = settings_.workers;
        for (std::uint16_t port = 0; port < kPorts; ++port) {
            WorkerPort entry;
            entry.ethdev = f.ethdev[port];
            entry.rx_queue = entry.tx_queue = static_cast<std::uint16_t>(i);
            entry.unfinished_checksums_possible = settings_.unfinished_checksums;
            entry.source_check = settings_.source_check;
            entry.replies_to_last_hop = (settings_.last_hop_ports >> port & 1U) != 0;
            entry.mac = port == kClientPort ? kPortMac0 : kPortMac1;
            entry.one_buffer_only = port == kNodePort && settings_.one_buffer_only;
            entry.side = port == kClientPort ? snapshot::Side::clients : snapshot::Side::nodes;
            plumbing.ports.push_back(entry);
        }
        for (const WorkerPort& vlan : settings_.vlans) {
            WorkerPort entry = plumbing.ports[vlan.lies_on];
            entry.rx_queue = kNoQueue;
            entry.tags = vlan.tags;
            entry.lies_on = vlan.lies_on;
            entry.replies_to_last_hop = vlan.replies_to_last_hop;
            plumbing.ports.push_back(entry);
        }
        if (settings_.rss) plumbing.ownership = ownership_;
        plumbing.to_kernel = place.to_kernel;
        plumbing.from_kernel = place.from_kernel;
        plumbing.handover_out = place.handover_out;
        for (std::uint32_t peer = 0; peer < settings_.workers; ++peer) {
            plumbing.handover_in.push_back(peer == i ? nullptr : places_[peer]->handover_out[i]);
        }
        plumbing.question = &place.question;
        plumbing.resolve = place.resolve.get();
        plumbing.routers = place.routers.get();
        plumbing.claims = place.claims.get();
        plumbing.pool = f.pool;
        plumbing.settings = settings_.worker;
        plumbing.settings.sides_apart = settings_.sides_apart;
        plumbing.relocations = &relocations_;
        plumbing.affinity = affinity_;
        place.worker = std::make_unique<Worker>(std::move(plumbing), *publisher_, *place.flows_v4, *place.flows_v6,
                                                *place.counters);
    }
    apply({});

    routing_.epoch = 1;
    routing_.apart = settings_.sides_apart;
    routing_.ports = {{kPortMac0, 1500, true, {}, snapshot::Side::clients},
                      {kPortMac1, 1500, true, {}, snapshot::Side::nodes}};
    for (const WorkerPort& vlan : settings_.vlans) routing_.ports.push_back(routing_.ports[vlan.lies_on]);
    const auto via = [&](const char* prefix, std::uint16_t port, const char* gateway) {
        snapshot::Route route;
        route.prefix = IpPrefix::parse(prefix).value();
        route.port = port;
        route.on_link = gateway == nullptr;
        if (gateway != nullptr) route.gateway = ip(gateway);
        routing_.routes.push_back(route);
    };
    via("198.51.100.0/24", kClientPort, "192.0.2.254");
    via("2001:db8:c::/48", kClientPort, "fe80::1");
    via("10.0.2.0/24", kNodePort, nullptr);
    via("2001:db8:2::/64", kNodePort, nullptr);
    routing_.finish();
    learn_neighbour(kClientPort, "192.0.2.254", kRouterMac);
    learn_neighbour(kClientPort, "fe80::1", kRouterMac);
    for (const std::uint8_t node : {std::uint8_t{11}, std::uint8_t{12}, std::uint8_t{13}}) {
        learn_neighbour(kNodePort, "10.0.2." + std::to_string(node), {0x02, 0, 0, 0, 1, node});
        learn_neighbour(kNodePort, "2001:db8:2::" + std::to_string(node), {0x02, 0, 0, 0, 1, node});
    }
    publish_routing();
}

Lab::~Lab() {
    for (std::uint32_t i = 0; i < places_.size(); ++i) {
        // I4: what came in or was made here is somewhere, once.
        const observe::WorkerTotals& t = totals(i);
        std::uint64_t out = t.tx_packets.read() + t.to_kernel.read() + t.handed_over.read() + t.pending.read();
        for (std::size_t reason = 0; reason < observe::kDropReasonCount; ++reason) {
            out += places_[i]->counters->dropped(static_cast<observe::DropReason>(reason));
        }
        const std::uint64_t in =
            t.rx_packets.read() + t.from_kernel.read() + t.taken_over.read() + t.answers.read() + t.parts_made.read();
        EXPECT_EQ(in, out) << "worker " << i << ": a packet ended nowhere or twice";
        EXPECT_EQ(places_[i]->counters->dropped(observe::DropReason::none), 0U);
        EXPECT_TRUE(places_[i]->flows_v4->consistent());
        EXPECT_TRUE(places_[i]->flows_v6->consistent());
    }
    Fabric& f = fabric();
    for (std::uint16_t port = 0; port < kPorts; ++port) {
        for (std::uint32_t worker = 0; worker < kMaxWorkersHere; ++worker) {
            drain(f.wire_in[port][worker], nullptr);
            drain(f.wire_out[port][worker], nullptr);
        }
    }
    for (const auto& place : places_) {
        place->worker.reset();
        drain(place->to_kernel, nullptr);
        rte_ring_free(place->to_kernel);
        if (place->from_kernel != nullptr) {
            drain(place->from_kernel, nullptr);
            rte_ring_free(place->from_kernel);
        }
        for (rte_ring* ring : place->handover_out) {
            if (ring == nullptr) continue;
            drain(ring, nullptr);
            rte_ring_free(ring);
        }
    }
    EXPECT_EQ(rte_mempool_in_use_count(f.pool), 0U) << "packet buffers leaked";
}

contract::ForwardingState Lab::web() const {
    contract::ForwardingState state;
    state.generation = 1;
    for (const bool v6 : {false, true}) {
        contract::BackendSet set;
        set.name = v6 ? "nodes-ipv6" : "nodes-ipv4";
        set.family = v6 ? IpFamily::ipv6 : IpFamily::ipv4;
        for (const int node : {11, 12, 13}) {
            const std::string address = (v6 ? "2001:db8:2::" : "10.0.2.") + std::to_string(node);
            set.backends.push_back({"node-" + std::to_string(node), ip(address), 0, 1});
        }
        state.backend_sets.push_back(set);
        const auto add = [&](contract::Protocol protocol, std::uint16_t port, std::uint16_t node_port) {
            state.services.push_back({"default/web", ip(v6 ? kVipV6 : kVip), protocol, port, set.name, node_port, 0});
        };
        add(contract::Protocol::tcp, 80, 30080);
        add(contract::Protocol::udp, 53, 30053);
        add(contract::Protocol::sctp, 9000, 39000);
    }
    return state;
}

void Lab::apply(const contract::ForwardingState& state) {
    auto result = builder_->build(state);
    if (!result) fail(result.faults.front().field + ": " + result.faults.front().message);
    book_->before_publish(*result.snapshot);
    publisher_->publish(std::move(result.snapshot));
}

template <typename Take>
std::vector<Outcome> Lab::take_over(Take&& take) {
    std::vector<Tables> tables;
    for (const auto& place : places_) tables.push_back({place->flows_v4.get(), place->flows_v6.get()});
    const Conditions conditions(state(), true, flow::IdleLimits(table_timeouts(settings_.worker.timeouts)),
                                static_cast<std::uint32_t>(now_ms / 1000), ownership_);
    std::vector<Outcome> outcomes;
    for (std::uint32_t worker = 0; worker < settings_.workers; ++worker)
        outcomes.push_back(take(worker, tables[worker], conditions));
    move_home(tables, conditions, outcomes);
    std::vector<std::vector<Relocation>> lists;
    for (const Outcome& outcome : outcomes) lists.push_back(outcome.relocations);
    relocations_ = Relocations(lists);
    return outcomes;
}

std::vector<Outcome> Lab::adopt_connections() {
    return take_over([](std::uint32_t worker, Tables tables, const Conditions& conditions) {
        return adopt(worker, tables, conditions);
    });
}

std::vector<Outcome> Lab::import_connections(std::span<const OldEntries> old) {
    return take_over([&](std::uint32_t worker, Tables tables, const Conditions& conditions) {
        return import(worker, tables, old, conditions);
    });
}

void Lab::publish_routing() {
    routing_.finish();
    publisher_->publish(std::make_shared<const snapshot::RoutingSnapshot>(routing_));
}

void Lab::forget_neighbour(std::uint16_t port, std::string_view address) {
    const auto found = routing_.neighbours.find({port, ip(address)});
    if (found == routing_.neighbours.end()) fail("no such neighbour");
    routing_.next_hops[found->second].usable = false;
    routing_.neighbours.erase(found);
    ++routing_.epoch;
}

void Lab::learn_neighbour(std::uint16_t port, std::string_view address, const MacAddress& mac) {
    const auto index = static_cast<std::uint16_t>(routing_.next_hops.size());
    routing_.next_hops.push_back({mac, routing_.ports.at(port).mac, static_cast<std::uint8_t>(port), true, 0});
    routing_.neighbours[{port, ip(address)}] = index;
}

void Lab::inject(std::uint16_t port, const Frame& frame, std::uint32_t worker) {
    if (settings_.rss && settings_.rss_hash_told) {
        inject_with_hash(port, frame, worker, rss_hash(frame));
    } else if (rte_ring_sp_enqueue(fabric().wire_in[port][worker], to_mbuf(frame)) != 0) {
        fail("wire full");
    }
}

void Lab::inject_split(std::uint16_t port, const Frame& frame, const Split& split, std::uint32_t worker) {
    if (rte_ring_sp_enqueue(fabric().wire_in[port][worker], to_mbuf(frame, split)) != 0) fail("wire full");
}

void Lab::inject_stripped(std::uint16_t port, const Frame& untagged, std::uint16_t tci, std::uint16_t outer_tci) {
    rte_mbuf* mbuf = to_mbuf(untagged);
    mbuf->vlan_tci = tci;
    mbuf->ol_flags |= RTE_MBUF_F_RX_VLAN | RTE_MBUF_F_RX_VLAN_STRIPPED;
    if (outer_tci != 0) {
        mbuf->vlan_tci_outer = outer_tci;
        mbuf->ol_flags |= RTE_MBUF_F_RX_QINQ | RTE_MBUF_F_RX_QINQ_STRIPPED;
    }
    if (rte_ring_sp_enqueue(fabric().wire_in[port][0], mbuf) != 0) fail("wire full");
}

void Lab::inject_with_hash(std::uint16_t port, const Frame& frame, std::uint32_t worker, std::uint32_t hash) {
    rte_mbuf* mbuf = to_mbuf(frame);
    mbuf->hash.rss = hash;
    mbuf->ol_flags |= RTE_MBUF_F_RX_RSS_HASH;
    if (rte_ring_sp_enqueue(fabric().wire_in[port][worker], mbuf) != 0) fail("wire full");
}

/// The slow way, and from the frame alone: independent of what the workers compute.
std::uint32_t Lab::rss_hash(const Frame& frame) const {
    const packet::ParsedPacket p = parsed(frame);
    return p.has_v4 ? flow::toeplitz(p.v4, settings_.rss->key) : flow::toeplitz(p.v6, settings_.rss->key);
}

std::uint32_t Lab::rss_worker(const Frame& frame) const {
    const flow::RssLayout& nic = settings_.rss.value();
    return nic.worker_of_queue[nic.reta[rss_hash(frame) & (nic.reta.size() - 1)]];
}

std::uint32_t Lab::inject_by_rss(std::uint16_t port, const Frame& frame) {
    const std::uint32_t worker = rss_worker(frame);
    inject(port, frame, worker);
    return worker;
}

void Lab::inject_from_kernel(std::uint16_t port, const Frame& frame) {
    rte_mbuf* mbuf = to_mbuf(frame);
    mbuf->port = port;
    if (rte_ring_sp_enqueue(places_[0]->from_kernel, mbuf) != 0) fail("kernel ring full");
}

void Lab::inject_handed_over(const Frame& frame, std::uint16_t port, std::uint32_t from, std::uint32_t to) {
    rte_mbuf* mbuf = to_mbuf(frame);
    mbuf->port = port;
    if (rte_ring_sp_enqueue(places_[from]->handover_out[to], mbuf) != 0) fail("handover ring full");
}

void Lab::poll(std::uint32_t worker) { places_[worker]->worker->poll_once(now_ms); }

void Lab::poll_all() {
    for (std::uint32_t i = 0; i < places_.size(); ++i) poll(i);
}

std::vector<Frame> Lab::sent(std::uint16_t port) {
    std::vector<Frame> frames;
    for (rte_ring* ring : fabric().wire_out[port]) drain(ring, &frames);
    return frames;
}

std::vector<Frame> Lab::to_kernel(std::uint16_t* port) {
    std::vector<Frame> frames;
    for (const auto& place : places_) drain(place->to_kernel, &frames, port);
    return frames;
}

Frame Lab::pass(std::uint16_t port, const Frame& frame, std::uint32_t worker) {
    inject(port, frame, worker);
    return poll_for_one();
}

Frame Lab::pass_split(std::uint16_t port, const Frame& frame, const Split& split, std::uint32_t worker) {
    inject_split(port, frame, split, worker);
    return poll_for_one();
}

Frame Lab::poll_for_one() {
    poll_all();
    poll_all();
    std::vector<Frame> frames = sent(kClientPort);
    for (Frame& other : sent(kNodePort)) frames.push_back(std::move(other));
    return frames.size() == 1 ? frames.front() : Frame{};
}

void Lab::wait_ms(std::uint64_t milliseconds) {
    constexpr std::uint64_t kStep = 50;
    for (std::uint64_t gone = 0; gone < milliseconds; gone += kStep) {
        now_ms += std::min(kStep, milliseconds - gone);
        poll_all();
    }
}

std::uint64_t Lab::dropped(observe::DropReason reason) const {
    std::uint64_t sum = 0;
    for (const auto& place : places_) sum += place->counters->dropped(reason);
    return sum;
}

std::uint64_t Lab::dropped() const {
    std::uint64_t sum = 0;
    for (std::size_t reason = 0; reason < observe::kDropReasonCount; ++reason) {
        sum += dropped(static_cast<observe::DropReason>(reason));
    }
    return sum - dropped(observe::DropReason::answered) - dropped(observe::DropReason::refused);
}

const observe::WorkerTotals& Lab::totals(std::uint32_t worker) const { return places_[worker]->counters->totals(); }
contract::Counters Lab::counters() const { return book_->collect(*publisher_->current_forwarding()); }
contract::Traffic Lab::vlan_traffic(std::uint16_t port) const { return book_->vlan_traffic(port); }
std::uint64_t Lab::refused_towards(const IpAddress& backend) const {
    std::uint64_t sum = 0;
    for (const snapshot::BackendLabel& label : state().backend_labels) {
        if (label.address != backend) continue;
        for (const auto& place : places_) sum += place->counters->backend(label.slot).refused_connections.read();
    }
    return sum;
}
ResolveQueue& Lab::resolve(std::uint32_t worker) { return *places_[worker]->resolve; }
RouterQueue& Lab::routers(std::uint32_t worker) { return *places_[worker]->routers; }
ClaimQueue& Lab::claims(std::uint32_t worker) { return *places_[worker]->claims; }
const snapshot::ForwardingSnapshot& Lab::state() const { return *publisher_->forwarding(); }

std::size_t Lab::connections() const {
    std::size_t sum = 0;
    for (const auto& place : places_) sum += place->flows_v4->size() + place->flows_v6->size();
    return sum;
}

std::optional<contract::FlowView> Lab::look_up(const contract::ExplainRequest& request, std::uint32_t worker) {
    static const std::array<std::string, 2> kPortNames{"client-side", "node-side"};
    FlowQuestion& question = places_[worker]->question;
    question.ask(tuple_of(request));
    EXPECT_FALSE(question.answered());
    poll(worker);
    EXPECT_TRUE(question.answered());
    if (!question.finding()) return std::nullopt;
    const flow::IdleLimits limits(table_timeouts(settings_.worker.timeouts));
    return view_of(*question.finding(), worker,
                   {state(), routing_, limits, static_cast<std::uint32_t>(now_ms / 1000), kPortNames});
}

Frame Lab::reply_to(const Frame& request, std::uint8_t tcp_flags) const {
    const packet::ParsedPacket p = parsed(request);
    const auto host = [](std::uint16_t port) { return packet::swap_if_little(port); };
    PacketBuilder builder;
    builder.ethernet(kPortMac1, mac_at(request, 0)).ip(p.destination().to_string(), p.source().to_string());
    const std::uint16_t from = host(p.has_v4 ? p.v4.destination_port : p.v6.destination_port);
    const std::uint16_t to = host(p.has_v4 ? p.v4.source_port : p.v6.source_port);
    if (p.protocol == 6) return builder.tcp(from, to, tcp_flags).payload(20).build();
    if (p.protocol == 17) return builder.udp(from, to).payload(20).build();
    return builder.sctp(from, to, 77).chunk(2).build();
}

Frame Lab::establish(std::uint16_t source_port) {
    using namespace packet;
    const Frame out = pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(source_port, 80, tcp::kSyn).build());
    if (out.empty()) return out;
    if (pass(kNodePort, reply_to(out)).empty()) return {};
    if (pass(kClientPort, PacketBuilder().ip(kClient, kVip).tcp(source_port, 80, tcp::kAck).build()).empty()) return {};
    return out;
}

}  // namespace guideway::worker::testing
