// IP addresses and prefixes as plain values, shared by every program.
//
// Terms: bytes are always in network order; an IPv4 address uses the first 4 of the 16 bytes and the rest are zero.
// Thread contract: plain values without shared state; safe anywhere. parse() and to_string() allocate: not for the poll path.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace guideway {

enum class IpFamily : std::uint8_t { ipv4 = 4, ipv6 = 6 };

/// "IPv4" or "IPv6", as Kubernetes spells them.
std::string_view to_string(IpFamily family);
/// The reverse; nothing for any other text.
std::optional<IpFamily> parse_family(std::string_view text);

struct IpAddress {
    std::array<std::uint8_t, 16> bytes{};
    IpFamily family = IpFamily::ipv4;

    /// Strict text form: dotted quad without leading zeros, or RFC 4291 without zone. Nothing around it, no prefix length.
    static std::optional<IpAddress> parse(std::string_view text);
    /// `value` in host order: v4(0x0a000001) is 10.0.0.1.
    static IpAddress v4(std::uint32_t value);
    static IpAddress v6(const std::array<std::uint8_t, 16>& bytes);

    bool is_v4() const { return family == IpFamily::ipv4; }
    /// Bits of an address of this family: 32 or 128.
    unsigned bits() const { return is_v4() ? 32 : 128; }
    /// Host-order value; only for IPv4.
    std::uint32_t v4_value() const {
        return std::uint32_t{bytes[0]} << 24 | std::uint32_t{bytes[1]} << 16 | std::uint32_t{bytes[2]} << 8 | bytes[3];
    }
    /// RFC 5952 form for IPv6.
    std::string to_string() const;

    bool is_unspecified() const;
    bool is_loopback() const;
    bool is_multicast() const;
    /// 255.255.255.255.
    bool is_broadcast() const;
    /// 169.254/16 or fe80::/10.
    bool is_link_local() const;
    /// What a VIP, a SNAT address or a backend may be: none of the above.
    bool is_usable_unicast() const {
        return !is_unspecified() && !is_loopback() && !is_multicast() && !is_broadcast() && !is_link_local();
    }

    /// IPv4 sorts before IPv6, then by value.
    friend std::strong_ordering operator<=>(const IpAddress& a, const IpAddress& b) {
        if (auto order = a.family <=> b.family; order != 0) return order;
        return a.bytes <=> b.bytes;
    }
    friend bool operator==(const IpAddress&, const IpAddress&) = default;
};

/// An address with a prefix length; host bits are kept as given (an interface's address has them), see network().
struct IpPrefix {
    IpAddress address;
    std::uint8_t length = 0;  ///< 0..32 or 0..128

    /// "192.0.2.1/24". The "/length" is required.
    static std::optional<IpPrefix> parse(std::string_view text);
    std::string to_string() const;
    /// The same prefix with its host bits cleared.
    IpPrefix network() const;
    bool contains(const IpAddress& other) const;

    friend auto operator<=>(const IpPrefix&, const IpPrefix&) = default;
};

struct IpAddressHash {
    std::size_t operator()(const IpAddress& address) const noexcept {
        std::uint64_t hash = 0x9e3779b97f4a7c15ULL * static_cast<std::uint64_t>(address.family);
        for (std::size_t i = 0; i < 16; i += 8) {
            std::uint64_t part = 0;
            for (std::size_t j = 0; j < 8; ++j) part = part << 8 | address.bytes[i + j];
            hash = (hash ^ part) * 0xff51afd7ed558ccdULL;
            hash ^= hash >> 33;
        }
        return static_cast<std::size_t>(hash);
    }
};

}  // namespace guideway
