#include "dataplane/snapshot/route_index.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <type_traits>

namespace guideway::snapshot {
namespace {

std::uint64_t half_of(const IpAddress& address, std::size_t from) {
    std::uint64_t value = 0;
    for (std::size_t i = from; i < from + 8; ++i) value = value << 8 | address.bytes[i];
    return value;
}

/// None: there is no address behind the last one.
std::optional<std::uint32_t> behind(std::uint32_t last) {
    return last == ~std::uint32_t{0} ? std::nullopt : std::optional(last + 1);
}
std::optional<std::array<std::uint64_t, 2>> behind(const std::array<std::uint64_t, 2>& last) {
    if (last[1] != ~std::uint64_t{0}) return std::array{last[0], last[1] + 1};
    if (last[0] != ~std::uint64_t{0}) return std::array{last[0] + 1, std::uint64_t{0}};
    return std::nullopt;
}

/// All bits behind the first `length` of 64.
std::uint64_t host_bits(unsigned length) {
    return length == 0 ? ~std::uint64_t{0} : length >= 64 ? 0 : ~std::uint64_t{0} >> length;
}

std::uint32_t last_of(std::uint32_t first, unsigned length) {
    return first | static_cast<std::uint32_t>(host_bits(length + 32U));
}
std::array<std::uint64_t, 2> last_of(const std::array<std::uint64_t, 2>& first, unsigned length) {
    return {first[0] | host_bits(length), first[1] | host_bits(length > 64 ? length - 64 : 0)};
}

}  // namespace

RouteIndex::Wide RouteIndex::wide_of(const IpAddress& address) noexcept {
    return {half_of(address, 0), half_of(address, 8)};
}

RouteIndex::RouteIndex(std::span<const IpPrefix> prefixes) {
    v4_.cut(prefixes, IpFamily::ipv4);
    v6_.cut(prefixes, IpFamily::ipv6);
}

template <typename Value>
std::int32_t RouteIndex::Intervals<Value>::find(const Value& address) const noexcept {
    if (starts.empty()) return kNone;
    const auto next = std::upper_bound(starts.begin(), starts.end(), address);
    return found[static_cast<std::size_t>(next - starts.begin()) - 1];
}

template <typename Value>
void RouteIndex::Intervals<Value>::cut(std::span<const IpPrefix> prefixes, IpFamily family) {
    struct Piece {
        Value first, last;
        unsigned length;
        std::int32_t index;
    };
    std::vector<Piece> pieces;
    for (std::size_t i = 0; i < prefixes.size(); ++i) {
        if (prefixes[i].address.family != family) continue;
        Value first{};
        if constexpr (std::is_same_v<Value, std::uint32_t>) {
            first = prefixes[i].address.v4_value();
        } else {
            first = wide_of(prefixes[i].address);
        }
        pieces.push_back({first, last_of(first, prefixes[i].length), prefixes[i].length, static_cast<std::int32_t>(i)});
    }
    if (pieces.empty()) return;
    // What contains others comes before them; prefixes either contain each other or have nothing in common.
    std::sort(pieces.begin(), pieces.end(), [](const Piece& a, const Piece& b) {
        return std::tie(a.first, a.length, a.index) < std::tie(b.first, b.length, b.index);
    });
    const auto from = [&](const Value& start, std::int32_t index) {
        if (!starts.empty() && starts.back() == start) {
            found.back() = index;
        } else {
            starts.push_back(start);
            found.push_back(index);
        }
    };
    from(Value{}, kNone);
    std::vector<const Piece*> open;  // each within the one before
    const auto close = [&] {
        const auto start = behind(open.back()->last);
        open.pop_back();
        if (start) from(*start, open.empty() ? kNone : open.back()->index);
    };
    for (const Piece& piece : pieces) {
        while (!open.empty() && open.back()->last < piece.first) close();
        if (!open.empty() && open.back()->first == piece.first && open.back()->length == piece.length) continue;
        open.push_back(&piece);
        from(piece.first, piece.index);
    }
    while (!open.empty()) close();
}

template struct RouteIndex::Intervals<std::uint32_t>;
template struct RouteIndex::Intervals<RouteIndex::Wide>;

}  // namespace guideway::snapshot
