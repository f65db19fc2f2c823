// AffinityTable: which backend a client of a service with session affinity went to last (Kubernetes: sessionAffinity ClientIP).
//
// Terms:
//   client     one client address at one service (VIP, port, protocol): what is remembered, compared whole, never by hash alone.
//   backend    remembered by what it is (address and own port), not by its slot: slots are used again and differ after a
//              restart. `hint` is its position in the set when it was chosen, to be checked.
//   line       64 bytes, one client. A bucket is four lines in a row; the client's hash names the one bucket it may be in.
//   opened     seconds (of the boot clock, 32 bits that may wrap) when the client last opened a connection here. The time-out
//              counts from there, as kube-proxy's does. It ends up to a second late, never early.
//   over       longer ago than the service's time-out, or than the one that held when the line was written: so a shorter
//              time-out acts at once, a longer one from the client's next connection on.
//
// Each worker has a table and is its only writer; all read all, when a connection of such a service opens. Of several lines the newest
// counts: recall(). A full bucket gives up a line that is over, else the oldest one, which is counted: memory is bounded.
//
// A line's version is odd while it is written. Who reads finds the same even version before and behind, or takes it that nothing
// is there. Each word of a line is stored with release and loaded with acquire: a reader who got one word of a newer line therefore
// sees the newer version behind it. (No fences, which the thread sanitizer does not know.) A version returns after 2^31 writes of one
// line: no reader is that slow.
//
// The memory outlives the process (persist/flow_file.h): position independent, all zero is empty, and the last line holds the
// secret of the hash, so that clients are found where they are. A line cut short by kill -9 has an odd version: dropped by restore().
//
// Worked example, four workers:
//   std::vector<AffinityTable> tables(4);  tables[w].attach(memory_w, seed);
//   const AffinityKey key{address_words(client), address_words(vip), port_be, 6};   const auto hash = tables[w].hash(key);
//   if (const auto known = recall(tables, key, hash, [](const Remembered&) { return true; }))  ... known->backend ...
//   tables[w].remember(key, hash, backend, 10800, position, now_s);
//
// Thread contract: attach, restore, take_from before other threads know the table. Then remember(), forget_over(), size() by its
// worker alone, find() and prefetch() by any thread.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>

#include "api/contract/ip_address.h"
#include "dataplane/flow/hash.h"

namespace guideway::flow {

/// An IP address as two words; IPv4 as ::ffff:a.b.c.d.
using AddressWords = std::array<std::uint64_t, 2>;

inline AddressWords address_words(const std::array<std::uint8_t, 16>& bytes) {
    return std::bit_cast<AddressWords>(bytes);
}
/// `network`: as it stands in the packet.
inline AddressWords address_words(std::uint32_t network) { return {0, std::uint64_t{network} << 32 | 0xffff0000U}; }
inline AddressWords address_words(const IpAddress& address) {
    if (!address.is_v4()) return address_words(address.bytes);
    std::uint32_t network;
    std::memcpy(&network, address.bytes.data(), sizeof network);
    return address_words(network);
}

struct AffinityKey {
    AddressWords client;
    AddressWords vip;
    std::uint16_t port_be = 0;  ///< of the service
    std::uint8_t protocol = 0;  ///< IANA: TCP, UDP or SCTP
};

struct AffinityBackend {
    AddressWords address{};
    std::uint16_t port_be = 0;  ///< its own; 0: the service's
    friend bool operator==(const AffinityBackend&, const AffinityBackend&) = default;
};

struct Remembered {
    AffinityBackend backend;
    std::uint16_t hint = 0;
    std::uint32_t timeout_s = 0;  ///< the service's when the line was written
    std::uint32_t opened_s = 0;
};

/// Of times that may wrap.
constexpr bool is_later(std::uint32_t a, std::uint32_t b) { return static_cast<std::int32_t>(a - b) > 0; }
/// Seconds from `opened_s` to `now_s`. The clocks of two workers may be a moment apart: 0 rather than an age of ages.
constexpr std::uint32_t age_of(std::uint32_t now_s, std::uint32_t opened_s) {
    return is_later(now_s, opened_s) ? now_s - opened_s : 0;
}
/// `timeout_s`: the service's now.
constexpr bool is_over(const Remembered& line, std::uint32_t timeout_s, std::uint32_t now_s) {
    return age_of(now_s, line.opened_s) > std::min(timeout_s, line.timeout_s);
}

namespace detail {

/// Where things are in a line's last word.
struct AffinityRest {
    static constexpr std::uint64_t kMostTimeout = (1U << 17) - 1;
    static constexpr std::uint16_t kMostHint = (1U << 13) - 1;

