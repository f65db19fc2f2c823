// Against a real kernel, in a network namespace of the test's own.
#include "controlplane/announce/kernel_routes.h"

#include <array>
#include <cstdio>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include <gtest/gtest.h>

namespace guideway::announce {
namespace {

/// Standard output and error of a shell command.
std::string shell(const std::string& command) {
    std::string out;
    FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
    if (pipe == nullptr) return "popen failed";
    std::array<char, 4096> block{};
    while (const std::size_t got = std::fread(block.data(), 1, block.size(), pipe)) out.append(block.data(), got);
    ::pclose(pipe);
    return out;
}

Route route(const char* prefix, std::size_t advertisement = 0) { return {*IpPrefix::parse(prefix), advertisement}; }

std::vector<Route> present(KernelRoutes& routes) {
    auto looked = routes.present();
    if (const auto* error = std::get_if<std::string>(&looked)) {
        ADD_FAILURE() << *error;
        return {};
    }
    return std::get<0>(looked);
}

struct KernelRoutesTest : testing::Test {
    int outside = -1;

    void SetUp() override {
        outside = ::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        ASSERT_GE(outside, 0);
        if (::unshare(CLONE_NEWNET) != 0) {
            ::close(outside);
            outside = -1;
            GTEST_SKIP() << "needs the right to make a network namespace";
        }
        shell("ip link set lo up");
    }
    void TearDown() override {
        if (outside < 0) return;
        EXPECT_EQ(::setns(outside, CLONE_NEWNET), 0);
        ::close(outside);
    }
};
using Routes = std::vector<Route>;

TEST_F(KernelRoutesTest, WhatIsWantedIsThereAndNothingElseOfOurs) {
    KernelRoutes routes({173, 173});
    const Routes wanted{route("203.0.113.10/32"), route("203.0.113.11/32", 3), route("2001:db8:100::10/128", 1)};
    EXPECT_EQ(routes.apply(wanted), "");
    EXPECT_EQ(present(routes), wanted);
    EXPECT_NE(shell("ip route show table 173").find("blackhole 203.0.113.11 proto 73 metric 103"), std::string::npos);
    const std::string ipv6 = shell("ip -6 route show table 173");
    EXPECT_NE(ipv6.find("blackhole 2001:db8:100::10 "), std::string::npos) << ipv6;
    EXPECT_NE(ipv6.find(" proto 73 metric 101"), std::string::npos) << ipv6;
    EXPECT_EQ(routes.apply({}), "");
    EXPECT_EQ(present(routes), Routes{});
}

TEST_F(KernelRoutesTest, OfAFullTableOnlyOursAreRead) {
    shell("ip route add blackhole 198.51.100.1 table 254 proto 99 metric 100");
    shell("ip route add unreachable 198.51.100.2 table 254 proto 73 metric 100");
    shell("ip -6 route add blackhole 2001:db8::1 table 254 proto 99 metric 100");
    KernelRoutes routes({254, 254});
    const Routes wanted{route("203.0.113.10/32"), route("2001:db8:100::10/128")};
    EXPECT_EQ(routes.apply(wanted), "");
    EXPECT_EQ(present(routes), wanted);
    EXPECT_EQ(routes.apply({}), "");
    EXPECT_NE(shell("ip route show table 254").find("198.51.100.2"), std::string::npos);
}

TEST_F(KernelRoutesTest, TheFirstApplyTakesOursOutOfOtherTablesAndLeavesOthersAlone) {
    KernelRoutes before({200, 200});
    EXPECT_EQ(before.apply({route("203.0.113.10/32"), route("2001:db8:100::10/128")}), "");
    shell("ip route add blackhole 198.51.100.1 table 200 proto 99 metric 100");
    shell("ip route add blackhole 198.51.100.2 table 200 proto 73 metric 5000");
    KernelRoutes routes({173, 173});
    EXPECT_EQ(routes.apply({route("203.0.113.10/32")}), "");
    EXPECT_EQ(present(before), Routes{route("198.51.100.2/32", 4900)}) << "a metric that is none of ours";
    EXPECT_NE(shell("ip route show table 200").find("198.51.100.1"), std::string::npos);
    EXPECT_EQ(present(routes), Routes{route("203.0.113.10/32")});
}

TEST_F(KernelRoutesTest, RemoveAllLeavesNoneOfOurs) {
    KernelRoutes bird({173, 173});
    EXPECT_EQ(bird.apply({route("203.0.113.10/32")}), "");
    EXPECT_EQ(std::get<0>(KernelRoutes::remove_all()), 1U);
    EXPECT_EQ(std::get<0>(KernelRoutes::remove_all()), 0U);
    EXPECT_EQ(present(bird), Routes{});
}

TEST_F(KernelRoutesTest, ARouteOfSomebodyElseInOursPlaceIsToldAsAnError) {
    EXPECT_EQ(shell("ip route add blackhole 203.0.113.10 table 173 proto 99 metric 100"), "");
    KernelRoutes routes({173, 173});
    const std::string error = routes.apply({route("203.0.113.10/32"), route("203.0.113.11/32")});
    EXPECT_EQ(
        error,
        "the route to 203.0.113.10/32 is not announced: somebody else's has its metric, 100 (ip route show table 173 "
        "203.0.113.10/32)");
    EXPECT_EQ(present(routes), Routes{route("203.0.113.11/32")});
    EXPECT_NE(routes.apply({route("203.0.113.10/32"), route("203.0.113.11/32")}), "") << "told as long as it is so";
    shell("ip route flush table 173 proto 99");
    EXPECT_EQ(routes.apply({route("203.0.113.10/32"), route("203.0.113.11/32")}), "");
}

}  // namespace
}  // namespace guideway::announce
