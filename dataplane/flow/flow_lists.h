// FlowLists: the entries of a flow table that may have to make room for others, in the order in which they came.
//
// Terms:
//   list    opening, one_way or closed (FlowList); an entry's state says in which it is, if in any.
//   oldest  the first to give way.
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
    }

  private:
    struct Ends {
        std::uint32_t oldest = kNoEntry;
        std::uint32_t newest = kNoEntry;
        std::uint32_t count = 0;
    };
    static constexpr std::size_t at(FlowList list) noexcept { return static_cast<std::size_t>(list); }

    std::array<Ends, kFlowListCount> ends_;
};

}  // namespace guideway::flow