    static constexpr std::uint64_t protocol_bits(std::uint8_t protocol) { return protocol & 3U; }
    /// The key's part.
    static constexpr std::uint64_t of(const AffinityKey& key) {
        return key.port_be | protocol_bits(key.protocol) << 32;
    }
    static constexpr std::uint64_t kKeyMask = 0x3'0000'ffffULL;

    static constexpr std::uint64_t pack(const AffinityKey& key, std::uint16_t backend_port_be, std::uint32_t timeout_s,
                                        std::uint16_t hint) {
        return of(key) | std::uint64_t{backend_port_be} << 16 | std::uint64_t{timeout_s} << 34 |
               std::uint64_t{static_cast<std::uint16_t>(hint & kMostHint)} << 51;
    }
    static constexpr std::uint16_t backend_port_be(std::uint64_t rest) {
        return static_cast<std::uint16_t>(rest >> 16);
    }
    /// 0: nobody is remembered in this line.
    static constexpr std::uint32_t timeout(std::uint64_t rest) {
        return static_cast<std::uint32_t>(rest >> 34 & kMostTimeout);
    }
    static constexpr std::uint16_t hint(std::uint64_t rest) { return static_cast<std::uint16_t>(rest >> 51); }
};
static_assert(AffinityRest::protocol_bits(6) != AffinityRest::protocol_bits(17) &&
              AffinityRest::protocol_bits(6) != AffinityRest::protocol_bits(132) &&
              AffinityRest::protocol_bits(17) != AffinityRest::protocol_bits(132));

}  // namespace detail

/// Little-endian and by its own layout in a file: a change of either is a change of persist::kFlowLayoutVersion.
struct alignas(64) AffinityLine {
    std::atomic<std::uint32_t> version;
    std::atomic<std::uint32_t> opened_s;
    std::array<std::atomic<std::uint64_t>, 7> word;  ///< client 2, VIP 2, backend 2, detail::AffinityRest
};
static_assert(sizeof(AffinityLine) == 64 && std::atomic<std::uint64_t>::is_always_lock_free &&
              std::atomic<std::uint32_t>::is_always_lock_free);

class AffinityTable {
  public:
    static constexpr std::uint32_t kBucketLines = 4;
    static constexpr std::uint32_t kMostClients = 1U << 24;

    /// Of a table for that many clients, at most kMostClients; 0: none.
    static constexpr std::uint32_t lines_for(std::uint32_t clients) {
        return clients == 0 ? 0 : std::bit_ceil(std::max(clients, kBucketLines));
    }
    /// The secret's line included.
    static constexpr std::uint32_t lines_and_head(std::uint32_t clients) {
        return clients == 0 ? 0 : lines_for(clients) + 1;
    }
    static constexpr std::size_t bytes_for(std::uint32_t clients) {
        return std::size_t{lines_and_head(clients)} * sizeof(AffinityLine);
    }

    /// Remembers nothing.
    AffinityTable() = default;

    /// Over memory of bytes_for(...) bytes, aligned to 64: zero, or what an earlier table left. `seed`: not 0; all tables that are
    /// read together have one. Whatever was written with another is cleared. Throws std::invalid_argument for other lengths.
    void attach(std::span<std::byte> memory, std::uint64_t seed) {
        if (memory.empty()) return;
        const std::size_t lines = memory.size() / sizeof(AffinityLine) - 1;
        if (memory.size() % sizeof(AffinityLine) != 0 || lines < kBucketLines || !std::has_single_bit(lines))
            throw std::invalid_argument("affinity table: memory of " + std::to_string(memory.size()) + " bytes");
        lines_ = reinterpret_cast<AffinityLine*>(memory.data());
        mask_ = static_cast<std::uint32_t>(lines) / kBucketLines - 1;
        keys_ = HashKeys::from_seed(seed);
        std::atomic<std::uint64_t>& there = lines_[lines].word[0];
        if (there.load(std::memory_order_relaxed) == seed) return;
        std::memset(static_cast<void*>(memory.data()), 0, memory.size());
        there.store(seed, std::memory_order_relaxed);
    }
    /// What attach() found last in such memory; 0: nothing.
    static std::uint64_t seed_in(std::span<const std::byte> memory) {
        std::uint64_t seed = 0;
        if (memory.size() >= sizeof(AffinityLine))
            std::memcpy(&seed, memory.data() + memory.size() - sizeof(AffinityLine) + offsetof(AffinityLine, word),
                        sizeof seed);
        return seed;
    }

