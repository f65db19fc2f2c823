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
// Memory is the caller's, 64-byte aligned, in two parts: the entries, which hold the truth and may outlive the process
// (restore()), and the index, which is made anew. No pointers in either.
//
// Limits: `capacity` connections in all, of which at most `half_open` have an unfinished handshake and at most as many are UDP
// without an answer. The oldest of such a list gives way to a newcomer when its list is full, or else when the table is; so do
// connections that are over. Established connections never do: when the table is full of them the newcomer is refused.
//
// Worked example, a burst in three loops, and a connection's life:
//   for each packet: hash[i] = table.hash(tuple[i]); table.prefetch_bucket(hash[i]);
//   for each packet: ref[i] = table.candidate(hash[i]); table.prefetch_entry(ref[i]);
//   for each packet: if (!table.is(ref[i], tuple[i])) ref[i] = table.find(tuple[i], hash[i]);
//     hit:  entry = table.entry(ref.index()); rewrite to entry.other_half(ref.half()), exchanged
//     miss: index = table.insert(content, hash, table.hash(backend)); kNoEntry: full, refuse the client
//   each poll: table.age(64, [&](const Entry& e) { return e.idle(now, limits); });
// References found before an erase() or insert() may mean another connection after it: compare the tuple again.
//
// Thread contract: one worker, which is the only reader and the only writer.
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <stdexcept>

#include "dataplane/flow/flow_entry.h"
#include "dataplane/flow/flow_lists.h"
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
    /// For keeping it in 32 bits.
    constexpr std::uint32_t value() const { return value_; }
    static constexpr FlowRef from_value(std::uint32_t value) {
        FlowRef ref;
        ref.value_ = value;
        return ref;
    }
    friend constexpr bool operator==(const FlowRef&, const FlowRef&) = default;

  private:
    static constexpr std::uint32_t kNothing = 0xffffffff;
    std::uint32_t value_ = kNothing;
};

struct FlowLimits {
    std::uint32_t capacity = 0;   ///< 1..FlowTable::kMaxCapacity connections
    std::uint32_t half_open = 0;  ///< of each kind, 1..capacity; 0: a quarter of the capacity

    std::uint32_t half_open_limit() const {
        return half_open != 0 ? std::min(half_open, capacity) : std::max(capacity / 4, 1U);
    }
};

/// Connections that gave way to others.
struct Evicted {
    std::uint64_t opening = 0;
    std::uint64_t one_way = 0;
    std::uint64_t closed = 0;
};

/// What restore() did with the entries it found.
struct RestoreResult {
    std::uint32_t kept = 0;
    std::uint32_t refused = 0;  ///< by the judge
    std::uint32_t damaged = 0;
    std::uint32_t doubled = 0;  ///< the other entry of the same tuple was newer
    std::uint32_t no_room = 0;  ///< in the index
};

/// Where a hash's tuple is looked for first.
struct FlowTablePlace {
    std::uint32_t bucket;
    std::uint16_t tag;
};

/// What a table does at each cache line it reads: nothing. Tests count.
struct UntracedLines {
    static void touch(const void* /*line*/) noexcept {}
};

template <typename EntryType, typename Trace = UntracedLines>
class FlowTable {
  public:
    using Entry = EntryType;
    using Tuple = typename Entry::Tuple;
    static constexpr std::uint32_t kNoEntry = 0xffffffff;
    static constexpr std::uint32_t kMaxCapacity = 1U << 30;

    /// Bytes the constructor wants, for 1..kMaxCapacity connections.
    static constexpr std::size_t entry_bytes(std::uint32_t capacity) { return std::size_t{capacity} * sizeof(Entry); }
    static constexpr std::size_t index_bytes(std::uint32_t capacity) {
        return std::size_t{bucket_count_for(capacity)} * sizeof(TagBucket);
    }
    static constexpr std::size_t bytes_needed(std::uint32_t capacity) {
        return index_bytes(capacity) + entry_bytes(capacity);
    }

