#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "dataplane/net/eal.h"
#include "dataplane/net/ports.h"

namespace guideway::net {
namespace {

config::DataplaneConfig config_with(std::uint32_t workers, std::uint32_t megabytes = 256) {
    config::DataplaneConfig config;
    config.ports.resize(1);
    config.ports[0].device = "eth1";
    config.workers.count = workers;
    config.memory.megabytes = megabytes;
    return config;
}

bool has(const EalPlan& plan, const std::string& argument) { return std::ranges::count(plan.arguments, argument) == 1; }

std::string after(const EalPlan& plan, const std::string& option) {
    const auto found = std::ranges::find(plan.arguments, option);
    return found == plan.arguments.end() || found + 1 == plan.arguments.end() ? "" : *(found + 1);
}

const Machine kRoomy{{0, 1}, 1024, 8000};

TEST(EalPlan, TakesHugePagesWhereThereAreSome) {
    const auto plan = plan_eal(config_with(1), kRoomy);
    ASSERT_FALSE(plan.error);
    EXPECT_TRUE(plan.huge_pages);
    EXPECT_FALSE(has(plan, "--no-huge"));
    EXPECT_EQ(after(plan, "-m"), "256");
    EXPECT_TRUE(plan.warnings.empty());
}

TEST(EalPlan, GoesOnWithoutHugePagesAndSaysSo) {
    const auto plan = plan_eal(config_with(1), {{0, 1}, 0, 8000});
    ASSERT_FALSE(plan.error);
    EXPECT_TRUE(has(plan, "--no-huge"));
    ASSERT_EQ(plan.warnings.size(), 1U);
    EXPECT_NE(plan.warnings[0].find("vm.nr_hugepages"), std::string::npos);
}

TEST(EalPlan, RefusesWithoutHugePagesWhereTheyAreRequired) {
    auto config = config_with(1);
    config.memory.huge_pages = config::HugePages::require;
    EXPECT_TRUE(plan_eal(config, {{0, 1}, 0, 8000}).error);
    EXPECT_FALSE(plan_eal(config, kRoomy).error);
}

TEST(EalPlan, GoesOnSmallerWhenMemoryIsShortDownToALimit) {
    const auto huge = plan_eal(config_with(1, 4000), kRoomy);
    EXPECT_EQ(huge.megabytes, 1024U);
    EXPECT_EQ(huge.warnings.size(), 1U);
    const auto small = plan_eal(config_with(1, 4000), {{0}, 0, 328});
    EXPECT_EQ(small.megabytes, 200U);
    EXPECT_FALSE(small.error);
    EXPECT_TRUE(plan_eal(config_with(1), {{0}, 0, 150}).error);
}

TEST(EalPlan, PinsEachWorkerAndLetsTheMainThreadRoam) {
    const auto plan = plan_eal(config_with(2), kRoomy);
    EXPECT_EQ(after(plan, "--lcores"), "0@(0,1),1@0,2@1");
    EXPECT_EQ(plan.lcores, (std::vector<unsigned>{1, 2}));
}

TEST(EalPlan, MoreWorkersThanCoresShareThem) {
    const auto plan = plan_eal(config_with(3), kRoomy);
    EXPECT_EQ(after(plan, "--lcores"), "0@(0,1),1@0,2@1,3@0");
    ASSERT_EQ(plan.warnings.size(), 1U);
    EXPECT_NE(plan.warnings[0].find("3 workers share 2 cores"), std::string::npos);
}

TEST(EalPlan, CoresOfTheConfigurationAreKeptAndChecked) {
    auto config = config_with(1);
    config.workers.cores = {1};
    EXPECT_EQ(after(plan_eal(config, kRoomy), "--lcores"), "0@(0,1),1@1");
    config.workers.cores = {5};
    const auto plan = plan_eal(config, kRoomy);
    ASSERT_TRUE(plan.error);
    EXPECT_NE(plan.error->find("core 5, allowed for this process are 0,1"), std::string::npos) << *plan.error;
}

TEST(EalPlan, LeavesNothingOnDisk) {
    EXPECT_TRUE(has(plan_eal(config_with(1), kRoomy), "--in-memory"));
    EXPECT_TRUE(has(plan_eal(config_with(1), {{0, 1}, 0, 8000}), "--no-shconf"));
}

TEST(EalPlan, LooksAtPciOnlyWhereAPortIsThere) {
    EXPECT_TRUE(has(plan_eal(config_with(1), kRoomy), "--no-pci"));
    auto config = config_with(1);
    config.ports[0].kind = config::PortKind::pci;
    EXPECT_FALSE(has(plan_eal(config, kRoomy), "--no-pci"));
}

TEST(PortArguments, AFrameOfTheMtuFitsAPacketSocketsRing) {
    EXPECT_EQ(af_packet_arguments("eth1", 2, 1500),
              "iface=eth1,qpairs=2,framesz=2048,blocksz=65536,framecnt=1024,qdisc_bypass=1");
    EXPECT_NE(af_packet_arguments("eth1", 1, 9000).find("framesz=16384,"), std::string::npos);
    EXPECT_EQ(af_xdp_arguments("eth1", 2), "iface=eth1,start_queue=2,queue_count=1,busy_budget=0");
}

std::vector<std::pair<unsigned, unsigned>> receives(const worker::WorkerPort& share) {
    std::vector<std::pair<unsigned, unsigned>> list;
    if (share.rx_queue != worker::kNoQueue) list.emplace_back(share.ethdev, share.rx_queue);
    for (const auto& queue : share.further_rx) list.emplace_back(queue.ethdev, queue.queue);
    return list;
}

using Queues = std::vector<std::pair<unsigned, unsigned>>;

TEST(PortShare, EachWorkerHasAQueuePairOfADeviceWithEnough) {
    Port port;
    port.devices = {{5, 2, 2, ""}};
    EXPECT_EQ(receives(share_of(port, 0, 2)), (Queues{{5, 0}}));
    EXPECT_EQ(receives(share_of(port, 1, 2)), (Queues{{5, 1}}));
    EXPECT_EQ(share_of(port, 1, 2).tx_queue, 1);
}

TEST(PortShare, EveryQueueIsPolledByExactlyOneWorkerWhereThereAreMoreQueues) {
    Port port;
    port.devices = {{3, 1, 1, "a"}, {4, 1, 1, "b"}, {5, 1, 1, "c"}};
    EXPECT_EQ(receives(share_of(port, 0, 1)), (Queues{{3, 0}, {4, 0}, {5, 0}}));
    EXPECT_EQ(receives(share_of(port, 0, 2)), (Queues{{3, 0}, {4, 0}}));
    EXPECT_EQ(receives(share_of(port, 1, 2)), (Queues{{5, 0}}));
    EXPECT_EQ(share_of(port, 1, 2).ethdev, 5);
    EXPECT_EQ(share_of(port, 1, 2).tx_queue, 0);
}

TEST(PortShare, WithFewerReceiveQueuesTheFirstWorkersPollAndAllTransmit) {
    Port port;
    port.devices = {{7, 1, 3, ""}};
    EXPECT_EQ(receives(share_of(port, 0, 3)), (Queues{{7, 0}}));
    EXPECT_TRUE(receives(share_of(port, 1, 3)).empty());
    EXPECT_TRUE(receives(share_of(port, 2, 3)).empty());
    EXPECT_EQ(share_of(port, 2, 3).ethdev, 7);
    EXPECT_EQ(share_of(port, 2, 3).tx_queue, 2);
}

}  // namespace
}  // namespace guideway::net
