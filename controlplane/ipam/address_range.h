// AddressRange: one entry of an address pool, "192.0.2.0/24" or "192.0.2.10-192.0.2.20" (ipam-rules 1).
//
// Terms: a range holds its first and last address and all between. Addresses are counted as 128-bit numbers,
// for IPv4 too, so that the rules are written once for both families. Thread contract: plain values.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "api/contract/ip_address.h"

namespace guideway::ipam {

__extension__ typedef unsigned __int128 Number;

/// The address as a number: 10.0.0.1 is 0x0a000001.
Number to_number(const IpAddress& address);
/// `number` must fit the family.
IpAddress to_address(IpFamily family, Number number);

struct AddressRange {
    IpFamily family = IpFamily::ipv4;
    Number first = 0;
    Number last = 0;

    bool contains(const IpAddress& address) const { return address.family == family && contains(to_number(address)); }
    bool contains(Number number) const { return first <= number && number <= last; }
    bool overlaps(const AddressRange& other) const {
        return family == other.family && first <= other.last && other.first <= last;
    }
    /// "first-last"; a single address stands for itself.
    std::string to_string() const;

    friend bool operator==(const AddressRange&, const AddressRange&) = default;
};

/// The range, or a sentence that says what is wrong with the text and what is allowed. Blanks anywhere are
/// ignored, host bits of a CIDR dropped. Refused: a bare address, an end before its start, ends of two
/// families.
std::variant<AddressRange, std::string> parse_range(std::string_view text);

/// Addresses in the range that may be given away: all of them, or with `avoid_buggy_ips` without those IPv4
/// addresses that end in .0 or .255 (rule 3).
Number capacity(const AddressRange& range, bool avoid_buggy_ips);

/// Ends in .0 or .255: some old client stacks take such an IPv4 address for a network's or a broadcast
/// address.
inline bool is_buggy(IpFamily family, Number number) {
    const auto low = static_cast<std::uint8_t>(number);
    return family == IpFamily::ipv4 && (low == 0 || low == 255);
}

}  // namespace guideway::ipam