    /// An empty table. `seed` should be random, see hash.h. Throws std::invalid_argument where memory is too small or not
    /// 64-byte aligned, or a limit out of range. Writes the index once; entries are first touched when used.
    FlowTable(std::span<std::byte> entries, std::span<std::byte> index, FlowLimits limits, std::uint64_t seed)
        : keys_(HashKeys::from_seed(seed)),
          capacity_(limits.capacity),
          bucket_count_(bucket_count_for(limits.capacity)),
          half_open_limit_(limits.half_open_limit()) {
        if (capacity_ == 0 || capacity_ > kMaxCapacity)
            throw std::invalid_argument("flow table: capacity out of range");
        if (entries.size() < entry_bytes(capacity_) || index.size() < index_bytes(capacity_)) {
            throw std::invalid_argument("flow table: memory too small");
        }
        if ((std::bit_cast<std::uintptr_t>(entries.data()) | std::bit_cast<std::uintptr_t>(index.data())) %
                alignof(Entry) !=
            0) {
            throw std::invalid_argument("flow table: memory not 64-byte aligned");
        }
        buckets_ = reinterpret_cast<TagBucket*>(index.data());
        entries_ = reinterpret_cast<Entry*>(entries.data());
        std::memset(index.data(), 0, index_bytes(capacity_));
    }
    /// Both parts from one piece of memory, the index first.
    FlowTable(std::span<std::byte> memory, std::uint32_t capacity, std::uint64_t seed)
        : FlowTable(memory.size() < bytes_needed(capacity) ? memory.first(0) : memory.subspan(index_bytes(capacity)),
                    memory, {capacity, 0}, seed) {}
    FlowTable(const FlowTable&) = delete;
    FlowTable& operator=(const FlowTable&) = delete;

    std::uint64_t hash(const Tuple& tuple) const noexcept { return hash_tuple(tuple, keys_); }
    const HashKeys& keys() const noexcept { return keys_; }

    void prefetch_bucket(std::uint64_t hash) const noexcept { __builtin_prefetch(&buckets_[first_bucket(hash)]); }

    using Place = FlowTablePlace;
    Place place_of(std::uint64_t hash) const noexcept { return {first_bucket(hash), tag_of(hash)}; }
    void prefetch_bucket(Place place) const noexcept { __builtin_prefetch(&buckets_[place.bucket]); }

    /// The entry that find() would most likely yield, judged by the first bucket's tags alone.
    FlowRef candidate(std::uint64_t hash) const noexcept { return candidate(place_of(hash)); }
    FlowRef candidate(Place place) const noexcept {
        const TagBucket& bucket = bucket_at(place.bucket);
        const unsigned matches = match_tags(bucket, place.tag);
        // A conditional move: whether a packet is the first of its connection is not to be guessed.
        const std::uint32_t reference = bucket.references[static_cast<unsigned>(std::countr_zero(matches | 1U << 9))];
        return FlowRef::from_value(matches == 0 ? FlowRef{}.value() : reference & ~kDisplaced);
    }
    void prefetch_entry(FlowRef ref) const noexcept {
        if (!ref) return;
        const auto* line = reinterpret_cast<const std::byte*>(&entries_[ref.index()]);
        for (std::size_t at = 0; at < sizeof(Entry); at += 64) __builtin_prefetch(line + at);
    }
    /// Whether `ref` (something or nothing) is a connection's that has the tuple; whatever became of it since.
    bool is(FlowRef ref, const Tuple& tuple) const noexcept {
        return ref && entry(ref.index()).halves[ref.half()] == tuple;
    }
    /// Before insert(): the entry that it will take.
    void prefetch_next_entry() const noexcept {
        const std::uint32_t next = free_ != kNoEntry ? free_ : std::min(touched_, capacity_ - 1);
        const auto* line = reinterpret_cast<const std::byte*>(&entries_[next]);
        for (std::size_t at = 0; at < sizeof(Entry); at += 64) __builtin_prefetch(line + at, 1);
    }

    /// `hash` must be hash(tuple).
    FlowRef find(const Tuple& tuple, std::uint64_t hash) const noexcept {
        const std::uint32_t first = first_bucket(hash);
        const TagBucket& bucket = bucket_at(first);
        const FlowRef ref = find_in(bucket, tuple, tag_of(hash));
        if (ref || bucket.overflow == 0) [[likely]]
            return ref;
        return find_in(bucket_at(other_bucket(first, tag_of(hash))), tuple, tag_of(hash));
    }
    FlowRef find(const Tuple& tuple) const noexcept { return find(tuple, hash(tuple)); }

    /// By index; for loops that keep it in a register.
    Entry* entries() noexcept { return entries_; }
    Entry& entry(std::uint32_t index) noexcept {
        Trace::touch(&entries_[index]);
        return entries_[index];
    }
    const Entry& entry(std::uint32_t index) const noexcept {
        Trace::touch(&entries_[index]);
        return entries_[index];
    }

