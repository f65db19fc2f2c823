// Packet buffers by what the ports' drivers can: DPDK's ring device takes frames in several, its null device does not say so.
#include <array>
#include <string>

#include <gtest/gtest.h>
#include <rte_eal.h>
#include <rte_mbuf.h>
#include <rte_mempool.h>

#include "dataplane/net/ports.h"

namespace guideway::net {
namespace {

class PortsSegments : public ::testing::Test {
  protected:
    static void SetUpTestSuite() {
        std::array<std::string, 8> words{
            "ports_segments_test", "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci", "-m", "192",
            "--log-level=error"};
        std::vector<char*> arguments;
        for (std::string& word : words) arguments.push_back(word.data());
        ASSERT_GE(rte_eal_init(static_cast<int>(arguments.size()), arguments.data()), 0);
    }
    ~PortsSegments() override {
        ports_.close();
        rte_mempool_free(pool_);
    }
    void open(std::vector<std::pair<std::string, std::uint16_t>> devices) {
        config::DataplaneConfig config;
        config.workers.count = 1;
        config.memory.megabytes = 160;
        for (const auto& [device, mtu] : devices) {
            config::PortConfig port;
            port.name = device;
            port.kind = config::PortKind::vdev;
            port.device = device;
            port.mtu = port.wire_mtu = mtu;
            config.ports.push_back(port);
        }
        std::string error;
        pool_ = create_pool(config, error);
        ASSERT_NE(pool_, nullptr) << error;
        const auto refused = ports_.open(config, pool_);
        ASSERT_FALSE(refused) << *refused;
    }
    std::uint32_t room() const { return rte_pktmbuf_data_room_size(pool_); }

    rte_mempool* pool_ = nullptr;
    Ports ports_;
};

TEST_F(PortsSegments, JumboFramesLieInSmallBuffersWhereTheDriverCan) {
    open({{"net_ring_a", 9000}, {"net_null_b", 1500}});
    EXPECT_EQ(room(), RTE_MBUF_DEFAULT_BUF_SIZE);
    EXPECT_TRUE(ports_.all()[0].scatters);
    EXPECT_FALSE(ports_.all()[1].scatters);
    const auto share = ports_.for_worker(0);
    EXPECT_FALSE(share[0].one_buffer_only);
    EXPECT_TRUE(share[1].one_buffer_only);
}

TEST_F(PortsSegments, AndInLargeOnesWhereOneCannot) {
    open({{"net_ring_c", 9000}, {"net_null_d", 9000}});
    EXPECT_GE(room(), RTE_PKTMBUF_HEADROOM + frame_bytes(9000));
    for (const Port& port : ports_.all()) EXPECT_FALSE(port.scatters) << port.name;
    for (const auto& share : ports_.for_worker(0)) EXPECT_FALSE(share.one_buffer_only) << "none comes in several";
}

TEST_F(PortsSegments, NothingIsAskedForWithoutNeed) {
    open({{"net_ring_e", 1500}});
    EXPECT_EQ(room(), RTE_MBUF_DEFAULT_BUF_SIZE);
    EXPECT_FALSE(ports_.all()[0].scatters);
    EXPECT_FALSE(ports_.for_worker(0)[0].one_buffer_only);
}

}  // namespace
}  // namespace guideway::net
