// Internet checksum (RFC 1071), its incremental update (RFC 1624), and CRC32c for SCTP (RFC 9260 appendix A).
//
// Terms:
//   sum     16-bit ones'-complement sum over data, in the packet's byte order (RFC 1071 section 2 B: the order does not
//           matter as long as it is the same everywhere). 0 stands only for "nothing but zeros".
//   field   what stands in the header: the complement of the sum, in the packet's byte order, so load_raw16/store_raw16.
//   delta   sum to add to the data's sum: new minus old.
//
// Example: rewriting a request and its reply
//   const ChecksumDelta delta = delta_between(parsed.v4, outgoing);
//   rewrite_v4(frame, parsed, outgoing, delta);             // client -> backend
//   rewrite_v4(reply, ..., opposite(delta));                // backend -> client
//
// Thread contract: pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <type_traits>

#include "dataplane/packet/five_tuple.h"

namespace guideway::packet {

/// Adds without losing the carry. 0xffff and 0 are the same number; the result is 0 only if both are 0.
constexpr std::uint16_t add_sums(std::uint16_t a, std::uint16_t b) noexcept {
#if defined(__x86_64__)
    if (!std::is_constant_evaluated()) {
        // The carry flag is made for this; compilers do not find it in what follows.
        asm("addw %1, %0\n\tadcw $0, %0" : "+r"(a) : "r"(b) : "cc");
        return a;
    }
#endif
    const std::uint32_t sum = std::uint32_t{a} + b;
    return static_cast<std::uint16_t>(sum + (sum >> 16));
}

/// Sum over `bytes`, an odd last byte padded with zero; added to `start`.
std::uint16_t sum_of(std::span<const std::uint8_t> bytes, std::uint16_t start = 0) noexcept;

/// Sum of the pseudo header: of RFC 9293 3.1 for IPv4, of RFC 8200 8.1 for IPv6. Addresses point into a header, source first, then
/// destination; `length` is that of the layer above.
std::uint16_t pseudo_sum_v4(const std::uint8_t* addresses, std::uint8_t protocol, std::uint32_t length) noexcept;
std::uint16_t pseudo_sum_v6(const std::uint8_t* addresses, std::uint8_t protocol, std::uint32_t length) noexcept;

/// Field value of an IPv4 header (its own checksum field is left out, whatever it holds). `header_length` 20..60.
std::uint16_t ipv4_header_checksum(const std::uint8_t* header, std::size_t header_length) noexcept;
/// True if the header sums up to its checksum.
bool ipv4_header_checksum_ok(const std::uint8_t* header, std::size_t header_length) noexcept;

struct ChecksumDelta {
    std::uint16_t addresses;  ///< for the IPv4 header
    std::uint16_t all;        ///< addresses and ports, for TCP and UDP
};

/// What turns a checksum of a packet with tuple `from` into that of the packet with tuple `to`.
ChecksumDelta delta_between(const FiveTupleV4& from, const FiveTupleV4& to) noexcept;
ChecksumDelta delta_between(const FiveTupleV6& from, const FiveTupleV6& to) noexcept;

/// Of the packets that go the other way.
constexpr ChecksumDelta opposite(ChecksumDelta delta) noexcept {
    return {static_cast<std::uint16_t>(~delta.addresses), static_cast<std::uint16_t>(~delta.all)};
}

/// RFC 1624 equation 3: HC' = ~(~HC + delta). A field that is not 0xffff never becomes 0xffff: the sum of real data is never 0.
constexpr std::uint16_t apply(std::uint16_t field, std::uint16_t delta) noexcept {
    return static_cast<std::uint16_t>(~add_sums(static_cast<std::uint16_t>(~field), delta));
}

/// For UDP: 0 means "no checksum" and stays; a result of 0 is written as 0xffff (RFC 768).
constexpr std::uint16_t apply_udp(std::uint16_t field, std::uint16_t delta) noexcept {
    if (field == 0) return 0;
    const std::uint16_t result = apply(field, delta);
    return result == 0 ? std::uint16_t{0xffff} : result;
}

/// CRC32c of an SCTP packet, its own checksum field counted as zero. The value is stored little-endian: sctp_store_checksum.
/// `packet` holds at least the 12 bytes of the common header.
std::uint32_t sctp_checksum(std::span<const std::uint8_t> packet) noexcept;
void sctp_store_checksum(std::span<std::uint8_t> packet) noexcept;
bool sctp_checksum_ok(std::span<const std::uint8_t> packet) noexcept;

/// CRC32c (Castagnoli), start and end complemented; `crc` continues an earlier one. By the CPU's instruction where built for it.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0) noexcept;
/// The same by table, for every CPU.
std::uint32_t crc32c_by_table(std::span<const std::uint8_t> bytes, std::uint32_t crc = 0) noexcept;

}  // namespace guideway::packet