    /// A new connection like `content`, whose halves are in no entry, differ, and have a protocol; hashes are hash() of its
    /// halves. May erase others (Limits, above). kNoEntry: full.
    std::uint32_t insert(const Entry& content, std::uint64_t client_hash, std::uint64_t backend_hash) noexcept {
        const FlowList list = list_of(content.state);
        if (!make_room_for(list)) return kNoEntry;
        const std::uint32_t index = free_ != kNoEntry ? free_ : touched_;
        if (!place(client_hash, index << 1 | kClientHalf)) return kNoEntry;
        if (!place(backend_hash, index << 1 | kBackendHalf)) {
            remove(client_hash, index << 1 | kClientHalf);
            return kNoEntry;
        }
        Entry& entry = entries_[index];
        if (free_ != kNoEntry) {
            free_ = entry.links.older;
            --freed_;
            if (free_ != kNoEntry) __builtin_prefetch(&entries_[free_], 1);  // for the next insert
        } else {
            ++touched_;
        }
        // All but the first half, then that: its protocol says that the entry is whole.
        constexpr std::size_t kHalf = sizeof(Tuple);
        std::memcpy(reinterpret_cast<std::byte*>(&entry) + kHalf, reinterpret_cast<const std::byte*>(&content) + kHalf,
                    sizeof(Entry) - kHalf);
        if (list != FlowList::none) lists_.append(entries_, index, list);
        std::atomic_signal_fence(std::memory_order_release);
        commit(entry.halves[kClientHalf], content.halves[kClientHalf]);
        ++size_;
        return index;
    }
    /// The same with everything but the halves zero, for what has no more to say.
    std::uint32_t insert(const Tuple& client, std::uint64_t client_hash, const Tuple& backend,
                         std::uint64_t backend_hash) noexcept {
        Entry content;
        std::memset(static_cast<void*>(&content), 0, sizeof content);
        content.halves = {client, backend};
        return insert(content, client_hash, backend_hash);
    }
    std::uint32_t insert(const Tuple& client, const Tuple& backend) noexcept {
        return insert(client, hash(client), backend, hash(backend));
    }

    /// `index` must be in use. Between a list and none the entry's sequence numbers are lost: set them after leaving one.
    void set_state(std::uint32_t index, ConnectionState state) noexcept {
        Entry& entry = entries_[index];
        const FlowList from = list_of(entry.state);
        const FlowList to = list_of(state);
        if (from != to) {
            if (from != FlowList::none) lists_.remove(entries_, index, from);
            if (to != FlowList::none) lists_.append(entries_, index, to);
        }
        entry.state = state;
    }

    /// The bucket that erase() will need besides that of the packet at hand: of the entry's other half.
    void prefetch_for_erase(FlowRef ref) const noexcept {
        prefetch_bucket(hash(entries_[ref.index()].other_half(ref.half())));
    }
    /// `index` must be in use. The entry's memory is reused by a later insert.
    void erase(std::uint32_t index) noexcept {
        Entry& entry = entries_[index];
        for (const unsigned half : {kClientHalf, kBackendHalf}) {
            remove(hash(entry.halves[half]), index << 1 | half);
        }
        if (const FlowList list = list_of(entry.state); list != FlowList::none) lists_.remove(entries_, index, list);
        set_free(index);
        --size_;
    }

    /// Looks at the next `count` entries in turn and at the oldest of each list, and erases those for which
    /// `expired(Entry&)` is true; that is also where to count them. At most one round. Returns how many were erased.
    template <typename Expired>
    std::uint32_t age(std::uint32_t count, Expired&& expired) noexcept {
        std::uint32_t erased = 0;
        for (std::size_t list = 0; list < kFlowListCount; ++list) {
            for (std::uint32_t left = std::min(count, kOldestAged); left > 0; --left) {
                const std::uint32_t index = lists_.oldest(static_cast<FlowList>(list));
                if (index == kNoEntry || !expired(entries_[index])) break;
                erase(index);
                ++erased;
                fetch_oldest(static_cast<FlowList>(list));
            }
        }
        for (std::uint32_t left = std::min(count, touched_); left > 0; --left) {
            if (cursor_ >= touched_) cursor_ = 0;
            const std::uint32_t index = cursor_++;
            __builtin_prefetch(&entries_[std::min(index + kAgeingPrefetch, touched_ - 1)]);
            if (!entries_[index].in_use() || !expired(entries_[index])) continue;
            erase(index);
            ++erased;
        }
        return erased;
    }

    /// For a table that was just made over entries of an earlier process: takes over those that are whole, for which
    /// `judge(Entry&)` is true (it may change all but halves and state), and makes their index; of two with one tuple the newer.
    /// The rest becomes free. `judge` is called once for each whole entry.
    template <typename Judge>
    RestoreResult restore(Judge&& judge) noexcept;

    std::uint32_t size() const noexcept { return size_; }
    std::uint32_t capacity() const noexcept { return capacity_; }
    std::uint32_t free() const noexcept { return capacity_ - touched_ + freed_; }
    std::uint32_t half_open_limit() const noexcept { return half_open_limit_; }
    std::uint32_t waiting(FlowList list) const noexcept { return lists_.count(list); }
    const Evicted& evicted() const noexcept { return evicted_; }

    /// Walks everything: each used entry stands in the index once for each half and is found by both; used + free =
    /// capacity. For tests and diagnosis, not for the poll path.
    bool consistent() const;

