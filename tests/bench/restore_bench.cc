// restore_bench: how long a start takes to make connections of an earlier process its own (worker/takeover.h), on one core.
//
//   restore_bench [--json FILE] [--quick]
//
// adopt    the table's index over the entries found; each judged and linked to the state anew
// import   the same entries copied into a table of another shape
// Entries: established TCP in random order over 64 services with 256 nodes, tables 80 % full. Memory is there before the clock runs.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/snapshot/builder.h"
#include "dataplane/worker/family.h"
#include "dataplane/worker/memory.h"
#include "dataplane/worker/takeover.h"

namespace guideway::worker {
namespace {

constexpr std::uint32_t kServices = 64;
constexpr std::uint32_t kNodes = 256;
constexpr std::uint32_t kNow = 100'000;

IpAddress address(bool v6, std::uint32_t number) {
    if (!v6) return IpAddress::v4(number);
    IpAddress result = *IpAddress::parse("2001:db8::");
    for (int i = 0; i < 4; ++i)
        result.bytes[static_cast<std::size_t>(12 + i)] = static_cast<std::uint8_t>(number >> (24 - 8 * i));
    return result;
}

contract::ForwardingState state(bool v6) {
    contract::ForwardingState result;
    result.generation = 1;
    contract::BackendSet set{"nodes", v6 ? IpFamily::ipv6 : IpFamily::ipv4, {}};
    for (std::uint32_t i = 0; i < kNodes; ++i)
        set.backends.push_back({"n" + std::to_string(i), address(v6, 0x0a000100 + i), 0, 1});
    result.backend_sets.push_back(std::move(set));
    for (std::uint32_t i = 0; i < kServices; ++i) {
        result.services.push_back({"s/" + std::to_string(i), address(v6, 0xcb007100 + i), contract::Protocol::tcp, 80,
                                   "nodes", static_cast<std::uint16_t>(30000 + i), 0});
    }
    return result;
}

template <typename Family>
void fill(std::span<std::byte> memory, std::uint32_t capacity, std::uint32_t count) {
    using Entry = typename Family::Entry;
    auto* entries = reinterpret_cast<Entry*>(memory.data());
    std::mt19937_64 random(1);
    for (std::uint32_t at = 0; at < capacity; ++at) {
        Entry entry;
        std::memset(static_cast<void*>(&entry), 0, sizeof entry);
        // Spread over the table as after a long life: `count` of `capacity` in use.
        if (std::uint64_t{at} * count / capacity != std::uint64_t{at + 1} * count / capacity) {
            const std::uint64_t r = random();
            const auto service = static_cast<std::uint32_t>(r % kServices);
            constexpr bool v6 = sizeof(typename Family::Address) == 16;
            entry.halves[0].source = Family::address(address(v6, 0x0b000000 + at / 60000));
            entry.halves[0].destination = Family::address(address(v6, 0xcb007100 + service));
            entry.halves[0].source_port = static_cast<std::uint16_t>(at % 60000 + 1);
            entry.halves[0].destination_port = __builtin_bswap16(80);
            entry.halves[1].source =
                Family::address(address(v6, 0x0a000100 + static_cast<std::uint32_t>(r >> 32) % kNodes));
            entry.halves[1].destination = Family::address(address(v6, 0x0a000001 + at / 60000 % 240));
            entry.halves[1].source_port = __builtin_bswap16(static_cast<std::uint16_t>(30000 + service));
            entry.halves[1].destination_port = static_cast<std::uint16_t>(at % 60000 + 1);
            entry.halves[0].protocol = entry.halves[1].protocol = 6;
            entry.state = flow::ConnectionState::tcp_established;
            entry.last_seen = kNow - static_cast<std::uint32_t>(at % 1000);
            const auto delta = packet::delta_between(entry.halves[0], packet::swapped(entry.halves[1]));
            entry.checksum_delta_addresses = delta.addresses;
            entry.checksum_delta_all = delta.all;
        }
        entries[at] = entry;
    }
}

struct Row {
    const char* name;
    int ip;
    std::uint32_t flows;
    double milliseconds;
    double processor_ms;  ///< less than the above where others ran on this core meanwhile
    std::uint64_t kept;
};

double processor_ms() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

template <typename Family, typename Table>
Row measure(bool import_it, std::uint32_t flows) {
    constexpr bool v6 = sizeof(typename Family::Address) == 16;
    const std::uint32_t capacity = flows / 4 * 5;
    Memory entries(Table::entry_bytes(capacity)), index(Table::index_bytes(capacity)), target;
    Memory other_entries(2 * sizeof(flow::FlowEntryV6)), other_index(flow::FlowTableV6::index_bytes(2));
    std::vector<IpAddress> snat;
    for (std::uint32_t i = 0; i < 240; ++i) snat.push_back(address(v6, 0x0a000001 + i));
    snapshot::Builder builder({1024, 1024}, snat);
    const auto built = builder.build(state(v6));
    if (!entries.ok() || !index.ok() || !built) {
        std::fprintf(stderr, "restore_bench: no memory\n");
        std::exit(1);
    }
    fill<Family>(entries.bytes(), capacity, flows);
    if (import_it) target = Memory(Table::entry_bytes(capacity));
    Table table(import_it ? target.bytes() : entries.bytes(), index.bytes(), {capacity, 0}, 7);
    const Conditions conditions(*built.snapshot, true, flow::IdleLimits(flow::Timeouts{}), kNow, flow::Ownership(1));
    Outcome outcome;
    double processor = 0;
    const auto run = [&](Tables tables) {
        const double cpu_begin = processor_ms();
        const auto begin = std::chrono::steady_clock::now();
        if (import_it) {
            OldEntries old;
            (v6 ? old.v6 : old.v4) = std::span<const std::byte>(entries.bytes()).first(Table::entry_bytes(capacity));
            outcome = import(0, tables, std::span(&old, 1), conditions);
        } else {
            outcome = adopt(0, tables, conditions);
        }
        const auto end = std::chrono::steady_clock::now();
        processor = processor_ms() - cpu_begin;
        return std::chrono::duration<double, std::milli>(end - begin).count();
    };
    double took = 0;
    if constexpr (v6) {
        flow::FlowTableV4 none(other_entries.bytes(), other_index.bytes(), {2, 0}, 1);
        took = run({&none, &table});
    } else {
        flow::FlowTableV6 none(other_entries.bytes(), other_index.bytes(), {2, 0}, 1);
        took = run({&table, &none});
    }
    return {import_it ? "import" : "adopt", v6 ? 6 : 4, flows, took, processor, outcome[Verdict::kept]};
}

int run(int argc, char** argv) {
    std::string json;
    bool quick = false;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--quick") {
            quick = true;
        } else if (word == "--json" && i + 1 < argc) {
            json = argv[++i];
        } else {
            std::fprintf(stderr, "restore_bench [--json FILE] [--quick]\n");
            return 2;
        }
    }
    std::vector<Row> rows;
    for (const std::uint32_t flows : {100'000U, 1'000'000U, 10'000'000U}) {
        if (quick && flows > 100'000) break;
        for (const bool import_it : {false, true}) {
            rows.push_back(measure<V4, flow::FlowTableV4>(import_it, flows));
            if (flows <= 1'000'000) rows.push_back(measure<V6, flow::FlowTableV6>(import_it, flows));
        }
    }
    std::printf("%-8s %4s %12s %12s %12s %12s %10s\n", "case", "ip", "connections", "kept", "ms", "cpu ms",
                "cpu ns each");
    std::string text;
    for (const Row& row : rows) {
        const double each = row.processor_ms * 1e6 / row.flows;
        std::printf("%-8s %4d %12u %12llu %12.1f %12.1f %10.1f\n", row.name, row.ip, row.flows,
                    static_cast<unsigned long long>(row.kept), row.milliseconds, row.processor_ms, each);
        char line[256];
        std::snprintf(
            line, sizeof line,
            R"(%s  {"case": "restore", "way": "%s", "ip": %d, "flows": %u, "kept": %llu, "milliseconds": %.3f, "processor_milliseconds": %.3f, "ns_per_connection": %.2f})",
            text.empty() ? "" : ",\n", row.name, row.ip, row.flows, static_cast<unsigned long long>(row.kept),
            row.milliseconds, row.processor_ms, each);
        text += line;
    }
    if (!json.empty()) std::ofstream(json) << "[\n" << text << "\n]\n";
    return 0;
}

}  // namespace
}  // namespace guideway::worker

int main(int argc, char** argv) { return guideway::worker::run(argc, argv); }
