// apply_bench: how long a ForwardingState takes from its line on the control socket to being in force, and where the time goes.
//
// Drives the real Control::handle (strict decoding, validation), the real snapshot::Builder, CounterBook and Publisher, as
// Runtime::apply chains them; the worker is registered and asleep, so the grace period (one poll of each worker) is not in here.
// Cases:
//   one set       10,000 services that share one set of 1,000 nodes
//   many sets     10,000 services over 300 different sets of 100 nodes each, out of the same 1,000
//   large sets    10,000 services over 300 different sets of 999 nodes each: far beyond what a cluster asks for
// Each case: the whole state by a dataplane that had none, then one node drained (`large sets`: in every set), one node removed
// from all sets, a service added, and a counters request. Times are this thread's CPU time in milliseconds: median, smallest and
// largest. "file" is what follows after the state is in force (writing and fsync, wall time).
// Floors in the same run: reading every byte once, nlohmann::json::parse of the same bytes.
//
//   apply_bench [--quick] [--large] [--json FILE] [--folder FOR_THE_STATE_FILE]
#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <numeric>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include <nlohmann/json.hpp>
#include <spdlog/spdlog.h>

#include "api/contract/forwarding_state_codec.h"
#include "api/contract/messages.h"
#include "dataplane/balancing/maglev.h"
#include "dataplane/control/control.h"
#include "dataplane/observe/counters.h"
#include "dataplane/snapshot/builder.h"
#include "dataplane/snapshot/publisher.h"
#include "dataplane/worker/counter_book.h"

namespace guideway {
namespace {

double cpu_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}
double wall_ms() {
    const auto now = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration<double, std::milli>(now).count();
}

using Samples = std::vector<double>;

double median(Samples samples) {
    std::sort(samples.begin(), samples.end());
    return samples.empty() ? 0 : samples[samples.size() / 2];
}

class Report {
  public:
    void add(const std::string& name, const std::string& step, const Samples& samples, const char* unit = "ms") {
        const auto [least, most] = std::minmax_element(samples.begin(), samples.end());
        std::printf("%-11s %-34s %10.3f %10.3f %10.3f %s\n", name.c_str(), step.c_str(), median(samples), *least, *most,
                    unit);
        std::fflush(stdout);
        rows_.push_back({{"case", "apply"},
                         {"state", name},
                         {"step", step},
                         {"median_ms", median(samples)},
                         {"min_ms", *least},
                         {"max_ms", *most}});
    }
    void save(const char* path) const { std::ofstream(path) << nlohmann::json(rows_).dump(1) << "\n"; }

  private:
    std::vector<nlohmann::ordered_json> rows_;
};

Samples repeat(int times, const std::function<void()>& work) {
    Samples samples;
    for (int i = 0; i < times; ++i) {
        const double start = cpu_ms();
        work();
        samples.push_back(cpu_ms() - start);
    }
    return samples;
}

constexpr std::uint32_t kServices = 10000;
constexpr std::uint32_t kNodes = 1000;

contract::Backend node(std::uint32_t index) {
    return {"node-" + std::to_string(index), IpAddress::v4(0x0a010000U + index), 0, 1};
}

contract::ForwardingState state_of(std::uint32_t sets, std::uint32_t nodes_a_set) {
    std::mt19937 random(1);
    contract::ForwardingState state;
    state.generation = 1;
    std::vector<std::uint32_t> order(kNodes);
    std::iota(order.begin(), order.end(), 0U);
    for (std::uint32_t i = 0; i < sets; ++i) {
        contract::BackendSet set{"set-" + std::to_string(i), IpFamily::ipv4, {}};
        std::shuffle(order.begin(), order.end(), random);
        std::vector<std::uint32_t> chosen(order.begin(), order.begin() + nodes_a_set);
        std::sort(chosen.begin(), chosen.end());
        for (const std::uint32_t one : chosen) set.backends.push_back(node(one));
        state.backend_sets.push_back(std::move(set));
    }
    for (std::uint32_t i = 0; i < kServices; ++i) {
        state.services.push_back({"namespace-" + std::to_string(i % 100) + "/service-" + std::to_string(i),
                                  IpAddress::v4(0xcb007100U + i / 4), contract::Protocol::tcp,
                                  static_cast<std::uint16_t>(80 + i % 4), "set-" + std::to_string(i % sets),
                                  static_cast<std::uint16_t>(30000 + i % 2768), 0});
    }
    return state;
}

/// What stands behind the control socket, without workers that forward.
struct Dataplane {
    static constexpr std::uint32_t kSlots = 16384;
    std::vector<observe::SlotCounters> service_lines{kSlots}, backend_lines{kSlots};
    observe::CounterBlock block{service_lines, backend_lines};
    worker::CounterBook book{{&block}};
    snapshot::Builder builder{{kSlots, kSlots}, {IpAddress::v4(0x0a0002feU)}};
    snapshot::Publisher publisher{1};
    double build = 0, publish = 0, in_force_at = 0, in_force_wall = 0;
    std::unique_ptr<control::Control> control;