    std::uint64_t hash(const AffinityKey& key) const noexcept {
        return hash_words(std::array<std::uint64_t, 5>{key.client[0], key.client[1], key.vip[0], key.vip[1],
                                                       detail::AffinityRest::of(key)},
                          keys_);
    }

    void prefetch(std::uint64_t hash) const noexcept {
        if (lines_ == nullptr) return;
        const AffinityLine* line = bucket(hash);
        for (std::uint32_t i = 0; i < kBucketLines; ++i) __builtin_prefetch(line + i);
    }

    /// Also one that is over.
    std::optional<Remembered> find(const AffinityKey& key, std::uint64_t hash) const noexcept {
        if (lines_ == nullptr) return std::nullopt;
        const AffinityLine* line = bucket(hash);
        for (std::uint32_t i = 0; i < kBucketLines; ++i) {
            if (const auto found = read(line[i], key)) return found;
        }
        return std::nullopt;
    }

    enum class Stored : std::uint8_t {
        refreshed,
        added,
        after_over,  ///< in place of somebody whose time was over
        displaced,   ///< in place of somebody whose time was not: the bucket was full
        nowhere,     ///< this table has no lines
    };

    /// The client's backend from now on. `timeout_s` 1..86400.
    Stored remember(const AffinityKey& key, std::uint64_t hash, const AffinityBackend& backend, std::uint32_t timeout_s,
                    std::uint16_t hint, std::uint32_t now_s) noexcept {
        if (lines_ == nullptr) return Stored::nowhere;
        AffinityLine* line = bucket(hash);
        AffinityLine* victim = nullptr;
        Stored how = Stored::displaced;
        for (std::uint32_t i = 0; i < kBucketLines; ++i) {
            const bool used = detail::AffinityRest::timeout(relaxed(line[i].word[kRest])) != 0;
            if (used && holds(line[i], key)) {
                victim = &line[i];
                how = Stored::refreshed;
                break;
            }
            const Stored rank = !used                          ? Stored::added
                                : line_is_over(line[i], now_s) ? Stored::after_over
                                                               : Stored::displaced;
            if (victim == nullptr || rank < how ||
                (rank == how && is_later(relaxed(victim->opened_s), relaxed(line[i].opened_s)))) {
                victim = &line[i];
                how = rank;
            }
        }
        if (how == Stored::added) ++size_;
        write(*victim, key, backend, detail::AffinityRest::pack(key, backend.port_be, timeout_s, hint), now_s);
        return how;
    }

    /// Looks at the next `lines` lines and forgets those that are over. Returns how many those were.
    std::uint32_t forget_over(std::uint32_t now_s, std::uint32_t lines) noexcept {
        std::uint32_t count = 0;
        for (lines = std::min(lines, capacity()); lines != 0; --lines) {
            AffinityLine& line = lines_[sweep_];
            sweep_ = sweep_ + 1 == capacity() ? 0 : sweep_ + 1;
            if (detail::AffinityRest::timeout(relaxed(line.word[kRest])) == 0 || !line_is_over(line, now_s)) continue;
            erase(line);
            --size_;
            ++count;
        }
        return count;
    }

    struct Restored {
        std::uint64_t kept = 0;
        std::uint64_t over = 0;
        std::uint64_t damaged = 0;  ///< written halfway when the process was killed, or not where its hash belongs
        std::uint64_t no_room = 0;  ///< import: newer ones have its bucket

        Restored& operator+=(const Restored& more) {
            kept += more.kept;
            over += more.over;
            damaged += more.damaged;
            no_room += more.no_room;
            return *this;
        }
    };

    /// Makes lines that an earlier process left fit for this one.
    Restored restore(std::uint32_t now_s) noexcept {
        Restored result;
        size_ = 0;
        for (std::uint32_t i = 0; i < capacity(); ++i) {
            AffinityLine& line = lines_[i];
            const std::uint64_t rest = relaxed(line.word[kRest]);
            const bool whole = relaxed(line.version) % 2 == 0;
            if (whole && rest == 0) continue;
            const AffinityKey key = key_of(line);
            if (!whole || !valid(rest) || &lines_[i / kBucketLines * kBucketLines] != bucket(hash(key))) {
                ++result.damaged;
                erase(line);
                continue;
            }
            // Of another worker, whose clock was a moment ahead.
            if (is_later(relaxed(line.opened_s), now_s)) line.opened_s.store(now_s, std::memory_order_relaxed);
            if (line_is_over(line, now_s)) {
                ++result.over;
                erase(line);
                continue;
            }
            ++result.kept;
            ++size_;
        }
        return result;
    }

