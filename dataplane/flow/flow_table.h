// FlowTable: the connections of one worker, found by the tuple of either direction.
//
// Terms:
//   entry      one connection (flow_entry.h), at a fixed index from insert to erase.
//   half       which of its two tuples; FlowRef = (index, half) is what a lookup yields.
//   index      buckets of ten (tag, reference) slots (tag_bucket.h). Each connection stands in two slots, one for each
//              half.
//   place      a tuple stands in its first bucket, or in its second when the first is full; when both are, slots are
//              moved to their other bucket (cuckoo). The second follows from the first and the tag, and the first
//              from the second and the tag, so moving reads no entry.
//
// Sizes: four connections a bucket, that is 80 % of the slots at capacity, where moving all but never fails: 80 bytes a
// connection (IPv4), 144 (IPv6). A hit reads one bucket line and one entry; a miss reads one bucket line unless that
// bucket has overflowed. Lookups write nothing.
//
// Memory is the caller's (huge pages, or a vector in a test), 64-byte aligned; it holds no pointers.
//
// Worked example, a burst in three loops, and a connection's life:
//   for each packet: hash[i] = table.hash(tuple[i]); table.prefetch_bucket(hash[i]);
//   for each packet: table.prefetch_entry(hash[i]);
//   for each packet: ref = table.find(tuple[i], hash[i]);
//     hit:  entry = table.entry(ref.index()); rewrite to entry.other_half(ref.half()), exchanged
//     miss: index = table.insert(client, hash, backend, table.hash(backend)); kNoEntry: full, refuse the client
//   each poll: table.age(64, [&](const Entry& e) { return e.idle(now, limits); });
// References found before an erase() may mean another connection after the next insert(): look up again.
//
// Thread contract: one worker, which is the only reader and the only writer.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>

#include "dataplane/flow/flow_entry.h"
#include "dataplane/flow/hash.h"
#include "dataplane/flow/tag_bucket.h"

namespace guideway::flow {

/// An entry and which of its halves, or nothing.
class FlowRef {
  public:
    constexpr FlowRef() = default;
    constexpr FlowRef(std::uint32_t index, unsigned half) : value_(index << 1 | half) {}
    constexpr explicit operator bool() const { return value_ != kNothing; }
    constexpr std::uint32_t index() const { return value_ >> 1; }
    constexpr unsigned half() const { return value_ & 1; }
    friend constexpr bool operator==(const FlowRef&, const FlowRef&) = default;

  private:
    static constexpr std::uint32_t kNothing = 0xffffffff;
    std::uint32_t value_ = kNothing;
};

template <typename EntryType>
class FlowTable {
  public:
    using Entry = EntryType;
    using Tuple = typename Entry::Tuple;
    static constexpr std::uint32_t kNoEntry = 0xffffffff;
    static constexpr std::uint32_t kMaxCapacity = 1U << 30;

    /// Bytes the constructor wants, for 1..kMaxCapacity connections.
    static constexpr std::size_t bytes_needed(std::uint32_t capacity) {
        return std::size_t{bucket_count_for(capacity)} * sizeof(TagBucket) + std::size_t{capacity} * sizeof(Entry);
    }

    /// An empty table. `seed` should be random, see hash.h. Throws std::invalid_argument where the memory is too
    /// small or not 64-byte aligned, or the capacity out of range. Writes the index once; entries are first touched
    /// when used.
    FlowTable(std::span<std::byte> memory, std::uint32_t capacity, std::uint64_t seed)
        : keys_(HashKeys::from_seed(seed)), capacity_(capacity), bucket_count_(bucket_count_for(capacity)) {
        if (capacity == 0 || capacity > kMaxCapacity) throw std::invalid_argument("flow table: capacity out of range");
        if (memory.size() < bytes_needed(capacity)) throw std::invalid_argument("flow table: memory too small");
        if (std::bit_cast<std::uintptr_t>(memory.data()) % alignof(Entry) != 0) {
            throw std::invalid_argument("flow table: memory not 64-byte aligned");
        }
        buckets_ = reinterpret_cast<TagBucket*>(memory.data());
        entries_ = reinterpret_cast<Entry*>(memory.data() + std::size_t{bucket_count_} * sizeof(TagBucket));
        std::memset(memory.data(), 0, std::size_t{bucket_count_} * sizeof(TagBucket));
    }
    FlowTable(const FlowTable&) = delete;
    FlowTable& operator=(const FlowTable&) = delete;

