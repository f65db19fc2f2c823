// Steering by RSS against a NIC computed bit by bit: every reply comes home, ports stay evenly usable, exhaustion is late.
//
// The simulation: clients' packets arrive where the NIC's hash says, that worker owns the connection and chooses its SNAT
// port, the reply arrives where the NIC's hash says. 1..16 queues, tables of 64, 128 and 512 entries, known and random keys.
#include <array>
#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <unordered_set>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/flow/ownership.h"
#include "dataplane/flow/snat_ports.h"
#include "tests/unit/dataplane/flow/rss_testing.h"

namespace guideway::flow {
namespace {

using testing::arrives_at;
using testing::even_layout;
using testing::random_key;
using testing::random_tuple;

constexpr std::uint32_t kPorts = 65536 - 1024;

std::vector<ToeplitzKey> keys() {
    std::mt19937_64 random(2024);
    std::vector<ToeplitzKey> list{testing::kMicrosoftKey, testing::kMellanoxKey, testing::kSymmetricKey};
    for (int i = 0; i < 3; ++i) list.push_back(random_key(random));
    return list;
}

constexpr std::uint16_t port_of(std::uint16_t network) {
    return static_cast<std::uint16_t>(network << 8 | network >> 8);
}

/// The reply tuples in use: of one worker, as its flow table knows them.
template <typename Tuple>
struct InUse {
    struct Hash {
        std::size_t operator()(const Tuple& tuple) const { return hash_tuple(tuple, kSelectionKeys); }
    };
    std::unordered_set<Tuple, Hash> set;
};

template <typename Tuple>
struct Appliance {
    using Address = decltype(Tuple::destination);

    Appliance(const RssLayout& given, std::uint32_t workers, std::uint16_t last = 65535)
        : layout(given), ownership(workers) {
        std::string error;
        map = RssMap<Tuple>::make(layout, workers, 1024, last, error);
        if (map == nullptr) throw std::runtime_error(error);
        ownership.use_rss(map, {6, 17, 132});
        for (std::uint32_t worker = 0; worker < workers; ++worker) choosers.emplace_back(1024, last, worker, ownership);
        tables.resize(workers);
    }

    std::optional<Tuple> open(std::uint32_t worker, const Tuple& backend, const Address& snat, std::uint64_t hash) {
        const std::array<Address, 1> addresses{snat};
        auto& table = tables[worker].set;
        const auto reply = choosers[worker].choose(backend, std::span<const Address>(addresses), hash,
                                                   [&](const Tuple& tuple) { return table.contains(tuple); });
        if (reply && !table.insert(*reply).second) ADD_FAILURE() << "a tuple given twice";
        return reply;
    }