    /// All that a table of any size left in `memory`; of two lines of one client the newer one stays.
    Restored take_from(std::span<const std::byte> memory, std::uint32_t now_s) noexcept {
        Restored result;
        if (memory.size() < sizeof(AffinityLine)) return result;
        const auto* old = reinterpret_cast<const AffinityLine*>(memory.data());
        for (std::size_t i = 0; i + 1 < memory.size() / sizeof(AffinityLine); ++i) {
            const std::uint64_t rest = relaxed(old[i].word[kRest]);
            const bool whole = relaxed(old[i].version) % 2 == 0;
            if (whole && rest == 0) continue;
            if (!whole || !valid(rest)) {
                ++result.damaged;
                continue;
            }
            Remembered one = remembered(old[i], rest);
            if (is_later(one.opened_s, now_s)) one.opened_s = now_s;
            if (is_over(one, one.timeout_s, now_s)) {
                ++result.over;
                continue;
            }
            take(key_of(old[i]), one, result);
        }
        return result;
    }

    std::uint32_t size() const noexcept { return size_; }
    /// Clients that find room, where hashes are kind.
    std::uint32_t capacity() const noexcept { return lines_ == nullptr ? 0 : (mask_ + 1) * kBucketLines; }

  private:
    static constexpr std::size_t kRest = 6;

    template <typename Word>
    static Word relaxed(const std::atomic<Word>& word) noexcept {
        return word.load(std::memory_order_relaxed);
    }

    AffinityLine* bucket(std::uint64_t hash) const noexcept {
        return lines_ + std::size_t{static_cast<std::uint32_t>(hash >> 32) & mask_} * kBucketLines;
    }

    static bool valid(std::uint64_t rest) noexcept {
        const std::uint32_t timeout = detail::AffinityRest::timeout(rest);
        return timeout >= 1 && timeout <= 86400 && protocol_of(rest) != 0;
    }
    /// 0: of none.
    static std::uint8_t protocol_of(std::uint64_t rest) noexcept {
        for (const std::uint8_t protocol : {std::uint8_t{6}, std::uint8_t{17}, std::uint8_t{132}}) {
            if (detail::AffinityRest::protocol_bits(protocol) == (rest >> 32 & 3U)) return protocol;
        }
        return 0;
    }
    static AffinityKey key_of(const AffinityLine& line) noexcept {
        const std::uint64_t rest = relaxed(line.word[kRest]);
        return {{relaxed(line.word[0]), relaxed(line.word[1])},
                {relaxed(line.word[2]), relaxed(line.word[3])},
                static_cast<std::uint16_t>(rest),
                protocol_of(rest)};
    }
    static Remembered remembered(const AffinityLine& line, std::uint64_t rest) noexcept {
        return {{{relaxed(line.word[4]), relaxed(line.word[5])}, detail::AffinityRest::backend_port_be(rest)},
                detail::AffinityRest::hint(rest),
                detail::AffinityRest::timeout(rest),
                relaxed(line.opened_s)};
    }

    /// By the writer.
    static bool holds(const AffinityLine& line, const AffinityKey& key) noexcept {
        return relaxed(line.word[0]) == key.client[0] && relaxed(line.word[1]) == key.client[1] &&
               relaxed(line.word[2]) == key.vip[0] && relaxed(line.word[3]) == key.vip[1] &&
               (relaxed(line.word[kRest]) & detail::AffinityRest::kKeyMask) == detail::AffinityRest::of(key);
    }
    static bool line_is_over(const AffinityLine& line, std::uint32_t now_s) noexcept {
        return age_of(now_s, relaxed(line.opened_s)) > detail::AffinityRest::timeout(relaxed(line.word[kRest]));
    }

