// Ranges of MetalLB's pools, and which of their addresses are still to be had: MetalLB and Guideway both give an address to one pool
// only, and Guideway refuses addresses that no client can reach.
//
// Terms. Range: first and last address, both inside. Taken: given to an earlier range, or to nobody ("loopback addresses").
// Worked example: TakenRanges taken; taken.take({192.0.2.0, 192.0.2.15}, "pool a"); then taken.take({192.0.2.8, 192.0.2.31}, "pool b")
// has left {192.0.2.16, 192.0.2.31}, and the conflict "pool a".
// Thread contract: one thread.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "api/contract/ip_address.h"

namespace guideway::cli::metallb {

struct Range {
    IpAddress first, last;  ///< of one family, first <= last
    friend bool operator==(const Range&, const Range&) = default;
};

/// "first-last"; of a single address "192.0.2.1/32".
std::string to_string(const Range& range);

struct ParsedRange {
    Range range;
    bool bare = false;  ///< a single address without "/32", which MetalLB refuses
};
/// "192.0.2.0/28", "192.0.2.1 - 192.0.2.9" or a bare address; else what is wrong, as "found ..., allowed ...".
std::variant<ParsedRange, std::string> parse_range(std::string_view text);

/// Why a part of a range is not to be had.
struct Conflict {
    std::string owner;
    bool usable = true;  ///< false: addresses of this sort are given to nobody
    friend bool operator==(const Conflict&, const Conflict&) = default;
};

struct Left {
    std::vector<Range> ranges;        ///< in order; the whole range where there is no conflict
    std::vector<Conflict> conflicts;  ///< each owner once
};

class TakenRanges {
  public:
    /// What nobody gets is taken from the start.
    TakenRanges();
    /// Takes of `range` what is left, for `owner`.
    Left take(const Range& range, const std::string& owner);

  private:
    struct Taken {
        IpAddress first;
        Conflict conflict;
    };
    std::map<IpAddress, Taken> by_last_;  ///< no two overlap
};

}  // namespace guideway::cli::metallb
