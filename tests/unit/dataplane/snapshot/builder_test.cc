#include "dataplane/snapshot/builder.h"

#include <set>

#include <gtest/gtest.h>

namespace guideway::snapshot {
namespace {

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }

contract::Service service(const char* vip, std::uint16_t port, const char* set = "nodes") {
    contract::Service result;
    result.name = "default/web";
    result.vip = ip(vip);
    result.port = port;
    result.backend_set = set;
    result.backend_port = 30080;
    return result;
}

contract::BackendSet nodes(const char* name, std::initializer_list<const char*> addresses) {
    contract::BackendSet set;
    set.name = name;
    for (const char* address : addresses) set.backends.push_back({address, ip(address), 0, 1});
    return set;
}

contract::ForwardingState state(std::vector<contract::Service> services, std::vector<contract::BackendSet> sets) {
    contract::ForwardingState result;
    result.generation = 7;
    result.services = std::move(services);
    result.backend_sets = std::move(sets);
    return result;
}

const balancing::ServiceEntry* find(const BuildResult& result, const char* vip, std::uint16_t port) {
    return result.snapshot->services.find(ip(vip), 6, __builtin_bswap16(port));
}

class BuilderTest : public ::testing::Test {
  protected:
    Builder builder_{{.services = 4, .backends = 4}, {ip("10.0.2.1"), ip("2001:db8:2::1"), ip("10.0.2.2")}};
};

TEST_F(BuilderTest, AServiceIsFoundByVipProtocolAndPortAndItsBackendHasItsSlot) {
    const auto result = builder_.build(state({service("203.0.113.10", 80)}, {nodes("nodes", {"10.0.2.11"})}));
    ASSERT_TRUE(result);
    EXPECT_EQ(result.snapshot->generation, 7U);
    const auto* entry = find(result, "203.0.113.10", 80);
    ASSERT_NE(entry, nullptr);
    EXPECT_EQ(find(result, "203.0.113.10", 81), nullptr);
    EXPECT_TRUE(result.snapshot->vips.contains(ip("203.0.113.10")));
    const auto* backend = result.snapshot->sets[entry->backend_set].choose(12345);
    ASSERT_NE(backend, nullptr);
    EXPECT_EQ(backend->address, ip("10.0.2.11"));
    EXPECT_EQ(result.snapshot->backend_incarnation[backend->slot], backend->incarnation);
}

TEST_F(BuilderTest, AVipIsServedOnThePortsItIsBoundToOrOnAll) {
    Builder builder({4, 4}, {}, {"client", "node"});
    auto wanted = state({service("203.0.113.10", 80), service("203.0.113.11", 80)}, {nodes("nodes", {"10.0.2.11"})});
    wanted.vip_ports = {{ip("203.0.113.10"), {"node", "gone", "away"}}, {ip("203.0.113.9"), {"gone"}}};
    const auto result = builder.build(wanted);
    ASSERT_TRUE(result) << "a port that is not there holds up nothing else";
    const ForwardingSnapshot& snapshot = *result.snapshot;
    EXPECT_FALSE(snapshot.served_on(0, ip("203.0.113.10")));
    EXPECT_TRUE(snapshot.served_on(1, ip("203.0.113.10")));
    EXPECT_FALSE(snapshot.served_on(1, ip("203.0.113.9")));
    EXPECT_TRUE(snapshot.served_on(0, ip("203.0.113.11")) && snapshot.served_on(1, ip("203.0.113.11")));
    EXPECT_EQ(snapshot.unknown_ports, (std::vector<std::string>{"gone", "away"}));
}

TEST_F(BuilderTest, SnatAddressesAreSplitByFamilyInTheirOrder) {
    const auto result = builder_.build(state({}, {}));
    ASSERT_TRUE(result);
    ASSERT_EQ(result.snapshot->snat_v4.size(), 2U);
    EXPECT_EQ(__builtin_bswap32(result.snapshot->snat_v4[1]), ip("10.0.2.2").v4_value());
    EXPECT_EQ(result.snapshot->snat_v6.size(), 1U);
    EXPECT_TRUE(result.snapshot->snat.contains(ip("2001:db8:2::1")));
}

TEST_F(BuilderTest, WhatStaysKeepsItsSlotWhateverItsPlaceInTheState) {
    const auto first = builder_.build(state({service("203.0.113.10", 80), service("203.0.113.11", 80)},
                                            {nodes("nodes", {"10.0.2.11", "10.0.2.12"})}));
    const auto second = builder_.build(state({service("203.0.113.12", 80), service("203.0.113.11", 80)},
                                             {nodes("nodes", {"10.0.2.12", "10.0.2.13"})}));
    ASSERT_TRUE(first && second);
    EXPECT_EQ(find(first, "203.0.113.11", 80)->slot, find(second, "203.0.113.11", 80)->slot);
    EXPECT_EQ(find(first, "203.0.113.11", 80)->incarnation, find(second, "203.0.113.11", 80)->incarnation);
    const auto slot_of = [](const BuildResult& result, const char* address) {
        for (const auto& label : result.snapshot->backend_labels) {
            if (label.address == ip(address)) return int{label.slot};
        }
        return -1;
    };
    EXPECT_EQ(slot_of(first, "10.0.2.12"), slot_of(second, "10.0.2.12"));
    EXPECT_EQ(slot_of(second, "10.0.2.11"), -1);
}

TEST_F(BuilderTest, ARemovedServicesSlotHasAnotherIncarnationAtOnceAndIsReusedLast) {
    const auto first = builder_.build(state({service("203.0.113.10", 80)}, {nodes("nodes", {"10.0.2.11"})}));
    const auto old = *find(first, "203.0.113.10", 80);
    const auto second = builder_.build(state({service("203.0.113.11", 80)}, {nodes("nodes", {"10.0.2.11"})}));
    EXPECT_NE(second.snapshot->service_incarnation[old.slot], old.incarnation);
    std::set<std::uint16_t> slots{old.slot};
    const auto third = builder_.build(
        state({service("203.0.113.12", 80), service("203.0.113.11", 80)}, {nodes("nodes", {"10.0.2.11"})}));
    EXPECT_NE(find(third, "203.0.113.12", 80)->slot, old.slot);  // untouched slots come first
    const auto full = builder_.build(state({service("203.0.113.11", 80), service("203.0.113.12", 80),
                                            service("203.0.113.13", 80), service("203.0.113.10", 80)},
                                           {nodes("nodes", {"10.0.2.11"})}));
    ASSERT_TRUE(full);
    const auto& reused = *find(full, "203.0.113.10", 80);
    EXPECT_EQ(reused.slot, old.slot);
    EXPECT_NE(reused.incarnation, old.incarnation);
    EXPECT_EQ(reused.incarnation, full.snapshot->service_incarnation[reused.slot]);
}

TEST_F(BuilderTest, ASlotIsNotReusedByTheVeryStateThatFreesIt) {
    const auto set = nodes("nodes", {"10.0.2.11"});
    ASSERT_TRUE(builder_.build(state({service("203.0.113.10", 1), service("203.0.113.10", 2),
                                      service("203.0.113.10", 3), service("203.0.113.10", 4)},
                                     {set})));
    const auto swapped = builder_.build(state({service("203.0.113.10", 5)}, {set}));
    ASSERT_FALSE(swapped);
    EXPECT_EQ(swapped.faults.at(0).field, "/services");
    ASSERT_TRUE(builder_.build(state({service("203.0.113.10", 1)}, {set})));
    EXPECT_TRUE(builder_.build(state({service("203.0.113.10", 5)}, {set})));
}

TEST_F(BuilderTest, EqualBackendSetsShareOneMaglevTableAcrossNamesOrderAndStates) {
    const auto first = builder_.build(state({}, {nodes("a", {"10.0.2.11", "10.0.2.12"}),
                                                 nodes("b", {"10.0.2.12", "10.0.2.11"}), nodes("c", {"10.0.2.12"})}));
    ASSERT_TRUE(first);
    EXPECT_EQ(first.snapshot->sets[0].table, first.snapshot->sets[1].table);
    EXPECT_NE(first.snapshot->sets[0].table, first.snapshot->sets[2].table);
    const auto second = builder_.build(state({}, {nodes("x", {"10.0.2.11", "10.0.2.12"})}));
    EXPECT_EQ(second.snapshot->sets[0].table, first.snapshot->sets[0].table);
    auto heavier = nodes("x", {"10.0.2.11", "10.0.2.12"});
    heavier.backends[0].weight = 5;
    EXPECT_NE(builder_.build(state({}, {heavier})).snapshot->sets[0].table, first.snapshot->sets[0].table);
}

TEST_F(BuilderTest, ABackendInTwoSetsHasOneSlot) {
    const auto result = builder_.build(state({}, {nodes("a", {"10.0.2.11"}), nodes("b", {"10.0.2.11", "10.0.2.12"})}));
    ASSERT_TRUE(result);
    EXPECT_EQ(result.snapshot->backend_labels.size(), 2U);
    EXPECT_EQ(result.snapshot->sets[0].backends[0].slot, result.snapshot->sets[1].backends[0].slot);
}

TEST_F(BuilderTest, DrainedBackendsKeepTheirSlotButAreNotChosen) {
    auto set = nodes("nodes", {"10.0.2.11", "10.0.2.12"});
    set.backends[0].weight = 0;
    const auto result = builder_.build(state({}, {set}));
    for (std::uint32_t i = 0; i < 1000; ++i) {
        EXPECT_EQ(result.snapshot->sets[0].choose(i * 4294967U)->address, ip("10.0.2.12"));
    }
    EXPECT_EQ(result.snapshot->backend_labels.size(), 2U);
    set.backends[1].weight = 0;
    EXPECT_EQ(builder_.build(state({}, {set})).snapshot->sets[0].choose(1), nullptr);
}

TEST_F(BuilderTest, FaultsNameTheFieldAndLeaveNoTrace) {
    const auto good = builder_.build(state({service("203.0.113.10", 80)}, {nodes("nodes", {"10.0.2.11"})}));
    const auto bad = builder_.build(
        state({service("10.0.2.1", 80), service("203.0.113.11", 80, "missing"), service("2001:db8::10", 80)},
              {nodes("nodes", {"10.0.2.11"})}));
    ASSERT_FALSE(bad);
    ASSERT_EQ(bad.faults.size(), 3U);
    EXPECT_EQ(bad.faults[0].field, "/services/0/vip");
    EXPECT_EQ(bad.faults[1].field, "/services/1/backend_set");
    EXPECT_EQ(bad.faults[2].field, "/services/2/backend_set");
    const auto many =
        builder_.build(state({}, {nodes("nodes", {"10.0.2.1", "10.0.2.2", "10.0.2.3", "10.0.2.4", "10.0.2.5"})}));
    ASSERT_FALSE(many);
    EXPECT_EQ(many.faults.at(0).field, "/backend_sets");
    const auto again = builder_.build(state({service("203.0.113.10", 80)}, {nodes("nodes", {"10.0.2.11"})}));
    ASSERT_TRUE(again);
    EXPECT_EQ(find(again, "203.0.113.10", 80)->slot, find(good, "203.0.113.10", 80)->slot);
    EXPECT_EQ(again.snapshot->service_incarnation, good.snapshot->service_incarnation);
}

}  // namespace
}  // namespace guideway::snapshot
