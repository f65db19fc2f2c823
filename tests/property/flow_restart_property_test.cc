// A table whose process is killed at any instant is opened again whole: what is found was written to the end, nothing stands
// twice, and the table works on. A child changes a table in shared memory as fast as it can and is killed by SIGKILL.
#include <csignal>
#include <cstdlib>
#include <ctime>
#include <memory>
#include <random>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/flow/flow_table.h"

namespace guideway::flow {
namespace {

using enum ConnectionState;

constexpr std::uint32_t kCapacity = 512;
constexpr std::uint32_t kNumbers = 2000;
constexpr ConnectionState kStates[] = {tcp_opening, tcp_answered,  tcp_established,
                                       tcp_closing, tcp_time_wait, tcp_reset};

template <typename Entry>
Entry connection(std::uint32_t number, ConnectionState state) {
    Entry entry;
    std::memset(static_cast<void*>(&entry), 0, sizeof entry);
    for (const unsigned half : {kClientHalf, kBackendHalf}) {
        std::memcpy(&entry.halves[half].source, &number, sizeof number);
        std::memset(&entry.halves[half].destination, static_cast<int>(half + 1), 4);
        entry.halves[half].source_port = static_cast<std::uint16_t>(number * 31 + half);
        entry.halves[half].destination_port = static_cast<std::uint16_t>(number * 37);
        entry.halves[half].protocol = 6;
    }
    entry.last_seen = number * 3;
    entry.next_hop = {static_cast<std::uint16_t>(number), static_cast<std::uint16_t>(number + 1)};
    entry.checksum_delta_all = static_cast<std::uint16_t>(number * 7);
    entry.service_slot = static_cast<std::uint16_t>(number * 11);
    entry.backend_incarnation = static_cast<std::uint8_t>(number * 13);
    entry.state = state;
    return entry;
}

std::size_t index_bytes_rounded(std::size_t bytes) { return (bytes + 4095) / 4096 * 4096; }

struct Unmap {
    std::size_t bytes;
    void operator()(std::byte* memory) const { munmap(memory, bytes); }
};

template <typename Entry>
class Killed {
  public:
    using Table = FlowTable<Entry>;

    Killed() : entries_(shared(Table::entry_bytes(kCapacity))), index_(shared(Table::index_bytes(kCapacity))) {}

    std::unique_ptr<Table> table(std::uint64_t seed) {
        return std::make_unique<Table>(std::span(entries_.get(), Table::entry_bytes(kCapacity)),
                                       std::span(index_.get(), Table::index_bytes(kCapacity)),
                                       FlowLimits{kCapacity, 100}, seed);
    }

    /// Runs until it is killed.
    [[noreturn]] static void churn(Table& table, std::uint32_t seed) {
        std::mt19937 random(seed);
        for (;;) {
            const Entry wanted = connection<Entry>(random() % kNumbers, kStates[random() % 6]);
            if (const FlowRef ref = table.find(wanted.halves[0])) {
                if (random() % 2 == 0) {
                    table.erase(ref.index());
                } else {
                    table.set_state(ref.index(), wanted.state);
                }
            } else {
                table.insert(wanted, table.hash(wanted.halves[0]), table.hash(wanted.halves[1]));
            }
        }
    }

