// What walks over a whole flow table: taking it back after a restart, and checking it. Part of flow_table.h, which includes this.
//
// Worked example: FlowTable table(entries of the earlier process, fresh index, limits, seed);
//   const RestoreResult result = table.restore([](Entry& entry) { return still_wanted(entry); });
//
// Thread contract: the table's worker, or the start-up code before it runs. Not for the poll path.
#pragma once

#include "dataplane/flow/flow_table.h"

namespace guideway::flow {

template <typename EntryType, typename Trace>
template <typename Judge>
RestoreResult FlowTable<EntryType, Trace>::restore(Judge&& judge) noexcept {
    RestoreResult result;
    constexpr std::uint32_t kBatch = 64;
    std::array<std::array<std::uint64_t, 2>, kBatch> hashes;
    std::array<bool, kBatch> wanted;
    touched_ = capacity_;
    // From the last to the first, so that the free list begins with the first.
    for (std::uint32_t end = capacity_; end > 0;) {
        const std::uint32_t first = end > kBatch ? end - kBatch : 0;
        for (std::uint32_t index = first; index < end; ++index) {
            Entry& entry = entries_[index];
            // Of the next batch: that is before this one, where no prefetcher of the processor's looks.
            if (index >= kBatch) __builtin_prefetch(&entries_[index - kBatch], 1);
            wanted[index - first] = false;
            if (!entry.in_use()) continue;
            if (!entry.whole()) {
                ++result.damaged;
            } else if (!judge(entry)) {
                ++result.refused;
            } else {
                wanted[index - first] = true;
                for (const unsigned half : {kClientHalf, kBackendHalf}) {
                    hashes[index - first][half] = hash(entry.halves[half]);
                    prefetch_bucket(hashes[index - first][half]);
                }
            }
        }
        for (std::uint32_t index = first; index < end; ++index) {
            if (wanted[index - first]) prefetch_where_full(hashes[index - first]);
        }
        for (std::uint32_t index = end; index-- > first;) {
            if (!wanted[index - first] || !take_back(index, hashes[index - first], result)) set_free(index);
        }
        end = first;
    }
    return result;
}

template <typename EntryType, typename Trace>
bool FlowTable<EntryType, Trace>::take_back(std::uint32_t index, const std::array<std::uint64_t, 2>& hashes,
                                            RestoreResult& result) noexcept {
    Entry& entry = entries_[index];
    for (const unsigned half : {kClientHalf, kBackendHalf}) {
        const FlowRef other = find(entry.halves[half], hashes[half]);
        if (!other) continue;
        ++result.doubled;
        if (static_cast<std::int32_t>(entry.last_seen - entries_[other.index()].last_seen) <= 0) return false;
        erase(other.index());
        --result.kept;
    }
    const std::uint32_t reference = index << 1;
    if (!place(hashes[kClientHalf], reference | kClientHalf)) {
        ++result.no_room;
        return false;
    }
    if (!place(hashes[kBackendHalf], reference | kBackendHalf)) {
        remove(hashes[kClientHalf], reference | kClientHalf);
        ++result.no_room;
        return false;
    }
    if (const FlowList list = list_of(entry.state); list != FlowList::none) lists_.append(entries_, index, list);
    ++size_;
    ++result.kept;
    return true;
}

template <typename EntryType, typename Trace>
bool FlowTable<EntryType, Trace>::consistent() const {
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
    std::uint32_t unused = capacity_ - touched_;
    for (std::uint32_t index = free_; index != kNoEntry; index = entries_[index].links.older) {
        if (index >= touched_ || entries_[index].in_use() || ++unused > capacity_) return false;
    }
    std::array<std::uint32_t, kFlowListCount + 1> by_state{};
    for (std::uint32_t index = 0; index < touched_; ++index) {
        if (entries_[index].in_use()) ++by_state[static_cast<std::size_t>(list_of(entries_[index].state))];
    }
    for (std::size_t list = 0; list < kFlowListCount; ++list) {
        std::uint32_t length = 0;
        std::uint32_t older = kNoEntry;
        for (std::uint32_t index = lists_.oldest(static_cast<FlowList>(list)); index != kNoEntry;) {
            const Entry& entry = entries_[index];
            if (!entry.in_use() || list_of(entry.state) != static_cast<FlowList>(list)) return false;
            if (entry.links.older != older || ++length > size_) return false;
            older = index;
            index = entry.links.newer;
        }
        if (length != by_state[list] || length != lists_.count(static_cast<FlowList>(list))) return false;
    }
    return used == size_ && slots == 2ULL * size_ && displaced == overflow && used + unused == capacity_ &&
           unused == free();
}

}  // namespace guideway::flow
