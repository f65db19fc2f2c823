#include "dataplane/worker/memory.h"

#include <algorithm>
#include <cstdint>
#include <sys/mman.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

namespace guideway::worker {
namespace {

TEST(Memory, IsThereAtOnceSoThatThePollPathNeverWaitsForAPage) {
    const Memory memory(std::size_t{5} << 20);
    ASSERT_TRUE(memory.ok());
    ASSERT_GE(memory.bytes().size(), std::size_t{5} << 20);
    const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
    std::vector<unsigned char> resident(memory.bytes().size() / page);
    ASSERT_EQ(mincore(memory.bytes().data(), memory.bytes().size(), resident.data()), 0);
    EXPECT_TRUE(std::ranges::all_of(resident, [](unsigned char state) { return (state & 1) != 0; }));
}

TEST(Memory, IsZeroed) {
    const Memory memory(1);
    ASSERT_TRUE(memory.ok());
    EXPECT_TRUE(std::ranges::all_of(memory.bytes(), [](std::byte value) { return value == std::byte{0}; }));
}

TEST(Memory, SaysWhenTheKernelRefuses) {
    const Memory memory(std::size_t{1} << 62);
    EXPECT_FALSE(memory.ok());
}

}  // namespace
}  // namespace guideway::worker
