#include "controlplane/ipam/address_range.h"

#include <array>
#include <optional>

#include "controlplane/ipam/quoted.h"

namespace guideway::ipam {
namespace {

struct Unusable {
    const char* prefix;
    const char* what;
};
// What IpAddress::is_usable_unicast() leaves out, as prefixes.
constexpr std::array kUnusable{
    Unusable{"0.0.0.0/32", "the unspecified address"},
    Unusable{"127.0.0.0/8", "loopback addresses"},
    Unusable{"169.254.0.0/16", "link-local addresses"},
    Unusable{"224.0.0.0/4", "multicast addresses"},
    Unusable{"255.255.255.255/32", "the broadcast address"},
    Unusable{"::/128", "the unspecified address"},
    Unusable{"::1/128", "the loopback address"},
    Unusable{"fe80::/10", "link-local addresses"},
    Unusable{"ff00::/8", "multicast addresses"},
};

AddressRange range_of_prefix(const IpPrefix& prefix) {
    const Number first = to_number(prefix.network().address);
    const unsigned host_bits = prefix.address.bits() - prefix.length;
    const Number span = host_bits >= 128 ? ~Number{0} : (Number{1} << host_bits) - 1;
    return {prefix.address.family, first, first + span};
}

std::string without_blanks(std::string_view text) {
    std::string kept;
    for (const char c : text) {
        if (c != ' ' && c != '\t' && c != '\n' && c != '\r') kept += c;
    }
    return kept;
}

}  // namespace

Number to_number(const IpAddress& address) {
    Number number = 0;
    for (unsigned i = 0; i < address.bits() / 8; ++i) number = number << 8 | address.bytes[i];
    return number;
}

IpAddress to_address(IpFamily family, Number number) {
    if (family == IpFamily::ipv4) return IpAddress::v4(static_cast<std::uint32_t>(number));
    std::array<std::uint8_t, 16> bytes{};
    for (std::size_t i = 16; i-- > 0; number >>= 8) bytes[i] = static_cast<std::uint8_t>(number);
    return IpAddress::v6(bytes);
}

std::string AddressRange::to_string() const {
    const std::string start = to_address(family, first).to_string();
    return first == last ? start : start + "-" + to_address(family, last).to_string();
}

std::variant<AddressRange, std::string> parse_range(std::string_view written) {
    const std::string text = without_blanks(written);
    AddressRange range;
    if (text.empty())
        return std::string("is empty; write a CIDR (\"192.0.2.0/28\") or a range (\"192.0.2.1-192.0.2.9\")");
    if (const std::size_t dash = text.find('-'); dash != std::string::npos) {
        const auto first = IpAddress::parse(std::string_view(text).substr(0, dash));
        const auto last = IpAddress::parse(std::string_view(text).substr(dash + 1));
        if (!first) return quoted(text.substr(0, dash)) + ", the start of the range, is not an IP address";
        if (!last) return quoted(text.substr(dash + 1)) + ", the end of the range, is not an IP address";
        if (first->family != last->family) {
            return "the range " + quoted(text) + " begins with an " + std::string(guideway::to_string(first->family)) +
                   " and ends with an " + std::string(guideway::to_string(last->family)) +
                   " address; write one range a family";
        }
        range = {first->family, to_number(*first), to_number(*last)};
        if (range.last < range.first) {
            return "the range " + quoted(text) + " ends before it starts; write the lower address first";
        }
    } else if (text.find('/') != std::string::npos) {
        const auto prefix = IpPrefix::parse(text);
        if (!prefix) return quoted(text) + " is not a CIDR such as \"192.0.2.0/28\" or \"2001:db8::/64\"";
        range = range_of_prefix(*prefix);
    } else if (const auto bare = IpAddress::parse(text)) {
        return quoted(text) + " is a bare address; write " + quoted(text + (bare->is_v4() ? "/32" : "/128")) +
               " for this one address";
    } else {
        return quoted(text) + " is neither a CIDR (\"192.0.2.0/28\") nor a range (\"192.0.2.1-192.0.2.9\")";
    }
    for (const Unusable& unusable : kUnusable) {
        if (range.overlaps(range_of_prefix(*IpPrefix::parse(unusable.prefix)))) {
            return quoted(text) + " holds " + unusable.what + " (" + unusable.prefix +
                   "), which cannot serve as external addresses; leave them out";
        }
    }
    return range;
}

Number capacity(const AddressRange& range, bool avoid_buggy_ips) {
    Number count = range.last - range.first + 1;
    if (avoid_buggy_ips && range.family == IpFamily::ipv4) {
        // How many numbers <= n end in .0, and in .255.
        const auto zeros = [](Number n) { return n / 256 + 1; };
        const auto ones = [](Number n) { return (n + 1) / 256; };
        const Number before = range.first;
        Number buggy = zeros(range.last) + ones(range.last);
        if (before > 0) buggy -= zeros(before - 1) + ones(before - 1);
        count -= buggy;
    }
    return count;
}

}  // namespace guideway::ipam
