// store_bench: durable commits a second of the SQLite store, by records in a batch, beside the bare rate of the same disk.
//
//   store_bench [--dir FOLDER] [--json FILE] [--quick]
//
// sync     4 KiB written to the end of a file and fdatasync, one after the other: no durable store that syncs once a commit is faster
// commit   SqliteStore::commit of so many records, each a load balancer's document (1.1 KB) of 20,000 that are there. Half are new
//          versions at random, half go and come again. Checkpoints are part of it.
// Times are of one call, in milliseconds; records/s is what group commit gives to as many clients. FOLDER (default: here) must lie on the
// disk in question; the files made are removed. Run nothing else on the disk.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <unistd.h>
#include <vector>

#include "controlplane/store/sqlite_store.h"

namespace guideway::store {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kRecords = 20'000;
constexpr std::size_t kDocument = 1100;

[[noreturn]] void fail(const std::string& why) {
    std::fprintf(stderr, "store_bench: %s\n", why.c_str());
    std::exit(1);
}

struct Row {
    const char* name;
    std::size_t batch;
    std::size_t calls;
    double seconds;
    double p50, p99, worst;
    double calls_per_second() const { return static_cast<double>(calls) / seconds; }
    double records_per_second() const { return calls_per_second() * static_cast<double>(batch); }
};

Row measure(const char* name, std::size_t batch, double seconds, const std::function<void()>& call) {
    std::vector<double> times;
    const auto begin = Clock::now();
    double passed = 0;
    while (passed < seconds) {
        const auto from = Clock::now();
        call();
        const auto to = Clock::now();
        times.push_back(std::chrono::duration<double, std::milli>(to - from).count());
        passed = std::chrono::duration<double>(to - begin).count();
    }
    std::sort(times.begin(), times.end());
    const auto at = [&](double part) {
        return times[static_cast<std::size_t>(part * static_cast<double>(times.size() - 1))];
    };
    return {name, batch, times.size(), passed, at(0.5), at(0.99), times.back()};
}

Row bare_syncs(const fs::path& folder, double seconds) {
    const std::string path = folder / "sync";
    const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) fail("cannot open " + path + ": " + std::strerror(errno));
    const std::string page(4096, 'x');
    const Row row = measure("sync", 1, seconds, [&] {
        if (::write(file, page.data(), page.size()) != 4096 || ::fdatasync(file) != 0) fail("cannot write to " + path);
    });
    ::close(file);
    return row;
}

std::string key_of(std::size_t number) { return "default/service-" + std::to_string(number); }

Row commits(const fs::path& folder, std::size_t size, double seconds) {
    const std::string path = folder / "store.db";
    for (const char* end : {"", "-wal", ".lock"}) fs::remove(path + end);
    auto opened = SqliteStore::open(path);
    if (const auto* error = std::get_if<Error>(&opened)) fail(error->message);
    auto& store = std::get<0>(opened);
    const std::string document(kDocument, 'x');
    Batch first{{}, 0, 1, 1};
    std::vector<bool> there(kRecords, true);
    for (std::size_t i = 0; i < kRecords; ++i) first.changes.push_back({"load-balancer", key_of(i), document});
    if (const auto error = store->commit(first)) fail(error->message);
    std::mt19937_64 random(1);
    std::uint64_t revision = 1;
    return measure("commit", size, seconds, [&] {
        Batch batch{{}, revision, revision + 1, revision};
        std::size_t at = random() % kRecords;
        for (std::size_t i = 0; i < size; ++i) {
            at = (at + 1 + random() % 7) % kRecords;  // no key twice
            const bool goes = there[at] && random() % 3 == 0;
            there[at] = !goes;
            batch.changes.push_back({"load-balancer", key_of(at), goes ? std::nullopt : std::optional(document)});
        }
        if (const auto error = store->commit(batch)) fail(error->message);
        ++revision;
    });
}

int run(int argc, char** argv) {
    std::string json;
    fs::path parent = ".";
    double seconds = 5;
    for (int i = 1; i < argc; ++i) {
        const std::string word = argv[i];
        if (word == "--quick") {
            seconds = 0.5;
        } else if (word == "--json" && i + 1 < argc) {
            json = argv[++i];
        } else if (word == "--dir" && i + 1 < argc) {
            parent = argv[++i];
        } else {
            std::fprintf(stderr, "store_bench [--dir FOLDER] [--json FILE] [--quick]\n");
            return 2;
        }
    }
    std::string name = (parent / "store-bench-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr)
        fail("cannot make a folder in " + parent.string() + ": " + std::strerror(errno));
    const fs::path folder = name;
    std::vector<Row> rows;
    rows.push_back(bare_syncs(folder, seconds));
    for (const std::size_t size : {1, 8, 32, 128}) rows.push_back(commits(folder, size, seconds));
    rows.push_back(bare_syncs(folder, seconds));  // again: a disk whose rate changed meanwhile is seen
    fs::remove_all(folder);

    std::printf("%-8s %6s %9s %10s %11s %9s %9s %9s %9s\n", "case", "batch", "calls", "calls/s", "records/s", "of sync",
                "p50 ms", "p99 ms", "worst ms");
    const double floor = std::max(rows.front().calls_per_second(), rows.back().calls_per_second());
    std::string text;
    for (const Row& row : rows) {
        const double ratio = row.calls_per_second() / floor;
        std::printf("%-8s %6zu %9zu %10.0f %11.0f %8.0f%% %9.2f %9.2f %9.2f\n", row.name, row.batch, row.calls,
                    row.calls_per_second(), row.records_per_second(), ratio * 100, row.p50, row.p99, row.worst);
        char line[384];
        std::snprintf(
            line, sizeof line,
            R"(%s  {"case": "store", "what": "%s", "batch": %zu, "calls": %zu, "calls_per_second": %.1f, "records_per_second": %.1f, "of_bare_sync": %.3f, "p50_ms": %.3f, "p99_ms": %.3f, "worst_ms": %.3f})",
            text.empty() ? "" : ",\n", row.name, row.batch, row.calls, row.calls_per_second(), row.records_per_second(),
            ratio, row.p50, row.p99, row.worst);
        text += line;
    }
    if (!json.empty()) std::ofstream(json) << "[\n" << text << "\n]\n";
    return 0;
}

}  // namespace
}  // namespace guideway::store

int main(int argc, char** argv) { return guideway::store::run(argc, argv); }