    void run_and_kill(std::uint32_t round) {
        const pid_t child = fork();
        if (child == 0) {
            auto table = this->table(round);
            table->restore([](Entry&) { return true; });
            churn(*table, round);
        }
        ASSERT_GT(child, 0);
        // Not a wait for anything: the instant of death is what varies.
        const timespec instant{0, static_cast<long>(50'000 + (round * 7919L) % 1'000'000)};
        nanosleep(&instant, nullptr);
        kill(child, SIGKILL);
        int status = 0;
        ASSERT_EQ(waitpid(child, &status, 0), child);
        ASSERT_TRUE(WIFSIGNALED(status));
    }

    void check(std::uint32_t round) {
        auto table = this->table(round + 1'000'000);
        std::uint32_t judged = 0;
        const RestoreResult result = table->restore([&](Entry& entry) {
            ++judged;
            std::uint32_t number = 0;
            std::memcpy(&number, &entry.halves[0].source, sizeof number);
            const Entry whole = connection<Entry>(number, entry.state);
            EXPECT_EQ(entry.halves[kClientHalf], whole.halves[kClientHalf]);
            EXPECT_EQ(entry.halves[kBackendHalf], whole.halves[kBackendHalf]);
            EXPECT_EQ(std::memcmp(&entry.last_seen, &whole.last_seen, sizeof entry - offsetof(Entry, last_seen)), 0)
                << "connection " << number << " of round " << round;
            return true;
        });
        EXPECT_EQ(result.damaged, 0U);
        EXPECT_EQ(result.doubled, 0U);
        EXPECT_EQ(result.no_room, 0U);
        EXPECT_EQ(result.kept, judged);
        EXPECT_EQ(table->size(), judged);
        EXPECT_TRUE(table->consistent());
        most_ = std::max(most_, judged);
    }
    std::uint32_t most() const { return most_; }

  private:
    static std::unique_ptr<std::byte, Unmap> shared(std::size_t bytes) {
        const std::size_t rounded = index_bytes_rounded(bytes);
        void* memory = mmap(nullptr, rounded, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED) std::abort();
        return {static_cast<std::byte*>(memory), Unmap{rounded}};
    }

    std::unique_ptr<std::byte, Unmap> entries_;
    std::unique_ptr<std::byte, Unmap> index_;
    std::uint32_t most_ = 0;
};

template <typename Entry>
void survives_its_process() {
    Killed<Entry> killed;
    for (std::uint32_t round = 0; round < 1000 && !testing::Test::HasFailure(); ++round) {
        killed.run_and_kill(round);
        killed.check(round);
    }
    EXPECT_GT(killed.most(), kCapacity / 4) << "the table was never filled: the test shows nothing";
}

TEST(FlowRestart, ATableSurvivesItsProcessKilledAtAnyInstantV4) { survives_its_process<FlowEntryV4>(); }
TEST(FlowRestart, ATableSurvivesItsProcessKilledAtAnyInstantV6) { survives_its_process<FlowEntryV6>(); }

class Restored : public testing::Test {
  protected:
    std::vector<std::byte> memory_ = std::vector<std::byte>(FlowTableV4::bytes_needed(64) + 64);
    std::span<std::byte> bytes() {
        const auto address = std::bit_cast<std::uintptr_t>(memory_.data());
        return std::span(memory_).subspan((64 - address % 64) % 64, FlowTableV4::bytes_needed(64));
    }
    static std::uint32_t open(FlowTableV4& table, const FlowEntryV4& entry) {
        return table.insert(entry, table.hash(entry.halves[0]), table.hash(entry.halves[1]));
    }
};

TEST_F(Restored, TheJudgeDecidesWhatIsKeptAndTheRestIsFree) {
    {
        FlowTableV4 table(bytes(), 64, 1);
        for (std::uint32_t i = 0; i < 40; ++i) open(table, connection<FlowEntryV4>(i, tcp_established));
    }
    FlowTableV4 table(bytes(), 64, 2);
    const RestoreResult result = table.restore([](FlowEntryV4& entry) { return entry.halves[0].source % 2 == 0; });
    EXPECT_EQ(result.kept, 20U);
    EXPECT_EQ(result.refused, 20U);
    EXPECT_EQ(table.size(), 20U);
    EXPECT_EQ(table.free(), 44U);
    EXPECT_TRUE(table.consistent());
    for (std::uint32_t i = 0; i < 40; ++i) {
        EXPECT_EQ(static_cast<bool>(table.find(connection<FlowEntryV4>(i, tcp_established).halves[1])), i % 2 == 0);
    }
}

TEST_F(Restored, RubbishIsCountedAndCleared) {
    std::mt19937 random(1);
    for (std::byte& byte : bytes()) byte = static_cast<std::byte>(random());
    FlowTableV4 table(bytes(), 64, 2);
    const RestoreResult result = table.restore([](FlowEntryV4&) { return true; });
    EXPECT_EQ(result.kept, 0U);
    EXPECT_GT(result.damaged, 50U);
    EXPECT_EQ(table.free(), 64U);
    EXPECT_TRUE(table.consistent());
}

TEST_F(Restored, OfTwoConnectionsWithOneTupleTheNewerStays) {
    auto entries = bytes().subspan(FlowTableV4::index_bytes(64));
    for (std::uint32_t i = 0; i < 3; ++i) {
        FlowEntryV4 entry = connection<FlowEntryV4>(9, tcp_established);
        entry.halves[kBackendHalf].destination_port = static_cast<std::uint16_t>(100 + i);
        entry.last_seen = i == 1 ? 500 : 400;
        std::memcpy(entries.data() + i * sizeof entry, &entry, sizeof entry);
    }
    FlowTableV4 table(entries, bytes(), {64, 0}, 2);
    const RestoreResult result = table.restore([](FlowEntryV4&) { return true; });
    EXPECT_EQ(result.kept, 1U);
    EXPECT_EQ(result.doubled, 2U);
    const FlowRef ref = table.find(connection<FlowEntryV4>(9, tcp_established).halves[0]);
    ASSERT_TRUE(ref);
    EXPECT_EQ(table.entry(ref.index()).last_seen, 500U);
    EXPECT_TRUE(table.consistent());
}

}  // namespace
}  // namespace guideway::flow
