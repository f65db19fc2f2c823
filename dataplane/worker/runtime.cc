#include "dataplane/worker/runtime.h"

#include <atomic>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <functional>
#include <new>
#include <pthread.h>
#include <random>
#include <thread>
#include <utility>

#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_pause.h>
#include <rte_ring.h>

#include "dataplane/persist/flow_layout.h"
#include "dataplane/snapshot/builder.h"
#include "dataplane/worker/coarse_clock.h"
#include "dataplane/worker/counter_book.h"
#include "dataplane/worker/explain.h"
#include "dataplane/worker/flow_view.h"
#include "dataplane/worker/idle_rest.h"
#include "dataplane/worker/memory.h"
#include "dataplane/worker/worker.h"

namespace guideway::worker {

static_assert(kMaxPorts <= snapshot::BoundVip::kMostPorts);
namespace {

std::uint64_t random_seed() {
    std::random_device device;
    return std::uint64_t{device()} << 32 | device();
}

/// A ring with one producer and one consumer, freed with its last packets.
class Ring {
  public:
    Ring(const std::string& name, std::uint32_t size)
        : ring_(rte_ring_create(name.c_str(), size, SOCKET_ID_ANY, RING_F_SP_ENQ | RING_F_SC_DEQ)) {}
    ~Ring() {
        drain();
        rte_ring_free(ring_);
    }
    Ring(Ring&& other) noexcept : ring_(std::exchange(other.ring_, nullptr)) {}
    Ring& operator=(Ring&&) = delete;

    rte_ring* get() const { return ring_; }
    void drain() const {
        void* mbuf = nullptr;
        while (ring_ != nullptr && rte_ring_sc_dequeue(ring_, &mbuf) == 0) {
            rte_pktmbuf_free(static_cast<rte_mbuf*>(mbuf));
        }
    }

  private:
    rte_ring* ring_;
};

/// While it lives this thread runs where the worker will, so that memory comes from that core's NUMA node.
class OnCoreOf {
  public:
    explicit OnCoreOf(unsigned lcore) {
        pthread_getaffinity_np(pthread_self(), sizeof before_, &before_);
        if (lcore >= RTE_MAX_LCORE) return;
        const rte_cpuset_t there = rte_lcore_cpuset(lcore);
        pthread_setaffinity_np(pthread_self(), sizeof there, &there);
    }
    ~OnCoreOf() { pthread_setaffinity_np(pthread_self(), sizeof before_, &before_); }
    OnCoreOf(const OnCoreOf&) = delete;
    OnCoreOf& operator=(const OnCoreOf&) = delete;

  private:
    rte_cpuset_t before_{};
};

std::uint64_t boot_time_ms() {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    return static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
}

std::string text_of(const flow::AffinityTable::Restored& clients) {
    std::string text = std::to_string(clients.kept) + (clients.kept == 1 ? " client" : " clients") +
                       " remembered for session affinity";
    const auto add = [&](std::uint64_t count, const char* why) {
        if (count != 0) text += "; " + std::to_string(count) + " " + why;
    };
    add(clients.over, "not any longer: their time-out was over");
    add(clients.damaged, "not: their lines were cut short");
    add(clients.no_room, "not: newer ones have their place (flows.affinity_clients)");
    return text;
}

void sleep_for(std::uint32_t microseconds) {
    const timespec time{0, static_cast<long>(microseconds) * 1000};
    nanosleep(&time, nullptr);
}

}  // namespace

/// One worker with all that is its own.
struct WorkerPlace {
    Memory index_v4, index_v6, service_lines, backend_lines;
    std::unique_ptr<flow::FlowTableV4> flows_v4;
    std::unique_ptr<flow::FlowTableV6> flows_v6;
    std::unique_ptr<observe::CounterBlock> counters;
    FlowQuestion question;
    std::unique_ptr<ResolveQueue> resolve = std::make_unique<ResolveQueue>();
    std::unique_ptr<RouterQueue> routers = std::make_unique<RouterQueue>();
    std::unique_ptr<ClaimQueue> claims = std::make_unique<ClaimQueue>();
    std::unique_ptr<Worker> worker;
    IdleSettings idle;
    std::uint32_t index = 0;
    snapshot::Publisher* publisher = nullptr;
    std::atomic<bool>* stop = nullptr;
    std::atomic<bool> running{false};
    std::function<void()> errand;  ///< instead of run(), once

