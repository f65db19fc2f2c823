// FragmentTable against a model that keeps every byte and every list in the open: random datagrams, pieces, orders, time and floods.
#include <algorithm>
#include <deque>
#include <map>
#include <optional>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/flow/fragment_ids.h"
#include "dataplane/flow/fragment_table.h"

namespace guideway::flow {
namespace {

using Table = FragmentTable<int>;
using Verdict = Table::Verdict;
using State = Table::State;

/// One datagram, byte by byte.
struct Model {
    std::vector<Piece> pieces;
    bool spoilt = false;
    State state = State::waiting;
    std::deque<int> held;

    Verdict note(const Piece& piece) {
        if (spoilt) return Verdict::overlap;
        std::vector<bool> there(70000, false);
        std::uint32_t last_byte = 0;
        std::optional<std::uint32_t> end;
        for (const Piece& known : pieces) {
            if (known.offset == piece.offset && known.length == piece.length && known.more == piece.more)
                return Verdict::duplicate;
            for (std::uint32_t at = known.offset; at < known.end(); ++at) there[at] = true;
            last_byte = std::max(last_byte, known.end());
            if (!known.more) end = known.end();
        }
        bool bad = (end && (piece.end() > *end || !piece.more)) || (!piece.more && last_byte > piece.end());
        for (std::uint32_t at = piece.offset; at < piece.end(); ++at) bad = bad || there[at];
        if (bad) {
            spoilt = true;
            return Verdict::overlap;
        }
        if (pieces.size() == Table::kMostPieces) return Verdict::too_many;
        pieces.push_back(piece);
        return Verdict::fresh;
    }
    bool complete() const {
        std::uint32_t bytes = 0;
        std::optional<std::uint32_t> end;
        for (const Piece& piece : pieces) {
            bytes += piece.length;
            if (!piece.more) end = piece.end();
        }
        return !spoilt && end && bytes == *end;
    }
};

DatagramKey key_of(std::uint32_t number) {
    DatagramKey key;
    key.source[0] = static_cast<std::uint8_t>(number % 3);
    key.destination[15] = static_cast<std::uint8_t>(number % 2);
    key.id = number;
    key.is_v6 = number % 2 == 0 ? 1 : 0;
    return key;
}

struct Shape {
    std::uint32_t datagrams;  ///< places
    std::uint32_t names;      ///< that come
    std::uint32_t step;       ///< offsets are multiples of it
    std::uint32_t steps;      ///< in a datagram
};
class FragmentTableProperty : public ::testing::TestWithParam<Shape> {};
INSTANTIATE_TEST_SUITE_P(Sizes, FragmentTableProperty,
                         ::testing::Values(Shape{2, 6, 8, 12}, Shape{16, 12, 8, 40}, Shape{64, 200, 1480, 44},
                                           Shape{32, 20, 8, 400}));

TEST_P(FragmentTableProperty, VerdictsListsAndHeldPacketsAreTheModels) {
    const Shape run = GetParam();
    std::mt19937 random(run.datagrams * 7 + run.names);
    const auto below = [&](std::uint32_t bound) { return static_cast<std::uint32_t>(random() % bound); };
    constexpr std::uint32_t kBytes = 40'000, kPackets = 60;
    Table table(run.datagrams, kBytes, kPackets, HashKeys::from_seed(5));
    std::map<std::uint32_t, Model> model;
    std::array<std::deque<std::uint32_t>, 2> order;  // oldest first
    const auto list = [&](State state) -> std::deque<std::uint32_t>& { return order[static_cast<std::size_t>(state)]; };
    std::uint32_t held_bytes = 0, held = 0;
    int next_packet = 1;
    std::array<int, 4> verdicts{};
    int completed = 0, displaced = 0;

    const auto forget = [&](std::uint32_t number) {
        Table::Datagram* datagram = table.find(key_of(number));
        ASSERT_NE(datagram, nullptr);
        Model& m = model[number];
        for (int packet = 0; table.take(*datagram, packet);) {
            ASSERT_FALSE(m.held.empty());
            ASSERT_EQ(packet, m.held.front());
            m.held.pop_front();
            held_bytes -= 1000;
            --held;
        }
        ASSERT_TRUE(m.held.empty());
        table.remove(*datagram);
        auto& of = list(m.state);
        of.erase(std::find(of.begin(), of.end(), number));
        model.erase(number);
        ASSERT_EQ(table.find(key_of(number)), nullptr);
    };

    for (std::uint64_t now = 1; now < 12'000; ++now) {
        const std::uint32_t number = below(run.names);
        // Every third is a small one, honestly cut: those come whole, in any order, some pieces twice.
        const bool honest = number % 3 == 0;
        const std::uint32_t steps = honest ? std::min(run.steps, 2 + number % 4) : run.steps;
        const std::uint32_t from = below(4) == 0 ? 0 : below(steps);
        const Piece piece{from * run.step, run.step * (1 + (!honest && below(20) == 0 ? 1U : 0U)), from + 1 < steps};
        if (!model.contains(number)) {
            while (!table.room(State::waiting)) {
                ASSERT_EQ(table.oldest(State::waiting)->key.id, list(State::waiting).front());
                forget(list(State::waiting).front());
                ++displaced;
            }
            table.add(key_of(number), State::waiting, now);
            model[number] = {};
            list(State::waiting).push_back(number);
        }
        Table::Datagram* datagram = table.find(key_of(number));
        ASSERT_NE(datagram, nullptr);
        Model& m = model[number];
        const Verdict verdict = table.note(*datagram, piece);
        ASSERT_EQ(verdict, m.note(piece)) << "step " << now;
        ++verdicts[static_cast<std::size_t>(verdict)];
        ASSERT_EQ(Table::complete(*datagram), m.complete());
        if (verdict == Verdict::fresh && piece.offset == 0) {
            while (!table.room(State::settled)) forget(list(State::settled).front());
            datagram = table.find(key_of(number));
            auto& was = list(model[number].state);
            was.erase(std::find(was.begin(), was.end(), number));
            table.settle(*datagram, now);
            model[number].state = State::settled;
            list(State::settled).push_back(number);
        } else if (verdict == Verdict::fresh && m.state == State::waiting && table.room_to_hold(1000)) {
            ASSERT_TRUE(held_bytes + 1000 <= kBytes && held < kPackets);
            table.hold(*datagram, next_packet, 1000);
            m.held.push_back(next_packet++);
            held_bytes += 1000;
            ++held;
        }
        if (model[number].complete()) {
            ++completed;
            forget(number);
        } else if (below(60) == 0) {
            forget(number);
        }
        ASSERT_EQ(table.size(), model.size());
        ASSERT_LE(table.size(), table.capacity());
        ASSERT_EQ(table.held_bytes(), held_bytes);
        ASSERT_EQ(table.held_packets(), held);
        for (const State state : {State::waiting, State::settled}) {
            ASSERT_EQ(table.size(state), list(state).size());
            if (!list(state).empty()) {
                ASSERT_EQ(table.oldest(state)->key.id, list(state).front());
            }
        }
    }
    EXPECT_GT(verdicts[0], 100);
    EXPECT_GT(verdicts[2], 10);
    if (run.names > run.datagrams) {
        EXPECT_GT(displaced, 0);
    }
    EXPECT_GT(verdicts[1], 0);
    EXPECT_GT(completed, 0);
}

TEST(FragmentTable, MoreThan128PiecesAreTooMany) {
    Table table(4, 1000, 10, HashKeys::from_seed(1));
    auto& datagram = table.add(key_of(1), State::waiting, 0);
    for (std::uint32_t i = 0; i < Table::kMostPieces; ++i)
        ASSERT_EQ(table.note(datagram, {(i * 37 % 128) * 8, 8, true}), Verdict::fresh);
    EXPECT_EQ(table.note(datagram, {4096, 8, true}), Verdict::too_many);
    EXPECT_EQ(table.note(datagram, {8, 8, true}), Verdict::duplicate);
}

TEST(FragmentTable, AllOf65535BytesAreOneDatagram) {
    Table table(4, 1000, 10, HashKeys::from_seed(1));
    auto& datagram = table.add(key_of(1), State::waiting, 0);
    for (std::uint32_t at = 0; at < 65528; at += 1480) {
        const std::uint32_t length = std::min(1480U, 65535U - at);
        ASSERT_EQ(table.note(datagram, {at, length, at + length < 65535}), Verdict::fresh);
    }
    EXPECT_TRUE(Table::complete(datagram));
}

TEST(FragmentIds, WorkersNeverUseTheSameAndOneDoesNotRepeatSoon) {
    for (const std::uint32_t workers : {1U, 3U, 16U}) {
        std::map<std::uint32_t, int> seen;
        for (std::uint32_t worker = 0; worker < workers; ++worker) {
            FragmentIds ids(worker, workers, HashKeys::from_seed(9));
            for (std::uint32_t i = 0; i < 65536 / workers; ++i) {
                const std::uint32_t id = ids.next_v4(0x123456789abcdefULL);
                ASSERT_LT(id, 65536U);
                ASSERT_EQ(id % workers, worker);
                ++seen[id];
            }
        }
        // A counter that wraps on the way may repeat a few.
        EXPECT_GT(seen.size(), 65536U / workers * workers - workers * 2);
        for (const auto& [id, count] : seen) ASSERT_LE(count, 2) << id;
    }
}

TEST(Gatherer, EveryWorkerNamesTheSameAndAllGetTheirShare) {
    std::array<int, 4> share{};
    for (std::uint32_t id = 0; id < 4000; ++id) {
        DatagramKey key = key_of(1);
        key.id = id;
        const std::uint32_t worker = gatherer_of(key, 4);
        ASSERT_LT(worker, 4U);
        ++share[worker];
    }
    for (const int count : share) EXPECT_NEAR(count, 1000, 200);
}

}  // namespace
}  // namespace guideway::flow
