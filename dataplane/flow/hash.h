// Hashes of five-tuples: one seeded for the flow table, one fixed for choosing a backend.
//
// Terms:
//   flow_hash       keyed with a secret drawn at start, so that nobody outside can aim connections at one bucket. Its
//                   high 32 bits give the bucket, its low 16 bits the tag (flow_table.h).
//   selection_hash  the same on every appliance and in every version: two appliances pick the same backend. Only new
//                   connections need it. High half: Maglev; low half: the owning worker; so the two do not correlate.
//
// Both fold 64x64-bit products (the high half xor the low half). CRC32C would be cheaper by a cycle or two, but it is
// linear: tuples that collide under one seed collide under every seed.
// Thread contract: pure functions.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "dataplane/packet/five_tuple.h"

namespace guideway::flow {

static_assert(std::endian::native == std::endian::little, "selection_hash must be the same number on every machine");

/// The four keys of a hash. `from_seed` spreads one random number over them.
struct HashKeys {
    std::array<std::uint64_t, 4> key;

    static constexpr HashKeys from_seed(std::uint64_t seed) {
        HashKeys keys{};
        for (std::uint64_t& key : keys.key) {  // SplitMix64 (Steele, Lea, Flood 2014)
            seed += 0x9e3779b97f4a7c15ULL;
            std::uint64_t z = seed;
            z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
            z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
            key = z ^ (z >> 31);
        }
        return keys;
    }
};

namespace detail {

inline std::uint64_t fold(std::uint64_t a, std::uint64_t b) {
    __extension__ using Wide = unsigned __int128;
    const Wide product = static_cast<Wide>(a) * b;
    return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

template <std::size_t kWords>
inline std::array<std::uint64_t, kWords> words_of(const void* from) {
    std::array<std::uint64_t, kWords> words;
    std::memcpy(words.data(), from, sizeof words);
    return words;
}

}  // namespace detail

/// A tuple's bytes as words: 2 for IPv4, 5 for IPv6. Whoever has them in registers need not load them again.
inline std::uint64_t hash_words(const std::array<std::uint64_t, 2>& w, const HashKeys& keys) {
    return detail::fold(detail::fold(w[0] ^ keys.key[0], w[1] ^ keys.key[1]) ^ keys.key[2], keys.key[3] | 1);
}

inline std::uint64_t hash_words(const std::array<std::uint64_t, 5>& w, const HashKeys& keys) {
    const std::uint64_t addresses =
        detail::fold(w[0] ^ keys.key[0], w[1] ^ keys.key[1]) ^ detail::fold(w[2] ^ keys.key[2], w[3] ^ keys.key[3]);
    return detail::fold(detail::fold(addresses ^ keys.key[1], w[4] ^ keys.key[0]) ^ keys.key[2], keys.key[3] | 1);
}

template <typename Tuple>
std::uint64_t hash_tuple(const Tuple& tuple, const HashKeys& keys) {
    return hash_words(detail::words_of<sizeof(Tuple) / 8>(&tuple), keys);
}

/// Fixed for ever: changing it moves connections between appliances of different versions (a test holds values).
inline constexpr HashKeys kSelectionKeys = HashKeys::from_seed(0x67756964657761ULL);

/// Of the client's tuple as it stands in the packet: (client, VIP, client port, VIP port, protocol).
template <typename Tuple>
std::uint64_t selection_hash(const Tuple& tuple) {
    return hash_tuple(tuple, kSelectionKeys);
}

/// What MaglevTable::lookup takes.
constexpr std::uint32_t maglev_hash(std::uint64_t selection_hash) {
    return static_cast<std::uint32_t>(selection_hash >> 32);
}

/// The same for all connections of one client address: what a service with affinity chooses by. No worker has to know of
/// another's choice, nor an appliance of another's, nor a process of its predecessor's.
template <typename Tuple>
std::uint32_t affinity_hash(const Tuple& tuple) {
    Tuple client{};
    client.source = tuple.source;
    return maglev_hash(selection_hash(client));
}

/// By what the backend of a new connection is chosen.
template <typename Tuple>
std::uint32_t choice_hash(const Tuple& tuple, std::uint64_t selection_hash, bool affinity) {
    return affinity ? affinity_hash(tuple) : maglev_hash(selection_hash);
}

/// The worker that owns the connection, 0..workers-1.
constexpr std::uint32_t owner_worker(std::uint64_t selection_hash, std::uint32_t workers) {
    return static_cast<std::uint32_t>((std::uint64_t{static_cast<std::uint32_t>(selection_hash)} * workers) >> 32);
}

}  // namespace guideway::flow
