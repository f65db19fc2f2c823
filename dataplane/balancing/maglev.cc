#include "dataplane/balancing/maglev.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <tuple>
#include <type_traits>
#include <utility>

namespace guideway::balancing {
namespace {

// The hash of a backend's identity decides which slots it gets: its constants must never change, or appliances of
// different versions disagree. maglev_test.cc holds values.
constexpr std::uint64_t kOffsetSeed = 0x243f6a8885a308d3ULL;  // digits of pi
constexpr std::uint64_t kSkipSeed = 0x13198a2e03707344ULL;

/// The end game begins with this many times sqrt(M) slots left; measured with tests/bench/apply_bench.
constexpr double kEndGame = 1.5;
/// Walks that run beside each other, see walk().
constexpr std::size_t kGroup = 16;

constexpr std::uint64_t mix(std::uint64_t value) {  // SplitMix64's finaliser (Stafford's variant 13)
    value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9ULL;
    value = (value ^ (value >> 27)) * 0x94d049bb133111ebULL;
    return value ^ (value >> 31);
}

std::uint64_t big_endian(const std::uint8_t* bytes) {
    std::uint64_t value = 0;
    for (int i = 0; i < 8; ++i) value = value << 8 | bytes[i];
    return value;
}

std::uint64_t identity_hash(const IpAddress& address, std::uint16_t port, std::uint64_t seed) {
    std::uint64_t hash = mix(seed + big_endian(address.bytes.data()));
    hash = mix(hash + big_endian(address.bytes.data() + 8));
    return mix(hash + (static_cast<std::uint64_t>(address.family) << 16 | port));
}

/// A backend of positive weight on its way through the turns.
struct Claimant {
    std::uint32_t position;
    std::uint32_t skip;
    std::uint32_t weight;
    std::uint32_t credit;   ///< below the largest weight
    std::uint64_t inverse;  ///< of skip, as a fraction of 2^64 (see LastSlots); 0: not needed yet
    std::uint32_t slots;    ///< claimed so far
    std::uint16_t index;
};

std::vector<Claimant> claimants_of(std::span<const MaglevBackend> backends, std::uint32_t size) {
    std::vector<std::uint16_t> order;
    order.reserve(backends.size());
    for (std::size_t i = 0; i < backends.size(); ++i) {
        if (backends[i].weight > 0) order.push_back(static_cast<std::uint16_t>(i));
    }
    std::stable_sort(order.begin(), order.end(), [&](std::uint16_t a, std::uint16_t b) {
        return std::tie(backends[a].address, backends[a].port) < std::tie(backends[b].address, backends[b].port);
    });
    std::vector<Claimant> claimants;
    claimants.reserve(order.size());
    for (const std::uint16_t index : order) {
        const MaglevBackend& backend = backends[index];
        const MaglevWalk walk = maglev_walk(backend.address, backend.port, size);
        claimants.push_back({walk.offset, walk.skip, backend.weight, 0, 0, 0, index});
    }
    return claimants;
}

/// A byte a slot, 1 while it is free: fewer instructions a look than bits, and they are what a walk costs.
class FreeSlots {
  public:
    explicit FreeSlots(std::uint32_t size) : free_(size, 1), size_(size) {}

    bool is_free(std::uint32_t slot) const { return free_[slot] != 0; }
    void take(std::uint32_t slot) { free_[slot] = 0; }
    /// The first free slot of a walk that stands at `position`. Looks at kAtOnce slots without a branch between them: how long a
    /// walk is cannot be predicted, and a wrong guess costs more than some slots too many. The steps are doubled (1, 2, 4 ...
    /// further), because one after the other each would wait for the one before.
    template <unsigned kAtOnce>
    std::uint32_t first(std::uint32_t position, std::uint32_t skip) const {
        static_assert(std::has_single_bit(kAtOnce));
        const std::uint8_t* const slots = free_.data();
        std::array<std::uint32_t, kAtOnce> walk;
        walk[0] = position;
        std::uint32_t stride = skip;
        for (unsigned known = 1; known < kAtOnce; known *= 2) {
            for (unsigned i = 0; i < known; ++i) walk[known + i] = sum(walk[i], stride);
            stride = sum(stride, stride);
        }
        while (true) {
            std::uint32_t free = 0;
            for (unsigned i = 0; i < kAtOnce; ++i) free |= std::uint32_t{slots[walk[i]]} << i;
            if (free != 0) return walk[static_cast<unsigned>(std::countr_zero(free))];
            for (unsigned i = 0; i < kAtOnce; ++i) walk[i] = sum(walk[i], stride);
        }
    }
    std::vector<std::uint32_t> list() const {
        std::vector<std::uint32_t> slots;
        for (std::uint32_t slot = 0; slot < size_; ++slot) {
            if (is_free(slot)) slots.push_back(slot);
        }
        return slots;
    }