    void run();
};

struct Runtime::Parts {
    explicit Parts(RuntimeSettings given)
        : settings(std::move(given)),
          ownership(settings.ownership.value_or(flow::Ownership(static_cast<std::uint32_t>(settings.lcores.size())))),
          publisher(static_cast<std::uint32_t>(settings.lcores.size())),
          affinity(settings.lcores.size()),
          builder({settings.worker.capacity.services, settings.worker.capacity.backends}, settings.snat_addresses,
                  settings.port_names) {}

    RuntimeSettings settings;
    flow::Ownership ownership;
    snapshot::Publisher publisher;
    std::vector<Ring> to_kernel;
    std::vector<Ring> from_kernel;            // one, or none before create() got there
    std::vector<std::vector<Ring>> handover;  // [from][to], a ring to itself stays unused
    std::vector<std::unique_ptr<WorkerPlace>> places;
    std::atomic<bool> stop{false};
    std::atomic<bool> running{false};
    std::mutex asking;  ///< one asks the workers at a time

    std::unique_ptr<persist::FlowFile> flow_file;
    persist::Origin origin = persist::Origin::memory;
    std::vector<persist::Line> flow_file_lines;
    contract::FlowFileStatus flow_file_status;  ///< constant once packets flow
    Relocations relocations;                    ///< constant once packets flow
    std::optional<TakeoverResult> takeover;
    std::vector<flow::AffinityTable> affinity;  ///< by worker; each written by its own, read by all and by explain()
    std::uint64_t affinity_seed = 0;

    mutable std::mutex control;  ///< guards what follows
    bool state_known = false;    ///< one was applied
    snapshot::Builder builder;
    std::unique_ptr<CounterBook> book;
    std::unique_ptr<TapDesk> taps;

