// SnatPorts on a real flow table beside a set: unique reply tuples, reuse over backends, exhaustion, even use.
#include <array>
#include <cstdlib>
#include <memory>
#include <random>
#include <set>
#include <tuple>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/flow/flow_table.h"
#include "dataplane/flow/snat_ports.h"

namespace guideway::flow {
namespace {

using Tuple = packet::FiveTupleV4;

constexpr std::uint16_t swapped(std::uint16_t port) { return static_cast<std::uint16_t>(port << 8 | port >> 8); }

struct FreeMemory {
    void operator()(std::byte* memory) const { std::free(memory); }
};

class Appliance {
  public:
    explicit Appliance(std::uint32_t capacity)
        : memory_(static_cast<std::byte*>(std::aligned_alloc(64, FlowTableV4::bytes_needed(capacity)))),
          table_(std::span(memory_.get(), FlowTableV4::bytes_needed(capacity)), capacity, 5) {}

    /// Opens a connection of a new client to the backend; the reply tuple it got, or nothing when ports are exhausted.
    std::optional<Tuple> open(SnatPorts& ports, std::uint32_t backend, std::span<const std::uint32_t> snat_addresses) {
        const Tuple client{++clients_, 0x0a7100cb, static_cast<std::uint16_t>(clients_), 0x5000, 6, {}};
        const auto reply =
            ports.choose(Tuple{backend, 0, swapped(30080), 0, 6, {}}, snat_addresses, selection_hash(client),
                         [&](const Tuple& tuple) { return static_cast<bool>(table_.find(tuple)); });
        if (reply && table_.insert(client, *reply) == FlowTableV4::kNoEntry) ADD_FAILURE() << "flow table full";
        return reply;
    }
    void close(const Tuple& reply) { table_.erase(table_.find(reply).index()); }

  private:
    std::unique_ptr<std::byte, FreeMemory> memory_;
    FlowTableV4 table_;
    std::uint32_t clients_ = 0;
};

TEST(SnatPortsProperty, GivesEveryPortOfEveryAddressToEveryBackendOnceThenNone) {
    constexpr std::array<std::uint32_t, 3> kSnat{101, 102, 103};
    for (const std::uint32_t workers : {1U, 3U}) {
        Appliance appliance(5000);
        SnatPorts ports(2000, 2299, workers - 1, workers);
        std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint16_t>> reference;
        const std::uint32_t each = 300 / workers;
        for (std::uint32_t backend = 1; backend <= 4; ++backend) {
            for (std::uint32_t i = 0; i < each * kSnat.size(); ++i) {
                const auto reply = appliance.open(ports, backend, kSnat);
                ASSERT_TRUE(reply) << "backend " << backend << ", connection " << i;
                const std::uint16_t port = swapped(reply->destination_port);
                ASSERT_TRUE(port >= 2000 && port <= 2299 && port % workers == workers - 1);
                ASSERT_TRUE(reference.emplace(backend, reply->destination, port).second) << "given twice";
            }
            ASSERT_FALSE(appliance.open(ports, backend, kSnat));
        }
        EXPECT_EQ(reference.size(), 4 * each * kSnat.size());
    }
}

TEST(SnatPortsProperty, RandomOpeningAndClosingNeverRepeatsALiveTuple) {
    constexpr std::array<std::uint32_t, 2> kSnat{101, 102};
    Appliance appliance(5000);
    SnatPorts ports(1024, 1279, 0, 1);
    std::mt19937 random(3);
    std::vector<Tuple> live;
    std::set<std::tuple<std::uint32_t, std::uint32_t, std::uint16_t>> reference;
    const auto key = [](const Tuple& t) { return std::tuple(t.source, t.destination, t.destination_port); };
    std::array<std::uint32_t, 4> per_backend{};
    for (int step = 0; step < 100000; ++step) {
        if (random() % 100 < 52) {
            const auto backend = static_cast<std::uint32_t>(random() % per_backend.size());
            const auto reply = appliance.open(ports, backend, kSnat);
            ASSERT_EQ(reply.has_value(), per_backend[backend] < 512) << "none exactly when none is left";
            if (!reply) continue;
            ++per_backend[backend];
            ASSERT_TRUE(reference.insert(key(*reply)).second);
            live.push_back(*reply);
        } else if (!live.empty()) {
            std::swap(live[random() % live.size()], live.back());
            appliance.close(live.back());
            --per_backend[live.back().source];
            reference.erase(key(live.back()));
            live.pop_back();
        }
    }
    EXPECT_GT(live.size(), 1500U) << "the walk should have reached high use";
}

TEST(SnatPortsProperty, NinetyEightPercentOfTheWholeRangeAreReliablyFound) {
    constexpr std::array<std::uint32_t, 1> kSnat{101};
    Appliance appliance(64512);
    SnatPorts ports(1024, 65535, 0, 1);
    for (std::uint32_t i = 0; i < 64512U * 98 / 100; ++i) ASSERT_TRUE(appliance.open(ports, 1, kSnat)) << i;
}

TEST(SnatPortsProperty, PortsAndAddressesAreUsedEvenly) {
    constexpr std::array<std::uint32_t, 4> kSnat{101, 102, 103, 104};
    Appliance appliance(40000);
    SnatPorts ports(1024, 65535, 0, 1);
    std::array<std::uint32_t, 4> by_address{};
    std::array<std::uint32_t, 16> by_part{};  // of the range
    for (std::uint32_t i = 0; i < 40000; ++i) {
        const auto reply = appliance.open(ports, 1, kSnat);
        ASSERT_TRUE(reply);
        ++by_address[reply->destination - 101];
        ++by_part[(swapped(reply->destination_port) - 1024U) * 16 / 64512];
    }
    for (const std::uint32_t count : by_address) EXPECT_NEAR(count, 10000, 500);  // five standard deviations
    for (const std::uint32_t count : by_part) EXPECT_NEAR(count, 2500, 250);
}

}  // namespace
}  // namespace guideway::flow