  private:
    /// Modulo the size, of two numbers below it. By addition: offset + i * skip in 32 bits wraps in large tables and is then no
    /// permutation. Where the sum is below the size the subtraction wraps to a large number, and the smaller one is right.
    std::uint32_t sum(std::uint32_t a, std::uint32_t b) const { return std::min(a + b, a + b - size_); }

    std::vector<std::uint8_t> free_;
    std::uint32_t size_;
};

/// Of a modulo the prime `size`; 0 < a < size (extended Euclid).
std::uint32_t inverse_of(std::uint32_t a, std::uint32_t size) {
    std::int64_t r0 = size, r1 = a, t0 = 0, t1 = 1;
    while (r1 != 0) {
        const std::int64_t quotient = r0 / r1;
        r0 = std::exchange(r1, r0 - quotient * r1);
        t0 = std::exchange(t1, t0 - quotient * t1);
    }
    return static_cast<std::uint32_t>(t0 < 0 ? t0 + size : t0);
}

/// The end game. Half of all steps would go into the last sqrt(M) slots; there it is quicker to ask each free slot how many steps
/// away it is: (slot - position) / skip modulo M, and to take the nearest.
/// As a fraction of a whole round, scaled to 2^64, that is (slot - position) * (2^64 * skip^-1 / M), and the modulo is the
/// multiplication's own overflow. The rounding, below M / 2, is far less than one step, 2^64 / M, for every M below 2^32.
class LastSlots {
  public:
    LastSlots(std::vector<std::uint32_t> free, std::uint32_t size)
        : free_(std::move(free)), size_(size), step_(~std::uint64_t{0} / size), rest_(0 - step_ * size) {}

    std::uint32_t take_nearest(Claimant& claimant) {
        if (claimant.inverse == 0) {
            const std::uint64_t inverse = inverse_of(claimant.skip, size_);
            claimant.inverse = inverse * step_ + (inverse * rest_ + size_ / 2) / size_;
        }
        std::uint64_t least = ~std::uint64_t{0};
        std::size_t nearest = 0;
        for (std::size_t i = 0; i < free_.size(); ++i) {
            const std::uint64_t distance = (std::uint64_t{free_[i]} - claimant.position) * claimant.inverse;
            nearest = distance < least ? i : nearest;
            least = std::min(distance, least);
        }
        const std::uint32_t slot = std::exchange(free_[nearest], free_.back());
        free_.pop_back();
        return slot;
    }

  private:
    std::vector<std::uint32_t> free_;
    std::uint32_t size_;
    std::uint64_t step_;  ///< 2^64 / size, rounded down
    std::uint64_t rest_;  ///< 2^64 - step_ * size
};

/// The turns, one claim after the other.
class Turns {
  public:
    explicit Turns(std::vector<Claimant>& claimants) : claimants_(claimants) {
        for (const Claimant& claimant : claimants) largest_ = std::max(largest_, claimant.weight);
    }
    /// Who claims next.
    Claimant& next() {
        while (true) {
            if (at_ == claimants_.size()) at_ = 0;
            Claimant& claimant = claimants_[at_++];
            claimant.credit += claimant.weight;
            if (claimant.credit < largest_) continue;
            claimant.credit -= largest_;
            return claimant;
        }
    }
    /// The next claims of this turn, none twice: at most `most`, at least one.
    std::size_t next_group(std::span<Claimant*> group, std::size_t most) {
        std::size_t count = 0;
        group[count++] = &next();
        for (; at_ < claimants_.size() && count < most; ++at_) {
            Claimant& claimant = claimants_[at_];
            claimant.credit += claimant.weight;
            const bool claims = claimant.credit >= largest_;
            claimant.credit -= claims ? largest_ : 0;
            group[count] = &claimant;
            count += claims ? 1 : 0;
        }
        return count;
    }

