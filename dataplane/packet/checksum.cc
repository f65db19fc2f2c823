#include "dataplane/packet/checksum.h"

#include <array>
#include <cstring>

#include "dataplane/packet/wire.h"

#if defined(__SSE4_2__)
#include <nmmintrin.h>
#endif

namespace guideway::packet {
namespace {

constexpr std::uint16_t fold(std::uint64_t sum) noexcept {
    sum = (sum & 0xffffffffU) + (sum >> 32);
    sum = (sum & 0xffffffffU) + (sum >> 32);
    sum = (sum & 0xffffU) + (sum >> 16);
    sum = (sum & 0xffffU) + (sum >> 16);
    return static_cast<std::uint16_t>(sum);
}

/// Unfolded; 32-bit words give the same sum as 16-bit words once folded, because 2^16 = 1 modulo 0xffff.
std::uint64_t raw_sum(const std::uint8_t* at, std::size_t length) noexcept {
    std::uint64_t sum = 0;
    for (; length >= 4; at += 4, length -= 4) sum += load_raw32(at);
    if (length >= 2) {
        sum += load_raw16(at);
        at += 2;
        length -= 2;
    }
    if (length == 1) {
        const std::array<std::uint8_t, 2> last{*at, 0};
        sum += load_raw16(last.data());
    }
    return sum;
}

std::uint16_t pseudo_sum(const std::uint8_t* addresses, std::size_t addresses_length, std::uint8_t protocol,
                         std::uint32_t length) noexcept {
    return fold(raw_sum(addresses, addresses_length) + swap_if_little(length) +
                swap_if_little(static_cast<std::uint16_t>(protocol)));
}

template <typename Tuple>
ChecksumDelta difference(const Tuple& from, const Tuple& to) noexcept {
    const auto sum_at = [](const Tuple& tuple) {
        return fold(raw_sum(reinterpret_cast<const std::uint8_t*>(&tuple), 2 * sizeof tuple.source));
    };
    const std::uint16_t addresses = add_sums(sum_at(to), static_cast<std::uint16_t>(~sum_at(from)));
    const std::uint16_t old_ports = add_sums(from.source_port, from.destination_port);
    const std::uint16_t new_ports = add_sums(to.source_port, to.destination_port);
    const std::uint16_t ports = add_sums(new_ports, static_cast<std::uint16_t>(~old_ports));
    return {addresses, add_sums(addresses, ports)};
}

constexpr std::array<std::uint32_t, 256> make_crc_table() {
    std::array<std::uint32_t, 256> table{};
    for (std::uint32_t i = 0; i < 256; ++i) {
        std::uint32_t crc = i;
        for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1U) != 0 ? 0x82f63b78U : 0U);
        table[i] = crc;
    }
    return table;
}
constexpr std::array<std::uint32_t, 256> kCrcTable = make_crc_table();

void store_little32(std::uint8_t* at, std::uint32_t value) noexcept {
    for (unsigned i = 0; i < 4; ++i) at[i] = static_cast<std::uint8_t>(value >> (8 * i));
}

}  // namespace

std::uint16_t sum_of(std::span<const std::uint8_t> bytes, std::uint16_t start) noexcept {
    return fold(raw_sum(bytes.data(), bytes.size()) + start);
}

std::uint16_t pseudo_sum_v4(const std::uint8_t* addresses, std::uint8_t protocol, std::uint32_t length) noexcept {
    return pseudo_sum(addresses, 8, protocol, length);
}

std::uint16_t pseudo_sum_v6(const std::uint8_t* addresses, std::uint8_t protocol, std::uint32_t length) noexcept {
    return pseudo_sum(addresses, 32, protocol, length);
}

std::uint16_t ipv4_header_checksum(const std::uint8_t* header, std::size_t header_length) noexcept {
    const std::uint64_t sum =
        raw_sum(header, ipv4::kChecksum) + raw_sum(header + ipv4::kSource, header_length - ipv4::kSource);
    return static_cast<std::uint16_t>(~fold(sum));
}

bool ipv4_header_checksum_ok(const std::uint8_t* header, std::size_t header_length) noexcept {
    return fold(raw_sum(header, header_length)) == 0xffff;
}

ChecksumDelta delta_between(const FiveTupleV4& from, const FiveTupleV4& to) noexcept { return difference(from, to); }
ChecksumDelta delta_between(const FiveTupleV6& from, const FiveTupleV6& to) noexcept { return difference(from, to); }

std::uint32_t crc32c_by_table(std::span<const std::uint8_t> bytes, std::uint32_t crc) noexcept {
    crc = ~crc;
    for (const std::uint8_t byte : bytes) crc = (crc >> 8) ^ kCrcTable[(crc ^ byte) & 0xffU];
    return ~crc;
}

std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc) noexcept {
#if defined(__SSE4_2__)
    const std::uint8_t* at = bytes.data();
    std::size_t left = bytes.size();
    std::uint64_t state = static_cast<std::uint32_t>(~crc);
    for (; left >= 8; at += 8, left -= 8) {
        std::uint64_t word;
        std::memcpy(&word, at, sizeof word);
        state = _mm_crc32_u64(state, word);
    }
    auto narrow = static_cast<std::uint32_t>(state);
    for (; left > 0; ++at, --left) narrow = _mm_crc32_u8(narrow, *at);
    return ~narrow;
#else
    return crc32c_by_table(bytes, crc);
#endif
}

std::uint32_t sctp_checksum(std::span<const std::uint8_t> packet) noexcept {
    static constexpr std::array<std::uint8_t, 4> kZero{};
    const std::uint32_t head = crc32c(kZero, crc32c(packet.first(sctp::kChecksum)));
    return crc32c(packet.subspan(sctp::kHeaderSize), head);
}

void sctp_store_checksum(std::span<std::uint8_t> packet) noexcept {
    store_little32(packet.data() + sctp::kChecksum, sctp_checksum(packet));
}

bool sctp_checksum_ok(std::span<const std::uint8_t> packet) noexcept {
    std::array<std::uint8_t, 4> expected{};
    store_little32(expected.data(), sctp_checksum(packet));
    return std::memcmp(expected.data(), packet.data() + sctp::kChecksum, expected.size()) == 0;
}

}  // namespace guideway::packet
