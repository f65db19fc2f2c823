// Connections of an earlier process: judged by the state of this one, copied where the shape differs, found by their clients.
#include "dataplane/worker/takeover.h"

#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/packet/checksum.h"
#include "dataplane/packet/rewrite.h"
#include "dataplane/snapshot/builder.h"
#include "dataplane/worker/family.h"
#include "dataplane/worker/plumbing.h"

namespace guideway::worker {
namespace {

constexpr std::uint32_t kNow = 100'000;

IpAddress ip(const char* text) { return IpAddress::parse(text).value(); }
std::uint16_t be(std::uint16_t port) { return __builtin_bswap16(port); }

contract::ForwardingState web() {
    contract::ForwardingState state;
    state.generation = 1;
    state.backend_sets.push_back(
        {"nodes",
         IpFamily::ipv4,
         {{"a", ip("10.0.2.11"), 0, 1}, {"b", ip("10.0.2.12"), 0, 1}, {"c", ip("10.0.2.13"), 8080, 1}}});
    state.backend_sets.push_back({"nodes6", IpFamily::ipv6, {{"a", ip("2001:db8:2::11"), 0, 1}}});
    state.services.push_back({"default/web", ip("203.0.113.10"), contract::Protocol::tcp, 80, "nodes", 30080, 0});
    state.services.push_back({"default/dns", ip("203.0.113.10"), contract::Protocol::udp, 53, "nodes", 30053, 40});
    state.services.push_back({"default/web", ip("2001:db8:1::10"), contract::Protocol::tcp, 80, "nodes6", 30080, 0});
    return state;
}

struct Engine {
    explicit Engine(const contract::ForwardingState& state = web())
        : builder({64, 64}, {ip("10.0.2.1"), ip("2001:db8:2::1")}) {
        // Slots of this process are others than those of a first state.
        contract::ForwardingState other;
        other.backend_sets.push_back({"x", IpFamily::ipv4, {{"x", ip("10.9.9.9"), 0, 1}}});
        other.services.push_back({"x", ip("203.0.113.99"), contract::Protocol::tcp, 80, "x", 1, 0});
        EXPECT_TRUE(builder.build(other));
        snapshot = builder.build(state).snapshot;
    }
    Conditions conditions(std::uint32_t workers = 1, bool known = true) const {
        return {*snapshot, known, flow::IdleLimits(flow::Timeouts{}), kNow, flow::Ownership(workers)};
    }
    snapshot::Builder builder;
    std::shared_ptr<const snapshot::ForwardingSnapshot> snapshot;
};

packet::FiveTupleV4 tuple(const char* from, const char* to, std::uint16_t from_port, std::uint16_t to_port,
                          std::uint8_t protocol = 6) {
    return {packet::to_network(ip(from)), packet::to_network(ip(to)), be(from_port), be(to_port), protocol, {}};
}

template <typename Entry>
Entry with_deltas(Entry entry) {
    const auto delta =
        packet::delta_between(entry.halves[flow::kClientHalf], packet::swapped(entry.halves[flow::kBackendHalf]));
    entry.checksum_delta_addresses = delta.addresses;
    entry.checksum_delta_all = delta.all;
    return entry;
}

/// As an earlier process left it: slots, next hops and marks of its own.
flow::FlowEntryV4 connection(std::uint16_t client_port, std::uint16_t snat_port, const char* node = "10.0.2.11",
                             std::uint16_t node_port = 30080) {
    flow::FlowEntryV4 entry;
    std::memset(static_cast<void*>(&entry), 0, sizeof entry);
    entry.halves = {tuple("198.51.100.7", "203.0.113.10", client_port, 80),
                    tuple(node, "10.0.2.1", node_port, snat_port)};
    entry.last_seen = kNow - 100;
    entry.next_hop = {3, 4};
    entry.routing_epoch = 9;
    entry.flags = flow::flow_flags::kLastHop;
    entry.looked_over = 5;
    entry.service_slot = 60000;
    entry.backend_slot = 60000;
    entry.sequence = {1000, 2000};
    entry.state = flow::ConnectionState::tcp_established;
    return with_deltas(entry);
}

/// Memory and tables of some workers; opened again by making another over the same entries.
struct Place {
    std::vector<std::byte> entries_v4, entries_v6, index_v4, index_v6;
    std::unique_ptr<flow::FlowTableV4> v4;
    std::unique_ptr<flow::FlowTableV6> v6;