    explicit Dataplane(const std::string& state_file) {
        publisher.register_worker(0);
        control::Engine engine;
        engine.apply = [this](const contract::ForwardingState& state) {
            const double start = cpu_ms();
            auto result = builder.build(state);
            const double built = cpu_ms();
            if (!result) return result.faults;
            book.before_publish(*result.snapshot);
            publisher.publish(std::move(result.snapshot));
            in_force_at = cpu_ms();
            in_force_wall = wall_ms();
            build = built - start;
            publish = in_force_at - built;
            return std::vector<contract::Fault>{};
        };
        engine.counters = [this] { return book.collect(*publisher.current_forwarding()); };
        engine.explain = [](const contract::ExplainRequest&) { return contract::ExplainAnswer{}; };
        engine.ports = [] { return std::vector<contract::PortStatus>{}; };
        control::ControlSettings settings;
        settings.state_file = state_file;
        control = std::make_unique<control::Control>(std::move(settings), std::move(engine));
    }
};

struct Series {
    Samples in_force, before, build, publish, file_cpu, file_wall;

    void run(Dataplane& dataplane, const std::string& line) {
        const double start = cpu_ms();
        const std::string answer = dataplane.control->handle(line);
        const double end = cpu_ms();
        if (answer.find("\"ok\":true") == std::string::npos) {
            std::fprintf(stderr, "refused: %s\n", answer.substr(0, 500).c_str());
            std::exit(1);
        }
        in_force.push_back(dataplane.in_force_at - start);
        build.push_back(dataplane.build);
        publish.push_back(dataplane.publish);
        before.push_back(in_force.back() - dataplane.build - dataplane.publish);
        file_cpu.push_back(end - dataplane.in_force_at);
        file_wall.push_back(wall_ms() - dataplane.in_force_wall);
    }
    void tell(Report& report, const std::string& name, const std::string& what) const {
        report.add(name, what + ": in force", in_force);
        report.add(name, "  decode and validate", before);
        report.add(name, "  build", build);
        report.add(name, "  publish, free the old", publish);
        report.add(name, "  then the file, CPU", file_cpu);
        report.add(name, "  then the file, wall", file_wall);
    }
};

std::string line_of(const contract::ForwardingState& state) {
    return contract::encode(contract::Request(contract::ApplyRequest{state}));
}

void run_case(Report& report, const std::string& name, std::uint32_t sets, std::uint32_t nodes_a_set, int times,
              const std::string& file) {
    contract::ForwardingState state = state_of(sets, nodes_a_set);
    const std::string line = line_of(state);
    std::printf("%s: %u sets of %u nodes, a line of %.2f MB\n", name.c_str(), sets, nodes_a_set,
                static_cast<double>(line.size()) / 1e6);
    std::uint64_t sum = 0;
    report.add(name, "floor: each byte once", repeat(times, [&] {
                   for (const char c : line) sum += static_cast<unsigned char>(c);
                   asm volatile("" ::"r"(sum));
               }));
    report.add(name, "floor: nlohmann::json::parse", repeat(times, [&] {
                   const auto tree = nlohmann::json::parse(line);
                   asm volatile("" ::"r"(&tree));
               }));
    report.add(name, "decode_request", repeat(times, [&] {
                   if (!contract::decode_request(line).ok()) std::exit(1);
               }));
    report.add(name, "of it validate", repeat(times, [&] {
                   if (!contract::validate(state).empty()) std::exit(1);
               }));

    Series whole, drained, removed, added;
    for (int i = 0; i < times; ++i) {
        Dataplane dataplane(file);
        whole.run(dataplane, line);
    }
    whole.tell(report, name, "whole state, first");

    Dataplane dataplane(file);
    Series first;
    first.run(dataplane, line);
    const auto with = [&](const std::function<void(contract::BackendSet&, std::size_t)>& change, Series& series) {
        for (int i = 0; i < times; ++i) {
            contract::ForwardingState next = state;
            next.generation = state.generation + static_cast<std::uint64_t>(i) + 1;
            const IpAddress which = node(static_cast<std::uint32_t>(37 * i) % kNodes).address;
            for (contract::BackendSet& set : next.backend_sets) {
                for (std::size_t at = 0; at < set.backends.size(); ++at) {
                    if (set.backends[at].address != which) continue;
                    change(set, at);
                    break;
                }
            }
            series.run(dataplane, line_of(next));
            Series back;
            back.run(dataplane, line);
        }
    };
    with([](contract::BackendSet& set, std::size_t at) { set.backends[at].weight = 0; }, drained);
    drained.tell(report, name, "one node drained");
    with([](contract::BackendSet& set,
            std::size_t at) { set.backends.erase(set.backends.begin() + static_cast<std::ptrdiff_t>(at)); },
         removed);
    removed.tell(report, name, "one node removed");
    for (int i = 0; i < times; ++i) {
        state.generation += 1000;
        state.services.push_back(state.services.back());
        state.services.back().port = static_cast<std::uint16_t>(1000 + i);
        added.run(dataplane, line_of(state));
    }
    added.tell(report, name, "one service added");
    std::size_t bytes = 0;
    report.add(name, "counters request",
               repeat(times, [&] { bytes = dataplane.control->handle("{\"type\":\"counters\"}").size(); }));
    report.add(name, "  of it collecting", repeat(times, [&] {
                   bytes += dataplane.book.collect(*dataplane.publisher.current_forwarding()).services.size();
               }));
    report.add(name, "status request",
               repeat(times, [&] { bytes += dataplane.control->handle("{\"type\":\"status\"}").size(); }));
}

void run_maglev(Report& report, int times) {
    const std::pair<std::uint32_t, std::uint32_t> sizes[] = {
        {65537, 10}, {65537, 100}, {65537, 1000}, {131071, 1000}, {655373, 1000}};
    for (const auto& [size, count] : sizes) {
        for (const bool weighted : {false, true}) {
            std::vector<balancing::MaglevBackend> backends;
            for (std::uint32_t i = 0; i < count; ++i) {
                backends.push_back({node(i).address, 30080, weighted ? 1 + i * 7 % 100 : 1});
            }
            const std::uint32_t of_size = size;
            report.add("maglev",
                       std::to_string(size) + " x " + std::to_string(count) + (weighted ? " weights 1..100" : ""),
                       repeat(times * 4, [&] {
                           const auto table = balancing::MaglevTable::build(backends, of_size);
                           asm volatile("" ::"r"(table.get()));
                       }));
        }
    }
    std::printf("maglev      %-34s %10s\n", "the paper: 65537 x 1000 (M, N)", "1.8");
}

int run(int argc, char** argv) {
    bool quick = false, large = false;
    const char* json = nullptr;
    std::string folder = std::filesystem::temp_directory_path();
    for (int i = 1; i < argc; ++i) {
        if (std::strcmp(argv[i], "--quick") == 0) {
            quick = true;
        } else if (std::strcmp(argv[i], "--large") == 0) {
            large = true;
        } else if (std::strcmp(argv[i], "--json") == 0 && i + 1 < argc) {
            json = argv[++i];
        } else if (std::strcmp(argv[i], "--folder") == 0 && i + 1 < argc) {
            folder = argv[++i];
        } else {
            std::fprintf(stderr, "usage: apply_bench [--quick] [--large] [--json FILE] [--folder FOLDER]\n");
            return 2;
        }
    }
    spdlog::set_level(spdlog::level::err);
    const std::string file = folder + "/apply_bench-" + std::to_string(getpid()) + ".json";
    const int times = quick ? 3 : 11;
    Report report;
    std::printf("%-11s %-34s %10s %10s %10s\n", "case", "step", "median", "least", "most");
    run_maglev(report, times);
    run_case(report, "one set", 1, kNodes, times, file);
    run_case(report, "many sets", 300, 100, times, file);
    if (large) run_case(report, "large sets", 300, kNodes - 1, 3, file);
    std::filesystem::remove(file);
    if (json != nullptr) report.save(json);
    return 0;
}

}  // namespace
}  // namespace guideway

int main(int argc, char** argv) { return guideway::run(argc, argv); }