    std::uint64_t hash(const Tuple& tuple) const noexcept { return hash_tuple(tuple, keys_); }

    void prefetch_bucket(std::uint64_t hash) const noexcept { __builtin_prefetch(&buckets_[first_bucket(hash)]); }

    /// The entry that find() would most likely read, judged by the first bucket's tags alone.
    FlowRef candidate(std::uint64_t hash) const noexcept {
        const TagBucket& bucket = buckets_[first_bucket(hash)];
        const unsigned matches = match_tags(bucket, tag_of(hash));
        if (matches == 0) return {};
        return ref_of(bucket.references[static_cast<unsigned>(std::countr_zero(matches))]);
    }
    void prefetch_entry(std::uint64_t hash) const noexcept {
        if (const FlowRef ref = candidate(hash)) {
            const auto* line = reinterpret_cast<const std::byte*>(&entries_[ref.index()]);
            for (std::size_t at = 0; at < sizeof(Entry); at += 64) __builtin_prefetch(line + at);
        }
    }

    /// `hash` must be hash(tuple).
    FlowRef find(const Tuple& tuple, std::uint64_t hash) const noexcept {
        const std::uint32_t first = first_bucket(hash);
        const FlowRef ref = find_in(buckets_[first], tuple, tag_of(hash));
        if (ref || buckets_[first].overflow == 0) [[likely]]
            return ref;
        return find_in(buckets_[other_bucket(first, tag_of(hash))], tuple, tag_of(hash));
    }
    FlowRef find(const Tuple& tuple) const noexcept { return find(tuple, hash(tuple)); }

    Entry& entry(std::uint32_t index) noexcept { return entries_[index]; }
    const Entry& entry(std::uint32_t index) const noexcept { return entries_[index]; }

    /// A new connection; everything but its halves is zero. Neither tuple may be in the table, the two must differ,
    /// and both have a protocol other than 0. kNoEntry where the table is full; then nothing has changed.
    std::uint32_t insert(const Tuple& client, std::uint64_t client_hash, const Tuple& backend,
                         std::uint64_t backend_hash) noexcept {
        if (size_ == capacity_) return kNoEntry;
        const std::uint32_t index = free_ != kNoEntry ? free_ : touched_;
        if (!place(client_hash, index << 1 | kClientHalf)) return kNoEntry;
        if (!place(backend_hash, index << 1 | kBackendHalf)) {
            remove(client_hash, index << 1 | kClientHalf);
            return kNoEntry;
        }
        if (free_ != kNoEntry) {
            free_ = entries_[index].next_free;
        } else {
            ++touched_;
        }
        Entry& entry = entries_[index];
        std::memset(static_cast<void*>(&entry), 0, sizeof entry);
        entry.halves[kClientHalf] = client;
        entry.halves[kBackendHalf] = backend;
        ++size_;
        return index;
    }
    std::uint32_t insert(const Tuple& client, const Tuple& backend) noexcept {
        return insert(client, hash(client), backend, hash(backend));
    }

    /// `index` must be in use. The entry's memory is reused by a later insert.
    void erase(std::uint32_t index) noexcept {
        Entry& entry = entries_[index];
        for (const unsigned half : {kClientHalf, kBackendHalf}) {
            remove(hash(entry.halves[half]), index << 1 | half);
        }
        entry.halves[kClientHalf].protocol = 0;
        entry.next_free = free_;
        free_ = index;
        --size_;
    }

    /// Looks at the next `count` entries in turn and erases those for which `expired(const Entry&)` is true; that
    /// is also where to count them. At most one round. Returns how many were erased.
    template <typename Expired>
    std::uint32_t age(std::uint32_t count, Expired&& expired) noexcept {
        std::uint32_t erased = 0;
        for (std::uint32_t left = std::min(count, touched_); left > 0; --left) {
            if (cursor_ >= touched_) cursor_ = 0;
            const std::uint32_t index = cursor_++;
            __builtin_prefetch(&entries_[std::min(index + kAgeingPrefetch, touched_ - 1)]);
            if (!entries_[index].in_use() || !expired(static_cast<const Entry&>(entries_[index]))) continue;
            erase(index);
            ++erased;
        }
        return erased;
    }

    std::uint32_t size() const noexcept { return size_; }
    std::uint32_t capacity() const noexcept { return capacity_; }

    /// Walks everything: each used entry stands in the index once for each half and is found by both; used + free =
    /// capacity. For tests and diagnosis, not for the poll path.
    bool consistent() const;