    static std::span<std::byte> aligned(std::vector<std::byte>& memory) {
        const auto address = reinterpret_cast<std::uintptr_t>(memory.data());
        return std::span(memory).subspan((64 - address % 64) % 64);
    }
    explicit Place(std::uint32_t capacity) : capacity_(capacity) {
        entries_v4.resize(flow::FlowTableV4::entry_bytes(capacity) + 64);
        entries_v6.resize(flow::FlowTableV6::entry_bytes(capacity) + 64);
        index_v4.resize(flow::FlowTableV4::index_bytes(capacity) + 64);
        index_v6.resize(flow::FlowTableV6::index_bytes(capacity) + 64);
        open();
    }
    void open() {
        v4 = std::make_unique<flow::FlowTableV4>(aligned(entries_v4), aligned(index_v4), flow::FlowLimits{capacity_, 0},
                                                 7);
        v6 = std::make_unique<flow::FlowTableV6>(aligned(entries_v6), aligned(index_v6), flow::FlowLimits{capacity_, 0},
                                                 8);
    }
    Tables tables() { return {v4.get(), v6.get()}; }
    OldEntries old() {
        return {aligned(entries_v4).first(flow::FlowTableV4::entry_bytes(capacity_)),
                aligned(entries_v6).first(flow::FlowTableV6::entry_bytes(capacity_))};
    }
    void put(const flow::FlowEntryV4& entry) {
        ASSERT_NE(v4->insert(entry, v4->hash(entry.halves[0]), v4->hash(entry.halves[1])), v4->kNoEntry);
    }

