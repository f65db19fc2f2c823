#include "dataplane/snapshot/publisher.h"

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/observe/tap.h"

namespace guideway::snapshot {
namespace {

std::shared_ptr<const RoutingSnapshot> routing(std::uint16_t epoch) {
    auto snapshot = std::make_shared<RoutingSnapshot>();
    snapshot->epoch = epoch;
    snapshot->next_hops.resize(64);
    for (NextHop& hop : snapshot->next_hops) hop.mtu = epoch;
    return snapshot;
}

TEST(Publisher, ReadersNeverSeeNull) {
    Publisher publisher(1);
    EXPECT_NE(publisher.forwarding(), nullptr);
    EXPECT_NE(publisher.routing(), nullptr);
    EXPECT_EQ(publisher.current_forwarding()->generation, 0U);
}

TEST(Publisher, ATapComesAndGoesWithoutAChangeOfTheState) {
    Publisher publisher(1);
    EXPECT_EQ(publisher.view().tap, nullptr);
    const std::uint64_t number = publisher.view().number;
    auto tap = std::make_shared<observe::Tap>(observe::TapFilter{}, observe::TapBounds{}, 1);
    const std::weak_ptr<observe::Tap> held = tap;
    publisher.show_tap(std::move(tap));
    EXPECT_EQ(publisher.view().tap, held.lock().get());
    EXPECT_EQ(publisher.view().number, number);
    publisher.publish(routing(2));
    EXPECT_NE(publisher.view().tap, nullptr) << "a change of the state does not end it";
    EXPECT_EQ(publisher.view().number, number + 1);
    publisher.show_tap(nullptr);
    EXPECT_EQ(publisher.view().tap, nullptr);
    EXPECT_TRUE(held.expired());
}

TEST(Publisher, YieldedAddressesComeAndGoWithoutAChangeOfTheState) {
    Publisher publisher(1);
    EXPECT_EQ(publisher.view().yielded, nullptr);
    const std::uint64_t number = publisher.view().number;
    auto set = std::make_shared<const YieldedSet>(std::vector<Place>{{0, IpAddress::v4(0xcb00710a)}});
    const std::weak_ptr<const YieldedSet> held = set;
    publisher.show_yielded(std::move(set));
    ASSERT_NE(publisher.view().yielded, nullptr);
    EXPECT_TRUE(publisher.view().yielded->contains(0, IpAddress::v4(0xcb00710a)));
    EXPECT_EQ(publisher.view().number, number) << "connections need no new look";
    publisher.publish(routing(2));
    EXPECT_EQ(publisher.view().yielded, held.lock().get()) << "a change of the state does not end it";
    publisher.show_yielded(nullptr);
    EXPECT_EQ(publisher.view().yielded, nullptr);
    EXPECT_TRUE(held.expired());
}

TEST(Publisher, WhatIsOnlyAddedNeedsNoNewLook) {
    Publisher publisher(1);
    publisher.publish(routing(2));
    const std::uint64_t number = publisher.view().number;
    const auto more = routing(2);
    publisher.publish_addition(more);
    EXPECT_EQ(publisher.view().number, number);
    EXPECT_EQ(publisher.view().routing, more.get());
}

TEST(Publisher, WithoutWorkersOnlineNothingIsWaitedFor) {
    Publisher publisher(2);
    publisher.register_worker(0);
    std::weak_ptr<const RoutingSnapshot> first;
    {
        auto snapshot = routing(1);
        first = snapshot;
        publisher.publish(std::move(snapshot));
    }
    EXPECT_FALSE(first.expired());
    publisher.publish(routing(2));
    EXPECT_TRUE(first.expired());
    EXPECT_EQ(publisher.routing()->epoch, 2);
    publisher.unregister_worker(0);
}

TEST(Publisher, AnOldSnapshotLivesUntilEachOnlineWorkerWasQuiescent) {
    Publisher publisher(1);
    std::weak_ptr<const RoutingSnapshot> watch;
    {
        auto first = routing(1);
        watch = first;
        publisher.publish(std::move(first));
    }
    publisher.register_worker(0);
    publisher.online(0);
    std::atomic<bool> published{false};
    std::thread control([&] {
        publisher.publish(routing(2));
        published = true;
    });
    while (publisher.current_routing()->epoch != 2) std::this_thread::yield();
    EXPECT_FALSE(watch.expired());  // this worker has not been quiescent since the swap
    while (!published) publisher.quiescent(0);
    control.join();
    EXPECT_TRUE(watch.expired());
    publisher.offline(0);
    publisher.unregister_worker(0);
}

TEST(Publisher, WorkersThatReadWhileTwoControlThreadsPublishSeeWholeSnapshots) {
    constexpr std::uint32_t kWorkers = 2;
    constexpr std::uint16_t kPublications = 200;
    Publisher publisher(kWorkers);
    publisher.publish(routing(1));
    std::atomic<bool> stop{false};
    std::atomic<std::uint64_t> torn{0};
    std::vector<std::thread> workers;
    for (std::uint32_t worker = 0; worker < kWorkers; ++worker) {
        publisher.register_worker(worker);
        workers.emplace_back([&, worker] {
            publisher.online(worker);
            for (std::uint64_t poll = 0; !stop.load(std::memory_order_relaxed); ++poll) {
                const RoutingSnapshot* snapshot = publisher.routing();
                for (const NextHop& hop : snapshot->next_hops) {
                    if (hop.mtu != snapshot->epoch) torn.fetch_add(1, std::memory_order_relaxed);
                }
                (void)publisher.forwarding()->generation;
                if (poll % 16 == 0) {
                    publisher.offline(worker);
                    std::this_thread::yield();
                    publisher.online(worker);
                } else {
                    publisher.quiescent(worker);
                }
            }
            publisher.offline(worker);
        });
    }
    std::thread forwarding([&] {
        for (std::uint16_t i = 0; i < kPublications; ++i) {
            publisher.publish(std::make_shared<const ForwardingSnapshot>());
        }
    });
    for (std::uint16_t i = 2; i < kPublications; ++i) publisher.publish(routing(i));
    forwarding.join();
    stop = true;
    for (std::thread& worker : workers) worker.join();
    EXPECT_EQ(torn, 0U);
    for (std::uint32_t worker = 0; worker < kWorkers; ++worker) publisher.unregister_worker(worker);
}

}  // namespace
}  // namespace guideway::snapshot