  private:
    static constexpr std::uint32_t kDisplaced = 0x80000000;  ///< in a reference: stands in the tuple's second bucket
    static constexpr std::uint32_t kAgeingPrefetch = 8;
    static constexpr std::size_t kSearchNodes = 256;

    static constexpr std::uint32_t bucket_count_for(std::uint32_t capacity) {
        // The constant makes small tables as sure to fill up as large ones: few buckets give few other places.
        return capacity / 4 + 16;
    }
    static std::uint32_t scale(std::uint32_t hash, std::uint32_t range) noexcept {
        return static_cast<std::uint32_t>((std::uint64_t{hash} * range) >> 32);
    }
    static std::uint16_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint16_t>(hash); }
    static FlowRef ref_of(std::uint32_t reference) noexcept {
        return {(reference & ~kDisplaced) >> 1, static_cast<unsigned>(reference & 1)};
    }
    static unsigned free_slots(const TagBucket& bucket) noexcept {
        return ~static_cast<unsigned>(bucket.used) & ((1U << kBucketSlots) - 1);
    }

    std::uint32_t first_bucket(std::uint64_t hash) const noexcept {
        return scale(static_cast<std::uint32_t>(hash >> 32), bucket_count_);
    }
    /// Its own inverse: first + second is a constant of the tag, modulo the number of buckets.
    std::uint32_t other_bucket(std::uint32_t bucket, std::uint16_t tag) const noexcept {
        const std::uint32_t sum = scale((tag + 1U) * 0x9e3779b1U, bucket_count_);
        return sum >= bucket ? sum - bucket : sum + bucket_count_ - bucket;
    }

    FlowRef find_in(const TagBucket& bucket, const Tuple& tuple, std::uint16_t tag) const noexcept {
        for (unsigned matches = match_tags(bucket, tag); matches != 0; matches &= matches - 1) {
            const FlowRef ref = ref_of(bucket.references[static_cast<unsigned>(std::countr_zero(matches))]);
            if (entries_[ref.index()].halves[ref.half()] == tuple) [[likely]]
                return ref;
        }
        return {};
    }

    /// Into a bucket with a free slot.
    void put(std::uint32_t at, std::uint16_t tag, std::uint32_t reference) noexcept {
        TagBucket& bucket = buckets_[at];
        const auto slot = static_cast<unsigned>(std::countr_zero(free_slots(bucket)));
        bucket.tags[slot] = tag;
        bucket.references[slot] = reference;
        bucket.used = static_cast<std::uint16_t>(bucket.used | 1U << slot);
        if ((reference & kDisplaced) != 0) ++buckets_[other_bucket(at, tag)].overflow;
    }

    void clear(std::uint32_t at, unsigned slot) noexcept {
        TagBucket& bucket = buckets_[at];
        bucket.used = static_cast<std::uint16_t>(bucket.used & ~(1U << slot));
        if ((bucket.references[slot] & kDisplaced) != 0) --buckets_[other_bucket(at, bucket.tags[slot])].overflow;
    }

    bool place(std::uint64_t hash, std::uint32_t reference) noexcept {
        const std::uint16_t tag = tag_of(hash);
        const std::uint32_t first = first_bucket(hash);
        if (free_slots(buckets_[first]) != 0) [[likely]] {
            put(first, tag, reference);
            return true;
        }
        const std::uint32_t second = other_bucket(first, tag);
        if (free_slots(buckets_[second]) != 0) {
            put(second, tag, reference | kDisplaced);
            return true;
        }
        const std::uint32_t freed = make_room(first, second);
        if (freed == kNoEntry) return false;
        put(freed, tag, freed == first ? reference : reference | kDisplaced);
        return true;
    }

    struct SearchNode {
        std::uint32_t bucket;
        std::uint16_t parent;  ///< node whose slot would move here; roots are their own
        std::uint16_t slot;    ///< in the parent's bucket
    };