  private:
    std::uint32_t capacity_;
};

flow::FlowEntryV4& found(Place& place, const flow::FlowEntryV4& entry) {
    const flow::FlowRef ref = place.v4->find(entry.halves[flow::kClientHalf]);
    EXPECT_TRUE(static_cast<bool>(ref));
    return place.v4->entry(ref.index());
}

/// The entry alone is left by one process and adopted by the next.
Outcome adopt_one(const flow::FlowEntryV4& entry, const Conditions& conditions, Place& place) {
    place.put(entry);
    place.open();
    const Outcome outcome = adopt(0, place.tables(), conditions);
    EXPECT_TRUE(place.v4->consistent());
    std::uint64_t all = 0;
    for (const std::uint64_t count : outcome.count) all += count;
    EXPECT_EQ(all, 1U) << "each entry has one verdict";
    EXPECT_EQ(outcome[Verdict::kept], place.v4->size());
    return outcome;
}

TEST(Takeover, AnEntryKeptRefersToTheStateOfThisProcess) {
    const Engine engine;
    Place place(64);
    const flow::FlowEntryV4 entry = connection(40000, 5000, "10.0.2.12");
    EXPECT_EQ(adopt_one(entry, engine.conditions(), place)[Verdict::kept], 1U);
    const flow::FlowEntryV4& now = found(place, entry);
    const auto* service = V4::find(engine.snapshot->services, entry.halves[0]);
    EXPECT_EQ(now.service_slot, service->slot);
    EXPECT_EQ(now.service_incarnation, service->incarnation);
    const auto& backend = engine.snapshot->sets[service->backend_set].backends[1];
    EXPECT_EQ(now.backend_slot, backend.slot);
    EXPECT_EQ(now.backend_incarnation, backend.incarnation);
    EXPECT_EQ(now.next_hop[0], now.kNoNextHop);
    EXPECT_EQ(now.next_hop[1], now.kNoNextHop);
    EXPECT_EQ(now.flags, 0U) << "of a router of before nothing is known";
    EXPECT_EQ(now.looked_over, 0);
    EXPECT_EQ(now.sequence[0], 1000U);
    EXPECT_EQ(now.last_seen, kNow - 100);
}

TEST(Takeover, ABackendWithItsOwnPortIsFoundByIt) {
    const Engine engine;
    Place place(64);
    const flow::FlowEntryV4 entry = connection(40000, 5000, "10.0.2.13", 8080);
    EXPECT_EQ(adopt_one(entry, engine.conditions(), place).strays, 0U);
    EXPECT_EQ(found(place, entry).backend_slot, engine.snapshot->sets[0].backends[2].slot);
}

TEST(Takeover, AConnectionOnAServicesFormerNodePortStaysItsBackends) {
    const Engine engine;
    Place place(64);
    const flow::FlowEntryV4 entry = connection(40000, 5000, "10.0.2.11", 31111);
    EXPECT_EQ(adopt_one(entry, engine.conditions(), place).strays, 0U);
    EXPECT_EQ(found(place, entry).backend_slot, engine.snapshot->sets[0].backends[0].slot);
}

TEST(Takeover, AConnectionWhoseBackendLeftIsKeptAsIfItHadGoneMeanwhile) {
    const Engine engine;
    Place place(64);
    const flow::FlowEntryV4 entry = connection(40000, 5000, "10.0.2.77");
    const Outcome outcome = adopt_one(entry, engine.conditions(), place);
    EXPECT_EQ(outcome[Verdict::kept], 1U);
    EXPECT_EQ(outcome.strays, 1U);
    const flow::FlowEntryV4& now = found(place, entry);
    EXPECT_NE(now.backend_incarnation, engine.snapshot->backend_incarnation.at(now.backend_slot));
}

TEST(Takeover, WithoutItsServiceAConnectionIsRefused) {
    contract::ForwardingState state = web();
    state.services.erase(state.services.begin());
    const Engine engine(state);
    Place place(64);
    EXPECT_EQ(adopt_one(connection(40000, 5000), engine.conditions(), place)[Verdict::service_gone], 1U);
}

TEST(Takeover, WithoutAStateNothingIsKept) {
    const Engine engine;
    Place place(64);
    EXPECT_EQ(adopt_one(connection(40000, 5000), engine.conditions(1, false), place)[Verdict::no_state], 1U);
}

TEST(Takeover, AnSnatAddressTakenAwayIsNamed) {
    const Engine engine;
    Place place(64);
    flow::FlowEntryV4 entry = connection(40000, 5000);
    entry.halves[flow::kBackendHalf].destination = packet::to_network(ip("10.0.0.9"));
    const Outcome outcome = adopt_one(with_deltas(entry), engine.conditions(), place);
    EXPECT_EQ(outcome[Verdict::snat_gone], 1U);
    EXPECT_EQ(
        report_of(std::span(&outcome, 1)).text("F"),
        "0 connections kept of the file F; 1 could not be kept: their SNAT address 10.0.0.9 is no longer configured");
}

TEST(Takeover, DeltasThatDoNotBelongToTheTuplesAreDamage) {
    const Engine engine;
    for (const bool addresses : {false, true}) {
        Place place(64);
        flow::FlowEntryV4 entry = connection(40000, 5000);
        ++(addresses ? entry.checksum_delta_addresses : entry.checksum_delta_all);
        EXPECT_EQ(adopt_one(entry, engine.conditions(), place)[Verdict::damaged], 1U);
    }
}

TEST(Takeover, TheTimeOutEndsAlsoWhileNobodyIsThere) {
    const Engine engine;
    const flow::Timeouts timeouts;
    for (const std::uint32_t over : {0U, 1U}) {
        Place place(64);
        flow::FlowEntryV4 entry = connection(40000, 5000);
        entry.last_seen = kNow - timeouts.tcp_established - flow::kStampSeconds + 1 - over;
        EXPECT_EQ(adopt_one(entry, engine.conditions(), place)[Verdict::idle], over);
    }
    Place place(64);
    flow::FlowEntryV4 own = connection(40000, 5000, "10.0.2.11", 30053);
    own.halves[0] = tuple("198.51.100.7", "203.0.113.10", 40000, 53, 17);
    own.halves[1].protocol = 17;
    own.state = flow::ConnectionState::udp_both_ways;
    own.last_seen = kNow - 60;  // its service says 40
    EXPECT_EQ(adopt_one(with_deltas(own), engine.conditions(), place)[Verdict::idle], 1U);
}

TEST(Takeover, ATimeAheadOfTheClockIsNow) {
    const Engine engine;
    Place place(64);
    flow::FlowEntryV4 entry = connection(40000, 5000);
    entry.last_seen = kNow + 2;
    EXPECT_EQ(adopt_one(entry, engine.conditions(), place)[Verdict::kept], 1U);
    EXPECT_EQ(found(place, entry).last_seen, kNow);
}

TEST(Takeover, Ipv6ConnectionsAreJudgedTheSame) {
    const Engine engine;
    Place place(64);
    flow::FlowEntryV6 entry;
    std::memset(static_cast<void*>(&entry), 0, sizeof entry);
    entry.halves[0] = {ip("2001:db8:c::7").bytes, ip("2001:db8:1::10").bytes, be(40000), be(80), 6, {}};
    entry.halves[1] = {ip("2001:db8:2::11").bytes, ip("2001:db8:2::1").bytes, be(30080), be(5000), 6, {}};
    entry.state = flow::ConnectionState::tcp_established;
    entry.last_seen = kNow;
    entry = with_deltas(entry);
    flow::FlowEntryV6 strange = entry;
    strange.halves[0].source_port = be(40001);
    strange.halves[1].destination = ip("2001:db8:2::99").bytes;
    strange = with_deltas(strange);
    for (const auto& one : {entry, strange})
        place.v6->insert(one, place.v6->hash(one.halves[0]), place.v6->hash(one.halves[1]));
    place.open();
    const Outcome outcome = adopt(0, place.tables(), engine.conditions());
    EXPECT_EQ(outcome[Verdict::kept], 1U);
    EXPECT_EQ(outcome[Verdict::snat_gone], 1U);
    EXPECT_TRUE(static_cast<bool>(place.v6->find(entry.halves[0])));
}

/// `count` connections of one worker, shared out to `workers`.
struct Import {
    Import(std::uint32_t count, std::uint32_t workers, std::uint32_t capacity)
        : old(count), conditions(engine.conditions(workers)) {
        std::mt19937 random(5);
        for (std::uint32_t i = 0; i < count; ++i) {
            entries.push_back(connection(static_cast<std::uint16_t>(1024 + i),
                                         static_cast<std::uint16_t>(2000 + random() % 50000 / 8 * 8 + i % 8)));
            // Ports may be doubled by chance: make them apart.
            entries.back().halves[1].destination_port = be(static_cast<std::uint16_t>(2000 + i * 3));
            entries.back() = with_deltas(entries.back());
            old.put(entries.back());
        }
        const OldEntries regions[] = {old.old()};
        std::vector<std::vector<Relocation>> lists;
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            places.push_back(std::make_unique<Place>(capacity));
            outcomes.push_back(import(worker, places.back()->tables(), regions, conditions));
            lists.push_back(outcomes.back().relocations);
        }
        relocations = Relocations(lists);
    }
    const Engine engine;
    Place old;
    Conditions conditions;
    std::vector<flow::FlowEntryV4> entries;
    std::vector<std::unique_ptr<Place>> places;
    std::vector<Outcome> outcomes;
    Relocations relocations;
};

TEST(Takeover, EachConnectionIsImportedByTheWorkerItsRepliesComeTo) {
    for (const std::uint32_t workers : {1U, 2U, 3U, 7U}) {
        Import import(500, workers, 500);
        for (const flow::FlowEntryV4& entry : import.entries) {
            const std::uint32_t home = import.conditions.homes.of_reply(entry.halves[1]);
            for (std::uint32_t worker = 0; worker < workers; ++worker) {
                EXPECT_EQ(static_cast<bool>(import.places[worker]->v4->find(entry.halves[0])), worker == home);
                EXPECT_EQ(static_cast<bool>(import.places[worker]->v4->find(entry.halves[1])), worker == home);
            }
        }
        EXPECT_EQ(report_of(import.outcomes).kept_count(), 500U);
        EXPECT_EQ(report_of(import.outcomes).lost_count(), 0U);
    }
}

TEST(Takeover, ClientsOfImportedConnectionsAreLedToTheirWorkers) {
    for (const std::uint32_t workers : {1U, 2U, 3U, 7U}) {
        Import import(500, workers, 500);
        std::size_t elsewhere = 0;
        for (const flow::FlowEntryV4& entry : import.entries) {
            const std::uint64_t selection = flow::selection_hash(entry.halves[0]);
            const std::uint32_t owner = flow::owner_worker(selection, workers);
            const std::uint32_t home = import.conditions.homes.of_reply(entry.halves[1]);
            EXPECT_EQ(import.relocations.of(selection, owner), home);
            elsewhere += owner != home;
        }
        EXPECT_EQ(import.relocations.size(), elsewhere);
    }
}

TEST(Takeover, WhatDoesNotFitIsCountedAndNothingElse) {
    Import import(500, 2, 100);
    EXPECT_EQ(report_of(import.outcomes).kept_count(), 200U);
    std::uint64_t no_room = 0;
    for (const Outcome& outcome : import.outcomes) no_room += outcome[Verdict::no_room];
    EXPECT_EQ(no_room, 300U);
    for (const auto& place : import.places) EXPECT_TRUE(place->v4->consistent());
}

TEST(Takeover, EstablishedConnectionsAreImportedRatherThanHalfOpenOnes) {
    const Engine engine;
    const Conditions conditions = engine.conditions();
    Place old(200);
    for (std::uint16_t i = 0; i < 200; ++i) {
        flow::FlowEntryV4 entry =
            connection(static_cast<std::uint16_t>(1024 + i), static_cast<std::uint16_t>(2000 + i));
        if (i < 40) entry.state = flow::ConnectionState::tcp_opening;
        entry.last_seen = kNow;
        old.put(entry);
    }
    Place place(160);
    const OldEntries regions[] = {old.old()};
    const Outcome outcome = import(0, place.tables(), regions, conditions);
    EXPECT_EQ(outcome[Verdict::kept], 160U);
    EXPECT_EQ(outcome[Verdict::no_room], 40U);
    EXPECT_EQ(place.v4->waiting(flow::FlowList::opening), 0U);
    EXPECT_TRUE(place.v4->consistent());
}

TEST(Takeover, OfTwoWithOneTupleTheNewerIsImported) {
    const Engine engine;
    for (const bool newer_first : {false, true}) {
        Place first(8);
        Place second(8);
        flow::FlowEntryV4 older = connection(40000, 5000);
        flow::FlowEntryV4 newer = connection(40000, 6000);
        newer.last_seen = older.last_seen + 1;
        (newer_first ? first : second).put(newer);
        (newer_first ? second : first).put(older);
        Place place(8);
        const OldEntries regions[] = {first.old(), second.old()};
        const Outcome outcome = import(0, place.tables(), regions, engine.conditions());
        EXPECT_EQ(outcome[Verdict::kept], 1U);
        EXPECT_EQ(outcome[Verdict::doubled], 1U);
        EXPECT_TRUE(static_cast<bool>(place.v4->find(newer.halves[1])));
        EXPECT_FALSE(static_cast<bool>(place.v4->find(older.halves[1])));
    }
}

TEST(Takeover, ADamagedEntryIsCountedByOneWorkerOnly) {
    const Engine engine;
    Place old(8);
    flow::FlowEntryV4 entry = connection(40000, 5000);
    entry.state = flow::ConnectionState::udp_one_way;  // of a TCP connection
    old.put(entry);
    const OldEntries regions[] = {old.old()};
    std::uint64_t damaged = 0;
    for (std::uint32_t worker = 0; worker < 3; ++worker) {
        Place place(8);
        damaged += import(worker, place.tables(), regions, engine.conditions(3))[Verdict::damaged];
        EXPECT_EQ(place.v4->size(), 0U);
    }
    EXPECT_EQ(damaged, 1U);
}

TEST(Takeover, AnAdoptedEntryOfAnotherWorkersIsMovedThere) {
    const Engine engine;
    const Conditions conditions = engine.conditions(2);
    Place places[] = {Place(64), Place(64)};
    std::vector<flow::FlowEntryV4> entries;
    for (std::uint16_t i = 0; i < 40; ++i) {
        entries.push_back(connection(static_cast<std::uint16_t>(1024 + i), static_cast<std::uint16_t>(2000 + i)));
        places[i % 3 == 0].put(entries.back());
    }
    places[1].put(entries.front().halves[1].destination_port == be(2000) ? connection(1024, 9000) : entries.front());
    const Tables tables[] = {(places[0].open(), places[0].tables()), (places[1].open(), places[1].tables())};
    Outcome outcomes[] = {adopt(0, tables[0], conditions), adopt(1, tables[1], conditions)};
    move_home(tables, conditions, outcomes);
    std::uint64_t all = 0;
    for (const Outcome& outcome : outcomes) {
        for (const std::uint64_t count : outcome.count) all += count;
    }
    EXPECT_EQ(all, 41U) << "each entry has one verdict";
    std::vector<std::vector<Relocation>> lists{outcomes[0].relocations, outcomes[1].relocations};
    const Relocations relocations(lists);
    for (std::size_t i = 1; i < entries.size(); ++i) {
        const std::uint32_t home = conditions.homes.of_reply(entries[i].halves[1]);
        EXPECT_TRUE(static_cast<bool>(places[home].v4->find(entries[i].halves[0])));
        EXPECT_FALSE(static_cast<bool>(places[1 - home].v4->find(entries[i].halves[0])));
        const std::uint64_t selection = flow::selection_hash(entries[i].halves[0]);
        EXPECT_EQ(relocations.of(selection, flow::owner_worker(selection, 2)), home);
    }
    for (Place& place : places) EXPECT_TRUE(place.v4->consistent());
}

TEST(Relocations, HoldWhatWasPutInAndNothingElse) {
    std::mt19937_64 random(3);
    std::map<std::uint64_t, std::uint32_t> model;
    std::vector<std::vector<Relocation>> lists(4);
    for (std::uint32_t i = 0; i < 20'000; ++i) {
        const std::uint64_t hash = i % 5 == 0 ? random() & 0xffffffff00000000U : random();
        lists[i % 4].push_back({hash, i % 64});
        model[hash >> 7] = i % 64;
    }
    model.clear();
    for (const auto& list : lists) {
        for (const Relocation& one : list) model[one.selection_hash >> 7] = one.home;
    }
    const Relocations relocations(lists);
    for (const auto& list : lists) {
        for (const Relocation& one : list)
            EXPECT_EQ(relocations.of(one.selection_hash, 99), model[one.selection_hash >> 7]);
    }
    for (int i = 0; i < 20'000; ++i) EXPECT_EQ(relocations.of(random(), 99), 99U);
}

TEST(Relocations, EmptyOnesNameTheOwnerByTheTuple) {
    EXPECT_EQ(Relocations{}.of(0, 3), 3U);
    EXPECT_EQ(Relocations{}.size(), 0U);
}

}  // namespace
}  // namespace guideway::worker
