// FlowLists: the entries of a flow table that may have to make room for others, in the order in which they came.
//
// Terms:
//   list    opening, one_way or closed (FlowList); an entry's state says in which it is, if in any.
//   oldest  the first to give way.
//   scout   an entry some places behind the oldest: what is about to be needed of it can be fetched meanwhile.
// The links stand in the entries themselves, where an entry that waits has nothing else to keep, so a list costs no memory.
//
// Worked example: SYNs of A, B, C -> opening: A B C. B's handshake ends: A C. A flood's SYN when the list may hold two: A gives way.
//
// Thread contract: the worker that owns the table.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "dataplane/flow/connection_state.h"

namespace guideway::flow {

template <typename Entry>
class FlowLists {
  public:
    static constexpr std::uint32_t kNoEntry = 0xffffffff;

    std::uint32_t count(FlowList list) const noexcept { return ends_[at(list)].count; }
    /// kNoEntry where the list is empty.
    std::uint32_t oldest(FlowList list) const noexcept { return ends_[at(list)].oldest; }

    /// `list` is not none; the entry is in no list.
    void append(Entry* entries, std::uint32_t index, FlowList list) noexcept {
        Ends& ends = ends_[at(list)];
        entries[index].links = {ends.newest, kNoEntry};
        if (ends.newest != kNoEntry) {
            entries[ends.newest].links.newer = index;
        } else {
            ends.oldest = index;
        }
        ends.newest = index;
        ++ends.count;
    }

    /// The entry is in `list`.
    void remove(Entry* entries, std::uint32_t index, FlowList list) noexcept {
        Ends& ends = ends_[at(list)];
        const auto [older, newer] = entries[index].links;
        (older != kNoEntry ? entries[older].links.newer : ends.oldest) = newer;
        (newer != kNoEntry ? entries[newer].links.older : ends.newest) = older;
        --ends.count;
        if (ends.scout == index) {
            ends.scout = newer;
            if (ends.lead > 0) --ends.lead;
        }
    }

    /// After the oldest has gone: the entry that the scout stands at now, kNoEntry where the list is too short to know.
    std::uint32_t scout_on(const Entry* entries, FlowList list) noexcept {
        Ends& ends = ends_[at(list)];
        if (ends.scout == kNoEntry) {
            ends.scout = ends.oldest;
            ends.lead = 0;
        }
        for (int step = ends.lead < kLead ? 2 : 1; step > 0 && ends.scout != kNoEntry; --step) {
            ends.scout = entries[ends.scout].links.newer;
        }
        if (ends.lead < kLead) ++ends.lead;
        return ends.scout;
    }

  private:
    struct Ends {
        std::uint32_t oldest = kNoEntry;
        std::uint32_t newest = kNoEntry;
        std::uint32_t count = 0;
        std::uint32_t scout = kNoEntry;
        std::uint32_t lead = 0;  ///< about how many places the scout is ahead
    };
    static constexpr std::uint32_t kLead = 6;
    static constexpr std::size_t at(FlowList list) noexcept { return static_cast<std::size_t>(list); }

    std::array<Ends, kFlowListCount> ends_;
};

}  // namespace guideway::flow