    bool create_rings(std::string& error);
    bool open_flow_file(std::string& error);
    bool create_place(std::uint32_t index, std::string& error);
    void errand_on_each_core(const std::function<void(std::uint32_t)>& errand);
    std::string launch(WorkerPlace& place, lcore_function_t* entry);
    void join(WorkerPlace& place);
    void attach_affinity(std::uint32_t index);
    void find_connection(const contract::ExplainRequest& request, contract::ExplainAnswer& answer);
    void take_over();
    void say_what_was_kept(TakeoverResult& result);
    std::uint32_t last_hop_ports() const;
    Plumbing plumbing(std::uint32_t index);
    std::uint32_t worker_count() const { return static_cast<std::uint32_t>(settings.lcores.size()); }
};

bool Runtime::Parts::create_rings(std::string& error) {
    const auto workers = static_cast<std::uint32_t>(settings.lcores.size());
    const auto make = [&](std::vector<Ring>& list, const std::string& name, std::uint32_t size) {
        if (list.emplace_back(name, size).get() != nullptr) return true;
        error = "no memory for the ring " + name + " of " + std::to_string(size) + " packets";
        return false;
    };
    if (!make(from_kernel, "gw_from_kernel", settings.kernel_ring_size)) return false;
    for (std::uint32_t from = 0; from < workers; ++from) {
        if (!make(to_kernel, "gw_to_kernel_" + std::to_string(from), settings.kernel_ring_size)) return false;
        handover.emplace_back();
        for (std::uint32_t to = 0; to < workers; ++to) {
            const std::string name = "gw_handover_" + std::to_string(from) + "_" + std::to_string(to);
            if (!make(handover.back(), name, from == to ? 2 : settings.handover_ring_size)) return false;
        }
    }
    return true;
}

std::uint32_t Runtime::Parts::last_hop_ports() const {
    std::uint32_t ports = 0;
    for (std::size_t port = 0; port < settings.ports.front().size(); ++port)
        ports |= settings.ports.front()[port].replies_to_last_hop ? 1U << port : 0U;
    return ports;
}

Plumbing Runtime::Parts::plumbing(std::uint32_t index) {
    Plumbing result;
    result.worker = index;
    result.worker_count = static_cast<std::uint32_t>(settings.lcores.size());
    result.ports = settings.ports[index];
    result.to_kernel = to_kernel[index].get();
    result.from_kernel = index == 0 ? from_kernel.front().get() : nullptr;
    for (std::uint32_t peer = 0; peer < result.worker_count; ++peer) {
        const bool self = peer == index;
        result.handover_in.push_back(self ? nullptr : handover[peer][index].get());
        result.handover_out.push_back(self ? nullptr : handover[index][peer].get());
    }
    result.resolve = places[index]->resolve.get();
    result.routers = places[index]->routers.get();
    result.claims = places[index]->claims.get();
    result.question = &places[index]->question;
    result.pool = settings.pool;
    result.settings = settings.worker;
    result.relocations = &relocations;
    result.affinity = affinity;
    result.ownership = ownership;
    return result;
}

/// All tables have the hash of the first: that of an earlier process, if its lines are here.
void Runtime::Parts::attach_affinity(std::uint32_t index) {
    const std::span<std::byte> memory = flow_file->entries(index, persist::kAffinity);
    if (index == 0) affinity_seed = flow::AffinityTable::seed_in(memory);
    while (affinity_seed == 0) affinity_seed = random_seed();
    affinity[index].attach(memory, affinity_seed);
}

bool Runtime::Parts::create_place(std::uint32_t index, std::string& error) {
    const CapacitySettings& capacity = settings.worker.capacity;
    auto place = std::make_unique<WorkerPlace>();
    const auto take = [&](Memory& memory, std::size_t bytes, const char* what) {
        memory = Memory(bytes);
        if (memory.ok()) return true;
        error = "no memory for " + std::string(what) + " of worker " + std::to_string(index) + ": " +
                std::to_string(bytes >> 20) + " MiB asked";
        return false;
    };
    const std::size_t line = sizeof(observe::SlotCounters);
    if (const auto refused = flow_file->populate(index)) {
        error = *refused;
        return false;
    }
    attach_affinity(index);
    if (!take(place->index_v4, flow::FlowTableV4::index_bytes(capacity.flows_ipv4), "the index of IPv4 connections") ||
        !take(place->index_v6, flow::FlowTableV6::index_bytes(capacity.flows_ipv6), "the index of IPv6 connections") ||
        !take(place->service_lines, capacity.services * line, "service counters") ||
        !take(place->backend_lines, (capacity.backends + 1) * line, "backend counters")) {
        return false;
    }
    place->flows_v4 =
        std::make_unique<flow::FlowTableV4>(flow_file->entries(index, persist::kV4), place->index_v4.bytes(),
                                            flow::FlowLimits{capacity.flows_ipv4, capacity.half_open}, random_seed());
    place->flows_v6 =
        std::make_unique<flow::FlowTableV6>(flow_file->entries(index, persist::kV6), place->index_v6.bytes(),
                                            flow::FlowLimits{capacity.flows_ipv6, capacity.half_open}, random_seed());
    const auto lines = [](const Memory& memory, std::size_t count) {
        auto* first = reinterpret_cast<observe::SlotCounters*>(memory.bytes().data());
        for (std::size_t i = 0; i < count; ++i) new (first + i) observe::SlotCounters;
        return std::span<observe::SlotCounters>(first, count);
    };
    place->counters = std::make_unique<observe::CounterBlock>(lines(place->service_lines, capacity.services),
                                                              lines(place->backend_lines, capacity.backends + 1));
    place->idle = settings.worker.idle;
    place->index = index;
    place->publisher = &publisher;
    place->stop = &stop;
    places.push_back(std::move(place));
    WorkerPlace& own = *places.back();
    own.worker = std::make_unique<Worker>(plumbing(index), publisher, *own.flows_v4, *own.flows_v6, *own.counters);
    return true;
}

bool Runtime::Parts::open_flow_file(std::string& error) {
    const CapacitySettings& capacity = settings.worker.capacity;
    persist::Need need;
    need.shape.workers = static_cast<std::uint32_t>(settings.lcores.size());
    need.shape.capacity = {capacity.flows_ipv4, capacity.flows_ipv6,
                           flow::AffinityTable::lines_and_head(capacity.affinity_clients)};
    for (const IpAddress& address : settings.snat_addresses) need.shape.snat_addresses.push_back(address.to_string());
    need.layout = persist::flow_layout();
    need.index_bytes = {flow::FlowTableV4::index_bytes(capacity.flows_ipv4),
                        flow::FlowTableV6::index_bytes(capacity.flows_ipv6)};
    need.counter_bytes = (std::uint64_t{capacity.services} + capacity.backends + 1) * sizeof(observe::SlotCounters);
    const FlowFileSettings& wish = settings.flow_file;
    const auto request = persist::request_for(wish.file, wish.control_socket, wish.huge_pages, std::move(need), error);
    if (!error.empty()) return false;
    persist::OpenedFile opened = persist::open_flow_file(request);
    flow_file_lines = std::move(opened.lines);
    for (const persist::Refusal& refusal : opened.refused) flow_file_status.refused.push_back(refusal.text());
    if (!opened.file) {
        error = opened.error;
        return false;
    }
    flow_file = std::move(opened.file);
    origin = opened.origin;
    flow_file_status.path = flow_file->path();
    flow_file_status.bytes = flow_file->bytes();
    return true;
}

std::unique_ptr<Runtime> Runtime::create(RuntimeSettings settings, std::string& error) {
    if (settings.lcores.empty() || settings.lcores.size() > kMaxWorkers ||
        settings.ports.size() != settings.lcores.size()) {
        error = "1.." + std::to_string(kMaxWorkers) + " workers, each with its ports; got " +
                std::to_string(settings.lcores.size());
        return nullptr;
    }
    if (settings.ownership && settings.ownership->workers() != settings.lcores.size()) {
        error = "an ownership of " + std::to_string(settings.ownership->workers()) + " workers, there are " +
                std::to_string(settings.lcores.size());
        return nullptr;
    }
    try {
        auto parts = std::make_unique<Parts>(std::move(settings));
        if (!parts->open_flow_file(error) || !parts->create_rings(error)) return nullptr;
        std::vector<const observe::CounterBlock*> blocks;
        for (std::uint32_t index = 0; index < parts->settings.lcores.size(); ++index) {
            const OnCoreOf there(parts->settings.lcores[index]);
            if (!parts->create_place(index, error)) return nullptr;
            blocks.push_back(parts->places.back()->counters.get());
        }
        parts->book = std::make_unique<CounterBook>(std::move(blocks));
        parts->taps = std::make_unique<TapDesk>(
            TapSurroundings{parts->publisher, parts->worker_count(), parts->settings.port_names,
                            flow::IdleLimits(table_timeouts(parts->settings.worker.timeouts)), boot_time_ms});
        // Slot arrays of full length from the start: a worker may look any slot up.
        parts->publisher.publish(parts->builder.build(contract::ForwardingState{}).snapshot);
        return std::unique_ptr<Runtime>(new Runtime(std::move(parts)));
    } catch (const std::exception& fault) {
        error = std::string("workers: ") + fault.what();
        return nullptr;
    }
}

Runtime::Runtime(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Runtime::~Runtime() { stop(); }

void WorkerPlace::run() {
    publisher->register_worker(index);
    publisher->online(index);
    IdleRest rest(idle);
    CoarseClock clock(boot_time_ms(), rte_rdtsc(), rte_get_tsc_hz());  // goes on where another process's stopped
    while (!stop->load(std::memory_order_relaxed)) {
        const std::uint64_t cycles = rte_rdtsc();
        if (clock.wants_anchor(cycles)) [[unlikely]]
            clock.anchor(boot_time_ms(), cycles);
        const IdleRest::Step step = rest.after_poll(worker->poll_once(clock.now_ms(cycles)));
        if (step.kind == IdleRest::Step::Kind::pause) {
            rte_pause();
        } else if (step.kind == IdleRest::Step::Kind::sleep) {
            publisher->offline(index);
            sleep_for(step.microseconds);
            publisher->online(index);
        }
    }
    publisher->offline(index);
    publisher->unregister_worker(index);
    running.store(false, std::memory_order_release);
}

/// Returns why not.
std::string Runtime::Parts::launch(WorkerPlace& place, lcore_function_t* entry) {
    const unsigned lcore = settings.lcores[place.index];
    place.running = true;
    if (rte_eal_remote_launch(entry, &place, lcore) == 0) return {};
    place.running = false;
    return "worker " + std::to_string(place.index) + ": core " + std::to_string(lcore) +
           " is not one of DPDK's, or is in use";
}

void Runtime::Parts::join(WorkerPlace& place) {
    // Ordered by a variable of our own: what the worker wrote is this thread's from here on.
    while (place.running.load(std::memory_order_acquire)) std::this_thread::yield();
    rte_eal_wait_lcore(settings.lcores[place.index]);
}

/// On all cores at once; returns when all are done. On this one where a core refuses, which start() will tell.
void Runtime::Parts::errand_on_each_core(const std::function<void(std::uint32_t)>& errand) {
    const auto entry = [](void* argument) {
        auto* place = static_cast<WorkerPlace*>(argument);
        place->errand();
        place->running.store(false, std::memory_order_release);
        return 0;
    };
    for (const auto& place : places) {
        place->errand = [&errand, index = place->index] { errand(index); };
        if (!launch(*place, entry).empty()) place->errand();
    }
    for (const auto& place : places) {
        join(*place);
        place->errand = nullptr;
    }
}

void Runtime::Parts::take_over() {
    if (takeover) return;
    TakeoverResult& result = takeover.emplace();
    const bool adopted = origin == persist::Origin::adopted;
    if (adopted || origin == persist::Origin::import) {
        const std::uint64_t begin_ms = boot_time_ms();
        std::vector<Tables> tables;
        for (const auto& place : places) tables.push_back({place->flows_v4.get(), place->flows_v6.get()});
        std::vector<OldEntries> old;
        for (std::uint32_t w = 0; !adopted && w < flow_file->old_shape()->workers; ++w)
            old.push_back({flow_file->old_entries(w, persist::kV4), flow_file->old_entries(w, persist::kV6)});
        const auto state = publisher.current_forwarding();
        const Conditions conditions(*state, state_known, flow::IdleLimits(table_timeouts(settings.worker.timeouts)),
                                    static_cast<std::uint32_t>(begin_ms / 1000), ownership);
        result.outcomes.resize(places.size());
        result.clients.resize(places.size());
        errand_on_each_core([&](std::uint32_t w) {
            if (adopted) result.clients[w] = affinity[w].restore(conditions.now_s);
            // Those of workers that are no more are shared out: all workers read all tables.
            for (std::uint32_t o = w; !adopted && o < flow_file->old_shape()->workers; o += worker_count())
                result.clients[w] +=
                    affinity[w].take_from(flow_file->old_entries(o, persist::kAffinity), conditions.now_s);
            result.outcomes[w] = adopted ? adopt(w, tables[w], conditions) : import(w, tables[w], old, conditions);
        });
        move_home(tables, conditions, result.outcomes);
        std::vector<std::vector<Relocation>> lists;
        for (Outcome& outcome : result.outcomes) lists.push_back(std::exchange(outcome.relocations, {}));
        relocations = Relocations(lists);
        result.relocated = relocations.size();
        result.milliseconds = boot_time_ms() - begin_ms;
        say_what_was_kept(result);
    }
    if (const auto trouble = flow_file->ready()) {
        result.lines.push_back({true, *trouble + ": connections will not survive the next restart"});
        flow_file_status.path.clear();
    }
}

void Runtime::Parts::say_what_was_kept(TakeoverResult& result) {
    const persist::KeptReport report = report_of(result.outcomes);
    std::uint64_t strays = 0;
    std::array<std::uint64_t, kVerdictCount> counts{};
    for (const Outcome& outcome : result.outcomes) {
        strays += outcome.strays;
        for (std::size_t i = 0; i < kVerdictCount; ++i) counts[i] += outcome.count[i];
    }
    flow_file_status.kept = counts[static_cast<std::size_t>(Verdict::kept)];
    for (std::size_t i = 1; i < kVerdictCount; ++i)
        flow_file_status.lost.push_back({name_of(static_cast<Verdict>(i)), counts[i]});
    flow::AffinityTable::Restored clients;
    for (const auto& one : result.clients) clients += one;
    const std::string& path = flow_file->path();
    // Those would have ended without a restart too.
    const std::uint64_t ended =
        counts[static_cast<std::size_t>(Verdict::idle)] + counts[static_cast<std::size_t>(Verdict::service_gone)];
    result.lines.push_back({report.lost_count() != ended, report.text(path.empty() ? "found" : path) + " (" +
                                                              std::to_string(result.milliseconds) + " ms)"});
    if (clients.kept + clients.over + clients.damaged + clients.no_room != 0)
        result.lines.push_back({clients.damaged + clients.no_room != 0, text_of(clients)});
    if (strays != 0)
        result.lines.push_back({false, std::to_string(strays) + " of them go to backends that left the state"});
    if (result.relocated != 0)
        result.lines.push_back({false, std::to_string(result.relocated) +
                                           " of them live at another worker than their clients' packets name: handed "
                                           "over by ring"});
}

const std::vector<persist::Line>& Runtime::flow_file_lines() const { return parts_->flow_file_lines; }

const TakeoverResult& Runtime::take_over() {
    parts_->take_over();
    return *parts_->takeover;
}

bool Runtime::start(std::string& error) {
    parts_->take_over();
    parts_->stop = false;
    parts_->running = true;
    for (auto& place : parts_->places) {
        const auto entry = [](void* argument) {
            static_cast<WorkerPlace*>(argument)->run();
            return 0;
        };
        error = parts_->launch(*place, entry);
        if (error.empty()) continue;
        stop();
        return false;
    }
    return true;
}

void Runtime::stop() {
    if (!parts_->running) return;
    parts_->stop = true;
    for (const auto& place : parts_->places) {
        parts_->join(*place);
    }
    parts_->running = false;
    // Not those of the kernel path: its thread may still take from them. They are freed with the runtime.
    for (const auto& list : parts_->handover) {
        for (const Ring& ring : list) ring.drain();
    }
}

std::vector<contract::Fault> Runtime::apply(const contract::ForwardingState& state) {
    const std::lock_guard lock(parts_->control);
    snapshot::BuildResult result = parts_->builder.build(state);
    if (!result) return result.faults;
    parts_->book->before_publish(*result.snapshot);
    parts_->publisher.publish(std::move(result.snapshot));
    parts_->state_known = true;
    return {};
}

contract::Counters Runtime::counters() const {
    const std::lock_guard lock(parts_->control);
    contract::Counters counters = parts_->book->collect(*parts_->publisher.current_forwarding());
    counters.flow_file = parts_->flow_file_status;
    return counters;
}

contract::Traffic Runtime::vlan_traffic(std::size_t port) const { return parts_->book->vlan_traffic(port); }

std::optional<std::size_t> Runtime::rss_disagreeing_port() const {
    for (const auto& place : parts_->places) {
        const observe::WorkerTotals& totals = place->counters->totals();
        if (totals.rss_disagreed.read() > 0) return totals.rss_disagreed_port.read();
    }
    return std::nullopt;
}

/// All are asked: where the NIC or a restart put a connection is just what is wanted to be known.
void Runtime::Parts::find_connection(const contract::ExplainRequest& request, contract::ExplainAnswer& answer) {
    const std::lock_guard lock(asking);
    if (!running) return;
    constexpr std::uint64_t kPatienceMs = 500;
    const std::uint64_t deadline_ms = boot_time_ms() + kPatienceMs;
    const auto wait_for = [&](const WorkerPlace& place) {
        while (!place.question.answered() && boot_time_ms() < deadline_ms) sleep_for(50);
        return place.question.answered();
    };
    const FlowTuple tuple = tuple_of(request);
    std::vector<const WorkerPlace*> asked;
    std::vector<std::uint32_t> silent;
    for (const auto& place : places) {
        if (wait_for(*place)) {  // an earlier one that came too late
            place->question.ask(tuple);
            asked.push_back(place.get());
        } else {
            silent.push_back(place->index);
        }
    }
    for (const WorkerPlace* place : asked) {
        if (!wait_for(*place)) {
            silent.push_back(place->index);
        } else if (const auto& finding = place->question.finding()) {
            const auto state = publisher.current_forwarding();
            const auto routing = publisher.current_routing();
            const flow::IdleLimits limits(table_timeouts(settings.worker.timeouts));
            answer.flow = view_of(
                *finding, place->index,
                {*state, *routing, limits, static_cast<std::uint32_t>(boot_time_ms() / 1000), settings.port_names});
        }
    }
    if (answer.flow) {
        const auto steps = steps_of(*answer.flow);
        answer.steps.insert(answer.steps.begin(), steps.begin(), steps.end());
        const auto after = answer.steps.begin() + static_cast<std::ptrdiff_t>(steps.size());
        answer.steps.insert(after, "What follows is of a new connection of this five-tuple:");
    }
    for (const std::uint32_t worker : silent) {
        answer.steps.push_back("Worker " + std::to_string(worker) +
                               " did not answer in time: whether it knows the connection cannot be said.");
    }
}

contract::ExplainAnswer Runtime::explain(const contract::ExplainRequest& request) const {
    const auto routing = parts_->publisher.current_routing();
    const RuntimeSettings& settings = parts_->settings;
    contract::ExplainAnswer answer =
        worker::explain(*parts_->publisher.current_forwarding(), parts_->ownership, request, parts_->relocations,
                        {parts_->affinity, static_cast<std::uint32_t>(boot_time_ms() / 1000)},
                        {routing.get(), settings.ports.front(), settings.port_names}, settings.worker.sides_apart);
    if (answer.verdict == "forward") {
        const auto state = parts_->publisher.current_forwarding();
        const flow::IdleLimits limits(table_timeouts(settings.worker.timeouts));
        answer.steps.push_back(
            reply_step(request, {*state, *routing, limits, 0, settings.port_names, parts_->last_hop_ports()}));
    }
    if (request.source.family == request.destination.family) parts_->find_connection(request, answer);
    return answer;
}

TapDesk& Runtime::taps() { return *parts_->taps; }
snapshot::Publisher& Runtime::publisher() { return parts_->publisher; }
std::uint32_t Runtime::worker_count() const { return static_cast<std::uint32_t>(parts_->places.size()); }
rte_ring* Runtime::to_kernel(std::uint32_t worker) const { return parts_->to_kernel[worker].get(); }
rte_ring* Runtime::from_kernel() const { return parts_->from_kernel.front().get(); }
ResolveQueue& Runtime::resolve_queue(std::uint32_t worker) { return *parts_->places[worker]->resolve; }
RouterQueue& Runtime::router_queue(std::uint32_t worker) { return *parts_->places[worker]->routers; }
ClaimQueue& Runtime::claim_queue(std::uint32_t worker) { return *parts_->places[worker]->claims; }

}  // namespace guideway::worker
