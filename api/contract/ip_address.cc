#include "api/contract/ip_address.h"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>

namespace guideway {

std::string_view to_string(IpFamily family) { return family == IpFamily::ipv4 ? "IPv4" : "IPv6"; }

std::optional<IpFamily> parse_family(std::string_view text) {
    if (text == "IPv4") return IpFamily::ipv4;
    if (text == "IPv6") return IpFamily::ipv6;
    return std::nullopt;
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    // inet_pton wants a terminated string and would stop at an embedded NUL: bound and check both.
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    if (text.empty() || text.size() >= buffer.size() || text.find('\0') != std::string_view::npos) return std::nullopt;
    std::copy(text.begin(), text.end(), buffer.begin());
    IpAddress result;
    if (text.find(':') != std::string_view::npos) {
        result.family = IpFamily::ipv6;
        if (inet_pton(AF_INET6, buffer.data(), result.bytes.data()) != 1) return std::nullopt;
        return result;
    }
    if (inet_pton(AF_INET, buffer.data(), result.bytes.data()) != 1) return std::nullopt;
    return result;
}

IpAddress IpAddress::v4(std::uint32_t value) {
    IpAddress result;
    result.bytes[0] = static_cast<std::uint8_t>(value >> 24);
    result.bytes[1] = static_cast<std::uint8_t>(value >> 16);
    result.bytes[2] = static_cast<std::uint8_t>(value >> 8);
    result.bytes[3] = static_cast<std::uint8_t>(value);
    return result;
}

IpAddress IpAddress::v6(const std::array<std::uint8_t, 16>& bytes) {
    IpAddress result;
    result.family = IpFamily::ipv6;
    result.bytes = bytes;
    return result;
}

std::string IpAddress::to_string() const {
    std::array<char, INET6_ADDRSTRLEN> buffer{};
    inet_ntop(is_v4() ? AF_INET : AF_INET6, bytes.data(), buffer.data(), buffer.size());
    return buffer.data();
}

bool IpAddress::is_unspecified() const {
    return std::all_of(bytes.begin(), bytes.end(), [](std::uint8_t b) { return b == 0; });
}

bool IpAddress::is_loopback() const {
    if (is_v4()) return bytes[0] == 127;
    return std::all_of(bytes.begin(), bytes.end() - 1, [](std::uint8_t b) { return b == 0; }) && bytes[15] == 1;
}

bool IpAddress::is_multicast() const { return is_v4() ? (bytes[0] & 0xf0) == 0xe0 : bytes[0] == 0xff; }

bool IpAddress::is_broadcast() const { return is_v4() && v4_value() == 0xffffffffU; }

bool IpAddress::is_link_local() const {
    return is_v4() ? bytes[0] == 169 && bytes[1] == 254 : bytes[0] == 0xfe && (bytes[1] & 0xc0) == 0x80;
}

std::optional<IpPrefix> IpPrefix::parse(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos) return std::nullopt;
    const auto address = IpAddress::parse(text.substr(0, slash));
    const auto digits = text.substr(slash + 1);
    if (!address || digits.empty() || digits.size() > 3 || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
    unsigned length = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (error != std::errc{} || end != digits.data() + digits.size() || length > address->bits()) return std::nullopt;
    return IpPrefix{*address, static_cast<std::uint8_t>(length)};
}

std::string IpPrefix::to_string() const { return address.to_string() + "/" + std::to_string(length); }

IpPrefix IpPrefix::network() const {
    IpPrefix result = *this;
    for (unsigned bit = length; bit < address.bits(); ++bit) {
        result.address.bytes[bit / 8] =
            static_cast<std::uint8_t>(result.address.bytes[bit / 8] & ~(0x80U >> (bit % 8)));
    }
    return result;
}

bool IpPrefix::contains(const IpAddress& other) const {
    if (other.family != address.family) return false;
    const unsigned whole = length / 8;
    if (!std::equal(address.bytes.begin(), address.bytes.begin() + whole, other.bytes.begin())) return false;
    const unsigned rest = length % 8;
    if (rest == 0) return true;
    const auto mask = static_cast<std::uint8_t>(0xff00U >> rest);
    return (address.bytes[whole] & mask) == (other.bytes[whole] & mask);
}

}  // namespace guideway
