#include "dataplane/balancing/maglev.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <numeric>
#include <tuple>

namespace guideway::balancing {
namespace {

// The hash of a backend's identity decides which slots it gets: its constants must never change, or appliances of
// different versions disagree. maglev_test.cc holds values.
constexpr std::uint64_t kOffsetSeed = 0x243f6a8885a308d3ULL;  // digits of pi
constexpr std::uint64_t kSkipSeed = 0x13198a2e03707344ULL;

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
    std::uint16_t index;
    std::uint32_t weight;
    std::uint32_t credit;  ///< below the largest weight
    std::uint32_t position;
    std::uint32_t skip;
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
        claimants.push_back({index, backend.weight, 0, walk.offset, walk.skip});
    }
    return claimants;
}

void fill(std::vector<std::uint16_t>& entries, std::vector<Claimant>& claimants) {
    const auto size = static_cast<std::uint32_t>(entries.size());
    std::uint32_t largest = 0;
    for (const Claimant& claimant : claimants) largest = std::max(largest, claimant.weight);
    std::uint32_t left = size;
    while (true) {
        for (Claimant& claimant : claimants) {
            claimant.credit += claimant.weight;
            if (claimant.credit < largest) continue;
            claimant.credit -= largest;
            while (entries[claimant.position] != MaglevTable::kNoBackend) {
                // By addition: offset + i * skip in 32 bits wraps in large tables and is then no permutation.
                claimant.position += claimant.skip;
                if (claimant.position >= size) claimant.position -= size;
            }
            entries[claimant.position] = claimant.index;
            if (--left == 0) return;
        }
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
    for (const std::uint16_t index : table->entries_) ++table->slots_by_backend_[index];
    table->min_slots_ = size;
    for (const Claimant& claimant : claimants) {
        const std::uint32_t slots = table->slots_by_backend_[claimant.index];
        table->min_slots_ = std::min(table->min_slots_, slots);
        table->max_slots_ = std::max(table->max_slots_, slots);
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