  private:
    static constexpr std::uint32_t kDisplaced = 0x80000000;  ///< in a reference: stands in the tuple's second bucket
    static constexpr std::uint32_t kAgeingPrefetch = 8;
    static constexpr std::uint32_t kOldestAged = 64;
    static constexpr std::size_t kSearchNodes = 256;

    static constexpr std::uint32_t bucket_count_for(std::uint32_t capacity) {
        // The constant makes small tables as sure to fill up as large ones: few buckets give few other places.
        return capacity / 4 + 16;
    }
    static std::uint32_t scale(std::uint32_t hash, std::uint32_t range) noexcept {
        return static_cast<std::uint32_t>((std::uint64_t{hash} * range) >> 32);
    }
    static std::uint16_t tag_of(std::uint64_t hash) noexcept { return static_cast<std::uint16_t>(hash); }
    static FlowRef ref_of(std::uint32_t reference) noexcept { return FlowRef::from_value(reference & ~kDisplaced); }
    static unsigned free_slots(const TagBucket& bucket) noexcept {
        return ~static_cast<unsigned>(bucket.used) & ((1U << kBucketSlots) - 1);
    }

    const TagBucket& bucket_at(std::uint32_t at) const noexcept {
        Trace::touch(&buckets_[at]);
        return buckets_[at];
    }

    /// False where no other has to give way.
    bool evict(FlowList list, std::uint64_t& count) noexcept {
        const std::uint32_t oldest = lists_.oldest(list);
        if (oldest == kNoEntry) return false;
        erase(oldest);
        ++count;
        fetch_oldest(list);
        return true;
    }
    /// Where one went others will soon: the buckets of one to come, and the entry after it.
    void fetch_oldest(FlowList list) noexcept {
        const std::uint32_t scout = lists_.scout_on(entries_, list);
        if (scout == kNoEntry) return;
        const Entry& entry = entries_[scout];
        for (const Tuple& half : entry.halves) prefetch_bucket(hash(half));
        if (entry.links.newer != kNoEntry) __builtin_prefetch(&entries_[entry.links.newer], 1);
    }
    bool make_room_for(FlowList list) noexcept {
        if (list == FlowList::opening && lists_.count(list) >= half_open_limit_) evict(list, evicted_.opening);
        if (list == FlowList::one_way && lists_.count(list) >= half_open_limit_) evict(list, evicted_.one_way);
        if (size_ < capacity_) [[likely]]
            return true;
        return evict(FlowList::closed, evicted_.closed) || evict(FlowList::one_way, evicted_.one_way) ||
               evict(FlowList::opening, evicted_.opening);
    }

    /// In such an order that the protocol comes last, on machines that keep the order of stores (all 64-bit x86) and by release
    /// elsewhere. IPv4 tuples are written at once.
    static void commit(Tuple& to, const Tuple& from) noexcept {
        Tuple without = from;
        without.protocol = 0;
        to = without;
        std::atomic_ref(to.protocol).store(from.protocol, std::memory_order_release);
    }
    void set_free(std::uint32_t index) noexcept {
        Entry& entry = entries_[index];
        std::atomic_ref(entry.halves[kClientHalf].protocol).store(0, std::memory_order_relaxed);
        std::atomic_signal_fence(std::memory_order_release);
        entry.links = {free_, kNoEntry};
        free_ = index;
        ++freed_;
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
            if (entry(ref.index()).halves[ref.half()] == tuple) [[likely]]
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

    /// The second buckets that a search or place() will go on to.
    void prefetch_where_full(const std::array<std::uint64_t, 2>& hashes) const noexcept {
        for (const std::uint64_t hash : hashes) {
            const std::uint32_t first = first_bucket(hash);
            if (buckets_[first].overflow == 0 && free_slots(buckets_[first]) != 0) continue;
            __builtin_prefetch(&buckets_[other_bucket(first, tag_of(hash))], 1);
        }
    }
    bool take_back(std::uint32_t index, const std::array<std::uint64_t, 2>& hashes, RestoreResult& result) noexcept;

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
    std::uint32_t half_open_limit_;
    FlowLists<Entry> lists_;
    Evicted evicted_;
    std::uint32_t size_ = 0;
    std::uint32_t freed_ = 0;        ///< entries in the free list
    std::uint32_t touched_ = 0;      ///< entries below were used at least once
    std::uint32_t free_ = kNoEntry;  ///< most recently freed first: its lines are still in the cache
    std::uint32_t cursor_ = 0;       ///< of the ageing sweep
};

using FlowTableV4 = FlowTable<FlowEntryV4>;
using FlowTableV6 = FlowTable<FlowEntryV6>;

}  // namespace guideway::flow

#include "dataplane/flow/flow_table_walks.h"  // restore(), consistent()