  private:
    std::vector<Claimant>& claimants_;
    std::uint32_t largest_ = 0;
    std::size_t at_ = 0;
};

/// Goes on with the turns until `until` slots are left. In groups: first each claimant of the group looks for its slot, then all
/// of them take theirs. So the walks of a group run beside each other instead of waiting for each other's stores. A slot that
/// another one of the group had before is seen when it is to be taken, and the walk goes on from there: the same slots as one by
/// one.
template <unsigned kAtOnce>
void walk(std::vector<std::uint16_t>& entries, FreeSlots& free, Turns& turns, std::uint32_t& left,
          std::uint32_t until) {
    std::array<Claimant*, kGroup + 1> group{};  // one more: next_group() writes ahead of its count
    while (left > until) {
        const std::size_t count = turns.next_group(group, std::min<std::size_t>(kGroup, left - until));
        for (std::size_t i = 0; i < count; ++i) {
            group[i]->position = free.first<kAtOnce>(group[i]->position, group[i]->skip);
        }
        for (std::size_t i = 0; i < count; ++i) {
            Claimant& claimant = *group[i];
            if (!free.is_free(claimant.position)) {
                claimant.position = free.first<kAtOnce>(claimant.position, claimant.skip);
            }
            free.take(claimant.position);
            entries[claimant.position] = claimant.index;
            ++claimant.slots;
        }
        left -= static_cast<std::uint32_t>(count);
    }
}

void fill(std::vector<std::uint16_t>& entries, std::vector<Claimant>& claimants) {
    const auto size = static_cast<std::uint32_t>(entries.size());
    FreeSlots free(size);
    Turns turns(claimants);
    std::uint32_t left = size;
    const auto end_game = static_cast<std::uint32_t>(kEndGame * std::sqrt(size));
    walk<4>(entries, free, turns, left, std::max(size / 2, end_game));
    walk<8>(entries, free, turns, left, std::max(size / 4, end_game));
    walk<16>(entries, free, turns, left, end_game);
    LastSlots last(free.list(), size);
    for (; left > 0; --left) {
        Claimant& claimant = turns.next();
        claimant.position = last.take_nearest(claimant);
        entries[claimant.position] = claimant.index;
        ++claimant.slots;
    }
}

}  // namespace

MaglevWalk maglev_walk(const IpAddress& address, std::uint16_t port, std::uint32_t size) {
    return {static_cast<std::uint32_t>(identity_hash(address, port, kOffsetSeed) % size),
            static_cast<std::uint32_t>(identity_hash(address, port, kSkipSeed) % (size - 1)) + 1};
}

std::shared_ptr<const MaglevTable> MaglevTable::build(std::span<const MaglevBackend> backends, std::uint32_t size) {
    if (backends.size() > kMaxBackends || size < 2) return nullptr;
    std::shared_ptr<MaglevTable> table{new MaglevTable};
    std::vector<Claimant> claimants = claimants_of(backends, size);
    table->entries_.assign(claimants.empty() ? 1 : size, kNoBackend);
    table->slots_by_backend_.assign(backends.size(), 0);
    if (claimants.empty()) return table;

    fill(table->entries_, claimants);
    table->min_slots_ = size;
    for (const Claimant& claimant : claimants) {
        table->slots_by_backend_[claimant.index] = claimant.slots;
        table->min_slots_ = std::min(table->min_slots_, claimant.slots);
        table->max_slots_ = std::max(table->max_slots_, claimant.slots);
    }
    return table;
}

std::uint32_t MaglevTable::size_for(std::size_t backends) {
    for (const std::uint32_t prime : {65537U, 131071U, 655373U}) {
        if (prime >= 100 * backends) return prime;
    }
    return 6553577;
}

}  // namespace guideway::balancing