    /// Breadth-first search for the shortest chain of moves that frees a slot in one of two full buckets. Returns
    /// which, or kNoEntry after kSearchNodes buckets.
    std::uint32_t make_room(std::uint32_t first, std::uint32_t second) noexcept {
        std::array<SearchNode, kSearchNodes> nodes;
        nodes[0] = {first, 0, 0};
        nodes[1] = {second, 1, 0};
        std::size_t count = 2;
        for (std::size_t at = 0; at < count; ++at) {
            for (std::uint16_t slot = 0; slot < kBucketSlots; ++slot) {
                const TagBucket& bucket = buckets_[nodes[at].bucket];
                const std::uint32_t target = other_bucket(nodes[at].bucket, bucket.tags[slot]);
                if (free_slots(buckets_[target]) != 0) return move_chain(nodes, at, slot);
                if (count < kSearchNodes && !on_path(nodes, at, target)) {
                    nodes[count++] = {target, static_cast<std::uint16_t>(at), slot};
                }
            }
        }
        return kNoEntry;
    }

    static bool on_path(const std::array<SearchNode, kSearchNodes>& nodes, std::size_t at,
                        std::uint32_t bucket) noexcept {
        for (;; at = nodes[at].parent) {
            if (nodes[at].bucket == bucket) return true;
            if (nodes[at].parent == at) return false;
        }
    }

    /// From the free end back to the root, so that each move finds a free slot. Returns the root's bucket.
    std::uint32_t move_chain(const std::array<SearchNode, kSearchNodes>& nodes, std::size_t at,
                             unsigned slot) noexcept {
        for (;;) {
            move(nodes[at].bucket, slot);
            if (nodes[at].parent == at) return nodes[at].bucket;
            slot = nodes[at].slot;
            at = nodes[at].parent;
        }
    }

    void move(std::uint32_t from, unsigned slot) noexcept {
        const std::uint16_t tag = buckets_[from].tags[slot];
        const std::uint32_t reference = buckets_[from].references[slot];
        clear(from, slot);
        put(other_bucket(from, tag), tag, reference ^ kDisplaced);
    }

    void remove(std::uint64_t hash, std::uint32_t reference) noexcept {
        const std::uint32_t first = first_bucket(hash);
        if (remove_from(first, tag_of(hash), reference)) return;
        remove_from(other_bucket(first, tag_of(hash)), tag_of(hash), reference | kDisplaced);
    }

    bool remove_from(std::uint32_t at, std::uint16_t tag, std::uint32_t reference) noexcept {
        for (unsigned matches = match_tags(buckets_[at], tag); matches != 0; matches &= matches - 1) {
            const auto slot = static_cast<unsigned>(std::countr_zero(matches));
            if (buckets_[at].references[slot] != reference) continue;
            clear(at, slot);
            return true;
        }
        return false;
    }

    TagBucket* buckets_ = nullptr;
    Entry* entries_ = nullptr;
    HashKeys keys_;
    std::uint32_t capacity_;
    std::uint32_t bucket_count_;
    std::uint32_t size_ = 0;
    std::uint32_t touched_ = 0;      ///< entries below were used at least once
    std::uint32_t free_ = kNoEntry;  ///< most recently freed first: its lines are still in the cache
    std::uint32_t cursor_ = 0;       ///< of the ageing sweep
};

template <typename EntryType>
bool FlowTable<EntryType>::consistent() const {
    std::uint64_t slots = 0;
    std::uint64_t displaced = 0;
    std::uint64_t overflow = 0;
    for (std::uint32_t at = 0; at < bucket_count_; ++at) {
        const TagBucket& bucket = buckets_[at];
        overflow += bucket.overflow;
        for (unsigned slot = 0; slot < kBucketSlots; ++slot) {
            if ((bucket.used >> slot & 1) == 0) continue;
            ++slots;
            displaced += bucket.references[slot] >> 31;
            const FlowRef ref = ref_of(bucket.references[slot]);
            if (ref.index() >= touched_ || !entries_[ref.index()].in_use()) return false;
        }
    }
    std::uint32_t used = 0;
    for (std::uint32_t index = 0; index < touched_; ++index) {
        if (!entries_[index].in_use()) continue;
        ++used;
        for (const unsigned half : {kClientHalf, kBackendHalf}) {
            if (find(entries_[index].halves[half]) != FlowRef{index, half}) return false;
        }
    }
    std::uint32_t free = capacity_ - touched_;
    for (std::uint32_t index = free_; index != kNoEntry; index = entries_[index].next_free) {
        if (index >= touched_ || entries_[index].in_use() || ++free > capacity_) return false;
    }
    return used == size_ && slots == 2ULL * size_ && displaced == overflow && used + free == capacity_;
}

using FlowTableV4 = FlowTable<FlowEntryV4>;
using FlowTableV6 = FlowTable<FlowEntryV6>;

}  // namespace guideway::flow