    RssLayout layout;
    Ownership ownership;
    std::shared_ptr<const RssMap<Tuple>> map;
    std::vector<SnatPorts> choosers;
    std::vector<InUse<Tuple>> tables;
};

template <typename Tuple>
void every_reply_comes_home() {
    std::mt19937_64 random(7);
    for (const ToeplitzKey& key : keys()) {
        for (const std::size_t entries : {std::size_t{64}, std::size_t{128}, std::size_t{512}}) {
            for (std::uint16_t queues = 1; queues <= 16; ++queues) {
                Appliance<Tuple> appliance(even_layout(key, entries, queues), queues);
                std::vector<Tuple> backends;
                for (int i = 0; i < 5; ++i) backends.push_back(random_tuple<Tuple>(random));
                const Tuple snat = random_tuple<Tuple>(random);
                std::vector<std::uint32_t> owned(queues);
                for (int i = 0; i < 300; ++i) {
                    const auto client = random_tuple<Tuple>(random);
                    const std::uint32_t home = arrives_at(appliance.layout, client);
                    ASSERT_EQ(appliance.ownership.of_client(client, selection_hash(client)), home);
                    const auto reply = appliance.open(home, backends[random() % 5], snat.destination, random());
                    ASSERT_TRUE(reply);
                    ASSERT_GE(port_of(reply->destination_port), 1024);
                    ASSERT_EQ(arrives_at(appliance.layout, *reply), home) << entries << " " << queues;
                    ++owned[home];
                }
                for (const std::uint32_t count : owned) ASSERT_GT(count, 0U) << "the NIC of this test does not spread";
            }
        }
    }
}

TEST(RssSteeringProperty, EveryReplyComesHomeIpv4) { every_reply_comes_home<packet::FiveTupleV4>(); }
TEST(RssSteeringProperty, EveryReplyComesHomeIpv6) { every_reply_comes_home<packet::FiveTupleV6>(); }

template <typename Tuple>
void each_worker_has_its_share() {
    std::mt19937_64 random(8);
    for (const ToeplitzKey& key : keys()) {
        for (const std::size_t entries : {std::size_t{64}, std::size_t{128}, std::size_t{512}, std::size_t{2048}}) {
            for (std::uint16_t queues = 1; queues <= 16; ++queues) {
                const Appliance<Tuple> appliance(even_layout(key, entries, queues), queues);
                std::uint32_t sum = 0;
                const auto backend = random_tuple<Tuple>(random);
                for (std::uint32_t worker = 0; worker < queues; ++worker) {
                    const std::uint32_t count = appliance.map->ports_to(worker, backend).count();
                    // Evenly by what the table gives it: with 64 entries and 15 queues that is 4 or 5 entries.
                    const double share = std::floor(static_cast<double>(entries) / queues) / entries * kPorts;
                    ASSERT_GT(count, share * 0.93) << entries << " entries, " << queues << " queues";
                    ASSERT_GE(count, appliance.map->fewest_ports());
                    sum += count;
                }
                ASSERT_EQ(sum, kPorts) << "each port belongs to one worker";
            }
        }
    }
}

TEST(RssSteeringProperty, EachWorkerHasItsShareOfThePortsTowardsEachBackendIpv4) {
    each_worker_has_its_share<packet::FiveTupleV4>();
}
TEST(RssSteeringProperty, EachWorkerHasItsShareOfThePortsTowardsEachBackendIpv6) {
    each_worker_has_its_share<packet::FiveTupleV6>();
}

TEST(RssSteeringProperty, PortsAreUsedEvenly) {
    std::mt19937_64 random(9);
    for (const std::uint16_t queues : {std::uint16_t{3}, std::uint16_t{4}}) {
        Appliance<packet::FiveTupleV4> appliance(even_layout(testing::kMicrosoftKey, 128, queues), queues);
        const auto backend = random_tuple<packet::FiveTupleV4>(random);
        std::array<std::uint32_t, 64> by_part{};  // of the range
        constexpr std::uint32_t kEach = 100;
        for (std::uint32_t i = 0; i < by_part.size() * kEach; ++i) {
            const auto reply = appliance.open(static_cast<std::uint32_t>(random() % queues), backend, 101, random());
            ASSERT_TRUE(reply);
            ++by_part[(port_of(reply->destination_port) - 1024U) * by_part.size() / kPorts];
        }
        double chi_square = 0;
        for (const std::uint32_t count : by_part)
            chi_square += (count - double{kEach}) * (count - double{kEach}) / kEach;
        EXPECT_LT(chi_square, 63 + 5 * std::sqrt(2.0 * 63)) << queues;
    }
}

TEST(RssSteeringProperty, AWorkersPortsAreFoundExhaustedNotBefore99Percent) {
    std::mt19937_64 random(10);
    for (const std::uint16_t queues : {std::uint16_t{1}, std::uint16_t{3}, std::uint16_t{4}, std::uint16_t{16}}) {
        Appliance<packet::FiveTupleV6> appliance(even_layout(testing::kMellanoxKey, 512, queues), queues);
        const auto backend = random_tuple<packet::FiveTupleV6>(random);
        const std::uint32_t worker = queues / 2U;
        const std::uint32_t all = appliance.map->ports_to(worker, backend).count();
        std::uint32_t used = 0;
        while (appliance.open(worker, backend, backend.destination, random())) ++used;
        EXPECT_GE(used, all * 99ULL / 100) << queues << " queues";
        EXPECT_LE(used, all);
        if (queues > 1) {
            EXPECT_TRUE(appliance.open(worker - 1, backend, backend.destination, random()))
                << "another's ports are free";
        }
        auto other = random_tuple<packet::FiveTupleV6>(random);
        EXPECT_TRUE(appliance.open(worker, other, backend.destination, random())) << "towards another backend too";
    }
}

TEST(RssSteeringProperty, OfAFewPortsEachIsGivenOnceThenNone) {
    // Fewer ports than one scan looks at: the search is complete.
    std::mt19937_64 random(11);
    Appliance<packet::FiveTupleV4> appliance(even_layout(testing::kMicrosoftKey, 512, 3), 3, 3000);
    for (int i = 0; i < 4; ++i) {
        const auto backend = random_tuple<packet::FiveTupleV4>(random);
        std::uint32_t sum = 0;
        for (std::uint32_t worker = 0; worker < 3; ++worker) {
            while (appliance.open(worker, backend, backend.destination, random())) ++sum;
        }
        EXPECT_EQ(sum, 3000U - 1024 + 1) << "every port of the range, none left";
    }
}

TEST(RssSteeringProperty, OpeningAndClosingNeverRepeatsALiveTuple) {
    std::mt19937_64 random(12);
    Appliance<packet::FiveTupleV4> appliance(even_layout(testing::kMellanoxKey, 128, 3), 3, 1800);
    std::array<packet::FiveTupleV4, 3> backends{};
    for (auto& backend : backends) backend = random_tuple<packet::FiveTupleV4>(random);
    std::array<std::array<std::uint32_t, 3>, 3> open{};  // by worker and backend
    std::vector<std::pair<packet::FiveTupleV4, std::pair<std::uint32_t, std::uint32_t>>> live;
    for (int step = 0; step < 100000; ++step) {
        if (random() % 100 < 54) {
            const auto worker = static_cast<std::uint32_t>(random() % 3);
            const auto which = static_cast<std::uint32_t>(random() % 3);
            auto probe = backends[which];
            probe.destination = 101;
            const std::uint32_t all = appliance.map->ports_to(worker, probe).count();
            const auto reply = appliance.open(worker, backends[which], 101, random());
            ASSERT_EQ(reply.has_value(), open[worker][which] < all) << "none exactly when none is left";
            if (!reply) continue;
            ASSERT_EQ(arrives_at(appliance.layout, *reply), worker);
            ++open[worker][which];
            live.push_back({*reply, {worker, which}});
        } else if (!live.empty()) {
            std::swap(live[random() % live.size()], live.back());
            const auto [worker, which] = live.back().second;
            appliance.tables[worker].set.erase(live.back().first);
            --open[worker][which];
            live.pop_back();
        }
    }
    EXPECT_GT(live.size(), 2000U) << "the walk should have reached high use";
}

}  // namespace
}  // namespace guideway::flow
