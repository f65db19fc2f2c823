// States built one after another by one builder mean the same as each of them built alone; and what the builder promises about
// slots, incarnations and tables holds over random sequences, refused states among them.
#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/snapshot/builder.h"

namespace guideway::snapshot {
namespace {

constexpr std::uint32_t kSlots = 24;

using ServiceKey = std::tuple<IpAddress, std::uint8_t, std::uint16_t>;
using BackendKey = std::pair<IpAddress, std::uint16_t>;
using Users = std::map<std::uint16_t, std::pair<std::string, int>>;  ///< by slot: who, with which incarnation

contract::ForwardingState random_state(std::mt19937& random, std::uint64_t generation) {
    contract::ForwardingState state;
    state.generation = generation;
    const unsigned sets = 1 + random() % 3;
    for (unsigned i = 0; i < sets; ++i) {
        contract::BackendSet set{"set-" + std::to_string(i), IpFamily::ipv4, {}};
        for (std::uint32_t at = 0; at < 12; ++at) {
            if (random() % 3 == 0) continue;
            set.backends.push_back({"node-" + std::to_string(at), IpAddress::v4(0x0a000001U + at),
                                    static_cast<std::uint16_t>(random() % 8 == 0 ? 8080 : 0),
                                    static_cast<std::uint32_t>(random() % 8 == 0 ? 0 : 1)});
        }
        std::shuffle(set.backends.begin(), set.backends.end(), random);
        state.backend_sets.push_back(std::move(set));
    }
    for (std::uint32_t at = 0; at < 16; ++at) {
        if (random() % 3 == 0) continue;
        state.services.push_back({"default/s" + std::to_string(at), IpAddress::v4(0xcb007101U + at / 2),
                                  contract::Protocol::tcp, static_cast<std::uint16_t>(80 + at % 2),
                                  "set-" + std::to_string(random() % sets), 30080, 0});
    }
    std::shuffle(state.services.begin(), state.services.end(), random);
    return state;
}

/// What a client would notice.
void expect_same_meaning(const ForwardingSnapshot& a, const ForwardingSnapshot& b) {
    ASSERT_EQ(a.generation, b.generation);
    ASSERT_EQ(a.services.services().size(), b.services.services().size());
    for (std::size_t i = 0; i < a.services.services().size(); ++i) {
        const auto& one = a.services.services()[i];
        const auto* found = b.services.find(one.vip, one.protocol, one.port_be);
        ASSERT_NE(found, nullptr);
        ASSERT_EQ(found->backend_set, one.backend_set);
        ASSERT_EQ(found->backend_port_be, one.backend_port_be);
        ASSERT_TRUE(b.vips.contains(one.vip));
        ASSERT_EQ(a.service_labels[i].name, b.service_labels[i].name);
    }
    ASSERT_EQ(a.sets.size(), b.sets.size());
    for (std::size_t set = 0; set < a.sets.size(); ++set) {
        const auto slots_a = a.sets[set].table->slots();
        const auto slots_b = b.sets[set].table->slots();
        ASSERT_TRUE(std::equal(slots_a.begin(), slots_a.end(), slots_b.begin(), slots_b.end()));
        ASSERT_EQ(a.sets[set].backends.size(), b.sets[set].backends.size());
        for (std::size_t i = 0; i < a.sets[set].backends.size(); ++i) {
            ASSERT_EQ(a.sets[set].backends[i].address, b.sets[set].backends[i].address);
            ASSERT_EQ(a.sets[set].backends[i].port_be, b.sets[set].backends[i].port_be);
            ASSERT_EQ(a.sets[set].backends[i].weight, b.sets[set].backends[i].weight);
        }
        ASSERT_EQ(a.set_labels[set].backends, b.set_labels[set].backends);
    }
    ASSERT_EQ(a.backend_labels.size(), b.backend_labels.size());
}

Users services_of(const ForwardingSnapshot& snapshot) {
    Users users;
    for (const auto& one : snapshot.services.services()) {
        const std::string who = one.vip.to_string() + " " + std::to_string(one.port_be);
        EXPECT_TRUE(users.emplace(one.slot, std::pair(who, int{one.incarnation})).second) << "a slot with two users";
        EXPECT_EQ(snapshot.service_incarnation[one.slot], one.incarnation);
    }
    return users;
}

Users backends_of(const ForwardingSnapshot& snapshot) {
    Users users;
    for (const auto& set : snapshot.sets) {
        for (const auto& one : set.backends) {
            const std::string who = one.address.to_string() + " " + std::to_string(one.port_be);
            const auto [there, fresh] = users.emplace(one.slot, std::pair(who, int{one.incarnation}));
            EXPECT_TRUE(fresh || there->second.first == who) << "a slot with two users";
            EXPECT_EQ(snapshot.backend_incarnation[one.slot], one.incarnation);
        }
    }
    return users;
}

/// Who stays keeps slot and incarnation; who is new has another incarnation than the slot's last user, and not its slot at once.
void expect_continuity(const Users& before, const Users& after, std::map<std::uint16_t, int>& last_incarnation,
                       std::map<std::uint16_t, std::string>& last_user) {
    std::map<std::string, std::uint16_t> slot_before;
    for (const auto& [slot, user] : before) slot_before[user.first] = slot;
    for (const auto& [slot, user] : after) {
        const auto stayed = slot_before.find(user.first);
        if (stayed != slot_before.end()) {
            ASSERT_EQ(stayed->second, slot) << user.first;
            ASSERT_EQ(before.at(slot).second, user.second) << user.first;
        } else {
            ASSERT_EQ(before.count(slot), 0U) << "reused by the very state that frees it";
            if (last_user.count(slot) != 0) {
                ASSERT_NE(last_incarnation[slot], user.second) << user.first;
            }
        }
        last_user[slot] = user.first;
        last_incarnation[slot] = user.second;
    }
}

TEST(SnapshotBuilderProperty, ASequenceOfStatesMeansWhatEachMeansAlone) {
    for (unsigned seed = 1; seed <= 3; ++seed) {
        std::mt19937 random(seed);
        Builder builder({kSlots, kSlots}, {IpAddress::v4(0x0a0002feU)});
        Users services, backends;
        std::map<std::uint16_t, int> service_incarnation, backend_incarnation;
        std::map<std::uint16_t, std::string> service_user, backend_user;
        std::shared_ptr<const ForwardingSnapshot> previous;
        int applied = 0;
        for (std::uint64_t step = 1; step <= 25; ++step) {
            const auto state = random_state(random, step);
            if (random() % 4 == 0) {  // a refused one in between leaves no trace
                auto spoilt = random_state(random, 1000 + step);
                for (std::uint32_t i = 0; i <= kSlots; ++i) {
                    spoilt.services.push_back(
                        {"default/x", IpAddress::v4(0xc6336401U + i), contract::Protocol::udp, 53, "set-0", 30053, 0});
                }
                const auto refused = builder.build(spoilt);
                ASSERT_FALSE(refused);
                ASSERT_EQ(refused.faults.at(0).field, "/services");
            }
            const auto result = builder.build(state);
            if (!result) {  // slots of what was removed are free from the next state on
                ASSERT_TRUE(result.faults.at(0).field == "/services" || result.faults.at(0).field == "/backend_sets");
                continue;
            }
            ++applied;
            Builder alone({kSlots, kSlots}, {IpAddress::v4(0x0a0002feU)});
            const auto fresh = alone.build(state);
            ASSERT_TRUE(fresh);
            expect_same_meaning(*result.snapshot, *fresh.snapshot);
            const Users services_now = services_of(*result.snapshot);
            const Users backends_now = backends_of(*result.snapshot);
            expect_continuity(services, services_now, service_incarnation, service_user);
            expect_continuity(backends, backends_now, backend_incarnation, backend_user);
            if (HasFatalFailure()) return;
            services = services_now;
            backends = backends_now;
            previous = result.snapshot;
            // The same state once more changes nothing, and builds no table.
            const auto again = builder.build(state);
            ASSERT_TRUE(again);
            ASSERT_EQ(again.snapshot->service_incarnation, previous->service_incarnation);
            ASSERT_EQ(again.snapshot->backend_incarnation, previous->backend_incarnation);
            for (std::size_t set = 0; set < previous->sets.size(); ++set) {
                ASSERT_EQ(again.snapshot->sets[set].table, previous->sets[set].table);
            }
        }
        ASSERT_GT(applied, 5);
    }
}

TEST(SnapshotBuilderProperty, TenThousandServicesOfOneSetCostOneTableAndAChangeOfOneNodeOneMore) {
    contract::ForwardingState state;
    for (std::uint32_t set = 0; set < 50; ++set) {  // the same nodes under many names
        contract::BackendSet one{"set-" + std::to_string(set), IpFamily::ipv4, {}};
        for (std::uint32_t i = 0; i < 100; ++i) one.backends.push_back({"n", IpAddress::v4(0x0a000001U + i), 0, 1});
        state.backend_sets.push_back(std::move(one));
    }
    for (std::uint32_t i = 0; i < 10000; ++i) {
        state.services.push_back({"default/s", IpAddress::v4(0xcb007101U + i), contract::Protocol::tcp, 80,
                                  "set-" + std::to_string(i % 50), 30080, 0});
    }
    Builder builder({16384, 4096}, {});
    const auto first = builder.build(state);
    ASSERT_TRUE(first);
    for (const auto& set : first.snapshot->sets) ASSERT_EQ(set.table, first.snapshot->sets[0].table);
    state.services.pop_back();
    const auto second = builder.build(state);
    ASSERT_TRUE(second);
    for (const auto& set : second.snapshot->sets) ASSERT_EQ(set.table, first.snapshot->sets[0].table);
    state.backend_sets[7].backends[3].weight = 0;
    const auto third = builder.build(state);
    ASSERT_TRUE(third);
    for (std::size_t i = 0; i < third.snapshot->sets.size(); ++i) {
        if (i == 7) {
            ASSERT_NE(third.snapshot->sets[i].table, first.snapshot->sets[0].table);
        } else {
            ASSERT_EQ(third.snapshot->sets[i].table, first.snapshot->sets[0].table);
        }
    }
}

}  // namespace
}  // namespace guideway::snapshot
