#include "api/cli/metallb/ranges.h"

#include <algorithm>
#include <array>
#include <utility>

#include "api/json/object_reader.h"

namespace guideway::cli::metallb {

namespace {

struct Unusable {
    const char* prefix;
    const char* what;
};
/// What Guideway's pools may not hold (ipam-rules 1), and what MetalLB takes for IPv4 and Guideway for IPv6.
constexpr std::array kUnusable{
    Unusable{"0.0.0.0/32", "the unspecified address"},
    Unusable{"127.0.0.0/8", "loopback addresses"},
    Unusable{"169.254.0.0/16", "link-local addresses"},
    Unusable{"224.0.0.0/4", "multicast addresses"},
    Unusable{"255.255.255.255/32", "the broadcast address"},
    Unusable{"::/128", "the unspecified address"},
    Unusable{"::1/128", "the loopback address"},
    Unusable{"::ffff:0:0/96", "IPv4 addresses in IPv6 form"},
    Unusable{"fe80::/10", "link-local addresses"},
    Unusable{"ff00::/8", "multicast addresses"},
};

std::size_t size_of(const IpAddress& address) { return address.is_v4() ? 4 : 16; }

/// The next or the one before; the caller knows that there is one.
IpAddress after(IpAddress address) {
    for (std::size_t i = size_of(address); i-- > 0;) {
        if (++address.bytes[i] != 0) break;
    }
    return address;
}
IpAddress before(IpAddress address) {
    for (std::size_t i = size_of(address); i-- > 0;) {
        if (address.bytes[i]-- != 0) break;
    }
    return address;
}

Range range_of(const IpPrefix& prefix) {
    const IpAddress first = prefix.network().address;
    IpAddress last = first;
    for (unsigned bit = prefix.length; bit < first.bits(); ++bit) {
        last.bytes[bit / 8] = static_cast<std::uint8_t>(last.bytes[bit / 8] | 0x80U >> bit % 8);
    }
    return {first, last};
}

std::string without_blanks(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') out += c;
    }
    return out;
}

}  // namespace

std::string to_string(const Range& range) {
    const std::string first = range.first.to_string();
    return range.first == range.last ? first + (range.first.is_v4() ? "/32" : "/128")
                                     : first + "-" + range.last.to_string();
}

std::variant<ParsedRange, std::string> parse_range(std::string_view written) {
    const std::string text = without_blanks(written);
    const std::string found = "found " + json::ObjectReader::quoted(written);
    if (const std::size_t dash = text.find('-'); dash != std::string::npos) {
        const auto first = IpAddress::parse(std::string_view(text).substr(0, dash));
        const auto last = IpAddress::parse(std::string_view(text).substr(dash + 1));
        if (!first || !last) return found + ", allowed two addresses of one family joined by \"-\"";
        if (first->family != last->family) return found + ", allowed a range with both ends of one family";
        if (*last < *first) return found + ", allowed a range whose first address is not above its last";
        return ParsedRange{{*first, *last}, false};
    }
    if (const auto prefix = IpPrefix::parse(text)) return ParsedRange{range_of(*prefix), false};
    if (const auto address = IpAddress::parse(text)) return ParsedRange{{*address, *address}, true};
    return found + ", allowed a CIDR (\"192.0.2.0/28\") or a range (\"192.0.2.1-192.0.2.9\")";
}

TakenRanges::TakenRanges() {
    for (const Unusable& unusable : kUnusable) {
        const Range range = range_of(*IpPrefix::parse(unusable.prefix));
        by_last_.emplace(range.last, Taken{range.first, {std::string(unusable.what), false}});
    }
}

Left TakenRanges::take(const Range& range, const std::string& owner) {
    Left left;
    IpAddress next = range.first;  // the first address that is not looked at yet
    bool more = true;
    for (auto at = by_last_.lower_bound(range.first); at != by_last_.end() && at->second.first <= range.last; ++at) {
        const auto& [first, conflict] = at->second;
        if (next < first) left.ranges.push_back({next, before(first)});
        if (std::find(left.conflicts.begin(), left.conflicts.end(), conflict) == left.conflicts.end()) {
            left.conflicts.push_back(conflict);
        }
        // What is taken may reach to the family's last address, which nothing follows.
        more = at->first < range.last;
        if (!more) break;
        next = after(at->first);
    }
    if (more) left.ranges.push_back({next, range.last});
    for (const Range& one : left.ranges) by_last_.emplace(one.last, Taken{one.first, {owner, true}});
    return left;
}

}  // namespace guideway::cli::metallb