    /// By anybody, at any time.
    static std::optional<Remembered> read(const AffinityLine& line, const AffinityKey& key) noexcept {
        constexpr auto kAcquire = std::memory_order_acquire;
        const std::uint32_t version = line.version.load(kAcquire);
        if (line.word[0].load(kAcquire) != key.client[0] || line.word[1].load(kAcquire) != key.client[1] ||
            line.word[2].load(kAcquire) != key.vip[0] || line.word[3].load(kAcquire) != key.vip[1])
            return std::nullopt;
        const std::uint64_t rest = line.word[kRest].load(kAcquire);
        Remembered found;
        found.backend.address = {line.word[4].load(kAcquire), line.word[5].load(kAcquire)};
        found.opened_s = line.opened_s.load(kAcquire);
        if (version % 2 != 0 || line.version.load(std::memory_order_relaxed) != version) return std::nullopt;
        found.timeout_s = detail::AffinityRest::timeout(rest);
        if (found.timeout_s == 0 || (rest & detail::AffinityRest::kKeyMask) != detail::AffinityRest::of(key))
            return std::nullopt;
        found.backend.port_be = detail::AffinityRest::backend_port_be(rest);
        found.hint = detail::AffinityRest::hint(rest);
        return found;
    }

    static void write(AffinityLine& line, const AffinityKey& key, const AffinityBackend& backend, std::uint64_t rest,
                      std::uint32_t opened_s) noexcept {
        const std::array<std::uint64_t, 7> wanted{key.client[0],      key.client[1],      key.vip[0], key.vip[1],
                                                  backend.address[0], backend.address[1], rest};
        bool same = relaxed(line.opened_s) == opened_s;
        for (std::size_t i = 0; i < wanted.size(); ++i) same &= relaxed(line.word[i]) == wanted[i];
        if (same) return;  // another connection in the same second: the others keep the line in their caches
        const std::uint32_t version = begin(line);
        for (std::size_t i = 0; i < wanted.size(); ++i) line.word[i].store(wanted[i], std::memory_order_release);
        line.opened_s.store(opened_s, std::memory_order_release);
        line.version.store(version + 2, std::memory_order_release);
    }
    static void erase(AffinityLine& line) noexcept {
        const std::uint32_t version = begin(line);
        line.word[kRest].store(0, std::memory_order_release);
        line.version.store(version + 2, std::memory_order_release);  // goes on: who read the line before must notice
    }
    /// From here on nobody believes the line. Returns its last even version.
    static std::uint32_t begin(AffinityLine& line) noexcept {
        const std::uint32_t version = relaxed(line.version) & ~1U;
        line.version.store(version + 1, std::memory_order_relaxed);
        return version;
    }

    void take(const AffinityKey& key, const Remembered& one, Restored& result) noexcept {
        const std::uint64_t where = hash(key);
        const AffinityLine* line = bucket(where);
        std::uint32_t newer = 0;
        for (std::uint32_t i = 0; i < kBucketLines && lines_ != nullptr; ++i) {
            const bool used = detail::AffinityRest::timeout(relaxed(line[i].word[kRest])) != 0;
            const bool older = used && is_later(one.opened_s, relaxed(line[i].opened_s));
            if (used && holds(line[i], key)) {
                if (older) remember(key, where, one.backend, one.timeout_s, one.hint, one.opened_s);
                return;  // the same client: counted already
            }
            newer += used && !older;
        }
        if (lines_ == nullptr || newer == kBucketLines) {
            ++result.no_room;
            return;
        }
        const Stored how = remember(key, where, one.backend, one.timeout_s, one.hint, one.opened_s);
        // An older one had to go for it.
        ++(how == Stored::added ? result.kept : result.no_room);
    }

    // Read by all.
    alignas(64) AffinityLine* lines_ = nullptr;
    std::uint32_t mask_ = 0;  ///< of bucket numbers
    HashKeys keys_{};
    // Its worker's alone: a cache line apart.
    alignas(64) std::uint32_t size_ = 0;
    std::uint32_t sweep_ = 0;
};

/// The newest line of all tables. Of two of the same second the one that is `usable` (of const Remembered&): the other was decided anew
/// within it.
template <typename Usable>
std::optional<Remembered> recall(std::span<const AffinityTable> tables, const AffinityKey& key, std::uint64_t hash,
                                 Usable&& usable) noexcept {
    std::optional<Remembered> newest;
    for (const AffinityTable& table : tables) {
        const auto found = table.find(key, hash);
        if (!found) continue;
        if (!newest || is_later(found->opened_s, newest->opened_s) ||
            (found->opened_s == newest->opened_s && !usable(*newest)))
            newest = found;
    }
    return newest;
}

}  // namespace guideway::flow
