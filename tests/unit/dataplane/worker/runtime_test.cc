// Workers on real threads: changes of state while they poll, rings between threads, a clean stop.
#include "dataplane/worker/runtime.h"

#include <array>
#include <cstdlib>
#include <ctime>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_ring.h>

#include "dataplane/persist/file_header.h"

namespace guideway::worker {
namespace {

rte_mempool* pool() {
    static rte_mempool* const instance = [] {
        std::array<std::string, 9> words{
            "runtime_test",         "--no-huge", "--no-shconf", "--no-telemetry",   "--no-pci",
            "--lcores=0@0,1@0,2@0", "-m",        "64",          "--log-level=error"};
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        if (rte_eal_init(static_cast<int>(arguments.size()), arguments.data()) < 0) std::abort();
        return rte_pktmbuf_pool_create("runtime", 255, 0, 0, RTE_MBUF_DEFAULT_BUF_SIZE, SOCKET_ID_ANY);
    }();
    return instance;
}

RuntimeSettings two_workers() {
    RuntimeSettings settings;
    settings.pool = pool();
    settings.lcores = {1, 2};
    settings.ports.resize(2);
    settings.worker.capacity = {1024, 1024, 16, 16};
    settings.snat_addresses = {IpAddress::v4(0x0a000201)};
    return settings;
}

contract::ForwardingState state(std::uint64_t generation) {
    contract::ForwardingState result;
    result.generation = generation;
    result.backend_sets.push_back({"nodes", IpFamily::ipv4, {{"node-1", IpAddress::v4(0x0a00020b), 0, 1}}});
    result.services.push_back({"default/web", IpAddress::v4(0xcb00710a), contract::Protocol::tcp,
                               static_cast<std::uint16_t>(1 + generation % 8), "nodes", 30080, 0});
    return result;
}

TEST(Runtime, StatesAreAppliedWhileWorkersPollAndTheyStopCleanly) {
    std::string error;
    const auto runtime = Runtime::create(two_workers(), error);
    ASSERT_NE(runtime, nullptr) << error;
    ASSERT_TRUE(runtime->apply(state(1)).empty());
    ASSERT_TRUE(runtime->start(error)) << error;
    std::thread reader([&] {
        for (int i = 0; i < 50; ++i) {
            (void)runtime->counters();
            (void)runtime->explain({contract::Protocol::tcp, IpAddress::v4(1), 1, IpAddress::v4(0xcb00710a), 1});
        }
    });
    for (std::uint64_t generation = 2; generation <= 50; ++generation) {
        ASSERT_TRUE(runtime->apply(state(generation)).empty());
        auto routing = std::make_shared<snapshot::RoutingSnapshot>();
        routing->epoch = static_cast<std::uint16_t>(generation);
        runtime->publisher().publish(std::move(routing));
    }
    reader.join();
    while (runtime->counters().workers[1].polls == 0) std::this_thread::yield();
    runtime->stop();
    const contract::Counters counters = runtime->counters();
    EXPECT_EQ(counters.generation, 50U);
    ASSERT_EQ(counters.workers.size(), 2U);
    EXPECT_GT(counters.workers[0].polls, 0U);
    EXPECT_EQ(counters.workers[0].flow_capacity_ipv4, 1024U);
}

TEST(Runtime, ItCanBeStartedAgainAfterAStop) {
    std::string error;
    const auto runtime = Runtime::create(two_workers(), error);
    ASSERT_NE(runtime, nullptr) << error;
    for (int i = 0; i < 2; ++i) {
        ASSERT_TRUE(runtime->start(error)) << error;
        runtime->stop();
    }
}

TEST(Runtime, WhatTheKernelSendsToANonexistentPortIsCountedByTheWorker) {
    std::string error;
    const auto runtime = Runtime::create(two_workers(), error);
    ASSERT_NE(runtime, nullptr) << error;
    rte_mbuf* mbuf = rte_pktmbuf_alloc(pool());
    ASSERT_NE(mbuf, nullptr);
    mbuf->port = 7;
    // Before the start: the race detector does not understand the ring's fences.
    ASSERT_EQ(rte_ring_sp_enqueue(runtime->from_kernel(), mbuf), 0);
    ASSERT_TRUE(runtime->start(error)) << error;
    const auto dropped = [&] {
        const contract::Counters counters = runtime->counters();
        for (const auto& drop : counters.workers[0].drops) {
            if (drop.reason == "no_route") return drop.packets;
        }
        return std::uint64_t{0};
    };
    while (dropped() == 0) std::this_thread::yield();
    runtime->stop();
    EXPECT_EQ(rte_mempool_in_use_count(pool()), 0U);
}

TEST(Runtime, AFaultLeavesTheStateInForce) {
    std::string error;
    const auto runtime = Runtime::create(two_workers(), error);
    ASSERT_NE(runtime, nullptr) << error;
    ASSERT_TRUE(runtime->apply(state(1)).empty());
    auto bad = state(2);
    bad.services[0].backend_set = "missing";
    EXPECT_EQ(runtime->apply(bad).at(0).field, "/services/0/backend_set");
    EXPECT_EQ(runtime->counters().generation, 1U);
}

/// A folder of its own on tmpfs.
struct Folder {
    Folder() { EXPECT_NE(mkdtemp(path.data()), nullptr); }
    ~Folder() { std::filesystem::remove_all(path); }
    std::string path = "/dev/shm/runtime-test-XXXXXX";
};

TEST(Runtime, TheFlowFileOutlivesTheRuntimeAndAnotherNumberOfWorkersTakesItOver) {
    const Folder folder;
    const auto with_file = [&](std::size_t workers) {
        RuntimeSettings settings = two_workers();
        settings.lcores.resize(workers);
        settings.ports.resize(workers);
        settings.flow_file = {folder.path, folder.path + "/dataplane.sock", false};
        return settings;
    };
    std::string error;
    std::string path;
    for (const std::size_t workers : {2U, 2U, 1U, 2U}) {
        const auto runtime = Runtime::create(with_file(workers), error);
        ASSERT_NE(runtime, nullptr) << error;
        ASSERT_TRUE(runtime->apply(state(1)).empty());
        const TakeoverResult& result = runtime->take_over();
        if (path.empty()) {
            EXPECT_TRUE(result.outcomes.empty());
            path = runtime->counters().flow_file.path;
            EXPECT_TRUE(std::filesystem::exists(path));
        } else {
            EXPECT_EQ(result.outcomes.size(), workers);
            ASSERT_EQ(result.lines.size(), 1U);
            EXPECT_NE(result.lines[0].text.find("0 connections kept of the file " + path), std::string::npos);
        }
        EXPECT_EQ(runtime->counters().flow_file.path, path);
        ASSERT_TRUE(runtime->start(error)) << error;
        runtime->stop();
    }
    const auto first = Runtime::create(with_file(2), error);
    ASSERT_NE(first, nullptr) << error;
    EXPECT_EQ(Runtime::create(with_file(2), error), nullptr);
    EXPECT_NE(error.find("in use"), std::string::npos) << error;
}

/// Writes to the file between two processes, as worker `w` would have: the client went to that backend at `opened_s`.
void remember_in(const std::string& path, std::uint32_t w, const flow::AffinityKey& key, const IpAddress& backend,
                 std::uint32_t opened_s) {
    const int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    const auto length = static_cast<std::size_t>(std::filesystem::file_size(path));
    void* const memory = mmap(nullptr, length, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    ASSERT_NE(memory, MAP_FAILED);
    const std::span<std::byte> bytes(static_cast<std::byte*>(memory), length);
    const auto& region = reinterpret_cast<const persist::FileHeader*>(bytes.data())->regions[w][persist::kAffinity];
    const auto lines = bytes.subspan(region.offset, region.bytes);
    flow::AffinityTable table;
    table.attach(lines, flow::AffinityTable::seed_in(lines));
    table.remember(key, table.hash(key), {flow::address_words(backend), 0}, 10800, 0, opened_s);
    munmap(memory, length);
}

TEST(Runtime, ClientsRememberedOutliveTheRuntimeAlsoWithAnotherNumberOfWorkers) {
    // Why: Kubernetes rule 13; the two clients were remembered by different workers, and Maglev would choose among fifty.
    const Folder folder;
    const auto make = [&](std::size_t workers, std::uint32_t clients) {
        RuntimeSettings settings = two_workers();
        settings.lcores.resize(workers);
        settings.ports.resize(workers);
        settings.worker.capacity.backends = 64;
        settings.worker.capacity.affinity_clients = clients;
        settings.flow_file = {folder.path, folder.path + "/dataplane.sock", false};
        std::string error;
        auto runtime = Runtime::create(std::move(settings), error);
        EXPECT_NE(runtime, nullptr) << error;
        auto with_affinity = state(1);
        with_affinity.services[0].affinity_seconds = 10800;
        for (std::uint32_t i = 2; i <= 50; ++i)
            with_affinity.backend_sets[0].backends.push_back(
                {"node-" + std::to_string(i), IpAddress::v4(0x0a00020a + i), 0, 1});
        EXPECT_TRUE(runtime->apply(with_affinity).empty());
        return runtime;
    };
    const auto vip = IpAddress::v4(0xcb00710a);
    const std::array<IpAddress, 2> clients{IpAddress::v4(0xc6336407), IpAddress::v4(0xc6336408)};
    const std::array<IpAddress, 2> nodes{IpAddress::v4(0x0a00020b + 3), IpAddress::v4(0x0a00020b + 4)};
    std::string path;
    {
        const auto first = make(2, 64);
        first->take_over();
        path = first->counters().flow_file.path;
    }
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    for (std::uint32_t w = 0; w < 2; ++w) {
        const flow::AffinityKey key{flow::address_words(clients[w]), flow::address_words(vip), __builtin_bswap16(2), 6};
        remember_in(path, w, key, nodes[w], static_cast<std::uint32_t>(now.tv_sec));
    }
    const std::array<std::pair<std::size_t, std::uint32_t>, 4> shapes{{{2, 64}, {1, 64}, {2, 1024}, {2, 1024}}};
    for (const auto& [workers, lines] : shapes) {
        const auto runtime = make(workers, lines);
        std::uint64_t kept = 0;
        for (const auto& one : runtime->take_over().clients) kept += one.kept;
        EXPECT_EQ(kept, 2U) << workers << " workers, " << lines << " lines";
        EXPECT_NE(runtime->take_over().lines.back().text.find("2 clients remembered"), std::string::npos);
        for (std::size_t i = 0; i < 2; ++i) {
            const auto answer = runtime->explain({contract::Protocol::tcp, clients[i], 4000, vip, 2});
            EXPECT_EQ(answer.backend_address, nodes[i].to_string()) << workers << " workers, " << lines << " lines";
        }
    }
}

TEST(Runtime, WorkersAndPortsMustMatch) {
    std::string error;
    RuntimeSettings settings = two_workers();
    settings.ports.resize(1);
    EXPECT_EQ(Runtime::create(std::move(settings), error), nullptr);
    EXPECT_FALSE(error.empty());
}

}  // namespace
}  // namespace guideway::worker
